"""Small worlds whose laws are known, and samples of them; what the statistical tests share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcell.calibration import calibrate
from simcell.cell import CellModel
from simcell.network import Network
from simcell.run import run_cells

SHAPES = np.array([0.2, 0.5, 1.0, 2.0, 5.0, 20.0])  # of the negative binomial: bursts per lifetime
BURST = 4.0
HALF_LIFE = 5.0
DECAY = np.log(2.0) / HALF_LIFE


def lone_genes(*, mean: ArrayLike = SHAPES * BURST, regulators: int = 1, **changes: Any) -> CellModel:
    """Return genes that nothing regulates: all that some of them do, each to itself, is of fold 1, which is nothing.

    Args:
        regulators: how many of them; the others, which regulate nothing at all, may take strides of several steps.
    """
    mean = np.atleast_1d(np.asarray(mean, np.float64))
    some = np.arange(regulators)
    network = Network(tuple(f"g{gene}" for gene in range(mean.size)), some, some, np.ones(regulators, int))
    settings: dict[str, Any] = {
        "half_life": HALF_LIFE,
        "burst_size": BURST,
        "activity": 0.3,
        "fold": 1.0,
        "protein_half_life": HALF_LIFE,
        "doubling_time": None,
    }
    return calibrate(network, mean=mean, **settings | changes)


def sample(
    model: CellModel,
    *,
    n_cells: int,
    times: Sequence[float] = (0.0,),
    lifetimes: float = 8.0,
    **changes: Any,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return intensities and counts (T, N, G) of cells begun so long ago that their start is forgotten."""
    settings = {"burn_in_hours": float(np.ceil(lifetimes / model.slowest_rate)), **changes}
    data = run_cells(model, times=list(times), n_cells=n_cells, **settings)
    return data["intensity"].values, data["mrna"].values
