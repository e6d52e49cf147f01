"""Cells begin in the distribution of the wild type: nothing drifts that is not perturbed.

In: intensities and proteins at time 0 and much later. Law: their means and variances are the same.
"""

from __future__ import annotations

import numpy as np
import pytest
from budget import caught, level, z_threshold
from numpy.typing import NDArray

from simcell.cell import CellModel
from simcell.draw import draw_cell_model
from simcell.generators import grouped_scale_free
from simcell.run import run_cells

N_CELLS, HOURS = 20_000, 300.0


def make_world() -> CellModel:
    return draw_cell_model(grouped_scale_free(40, groups=2, regulators=0.5, seed=2), seed=2)


def moments(burn_in_hours: float | None = None) -> NDArray[np.float64]:
    """Return (2 times, 2 moments, genes and regulators, 2: estimate and its standard error)."""
    data = run_cells(make_world(), times=[0.0, HOURS], n_cells=N_CELLS, seed=5, burn_in_hours=burn_in_hours)
    found = []
    for number in range(2):
        raw = np.concatenate([data["intensity"][number], data["protein"][number]], axis=1).astype(np.float64)
        mean = np.stack([raw.mean(axis=0), raw.std(axis=0) / np.sqrt(N_CELLS)], axis=-1)
        square = (raw - raw.mean(axis=0)) ** 2
        variance = np.stack([square.mean(axis=0), square.std(axis=0) / np.sqrt(N_CELLS)], axis=-1)
        found.append(np.stack([mean, variance]))
    return np.stack(found)


def check_stationary(found: NDArray[np.float64], limit: float) -> None:
    estimate, error = found[..., 0], found[..., 1]
    z = (estimate[1] - estimate[0]) / np.hypot(error[0], error[1])
    assert np.abs(z).max() <= limit, f"drifts: {np.abs(z).max():.1f} standard errors, {limit:.1f} allowed"


@pytest.mark.statistical
def test_the_wild_type_is_stationary_from_the_start() -> None:
    found = moments()
    limit = z_threshold(level("wild type stationary"), found[0, ..., 0].size)
    check_stationary(found, limit)
    with caught("drifts"):  # cells that begin at the noise-free fixed point
        check_stationary(moments(burn_in_hours=5.0), limit)
