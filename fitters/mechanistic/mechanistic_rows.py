"""What `ode-mechanistic` learns from: trajectories of levels over control, one for each arm and perturbation.

In: training data. Out: `Trajectories`, levels with errors on one grid of hours, who is perturbed since when, and the
signals of the media on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.course_levels import CourseLevels, course_levels
from fitters.errors import FitterError
from fitters.experiment import Experiment, Stretch
from fitters.mechanistic.mechanistic_media import Media
from fitters.training_data import TrainingData
from simcell.labels import CONTROL

FloatArray = NDArray[np.float64]

# Errors of levels are taken to be no smaller than this: no screen measures better, and no model is right to that.
LEAST_ERROR = 1e-3
# Median relative error of levels up to which the bend of a production function can be told. Noise in the inputs, which
# the errors of the parameters do not know of, bends as well.
LARGEST_ERROR = 0.01


@dataclass(frozen=True, eq=False)
class Context:
    """An arm, hour and medium of the data: total (G,) counts of its controls, and their trajectory and hour's place."""

    arm: str
    medium: str
    hour: float
    total: FloatArray
    row: int
    slot: int


@dataclass(frozen=True, eq=False)
class Trajectories:
    """J trajectories on a grid of I hours, G genes sorted by name, T knock-downs, S signals.

    Args:
        genes: G names, sorted.
        arm, label, medium: J names each; the medium is that of the last sample.
        hours: (I,) hours since the start of the protocol, ascending.
        begin: hour before which all cells are as the control.
        level: (J, I, G) over control; where nothing was measured, as before (1 at first).
        error: (J, I, G) standard error, at least LEAST_ERROR; infinite where nothing was measured.
        pooled: (J, I, G) levels over control without regard to batches.
        observed: (J, I) whether there are cells.
        cells: (J, I) how many.
        signal: (J, I, S) levels of signals in the interval that ends at each hour.
        since: (J,) hour of transduction.
        pairs: T (arm, target) of which the strength of the knock-down is a parameter.
        knocked: (J, T) which of them act.
        target: (T,) column of each.
        strength: (T,) level of each target at the last hour, a first guess.
        origin: trajectory and hour of the controls that levels are relative to.
        media: signals of media.
        regulators: (R,) columns of the genes that are perturbed and measured, sorted.
        measured: (G,) genes with counts enough.
        contexts: all arms, hours and media of the data.
        notes: what a reader should know.
    """

    genes: tuple[str, ...]
    arm: tuple[str, ...]
    label: tuple[str, ...]
    medium: tuple[str, ...]
    hours: FloatArray
    begin: float
    level: FloatArray
    error: FloatArray
    pooled: FloatArray
    observed: NDArray[np.bool_]
    cells: NDArray[np.int64]
    signal: FloatArray
    since: FloatArray
    pairs: tuple[tuple[str, str], ...]
    knocked: NDArray[np.bool_]
    target: NDArray[np.intp]
    strength: FloatArray
    origin: tuple[int, int]
    media: Media
    regulators: NDArray[np.intp]
    measured: NDArray[np.bool_]
    contexts: tuple[Context, ...]
    notes: tuple[str, ...] = ()

    @property
    def control(self) -> NDArray[np.bool_]:
        """(J,) whether a trajectory is of control cells."""
        return np.array([label == CONTROL for label in self.label])

    @property
    def precise(self) -> bool:
        """Whether levels are measured well enough for what only the bend of a production function tells."""
        return float(np.median(self.error[np.isfinite(self.error)])) < LARGEST_ERROR


