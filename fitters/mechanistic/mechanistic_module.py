"""The field of `ode-mechanistic`: its states at rest and over time, and the terms of the loss on trajectories.

In: data and parameters (`MechanisticParameters`). Out: predicted trajectories, terms. Rows are trajectories.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fitters import losses
from fitters.mechanistic.mechanistic_course import integrate
from fitters.mechanistic.mechanistic_parameters import RESIDUAL, MechanisticParameters, Parameters
from fitters.mechanistic.mechanistic_steady import steady_state
from fitters.training.objective import Moment


class MechanisticField(MechanisticParameters):
    """``dx_g/dt = d_g (m_g(t) (v_g r_g(q) + residual_g(q)) - x_g)`` in levels x relative to the control."""

    stopping = ("response",)

    # states

    def steady(self, strength: Tensor, signal: Tensor) -> Tensor:
        """Return (n, G) levels at rest, with gradients by implicit differentiation.

        Args:
            strength: (n, G) factors of production. signal: (n, S).
        """
        own, network = strength[:, self.regulators], self.network_of(self.regulators)

        def step(x: Tensor, rows: Tensor) -> Tensor:
            return own[rows] * self.production(torch.cat([x, signal[rows]], 1), network)

        def jacobian(x: Tensor, rows: Tensor) -> Tensor:
            return own[rows][:, :, None] * self._slopes(torch.cat([x, signal[rows]], 1), network)

        start = own.detach().clone()
        at_rest = steady_state(step, jacobian, start)
        return strength * self.production(torch.cat([at_rest, signal], 1), self.network_of())

    def _slopes(self, inputs: Tensor, network: Parameters) -> Tensor:
        """Return (n, R, R) d production of each regulator by d level of each regulator, without a graph."""
        n, r = len(inputs), self.n_regulators
        held = network.detached()
        with torch.enable_grad():
            level = inputs.detach().index_select(1, held.source).reshape(n, *held.shape).requires_grad_(True)
            (slope,) = torch.autograd.grad(self._rate(level, held).sum(), level)
        if held.gain is not None:
            slope = slope * held.gain[:, None]
        dense = torch.zeros(n, r, self.reference.numel(), dtype=slope.dtype, device=slope.device)
        slope = slope * self.kept[self.regulators]
        dense.scatter_add_(2, held.source.reshape(held.shape).expand(n, -1, -1), slope)
        if self.residual_in is not None and held.residual is not None:
            into = self.residual_in.detach()
            hidden = torch.tanh((inputs.detach() - self.reference) @ into.T)
            dense = dense + torch.einsum("gh,nh,hr->ngr", held.residual, 1.0 - hidden**2, into)
        return dense[:, :, :r]

    def states(self, rows: Tensor) -> Tensor:
        """Return (n, I, G) predicted levels of trajectories, in the units of the field."""
        strength = self.strengths(rows)
        if self.form.course:
            return self.course(strength, self.signal[rows], self.since[rows], self.hours)
        return self.steady(strength, self.signal[rows, -1])[:, None, :]

    def course(self, strength: Tensor, signal: Tensor, since: Tensor, hours: list[float]) -> Tensor:
        """Return (n, I, G) levels at hours, from the control state on.

        Args:
            strength: (n, G). signal: (n, I, S) in the interval before each hour. since: (n,) hour of transduction.
        """
        n, n_genes = strength.shape
        n_proteins = self.n_regulators if self.form.protein else 0
        decay, change, network = self.decay, strength - 1.0, self.network_of()
        start = torch.ones(n, n_genes + n_proteins, dtype=strength.dtype, device=strength.device)

        def field(hour: Tensor, state: Tensor, now: Tensor) -> Tensor:
            mrna = state[:, :n_genes]
            proteins = state[:, n_genes:] if n_proteins else mrna.index_select(1, self.regulators)
            factor = 1.0 + change * self.onset(hour, since)[:, None]
            made = factor * self.production(torch.cat([proteins, now], 1), network)
            rate = decay * (made - mrna)
            if not n_proteins:
                return rate
            return torch.cat([rate, self.protein_decay * (mrna.index_select(1, self.regulators) - proteins)], 1)

        found = integrate(
            field,
            start,
            begin=self.begin,
            hours=hours,
            signal=signal,
            step=self.form.step_hours,
            solver=self.form.solver,
        )
        return found[:, :, :n_genes]

    # each gene's equation by itself, with what was measured as its inputs

    def equations_solved(self, rows: Tensor) -> Tensor:
        """Return (n, I, G) what each gene's equation makes of the measured levels of its inputs.

        At rest it is the production. Between two hours of a course it is the exact solution for a production that
        changes linearly: ``x e + u0 (1 - e) + (u1 - u0)(1 - (1 - e)/(d h))``, e = exp(-d h). Equations of different
        genes then have nothing in common, and no solver is needed.
        """
        level, strength, signal = self.level[rows], self.strengths(rows), self.signal[rows]
        own = self.inputs[rows]
        if not self.form.course:
            return (strength * self.production(torch.cat([own[:, -1], signal[:, -1]], 1), self.network_of()))[
                :, None, :
            ]
        since, found = self.since[rows], []
        before, hour = torch.ones_like(level[:, 0]), self.begin
        protein, mrna = torch.ones_like(own[:, 0]), torch.ones_like(own[:, 0])
        decay, network = self.decay, self.network_of()
        for number, end in enumerate(self.hours):
            step = max(end - hour, 0.0)
            if step == 0.0:
                found.append(before)
                continue
            following = own[:, number]
            if self.form.protein:
                kept, first, second = _between(self.protein_decay, step)
                now = protein * kept + mrna * first + following * second
            else:
                now = following
            ends = []
            for at, input_level in ((hour, protein if self.form.protein else mrna), (end, now)):
                factor = 1.0 + (strength - 1.0) * self.onset(at, since)[:, None]
                ends.append(factor * self.production(torch.cat([input_level, signal[:, number]], 1), network))
            kept, first, second = _between(decay, step)
            found.append(before * kept + ends[0] * first + ends[1] * second)
            before, hour, protein, mrna = level[:, number], end, now, following
        return torch.stack(found, 1)

    def field_at_rest(self, rows: Tensor) -> Tensor:
        """Return (n, I, G) ``f/d`` at the measured levels: by how much they would move in a lifetime of the mRNA."""
        level, strength, signal = self.level[rows], self.strengths(rows), self.signal[rows]
        n, hours, n_genes = level.shape
        inputs = torch.cat([level[:, :, self.regulators], signal], 2).reshape(n * hours, -1)
        made = self.production(inputs, self.network_of()).reshape(n, hours, n_genes)
        return strength[:, None, :] * made - level

    # the loss

    def terms(self, rows: Tensor, moment: Moment) -> Mapping[str, Tensor]:
        """Return every term; those of states are weighted by precision, so that 1 is what errors alone would give."""
        precision = self.precision[rows]
        found: dict[str, Tensor] = {}
        if self.equations:
            predicted = self.equations_solved(rows)
        else:
            raw = self.states(rows)
            origin = self._origin_state(rows, raw)
            predicted = raw / origin
        weight, observed = precision * self.share, self.level[rows]
        found["response"] = losses.squared_error(predicted, observed, weight)
        found["sparsity"] = self.sparsity()
        found["shape"] = self.shape()
        for name, chosen in (
            ("steady_state_controls", self.is_control[rows][:, None]),
            ("steady_state_settled", self.is_settled[rows]),
        ):
            if name in self.wanted:
                found[name] = losses.steady_state(self.field_at_rest(rows), weight * chosen[:, :, None])
        control = self.control_row[rows]
        for name, measured in (("contrast_matched", self.level), ("contrast_pooled", self.pooled)):
            if name in self.wanted:
                others = self._controls_of(rows, predicted)
                found[name] = losses.contrast(predicted, others, measured[rows], measured[control], weight)
        if self.residual_out is not None:
            found["residual"] = (self.residual_out / RESIDUAL).square().sum() / self.n_values
        return found

    def _origin_state(self, rows: Tensor, states: Tensor) -> Tensor:
        """Return (1, 1, G) the predicted state of the controls that levels are relative to: 1 if they stand still."""
        row, hour = self.origin
        here = (rows == row).nonzero()
        if len(here):
            return states[here[0, 0], hour][None, None, :].clamp(min=1e-3)
        alone = torch.tensor([row], device=rows.device)
        return self.states(alone)[:, hour][None].clamp(min=1e-3)

    def _controls_of(self, rows: Tensor, predicted: Tensor) -> Tensor:
        """Return (n, I, G) predicted controls of each row's own arm and medium."""
        own = self.control_row[rows]
        if self.equations:
            return self.equations_solved(own)
        unique, place = torch.unique(own, return_inverse=True)
        where = {int(row): number for number, row in enumerate(rows.tolist())}
        if all(int(row) in where for row in unique):
            return predicted[[where[int(row)] for row in own]]
        states = self.states(unique)
        return (states / self._origin_state(unique, states))[place]


def _between(rate: Tensor, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weights of what was, and of a drive's first and last value, after `step` hours of relaxation."""
    kept = torch.exp(-rate * step)
    last = 1.0 - (1.0 - kept) / (rate * step)
    return kept, 1.0 - kept - last, last
