"""A benchmark: screens x seeds are simulated, then every fitter meets every split; a spec in, a folder of results out.

Tasks are independent and go through one map function (`experiments.runner`). What fails is marked and the rest goes on;
a run that was killed goes on when it is started again.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import controls
from experiments.benchmark_spec import BenchmarkSpec, FitterSpec, file_digest, fingerprint
from experiments.metrics import METRICS, select_metrics
from experiments.outputs import Folder, provenance, slug, write_json, write_whole
from experiments.runner import MapFunction, run_tasks
from experiments.scoring import BASELINE, COLUMNS, FAILED, anchor
from experiments.task import Task, TaskResult, run_task
from fitters.errors import one_line
from fitters.registry import load as load_fitter
from simcell import _version
from simcell.dataset import load as load_data
from simcell.errors import DataError, SimcellError
from simcell.spec import ScreenSpec, SpecMessage, dump_spec

ALWAYS = ("no-change", BASELINE)  # baselines that stand in every table, listed or not
SECOND_DRAW = 1  # replicate number of the screen's second draw
Simulate = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class BenchmarkResult:
    """What a benchmark gives back.

    Attributes:
        folder: where everything lies.
        scores: the table of ``scores.csv``.
        failures: one line per task that failed.
        report: path of the report; None if none was asked for.
    """

    folder: Path
    scores: pd.DataFrame
    failures: tuple[str, ...]
    report: Path | None


@dataclass(frozen=True)
class DataTask:
    """A data set to be simulated."""

    screen: ScreenSpec
    seed: int
    replicate: int
    path: Path
    n_threads: int
    progress: bool
    simulate: Simulate | None


def run_benchmark(
    spec: BenchmarkSpec,
    folder: str | Path,
    *,
    force: bool = False,
    jobs: int | None = None,
    map_function: MapFunction | None = None,
    simulate: Simulate | None = None,
    report: bool = True,
    progress: bool = True,
    command: Sequence[str] | None = None,
) -> BenchmarkResult:
    """Run a benchmark, or go on with one that was interrupted.

    Args:
        spec: the benchmark, with its screens in full (see `load_benchmark_spec`).
        folder: folder of the results; made if need be.
        force: replace a benchmark that stands in the folder, and start anew.
        jobs: number of tasks at once, instead of the specification's.
        map_function: runs tasks in the place of `experiments.runner`'s own, as for a cluster.
        simulate: makes data sets in the place of `simcell.simulate`, with the same arguments.
        report: whether to draw the report.
        progress: whether to show progress bars (never where stderr is no terminal).
        command: the command line to state in the report; that of this process by default.

    Raises:
        SimcellError: before any work, for a fitter that cannot be loaded, a folder that holds something else, or
            packages of the report that are not installed; later only where results cannot be written.
    """
    for number, fitter in enumerate(spec.fitters):
        try:
            load_fitter(fitter.name, **fitter.options)
        except SimcellError as error:
            raise SpecMessage(f"fitters[{number}]", str(error)) from None
    if report:
        _require_report_packages()
    home = Folder(Path(folder))
    if simulate is None:
        _check_screens(spec, home)
    digest = fingerprint(spec)
    home.prepare(digest, force=force)
    write_json(home.provenance, provenance(digest, command))
    write_whole(home.spec, dump_spec(spec))
    jobs = jobs or spec.jobs
    run: dict[str, Any] = {"jobs": jobs, "map_function": map_function, "progress": progress}

    data_tasks = _data_tasks(spec, home, jobs=jobs, simulate=simulate, progress=progress and jobs == 1)
    problems = dict(run_tasks(make_data, data_tasks, died=_no_data, description="screens", **run))
    tasks = [replace(task, problem=_data_problem(task, home, problems)) for task in plan(spec, home)]
    results = run_tasks(run_task, tasks, died=_died, description="fits", **run)

    scores = tabulate(tasks, {result.task: result for result in results})
    write_whole(home.scores, scores.to_csv(index=False))
    failures = tuple(
        f"{task.screen}, seed {task.seed}, {task.split.label}, {task.fitter.title}: {result.message}"
        for task, result in _paired(tasks, results)
        if result.status == FAILED
    )
    if report:
        from experiments.report import write_report

        write_report(home.path)
    return BenchmarkResult(home.path, scores, failures, home.report if report else None)


def plan(spec: BenchmarkSpec, folder: Folder) -> list[Task]:
    """Return all tasks of a benchmark; those that share data and split stand together, and find them in memory."""
    digest = fingerprint(spec)
    metrics = tuple(metric.name for metric in select_metrics(spec.metrics))
    listed = {fitter.title for fitter in spec.fitters}
    fitters = [
        *(FitterSpec(name=name) for name in ALWAYS if name not in listed),
        *spec.fitters,
        *(FitterSpec(name=name) for name in controls.CONTROLS),
    ]
    # A user's own file may change between two runs, and so may this program: then old results are not taken up.
    prints = [
        "-".join([digest, _version.__version__, *([file_digest(_file(fitter))] if _file(fitter) else [])])
        for fitter in fitters
    ]
    return [
        Task(
            id=slug(screen.name, f"seed{seed}", split.label, fitter.title),
            screen=screen.name,
            seed=seed,
            split=split,
            fitter=fitter,
            metrics=metrics,
            folder=folder.path,
            fingerprint=task_print,
        )
        for screen in spec.full_screens
        for seed in spec.seeds
        for split in spec.splits
        for fitter, task_print in zip(fitters, prints, strict=True)
    ]


def make_data(task: DataTask) -> tuple[Path, str]:
    """Simulate a data set unless it is there; return its path and, if it could not be made, why."""
    try:
        if not _is_there(task):
            _simulator(task)(
                task.screen.model_copy(update={"seed": task.seed}),
                task.path,
                replicate=task.replicate,
                n_threads=task.n_threads,
                progress=task.progress,
                force=True,
            )
    except SimcellError as error:
        return task.path, str(error)
    except Exception as error:
        return task.path, one_line(error)
    return task.path, ""


def tabulate(tasks: Sequence[Task], results: dict[str, TaskResult]) -> pd.DataFrame:
    """Return the tidy table of scores, anchored: one row per metric of every task, also of those without a score."""
    rows = []
    for task in tasks:
        result = results[task.id]
        found = {item.metric: item for item in result.scores}
        for name in task.metrics:
            item = found.get(name)
            rows.append(
                {
                    "screen": task.screen,
                    "seed": task.seed,
                    "split": task.split.label,
                    "fitter": task.fitter.title,
                    "family": result.family,
                    "metric": name,
                    "against": str(METRICS[name].against),
                    "value": item.value if item else float("nan"),
                    "n_queries": item.n_queries if item else 0,
                    "status": result.status,
                    "message": result.message,
                    "seconds": result.seconds,
                }
            )
    return anchor(pd.DataFrame(rows, columns=[column for column in COLUMNS if column != "anchored"]))


def _check_screens(spec: BenchmarkSpec, folder: Folder) -> None:
    """Build each screen that has no data yet, so that what is wrong with one is known before any is simulated."""
    from simcell import build_screen

    for number, screen in enumerate(spec.full_screens):
        if folder.data(screen.name, spec.seeds[0]).exists():
            continue
        try:
            build_screen(screen.model_copy(update={"seed": spec.seeds[0]}))
        except SimcellError as error:
            raise SpecMessage(f"screens[{number}] ({screen.name})", str(error)) from None


def _data_tasks(
    spec: BenchmarkSpec, folder: Folder, *, jobs: int, simulate: Simulate | None, progress: bool
) -> list[DataTask]:
    n_threads = max(1, (os.cpu_count() or 1) // jobs)
    return [
        DataTask(
            screen=screen,
            seed=seed,
            replicate=number,
            path=folder.data(screen.name, seed, replicate=number),
            n_threads=n_threads,
            progress=progress,
            simulate=simulate,
        )
        for screen in spec.full_screens
        for seed in spec.seeds
        for number in (0, SECOND_DRAW)
    ]


def _is_there(task: DataTask) -> bool:
    """Whether the data set was made before, whole, and by this version."""
    if not task.path.exists():
        return False
    try:
        attrs = load_data(task.path, verify=True).attrs
    except DataError:
        return False
    found = attrs["seed"], attrs["replicate"], attrs["versions"].get("simcell")
    return found == (task.seed, task.replicate, _version.__version__)


def _simulator(task: DataTask) -> Simulate:
    if task.simulate is not None:
        return task.simulate
    from simcell import simulate  # compiles; a benchmark that only goes on need not

    return simulate


def _data_problem(task: Task, folder: Folder, problems: dict[Path, str]) -> str:
    """Return why a task has no data, or nothing; the second draw matters to `replicate` alone."""
    numbers = (0, SECOND_DRAW) if task.fitter.name == controls.REPLICATE else (0,)
    found = [problems[folder.data(task.screen, task.seed, replicate=number)] for number in numbers]
    return next((f"no data: {problem}" for problem in found if problem), "")


def _no_data(task: DataTask, problem: str) -> tuple[Path, str]:
    return task.path, problem


def _died(task: Task, problem: str) -> TaskResult:
    return TaskResult(task.id, FAILED, message=problem)


def _paired(tasks: Sequence[Task], results: Sequence[TaskResult]) -> list[tuple[Task, TaskResult]]:
    by_id = {result.task: result for result in results}
    return [(task, by_id[task.id]) for task in tasks]


def _file(fitter: FitterSpec) -> str:
    """Return the user's own file that a fitter stands in, or nothing."""
    path, _, _ = fitter.name.rpartition(":")
    return path if path.endswith(".py") else ""


def _require_report_packages() -> None:
    missing = [package for package in ("matplotlib", "jinja2") if importlib.util.find_spec(package) is None]
    if missing:
        raise SimcellError(f"the report needs {' and '.join(missing)}: pip install 'simcell[report]'")
