"""How many independent cells a set of correlated cells is worth: two estimates of the effective sample size.

In: cells of several independent chains, in any order, or states of chains in the order of time. Out: a number of cells,
or an integrated autocorrelation time.

Sources: Sokal, "Monte Carlo methods in statistical mechanics" (1997), section 3: the mean of N correlated values has
the variance s^2 2 tau_int / N, so that they are worth N / (2 tau_int) independent ones; Geyer, "Practical Markov chain
Monte Carlo", Statistical Science 7 (1992), section 3.3: the initial positive sequence, where to stop the sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def effective_size(chains: NDArray[np.floating]) -> float:
    """Return the effective sample size of one chain, from the scatter of the means of chains alike.

    It is 1 / mean over genes of (variance of the chains' means / variance of cells): what Sokal's formula says, without
    an estimate of the autocorrelation, and so regardless of the order of cells.

    Args:
        chains: (genes, chains, cells) of a chain each; genes that never vary are left out.
    """
    variance = chains.var(axis=(1, 2))
    varies = variance > 0.0
    of_means = chains[varies].mean(axis=2).var(axis=1, ddof=1)
    return float(1.0 / np.mean(of_means / variance[varies]))


def autocorrelation_time(states: NDArray[np.floating]) -> float:
    """Return the integrated autocorrelation time tau_int, in units of the interval between states.

    The autocorrelation is averaged over genes and chains and summed by the trapezoid rule, as of a process that goes
    on between the states, up to where Geyer's sum of two neighbours is no longer positive.

    Args:
        states: (genes, chains, times), at equal intervals, stationary.
    """
    deviation = states - states.mean(axis=(1, 2), keepdims=True)
    variance = (deviation**2).mean(axis=(1, 2))
    deviation = deviation[variance > 0.0] / np.sqrt(variance[variance > 0.0])[:, None, None]
    n_times = states.shape[2]
    rho = np.array([(deviation[:, :, : n_times - lag] * deviation[:, :, lag:]).mean() for lag in range(n_times - 1)])
    pairs = rho[: rho.size // 2 * 2].reshape(-1, 2).sum(axis=1)
    stop = 2 * int(np.argmax(pairs <= 0.0)) if (pairs <= 0.0).any() else rho.size
    return float(rho[:stop].sum() - 0.5 * rho[0])
