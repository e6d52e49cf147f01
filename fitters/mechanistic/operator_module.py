"""The operators of `operator` and their loss; imported inside `fit` and `predict` only, for it needs torch.

All is in double precision, so that culture in two parts is the same culture to many digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from fitters import losses
from fitters.experiment import Step
from fitters.mechanistic.state_module import Shape, StateModel
from fitters.mechanistic.state_objective import StateObjective

DAY = 24.0
FIRST_ONSET = 8.0  # hours
# The slowest mode of an untrained generator, and the least rate at which a trained one relaxes, per day.
FIRST_RATE, LEAST_RATE = 1.0, 1e-3
SPREAD = 0.05  # of what is drawn at first


@dataclass(frozen=True)
class Lifted:
    """The lifted state: z (n, D + K), and the effect of constructs, of which cells carry q and feel w, (n, E) each."""

    z: Tensor
    w: Tensor
    q: Tensor


class WordOfOperators(StateModel):
    """Each step an affine map of the lifted state; in general they do not commute.

    Transduce: ``q = p (1 + G z)``. Culture in m, by the matrix exponential: ``(z, w, q)`` after h hours of
    ``dz/dt = A_m z + B_m w + c_m``, ``dw/dt = (q - w)/onset``, ``dq/dt = 0``; ``A_m = S - S' - R R' - e I`` is stable.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        n, e, s = shape.dimensions + shape.options["lift"], shape.embedding, shape.n_signals
        self.turn = nn.Parameter(SPREAD * torch.randn(1 + s, n, n))
        relax = torch.cat([math.sqrt(FIRST_RATE) * torch.eye(n)[None], torch.zeros(s, n, n)])
        self.relax = nn.Parameter(relax + SPREAD * torch.randn(1 + s, n, n))
        self.push = nn.Parameter(torch.cat([torch.randn(1, n, e) / math.sqrt(e), torch.zeros(s, n, e)]))
        self.drift = nn.Parameter(torch.zeros(1 + s, n))
        self.gate = nn.Linear(n, e, bias=False)
        self.onset = nn.Parameter(torch.tensor(math.log(FIRST_ONSET)))
        self.lifted_start = nn.Parameter(SPREAD * torch.randn(shape.options["lift"]))
        self.readout = _readout(n, shape)

    def generator(self, medium: str) -> Tensor:
        """Return the generator of culture in a medium on rows (z, w, q, 1), per hour: ``d row/dt = row @ it``."""
        n, e = self.relax.shape[1], self.shape.embedding
        m = torch.cat([self.drift.new_ones(1), self.signals(medium, self.drift)])
        turn, relax, push, drift = (
            torch.tensordot(m, weights, dims=1) for weights in (self.turn, self.relax, self.push, self.drift)
        )
        own = turn - turn.T - relax @ relax.T - LEAST_RATE * torch.eye(n, dtype=m.dtype, device=m.device)
        found = m.new_zeros(n + 2 * e + 1, n + 2 * e + 1)
        found[:n, :n] = own.T / DAY
        found[n : n + e, :n] = push.T / DAY
        found[-1, :n] = drift / DAY
        rate = torch.exp(-self.onset) * torch.eye(e, dtype=m.dtype, device=m.device)
        found[n : n + e, n : n + e] = -rate
        found[n + e : -1, n : n + e] = rate
        return found

    def begin(self, p: Tensor, start: Tensor | None) -> Lifted:
        """Return unperturbed cells."""
        z = torch.cat([self.start_state, self.lifted_start]).expand(len(p), -1)
        return Lifted(z, torch.zeros_like(p), torch.zeros_like(p))

    def apply_step(self, step: Step, state: Lifted, p: Tensor, memo: dict[Any, Any]) -> Lifted:
        """Apply the operator of a step."""
        if step.kind == "transduce":
            return replace(state, q=state.q + p * (1.0 + self.gate(state.z)))
        rows = torch.cat([state.z, state.w, state.q, torch.ones_like(p[:, :1])], dim=1)
        if step not in memo:  # the same culture twice in a word, or in two arms
            memo[step] = torch.linalg.matrix_exp(step.hours * self.generator(step.medium))
        after = rows @ memo[step]
        n, e = state.z.shape[1], state.w.shape[1]
        return Lifted(after[:, :n], after[:, n : n + e], state.q)

    def velocity(self, state: Lifted, medium: str) -> Tensor:
        """Return dz/dt (n, D + K), per hour."""
        rows = torch.cat([state.z, state.w, state.q, torch.ones_like(state.w[:, :1])], dim=1)
        return (rows @ self.generator(medium))[:, : state.z.shape[1]]

    def read(self, state: Lifted) -> Tensor:
        """Return ``z_1..D + N(z)``."""
        return state.z[:, : self.shape.dimensions] + self.readout(state.z)

    def decay(self) -> Tensor:
        """Return the mean square of what differs between media, of the network's weights and the targets' vectors."""
        between = [weights[1:] for weights in (self.turn, self.relax, self.push) if len(weights) > 1]
        layers = [layer.weight for layer in self.readout if isinstance(layer, nn.Linear)]
        return super().decay() + sum((w**2).mean() for w in [*between, *layers, self.gate.weight]) / 6


