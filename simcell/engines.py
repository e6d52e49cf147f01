"""Engines: what moves a block of cells through time. One class each, registered in `ENGINES` at the end.

In: a cell model; then, per call, a block's state, perturbations, signals and duration. Out: the state, advanced.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.errors import SimcellError
from simcell.kernels.langevin import langevin_steps
from simcell.kernels.ode import ode_solve

MAX_STEPS = 1_000_000
# A gene that regulates nothing is simulated only over the last 10 lifetimes of its mRNA before anybody looks: what its
# promoter did earlier weighs e^-10 = 5e-5, and the variance that is missing e^-20.
LIFETIMES_KEPT = 10.0
LANES = 128  # cells of a block: long enough for vector loops, short enough for the cache to hold 1,000 genes


@dataclass(eq=False)
class State:
    """A block of L cells at one time, genes and inputs by row; the arrays are advanced in place.

    Attributes:
        intensity: (G, L) latent mRNA, molecules per cell. level: (R+S, L) of regulators' proteins and signals.
        expected: (G, L) mean of intensity given its promoter's history, or (0, L) if it is not kept.
        wake: (G,) hours before which a gene need not be simulated; -inf for one that is simulated.
        draws: how many steps have drawn random numbers so far.
    """

    intensity: NDArray[np.floating]
    level: NDArray[np.floating]
    expected: NDArray[np.floating]
    wake: NDArray[np.float64]
    draws: int = 0

    def copy(self) -> State:
        """Return a state that can be advanced on its own."""
        return State(self.intensity.copy(), self.level.copy(), self.expected.copy(), self.wake.copy(), self.draws)


class Engine(Protocol):
    """The contract of an engine; `stochastic` says whether cells with the same perturbation differ."""

    stochastic: bool

    def start(self, n_cells: int, *, expected: bool = False, needed_at: float | None = None) -> State:
        """Return n_cells at the wild type's means; keep `expected` if asked to.

        needed_at: the first time at which anybody looks; what cannot matter then need not be simulated.
        """

    def advance(
        self,
        state: State,
        effects: CellEffects,
        *,
        signals: NDArray[np.float64],
        time: float,
        hours: float,
        key: NDArray[np.uint32],
        cells: NDArray[np.int64],
    ) -> None:
        """Advance state by `hours` from `time` at constant signals (S,); noise is that of cells (L,) under key (2,)."""


class Langevin:
    """Bursts as square-root diffusions (see `kernels/langevin.py`), in equal steps of at most `step_hours`."""

    stochastic = True

    def __init__(self, model: CellModel, *, step_hours: float = 1.0) -> None:
        self.model, self.step_hours = model, step_hours
        self.circuit = model.circuit(np.float32)

    def start(self, n_cells: int, *, expected: bool = False, needed_at: float | None = None) -> State:
        intensity = np.repeat(self.model.mean[:, None], n_cells, axis=1).astype(np.float32)
        level = np.repeat(self.model.reference_levels[:, None], n_cells, axis=1).astype(np.float32)
        wake = np.full(self.model.network.n_genes, -np.inf)
        if needed_at is not None:
            # one step earlier, since a gene wakes at the beginning of a step
            wake = needed_at - self.step_hours - LIFETIMES_KEPT / self.model.decay
            wake[self.model.network.regulators] = -np.inf
        return State(intensity, level, intensity.copy() if expected else np.empty((0, n_cells), np.float32), wake)

    def advance(
        self,
        state: State,
        effects: CellEffects,
        *,
        signals: NDArray[np.float64],
        time: float,
        hours: float,
        key: NDArray[np.uint32],
        cells: NDArray[np.int64],
    ) -> None:
        n_steps = max(1, math.ceil(hours / self.step_hours - 1e-9))
        state.level[self.model.network.n_regulators :] = signals[:, None]
        transcription, translation = effects.entries(self.model.network)
        langevin_steps(
            state.intensity,
            state.level,
            state.expected,
            state.wake,
            self.circuit,
            transcription,
            translation,
            key,
            cells,
            float(time),
            hours / n_steps,
            n_steps,
            state.draws,
        )
        state.draws += n_steps
        _refuse_nonfinite(self.model, state, cells, time + hours)


class Ode:
    """The mean-field equations, to a relative tolerance (see `kernels/ode.py`); all cells alike are the same."""

    stochastic = False

    def __init__(self, model: CellModel, *, step_hours: float = 1.0, tolerance: float = 1e-8) -> None:
        # the step adapts itself; `step_hours` is accepted so that all engines are made alike
        self.model, self.tolerance = model, tolerance
        self.circuit = model.circuit(np.float64)

    def start(self, n_cells: int, *, expected: bool = False, needed_at: float | None = None) -> State:
        intensity = np.repeat(self.model.mean[:, None], n_cells, axis=1)
        level = np.repeat(self.model.reference_levels[:, None], n_cells, axis=1)
        awake = np.full(self.model.network.n_genes, -np.inf)
        return State(intensity, level, intensity.copy() if expected else np.empty((0, n_cells)), awake)

    def advance(
        self,
        state: State,
        effects: CellEffects,
        *,
        signals: NDArray[np.float64],
        time: float,
        hours: float,
        key: NDArray[np.uint32],
        cells: NDArray[np.int64],
    ) -> None:
        n_genes, n_regulators = self.model.network.n_genes, self.model.network.n_regulators
        state.level[n_regulators:] = signals[:, None]
        every = np.concatenate([state.intensity, state.level[:n_regulators]])
        distinct, which = effects.distinct()
        _, first = np.unique(which, return_index=True)
        if not np.array_equal(every, every[:, first[which]]):  # cells of one perturbation that began differently
            distinct, which, first = effects, np.arange(cells.size), np.arange(cells.size)
        solved = np.ascontiguousarray(every[:, first])
        transcription, translation = distinct.entries(self.model.network)
        status = np.zeros(first.size, np.int64)
        ode_solve(
            solved,
            np.ascontiguousarray(state.level[:, first]),
            self.circuit,
            transcription,
            translation,
            float(time),
            float(hours),
            self.tolerance,
            MAX_STEPS,
            status,
        )
        if status.any():
            cell = int(cells[first[np.flatnonzero(status)[0]]])
            raise SimcellError(f"engine ode: no solution for cell {cell} between {time:g} and {time + hours:g} h")
        np.maximum(solved, 0.0, out=solved)  # the solver's error, within its tolerance, may have either sign
        state.intensity[:] = solved[:n_genes, which]
        state.level[:n_regulators] = solved[n_genes:, which]
        if state.expected.shape[0] > 0:
            state.expected[:] = state.intensity


def _refuse_nonfinite(model: CellModel, state: State, cells: NDArray[np.int64], time: float) -> None:
    """Stop with gene, cell and time where a value is no longer finite."""
    if np.isfinite(state.intensity.sum()) and np.isfinite(state.level.sum()):
        return
    bad = np.argwhere(~np.isfinite(state.intensity))
    gene, lane = bad[0] if bad.size else np.argwhere(~np.isfinite(state.level))[0]
    name = model.network.genes[gene if bad.size else model.network.regulators[gene]]
    raise SimcellError(f"engine langevin: {name} of cell {int(cells[lane])} is not finite at {time:g} h")


ENGINES: dict[str, Callable[..., Engine]] = {"langevin": Langevin, "ode": Ode}
