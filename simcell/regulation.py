"""The regulation functions, in numpy: how each is calibrated, its activity and its derivative.

The readable twin of `kernels/regulation.py` (a test holds the two together), used where speed does not matter:
calibration, Jacobian, effects. In: arrays by gene, edge and input; out: arrays by gene or edge.

Notation: q is an input's level (protein over its wild-type mean, or a signal's value); x = (amount / half-response
amount)^hill = affinity q^hill; edges are sorted by target and `pointer` (G+1,) says where each gene's edges begin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from simcell.kernels.regulation import ACTIVITY_CODES

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Edges:
    """Everything about the edges that activity depends on; E edges sorted by target, levels of I inputs."""

    pointer: NDArray[np.int32]  # (G+1,)
    source: NDArray[np.int32]  # (E,) input
    target: NDArray[np.int32]  # (E,) gene
    affinity: Array  # (E,) x at level 1
    hill: Array  # (I,)

    def level(self, levels: Array) -> Array:
        """Return q (E,) of the levels (I,)."""
        return levels[self.source]

    def occupancy(self, levels: Array) -> Array:
        """Return x (E,) of the levels (I,)."""
        return self.affinity * levels[self.source] ** self.hill[self.source]

    def product(self, values: Array) -> Array:
        """Return the product (G,) of values (E,) over each gene's edges, 1 where it has none."""
        return self._reduce(np.multiply, values, 1.0)

    def sum(self, values: Array) -> Array:
        """Return the sum (G,) of values (E,) over each gene's edges, 0 where it has none."""
        return self._reduce(np.add, values, 0.0)

    def _reduce(self, operation: np.ufunc, values: Array, empty: float) -> Array:
        out = np.full(self.pointer.size - 1, empty)
        regulated = self.pointer[1:] > self.pointer[:-1]
        if regulated.any():
            out[regulated] = operation.reduceat(values, self.pointer[:-1][regulated])
        return out


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Parameters under which the wild type is a fixed point: activity and basal by gene, strength by edge."""

    activity: Array
    basal: Array
    strength: Array


@dataclass(frozen=True, eq=False)
class Compiled:
    """The parameters as the compiled function takes them: offset and strength by edge, basal by gene."""

    offset: Array
    strength: Array
    basal: Array


def _as_it_is(basal: Array, strength: Array, edges: Edges, levels: Array) -> Compiled:
    return Compiled(np.zeros_like(strength), strength, basal)


@dataclass(frozen=True)
class Regulation:
    """One regulation function.

    Attributes:
        formula: activity of a gene as a function of its inputs.
        fold: what the strength of an edge, given as a fold >= 1, means.
        calibrate: (wanted activity (G,), sign (E,), fold (E,), edges, wild-type levels (I,)) -> Calibrated.
        activity: (basal (G,), strength (E,), edges, levels (I,)) -> activity (G,).
        slope: likewise -> derivative (E,) of the target's activity by the logarithm of the edge's input.
        bounds: (basal (G,), strength (E,), edges) -> least and most activity (G,) at any levels >= 0; maybe infinite.
        compiled: likewise, at the wild-type levels -> parameters of the compiled function.
    """

    name: str
    formula: str
    fold: str
    source: str
    calibrate: Callable[[Array, Array, Array, Edges, Array], Calibrated]
    activity: Callable[[Array, Array, Edges, Array], Array]
    slope: Callable[[Array, Array, Edges, Array], Array]
    bounds: Callable[[Array, Array, Edges], tuple[Array, Array]]
    compiled: Callable[[Array, Array, Edges, Array], Compiled] = _as_it_is

    @property
    def code(self) -> int:
        """The number by which kernels know it."""
        return ACTIVITY_CODES[self.name]


def _thermodynamic_odds(strength: Array, edges: Edges, levels: Array) -> Array:
    x = edges.occupancy(levels)
    return edges.product((1.0 + strength * x) / (1.0 + x))


def _thermodynamic_calibrate(wanted: Array, sign: Array, fold: Array, edges: Edges, levels: Array) -> Calibrated:
    strength = np.where(sign > 0, fold, 1.0 / fold)
    basal = wanted / (1.0 - wanted) / _thermodynamic_odds(strength, edges, levels)
    return Calibrated(wanted, basal, strength)


def _thermodynamic_activity(basal: Array, strength: Array, edges: Edges, levels: Array) -> Array:
    odds = basal * _thermodynamic_odds(strength, edges, levels)
    return odds / (1.0 + odds)


def _thermodynamic_slope(basal: Array, strength: Array, edges: Edges, levels: Array) -> Array:
    x = edges.occupancy(levels)
    active = _thermodynamic_activity(basal, strength, edges, levels)[edges.target]
    by_odds = strength * x / (1.0 + strength * x) - x / (1.0 + x)
    return active * (1.0 - active) * edges.hill[edges.source] * by_odds


def _thermodynamic_bounds(basal: Array, strength: Array, edges: Edges) -> tuple[Array, Array]:
    # each factor of the odds lies between 1, without the regulator, and its strength, at saturation
    odds = [basal * edges.product(pick(strength, 1.0)) for pick in (np.minimum, np.maximum)]
    return odds[0] / (1.0 + odds[0]), odds[1] / (1.0 + odds[1])


def _thermodynamic_compiled(basal: Array, strength: Array, edges: Edges, levels: Array) -> Compiled:
    # each factor over its own wild-type value: products of many regulators then stay near 1, also in float32
    x = edges.occupancy(levels)
    wild_type = (1.0 + strength * x) / (1.0 + x)
    odds = basal * edges.product(wild_type)
    return Compiled(1.0 / wild_type, strength / wild_type, odds)


def _hill_sum_calibrate(wanted: Array, sign: Array, fold: Array, edges: Edges, levels: Array) -> Calibrated:
    # basal 1 and weights fold - 1, then all divided by their sum so that activity cannot exceed 1
    full = 1.0 + edges.sum(fold - 1.0)
    basal, strength = 1.0 / full, sign * (fold - 1.0) / full[edges.target]
    return Calibrated(_hill_sum_activity(basal, strength, edges, levels), basal, strength)


def _hill_sum_activity(basal: Array, strength: Array, edges: Edges, levels: Array) -> Array:
    x = edges.occupancy(levels)
    return basal + edges.sum(np.where(strength > 0, strength * (x / (1.0 + x)), -strength / (1.0 + x)))


def _hill_sum_slope(basal: Array, strength: Array, edges: Edges, levels: Array) -> Array:
    x = edges.occupancy(levels)
    return strength * edges.hill[edges.source] * x / (1.0 + x) ** 2


def _hill_sum_bounds(basal: Array, strength: Array, edges: Edges) -> tuple[Array, Array]:
    return basal, basal + edges.sum(np.abs(strength))


def _logistic_calibrate(wanted: Array, sign: Array, fold: Array, edges: Edges, levels: Array) -> Calibrated:
    strength = sign * np.log(fold)
    basal = np.log(wanted / (1.0 - wanted)) - edges.sum(strength * edges.level(levels))
    return Calibrated(wanted, basal, strength)


def _logistic_activity(basal: Array, strength: Array, edges: Edges, levels: Array) -> Array:
    return expit(basal + edges.sum(strength * edges.level(levels)))


def _logistic_slope(basal: Array, strength: Array, edges: Edges, levels: Array) -> Array:
    active = _logistic_activity(basal, strength, edges, levels)[edges.target]
    return active * (1.0 - active) * strength * edges.level(levels)


def _logistic_bounds(basal: Array, strength: Array, edges: Edges) -> tuple[Array, Array]:
    least, most = _limits(basal, strength, edges)
    return expit(least), expit(most)


def _linear_calibrate(wanted: Array, sign: Array, fold: Array, edges: Edges, levels: Array) -> Calibrated:
    # the slope that thermodynamic regulation has at half-response and low activity: hill (fold - 1)/(2 (fold + 1))
    elasticity = edges.hill[edges.source] * (fold - 1.0) / (2.0 * (fold + 1.0))
    strength = sign * wanted[edges.target] * elasticity
    return Calibrated(wanted, wanted - edges.sum(strength * edges.level(levels)), strength)


def _linear_activity(basal: Array, strength: Array, edges: Edges, levels: Array) -> Array:
    return np.maximum(0.0, basal + edges.sum(strength * edges.level(levels)))


def _linear_slope(basal: Array, strength: Array, edges: Edges, levels: Array) -> Array:
    silent = _linear_activity(basal, strength, edges, levels)[edges.target] <= 0.0
    return np.where(silent, 0.0, strength * edges.level(levels))


def _linear_bounds(basal: Array, strength: Array, edges: Edges) -> tuple[Array, Array]:
    least, most = _limits(basal, strength, edges)
    return np.maximum(0.0, least), np.maximum(0.0, most)


def _limits(basal: Array, strength: Array, edges: Edges) -> tuple[Array, Array]:
    """Return between which numbers, or infinities, basal + sum strength * level lies."""
    repressed, activated = (edges.sum((sign * strength > 0.0).astype(float)) > 0.0 for sign in (-1.0, 1.0))
    return np.where(repressed, -np.inf, basal), np.where(activated, np.inf, basal)


REGULATIONS: dict[str, Regulation] = {
    regulation.name: regulation
    for regulation in (
        Regulation(
            name="thermodynamic",
            formula="o/(1 + o), o = basal * prod_r (1 + w_r x_r)/(1 + x_r)",
            fold="w of an activator, 1/w of a repressor: the factor of the odds at saturation",
            source="Bintu et al., Curr. Opin. Genet. Dev. 15 (2005), doi:10.1016/j.gde.2005.02.007",
            calibrate=_thermodynamic_calibrate,
            activity=_thermodynamic_activity,
            slope=_thermodynamic_slope,
            bounds=_thermodynamic_bounds,
            compiled=_thermodynamic_compiled,
        ),
        Regulation(
            name="hill_sum",
            formula="basal + sum_activators k x/(1 + x) + sum_repressors k/(1 + x)",
            fold="1 + k/basal: the factor of basal production that the edge can add",
            source="Dibaeinia & Sinha (SERGIO), Cell Syst. 11 (2020), doi:10.1016/j.cels.2020.08.003",
            calibrate=_hill_sum_calibrate,
            activity=_hill_sum_activity,
            slope=_hill_sum_slope,
            bounds=_hill_sum_bounds,
        ),
        Regulation(
            name="logistic",
            formula="1/(1 + exp(-(alpha + sum_r beta_r q_r)))",
            fold="exp|beta|: the factor of the odds between no regulator and its wild-type level",
            source="Aguirre et al. (2024), doi:10.1101/2024.07.04.602130",
            calibrate=_logistic_calibrate,
            activity=_logistic_activity,
            slope=_logistic_slope,
            bounds=_logistic_bounds,
        ),
        Regulation(
            name="linear",
            formula="max(0, alpha + sum_r beta_r (q_r - wild type q_r))",
            fold="elasticity hill (fold - 1)/(2 (fold + 1)), the thermodynamic one at half-response and low activity",
            source="the model that linear fitters assume; here so that they have a well-specified world",
            calibrate=_linear_calibrate,
            activity=_linear_activity,
            slope=_linear_slope,
            bounds=_linear_bounds,
        ),
    )
}