@dataclass(frozen=True)
class Tally:
    """What a word amounts to if its steps commute: whether p (n, E) was brought in, and the hours in each medium."""

    p: Tensor
    transduced: bool = False
    hours: tuple[tuple[str, tuple[float, ...]], ...] = field(default=())


class WordOfShifts(StateModel):
    """Each step a shift of a latent state, as a variational autoencoder's z + e_p; any two commute.

    ``z = z_0 + [transduced] B p + sum_m hours_m c_m``, and so on through the same readout as `WordOfOperators`. As
    shifts add up whatever their order, they are tallied, and the sum is taken at the end: not even its last bits know
    the order.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        n, e, s = shape.dimensions + shape.options["lift"], shape.embedding, shape.n_signals
        self.push = nn.Parameter(torch.randn(n, e) / math.sqrt(e))
        self.drift = nn.Parameter(torch.zeros(1 + s, n))
        self.lifted_start = nn.Parameter(SPREAD * torch.randn(shape.options["lift"]))
        self.readout = _readout(n, shape)

    def begin(self, p: Tensor, start: Tensor | None) -> Tally:
        """Return the empty tally."""
        return Tally(p)

    def apply_step(self, step: Step, state: Tally, p: Tensor, memo: dict[Any, Any]) -> Tally:
        """Add a step to the tally."""
        if step.kind == "transduce":
            return replace(state, transduced=True)
        hours = dict(state.hours)
        hours[step.medium] = (*hours.get(step.medium, ()), step.hours)
        return replace(state, hours=tuple(sorted(hours.items())))

    def place(self, state: Tally) -> Tensor:
        """Return z (n, D + K)."""
        z = torch.cat([self.start_state, self.lifted_start]).expand(len(state.p), -1)
        for medium, hours in state.hours:
            z = z + math.fsum(hours) / DAY * self._shift(medium)
        return z + state.p @ self.push.T if state.transduced else z

    def velocity(self, state: Tally, medium: str) -> Tensor:
        """Return dz/dt (n, D + K), per hour."""
        return self._shift(medium).expand(len(state.p), -1) / DAY

    def read(self, state: Tally) -> Tensor:
        """Return ``z_1..D + N(z)``."""
        z = self.place(state)
        return z[:, : self.shape.dimensions] + self.readout(z)

    def decay(self) -> Tensor:
        """Return the mean square of the network's weights and the targets' vectors."""
        layers = [layer.weight for layer in self.readout if isinstance(layer, nn.Linear)]
        return super().decay() + sum((w**2).mean() for w in layers) / 6

    def _shift(self, medium: str) -> Tensor:
        return torch.cat([self.drift.new_ones(1), self.signals(medium, self.drift)]) @ self.drift


def model_of(shape: Shape) -> WordOfOperators | WordOfShifts:
    """Return an untrained model of the kind that the shape says."""
    return (WordOfShifts if shape.options["commute"] else WordOfOperators)(shape).double()


class OperatorObjective(StateObjective):
    """The loss of `operator`: errors, and how fast its controls move where they were measured."""

    model: WordOfOperators | WordOfShifts

    def steady_states(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the mean squared velocity, per day, of control in the contexts of the rows."""
        if "steady_state_controls" not in self.wanted:
            return {}
        p = self.embedded(torch.tensor([self.control_code], device=rows.device))
        speeds, memo = [], dict[Any, Any]()
        for k in torch.unique(self.context[rows]).tolist():
            state: Any = self.model.begin(p, None)
            for step in self.words[k]:
                state = self.model.apply_step(step, state, p, memo)
            speeds.append(DAY * self.model.velocity(state, self.media[k]))
        return {"steady_state_controls": losses.steady_state(torch.cat(speeds))}


def _readout(n: int, shape: Shape) -> nn.Sequential:
    last = nn.Linear(shape.hidden, shape.dimensions)
    nn.init.zeros_(last.bias)
    with torch.no_grad():
        last.weight.mul_(SPREAD)
    return nn.Sequential(nn.Linear(n, shape.hidden), nn.Tanh(), last)
