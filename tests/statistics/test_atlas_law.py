"""The reference tissue of an atlas is the wild type of its screen: its counts have the law of the screen's controls.

In: counts of a screen's control cells, and of tissue 0 of an atlas of its world. Law: means and variances are the same,
and so are the correlations between genes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import caught, level, z_threshold
from numpy.typing import NDArray

import simcell.atlas
from simcell import load, load_atlas, simulate, simulate_atlas
from simcell.schema import get_array

N_CELLS = 6000
SPEC: dict[str, Any] = {
    "name": "wild",
    "seed": 3,
    "network": {"kind": "grouped-scale-free", "genes": 16, "edges_per_gene": 2, "groups": 2, "regulators": 0.5},
    "library": {"targets": {"count": 1}, "control_fraction": 0.98},
    "protocol": [{"step": "transduce"}, {"step": "culture", "hours": 10.0}, {"step": "harvest"}],
    # a batch shifts a gene for good: without such shifts two assays have one law
    "assay": {"batches": 2, "cells_per_batch": N_CELLS // 2, "batch_sigma": 0.0, "capture": 0.5},
    "truth": {"cells_per_perturbation": 2},
}


def controls(folder: Path) -> NDArray[np.int32]:
    tree = load(simulate(SPEC, folder / "screen.zarr", progress=False))
    counts: NDArray[np.int32] = get_array(tree, "counts/umis").values
    return counts[get_array(tree, "cells/perturbation").values == "control"]


def reference_tissue(folder: Path, name: str) -> NDArray[np.int32]:
    path = simulate_atlas(SPEC, folder / name, cells=2 * N_CELLS, tissues=2, progress=False)
    tree = load_atlas(path)
    counts: NDArray[np.int32] = get_array(tree, "counts/umis").values
    return counts[get_array(tree, "cells/tissue").values == "tissue0"]


def moments(counts: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means of x, and of the products of x - mean between all genes, of x = log(1 + count); and their errors."""
    values = np.log1p(counts)
    centred = values - values.mean(axis=0)
    first, second = np.triu_indices(values.shape[1])
    every = np.concatenate([values, centred[:, first] * centred[:, second]], axis=1)
    return every.mean(axis=0), every.std(axis=0) / np.sqrt(len(every))


def check_same_law(one: NDArray[np.int32], other: NDArray[np.int32], rate: float) -> None:
    (mean, error), (expected, also) = moments(one), moments(other)
    z = np.abs(mean - expected) / np.hypot(error, also)
    limit = z_threshold(rate, z.size)
    assert z.max() <= limit, f"another law: {z.max():.1f} standard errors, {limit:.1f} allowed"


@pytest.mark.statistical
def test_the_reference_tissue_has_the_law_of_the_controls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = controls(tmp_path)
    rate = level("atlas wild type")
    check_same_law(reference_tissue(tmp_path, "atlas.zarr"), expected, rate)
    monkeypatch.setattr(simcell.atlas, "_hours", lambda screen: 5.0)  # cells that begin alike are still too much alike
    with caught("another law"):
        check_same_law(reference_tissue(tmp_path, "young.zarr"), expected, rate)
