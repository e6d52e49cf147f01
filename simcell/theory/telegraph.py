"""One gene with a promoter that is on or off: the law of its stationary mRNA counts, their moments and autocorrelation.

The promoter's state is drawn anew at rate k, on with chance P: it goes on at k P and off at k (1 - P). While it is on,
one molecule is made at a time, at rate v. Each is lost at rate delta. The intensity is v/delta times a Beta variable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.stats import poisson

from simcell.errors import SpecError
from simcell.theory.laws import CountLaw

Array = NDArray[np.float64]
LARGEST_CEILING = 1e5  # molecules while always on, of a law that is worked out count by count


def telegraph_moments(
    *, activity: ArrayLike, switching_rate: ArrayLike, production: ArrayLike, decay: ArrayLike
) -> tuple[Array, Array]:
    """Return mean and variance of stationary counts: m = P v/delta, and m + (v/delta)^2 P (1 - P) delta/(k + delta).

    Args:
        activity: P, chance to be on. switching_rate: k, per hour. production: v, molecules per hour while on.
        decay: delta, per hour.

    Source: Peccoud & Ycart, Theor. Popul. Biol. 48 (1995), doi:10.1006/tpbi.1995.1027.
    """
    activity, switching, decay = (np.asarray(x) for x in (activity, switching_rate, decay))
    ceiling = np.asarray(production) / decay
    mean = activity * ceiling
    return mean, mean + ceiling**2 * activity * (1.0 - activity) * decay / (switching + decay)


def telegraph_autocovariance(
    lag: ArrayLike, *, activity: ArrayLike, switching_rate: ArrayLike, production: ArrayLike, decay: ArrayLike
) -> Array:
    """Return the autocovariance (molecules squared) of stationary counts, hours apart; the variance at lag 0.

    m e^(-delta t) of molecules that live on, and (v^2 P (1 - P)/(delta (k + delta)))
    (k e^(-delta t) - delta e^(-k t))/(k - delta) of the promoter. Arguments as in `telegraph_moments`.

    Source: regression of the linear moment equations, as in Paulsson, Phys. Life Rev. 2 (2005),
    doi:10.1016/j.plrev.2005.03.003.
    """
    lag = np.abs(np.asarray(lag, dtype=np.float64))
    mean, variance = telegraph_moments(
        activity=activity, switching_rate=switching_rate, production=production, decay=decay
    )
    decay, switching = np.asarray(decay, dtype=np.float64), np.asarray(switching_rate, dtype=np.float64)
    # e^(-delta t) + delta (e^(-delta t) - e^(-k t))/(k - delta), where k may be delta
    gap = switching - decay
    close = np.abs(gap) < 1e-6 * decay
    ratio = np.where(close, lag, -np.expm1(-gap * lag) / np.where(close, 1.0, gap))
    return np.exp(-decay * lag) * (mean + (variance - mean) * (1.0 + decay * ratio))


def telegraph_law(*, activity: float, switching_rate: float, production: float, decay: float) -> CountLaw:
    """Return the law of stationary counts: Poisson(v/delta X) with X from Beta(k P/delta, k (1 - P)/delta).

    The mixture is a sum of positive terms, by Gauss-Jacobi quadrature, and so has none of the cancellation of the
    hypergeometric form. Chances are right to about 1e-13. Arguments as in `telegraph_moments`, single numbers.

    Raises:
        SpecError: for an activity outside of (0, 1), a rate that is not > 0, more than 1e5 molecules while always on.

    Source: Peccoud & Ycart (1995); as a mixture, Gardiner, Stochastic Methods, section 7.7 (Poisson representation).
    """
    if not 0.0 < activity < 1.0:
        raise SpecError("activity", activity, "between 0 and 1")
    for name, rate in (("switching_rate", switching_rate), ("production", production), ("decay", decay)):
        if not rate > 0.0:
            raise SpecError(name, rate, "> 0")
    if production > LARGEST_CEILING * decay:
        raise SpecError(
            "production", production, f"at most {LARGEST_CEILING:g} times decay, {LARGEST_CEILING * decay:g}"
        )
    ceiling, switching = production / decay, switching_rate / decay
    # Poisson(ceiling x) changes with x over 1/sqrt(ceiling); nodes lie closest where the law can be steep
    level, weight = beta_quadrature(switching * activity, switching * (1.0 - activity), 64 + int(8.0 * ceiling**0.5))
    count = np.arange(int(poisson.isf(1e-16, ceiling)) + 2)
    law = np.zeros(count.size)
    for begin in range(0, level.size, 64):  # a bounded piece of memory
        some = slice(begin, begin + 64)
        law += poisson.pmf(count[:, None], ceiling * level[some]) @ weight[some]
    return CountLaw(law)


def beta_quadrature(first: float, second: float, n_nodes: int) -> tuple[Array, Array]:
    """Return nodes in (0, 1) and weights (n_nodes,), of sum 1, that average over a Beta(first, second) variable.

    Source: Golub & Welsch, Math. Comput. 23 (1969), from the three-term recurrence of the Jacobi polynomials.
    """
    a, b = second - 1.0, first - 1.0
    n = np.arange(n_nodes, dtype=np.float64)
    total = 2.0 * n + a + b
    diagonal = np.empty(n_nodes)
    diagonal[0] = (b - a) / (a + b + 2.0)
    diagonal[1:] = (b * b - a * a) / (total[1:] * (total[1:] + 2.0))
    square = np.empty(n_nodes - 1)
    square[0] = 4.0 * (1.0 + a) * (1.0 + b) / ((2.0 + a + b) ** 2 * (3.0 + a + b))
    m, t = n[2:], total[2:]
    square[1:] = 4.0 * m * (m + a) * (m + b) * (m + a + b) / (t**2 * (t + 1.0) * (t - 1.0))
    node, vector = eigh_tridiagonal(diagonal, np.sqrt(square))
    return np.clip(0.5 * (1.0 + node), 0.0, 1.0), vector[0] ** 2
