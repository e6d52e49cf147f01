"""The exact master equation of one- and two-gene circuits, by finite state projection.

In: a `StateSpace`. Out: laws at later times, the stationary law, mean times of first passage between regions, each
with what the truncation of the states can have done to it. A few thousand states take a second, 10^5 a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, diags_array
from scipy.sparse.linalg import LinearOperator, bicgstab, spilu, splu
from scipy.stats import poisson

from simcell.errors import SimcellError, SpecError
from simcell.theory.laws import CountLaw
from simcell.theory.state_space import StateSpace

Array = NDArray[np.float64]
# Sparse elimination fills up with the third power of the extent; from here on its incomplete form guides BiCGSTAB.
MOST_ELIMINATED = 12_000
INCOMPLETE = ((3e-3, 10.0), (1e-4, 30.0))  # what it drops, and how far it may fill up; the second if the first fails
RESIDUAL = 1e-10
# The stationary law is found by inverse iteration with this shift, relative to the largest rate.
SHIFT = 1e-7
MOST_ITERATIONS = 60


@dataclass(frozen=True, eq=False)
class Stationary:
    """A stationary law and what the truncation may have done to it.

    Attributes:
        chance: (N,) of each state, of sum 1. leak: chance per hour of leaving the states that are held.
        relaxation: hours, of the slowest mode.
    """

    chance: Array
    leak: float
    relaxation: float

    @property
    def truncation(self) -> float:
        """About the largest summed absolute error of `chance`: 5 leak * relaxation.

        To first order the error is the leak times the time for which a cell that has left differs from one that has
        stayed; in circuits that were tried, up to 4 relaxation times, often much less. Hold more states to be certain.
        """
        return 5.0 * self.leak * self.relaxation


@dataclass(frozen=True, eq=False)
class FirstPassage:
    """Mean first-passage times to a region, from each of N states.

    Attributes:
        hours: (N,) until the region is reached or the states that are held are left: a lower bound of the true mean.
        leaving: (N,) chance that they are left first; where it is small, the bound is the answer.
    """

    hours: Array
    leaving: Array

    def of(self, chance: Array) -> float:
        """Return the mean hours from a start with these chances (N,), such as a law within another region."""
        return float(self.hours @ chance / np.sum(chance))


def transient(space: StateSpace, start: Array, times: Sequence[float]) -> tuple[Array, Array]:
    """Return laws (T, N) at times (hours, ascending) after the law `start` (N,), and the truncation error (T,) of each.

    Each chance is at most the true one, and all of them together fall short by the error, which is exact: it bounds
    the summed absolute error. By uniformisation: a Poisson mixture of powers of a stochastic matrix.

    Raises:
        SpecError: for times that do not ascend from 0.

    Source: Munsky & Khammash, J. Chem. Phys. 124 (2006), doi:10.1063/1.2145882; Grassmann, Comput. Oper. Res. 4
    (1977), doi:10.1016/0305-0548(77)90007-7.
    """
    previous, laws = 0.0, []
    law = np.asarray(start, dtype=np.float64)
    if law.shape != (space.n_states,):
        raise SpecError("start", f"of shape {law.shape}", f"a chance for each of {space.n_states} states")
    fastest = float(space.exit.max())
    step = csr_array(space.rate.T) / fastest
    stay = 1.0 - space.exit / fastest
    for time in times:
        if time < previous:
            raise SpecError("times", list(times), "ascending from 0")
        remaining = fastest * (time - previous)
        while remaining > 0.0:
            events = min(remaining, 1000.0)
            law = _uniformised(step, stay, law, events)
            remaining -= events
        previous = time
        laws.append(law)
    found = np.stack(laws)
    return found, 1.0 - found.sum(axis=1)


def _uniformised(step: csr_array, stay: Array, law: Array, events: float) -> Array:
    """Return the law after a Poisson number of steps of the given mean."""
    weight = poisson.pmf(np.arange(int(poisson.isf(1e-15, events)) + 2), events)
    out = np.zeros_like(law)
    for chance in weight:
        out += chance * law
        law = step @ law + stay * law
    return out


def stationary(space: StateSpace) -> Stationary:
    """Return the stationary law, all transitions to states that are not held being left out.

    Source: Gupta, Mikelson & Khammash, J. Chem. Phys. 147 (2017), doi:10.1063/1.5006484, for truncation in the
    stationary case; Schweitzer, J. Appl. Probab. 5 (1968), for the first-order bound.
    """
    inside = space.exit - space.leak
    shift = SHIFT * float(inside.max())
    flow = csc_array(space.rate.T - diags_array(inside))  # d law/dt = flow @ law
    solve = _solver(csc_array(diags_array(np.full(space.n_states, shift)) - flow))
    law = np.full(space.n_states, 1.0 / space.n_states)
    for _ in range(6):
        law = solve(law, law / shift)
        law = np.abs(law) / np.abs(law).sum()
        if np.abs(flow @ law).sum() < 1e-12 * float(inside.max()):
            break
    # The slowest mode: inverse iteration among vectors of sum 0 tends to it, or to a pair of them whose vectors obey
    # v'' = a v' + b v, so that real, equal and complex rates are all found.
    mode = law * (np.arange(law.size) - law @ np.arange(law.size))
    before, rate = np.zeros_like(mode), 0.0
    for _ in range(MOST_ITERATIONS):
        mode /= np.linalg.norm(mode)
        after = solve(mode, None)
        after -= law * after.sum()
        previous, rate = rate, _slowest(before, mode, after) - shift
        if abs(rate - previous) < 1e-4 * abs(rate):
            break
        before, mode = mode / np.linalg.norm(after), after
    return Stationary(chance=law, leak=float(law @ space.leak), relaxation=1.0 / rate)


def _slowest(before: Array, mode: Array, after: Array) -> float:
    """Return the least real rate in a sequence of inverse iterates, each of which is about scale / rate the last."""
    if not before.any():
        return 1.0 / float(np.linalg.norm(after))
    pair = np.linalg.lstsq(np.stack([mode, before], axis=1), after, rcond=None)[0]
    return float((1.0 / np.roots([1.0, *(-pair)])).real.min())


def first_passage(space: StateSpace, region: NDArray[np.bool_]) -> FirstPassage:
    """Return the mean hours from every state to a region (N,), and the chance of leaving the held states before.

    Solves sum_j rate_ij t_j - exit_i t_i = -1 outside of the region; all states must be able to reach it or to leave.

    Raises:
        SpecError: for a region without a state, or of all of them.

    Source: van Kampen, Stochastic Processes in Physics and Chemistry, chapter XII.
    """
    outside = np.flatnonzero(~np.asarray(region, bool))
    if not 0 < outside.size < space.n_states:
        raise SpecError("region", f"{space.n_states - outside.size} states", "some but not all")
    matrix = csc_array(diags_array(space.exit[outside]) - space.rate[outside][:, outside])
    solve = _solver(matrix)
    hours, leaving = np.zeros(space.n_states), np.zeros(space.n_states)
    hours[outside] = solve(np.ones(outside.size), None)
    leak = space.leak[outside]
    leaving[outside] = solve(leak, None) if leak.any() else 0.0
    return FirstPassage(hours, leaving)


def count_marginal(space: StateSpace, chance: Array, kind: str, gene: int = 0) -> CountLaw:
    """Return the law of one amount, `kind` of a gene, from the chances (N,) of all states."""
    axis = space.counts.axis(kind, gene)
    law = np.zeros(space.shape[axis])
    np.add.at(law, space.counts.value[axis], chance)
    return CountLaw(law)


def count_moments(space: StateSpace, chance: Array) -> tuple[Array, Array]:
    """Return mean (D,) and covariance (D, D) of all amounts, in the order of `space.counts`."""
    value = space.counts.value
    mean = value @ chance
    centred = value - mean[:, None]
    return mean, (centred * chance) @ centred.T


def _solver(matrix: csc_array) -> Callable[[Array, Array | None], Array]:
    """Return a function that solves matrix @ x = right, from a guess or none, to a residual of `RESIDUAL`."""
    if matrix.shape[0] <= MOST_ELIMINATED:
        exact = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        return lambda right, guess: exact.solve(right)
    guides: list[LinearOperator] = []

    def solve(right: Array, guess: Array | None) -> Array:
        for number, (drop, fill) in enumerate(INCOMPLETE):
            if number == len(guides):
                near = spilu(matrix, drop_tol=drop, fill_factor=fill, permc_spec="MMD_AT_PLUS_A")
                guides.append(LinearOperator(matrix.shape, near.solve))
            found, _ = bicgstab(matrix, right, x0=guess, M=guides[number], rtol=RESIDUAL, maxiter=300)
            residual = np.abs(matrix @ found - right).sum() / np.abs(right).sum()
            if residual < 1e3 * RESIDUAL:
                return found
        raise SimcellError(f"the master equation of {right.size} states did not solve: residual {residual:.1e}")

    return solve
