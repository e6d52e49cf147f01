"""The space in which mean predictions live: the log profile of a pool of cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SCALE = 1e4  # counts per ten thousand, the convention of scanpy's tutorials and of Ahlmann-Eltze et al. (2025)


def log_profile(total: ArrayLike, *, axis: int = -1) -> NDArray[np.float64]:
    """Return ``log1p(1e4 * total / sum(total))`` along the gene axis.

    Args:
        total: expression summed over a pool of cells (counts, molecules or intensities), any shape, not negative.
        axis: the gene axis.

    A pool without any molecule has the profile 0 everywhere.
    """
    total = np.asarray(total, dtype=np.float64)
    depth = total.sum(axis=axis, keepdims=True)
    return np.log1p(SCALE * total / np.where(depth > 0, depth, 1.0))
