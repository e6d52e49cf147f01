"""The genes over which the metrics of Ahlmann-Eltze, Huber and Anders are taken, chosen on the training side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.metrics.base import Comparison

N_TOP_GENES = 1_000
SOURCE = (
    "Ahlmann-Eltze, Huber, Anders, Nature Methods 2025 (1,000 genes most expressed in control; their log-normalised "
    "means per cell are here log profiles of pooled cells)."
)


def highest_in_control(comparison: Comparison, *, count: int = N_TOP_GENES) -> NDArray[np.intp]:
    """Return the positions of the `count` genes highest in the training control, highest first; ties by gene order.

    All genes are taken when there are fewer than `count`.
    """
    return np.argsort(-comparison.measured.control, kind="stable")[:count]
