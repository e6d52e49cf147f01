"""The measurement step of models that follow time: levels of every condition at every time and in every medium.

In: training data. Out: `CourseLevels`, levels relative to the controls of the reference context, with standard errors.
A context is an arm, a time and a medium; the reference is the earliest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.errors import TrainingDataError
from fitters.measurement import relative_levels
from fitters.training_data import TrainingData
from simcell.labels import CONTROL

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CourseLevels:
    """R rows, sorted by context and label (control first); G genes as in the training data.

    Args:
        arm, medium, label: R names each. time: (R,) hours since the start of the protocol.
        context: (R,) index of each row's context, in order of time.
        ratio: (R, G) level over that of the controls of context 0.
        standard_error: (R, G) of `ratio`; of controls, that of a ratio of two pools of counts.
        n_cells: (R,).
        fraction: (G,) fractions of the counts of the controls of context 0.
        measured: (G,) whether the controls have counts enough in every context.
    """

    arm: tuple[str, ...]
    medium: tuple[str, ...]
    label: tuple[str, ...]
    time: FloatArray
    context: NDArray[np.intp]
    ratio: FloatArray
    standard_error: FloatArray
    n_cells: NDArray[np.int64]
    fraction: FloatArray
    measured: NDArray[np.bool_]

    @property
    def control(self) -> NDArray[np.bool_]:
        """(R,) whether a row is of control cells."""
        return np.array([label == CONTROL for label in self.label])


def course_levels(data: TrainingData) -> CourseLevels:
    """Return levels by context: within one as `relative_levels`, between contexts by their controls.

    ``x_pc = r_pc * q_c``, r the ratio to the controls of the same context, q the ratio of those controls to those of
    context 0, divided by its median over measured genes (as between conditions, see `relative_levels`).

    Raises:
        TrainingDataError: a context without control cells, by name.
    """
    keys = sorted(set(zip(data.time.tolist(), data.arm.tolist(), data.medium.tolist(), strict=True)))
    rows: list[tuple[str, str, str, float, int]] = []
    ratios, errors, cells = [], [], []
    reference, reference_error = np.empty(0), np.empty(0)
    measured = np.ones(data.n_genes, dtype=bool)
    levels_of = []
    for time, arm, medium in keys:
        here = np.flatnonzero((data.time == time) & (data.arm == arm) & (data.medium == medium))
        if not (data.perturbation[here] == CONTROL).any():
            raise TrainingDataError("perturbation", f"no controls at {time:g} h in medium {medium!r} of {arm!r}")
        levels_of.append(relative_levels(data.take(here)))
        measured &= levels_of[-1].measured
    for context, (levels, (time, arm, medium)) in enumerate(zip(levels_of, keys, strict=True)):
        here = (data.time == time) & (data.arm == arm) & (data.medium == medium) & (data.perturbation == CONTROL)
        total = np.asarray(data.counts[np.flatnonzero(here)].sum(axis=0), dtype=np.float64)
        relative = 1.0 / np.sqrt(np.maximum(total, 1.0))  # Poisson, of pooled controls
        if context == 0:
            reference, reference_error = levels.fraction, relative
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.where(measured & (reference > 0), levels.fraction / reference, 1.0)
        moved = moved / (np.median(moved[measured]) if measured.any() else 1.0)
        between = np.zeros_like(relative) if context == 0 else np.hypot(relative, reference_error)
        ratios.append(np.where(measured, levels.ratio * moved, 1.0))
        errors.append(np.where(measured, np.hypot(levels.standard_error * moved, levels.ratio * moved * between), 0.0))
        cells.append(levels.n_cells)
        rows += [(arm, medium, label, time, context) for label in levels.conditions]
    arms, media, labels, times, contexts = zip(*rows, strict=True)
    return CourseLevels(
        arm=arms,
        medium=media,
        label=labels,
        time=np.array(times),
        context=np.array(contexts),
        ratio=np.concatenate(ratios),
        standard_error=np.concatenate(errors),
        n_cells=np.concatenate(cells),
        fraction=reference,
        measured=measured,
    )
