"""The neural field of `node` and its loss; imported inside `fit` and `predict` only, for it needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from fitters import losses
from fitters.experiment import Step
from fitters.mechanistic.state_module import Shape, StateModel
from fitters.mechanistic.state_objective import StateObjective
from fitters.mechanistic.state_training import Prepared

# Rates of relaxation begin at once in 20 h and stay below once in 4 h, so that steps of 8 h are stable (rate times step
# below 2.8 in methods of fourth order).
FIRST_RATE, MOST_RATE = 0.05, 0.25
FIRST_ONSET = 8.0
SETTLED = 1e6  # hours since transduction at which every onset is over
DAY = 24.0
CONTROL_POOLS = 256  # most control pools at which the field is looked at in one step of training
DIRECTIONS = 32


@dataclass(frozen=True)
class Moving:
    """States (n, D) on their way; hours since transduction, None before."""

    x: Tensor
    since: float | None


class NeuralField(StateModel):
    """``dx/dt = rate (N(x, a, m) + B a - x)`` with ``a = p (1 - exp(-since/onset))``, N of two hidden layers."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        d, e, s, h = shape.dimensions, shape.embedding, shape.n_signals, shape.hidden
        self.network = nn.Sequential(nn.Linear(d + e + s, h), nn.Tanh(), nn.Linear(h, h), nn.Tanh(), nn.Linear(h, d))
        self.linear = nn.Linear(e, d, bias=False)
        self.rate = nn.Parameter(torch.full((d,), math.log(FIRST_RATE / (MOST_RATE - FIRST_RATE))))
        self.onset = nn.Parameter(torch.tensor(math.log(FIRST_ONSET)))

    def field(self, x: Tensor, p: Tensor, medium: str, since: Any) -> Tensor:
        """Return dx/dt (n, D), per hour; `since` None: not perturbed."""
        return self.field_under(p, medium)(x, since)

    def field_under(self, p: Tensor, medium: str) -> Callable[[Tensor, Any], Tensor]:
        """Return the field of perturbations (n, E) in a medium, with all that is the same at every state done once."""
        first, second, last = (layer for layer in self.network if isinstance(layer, nn.Linear))
        of_x, of_a, of_m = first.weight.split([self.shape.dimensions, self.shape.embedding, self.shape.n_signals], 1)
        still = first.bias + of_m @ self.signals(medium, p)
        inside, outside = p @ of_a.T, self.linear(p)
        rate, onset = MOST_RATE * torch.sigmoid(self.rate), torch.exp(self.onset)

        def field(x: Tensor, since: Any) -> Tensor:
            felt = 0.0 if since is None else 1.0 - torch.exp(-since / onset)
            hidden = torch.tanh(second(torch.tanh(x @ of_x.T + (still + felt * inside))))
            return rate * (last(hidden) + felt * outside - x)

        return field

    def begin(self, p: Tensor, start: Tensor | None) -> Moving:
        """Return the start."""
        return Moving(self.start_state.expand(len(p), -1) if start is None else start, None)

    def apply_step(self, step: Step, state: Moving, p: Tensor, memo: dict[Any, Any]) -> Moving:
        """Transduce: the clock of the onset begins. Culture: the flow of the field."""
        if step.kind == "transduce":
            return Moving(state.x, 0.0)
        since = state.since

        field = self.field_under(p, step.medium)

        def velocity(t: Tensor, x: Tensor) -> Tensor:
            return field(x, None if since is None else since + t)

        x, hours = state.x, step.hours
        if self.shape.options["solver"] == "rk4":
            n_steps = math.ceil(hours / self.shape.options["step_hours"] - 1e-9)
            grid = torch.linspace(0.0, hours, n_steps + 1, dtype=x.dtype, device=x.device)
            x = odeint(velocity, x, grid, method="rk4")[-1]
        else:
            ends = torch.tensor([0.0, hours], dtype=x.dtype, device=x.device)
            x = odeint(velocity, x, ends, method="dopri5", rtol=1e-5, atol=1e-6)[-1]
        return Moving(x, None if since is None else since + hours)

    def read(self, state: Moving) -> Tensor:
        """Return the states."""
        return state.x

    def decay(self) -> Tensor:
        """Return the mean square of the network's weights and of the targets' own vectors."""
        layers = [layer.weight for layer in self.network if isinstance(layer, nn.Linear)]
        return super().decay() + sum((w**2).mean() for w in layers) / len(layers)


