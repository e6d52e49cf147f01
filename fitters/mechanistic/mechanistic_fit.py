"""The answers of a fitted `ode-mechanistic`: profiles at any hour and in any medium, edges, rates.

In: the state of the field. Out: predictions, `EdgeScores`, `KineticsEstimate`. The field is built anew when asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitters.checks import check_query
from fitters.contract import Prediction, Query
from fitters.errors import RefusedQueryError
from fitters.mechanistic.mechanistic_module import MechanisticField
from fitters.mechanistic.mechanistic_parameters import STRONGEST, Form
from fitters.mechanistic.mechanistic_rows import Context, Trajectories
from fitters.mechanistic.mechanistic_screening import Layout
from fitters.mechanistic.mechanistic_uncertainty import Precision, kinetics_of, precision_of
from fitters.profile_fit import ProfileFit
from fitters.results import EdgeScores, KineticsEstimate
from fitters.training.devices import one_thread, seeded
from simcell.profiles import log_profile

FloatArray = NDArray[np.float64]


def state_of(field: MechanisticField) -> dict[str, FloatArray]:
    """Return the parameters of a field as arrays."""
    return {name: value.detach().cpu().numpy().copy() for name, value in field.state_dict().items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class MechanisticFit(ProfileFit):
    """A fitted field.

    Args:
        genes: G names, as in the training data; the field has them sorted.
        rows: what it was fitted to.
        layout: which inputs genes may have.
        form: options of the field.
        state: its parameters.
        doubling_time: hours, or None.
    """

    genes: tuple[str, ...]
    rows: Trajectories
    layout: Layout
    form: Form
    state: Mapping[str, FloatArray]
    doubling_time: float | None

    @cached_property
    def field(self) -> MechanisticField:
        """The field, on the CPU."""
        import torch

        with seeded(0):
            field = MechanisticField(self.layout, self.rows, self.form)
        field.load_state_dict({name: torch.tensor(value) for name, value in self.state.items()})
        return field.eval()

    @cached_property
    def precision(self) -> Precision:
        """Errors of the parameters."""
        with one_thread():
            return precision_of(self.field, self.rows)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("field", "precision")}

    def predict(self, query: Query) -> Prediction:
        """Return (Q, G) log profiles; without a time, medium or arm, those of all training contexts pooled.

        Raises:
            RefusedQueryError: a query outside the claims; a time other than the data's, asked of steady states.
        """
        check_query(query, fitter=self.fitter, claims=self.claims, scope=self.scope)
        contexts = [one for one in self.rows.contexts if _matches(one, query)]
        with one_thread():
            if contexts:
                pooled = sum(one.total * self._ratio(query, one, one.hour) for one in contexts)
            else:
                pooled = self._elsewhere(query)
        found = np.empty((len(query), len(self.genes)))
        found[:, self._column] = np.asarray(pooled)
        return Prediction(profile=log_profile(found))

    def profile(self, targets: tuple[str, ...]) -> FloatArray:
        """Return the (G,) log profile of one perturbation, all contexts pooled."""
        return self.predict(Query((targets,))).profile[0]

    def _elsewhere(self, query: Query) -> FloatArray:
        """Return (Q, G) what is expected at an hour, or a pairing of hour and medium, that the data do not have."""
        if not self.form.course:
            hours = ", ".join(f"{one.hour:g}" for one in self.rows.contexts)
            problem = f"no training context has this time, medium and arm together (hours: {hours})"
            raise RefusedQueryError(self.fitter, f"query refused: fitted to steady states, and {problem}")
        same = [one for one in self.rows.contexts if _matches(one, query, time=False)] or [
            one for one in self.rows.contexts if query.arm in (None, one.arm)
        ]
        hour = max(one.hour for one in same) if query.time is None else query.time
        near = min(same, key=lambda one: (abs(one.hour - hour), one.hour))
        origin = next(one for one in self.rows.contexts if (one.row, one.slot) == self.rows.origin)
        start = self._states((), origin.arm, origin.row, origin.hour, None)
        rows = [self._states(targets, near.arm, near.row, hour, query.medium) for targets in query.perturbations]
        return origin.total * np.stack(rows) / np.maximum(start, 1e-3)

    def _ratio(self, query: Query, context: Context, hour: float) -> FloatArray:
        """Return (Q, G) levels over those of the controls of a context."""
        control = self._states((), context.arm, context.row, hour, context.medium)
        rows = [
            self._states(targets, context.arm, context.row, hour, context.medium) if targets else control
            for targets in query.perturbations
        ]
        return np.stack(rows) / np.maximum(control, 1e-3)

    def _states(self, targets: tuple[str, ...], arm: str, row: int, hour: float, medium: str | None) -> FloatArray:
        """Return the (G,) state of perturbed cells of an arm at an hour."""
        import torch

        strength = np.ones(len(self.rows.genes))
        for target in targets:
            if target in self._index:
                strength[self._index[target]] *= self._strength(arm, target)
        hours, signal = self._path(row, hour, medium)
        with torch.no_grad():
            acting = torch.tensor(strength)[None]
            if not self.form.course:
                return self.field.steady(acting, torch.tensor(signal[None, -1])).numpy()[0]
            since = torch.tensor(self.rows.since[[row]])
            return self.field.course(acting, torch.tensor(signal[None]), since, hours).numpy()[0, -1]

    def _path(self, row: int, hour: float, medium: str | None) -> tuple[list[float], FloatArray]:
        """Return hours up to one, and the signals in the interval before each, of a trajectory that goes on."""
        if not self.form.course:
            return [hour], self.rows.signal[row]
        before = self.rows.hours < hour
        following = int(before.sum())
        if following < self.rows.hours.size:
            last = self.rows.signal[row, following]
        else:
            last = np.array(self.rows.media.levels(medium or self.rows.medium[row]))
        return [*self.rows.hours[before].tolist(), hour], np.vstack([self.rows.signal[row, before], last])

    def _strength(self, arm: str, target: str) -> float:
        """Return the factor of a target's production: of this arm, else of others, else what is usual."""
        own = self._strengths.get((arm, target))
        if own is not None:
            return own
        others = [value for (_, gene), value in self._strengths.items() if gene == target]
        return float(np.median(others or list(self._strengths.values())))

    def network(self) -> EdgeScores | None:
        """Return elasticities around the control state, of the genes that were perturbed, with standard errors."""
        import torch

        n_regulators = self.layout.regulators.size
        with one_thread(), torch.no_grad():
            slope = self.field.elasticities().numpy()
        shape = (n_regulators, len(self.genes))
        score, error = np.zeros(shape), np.full(shape, np.nan)
        gene, slot = np.nonzero(self.layout.used & (self.layout.source < n_regulators))
        regulator = self.layout.source[gene, slot]
        score[regulator, gene] = slope[gene, slot]
        error[regulator, gene] = self.precision.elasticity[gene, slot]
        identified = self.layout.identified
        columns = np.argsort(self._column)  # of the field, for each gene of the data
        return EdgeScores(
            regulators=tuple(self.rows.genes[column] for column in self.layout.regulators),
            genes=self.genes,
            score=np.where(identified, score, 0.0)[:, columns],
            standard_error=error[:, columns],
            identified=identified[:, columns],
            effects=True,
        )

    def kinetics(self) -> KineticsEstimate:
        """Return what the data tell of rates, by the names of the truth; see `OdeMechanistic`."""
        with one_thread():
            found = kinetics_of(self.field, self.rows, self.precision, doubling_time=self.doubling_time)
        columns = np.argsort(self._column)
        return KineticsEstimate(self.genes, {name: one.take(columns) for name, one in found.items()})

    @cached_property
    def _index(self) -> dict[str, int]:
        return {gene: number for number, gene in enumerate(self.rows.genes)}

    @cached_property
    def _column(self) -> NDArray[np.intp]:
        """(G,) column in the data of each gene of the field."""
        place = {gene: number for number, gene in enumerate(self.genes)}
        return np.array([place[gene] for gene in self.rows.genes], dtype=np.intp)

    @cached_property
    def _strengths(self) -> dict[tuple[str, str], float]:
        established = np.exp(self.state["log_strength"].clip(-STRONGEST, STRONGEST))  # as in the field
        return dict(zip(self.rows.pairs, established.tolist(), strict=True))


def _matches(context: Context, query: Query, *, time: bool = True) -> bool:
    return (
        (query.time is None or not time or context.hour == query.time)
        and query.medium in (None, context.medium)
        and query.arm in (None, context.arm)
    )
