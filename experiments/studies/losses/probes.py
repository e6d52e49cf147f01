"""What a fit has learned as a field: its values at the same states for all restarts, its parameters, its slowest mode.

In: a fit of `node` or `ode-mechanistic`, and the data that it learned from. Out: a `Probe`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitters.training_data import TrainingData

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Probe:
    """A learned field.

    Args:
        field: its values at the states that were measured, one vector.
        at_control: its root mean square at the control state, in units of `field`.
        abscissa: largest real part of the eigenvalues of its Jacobian at the control state, per hour.
        parameters: all parameters, one vector; None where others mean the same, as when units change places.
    """

    field: FloatArray
    at_control: float
    abscissa: float
    parameters: FloatArray | None


def _node(fit: Any, data: TrainingData) -> Probe:
    """Return the probe of a `NodeFit`: states of all training conditions, in the field without a perturbation."""
    measured = fit.measured
    states = measured.basis.encode(data.pseudobulk.profile[:, measured.column] - measured.reference)
    at_control = fit.field(np.zeros((1, measured.basis.dimensions)))
    return Probe(fit.field(states).ravel(), _size(at_control), fit.spectral_abscissa(), None)


def _mechanistic(fit: Any, data: TrainingData) -> Probe:
    """Return the probe of a `MechanisticFit`: the levels that were measured, each under its own perturbation."""
    import torch

    with torch.no_grad():
        rows = torch.arange(len(fit.rows.label))
        decay = fit.field.decay
        field = (decay * fit.field.field_at_rest(rows)).numpy()
    edges = fit.network()
    column = {gene: number for number, gene in enumerate(fit.rows.genes)}
    regulators = [column[gene] for gene in edges.regulators]
    place = {gene: number for number, gene in enumerate(edges.genes)}
    elasticity = np.zeros((len(column), len(column)))  # of the row's production by the column's level
    elasticity[:, regulators] = edges.score[:, [place[gene] for gene in fit.rows.genes]].T
    jacobian = decay.numpy()[:, None] * (elasticity - np.eye(len(column)))
    learned = sorted(name for name, _ in fit.field.named_parameters())
    parameters = np.concatenate([np.asarray(fit.state[name], float).ravel() for name in learned])
    at_control = field[fit.rows.origin]
    return Probe(field.ravel(), _size(at_control), float(np.linalg.eigvals(jacobian).real.max()), parameters)


def _size(values: FloatArray) -> float:
    return float(np.sqrt((values**2).mean()))


PROBES: dict[str, Callable[[Any, TrainingData], Probe]] = {"node": _node, "ode-mechanistic": _mechanistic}
