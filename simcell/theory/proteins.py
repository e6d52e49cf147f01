"""mRNA and protein of a gene that nothing regulates: covariance of the two, and relaxation of two stages in a row.

Where molecules are counted, protein carries the noise of single molecules of mRNA and of itself. In the engine langevin
(`intensities=True`) the intensity of mRNA drives protein, and what its noise lacks is added: the variance is the same,
the covariance with mRNA that of bursts alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def two_stage_relaxation(time: ArrayLike, *, start: float, target: float, first: float, second: float) -> Array:
    """Return the second of two stages in a row, with these rates, after the input of the first has stepped.

    Protein after a step of transcription (delta, gamma), or mRNA after one that sets in gradually (1/constant, delta).
    With A = first, B = second: target + (start - target)(A e^(-B t) - B e^(-A t))/(A - B); (1 + A t) e^(-A t) if A = B.

    Args:
        time: hours since the step. start, target: values before it and long after. first, second: rates, per hour.

    Source: the convolution of two exponential relaxations, as in Alon, An Introduction to Systems Biology, section 2.
    """
    time = np.maximum(np.asarray(time, dtype=np.float64), 0.0)
    if np.isclose(first, second, rtol=1e-6):
        left = (1.0 + first * time) * np.exp(-first * time)
    else:
        left = (first * np.exp(-second * time) - second * np.exp(-first * time)) / (first - second)
    return target + (start - target) * left


def protein_noise(
    *, mean: ArrayLike, burst: ArrayLike, decay: ArrayLike, protein_decay: ArrayLike, protein_mean: ArrayLike
) -> Array:
    """Return the variance of an unregulated regulator's level q: 1/n + ((1 + b)/m) gamma/(gamma + delta).

    Source: Paulsson, Nature 427 (2004), doi:10.1038/nature02257.
    """
    mean, burst, gamma = np.asarray(mean), np.asarray(burst), np.asarray(protein_decay)
    return 1.0 / np.asarray(protein_mean) + (1.0 + burst) / mean * gamma / (gamma + np.asarray(decay))


def two_stage_covariance(
    *,
    mean: ArrayLike,
    protein_mean: ArrayLike,
    decay: ArrayLike,
    protein_decay: ArrayLike,
    burst: ArrayLike = 0.0,
    intensities: bool = False,
) -> Array:
    """Return the stationary covariance (..., 2, 2) of mRNA and protein, molecules squared; exact.

    CV^2 of protein is 1/n + ((1 + b)/m) gamma/(gamma + delta), with intensities too.

    Args:
        mean, protein_mean: molecules. decay, protein_decay: delta and gamma, per hour.
        burst: mean molecules of a burst of mRNA; 0 where they are made singly.
        intensities: whether mRNA stands for its intensity (engine langevin).

    Source: Paulsson, Nature 427 (2004), doi:10.1038/nature02257.
    """
    mean, decay, gamma = (np.asarray(x, dtype=np.float64) for x in (mean, decay, protein_decay))
    variance = mean * (np.asarray(burst) + 1.0)
    counted = _covariance(variance, variance / (gamma + decay), mean, protein_mean, gamma)
    if not intensities:
        return counted
    variance = mean * np.asarray(burst)
    found = _covariance(variance, variance / (gamma + decay), mean, protein_mean, gamma)
    found[..., 1, 1] = counted[..., 1, 1]
    return found


def telegraph_two_stage_covariance(
    *,
    mean: ArrayLike,
    protein_mean: ArrayLike,
    decay: ArrayLike,
    protein_decay: ArrayLike,
    activity: ArrayLike,
    switching_rate: ArrayLike,
) -> Array:
    """Return the stationary covariance (..., 2, 2) of mRNA and protein with a telegraph promoter; exact.

    Args:
        mean, protein_mean: molecules. decay, protein_decay: delta and gamma, per hour.
        activity: chance to be on. switching_rate: k, per hour, see `telegraph.py`.

    Source: Paulsson, Phys. Life Rev. 2 (2005), doi:10.1016/j.plrev.2005.03.003.
    """
    mean, decay, switching = (np.asarray(x, dtype=np.float64) for x in (mean, decay, switching_rate))
    gamma = np.asarray(protein_decay, dtype=np.float64)
    promoter = mean**2 * (1.0 - np.asarray(activity)) / np.asarray(activity) * decay / (switching + decay)
    both = (gamma + switching + decay) / ((gamma + decay) * (gamma + switching))
    filtered = mean / (gamma + decay) + promoter * both
    return _covariance(mean + promoter, filtered, mean, protein_mean, gamma)


def _covariance(variance: Array, filtered: Array, mean: Array, protein_mean: ArrayLike, gamma: Array) -> Array:
    """Return (..., 2, 2) from the variance of mRNA and the integral of its autocovariance times e^(-gamma t).

    Protein made at rate tau times mRNA filters it: Cov(M, N) = tau * filtered, Var N = Cov(M, N) tau/gamma + n.
    """
    protein_mean = np.asarray(protein_mean, dtype=np.float64)
    ratio = protein_mean / mean  # tau/gamma
    between = ratio * gamma * filtered
    protein = ratio * between + protein_mean
    entries = np.broadcast_arrays(variance, between, between, protein)
    return np.stack(entries, axis=-1).reshape(*np.shape(entries[0]), 2, 2)
