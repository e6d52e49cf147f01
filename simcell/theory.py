"""Closed forms: what theory says of intensities, counts, proteins and screens, as oracles for tests and for readers.

In: parameters as in `CellModel` (molecules per cell, hours). Out: means, variances, laws. Nothing here simulates and no
engine uses it: it is what engines are held to.

Notation: delta decay of mRNA, gamma decay of protein, per hour; b mean burst size; m wild-type mean; q = protein level
over its wild-type mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_continuous_lyapunov
from scipy.stats import binom, nbinom, poisson

from simcell.cell import CellModel
from simcell.modalities import ALLELES

Array = NDArray[np.float64]


def intensity_mean(time: ArrayLike, *, start: ArrayLike, target: ArrayLike, decay: ArrayLike) -> Array:
    """Return the mean of a square-root diffusion at `time` after a step of its target: exponential relaxation.

    Source: Cox, Ingersoll & Ross, Econometrica 53 (1985).
    """
    left = np.exp(-np.asarray(decay) * np.asarray(time))
    return np.asarray(target) + (np.asarray(start) - np.asarray(target)) * left


def intensity_variance(
    time: ArrayLike, *, start: ArrayLike, target: ArrayLike, burst: ArrayLike, decay: ArrayLike
) -> Array:
    """Return its variance at `time` after it was exactly at `start`; b times the target after a long time.

    Source: Cox, Ingersoll & Ross (1985), with sigma^2 = 2 delta b.
    """
    left = np.exp(-np.asarray(decay) * np.asarray(time))
    burst, start, target = np.asarray(burst), np.asarray(start), np.asarray(target)
    return 2.0 * burst * start * left * (1.0 - left) + burst * target * (1.0 - left) ** 2


def intensity_autocorrelation(lag: ArrayLike, *, decay: ArrayLike) -> Array:
    """Return the autocorrelation of a stationary intensity: exp(-delta lag), whatever the burst size."""
    return np.exp(-np.asarray(decay) * np.abs(np.asarray(lag)))


def intensity_kurtosis(*, mean: ArrayLike, burst: ArrayLike) -> Array:
    """Return the kurtosis (3 for a normal) of a stationary intensity, which is Gamma(m/b, b): 3 + 6 b/m."""
    return 3.0 + 6.0 * np.asarray(burst) / np.asarray(mean)


def count_law(mean: ArrayLike, burst: ArrayLike) -> Any:
    """Return the law of stationary mRNA counts: negative binomial of shape m/b and Fano factor 1 + b.

    Source: Paulsson & Ehrenberg, Phys. Rev. Lett. 84 (2000); Raj et al., PLoS Biol. 4 (2006), for short bursts.
    """
    return nbinom(np.asarray(mean) / np.asarray(burst), 1.0 / (1.0 + np.asarray(burst)))


def captured_law(mean: ArrayLike, burst: ArrayLike, capture: ArrayLike) -> Any:
    """Return the law of counts of which each molecule is seen with chance `capture`: Fano factor 1 + capture * b.

    A thinned Poisson mixture is the mixture of thinned Poissons, so that capture scales mean and burst size alike.
    """
    return count_law(np.asarray(mean) * np.asarray(capture), np.asarray(burst) * np.asarray(capture))


def captured_moments(
    mean: ArrayLike, burst: ArrayLike, capture: ArrayLike, *, size_factor_sigma: float
) -> tuple[Array, Array]:
    """Return mean and variance of UMI counts where capture also varies between cells by a lognormal factor of mean 1.

    By total variance, with E s^2 = exp(sigma^2): p m, and p m + p^2 m b E s^2 + p^2 m^2 (E s^2 - 1).
    """
    seen = np.asarray(mean) * np.asarray(capture)
    square = np.exp(size_factor_sigma**2)
    return seen, seen + seen * np.asarray(capture) * np.asarray(burst) * square + seen**2 * (square - 1.0)


def two_stage_relaxation(time: ArrayLike, *, start: float, target: float, first: float, second: float) -> Array:
    """Return the second of two stages in a row, with these rates, after the input of the first has stepped.

    Protein after a step of transcription (delta, gamma), or mRNA after one that sets in gradually (1/constant, delta).
    With A = first, B = second: target + (start - target)(A e^(-B t) - B e^(-A t))/(A - B); (1 + A t) e^(-A t) if A = B.
    """
    time = np.maximum(np.asarray(time, dtype=np.float64), 0.0)
    if np.isclose(first, second, rtol=1e-6):
        left = (1.0 + first * time) * np.exp(-first * time)
    else:
        left = (first * np.exp(-second * time) - second * np.exp(-first * time)) / (first - second)
    return target + (start - target) * left


def protein_noise(*, mean: ArrayLike, burst: ArrayLike, decay: ArrayLike, protein_decay: ArrayLike) -> Array:
    """Return the variance of an unregulated regulator's level q: (b/m) gamma/(gamma + delta), time-averaged mRNA noise.

    The intensity has b/m in place of (1 + b)/m, since it drives translation without the noise of single molecules.
    Source: the term of mRNA noise of Paulsson, Nature 427 (2004), doi:10.1038/nature02257.
    """
    return np.asarray(burst) / np.asarray(mean) * np.asarray(protein_decay) / (protein_decay + np.asarray(decay))


def linear_covariance(model: CellModel) -> Array:
    """Return the stationary covariance (2R, 2R) of the regulators' mRNA over its mean and protein levels.

    Exact where regulation is linear and activity stays above 0: A C + C A' + D = 0 with A the Jacobian and D the mean
    diffusion, 2 delta b/m for mRNA, 0 for protein. Elsewhere the linear noise approximation.
    Source: van Kampen, Stochastic Processes in Physics and Chemistry, section VIII.6.
    """
    regulators, n = model.network.regulators, model.network.n_regulators
    diffusion = np.zeros(2 * n)
    diffusion[:n] = 2.0 * model.decay[regulators] * model.burst_size[regulators] / model.mean[regulators]
    return solve_continuous_lyapunov(model.jacobian(), -np.diag(diffusion))


def truncated_poisson(moi: float) -> tuple[NDArray[np.int64], Array]:
    """Return numbers of constructs 1, 2, ... and their chances in cells that have at least one.

    All numbers whose chance is above 1e-18 of the largest are there.
    """
    number = np.arange(1, max(20, int(moi + 12.0 * np.sqrt(moi) + 20)))
    return number, poisson.pmf(number, moi) / -np.expm1(-moi)


def null_alleles(efficacy: float) -> Array:
    """Return the chances of 0, 1, ..., all alleles being null where each is with chance `efficacy`: binomial."""
    return binom.pmf(np.arange(ALLELES + 1), ALLELES, efficacy)
