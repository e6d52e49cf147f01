"""A protocol is a word of steps; each step is an operator that writes its part of the cells' timeline.

In: the steps of a specification, in order. Out: a `Timeline`: which medium when, when perturbations begin, and when
cells are measured. Steps do not commute: culture before transduction is not culture after it.

To add a step: its model in `spec/protocol_steps.py`, and here one function registered for that model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from simcell.spec.protocol_steps import CultureStep, HarvestStep, SampleStep, TransduceStep


@dataclass(frozen=True)
class Segment:
    """A stretch of time in one medium; hours since the start of the protocol."""

    medium: str
    start: float
    end: float


@dataclass(frozen=True)
class Timeline:
    """What happens to every cell, in hours since the start of the protocol.

    Attributes:
        segments: the media, one after another.
        transduced_at: when constructs enter cells; None before.
        moi: mean number of constructs per cell; None: exactly one each.
        sampled_at: when cells are measured.
    """

    segments: tuple[Segment, ...] = ()
    transduced_at: float | None = None
    moi: float | None = None
    sampled_at: tuple[float, ...] = ()

    @property
    def now(self) -> float:
        """The end of what has been written so far."""
        return self.segments[-1].end if self.segments else 0.0

    def medium_at(self, time: float) -> str | None:
        """Return the medium in which cells have been up to `time`; None if the protocol puts them in none."""
        return next((segment.medium for segment in self.segments if time <= segment.end), None)

    def sample_of(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position in `sampled_at` (N,) at which each cell is taken: they take turns by their number."""
        return cells % max(len(self.sampled_at), 1)

    def until(self, sample: int) -> Timeline:
        """Return the timeline of the cells that are taken at one position of `sampled_at`: it ends there."""
        end = self.sampled_at[sample]
        kept = tuple(
            Segment(segment.medium, segment.start, min(segment.end, end))
            for segment in self.segments
            if segment.start < end
        )
        return dataclasses.replace(self, segments=kept, sampled_at=(end,))

    def stretches(self) -> Iterable[tuple[Segment, bool]]:
        """Yield stretches in one medium, cut at every sampling time, and whether cells are measured at the end of each.

        Segments of one medium are one stretch, so that culture in two parts is the same culture to the bit.
        """
        for medium, group in groupby(self.segments, key=lambda segment: segment.medium):
            together = list(group)
            start, last = together[0].start, together[-1].end
            for end in sorted({t for t in self.sampled_at if start < t < last} | {last}):
                yield Segment(medium, start, end), end in self.sampled_at
                start = end


@singledispatch
def apply_step(step: object, timeline: Timeline) -> Timeline:
    """Return the timeline after one more step."""
    raise TypeError(f"{type(step).__name__} is not a step of a protocol")


@apply_step.register
def _culture(step: CultureStep, timeline: Timeline) -> Timeline:
    """Add a segment in the step's medium."""
    segment = Segment(step.medium, timeline.now, timeline.now + step.hours)
    return dataclasses.replace(timeline, segments=(*timeline.segments, segment))


@apply_step.register
def _transduce(step: TransduceStep, timeline: Timeline) -> Timeline:
    """From now on cells carry their constructs; the guides' own onset counts from here."""
    return dataclasses.replace(timeline, transduced_at=timeline.now, moi=step.moi)


@apply_step.register
def _sample(step: SampleStep, timeline: Timeline) -> Timeline:
    """Measure a share of the cells now."""
    return dataclasses.replace(timeline, sampled_at=(*timeline.sampled_at, timeline.now))


@apply_step.register
def _harvest(step: HarvestStep, timeline: Timeline) -> Timeline:
    """Measure the cells that are left now."""
    return dataclasses.replace(timeline, sampled_at=(*timeline.sampled_at, timeline.now))


def timeline_of(steps: Iterable[object]) -> Timeline:
    """Return the timeline of a whole protocol."""
    timeline = Timeline()
    for step in steps:
        timeline = apply_step(step, timeline)
    return timeline
