"""Walker's alias method: one of many things of unequal chances by one uniform, whatever their number.

Source: Walker, ACM Trans. Math. Softw. 3 (1977); tables made as by Vose, IEEE Trans. Softw. Eng. 17 (1991).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcell.kernels.jit import helper


def alias_table(weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (share, other), (N,) each, of weights (N,) >= 0 with a positive sum: see `pick`."""
    share = weight * (weight.size / weight.sum())
    other = np.arange(weight.size)
    small = [int(i) for i in np.flatnonzero(share < 1.0)]
    large = [int(i) for i in np.flatnonzero(share >= 1.0)]
    while small and large:
        poor, rich = small.pop(), large[-1]
        other[poor] = rich
        share[rich] -= 1.0 - share[poor]
        if share[rich] < 1.0:
            small.append(large.pop())
    share[small + large] = 1.0  # what is left is 1 to rounding
    return share, other


@helper
def pick(uniform, share, other):
    """Return an index with the chance that its weight has in their sum."""
    place = uniform * share.size
    index = min(int(place), share.size - 1)
    return index if place - index < share[index] else other[index]