def trajectories(data: TrainingData, *, fitter: str, last_only: bool) -> Trajectories:
    """Return the trajectories of training data; `last_only` keeps the last hour of each arm and medium.

    Raises:
        FitterError: no perturbation, or none whose targets were all measured.
        TrainingDataError: a context without controls.
    """
    if not data.perturbations:
        raise FitterError(fitter, "the training data have no perturbation")
    levels = course_levels(data)
    column = np.array(sorted(range(data.n_genes), key=data.genes.__getitem__), dtype=np.intp)
    genes = tuple(data.genes[position] for position in column)
    index = {gene: position for position, gene in enumerate(genes)}
    known = {gene for gene, measured in zip(genes, levels.measured[column], strict=True) if measured}
    rows = [row for row, label in enumerate(levels.label) if label == CONTROL or known.issuperset(data.targets(label))]
    if all(levels.label[row] == CONTROL for row in rows):
        raise FitterError(fitter, "no training perturbation has targets that were all measured")
    left_out = len({levels.label[row] for row in range(len(levels.label))} - {levels.label[row] for row in rows})
    if last_only:
        latest: dict[tuple[str, str], float] = {}
        for row in rows:
            key = (levels.arm[row], _path_key(data, levels, row))
            latest[key] = max(latest.get(key, 0.0), levels.time[row])
        rows = [row for row in rows if levels.time[row] == latest[(levels.arm[row], _path_key(data, levels, row))]]
        hours = np.array([max(levels.time[row] for row in rows)])
        slot = dict.fromkeys(rows, 0)
    else:
        breaks = {
            stretch.end
            for row in rows
            for stretch in _stretches(data, levels.arm[row], levels.time[row], levels.medium[row])
        }
        hours = np.array(sorted(breaks | {float(levels.time[row]) for row in rows}))
        slot = {row: int(np.searchsorted(hours, levels.time[row])) for row in rows}
    keys = sorted({(levels.arm[row], _path_key(data, levels, row), levels.label[row]) for row in rows})
    place = {key: number for number, key in enumerate(keys)}
    shape = (len(keys), hours.size, len(genes))
    level, error = np.full(shape, np.nan), np.full(shape, np.inf)
    pooled, observed = np.ones(shape), np.zeros(shape[:2], dtype=bool)
    cells = np.zeros(shape[:2], dtype=np.int64)
    medium = [""] * len(keys)
    last = np.full(len(keys), -1.0)
    measured = levels.measured[column]
    without_batches = _pooled_levels(data, levels, rows)
    own_error = _control_error(data, levels)
    for row in rows:
        j = place[(levels.arm[row], _path_key(data, levels, row), levels.label[row])]
        at = (j, slot[row])
        level[at] = levels.ratio[row, column]
        found = levels.standard_error[row]
        if levels.label[row] == CONTROL and levels.context[row] == 0:
            found = own_error
        error[at] = np.where(measured, np.maximum(found[column], LEAST_ERROR), np.inf)
        pooled[at] = without_batches[row][column]
        observed[at], cells[at] = True, levels.n_cells[row]
        if levels.time[row] > last[j]:
            last[j], medium[j] = levels.time[row], levels.medium[row]
    first_row = int(np.flatnonzero((levels.context == 0) & levels.control)[0])
    first_paths = _stretches(data, levels.arm[first_row], levels.time[first_row], levels.medium[first_row])
    before = _experiment(data, levels.arm[first_row]).begins_in
    reference = before or (first_paths[0].medium if first_paths else levels.medium[first_row])
    paths = [_stretches(data, key[0], hours[-1], medium[j]) for j, key in enumerate(keys)]
    everywhere = tuple(sorted({stretch.medium for path in paths for stretch in path} | set(medium) | {reference}))
    media = Media.of(data.experiments, everywhere, reference=reference)
    signal = np.array(
        [
            [media.levels(medium[j] if last_only else _medium_before(path, hour, medium[j])) for hour in hours]
            for j, path in enumerate(paths)
        ]
    ).reshape(len(keys), hours.size, len(media.names))
    since = np.array([_experiment(data, key[0]).transduced_at for key in keys])
    pairs = tuple(sorted({(key[0], target) for key in keys for target in data.targets(key[2])}))
    knocked = np.array([[(key[0] == arm and target in data.targets(key[2])) for arm, target in pairs] for key in keys])
    begin = _begin(paths, since, keys, reference)
    observed_origin = (first_row in rows) and (levels.arm[first_row], _path_key(data, levels, first_row), CONTROL)
    origin = (place[observed_origin], slot[first_row]) if observed_origin else (int(_first_control(keys)), 0)
    filled = _carried(level)
    target = np.array([index[gene] for _, gene in pairs], dtype=np.intp)
    return Trajectories(
        genes=genes,
        arm=tuple(key[0] for key in keys),
        label=tuple(key[2] for key in keys),
        medium=tuple(medium),
        hours=hours,
        begin=begin,
        level=filled,
        error=error,
        pooled=pooled,
        observed=observed,
        cells=cells,
        signal=signal,
        since=since,
        pairs=pairs,
        knocked=knocked.reshape(len(keys), len(pairs)),
        target=target,
        strength=_strengths(filled, knocked, target),
        origin=origin,
        media=media,
        regulators=np.unique(target),
        measured=measured,
        contexts=_contexts(data, levels, column, place, None if last_only else hours),
        notes=(f"{left_out} perturbations have a target that was not measured: left out",) if left_out else (),
    )


