"""How many independent cells a set of cells is worth, as measured from the cells themselves.

In: a sample (N cells, K quantities), cells in the order of their numbers. Out: `Cells`: N and the effective number.

Cells are independent by construction: every random number belongs to one cell. Whether they are is measured here by the
autocorrelation rho of a quantity along the cells' numbers, at all lags at once, averaged over quantities: a simulator
that sells time points of one path as cells shows it at lag 1, one that counts its random numbers by lane shows it at
the number of lanes, whatever that is. The mean of N cells has the variance s^2 (1 + 2 sum rho)/N (Sokal, "Monte Carlo
methods in statistical mechanics", 1997, section 3), so they are worth N/(1 + 2 sum rho). The sum runs over the
neighbours up to `NEAR`, significant or not, and over all further lags at which rho is beyond chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.stats import rankdata

from verification.statistics import z_threshold

NEAR = 4
LEVEL = 1e-6  # chance that any of the lags of one set of independent cells looks correlated


@dataclass(frozen=True)
class Cells:
    """A set of cells and what they are worth.

    Attributes:
        number: of cells. effective: number of independent cells they are worth, and its standard error `uncertainty`.
        correlation: the largest of all lags, at `lag`, with the standard error `error`.
    """

    number: int
    effective: float
    uncertainty: float = 0.0
    correlation: float = 0.0
    lag: int = 0
    error: float = 0.0


def measure(values: ArrayLike) -> Cells:
    """Return the effective number of cells in a sample (N, K) of K quantities of N cells; (N,) is one quantity.

    Cells that are all the same, in what should be noise, are worth one.
    """
    table = np.asarray(values, np.float64)
    table = table.reshape(table.shape[0], -1)
    n = table.shape[0]
    noisy = np.ptp(table, axis=0) > 1e-9 * np.abs(table.mean(axis=0))
    if not noisy.any() or n < 4 * NEAR:
        return Cells(n, 1.0, correlation=1.0, lag=1)
    rho = _autocorrelation(_scores(table[:, noisy]))
    lag = np.arange(1, n // 2)
    rho = rho[lag]
    # at large lags fewer pairs of cells are left; quantities of one cell may go together, so the scale is measured
    scale = 1.4826 * np.median(np.abs(rho) * np.sqrt(1.0 - lag / n)) / np.sqrt(1.0 - lag / n)
    z = np.abs(rho) / scale
    counted = (lag <= NEAR) | (z > z_threshold(LEVEL, lag.size))
    worst = int(np.argmax(z))
    share = 1.0 / max(1.0 + 2.0 * float(rho[counted].sum()), 1.0 / n)
    uncertainty = 2.0 * n * share**2 * float(np.sqrt((scale[:NEAR] ** 2).sum()))
    return Cells(n, n * share, uncertainty, float(rho[worst]), int(lag[worst]), float(scale[worst]))


def _scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks (N, K), centred and of variance 1, so that no few large values decide."""
    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0)
    return np.asarray(ranks / ranks.std(axis=0))


def _autocorrelation(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) mean over quantities of the autocorrelation at lags 0 .. N-1."""
    n = scores.shape[0]
    size = next_fast_len(2 * n)
    power = sum(np.abs(rfft(column, size)) ** 2 for column in scores.T) / scores.shape[1]
    return np.asarray(irfft(power, size)[:n] / (n - np.arange(n)))
