"""What an experimenter wrote down of an experiment: the word of steps that cells went through, and what media hold.

In: steps and media, as in a protocol. Out: `Experiment`, which says where a cell had been at any hour. No truth: all of
it stands in a laboratory's notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fitters.errors import TrainingDataError

STEPS = ("transduce", "culture", "sample", "harvest")


@dataclass(frozen=True)
class Step:
    """One step: "transduce", "culture" in a `medium` for `hours`, "sample" or "harvest"."""

    kind: str
    medium: str = ""
    hours: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in STEPS:
            raise TrainingDataError("experiments", f"step {self.kind!r} is not one of {', '.join(STEPS)}")
        if self.kind == "culture" and not (self.medium and 0 < self.hours < float("inf")):
            allowed = "hours are finite and > 0, and the medium has a name"
            raise TrainingDataError("experiments", f"culture for {self.hours!r} h in {self.medium!r}: {allowed}")


@dataclass(frozen=True)
class Stretch:
    """Hours since the start during which cells were in one medium, with or without their perturbation."""

    medium: str
    start: float
    end: float
    perturbed: bool


@dataclass(frozen=True)
class Experiment:
    """One arm of an experiment.

    Args:
        steps: in order; times of cells are hours since its first.
        media: medium -> signal -> level. Media that are not named hold no signal.
        begins_in: medium in which cells had been kept before the first step, long enough to be at rest in it; empty
            where the notes do not say.
    """

    steps: tuple[Step, ...] = ()
    media: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    begins_in: str = ""

    @property
    def transduced_at(self) -> float:
        """Hours since the start at which constructs entered cells; 0 where no step says."""
        now = 0.0
        for step in self.steps:
            if step.kind == "transduce":
                return now
            now += step.hours
        return 0.0

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals of its media, sorted."""
        return tuple(sorted({signal for levels in self.media.values() for signal in levels}))

    def level(self, medium: str, signal: str) -> float:
        """Return the level of a signal in a medium; 0 where nothing is said of it."""
        return float(self.media.get(medium, {}).get(signal, 0.0))

    def stretches(self, time: float, *, medium: str = "") -> tuple[Stretch, ...]:
        """Return where a cell that is taken at `time` had been, in order.

        Hours beyond the steps are spent in `medium`, or else in the last medium of the steps. Without steps, all hours
        are spent in `medium`, perturbed from the start.
        """
        found, now, perturbed = [], 0.0, not any(step.kind == "transduce" for step in self.steps)
        for step in self.steps:
            perturbed = perturbed or step.kind == "transduce"
            if step.kind != "culture":
                continue
            end = min(now + step.hours, time)
            if end > now:
                found.append(Stretch(step.medium, now, end, perturbed))
            now += step.hours
            if now >= time:
                break
        if now < time:
            found.append(Stretch(medium or (found[-1].medium if found else ""), now, time, perturbed))
        return tuple(found)