class NodeObjective(StateObjective):
    """The loss of `node`: errors, and how fast the field moves cells that should stand still."""

    model: NeuralField
    control_rows: Tensor
    settled: Tensor

    def __init__(self, model: NeuralField, prepared: Prepared, *, response: str, settled: Tensor, **more: Any) -> None:
        super().__init__(model, prepared, **more)
        self.kind = response
        control = torch.nonzero(self.condition == self.control_code)[:, 0]
        self.register_buffer("control_rows", control, persistent=False)
        self.register_buffer("settled", settled, persistent=False)

    def predicted(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return predicted states: of conditions, or of control pools that are pushed forward, one for each row."""
        if self.kind == "mse":
            return super().predicted(rows)
        x0 = self.model.start_state + self._deviations(rows)
        p = self.embedded(self.condition[rows])
        predicted, control = torch.empty_like(x0), torch.empty_like(x0)
        for k in torch.unique(self.context[rows]).tolist():
            here = torch.nonzero(self.context[rows] == k)[:, 0]
            predicted = predicted.index_put((here,), self.model.at(self.words[k], p[here], start=x0[here]))
            control = control.index_put((here,), self.model.at(self.words[k], 0.0 * p[here], start=x0[here]))
        return predicted, control

    def _deviations(self, rows: Tensor) -> Tensor:
        """Return for each row the state of a control pool of its context, drawn at random, less their mean."""
        found = torch.empty_like(self.state[rows])
        for k in torch.unique(self.context[rows]).tolist():
            pool = self.control_rows[self.context[self.control_rows] == k]
            here = torch.nonzero(self.context[rows] == k)[:, 0]
            drawn = pool[torch.randint(len(pool), (len(here),), device=pool.device)]
            found[here] = self.state[drawn] - self.state[pool].mean(0)
        return found

    def response(self, rows: Tensor, predicted: Tensor) -> Tensor:
        """Return the error, or the distance of the distributions of pools of each condition in each context."""
        if self.kind == "mse":
            return super().response(rows, predicted)
        observed = self.state[rows]
        group = self.context[rows] * len(self.features) + self.condition[rows]
        directions = torch.randn(DIRECTIONS, observed.shape[1], dtype=observed.dtype, device=observed.device)
        total = predicted.sum() * 0.0
        for value in torch.unique(group).tolist():
            ours, theirs = predicted[group == value], observed[group == value]
            total = total + len(ours) * self._distance(ours, theirs, directions)
        return total / len(rows)

    def _distance(self, ours: Tensor, theirs: Tensor, directions: Tensor) -> Tensor:
        if len(ours) < 2:
            return losses.squared_error(ours, theirs)
        if self.kind == "mmd":
            return losses.maximum_mean_discrepancy(ours, theirs)
        if self.kind == "sliced-wasserstein":
            return losses.sliced_wasserstein(ours, theirs, directions)
        mean, variance = (torch.stack([f(x, dim=0) for x in (ours, theirs)]) for f in (torch.mean, torch.var))
        return losses.gaussian_moments(mean[:1], variance[:1], mean[1:], variance[1:], floor=1e-2)

    def steady_states(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the squared field per day at control pools, and at those of the rows that have settled."""
        found = {}
        if "steady_state_controls" in self.wanted:
            pools = self.control_rows
            if len(pools) > CONTROL_POOLS:
                pools = pools[torch.randperm(len(pools), device=pools.device)[:CONTROL_POOLS]]
            found["steady_state_controls"] = losses.steady_state(self._field_at(pools, perturbed=False))
        if "steady_state_settled" in self.wanted:
            pools = rows[self.settled[rows]]
            found["steady_state_settled"] = (
                losses.steady_state(self._field_at(pools, perturbed=True))
                if len(pools)
                else self.model.rate.sum() * 0.0
            )
        return found

    def _field_at(self, pools: Tensor, *, perturbed: bool) -> Tensor:
        """Return the field at pools, per day, each in the medium in which it was taken."""
        x, p = self.state[pools], self.embedded(self.condition[pools])
        context = self.context[pools]
        found = [
            self.model.field(x[context == k], p[context == k], self.media[k], SETTLED if perturbed else None)
            for k in torch.unique(context).tolist()
        ]
        return DAY * torch.cat(found)
