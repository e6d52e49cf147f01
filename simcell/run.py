"""Cells through time: the one place where blocks of cells meet an engine and threads.

In: a model, an engine's name, a timeline or times, each cell's perturbation, a seed. Out: the states at the times
asked for. Whatever simulates, simulates through here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.engines import ENGINES, LANES, Engine, State
from simcell.errors import SpecError, nearest
from simcell.protocol import Segment, Timeline
from simcell.random import Purpose, kernel_key

if TYPE_CHECKING:
    import xarray as xr

Item = TypeVar("Item")
Result = TypeVar("Result")
MILLISECONDS = 3_600_000  # of an hour
# Noise moves the means of regulators by some percent from the noise-free fixed point at which cells begin; of that
# shift e^-8 is left after 8 lifetimes of the slowest mode, or a few times that at the end of a cascade.
BURN_IN_LIFETIMES = 8.0


@dataclass(frozen=True, eq=False)
class Course:
    """What all cells of a run share: the engine, the media as signal levels, the timeline and the time before it."""

    engine: Engine
    media: Mapping[str, NDArray[np.float64]]
    timeline: Timeline
    burn_in_hours: float

    def start(self, *, cells: NDArray[np.int64], key: NDArray[np.uint32], expected: bool = False) -> State:
        """Return unperturbed cells at time 0, in the distribution of the wild type where the engine is stochastic."""
        needed_at = min(self.timeline.sampled_at, default=None)
        state = self.engine.start(cells.size, expected=expected, needed_at=needed_at)
        if self.engine.stochastic and self.burn_in_hours > 0.0:
            self.engine.advance(
                state,
                CellEffects.none(cells.size),
                signals=next(iter(self.media.values())),
                time=-self.burn_in_hours,
                hours=self.burn_in_hours,
                key=key,
                cells=cells,
            )
        return state

    def follow(
        self, state: State, effects: CellEffects, *, cells: NDArray[np.int64], key: NDArray[np.uint32]
    ) -> Iterator[State]:
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

    def finish(self, state: State, effects: CellEffects, *, cells: NDArray[np.int64], key: NDArray[np.uint32]) -> State:
        """Advance cells along the whole timeline and return the state."""
        for _ in self.follow(state, effects, cells=cells, key=key):
            pass
        return state


def course(
    model: CellModel,
    timeline: Timeline,
    *,
    engine: str = "langevin",
    step_hours: float = 1.0,
    burn_in_hours: float | None = None,
    media: Mapping[str, Mapping[str, float] | None] | None = None,
) -> Course:
    """Return how cells of a model go along a timeline.

    Args:
        media: signal levels of each medium, None being the reference; cells are in the first one before the protocol
            begins.
        burn_in_hours: time before the protocol; by default 8 lifetimes of the slowest mode of the wild type.

    Raises:
        SpecError: an unknown engine, a step or a burn-in that is no time.
    """
    if engine not in ENGINES:
        raise SpecError("engine", engine, f"one of {', '.join(ENGINES)}{nearest(engine, ENGINES)}")
    if not 0.0 < step_hours < np.inf:
        raise SpecError("step_hours", step_hours, "a finite number > 0")
    if burn_in_hours is not None and not 0.0 <= burn_in_hours < np.inf:
        raise SpecError("burn_in_hours", burn_in_hours, "a finite number >= 0")
    if burn_in_hours is None:
        burn_in_hours = float(np.ceil(BURN_IN_LIFETIMES / model.slowest_rate))
    levels = {name: model.signal_levels(signals) for name, signals in (media or {"base": None}).items()}
    return Course(ENGINES[engine](model, step_hours=step_hours), levels, timeline, burn_in_hours)


def block_slices(n_cells: int, *, lanes: int = LANES) -> list[slice]:
    """Return the blocks of cells that are simulated together."""
    return [slice(first, min(first + lanes, n_cells)) for first in range(0, n_cells, lanes)]


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_threads(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    n_threads: int | None = None,
    progress: str | None = None,
) -> list[Result]:
    """Return work(item) for every item, in order, done by threads; kernels hold no lock.

    The first error ends it: what has not begun is not begun any more.

    Args:
        n_threads: number of threads; by default as many as there are cores.
        progress: what to call the progress bar; none is shown without, nor where standard error is no terminal.
    """
    from tqdm import tqdm

    if n_threads is not None and n_threads < 1:
        raise SpecError("n_threads", n_threads, ">= 1")
    pool = ThreadPoolExecutor(n_threads or available_cores())
    try:
        bar = tqdm(total=len(items), desc=progress, disable=None if progress else True, leave=False)
        with bar:
            futures = [pool.submit(work, item) for item in items]
            for future in futures:
                future.result()
                bar.update()
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def run_cells(
    model: CellModel,
    *,
    engine: str = "langevin",
    times: Sequence[float],
    n_cells: int,
    guides: CellEffects | None = None,
    medium: Mapping[str, float] | None = None,
    seed: int = 0,
    step_hours: float = 1.0,
    burn_in_hours: float | None = None,
    n_threads: int | None = None,
) -> xr.Dataset:
    """Simulate cells and record them: the low-level entry to all engines.

    Args:
        engine: one of `ENGINES`.
        times: hours after the start at which to record, increasing, >= 0. At time 0 cells are wild type.
        n_cells: number of independent cells; cell i has the same noise in every call with the same seed and steps.
            (Times that are no multiples of the step change the steps; and a gene that regulates nothing is simulated
            only from ten of its lifetimes before the first time on.)
        guides: perturbation of each cell (n_cells rows), from `CellEffects.of` or a library; none by default.
        medium: signal levels from time 0 on; the reference by default.
        seed: root seed. step_hours: longest step of the stochastic engine.
        burn_in_hours: time before 0; by default 8 lifetimes of the wild type's slowest mode.
        n_threads: threads; the result does not depend on it.

    Returns:
        Dataset with dims (time, cell, gene): `intensity`, expected mRNA molecules given the cell's history; `mrna`,
        molecules, a Poisson draw of it (under `ode` too); and (time, cell, regulator) `protein`, molecules.

    Raises:
        SpecError: times that do not increase, no cell, guides of another number of cells.
    """
    import xarray as xr

    from simcell.assay import require_countable
    from simcell.kernels.counts import draw_molecules

    times = [float(time) for time in times]
    if not times or not all(0.0 <= time < np.inf for time in times) or any(b <= a for a, b in pairwise(times)):
        raise SpecError("times", times, "a list of increasing hours >= 0")
    if seed < 0:
        raise SpecError("seed", seed, ">= 0")
    if n_cells < 1:
        raise SpecError("n_cells", n_cells, ">= 1")
    effects = CellEffects.none(n_cells) if guides is None else guides
    if effects.n_cells != n_cells:
        raise SpecError("guides", f"for {effects.n_cells} cells", f"for {n_cells} cells, as n_cells says")
    segments = (Segment("medium", 0.0, times[-1]),) if times[-1] > 0.0 else ()
    levels = dict(zip(model.signals, model.reference, strict=True))
    plan = course(
        model,
        Timeline(segments, 0.0, None, tuple(times)),
        engine=engine,
        step_hours=step_hours,
        burn_in_hours=burn_in_hours,
        media={"reference": levels, "medium": levels if medium is None else medium},
    )
    n_genes, n_regulators = model.network.n_genes, model.network.n_regulators
    intensity = np.empty((len(times), n_cells, n_genes), np.float32)
    level = np.empty((len(times), n_cells, n_regulators), np.float32)
    molecules = np.empty(intensity.shape, np.int32)
    key = kernel_key(seed, Purpose.DYNAMICS)
    # by the millisecond, so that further times change nothing at this one; a screen's keys have one number, these two
    counting = [kernel_key(seed, Purpose.MOLECULES, 0, round(time * MILLISECONDS)) for time in times]

    def simulate(block: slice) -> None:
        cells = np.arange(block.start, block.stop, dtype=np.int64)
        state = plan.start(cells=cells, key=key)
        for number, now in enumerate(plan.follow(state, effects.take(block), cells=cells, key=key)):
            intensity[number, block] = now.intensity.T
            level[number, block] = now.level[:n_regulators].T
            drawn = draw_molecules(intensity[number, block], counting[number], cells, molecules[number, block])
            require_countable(drawn)

    map_threads(simulate, block_slices(n_cells), n_threads=n_threads)
    names = np.array(model.network.genes)
    return xr.Dataset(
        {
            "mrna": (("time", "cell", "gene"), molecules, {"unit": "molecules"}),
            "intensity": (("time", "cell", "gene"), intensity, {"unit": "molecules"}),
            "protein": (
                ("time", "cell", "regulator"),
                (level * model.protein_mean).astype(np.float32),
                {"unit": "molecules"},
            ),
        },
        coords={"time": times, "gene": names, "regulator": names[model.network.regulators]},
        attrs={"engine": engine, "seed": seed},
    )
