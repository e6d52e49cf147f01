"""One task of a benchmark: one fitter on one split of one screen under one seed, from the data on disk to its scores.

In: a `Task`, plain and picklable. Out: a `TaskResult`; beside it a JSON file of scores and npz files of the answers.
Whatever goes wrong is marked in the result: a task never raises.
"""

from __future__ import annotations

import io
import math
import os
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from experiments import controls
from experiments.answers import Answers, answers_of_control, answers_of_fitter
from experiments.benchmark_spec import FitterSpec, SplitSpec
from experiments.blas import one_blas_thread
from experiments.checkpoints import with_own_checkpoint
from experiments.estimates import write_estimates
from experiments.guard import guarded
from experiments.knowledge import forget_atlas, knowledge_of
from experiments.knowledge_spec import KnowledgeSpec
from experiments.loss_histories import write_history
from experiments.metrics import Judges, Reference, select_metrics
from experiments.outputs import Folder, read_json, write_json, write_whole
from experiments.scoring import FAILED, NOT_CLAIMED, OK, Score, score_answers
from experiments.training import Examination, conditions, examine
from fitters.contract import Fitter
from fitters.errors import FitterError, RefusedQueryError, one_line
from fitters.registry import load as load_fitter
from simcell.dataset import load as load_data
from simcell.errors import SimcellError


@dataclass(frozen=True)
class Task:
    """What is to be done.

    Attributes:
        id: unique in the benchmark; names the files of its results.
        screen: name of the screen.
        seed: seed of screen, split and fit.
        split: the split, as specified.
        fitter: the fitter, as specified; or a control, by its name.
        metrics: names of the metrics.
        folder: folder of the benchmark.
        fingerprint: digest of all that the result depends on.
        problem: why it cannot be done at all (its data could not be made); empty if it can.
        knowledge: what fitters are told beside the cells.
    """

    id: str
    screen: str
    seed: int
    split: SplitSpec
    fitter: FitterSpec
    metrics: tuple[str, ...]
    folder: Path
    fingerprint: str
    problem: str = ""
    knowledge: KnowledgeSpec = field(default_factory=KnowledgeSpec)


@dataclass(frozen=True)
class TaskResult:
    """What came of a task.

    Attributes:
        task: id of the task.
        status: "ok", "failed" or "not claimed".
        family: family of the fitter.
        claims: what the fitter claims, sorted; empty for a control, and where no fitter could be loaded.
        message: why not ok, or a note of the fit; one line.
        refusal: why there are no predictions, where there is another answer; one line.
        seconds: wall time of fit and answers.
        scores: one per metric of which what it judges was answered, if ok.
        labels: held-out perturbations, in the order of the scores' `per_query`.
        details: traceback of an unforeseen error.
    """

    task: str
    status: str
    family: str = ""
    claims: tuple[str, ...] = ()
    message: str = ""
    refusal: str = ""
    seconds: float = math.nan
    scores: tuple[Score, ...] = ()
    labels: tuple[str, ...] = ()
    details: str = ""


def run_task(task: Task) -> TaskResult:
    """Do a task and store its result; a task that was done before is read back, unless it failed."""
    folder = Folder(task.folder)
    done = read_result(folder.result(task.id), task.fingerprint)
    if done is not None and done.status != FAILED:
        return done
    if task.problem:
        result = TaskResult(task.id, FAILED, message=task.problem)
    else:
        with one_blas_thread():
            result = _attempt(task)
    try:
        write_result(folder.result(task.id), result, task.fingerprint)
    except SimcellError as error:
        return replace(result, status=FAILED, message=str(error), scores=())
    return result


def read_result(path: Path, fingerprint: str) -> TaskResult | None:
    """Return a stored result, if there is one with this fingerprint, and it is whole."""
    stored = read_json(path)
    if stored.pop("fingerprint", None) != fingerprint:
        return None
    try:
        scores = [(item["metric"], item["value"], item["per_query"], item["note"]) for item in stored["scores"]]
        parsed = tuple(
            Score(name, _number(value), tuple(map(_number, each)), note) for name, value, each, note in scores
        )
        rest = stored | {"scores": parsed, "seconds": _number(stored["seconds"])}
        rest |= {name: tuple(stored[name]) for name in ("labels", "claims")}
        return TaskResult(**rest)
    except (KeyError, TypeError, ValueError):
        return None


def write_result(path: Path, result: TaskResult, fingerprint: str) -> None:
    """Store a result; NaN becomes null."""
    write_json(path, {"fingerprint": fingerprint, **_without_nan(asdict(result))})


