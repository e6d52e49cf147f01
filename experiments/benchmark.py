"""A benchmark: screens x seeds are simulated, then every fitter meets every split; a spec in, a folder of results out.

Tasks are independent and go through one map function (`experiments.runner`). What fails is marked and the rest goes on;
a run that was killed goes on when it is started again.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import controls
from experiments.benchmark_spec import BenchmarkSpec, FitterSpec
from experiments.checkpoints import check_checkpoint
from experiments.data_facts import find_facts, tabulate_facts
from experiments.data_sets import Simulate, data_tasks, make_data, no_data
from experiments.digests import benchmark_digest, fitter_digest, source_digest
from experiments.knowledge import SimulateAtlas, atlas_tasks, knowledge_of, make_atlas, no_atlas, tabulate_knowledge
from experiments.loss_histories import read_history, tabulate_losses, tabulate_trainings
from experiments.metrics import METRICS, Judges, select_metrics
from experiments.outputs import Folder, provenance, task_id, write_whole
from experiments.runner import MapFunction, run_tasks
from experiments.scoring import (
    ALWAYS,
    ANCHORED,
    CHANCE,
    COLUMNS,
    CONTROL_CELLS,
    FAILED,
    KEYS,
    NOT_CLAIMED,
    OK,
    anchor,
    not_claimed,
)
from experiments.task import Task, TaskResult, run_task
from fitters.contract import Claim
from fitters.registry import BUILT_IN
from fitters.registry import load as load_fitter
from fitters.results import LossHistory
from simcell.dataset import load as load_data
from simcell.errors import SimcellError
from simcell.spec import ScreenSpec, SpecMessage, dump_spec


@dataclass(frozen=True, eq=False)
class BenchmarkResult:
    """What a benchmark gives back.

    Attributes:
        folder: where everything lies.
        scores: the table of ``scores.csv``.
        failures: one line per task that failed.
        report: path of the report; None if none was asked for.
        fitters: names, in tables, of the fitters that the user listed.
    """

    folder: Path
    scores: pd.DataFrame
    failures: tuple[str, ...]
    report: Path | None
    fitters: tuple[str, ...]

    @property
    def any_scored(self) -> bool:
        """Whether at least one of the user's fitters was scored somewhere."""
        return bool((self.scores["fitter"].isin(self.fitters) & self.scores["value"].notna()).any())


