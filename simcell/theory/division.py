"""Cells that divide: moments and laws of a lineage at each age, for a gene that nothing regulates; exact.

Every `interval` hours each molecule stays with chance 1/2; between divisions production is constant and loss is
degradation alone. A cell is at a uniform phase of its cycle: this is one lineage followed through time, in which all
ages are alike; a growing population would have more of the young.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm
from scipy.special import roots_legendre

from simcell.cell import CellModel
from simcell.errors import SpecError
from simcell.theory.laws import CountLaw, invert_generating_function
from simcell.theory.mean_field import LEAST_LEVEL, mean_field

Array = NDArray[np.float64]
# Phases at which a cycle is averaged; amounts are smooth between divisions, so that this is exact to rounding.
N_PHASES = 48


def divided_mean(age: ArrayLike, *, production: ArrayLike, degradation: ArrayLike, interval: ArrayLike) -> Array:
    """Return the mean number of mRNA molecules at an age.

    m(a) = m_inf + (m(0) - m_inf) e^(-d a), m_inf = production/d, and m(0) = m(T)/2 makes
    m(0) = m_inf (1 - e^(-d T))/(2 - e^(-d T)).

    Args:
        age: hours since division, 0 to `interval`. production: molecules per hour. degradation: d, per hour.
        interval: T, hours.

    Source: Huh & Paulsson, Nat. Genet. 43 (2011), doi:10.1038/ng.729, for the halving; the rest is written out above.
    """
    ended = np.asarray(production) / np.asarray(degradation)
    whole = -np.expm1(-np.asarray(degradation) * np.asarray(interval))
    begun = ended * whole / (1.0 + whole)
    return ended + (begun - ended) * np.exp(-np.asarray(degradation) * np.asarray(age))


def divided_variance(
    age: ArrayLike, *, production: ArrayLike, degradation: ArrayLike, interval: ArrayLike, burst: ArrayLike = 0.0
) -> Array:
    """Return the variance of the number of mRNA molecules at an age.

    m(a) + v(a), with v of the intensity: v' = 2 b production - 2 d v and v(0) = v(T)/4, since half of a Poisson number
    of intensity y is Poisson of y/2. Arguments as in `divided_mean`; burst: mean molecules, 0 where made singly.

    Source: Campbell's theorem within a cycle, Huh & Paulsson (2011) between cycles.
    """
    ended = np.asarray(burst) * np.asarray(production) / np.asarray(degradation)
    rate = 2.0 * np.asarray(degradation)
    whole = -np.expm1(-rate * np.asarray(interval))
    begun = ended * whole / (3.0 + whole)
    mean = divided_mean(age, production=production, degradation=degradation, interval=interval)
    return mean + ended + (begun - ended) * np.exp(-rate * np.asarray(age))


def divided_moments(
    *, production: float, degradation: float, interval: float, burst: float = 0.0
) -> tuple[float, float]:
    """Return mean and variance of the number of mRNA molecules of a cell at a uniform phase, by total variance.

    Arguments as in `divided_variance`.
    """
    settings = {"production": production, "degradation": degradation, "interval": interval}
    phase, weight = _phases()
    mean = divided_mean(phase * interval, **settings)
    variance = divided_variance(phase * interval, burst=burst, **settings)
    average = float(weight @ mean)
    return average, float(weight @ (variance + (mean - average) ** 2))


def divided_count_law(
    *, production: float, degradation: float, interval: float, burst: float = 0.0, age: float | None = None
) -> CountLaw:
    """Return the law of the number of mRNA molecules, at an age (hours) or, by default, at a uniform phase.

    Without bursts it is Poisson at each age. With bursts, what each earlier cycle has left is a ratio of negative
    binomial generating functions, with z halved at every division between. Arguments as in `divided_variance`.

    Source: Jahnke & Huisinga, J. Math. Biol. 54 (2007), doi:10.1007/s00285-006-0034-x, applied cycle by cycle.
    """
    settings = {"production": production, "degradation": degradation, "interval": interval}
    phase, weight = _phases() if age is None else (np.array([age / interval]), np.ones(1))

    def at(hours: float, z: NDArray) -> NDArray:
        if burst == 0.0:
            return np.exp(-divided_mean(hours, **settings) * z)
        logarithm = np.zeros(z.size, complex)
        left, passed = 1.0, hours  # share of molecules left since the end of a cycle, and hours of that cycle
        while left > 1e-18:
            survived = np.exp(-degradation * passed)
            logarithm += np.log1p(burst * left * survived * z) - np.log1p(burst * left * z)
            left, passed = 0.5 * left * survived, interval
        return np.exp(production / (degradation * burst) * logarithm)

    def function(w: NDArray[np.complex128]) -> NDArray:
        return sum(share * at(hours, 1.0 - w) for hours, share in zip(phase * interval, weight, strict=True))

    mean, variance = divided_moments(burst=burst, **settings)
    return invert_generating_function(function, scale=2.0 * mean + 12.0 * np.sqrt(variance) + 20.0 * burst)


@dataclass(frozen=True, eq=False)
class Lineage:
    """Moments of all amounts of one gene in a cell that divides; make it with `lineage`. n amounts, molecules.

    Attributes:
        kind: (n,) `promoter`, `unspliced`, `mrna`, `protein`, those that the gene has.
        age: (A,) hours since division. mean: (A, n) and covariance: (A, n, n) at each age.
        phase_mean: (n,) and phase_covariance: (n, n) at a uniform phase.
    """

    kind: NDArray[np.str_]
    age: Array
    mean: Array
    covariance: Array
    phase_mean: Array
    phase_covariance: Array


def lineage(model: CellModel, gene: int, *, ages: ArrayLike = (0.0,), transcription: float = 1.0) -> Lineage:
    """Return the moments through the cycle of a gene that nothing regulates, with every layer of the model; exact.

    Means and covariances obey x' = A x + c, Sigma' = A Sigma + Sigma A' + D(x), linear in both; at a division each
    molecule stays with chance 1/2 (x/2; Sigma/4 + x/4 on the diagonal) and a promoter keeps its state. The periodic
    solution is found by matrix exponentials.

    Args:
        gene: index. ages: (A,) hours since division, from 0 to the doubling time. transcription: factor, of a guide.

    Raises:
        SpecError: for a model whose cells do not divide, and for a gene that a regulator acts upon.

    Source: Lestas, Paulsson, Ross & Vinnicombe, IEEE Trans. Autom. Control 53 (2008), for the moment equations; Huh &
    Paulsson, Nat. Genet. 43 (2011), doi:10.1038/ng.729, for binomial division.
    """
    if not model.division:
        raise SpecError("cell.division", False, "True, as it must be here")
    field = mean_field(model, transcription=transcription)
    if np.abs(field.gain(np.ones(model.network.n_regulators))[gene]).max() > LEAST_LEVEL:
        raise SpecError("gene", model.network.genes[gene], "one that no regulator acts upon")
    own = np.flatnonzero(field.gene == gene)
    kind = field.kind[own]
    n = own.size

    # rates are linear in x: drift and noise are read off at 0 and at unit vectors
    def drift(x: Array) -> Array:
        return field.drift(_placed(x, own, field.n_variables))[own]

    def noise(x: Array) -> Array:
        return np.sum(field.diffusion(_placed(x, own, field.n_variables)), axis=0)[np.ix_(own, own)]

    constant, floor = drift(np.zeros(n)), noise(np.zeros(n))
    rates = np.stack([drift(unit) - constant for unit in np.eye(n)], axis=1)
    by_amount = np.stack([noise(unit) - floor for unit in np.eye(n)], axis=-1)
    identity = np.eye(n)
    size = n + n * n
    generator = np.zeros((size + 1, size + 1))  # of (x, Sigma row by row, 1)
    generator[:n, :n], generator[:n, -1] = rates, constant
    generator[n:-1, :n] = by_amount.reshape(n * n, n)
    generator[n:-1, n:-1] = np.kron(rates, identity) + np.kron(identity, rates)
    generator[n:-1, -1] = floor.ravel()
    molecules = kind != "promoter"
    share = np.where(molecules, 0.5, 1.0)
    divide = np.zeros((size, size))
    divide[:n, :n] = np.diag(share)
    divide[n:, n:] = np.diag(np.outer(share, share).ravel())
    divide[n + np.arange(n) * (n + 1), np.arange(n)] = np.where(molecules, 0.25, 0.0)
    cycle = expm(generator * model.doubling_time)
    begun = np.linalg.solve(np.eye(size) - divide @ cycle[:-1, :-1], divide @ cycle[:-1, -1])

    def moments(hours: float) -> tuple[Array, Array]:
        now = (expm(generator * hours) @ np.append(begun, 1.0))[:-1]
        return now[:n], now[n:].reshape(n, n)

    age = np.atleast_1d(np.asarray(ages, dtype=np.float64))
    mean, covariance = (np.stack(part) for part in zip(*map(moments, age), strict=True))
    phase, weight = _phases()
    means, covariances = (np.stack(part) for part in zip(*map(moments, phase * model.doubling_time), strict=True))
    average = weight @ means
    spread = np.einsum("a,ai,aj->ij", weight, means - average, means - average)
    within = np.einsum("a,aij->ij", weight, covariances)
    return Lineage(kind, age, mean, covariance, average, spread + within)


def _phases() -> tuple[Array, Array]:
    """Return phases in (0, 1) and weights of sum 1."""
    node, weight = roots_legendre(N_PHASES)
    return 0.5 * (1.0 + node), 0.5 * weight


def _placed(values: Array, where: NDArray[np.intp], size: int) -> Array:
    out = np.zeros(size)
    out[where] = values
    return out
