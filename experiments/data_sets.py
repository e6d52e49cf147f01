"""The data sets of a benchmark: every screen under every seed, drawn twice, simulated unless they are there.

In: a `DataTask`, plain and picklable. Out: the path of the data set, and why it could not be made, if so.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.benchmark_spec import BenchmarkSpec
from experiments.digests import source_digest
from experiments.outputs import Folder, read_json, write_json
from fitters.errors import one_line
from simcell.dataset import load as load_data
from simcell.errors import DataError, SimcellError
from simcell.output import is_disk_full
from simcell.spec import ScreenSpec

Simulate = Callable[..., Any]


@dataclass(frozen=True)
class DataTask:
    """A data set to be simulated.

    Attributes:
        screen: the screen, as specified but for its seed.
        seed: seed of the screen.
        replicate: number of the draw.
        path: where the data set goes.
        made_by: where it is noted by what source code it was made.
        n_threads: threads to simulate with.
        progress: whether to show a progress bar.
        simulate: instead of `simcell.simulate`.
        truth_from: a data set of the same screen whose truth is to be copied rather than computed again.
    """

    screen: ScreenSpec
    seed: int
    replicate: int
    path: Path
    made_by: Path
    n_threads: int
    progress: bool
    simulate: Simulate | None
    truth_from: Path | None = None


def data_tasks(
    spec: BenchmarkSpec, folder: Folder, *, replicate: int, jobs: int, simulate: Simulate | None, progress: bool
) -> list[DataTask]:
    """Return what is to be simulated for one of the draws of every screen; the first draws must have been made.

    Args:
        spec: the benchmark.
        folder: where its data lie.
        replicate: number of the draw.
        jobs: number of tasks at once, among which the cores are divided.
        simulate: instead of `simcell.simulate`.
        progress: whether each shows a progress bar.
    """
    n_threads = max(1, (os.cpu_count() or 1) // jobs)
    found = []
    for screen in spec.full_screens:
        for seed in spec.seeds:
            path, first = (folder.data(screen.name, seed, replicate=number) for number in (replicate, 0))
            found.append(
                DataTask(
                    screen=screen,
                    seed=seed,
                    replicate=replicate,
                    path=path,
                    made_by=folder.source(path),
                    n_threads=n_threads,
                    progress=progress,
                    simulate=simulate,
                    truth_from=first if replicate and first.exists() else None,
                )
            )
    return found


def make_data(task: DataTask) -> tuple[Path, str]:
    """Simulate a data set unless it is there; return its path and, if it could not be made, why."""
    try:
        if not _is_there(task):
            simulate = _simulator(task)
            options = {"truth_from": task.truth_from} if task.truth_from and _takes_truth(simulate) else {}
            simulate(
                task.screen.model_copy(update={"seed": task.seed}),
                task.path,
                replicate=task.replicate,
                n_threads=task.n_threads,
                progress=task.progress,
                force=True,
                **options,
            )
            write_json(task.made_by, {"source": source_digest("simcell")})
    except Exception as error:
        if is_disk_full(error):  # the next task would meet it too
            raise
        return task.path, str(error) if isinstance(error, SimcellError) else one_line(error)
    return task.path, ""


def no_data(task: DataTask, problem: str) -> tuple[Path, str]:
    """Return what `make_data` does for a data set that could not be made."""
    return task.path, problem


def _is_there(task: DataTask) -> bool:
    """Whether the data set was made before, whole, and by the same source code."""
    if not task.path.exists() or read_json(task.made_by).get("source") != source_digest("simcell"):
        return False
    try:
        attrs = load_data(task.path, verify=True).attrs
    except DataError:
        return False
    return bool((attrs["seed"], attrs["replicate"]) == (task.seed, task.replicate))


def _takes_truth(simulate: Simulate) -> bool:
    return "truth_from" in inspect.signature(simulate).parameters


def _simulator(task: DataTask) -> Simulate:
    if task.simulate is not None:
        return task.simulate
    from simcell import simulate  # compiles; a benchmark that only goes on need not

    return simulate