def _attempt(task: Task) -> TaskResult:
    fitter = None
    known: dict[str, Any] = {"family": controls.FAMILY}
    try:
        if task.fitter.name not in controls.CONTROLS:
            known = {}
            fitter = load_fitter(task.fitter.name, **task.fitter.options)
            fitter = with_own_checkpoint(fitter, Folder(task.folder), task=task.id, fingerprint=task.fingerprint)
            known = {"family": str(getattr(fitter, "family", "user")), "claims": tuple(sorted(map(str, fitter.claims)))}
        return replace(_evaluate(task, fitter), **known)
    except RefusedQueryError as error:
        return TaskResult(task.id, NOT_CLAIMED, message=str(error), **known)
    except SimcellError as error:
        cause = error.__cause__
        foreign = cause is not None and not isinstance(cause, SimcellError)
        details = "".join(traceback.format_exception(cause)) if cause is not None and foreign else ""
        return TaskResult(task.id, FAILED, message=str(error), details=details, **known)
    except Exception as error:
        return TaskResult(task.id, FAILED, message=one_line(error), details=traceback.format_exc(), **known)


def _evaluate(task: Task, fitter: Fitter | None) -> TaskResult:
    """Let a fitter, or the control if there is none, answer the questions of a task, and score the answers."""
    folder = Folder(task.folder)
    examination = _examination(folder, task)
    metrics = select_metrics(task.metrics)
    wanted = frozenset(metric.judges for metric in metrics)
    start = time.perf_counter()
    if fitter is None:
        second_draw = folder.data(task.screen, task.seed, replicate=controls.SECOND_DRAW)
        answers = answers_of_control(task.fitter.name, examination, wanted=wanted, second_draw=second_draw)
    else:
        try:
            with guarded(fitter.name, examination.training, truth=folder.data(task.screen, task.seed).parent):
                answers = answers_of_fitter(fitter, examination, wanted=wanted, title=task.fitter.title, seed=task.seed)
        except FitterError:
            _cached_examination.cache_clear()  # it may have spoilt what the next fitters would be given
            forget_atlas()
            raise
    seconds = time.perf_counter() - start
    _store(folder, task.id, examination, answers)
    scores = score_answers(answers, examination, metrics, claims=None if fitter is None else fitter.claims)
    if not scores:
        return TaskResult(task.id, NOT_CLAIMED, message=answers.refusal or "it claims nothing that is judged here")
    return TaskResult(
        task.id,
        OK,
        message="; ".join(answers.notes),
        refusal=answers.refusal,
        seconds=seconds,
        scores=scores,
        labels=examination.labels if answers.predicted is not None else (),
    )


def _store(folder: Folder, task: str, examination: Examination, answers: Answers) -> None:
    """Store what was answered, so that it can be scored again and drawn."""
    if answers.predicted is not None:
        _store_predictions(folder.prediction(task), examination, answers.predicted)
    if answers.estimates.network is not None or answers.estimates.kinetics is not None:
        write_estimates(folder.estimate(task), answers.estimates)
    write_history(folder.history(task), answers.history)


def _examination(folder: Folder, task: Task) -> Examination:
    """Return the examination, which all fitters of a split share; the newest few are kept in memory."""
    path, atlas = folder.data(task.screen, task.seed), folder.atlas(task.screen, task.seed)
    modified = tuple(os.stat(each / "zarr.json").st_mtime_ns for each in (path, atlas) if each.exists())
    cells = any(metric.judges is Judges.CELLS for metric in select_metrics(task.metrics))
    return _cached_examination(path, atlas, modified, task.split, task.seed, task.knowledge.model_dump_json(), cells)


@lru_cache(maxsize=2)
def _cached_examination(
    path: Path, atlas: Path, modified: tuple[int, ...], split: SplitSpec, seed: int, knowledge: str, cells: bool
) -> Examination:
    del modified  # only there so that data made anew under the same path are read anew
    tree = load_data(path)
    told = knowledge_of(tree, KnowledgeSpec.model_validate_json(knowledge), seed=seed, atlas=atlas)
    return examine(tree, split.split(conditions(tree), seed=seed), cells=cells, knowledge=told)


def _store_predictions(path: Path, examination: Examination, answers: Sequence[Reference]) -> None:
    """Store what was predicted, beside what was measured and true, as arrays over perturbations and genes."""
    questions = examination.questions
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        genes=np.array(examination.training.genes),
        perturbation=np.array(examination.labels),
        question=np.repeat(np.arange(len(questions)), [len(question.query) for question in questions]),
        predicted=np.concatenate([answer.profile for answer in answers]),
        predicted_control=np.stack([answer.control for answer in answers]),
        true=np.concatenate([question.truth.profile for question in questions]),
        true_control=np.stack([question.truth.control for question in questions]),
        measured=np.concatenate([question.measured.profile for question in questions]),
        measured_control=np.stack([question.measured.control for question in questions]),
    )
    write_whole(path, buffer.getvalue())


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
