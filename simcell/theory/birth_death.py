"""One gene at constant production: laws of its intensity and of its mRNA counts, through time and stationary.

Molecules are made singly (burst 0), or in bursts of geometric size (from 0) and mean b at rate delta theta / b; each is
lost at rate delta. Counts are Poisson(y) with y the intensity that exponential bursts of mean b make: a Gamma
Ornstein-Uhlenbeck process. theta is the mean to which counts tend, z = 1 - w in generating functions E w^N.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import nbinom

from simcell.errors import SpecError
from simcell.theory.laws import CountLaw, invert_generating_function

Array = NDArray[np.float64]


def intensity_mean(time: ArrayLike, *, start: ArrayLike, target: ArrayLike, decay: ArrayLike) -> Array:
    """Return the mean of intensity and counts, molecules, `time` hours after a step of production: exponential.

    Source: Jahnke & Huisinga, J. Math. Biol. 54 (2007), doi:10.1007/s00285-006-0034-x.
    """
    left = np.exp(-np.asarray(decay) * np.asarray(time))
    return np.asarray(target) + (np.asarray(start) - np.asarray(target)) * left


def intensity_variance(
    time: ArrayLike, *, target: ArrayLike, burst: ArrayLike, decay: ArrayLike, start_variance: ArrayLike = 0.0
) -> Array:
    """Return the variance of the intensity (molecules squared); b times the target after a long time.

    It relaxes like a mean, but twice as fast, and where it started from does not matter. So with production that sets
    in gradually it is b times `two_stage_relaxation` with 2 delta in place of delta.

    Source: Campbell's theorem; Barndorff-Nielsen & Shephard, J. R. Stat. Soc. B 63 (2001), for the Gamma-OU process.
    """
    left = np.exp(-2.0 * np.asarray(decay) * np.asarray(time))
    return np.asarray(start_variance) * left + np.asarray(burst) * np.asarray(target) * (1.0 - left)


def intensity_autocorrelation(lag: ArrayLike, *, decay: ArrayLike) -> Array:
    """Return the autocorrelation of a stationary intensity, hours apart: exp(-delta lag), whatever the burst size.

    Source: Barndorff-Nielsen & Shephard (2001).
    """
    return np.exp(-np.asarray(decay) * np.abs(np.asarray(lag)))


def intensity_skewness(*, mean: ArrayLike, burst: ArrayLike) -> Array:
    """Return the skewness of a stationary intensity, which is Gamma(m/b, b) (molecules): 2 sqrt(b/m).

    Source: the law is Paulsson & Ehrenberg's (2000), its moments are those of any Gamma law.
    """
    return 2.0 * np.sqrt(np.asarray(burst) / np.asarray(mean))


def intensity_kurtosis(*, mean: ArrayLike, burst: ArrayLike) -> Array:
    """Return the kurtosis (3 for a normal) of a stationary intensity, which is Gamma(m/b, b) (molecules): 3 + 6 b/m.

    Source: as of `intensity_skewness`.
    """
    return 3.0 + 6.0 * np.asarray(burst) / np.asarray(mean)


def count_law(mean: ArrayLike, burst: ArrayLike) -> Any:
    """Return the law of stationary mRNA counts: negative binomial of shape m/b and Fano factor 1 + b.

    Source: Paulsson & Ehrenberg, Phys. Rev. Lett. 84 (2000); Raj et al., PLoS Biol. 4 (2006), for short bursts.
    """
    return nbinom(np.asarray(mean) / np.asarray(burst), 1.0 / (1.0 + np.asarray(burst)))


def count_autocorrelation(lag: ArrayLike, *, decay: ArrayLike, burst: ArrayLike, same_molecules: bool = True) -> Array:
    """Return the autocorrelation of stationary counts at two times of one cell.

    Args:
        lag: hours. decay: per hour. burst: molecules.
        same_molecules: whether the counts are of molecules that live on (exp(-delta lag)), or are drawn anew from the
            intensity at each time, which keeps only its share b/(1 + b) of the variance.

    Source: van Kampen, Stochastic Processes in Physics and Chemistry, section VII.6 (regression of linear processes).
    """
    share = 1.0 if same_molecules else np.asarray(burst) / (1.0 + np.asarray(burst))
    return np.where(np.asarray(lag) == 0.0, 1.0, share * intensity_autocorrelation(lag, decay=decay))


def count_variance(
    time: ArrayLike,
    *,
    start: ArrayLike,
    target: ArrayLike,
    burst: ArrayLike,
    decay: ArrayLike,
    start_variance: ArrayLike = 0.0,
) -> Array:
    """Return the variance of mRNA counts `time` hours after they had mean `start` and variance `start_variance`.

    Binomial survivors of the start and those of what has been made since:
    p^2 V_0 + p (1 - p) n_0 + theta (1 - p) + b theta (1 - p^2), with p = exp(-delta t).

    Source: Jahnke & Huisinga (2007), section 4, and Campbell's theorem for the bursts.
    """
    left = np.exp(-np.asarray(decay) * np.asarray(time))
    survivors = left**2 * np.asarray(start_variance) + left * (1.0 - left) * np.asarray(start)
    return survivors + np.asarray(target) * (1.0 - left + np.asarray(burst) * (1.0 - left**2))


def transient_count_law(
    time: float,
    *,
    target: float,
    burst: float,
    decay: float,
    start: int = 0,
    start_intensity: float = 0.0,
    start_mean: float = 0.0,
) -> CountLaw:
    """Return the exact law of mRNA counts `time` hours after production has been set to decay * target.

    The sum of what is left of the start, p = exp(-delta t) of each kind, and of the molecules made since, whose
    generating function is ((1 + b p z)/(1 + b z))^(theta/b), or exp(-theta (1 - p) z) without bursts.

    Args:
        time: hours, >= 0; infinity is the stationary law.
        target: molecules, theta. burst: mean molecules of a burst, 0 for molecules made singly. decay: per hour.
        start: molecules at time 0 (survivors: binomial).
        start_intensity: intensity at time 0 (survivors: Poisson).
        start_mean: mean of the stationary law, with the same bursts, that counts had at time 0, as before a guide acts.

    Raises:
        SpecError: for a time, start, burst or target below 0.

    Source: Jahnke & Huisinga (2007) for single molecules; Gorin & Pachter, Biophys. J. 121 (2022),
    doi:10.1016/j.bpj.2022.02.004, for bursts.
    """
    for name, value in (("time", time), ("target", target), ("burst", burst), ("start", start)):
        if not value >= 0.0:
            raise SpecError(name, value, ">= 0")
    left = float(np.exp(-decay * time))
    mean = left * (start + start_intensity + start_mean) + target * (1.0 - left)
    variance = mean + burst * (target * (1.0 - left**2) + start_mean * left**2)

    def function(w: NDArray[np.complex128]) -> NDArray:
        z = 1.0 - w
        logarithm = -start_intensity * left * z
        if burst > 0.0:
            begun, ended = np.log1p(burst * left * z), np.log1p(burst * z)
            logarithm = logarithm + (target * (begun - ended) - start_mean * begun) / burst
        else:
            logarithm = logarithm - (target * (1.0 - left) + start_mean * left) * z
        return np.exp(logarithm) * (1.0 - left * z) ** start

    return invert_generating_function(function, scale=mean + 12.0 * np.sqrt(variance) + 20.0 * burst)
