"""One world of the study of losses: simulated, and one fitter trained on it at every weight, from several starts.

In: a `WorldTask`. Out: rows of the study's table and the curves of every term; they are kept in a file, so that a study
that was stopped goes on where it was.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from experiments.blas import one_blas_thread
from experiments.outputs import read_json, slug, write_json
from experiments.splits import SPLITS
from experiments.studies.losses.probes import PROBES
from experiments.studies.losses.settings import FIRST_SAMPLE, RESTARTS, TERM, VARIANTS, Setting
from experiments.training import Examination, conditions, examine
from fitters.base import CheckedFit, LossHistory, checked_fit
from fitters.errors import one_line
from fitters.registry import load as load_fitter
from simcell.errors import SimcellError

FloatArray = NDArray[np.float64]
TEST_FRACTION = 0.5  # of the pairs; all single perturbations are known


@dataclass(frozen=True)
class WorldTask:
    """What is to be done: one setting under one seed, for one fitter; results go to `folder`."""

    setting: Setting
    seed: int
    fitter: str
    folder: Path
    fingerprint: str

    @property
    def path(self) -> Path:
        """The file of the results."""
        return self.folder / f"{slug(self.setting.name, self.fitter, f'seed{self.seed}')}.json"


def run_world(task: WorldTask) -> dict[str, list[dict[str, Any]]]:
    """Return {"rows": ..., "curves": ...} of one world; what was done before is read back."""
    done = read_json(task.path)
    if done.get("fingerprint") == task.fingerprint:
        return {"rows": done["rows"], "curves": done["curves"]}
    found = _run(task)
    if not any(row["problem"] for row in found["rows"]):  # what failed is tried again when the study is
        write_json(task.path, {"fingerprint": task.fingerprint, **found})
    return found


def died(task: WorldTask, problem: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a world whose process died."""
    return {"rows": [_row(task, task.fitter, math.nan, "error", None, problem)], "curves": []}


def _run(task: WorldTask) -> dict[str, list[dict[str, Any]]]:
    import simcell

    with tempfile.TemporaryDirectory(prefix="simcell-losses-") as folder:
        try:
            path = simcell.simulate(task.setting.screen(task.seed), Path(folder) / "x.zarr", progress=False)
            tree = simcell.load(path)
            examination = _examination(tree, task.seed)
        except SimcellError as error:
            return died(task, str(error))
        rows, curves = [], []
        nothing = _errors(examination, [question.measured.control for question in examination.questions])
        rows.append(_row(task, "no-change", math.nan, "error", nothing))
        fitter = task.fitter
        for weight in task.setting.weights:
            try:
                with one_blas_thread():
                    fits = [_fit(fitter, weight, examination, seed) for seed in range(RESTARTS)]
                    measured = _measured(fits, examination)
            except Exception as error:  # a probe may fail as it likes: the other weights are none the worse
                problem = str(error) if isinstance(error, SimcellError) else one_line(error)
                rows.append(_row(task, fitter, weight, "error", None, problem))
                continue
            rows += [_row(task, fitter, weight, metric, value) for metric, value in measured.items()]
            curves += [_curve(task, fitter, weight, fits[0].history)]
    return {"rows": rows, "curves": curves}


def _examination(tree: xr.DataTree, seed: int) -> Examination:
    split = SPLITS["unseen-double"](conditions(tree), seed=seed, name="unseen-double", test_fraction=TEST_FRACTION)
    return examine(tree, split)


def _fit(fitter: str, weight: float, examination: Examination, seed: int) -> CheckedFit:
    return checked_fit(
        load_fitter(VARIANTS[fitter].fitter, losses={TERM: weight}, **VARIANTS[fitter].options),
        examination.training,
        seed=seed,
    )


def _measured(fits: list[CheckedFit], examination: Examination) -> dict[str, float]:
    """Return error, spreads over restarts and spectral abscissa of the fits of one fitter at one weight."""
    errors = [_errors(examination, _predicted(fit, examination)) for fit in fits]
    probes = [PROBES[fit.fitter](fit.fit, examination.training) for fit in fits]
    parameters = [probe.parameters for probe in probes if probe.parameters is not None]
    found = {
        "error": float(np.mean(errors)),
        "spread of errors": float(np.std(errors, ddof=1) / np.mean(errors)),
        "spread of field": _spread(np.array([probe.field for probe in probes])),
        "spectral abscissa": float(np.mean([probe.abscissa for probe in probes])),
        "field at control": float(np.mean([probe.at_control / np.sqrt((probe.field**2).mean()) for probe in probes])),
    }
    return found | ({"spread of parameters": _spread(np.array(parameters))} if parameters else {})


def _spread(values: FloatArray) -> float:
    """Return the root mean variance over restarts (the first axis) over the root mean square."""
    return float(np.sqrt(values.var(axis=0, ddof=1).mean()) / np.sqrt((values**2).mean()))


def _predicted(fit: CheckedFit, examination: Examination) -> list[FloatArray]:
    return [fit.predict(question.query_for(fit.claims)).profile for question in examination.questions]


def _errors(examination: Examination, profiles: list[FloatArray]) -> float:
    """Return the mean squared error of predicted changes, over held-out perturbations, and times at which guides act.

    Changes are each against its own control, the measured or the true one, over the genes that are not targets: the
    noise of the measured control, which all fits share, is then no error of a fit.
    """
    column = {gene: number for number, gene in enumerate(examination.training.genes)}
    found: list[float] = []
    for question, profile in zip(examination.questions, profiles, strict=True):
        if question.query.time is not None and question.query.time <= FIRST_SAMPLE:
            continue
        square = (profile - question.measured.control - question.truth.delta) ** 2
        for row, targets in zip(square, question.query.perturbations, strict=True):
            others = np.ones(row.size, dtype=bool)
            others[[column[target] for target in targets]] = False
            found.append(float(row[others].mean()))
    return float(np.mean(found))


def _curve(task: WorldTask, fitter: str, weight: float, history: LossHistory) -> dict[str, Any]:
    return {
        "setting": task.setting.name,
        "seed": task.seed,
        "fitter": fitter,
        "weight": weight,
        "terms": list(history.terms),
        "training": history.training.tolist(),
        "held_out": [] if history.held_out is None else history.held_out.tolist(),
    }


def _row(
    task: WorldTask, fitter: str, weight: float, metric: str, value: float | None, problem: str = ""
) -> dict[str, Any]:
    setting = task.setting
    known = value is not None and math.isfinite(value)  # the file of the results has no NaN
    return {
        "controls": setting.controls,
        "hours": setting.hours,
        "cells": setting.cells,
        "seed": task.seed,
        "fitter": fitter,
        "weight": None if math.isnan(weight) else weight,
        "metric": metric,
        "value": value if known else None,
        "problem": problem,
    }