def _contexts(
    data: TrainingData,
    levels: CourseLevels,
    column: NDArray[np.intp],
    place: Mapping[tuple[str, str, str], int],
    hours: FloatArray | None,
) -> tuple[Context, ...]:
    found = []
    for row in np.flatnonzero(levels.control).tolist():
        key = (levels.arm[row], _path_key(data, levels, row), CONTROL)
        slot = 0 if hours is None else int(np.searchsorted(hours, levels.time[row]))
        hour = float(levels.time[row])
        found.append(Context(key[0], levels.medium[row], hour, _total(data, levels, row)[column], place[key], slot))
    return tuple(found)


def _experiment(data: TrainingData, arm: str) -> Experiment:
    return data.experiments.get(arm, Experiment())


def _stretches(data: TrainingData, arm: str, time: float, medium: str) -> tuple[Stretch, ...]:
    return _experiment(data, arm).stretches(float(time), medium=medium)


def _path_key(data: TrainingData, levels: CourseLevels, row: int) -> str:
    """Return what tells trajectories of one arm and label apart: the medium, where no notes say what was done."""
    return "" if _experiment(data, levels.arm[row]).steps else levels.medium[row]


def _medium_before(path: tuple[Stretch, ...], hour: float, otherwise: str) -> str:
    for stretch in path:
        if stretch.start < hour <= stretch.end:
            return stretch.medium
    return path[0].medium if path and hour <= path[0].start else otherwise


def _begin(
    paths: list[tuple[Stretch, ...]], since: FloatArray, keys: list[tuple[str, str, str]], reference: str
) -> float:
    """Return the hour of the first event: a transduction, or another medium than the reference."""
    events = [stretch.start for path in paths for stretch in path if stretch.medium != reference]
    events += [when for when, key in zip(since.tolist(), keys, strict=True) if key[2] != CONTROL]
    return min(events)


def _first_control(keys: list[tuple[str, str, str]]) -> int:
    return next(number for number, key in enumerate(keys) if key[2] == CONTROL)


def _carried(level: FloatArray) -> FloatArray:
    """Return levels with the hours that were not measured filled by those before, 1 at first."""
    filled, before = level.copy(), np.ones_like(level[:, 0])
    for hour in range(level.shape[1]):
        filled[:, hour] = np.where(np.isnan(level[:, hour]), before, level[:, hour])
        before = filled[:, hour]
    return filled


def _strengths(level: FloatArray, knocked: NDArray[np.bool_], target: NDArray[np.intp]) -> FloatArray:
    """Return (T,) level of each target at the last hour, from the trajectory with the fewest targets."""
    n_targets = knocked.sum(axis=1)
    found = []
    for pair, column in enumerate(target):
        mine = np.flatnonzero(knocked[:, pair])
        fewest = mine[n_targets[mine] == n_targets[mine].min()]
        found.append(float(level[fewest, -1, column].mean()))
    return np.clip(np.array(found), 0.01, 20.0)


def _control_error(data: TrainingData, levels: CourseLevels) -> FloatArray:
    """Return the relative Poisson error of the controls of context 0, (G,)."""
    row = int(np.flatnonzero((levels.context == 0) & levels.control)[0])
    total = _total(data, levels, row)
    return 1.0 / np.sqrt(np.maximum(total, 1.0))


def _pooled_levels(data: TrainingData, levels: CourseLevels, rows: list[int]) -> dict[int, FloatArray]:
    """Return for every row (G,) levels over the controls of all batches together, of the same context."""
    found: dict[int, FloatArray] = {}
    control: dict[int, FloatArray] = {}
    move: dict[int, FloatArray] = {}
    for row in np.flatnonzero(levels.control).tolist():
        control[int(levels.context[row])] = _fraction(data, levels, row)
        move[int(levels.context[row])] = levels.ratio[row]
    for row in rows:
        context = int(levels.context[row])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(levels.measured, _fraction(data, levels, row) / control[context], 1.0)
        ratio = np.where(np.isfinite(ratio), ratio, 1.0)
        middle = float(np.median(ratio[levels.measured])) if levels.measured.any() else 1.0
        found[row] = ratio / (middle if middle > 0 else 1.0) * move[context]
    return found


def _fraction(data: TrainingData, levels: CourseLevels, row: int) -> FloatArray:
    total = _total(data, levels, row)
    return total / max(float(total.sum()), 1.0)


def _total(data: TrainingData, levels: CourseLevels, row: int) -> FloatArray:
    """Return the (G,) counts of all cells of a row, genes as in the data."""
    here = (data.time == levels.time[row]) & (data.arm == levels.arm[row]) & (data.medium == levels.medium[row])
    chosen = np.flatnonzero(here & (data.perturbation == levels.label[row]))
    return np.asarray(data.counts[chosen].sum(axis=0), dtype=np.float64)
