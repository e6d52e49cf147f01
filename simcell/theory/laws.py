"""Laws of molecule numbers as arrays of chances, and how to get one from its generating function.

In: E w^N as a function of complex w. Out: `CountLaw`, with the methods of a scipy law: pmf, cdf, sf, mean, var.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcell.errors import SimcellError

Array = NDArray[np.float64]
ROUNDING = 1e-16  # of a chance found by a Fourier transform
LONGEST = 2**22  # a law with chances beyond this many molecules is refused


@dataclass(frozen=True, eq=False)
class CountLaw:
    """The law of a number of molecules.

    Attributes:
        chance: (n,) of 0, 1, ..., n - 1 molecules. What is missing to a sum of 1 is the chance of more.
    """

    chance: Array

    def pmf(self, count: ArrayLike) -> Array:
        """Return the chance of each count; 0 where it is negative or beyond the last one held."""
        count = np.asarray(count)
        held = (count >= 0) & (count < self.chance.size)
        return np.where(held, self.chance[np.where(held, count, 0)], 0.0)

    def cdf(self, count: ArrayLike) -> Array:
        """Return the chance of at most each count."""
        reached = np.concatenate([[0.0], np.minimum(np.cumsum(self.chance), 1.0)])
        return reached[np.clip(np.floor(np.asarray(count)).astype(np.int64), -1, self.chance.size - 1) + 1]

    def sf(self, count: ArrayLike) -> Array:
        """Return the chance of more than each count."""
        beyond = np.concatenate([np.cumsum(self.chance[::-1])[::-1], [0.0]])
        return beyond[np.clip(np.floor(np.asarray(count)).astype(np.int64) + 1, 0, self.chance.size)]

    def mean(self) -> float:
        """Return the mean number of molecules."""
        return float(self.chance @ np.arange(self.chance.size))

    def var(self) -> float:
        """Return the variance of the number of molecules."""
        return float(self.chance @ (np.arange(self.chance.size) - self.mean()) ** 2)


def invert_generating_function(function: Callable[[NDArray[np.complex128]], NDArray], *, scale: float) -> CountLaw:
    """Return the law whose generating function E w^N is `function`, from its values on the unit circle.

    Chances are right to about 1e-15, and 0 below 1e-16. Those of counts beyond the last are folded onto the first, so
    that the number of points is doubled until hardly any is in the upper half.

    Args:
        function: takes (n,) complex points on the unit circle.
        scale: a number of molecules to begin with, such as mean + 10 standard deviations.

    Raises:
        SimcellError: if chances do not end before `LONGEST` molecules.

    Source: Abate & Whitt, Oper. Res. Lett. 12 (1992), doi:10.1016/0167-6377(92)90050-D.
    """
    n_points = int(2 ** np.ceil(np.log2(max(scale, 16.0) + 1.0)))
    while n_points <= LONGEST:
        circle = np.exp(2j * np.pi * np.arange(n_points) / n_points)
        chance = np.fft.fft(function(circle)).real / n_points
        chance[chance < ROUNDING] = 0.0
        if chance[n_points // 2 :].sum() < 1e-12:
            return CountLaw(chance[: n_points // 2])
        n_points *= 2
    raise SimcellError(f"the law reaches beyond {LONGEST} molecules")
