"""An atlas: unperturbed cells of a screen's world from several tissues, for models that learn before they see a screen.

In: a screen, or its specification. Out: a zarr folder with counts, tissues and batches, and the truth kept apart;
memory is bounded by the chunks that are being worked on.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simcell._version import __version__
from simcell.assay import Assay, draw_assay
from simcell.atlas_store import AtlasWriter
from simcell.course import BURN_IN_LIFETIMES, HASTY_SHARE, Course, count_molecules, course
from simcell.effects import CellEffects
from simcell.engines import Observation
from simcell.engines.ode import Ode
from simcell.errors import SpecError
from simcell.network import Network
from simcell.protocol import Timeline
from simcell.random import Purpose, kernel_key, stream
from simcell.recording import batch_names
from simcell.screen import Screen, build_screen
from simcell.soundness import whole_number
from simcell.sources import SOURCES
from simcell.spec import ScreenSpec, dump_screen_spec
from simcell.threads import block_slices, map_threads
from simcell.truth import LIFETIMES_TO_REST, SETTLED

CELLS, TISSUES = 20_000, 20
REGULATORS_CHANGED = SOURCES["tissue_regulators"].value
FOLD_SIGMA = SOURCES["tissue_fold"].spread or 0.0


@dataclass(frozen=True, eq=False)
class Tissues:
    """What makes K tissues of one world; tissue 0 is the wild type in the reference medium.

    Attributes:
        factor: (K, R) transcription of each regulator over that of the wild type; 1 where it is not changed.
        medium: (K,) number of the medium that the tissue's cells live in.
    """

    factor: NDArray[np.float64]
    medium: NDArray[np.int64]

    @property
    def names(self) -> NDArray[np.str_]:
        """(K,) names."""
        return np.array([f"tissue{number}" for number in range(self.medium.size)])

    def effects(self, tissue: NDArray[np.int64], network: Network) -> CellEffects:
        """Return what sets cells of tissues (N,) apart from the wild type, as effects from hour 0 on."""
        changed = np.flatnonzero((self.factor != 1.0).any(axis=0))
        shape = tissue.size, changed.size
        return CellEffects(
            gene=np.broadcast_to(network.regulators[changed].astype(np.int32), shape).copy(),
            transcription=self.factor[np.ix_(tissue, changed)],
            translation=np.ones(shape),
            start=np.zeros(shape),
            constant=np.zeros(shape),
        )


def draw_tissues(
    network: Network, *, tissues: int, regulators_changed: float, fold_sigma: float, n_media: int, seed: int
) -> Tissues:
    """Return tissues; each has a stream of its own, so that more of them leave the first ones as they were.

    Args:
        tissues: K. regulators_changed: share of the regulators that a tissue changes, rounded to whole ones.
        fold_sigma: standard deviation of the log of their factors, whose median is 1.
        n_media: of which each tissue but tissue 0 draws one.
    """
    factor, medium = np.ones((tissues, network.n_regulators)), np.zeros(tissues, np.int64)
    n_changed = round(regulators_changed * network.n_regulators)
    for number in range(1, tissues):
        generator = stream(seed, Purpose.ATLAS, number)
        changed = generator.permutation(network.n_regulators)[:n_changed]
        factor[number, changed] = np.exp(fold_sigma * generator.standard_normal(n_changed))
        medium[number] = generator.integers(n_media)
    return Tissues(factor, medium)


def simulate_atlas(
    screen: Screen | ScreenSpec | Mapping[str, object] | str,
    path: str | os.PathLike[str],
    *,
    cells: int = CELLS,
    tissues: int = TISSUES,
    regulators_changed: float = REGULATORS_CHANGED,
    fold_sigma: float = FOLD_SIGMA,
    n_threads: int | None = None,
    progress: bool = True,
    force: bool = False,
) -> Path:
    """Simulate unperturbed cells of the world of a screen, from several tissues, and write them; return the path.

    Network, kinetics and assay are the screen's; cells and batches are others. Tissues differ by their regulators: each
    but tissue 0, which is the wild type, multiplies the transcription of a random share of them by lognormal factors,
    and lives in one of the screen's media, drawn at random. Cells are at the stationary state of their tissue: they
    begin as the noise-free wild type and live as their tissue for as long as a screen's cells burn in (whether the
    noise-free cell has come to rest by then is in the truth). Tissues take turns, so that every batch has cells of all
    of them, if it has as many cells.

    That transcription factors common to all tissues act together with others particular to some is from Vaquerizas et
    al., Nat. Rev. Genet. 10:252 (2009); that they differ less between tissues than their targets do, from Sonawane et
    al., Cell Reports 21:1077 (2017). How many differ and by how much are choices: `simcell.sources`.

    Args:
        screen: a screen, or what `build_screen` makes one of.
        path: the folder to be made; it appears once it is complete.
        cells: number of cells, in all. tissues: number of tissues, which have equally many (to one cell).
        regulators_changed: share of the regulators that a tissue changes, 0 to 1.
        fold_sigma: standard deviation of the natural log of their factors, whose median is 1.
        n_threads: threads, by default one per core; the result does not depend on it.
        progress: whether to show progress bars (never where standard error is no terminal).
        force: whether to replace an atlas that stands at `path`.

    Raises:
        SpecError: an argument out of range, a wrong specification, a world without a stationary state to be in.
        SimcellError: an output that exists, a full disk; nothing half-written is left.
    """
    screen = screen if isinstance(screen, Screen) else build_screen(screen)
    cells, tissues = whole_number("cells", cells, least=1), whole_number("tissues", tissues, least=1)
    if tissues > cells:
        raise SpecError("tissues", tissues, f"<= cells ({cells}): a tissue has cells")
    arguments = {
        "cells": cells,
        "tissues": tissues,
        "regulators_changed": _number("regulators_changed", regulators_changed, most=1.0),
        "fold_sigma": _number("fold_sigma", fold_sigma, most=3.0),
    }
    model, spec = screen.model, screen.spec
    plan, hours = _plan(screen), _hours(screen)
    made = draw_tissues(
        model.network,
        tissues=tissues,
        regulators_changed=arguments["regulators_changed"],
        fold_sigma=arguments["fold_sigma"],
        n_media=len(spec.media),
        seed=spec.seed,
    )
    # all else is drawn under a root seed of the atlas's own: no cell and no batch is one of the screen's
    seed = int(stream(spec.seed, Purpose.ATLAS, 0).integers(2**62))
    assay, key = _assay(screen, cells, seed), kernel_key(seed, Purpose.DYNAMICS)
    everyone = np.arange(cells, dtype=np.int64)
    tissue, media = everyone % tissues, list(plan.media)
    chunk_cells = min(spec.output.chunk_cells, cells)
    writer = AtlasWriter(
        path,
        genes=model.network.genes,
        n_cells=cells,
        chunk_cells=chunk_cells,
        attrs=_attributes(screen, arguments),
        force=force,
    )

    def simulate_chunk(chunk: slice) -> None:
        here = everyone[chunk]
        molecules = np.empty((here.size, model.network.n_genes), np.int32)
        for number, name in enumerate(media):
            taken = np.flatnonzero(made.medium[tissue[here]] == number)
            for block in block_slices(taken.size, lanes=plan.engine.lanes):
                rows = taken[block]
                effects = made.effects(tissue[here[rows]], model.network)
                seen = _at_rest(plan, effects, medium=name, hours=hours, cells=here[rows], key=key)
                molecules[rows] = count_molecules(seen, key=assay.molecules_key, cells=here[rows])
        writer.write_chunk(chunk.start, assay.measure(molecules, here))

    with writer:
        chunks = block_slices(cells, lanes=chunk_cells)
        map_threads(simulate_chunk, chunks, n_threads=n_threads, progress="cells" if progress else None)
        batches = batch_names(assay)
        writer.write_group(
            "cells",
            xr.Dataset({"tissue": ("cell", made.names[tissue]), "batch": ("cell", batches[assay.batch_of(everyone)])}),
        )
        writer.write_group("truth/tissues", _truth(screen, made, hours=hours))
        writer.write_group("truth/cells", xr.Dataset({"size_factor": ("cell", assay.size_factor(everyone))}))
        genes = np.array(model.network.genes)
        writer.write_group(
            "truth/assay",
            xr.Dataset({"efficiency": (("batch", "gene"), assay.efficiency)}, {"batch": batches, "gene": genes}),
        )
    return Path(path)


def _plan(screen: Screen, *, engine: str | None = None) -> Course:
    """Return the engine and media of a screen, without a timeline."""
    settings = screen.spec.engine
    return course(
        screen.model,
        Timeline(),
        engine=engine or settings.name,
        step_hours=settings.step_hours if engine is None else None,
        burn_in_hours=0.0,
        media=screen.spec.media,
    )


def _hours(screen: Screen) -> float:
    """Return for how long cells live as their tissue: as a screen's cells burn in."""
    hours = screen.spec.engine.burn_in_hours
    if hours is not None and hours > 0.0:
        return hours
    if hours is not None:
        raise SpecError("engine.burn_in_hours", hours, "> 0, as an atlas needs: its cells become their tissue by then")
    if not screen.model.stable:
        raise SpecError("engine.burn_in_hours", None, "known for a wild type that is not stable: give the hours")
    return float(np.ceil(BURN_IN_LIFETIMES / screen.model.slowest_rate))


