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
        parameters: all parameters, one vector.
        abscissa: largest real part of the eigenvalues of its Jacobian at the control state, per hour.
    """

    field: FloatArray
    parameters: FloatArray
    abscissa: float


def _node(fit: Any, data: TrainingData) -> Probe:
    """Return the probe of a `NodeFit`: states of all training conditions, in the field without a perturbation."""
    measured = fit.measured
    states = measured.basis.encode(data.pseudobulk.profile[:, measured.column] - measured.reference)
    return Probe(fit.field(states).ravel(), fit.parameters_vector(), fit.spectral_abscissa())


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
    return Probe(field.ravel(), parameters, float(np.linalg.eigvals(jacobian).real.max()))


PROBES: dict[str, Callable[[Any, TrainingData], Probe]] = {"node": _node, "ode-mechanistic": _mechanistic}
