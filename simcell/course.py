"""The course of cells through time: a model and an engine along a timeline of media, with a burn-in before it.

In: a model, an engine's name, a timeline. Out: a `Course`, which starts a block of cells, advances it and stops at
every sampling time. Whatever simulates, simulates through here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.engines import ENGINES, Engine, Observation
from simcell.engines.base import Start
from simcell.errors import SimcellError, SpecError, nearest
from simcell.kernels.counts import draw_molecules
from simcell.protocol import Timeline
from simcell.soundness import hours_or_none, require_sound

# Noise moves the means of regulators by some percent from the noise-free fixed point at which cells begin; of that
# shift e^-8 is left after 8 lifetimes of the slowest mode, or a few times that at the end of a cascade.
BURN_IN_LIFETIMES = 8.0
# Most of that time only forgets where cells began, for which steps of twice the length do.
HASTY_SHARE, HASTE = 0.75, 2.0
Medium = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Course:
    """What all cells of a run share: the engine, the media as signal levels, the timeline and the time before it."""

    engine: Engine
    hasty: Engine  # the same with longer steps, for most of the burn-in
    media: Mapping[str, NDArray[np.float64]]
    timeline: Timeline
    burn_in_hours: float

    def start(
        self,
        *,
        cells: NDArray[np.int64],
        key: NDArray[np.uint32],
        expected: bool = False,
        initial: Start | None = None,
    ) -> Any:
        """Return unperturbed cells at time 0: as given, or in the wild type's distribution if the engine has noise."""
        needed_at = min(self.timeline.sampled_at, default=None)
        state = self.engine.start(cells, key=key, expected=expected, needed_at=needed_at, initial=initial)
        if self.engine.stochastic and self.burn_in_hours > 0.0 and initial is None:
            hasty_hours = HASTY_SHARE * self.burn_in_hours
            for engine, end, hours in (
                (self.hasty, hasty_hours - self.burn_in_hours, hasty_hours),
                (self.engine, 0.0, self.burn_in_hours - hasty_hours),
            ):
                engine.advance(
                    state,
                    CellEffects.none(cells.size),
                    signals=next(iter(self.media.values())),
                    time=end - hours,
                    hours=hours,
                    key=key,
                    cells=cells,
                )
        return state

    def follow(
        self, state: Any, effects: CellEffects, *, cells: NDArray[np.int64], key: NDArray[np.uint32]
    ) -> Iterator[Any]:
        """Advance cells along the timeline; yield the state, which goes on changing, at every sampling time."""
        if 0.0 in self.timeline.sampled_at:
            yield state
        for segment, sampled in self.timeline.stretches():
            self.engine.advance(
                state,
                effects,
                signals=self.media[segment.medium],
                time=segment.start,
                hours=segment.end - segment.start,
                key=key,
                cells=cells,
            )
            if sampled:
                yield state

    def finish(self, effects: CellEffects, *, cells: NDArray[np.int64], key: NDArray[np.uint32]) -> Observation:
        """Take cells from their beginning along the whole timeline and return what is in them at its end."""
        state = self.start(cells=cells, key=key)
        for _ in self.follow(state, effects, cells=cells, key=key):
            pass
        return self.engine.observe(state)

    def until(self, sample: int) -> Course:
        """Return the course of the cells that are taken at one sampling time."""
        return replace(self, timeline=self.timeline.until(sample))


def course(
    model: CellModel,
    timeline: Timeline,
    *,
    engine: str = "langevin",
    step_hours: float | None = None,
    burn_in_hours: float | None = None,
    media: Mapping[str, Medium | None] | None = None,
) -> Course:
    """Return how cells of a model go along a timeline.

    Args:
        step_hours: longest step; by default the engine chooses it from the model's half-lives, and takes steps of twice
            that for most of the burn-in.
        media: signal levels of each medium, None being the reference; cells are in the first one before the protocol
            begins.
        burn_in_hours: time before the protocol; by default 8 lifetimes of the slowest mode of the wild type.

    Raises:
        SpecError: an unknown engine or one that cannot simulate this model, a step or a burn-in that is no time, a
            model with rates that are none, or one without a stationary state to burn in to.
    """
    if engine not in ENGINES:
        raise SpecError("engine", engine, f"one of {', '.join(ENGINES)}{nearest(str(engine), ENGINES)}")
    step_hours = hours_or_none("step_hours", step_hours, zero=False)
    burn_in_hours = hours_or_none("burn_in_hours", burn_in_hours, zero=True)
    require_sound(model)
    made = ENGINES[engine](model, step_hours=step_hours)
    if burn_in_hours is None:
        if made.stochastic and not model.stable:
            raise SpecError(
                "burn_in_hours",
                None,
                "known for a wild type that is not stable (its slowest mode grows by "
                f"{model.spectral_abscissa:.2g} per hour): give the hours, 0 for none, or initial cells",
            )
        burn_in_hours = float(np.ceil(BURN_IN_LIFETIMES / model.slowest_rate))
    levels = {name: model.signal_levels(signals) for name, signals in (media or {"base": None}).items()}
    in_haste = step_hours is None and np.isfinite(made.step_hours)
    hasty = ENGINES[engine](model, step_hours=HASTE * made.step_hours) if in_haste else made
    return Course(made, hasty, levels, timeline, burn_in_hours)


def count_molecules(seen: Observation, *, key: NDArray[np.uint32], cells: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return mRNA molecules (L, G): counted by the engine, or Poisson draws of its intensities under a key (2,)."""
    return _counted(seen.mrna, seen.intensity, key, cells)


def count_unspliced(seen: Observation, *, key: NDArray[np.uint32], cells: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return unspliced transcripts (L, G), likewise."""
    return _counted(seen.unspliced, seen.unspliced_intensity, key, cells)


def _counted(
    molecules: NDArray[np.int32] | None,
    intensity: NDArray[np.float32] | None,
    key: NDArray[np.uint32],
    cells: NDArray[np.int64],
) -> NDArray[np.int32]:
    if molecules is not None:
        return molecules
    assert intensity is not None  # what an engine does not count, it has an intensity of
    drawn = np.empty(intensity.shape, np.int32)
    failures = draw_molecules(np.ascontiguousarray(intensity, np.float32), key, cells, drawn)
    if failures:
        raise SimcellError(f"{failures} counts: an intensity is not a number of molecules below 2^31")
    return drawn
