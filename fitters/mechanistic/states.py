"""Contexts of a screen and the word of steps that leads to each: what the models of states are driven by.

In: training cells as a table, and the laboratory's notes. Out: `Contexts`: arms, times and media that were measured,
with the word of steps before each; `Media`: what media hold, as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fitters.experiment import Experiment, Step
from fitters.training.cells import CellTable
from fitters.training_data import TrainingData

FloatArray = NDArray[np.float64]
Word = tuple[Step, ...]

# Where neither notes nor times say how long cells have carried their perturbation: hours that are taken for granted.
HOURS_UNKNOWN = 72.0


@dataclass(frozen=True)
class Context:
    """One arm at one time, its cells in one medium; hours since the start of the protocol."""

    time: float
    arm: str
    medium: str


@dataclass(frozen=True, eq=False)
class Contexts:
    """K contexts, the earliest first.

    Args:
        all: the contexts.
        experiments: arm -> notes; arms without any are one culture in the cell's medium, perturbed from the start.
        untimed: whether times say nothing (all 0, no notes); `HOURS_UNKNOWN` are then taken for granted.
        code: (N,) context of each cell of the table.
    """

    all: tuple[Context, ...]
    experiments: Mapping[str, Experiment]
    untimed: bool
    code: NDArray[np.intp]

    @classmethod
    def of(cls, table: CellTable, experiments: Mapping[str, Experiment]) -> Contexts:
        """Return the contexts of a table's cells."""
        labels = list(
            zip(
                table.time.tolist(),
                (table.arms[code] for code in table.arm.tolist()),
                (table.media[code] for code in table.medium.tolist()),
                strict=True,
            )
        )
        keys = sorted(set(labels))
        row = {key: number for number, key in enumerate(keys)}
        notes = {arm: experiments[arm] for arm in table.arms if arm in experiments and experiments[arm].steps}
        untimed = not notes and all(time == 0 for time, _, _ in keys)
        code = np.array([row[label] for label in labels], dtype=np.intp)
        return cls(tuple(Context(*key) for key in keys), notes, untimed, code)

    def word(self, context: Context) -> Word:
        """Return the steps that cells had gone through when they were taken, "culture" and "transduce" in order."""
        experiment = self.experiments.get(context.arm, Experiment())
        time = context.time + (HOURS_UNKNOWN if self.untimed else 0.0)
        word: list[Step] = []
        perturbed = False
        for stretch in experiment.stretches(time, medium=context.medium):
            if stretch.perturbed and not perturbed:
                word.append(Step("transduce"))
                perturbed = True
            word.append(Step("culture", stretch.medium, stretch.end - stretch.start))
        noted = not experiment.steps or any(step.kind == "transduce" for step in experiment.steps)
        if not perturbed and noted and experiment.transduced_at <= time:
            word.append(Step("transduce"))
        return tuple(word)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The word of each context."""
        return tuple(self.word(context) for context in self.all)

    @cached_property
    def hours(self) -> FloatArray:
        """(K,) hours since transduction; 0 before."""
        return np.array([hours_perturbed(word) for word in self.words])

    @property
    def without_cells(self) -> Contexts:
        """The same without the cells' codes, for fits to keep."""
        return replace(self, code=np.empty(0, dtype=np.intp))

    @property
    def drifting(self) -> bool:
        """Whether unperturbed cells may be elsewhere at the start than where they are first measured.

        So where several contexts were measured, or cells changed their medium before they were.
        """
        notes = self.experiments.get(self.all[0].arm)
        media = {step.medium for step in self.words[0] if step.kind == "culture"}
        media |= {notes.begins_in} if notes is not None and notes.begins_in and media else set()
        return len(self.all) > 1 or len(media) > 1


def hours_perturbed(word: Sequence[Step]) -> float:
    """Return the hours of culture after the first "transduce" of a word."""
    kinds = [step.kind for step in word]
    return float(sum(step.hours for step in word[kinds.index("transduce") :])) if "transduce" in kinds else 0.0


@dataclass(frozen=True, eq=False)
class Media:
    """Media as numbers: S features, relative to the medium in which cells begin, by the notes or else the first.

    Args:
        feature: medium -> (S,); levels of signals where notes say them, else one feature for each other medium.
        names: S names of the features.
    """

    feature: Mapping[str, FloatArray]
    names: tuple[str, ...]

    @classmethod
    def of(cls, contexts: Contexts, data: TrainingData) -> Media:
        """Return the media of an experiment, all that notes or cells name."""
        noted = [data.experiments[arm] for arm in sorted(data.experiments)]
        cultures = [step.medium for word in contexts.words for step in word if step.kind == "culture"]
        before = (
            contexts.experiments[contexts.all[0].arm].begins_in if contexts.all[0].arm in contexts.experiments else ""
        )
        first = before or (cultures[0] if cultures else contexts.all[0].medium)
        names = {first, *cultures, *(context.medium for context in contexts.all)}
        for experiment in noted:
            names |= {*experiment.media, *(step.medium for step in experiment.steps if step.kind == "culture")}
        media = sorted(names)
        signals = tuple(sorted({signal for experiment in noted for signal in experiment.signals}))
        level = {
            medium: np.array([max(one.level(medium, signal) for one in noted) for signal in signals], dtype=np.float64)
            for medium in media
        }
        if not signals or all((level[medium] == level[first]).all() for medium in media):
            others = tuple(medium for medium in media if medium != first)
            return cls({medium: np.array([float(medium == one) for one in others]) for medium in media}, others)
        away = {medium: level[medium] - level[first] for medium in media}
        unit = np.abs(np.array(list(away.values()))).max(axis=0)
        return cls({medium: away[medium] / np.where(unit > 0, unit, 1.0) for medium in media}, signals)
