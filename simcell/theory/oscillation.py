"""Circuits that oscillate: period and amplitude of the limit cycle of the rate equations, and the Hopf estimate.

In: a `CellModel` whose fixed point is unstable, such as a repressilator. Out: hours and molecules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from simcell.cell import CellModel
from simcell.errors import SimcellError
from simcell.theory.mean_field import MeanField, mean_field

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LimitCycle:
    """A limit cycle of the rate equations; n amounts in the order of `field.kind`.

    Attributes:
        period: hours. field: the rate equations.
        start: (n,) amounts where the section is crossed: the first regulator's protein rises through its fixed point.
        low, high: (n,) least and largest amounts along the cycle, molecules.
    """

    period: float
    field: MeanField
    start: Array
    low: Array
    high: Array

    def at(self, hours: ArrayLike) -> Array:
        """Return amounts (T, n) so many hours after the section is crossed."""
        times = np.mod(np.atleast_1d(np.asarray(hours, dtype=np.float64)), self.period)
        return _integrate(self.field, self.start, self.period, dense_output=True).sol(times).T


def limit_cycle(
    model: CellModel, *, tolerance: float = 1e-8, most_cycles: int = 300, **conditions: ArrayLike
) -> LimitCycle:
    """Return the limit cycle that is reached from beside the unstable fixed point.

    The rate equations are integrated (LSODA) from crossing to crossing of the section until both the
    period and the place of crossing repeat to `tolerance`.

    Args:
        tolerance: relative. most_cycles: after which it gives up.
        conditions: transcription, translation, medium, as in `mean_field`.

    Raises:
        SimcellError: if the fixed point is stable, or nothing repeats.

    Source: Elowitz & Leibler, Nature 403 (2000), doi:10.1038/35002125, for the circuit.
    """
    field = mean_field(model, **conditions)  # type: ignore[arg-type]
    centre = field.fixed_point()
    if np.linalg.eigvals(field.jacobian(centre)).real.max() <= 0.0:
        raise SimcellError("cell: its fixed point is stable, so that it does not oscillate")
    watched = field.at("protein").start
    slowest = min(model.decay.min(), model.protein_decay.min())

    def rising(time: float, x: Array) -> float:
        return float(x[watched] - centre[watched])

    rising.direction = 1.0  # type: ignore[attr-defined]
    rising.terminal = True  # type: ignore[attr-defined]
    # away from the symmetric state, where all genes would stay alike for ever
    x = centre * (1.0 + 0.5 * np.cos(np.arange(centre.size)))
    x[field.at("promoter")] = np.clip(x[field.at("promoter")], 0.0, 1.0)
    period = math.inf
    for _ in range(most_cycles):
        # a crossing is no event at its own beginning: the first stretch leaves it behind
        left = _integrate(field, x, 0.02 / slowest)
        path = _integrate(field, left.y[:, -1], 400.0 / slowest, events=rising)
        if not path.t_events[0].size:
            raise SimcellError("cell: its first regulator does not come back to its fixed point")
        crossed, elapsed = path.y_events[0][0], 0.02 / slowest + float(path.t_events[0][0])
        repeats = abs(elapsed - period) < tolerance * elapsed and np.allclose(crossed, x, rtol=10.0 * tolerance)
        x, period = crossed, elapsed
        if repeats:
            whole = _integrate(field, x, period, t_eval=np.linspace(0.0, period, 2001))
            return LimitCycle(period, field, x, whole.y.min(axis=1), whole.y.max(axis=1))
    raise SimcellError(f"cell: no limit cycle was reached in {most_cycles} rounds")


def hopf_period(model: CellModel, **conditions: ArrayLike) -> float:
    """Return 2 pi over the frequency of the fixed point's fastest growing oscillation, hours; infinite if none grows.

    The period of a cycle just born; a strongly nonlinear one is longer.

    Source: Strogatz, Nonlinear Dynamics and Chaos, section 8.2.
    """
    field = mean_field(model, **conditions)  # type: ignore[arg-type]
    values = np.linalg.eigvals(field.jacobian(field.fixed_point()))
    turning = values[(np.abs(values.imag) > 1e-9 * np.abs(values).max()) & (values.real > 0.0)]
    if not turning.size:
        return math.inf
    return float(2.0 * np.pi / abs(turning[np.argmax(turning.real)].imag))


def _integrate(field: MeanField, x: Array, hours: float, **options: Any) -> Any:
    # a method that changes to a stiff one: promoters may switch a thousand times in the life of a protein
    return solve_ivp(
        lambda time, y: field.drift(y),
        (0.0, hours),
        x,
        method="LSODA",
        jac=lambda time, y: field.jacobian(y),
        rtol=1e-11,
        atol=1e-11 * x.max(),
        **options,
    )
