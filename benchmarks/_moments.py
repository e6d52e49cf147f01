"""Whether two simulators agree, and by how much each errs: means and variances of many quantities, with their errors.

In: samples (cells, quantities) of independent cells. Out: z-scores, or relative errors with standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Array = NDArray[np.float64]
CHANCE = 1e-3  # of an alarm where there is nothing


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and variance (quantities,) of a sample, and the standard errors of both."""

    mean: Array
    variance: Array
    mean_error: Array
    variance_error: Array

    def stacked(self) -> tuple[Array, Array]:
        """Return means then variances (2, quantities), and their standard errors."""
        return np.stack([self.mean, self.variance]), np.stack([self.mean_error, self.variance_error])


@dataclass(frozen=True)
class RelativeError:
    """A relative error averaged over quantities, and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{100.0 * self.value:+.2f} ± {100.0 * self.error:.2f} %"

    def above(self, other: RelativeError) -> float:
        """Return by how many standard errors this one is the larger in size; negative if it is the smaller."""
        return (abs(self.value) - abs(other.value)) / float(np.hypot(self.error, other.error))


def moments(sample: NDArray[np.generic]) -> Moments:
    """Return the moments of a sample (cells, quantities); the error of a variance is from the fourth moment."""
    values = np.asarray(sample, dtype=np.float64)
    n_cells = values.shape[0]
    mean = values.mean(axis=0)
    deviation = values - mean
    variance, fourth = (deviation**2).mean(axis=0), (deviation**4).mean(axis=0)
    variance_error = np.sqrt(np.maximum(fourth - variance**2, 0.0) / n_cells)
    return Moments(mean, variance * n_cells / (n_cells - 1), np.sqrt(variance / n_cells), variance_error)


def z_scores(first: Moments, second: Moments) -> Array:
    """Return (2, quantities): by how many standard errors means and variances differ."""
    (a, a_error), (b, b_error) = first.stacked(), second.stacked()
    return (a - b) / np.hypot(a_error, b_error)


def z_limit(comparisons: int, *, chance: float = CHANCE) -> float:
    """Return what the largest of so many |z| exceeds with at most this chance if there is nothing (Bonferroni)."""
    return float(norm.isf(chance / 2.0 / comparisons))


def relative_errors(sample: NDArray[np.generic], exact: NDArray[np.generic]) -> tuple[RelativeError, RelativeError]:
    """Return the relative errors of mean and variance, averaged over quantities, with their sign.

    Quantities of one cell are correlated; the standard error is therefore that of cells' own averages over quantities.

    Args:
        sample: (cells, quantities). exact: (cells, quantities) of an exact simulation, with an error of its own.
    """
    scale = moments(exact)
    (mean, variance), (exact_mean, exact_variance) = (_averages(each, scale) for each in (sample, exact))
    return _difference(mean, exact_mean), _difference(variance, exact_variance)


def _averages(sample: NDArray[np.generic], scale: Moments) -> tuple[Array, Array]:
    """Return for each cell the averages over quantities of value over mean, and of squared deviation over variance."""
    values = np.asarray(sample, dtype=np.float64)
    deviation = values - values.mean(axis=0)
    unbiased = values.shape[0] / (values.shape[0] - 1)
    return (values / scale.mean).mean(axis=1), unbiased * (deviation**2 / scale.variance).mean(axis=1)


def _difference(first: Array, second: Array) -> RelativeError:
    error = np.sqrt(first.var(ddof=1) / first.size + second.var(ddof=1) / second.size)
    return RelativeError(float(first.mean() - second.mean()), float(error))