def run_benchmark(
    spec: BenchmarkSpec,
    folder: str | Path,
    *,
    force: bool = False,
    jobs: int | None = None,
    map_function: MapFunction | None = None,
    simulate: Simulate | None = None,
    simulate_atlas: SimulateAtlas | None = None,
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
        simulate: makes data sets in the place of `simcell.simulate`, with the same arguments; `truth_from` it may lack.
        simulate_atlas: makes atlases in the place of `simcell.simulate_atlas`, with the same arguments.
        report: whether to draw the report.
        progress: whether to show progress bars (never where stderr is no terminal).
        command: the command line to state in the report; that of this process by default.

    Raises:
        SimcellError: before any work, for a fitter that cannot be loaded, a folder that holds something else or that
            another run is writing, or packages of the report that are not installed; later only where results cannot
            be written.
    """
    for number, fitter in enumerate(spec.fitters):
        try:
            loaded = load_fitter(fitter.name, **fitter.options)
        except SimcellError as error:
            raise SpecMessage(f"fitters[{number}]", str(error)) from None
        check_checkpoint(loaded, field=f"fitters[{number}].options")
    if report:
        _require_report_packages()
    home = Folder(Path(folder).absolute())  # a fitter may change the working directory
    if simulate is None:
        _check_screens(spec, home)
    with home.held():
        home.prepare(provenance(benchmark_digest(spec), command), force=force)
        write_whole(home.spec, dump_spec(spec))
        jobs = jobs or spec.jobs
        run: dict[str, Any] = {"jobs": jobs, "map_function": map_function, "progress": progress}

        problems: dict[Path, str] = {}
        for number in (0, controls.SECOND_DRAW):  # one after the other: a second draw takes its truth from the first
            alone = progress and jobs == 1
            draws = data_tasks(spec, home, replicate=number, jobs=jobs, simulate=simulate, progress=alone)
            problems |= dict(run_tasks(make_data, draws, died=no_data, description="screens", **run))
        alone = progress and jobs == 1
        atlases = atlas_tasks(spec, home, jobs=jobs, simulate=simulate_atlas, progress=alone)
        problems |= dict(run_tasks(make_atlas, atlases, died=no_atlas, description="atlases", **run))
        sets = [(screen.name, seed, home.data(screen.name, seed)) for screen, seed in _data_sets(spec)]
        facts = [find_facts(path, screen=screen, seed=seed) for screen, seed, path in sets if not problems[path]]
        write_whole(home.facts, tabulate_facts(facts).to_csv(index=False))
        write_whole(home.knowledge, _told(spec, home, problems).to_csv(index=False))
        tasks = [replace(task, problem=_data_problem(task, home, problems)) for task in plan(spec, home)]
        # a user's own code may end the process that it runs in
        foreign = any(fitter.name not in BUILT_IN for fitter in spec.fitters)
        results = run_tasks(run_task, tasks, died=_died, shared=_shared, description="fits", apart=foreign, **run)

        scores = tabulate(tasks, {result.task: result for result in results})
        write_whole(home.scores, scores.to_csv(index=False))
        histories = _histories(home, tasks, results)
        write_whole(home.losses, tabulate_losses(histories).to_csv(index=False, float_format="%.7g"))
        write_whole(home.trainings, tabulate_trainings(histories).to_csv(index=False, float_format="%.7g"))
        if report:
            from experiments.report import write_report

            write_report(home.path)
    failures = tuple(
        f"{task.screen}, seed {task.seed}, {task.split.label}, {task.fitter.title}: {result.message}"
        for task, result in _paired(tasks, results)
        if result.status == FAILED
    )
    fitters = tuple(fitter.title for fitter in spec.fitters)
    return BenchmarkResult(home.path, scores, failures, home.report if report else None, fitters)


def plan(spec: BenchmarkSpec, folder: Folder) -> list[Task]:
    """Return all tasks of a benchmark; those that share data and split stand together, and find them in memory.

    Where no metrics are named, cells, networks and kinetics are judged if one of the fitters claims them. With the
    networks of others stands one drawn by chance; with the cells of others, those of the controls.
    """
    claimed = {claim for fitter in spec.fitters for claim in load_fitter(fitter.name, **fitter.options).claims}
    metrics = tuple(
        metric.name
        for metric in select_metrics(spec.metrics)
        if spec.metrics is not None or metric.judges is Judges.PREDICTION or metric.needs in claimed
    )
    listed = {fitter.title for fitter in spec.fitters}
    chance = (CHANCE,) if Claim.NETWORK in claimed else ()
    judged = {METRICS[name].judges for name in metrics}
    cells = (CONTROL_CELLS,) if Claim.DISTRIBUTION in claimed and Judges.CELLS in judged else ()
    fitters = [
        *(FitterSpec(name=name) for name in (*ALWAYS, *chance, *cells) if name not in listed),
        *spec.fitters,
        *(FitterSpec(name=name) for name in controls.CONTROLS),
    ]
    # A user's own files may change between two runs, and so may this program: then old results are not taken up.
    common = f"{benchmark_digest(spec)}-{source_digest('simcell', 'fitters', 'experiments')}"
    prints = [f"{common}-{fitter_digest(fitter)}" for fitter in fitters]
    return [
        Task(
            id=task_id(screen.name, seed, split.label, fitter.title),
            screen=screen.name,
            seed=seed,
            split=split,
            fitter=fitter,
            metrics=metrics,
            folder=folder.path,
            fingerprint=task_print,
            knowledge=spec.knowledge,
        )
        for screen, seed in _data_sets(spec)
        for split in spec.splits
        for fitter, task_print in zip(fitters, prints, strict=True)
    ]


def tabulate(tasks: Sequence[Task], results: dict[str, TaskResult]) -> pd.DataFrame:
    """Return the tidy table of scores, anchored: one row per metric of every task, also of those without a score."""
    rows = [_row(task, results[task.id], metric) for task in tasks for metric in task.metrics]
    return anchor(pd.DataFrame(rows, columns=[column for column in COLUMNS if column not in ANCHORED]))


def _row(task: Task, result: TaskResult, metric: str) -> dict[str, Any]:
    """Return what is known of one task by one metric; what its fitter does not claim has neither score nor failure."""
    record = METRICS[metric]
    score = next((found for found in result.scores if found.metric == metric), None)
    status, message = result.status, result.message
    other_part = status == OK or (status == NOT_CLAIMED and record.judges is not Judges.PREDICTION)
    if (score is None and other_part) or (result.claims and record.needs not in result.claims):
        asked = record.judges is Judges.PREDICTION or (record.judges.by_query and record.needs in result.claims)
        refused = result.refusal if asked else ""
        status, message = NOT_CLAIMED, refused or not_claimed(task.fitter.title, [record.needs])
    return {
        "screen": task.screen,
        "seed": task.seed,
        "split": task.split.label,
        "fitter": task.fitter.title,
        "family": result.family,
        "metric": metric,
        "against": str(record.against),
        "value": score.value if score else float("nan"),
        "value_note": score.note if score else "",
        "n_queries": score.n_queries if score else 0,
        "status": status,
        "message": message,
        "seconds": result.seconds,
    }


def _data_sets(spec: BenchmarkSpec) -> list[tuple[ScreenSpec, int]]:
    return [(screen, seed) for screen in spec.full_screens for seed in spec.seeds]


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


def _data_problem(task: Task, folder: Folder, problems: dict[Path, str]) -> str:
    """Return why a task has no data, or nothing; the second draw matters to `replicate` alone."""
    numbers = (0, controls.SECOND_DRAW) if task.fitter.name == controls.REPLICATE else (0,)
    found = [problems[folder.data(task.screen, task.seed, replicate=number)] for number in numbers]
    found.append(problems.get(folder.atlas(task.screen, task.seed), ""))
    return next((f"no data: {problem}" for problem in found if problem), "")


def _told(spec: BenchmarkSpec, folder: Folder, problems: dict[Path, str]) -> pd.DataFrame:
    """Return what fitters are told beside the cells of every data set that is there."""
    found = []
    for screen, seed in [] if spec.knowledge.is_empty else _data_sets(spec):
        path, atlas = folder.data(screen.name, seed), folder.atlas(screen.name, seed)
        if problems[path] or problems.get(atlas):
            continue
        with suppress(SimcellError):  # which the fits will say
            told = knowledge_of(load_data(path), spec.knowledge, seed=seed, atlas=atlas)
            found.append((screen.name, seed, told))
    return tabulate_knowledge(found)


def _histories(
    folder: Folder, tasks: Sequence[Task], results: Sequence[TaskResult]
) -> list[tuple[dict[str, Any], tuple[LossHistory, ...]]]:
    """Return the stored loss history of every task that was done now, with what tells it from others."""
    return [
        (dict(zip(KEYS, (task.screen, task.seed, task.split.label, task.fitter.title), strict=True)), found)
        for task, result in _paired(tasks, results)
        if result.status == OK and (found := read_history(folder.history(task.id)))
    ]


def _shared(task: Task) -> Hashable:
    return task.screen, task.seed, task.split.label


def _died(task: Task, problem: str) -> TaskResult:
    return TaskResult(task.id, FAILED, message=problem)


def _paired(tasks: Sequence[Task], results: Sequence[TaskResult]) -> list[tuple[Task, TaskResult]]:
    by_id = {result.task: result for result in results}
    return [(task, by_id[task.id]) for task in tasks]


def _require_report_packages() -> None:
    missing = [package for package in ("matplotlib", "jinja2") if importlib.util.find_spec(package) is None]
    if missing:
        raise SimcellError(f"the report needs {' and '.join(missing)}: pip install 'simcell[report]'")
