"""The measurement step of models that follow time: levels of every condition at every time and in every medium.

In: training data. Out: `CourseLevels`, levels relative to the controls of the reference context, with standard errors.
A context is an arm, a time and a medium; the reference is the earliest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fitters.errors import TrainingDataError
from fitters.measurement import Levels, relative_levels
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
        standard_error: (R, G) of `ratio`, from the spread between cells; 0 for the controls of context 0.
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

    ``x_pk = r_pk q_k`` in context k, r the ratio to the controls of the same context, q the ratio of those controls to
    those of context 0, which is measured as if the context were a perturbation of them: against controls of the same
    batches where context 0 has some there, so that what batches do to counts cancels, and over its median, so that most
    genes stay where they are. Where contexts share no batch, the difference between their batches is in q, for all
    conditions alike, and not in its standard error. Batches of the same name are one, in whatever arm.

    Standard errors: the controls of context k are in r and in q and cancel from the product, so that
    ``Var x = q^2 v_p + r^2 v_0 + (q^2 v_k(p) - r^2 v_k)_+``, with v_p and v_0 the parts of the condition and of the
    controls of context 0, v_k that of the controls of context k, and v_k(p) the same weighted as p is between batches.

    Raises:
        TrainingDataError: a context without control cells, by name.
    """
    keys = sorted(set(zip(data.time.tolist(), data.arm.tolist(), data.medium.tolist(), strict=True)))
    cells = [
        np.flatnonzero((data.time == time) & (data.arm == arm) & (data.medium == medium)) for time, arm, medium in keys
    ]
    for here, (time, arm, medium) in zip(cells, keys, strict=True):
        if not (data.perturbation[here] == CONTROL).any():
            raise TrainingDataError("perturbation", f"no controls at {time:g} h in medium {medium!r} of {arm!r}")
    within = [relative_levels(data.take(here)) for here in cells]
    between = _levels_of_controls(data, cells)
    measured = np.logical_and.reduce([levels.measured for levels in within])
    rows: list[tuple[str, str, str, float, int]] = []
    ratios, errors = [], []
    for number, (levels, (time, arm, medium)) in enumerate(zip(within, keys, strict=True)):
        at = between.row[_name(number)]
        r, q, q_error = levels.ratio, between.ratio[at], between.standard_error[at]
        own, q_own = levels.own_error, between.own_error[at]
        of_controls = np.maximum(q**2 * (levels.standard_error**2 - own**2) - r**2 * q_own**2, 0.0)
        error = np.sqrt(q**2 * own**2 + of_controls + r**2 * (q_error**2 - q_own**2))
        error[0] = q_error  # the controls themselves
        ratios.append(np.where(measured, r * q, 1.0))
        errors.append(np.where(measured, error, 0.0))
        rows += [(arm, medium, label, time, number) for label in levels.conditions]
    arms, media, labels, times, contexts = zip(*rows, strict=True)
    return CourseLevels(
        arm=arms,
        medium=media,
        label=labels,
        time=np.array(times),
        context=np.array(contexts),
        ratio=np.concatenate(ratios),
        standard_error=np.concatenate(errors),
        n_cells=np.concatenate([levels.n_cells for levels in within]),
        fraction=within[0].fraction,
        measured=measured,
    )


def _levels_of_controls(data: TrainingData, cells: list[NDArray[np.intp]]) -> Levels:
    """Return the levels of the controls of every context, those of context 0 being the control."""
    context = np.empty(data.n_cells, dtype=np.intp)
    for number, here in enumerate(cells):
        context[here] = number
    chosen = np.flatnonzero(data.perturbation == CONTROL)
    labels = np.array([_name(number) for number in range(len(cells))])
    return relative_levels(replace(data.take(chosen), perturbation=labels[context[chosen]]))


def _name(context: int) -> str:
    return f"context{context}" if context else CONTROL
