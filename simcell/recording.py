"""From simulated objects to the groups of a data set: `/cells`, and what is true, `/truth/*`; see `schema.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simcell.assay import Assay
from simcell.assignment import Assignment
from simcell.cell import CellModel
from simcell.guides import GuideLibrary
from simcell.labels import perturbation_targets
from simcell.network import Network
from simcell.truth import direct_effects, total_effects, true_response

if TYPE_CHECKING:
    from simcell.screen import Screen


def cells_group(screen: Screen, assay: Assay, assignment: Assignment, *, n_umis: NDArray[np.int64]) -> xr.Dataset:
    """Return what an experimenter knows of every cell."""
    n_cells = n_umis.size
    library = screen.library
    # labels by distinct set of guides: there are far fewer of those than cells
    sets, which = np.unique(assignment.guides, axis=0, return_inverse=True)
    which = which.reshape(-1)
    carried = [tuple(int(guide) for guide in row if guide >= 0) for row in sets]
    labels = [library.label(guides) for guides in carried]
    planned = {tuple(sorted(construct)) for construct in library.constructs}
    times = np.array(screen.timeline.sampled_at)
    sample = screen.timeline.sample_of(np.arange(n_cells))
    names = np.array([*(f"sample{number}" for number in range(times.size - 1)), "harvest"])
    media = np.array([screen.timeline.medium_at(time) or screen.spec.reference_medium for time in times.tolist()])
    return xr.Dataset(
        {
            "perturbation": ("cell", np.array(labels)[which]),
            "n_perturbations": ("cell", np.array([len(perturbation_targets(label)) for label in labels])[which]),
            "guides": (
                "cell",
                np.array([";".join(sorted(library.names[guide] for guide in row)) for row in carried])[which],
            ),
            "batch": ("cell", batch_names(assay)[assay.batch_of(np.arange(n_cells))]),
            "time": ("cell", times[sample]),
            "sample": ("cell", names[sample]),
            "medium": ("cell", media[sample]),
            "clone": ("cell", np.arange(n_cells)),  # every cell founded its own
            "n_umis": ("cell", n_umis),
            "planned": ("cell", np.array([tuple(sorted(row)) in planned for row in carried])[which]),
        }
    )


def truth_groups(
    screen: Screen, assay: Assay, assignment: Assignment, response: xr.Dataset, *, sizes: NDArray[np.float64]
) -> dict[str, xr.Dataset]:
    """Return what is true of a screen, by name of the group under /truth.

    Args:
        response: as `response_group` returns it. sizes: (N,) of the cells, relative to the mean.
    """
    network = screen.model.network
    names = np.array(network.genes)
    first = assignment.construct[:, :1]
    alone = ((assignment.construct == first) | (assignment.construct < 0)).all(axis=1)
    return {
        "network": _network(network, screen.model),
        "kinetics": _kinetics(network, screen.model),
        "response": response,
        "effects": xr.Dataset(
            {
                "direct": (("regulator", "gene"), direct_effects(screen.model)),
                "total": (("regulator", "gene"), total_effects(screen.model)),
            },
            {"regulator": names[network.regulators], "gene": names},
        ),
        "guides": _guides(screen.library),
        "cells": xr.Dataset(
            {
                "size_factor": ("cell", assay.size_factor(np.arange(alone.size, dtype=np.int64))),
                "size": ("cell", sizes),
                "construct": ("cell", np.where(alone, assignment.construct[:, 0], -1)),
            }
        ),
        "assay": xr.Dataset(
            {"efficiency": (("batch", "gene"), assay.efficiency)}, {"batch": batch_names(assay), "gene": names}
        ),
    }


def response_group(screen: Screen, *, n_threads: int | None, progress: bool) -> xr.Dataset:
    """Return the true responses to all planned perturbations; this is simulated."""
    response = true_response(screen, n_threads=n_threads, progress=progress)
    by_gene = ("time", "perturbation", "gene")
    return xr.Dataset(
        {
            "mean_field": (by_gene, response.mean_field),
            "ensemble_mean": (by_gene, response.ensemble_mean),
            "ensemble_se": (by_gene, response.ensemble_se),
            "log_profile": (by_gene, response.log_profile),
            "settled": (by_gene[:2], response.settled),
            "ensemble_cells": (by_gene[:2], np.full(response.settled.shape, response.ensemble_cells)),
        },
        {
            "time": np.array(response.times),
            "perturbation": np.array(response.perturbations),
            "gene": np.array(screen.model.network.genes),
        },
    )


def batch_names(assay: Assay) -> NDArray[np.str_]:
    """Return the names (B,) of the batches."""
    return np.array([f"batch{number}" for number in range(assay.spec.batches)])


def _network(network: Network, model: CellModel) -> xr.Dataset:
    own = model.network_edges
    names = np.array(network.genes)
    return xr.Dataset(
        {
            "regulator": ("edge", names[network.regulator]),
            "target": ("edge", names[network.target]),
            "sign": ("edge", network.sign),
            "strength": ("edge", model.strength[own]),
            "half_response": ("edge", model.half_response[own] * model.protein_mean[model.edges.source[own]]),
        }
    )


def _kinetics(network: Network, model: CellModel) -> xr.Dataset:
    spliced = model.splicing_half_life
    return xr.Dataset(
        {
            "mean": ("gene", model.mean),
            "half_life": ("gene", model.half_life),
            "splicing_half_life": ("gene", np.zeros(network.n_genes) if spliced is None else spliced),
            "burst_size": ("gene", model.burst_size),
            "activity": ("gene", model.activity),
            "max_rate": ("gene", model.max_rate),
            "basal": ("gene", model.basal),
            "protein_half_life": ("regulator", model.protein_half_life),
            "protein_mean": ("regulator", model.protein_mean),
            "translation_rate": ("regulator", model.translation_rate),
            "hill": ("regulator", model.hill[: network.n_regulators]),
        },
        {"gene": np.array(network.genes), "regulator": np.array(network.genes)[network.regulators]},
    )


def _guides(library: GuideLibrary) -> xr.Dataset:
    return xr.Dataset(
        {
            "target": ("guide", np.array([library.genes[gene] if gene >= 0 else "" for gene in library.target])),
            "modality": ("guide", np.full(len(library.names), library.modality.name)),
            "efficacy": ("guide", library.efficacy),
        },
        {"guide": np.array(library.names)},
    )
