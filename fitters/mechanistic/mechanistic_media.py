"""Media as the mechanistic models know them: levels of signals, from the notes of the experiment or by name.

In: notes, names of media. Out: `Media`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fitters.experiment import Experiment


@dataclass(frozen=True)
class Media:
    """What the notes say of media, as levels of signals.

    Args:
        names: signals that tell the media apart: those of the notes, and ``medium NAME`` (1 in that medium) for one
            of which the notes say nothing that others do not have.
        level: medium -> levels of the signals.
        reference: medium of the control state: the one before the first step, by the notes, or else the first.
    """

    names: tuple[str, ...]
    level: Mapping[str, tuple[float, ...]]
    reference: str

    @classmethod
    def of(cls, experiments: Mapping[str, Experiment], media: tuple[str, ...], *, reference: str) -> Media:
        """Return the media of an experiment; `media` are the names of all that cells were in."""
        notes = [experiments[arm] for arm in sorted(experiments)]

        def said(medium: str, signal: str) -> float:
            return max((one.level(medium, signal) for one in notes if medium in one.media), default=0.0)

        signals = sorted({signal for one in notes for signal in one.signals})
        varying = [signal for signal in signals if len({said(medium, signal) for medium in media}) > 1]
        others = sorted(set(media) - {reference})
        seen = {tuple(said(reference, signal) for signal in varying)}
        unlike = []
        for medium in others:
            levels = tuple(said(medium, signal) for signal in varying)
            if levels in seen:
                unlike.append(medium)
            seen.add(levels)
        level = {
            medium: tuple(said(medium, signal) for signal in varying)
            + tuple(float(medium == other) for other in unlike)
            for medium in (reference, *others)
        }
        return cls((*varying, *(f"medium {medium}" for medium in unlike)), level, reference)

    def levels(self, medium: str) -> tuple[float, ...]:
        """Return the levels of all signals in a medium; those of the reference where it is not known."""
        return self.level.get(medium, self.level[self.reference])
