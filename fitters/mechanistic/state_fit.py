"""The fit of the models of states: from states after a word to log profiles in a query's contexts.

In: arrays of a trained model and what was measured. Out: checked predictions. A subclass names its torch model.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fitters.checks import check_query
from fitters.contract import Prediction, Query
from fitters.errors import RefusedQueryError
from fitters.mechanistic.state_pools import Basis
from fitters.mechanistic.state_targets import Targets
from fitters.mechanistic.states import Context, Contexts, Word, hours_perturbed
from fitters.profile_fit import ProfileFit
from fitters.training.devices import one_thread
from simcell.profiles import log_profile

if TYPE_CHECKING:
    from fitters.mechanistic.state_module import Shape, StateModel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of the controls, genes sorted by name.

    Args:
        genes: G names. column: (G,) column of each in the training data.
        contexts: K contexts and their words.
        n_controls: (K,) control cells of each.
        reference: (G,) log profile of the controls of context 0, to which states are relative.
        control: (K, G) log profiles of the controls of each.
        basis: of the states.
    """

    genes: tuple[str, ...]
    column: NDArray[np.intp]
    contexts: Contexts
    n_controls: NDArray[np.int64]
    reference: FloatArray
    control: FloatArray
    basis: Basis


@dataclass(frozen=True, eq=False, kw_only=True)
class StateFit(ProfileFit):
    """A model of states with its parameters as arrays.

    A prediction in a context k is ``L_k + V (x_p - x_0)``: the log profile of the controls measured there, moved by
    what the model says that the perturbation does. At other times the model moves the controls too, and what it misses
    of them in measured contexts of the arm is interpolated in time. A perturbed gene is held at the level to which its
    own perturbation was measured to take it, at that time. Over several contexts fractions are averaged, weighted by
    control cells.

    Args:
        measured: of controls.
        targets: what is known of targets.
        shape: sizes of the model.
        arrays: its parameters.
    """

    measured: Measured
    targets: Targets
    shape: Shape
    arrays: Mapping[str, NDArray[Any]]

    @abstractmethod
    def model(self) -> StateModel:
        """Return the torch model with the fitted parameters."""

    def predict(self, query: Query) -> Prediction:
        """Return (Q, G) log profiles; RefusedQueryError for a query outside the claims."""
        check_query(query, fitter=self.fitter, claims=self.claims, scope=self.scope)
        asked = self._asked(query)
        weight = np.array([cells for _, cells in asked], dtype=np.float64)
        fractions = [np.expm1(self._levels(query.perturbations, context)) for context, _ in asked]
        fractions = [np.maximum(one, 0.0) / np.maximum(one, 0.0).sum(axis=1, keepdims=True) for one in fractions]
        profile = log_profile(np.average(np.stack(fractions), axis=0, weights=weight))
        found = np.empty_like(profile)
        found[:, self.measured.column] = profile
        return Prediction(profile=found)

    def profile(self, targets: tuple[str, ...]) -> FloatArray:
        """Return the (G,) log profile of one perturbation, over all contexts."""
        return self.predict(Query((targets,))).profile[0]

    def states(self, word: Word, perturbations: Sequence[Sequence[str]]) -> FloatArray:
        """Return the (Q, D) states of perturbations after a word of steps, any word of known media.

        Raises:
            RefusedQueryError: a medium that neither notes nor cells name.
        """
        import torch

        unknown = [step.medium for step in word if step.kind == "culture" and step.medium not in self.shape.media]
        if unknown:
            raise RefusedQueryError(self.fitter, f"query refused: medium {unknown[0]!r} is not known")
        with one_thread(), torch.no_grad():
            model = self.model()
            like = next(model.parameters())
            p = model.perturbation(
                torch.as_tensor(self.targets.features_of(perturbations)).to(like.dtype),
                torch.as_tensor(self.targets.strengths_of(perturbations)).to(like.dtype),
            )
            return model.at(word, p).numpy().astype(np.float64)

    @cached_property
    def missed(self) -> FloatArray:
        """(K, G) what the model misses of the log profiles of controls, by context."""
        drift = np.concatenate([self.states(word, [()]) for word in self.measured.contexts.words])
        return self.shared(self.measured.control - self.measured.reference - self.measured.basis.decode(drift))

    def shared(self, missed: FloatArray) -> FloatArray:
        """Return (K, G) what is missed of controls, for models that cannot have one for each context."""
        return missed

    def own_hours(self, word: Word) -> float | None:
        """Return the hours after transduction at which own levels of targets are looked up."""
        return hours_perturbed(word)

    def _levels(self, perturbations: tuple[tuple[str, ...], ...], context: Context) -> FloatArray:
        """Return (Q, G) log profiles, not yet of fractions that add up to one."""
        word = self.measured.contexts.word(context)
        states = self.states(word, [(), *perturbations])
        control = self.measured.reference + self._missed_at(context) + self.measured.basis.decode(states[0])
        # differences first: a perturbation of nothing is then exactly the control
        levels: FloatArray = control + self.measured.basis.decode(states[1:] - states[0])
        since = self.own_hours(word)
        for row, targets in enumerate(perturbations):
            for target in targets:
                if target in self._position:
                    column = self._position[target]
                    levels[row, column] = control[column] + self.targets.own_change(target, since)
        return np.maximum(levels, 0.0)

    def _missed_at(self, context: Context) -> FloatArray:
        """Return (G,) what is missed of the controls of a context: measured there, or interpolated within the arm."""
        known = self.measured.contexts.all
        if context in known:
            return self.missed[known.index(context)]
        rows = [row for row, one in enumerate(known) if one.arm == context.arm] or list(range(len(known)))
        times = np.array([known[row].time for row in rows])
        at = np.unique(times)
        means = np.stack([self.missed[rows][times == time].mean(axis=0) for time in at])
        right = int(np.clip(np.searchsorted(at, context.time), 1, at.size - 1)) if at.size > 1 else 0
        if right == 0:
            return np.asarray(means[0], np.float64)
        share = np.clip((context.time - at[right - 1]) / (at[right] - at[right - 1]), 0.0, 1.0)
        found: FloatArray = (1.0 - share) * means[right - 1] + share * means[right]
        return found

    def _asked(self, query: Query) -> list[tuple[Context, int]]:
        """Return the contexts that a query is about, with their weights."""
        known = self.measured.contexts.all
        chosen = [
            row for row, one in enumerate(known) if query.medium in (None, one.medium) and query.arm in (None, one.arm)
        ]
        if not chosen:  # this arm was never measured in this medium
            chosen = [row for row, one in enumerate(known) if query.arm == one.arm]
            known = tuple(replace(one, medium=str(query.medium)) for one in known)
        if query.time is None:
            return [(known[row], int(self.measured.n_controls[row])) for row in chosen]
        cells: dict[Context, int] = {}
        at = [row for row in chosen if known[row].time == query.time] or chosen
        for row in at:
            context = replace(known[row], time=query.time)
            cells[context] = cells.get(context, 0) + int(self.measured.n_controls[row])
        return list(cells.items())

    @cached_property
    def _position(self) -> dict[str, int]:
        return {gene: number for number, gene in enumerate(self.measured.genes)}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("missed", "_position")}