def _at_rest(
    plan: Course,
    effects: CellEffects,
    *,
    medium: str,
    hours: float,
    cells: NDArray[np.int64],
    key: NDArray[np.uint32],
) -> Observation:
    """Return what is in cells that have lived with effects in a medium for so many hours."""
    state = plan.engine.start(cells, key=key, needed_at=hours)
    hasty = HASTY_SHARE * hours
    for engine, start, lasts in ((plan.hasty, 0.0, hasty), (plan.engine, hasty, hours - hasty)):
        engine.advance(state, effects, signals=plan.media[medium], time=start, hours=lasts, key=key, cells=cells)
    return plan.engine.observe(state)


def _assay(screen: Screen, cells: int, seed: int) -> Assay:
    """Return the screen's assay for so many cells, with batches and draws under a seed of their own."""
    given = screen.spec.assay
    per_batch = math.ceil(cells / given.batches)
    sizes = {"cells_per_batch": per_batch, "batches": math.ceil(cells / per_batch)}
    return draw_assay(given.model_copy(update=sizes), n_genes=screen.model.network.n_genes, seed=seed)


def _truth(screen: Screen, tissues: Tissues, *, hours: float) -> xr.Dataset:
    """Return what makes the tissues, and their noise-free cells."""
    model, plan = screen.model, _plan(screen, engine="ode")
    media, n_genes = list(plan.media), screen.model.network.n_genes
    mean, settled = np.empty((tissues.medium.size, n_genes)), np.empty(tissues.medium.size, bool)
    engine = plan.engine
    assert isinstance(engine, Ode)
    for number, name in enumerate(media):
        alike = np.flatnonzero(tissues.medium == number)
        for block in block_slices(alike.size, lanes=engine.lanes):
            rows = alike[block].astype(np.int64)
            effects, key = tissues.effects(rows, model.network), np.zeros(2, np.uint32)  # not used without noise
            state, ends = engine.start(rows, key=key), []
            for start, lasts in ((0.0, hours), (hours, LIFETIMES_TO_REST / model.slowest_rate)):
                engine.advance(
                    state, effects, signals=plan.media[name], time=start, hours=lasts, key=key, cells=rows
                )  # fmt: skip
                ends.append(state.copy().amounts[:n_genes].T)
            mean[rows] = ends[0]
            settled[rows] = (np.abs(ends[1] - ends[0]) <= SETTLED * model.mean).all(axis=1)
    names = np.array(model.network.genes)
    return xr.Dataset(
        {
            "factor": (("tissue", "regulator"), tissues.factor),
            "medium": ("tissue", np.array(media)[tissues.medium]),
            "mean_field": (("tissue", "gene"), mean),
            "settled": ("tissue", settled),
        },
        {"tissue": tissues.names, "regulator": names[model.network.regulators], "gene": names},
    )


def _number(field: str, value: object, *, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0.0 <= value <= most:
        raise SpecError(field, value, f"a number from 0 to {most:g}")
    return float(value)


def _attributes(screen: Screen, arguments: dict[str, float]) -> dict[str, object]:
    return {
        "name": screen.spec.name,
        "spec": dump_screen_spec(screen.spec),
        "seed": screen.spec.seed,
        "arguments": arguments,
        "versions": {
            "simcell": __version__,
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "numba": version("numba"),
        },
    }
