"""How independent tasks are run: one `map` function, here in sequence or on worker processes, and yours to replace.

Anything that works like the built-in `map` (a function, a list of tasks, and results in any order) can take its place:
``dask.distributed`` through ``lambda f, tasks: (done.result() for done in as_completed(client.map(f, tasks)))``.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from tqdm import tqdm

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
MapFunction = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]

DIED = "the worker process died (out of memory, or killed)"


def run_tasks(
    function: Callable[[TaskT], ResultT],
    tasks: Sequence[TaskT],
    *,
    died: Callable[[TaskT, str], ResultT],
    jobs: int = 1,
    map_function: MapFunction | None = None,
    description: str = "tasks",
    progress: bool = True,
) -> list[ResultT]:
    """Apply a function to every task and return the results, in any order.

    Args:
        function: takes a task, returns its result; it handles its own exceptions. Both must be picklable if `jobs` > 1.
        tasks: independent tasks.
        died: the result of a task whose worker process died.
        jobs: number of worker processes; 1 runs in this process.
        map_function: runs the tasks instead, wherever it likes.
        description: shown beside the progress bar.
        progress: whether to show one; it is never shown where stderr is not a terminal.
    """
    if not tasks:
        return []
    if map_function is not None:
        results: Iterable[ResultT] = map_function(function, tasks)
    elif jobs == 1 or len(tasks) == 1:
        results = map(function, tasks)
    else:
        results = _on_processes(function, tasks, died=died, jobs=min(jobs, len(tasks)))
    # disable=None is tqdm's "quiet unless stderr is a terminal"
    return list(tqdm(results, total=len(tasks), desc=description, disable=None if progress else True, leave=False))


def _on_processes(
    function: Callable[[TaskT], ResultT], tasks: Sequence[TaskT], *, died: Callable[[TaskT, str], ResultT], jobs: int
) -> Iterator[ResultT]:
    """Yield results as they come; if a worker dies, try what is undone again, each task in a process of its own."""
    undone = dict(enumerate(tasks))
    yield from _pool(function, undone, jobs=jobs)
    for number in list(undone):
        alone = {number: undone[number]}
        yield from _pool(function, alone, jobs=1)
        if alone:
            yield died(undone[number], DIED)


def _pool(function: Callable[[TaskT], ResultT], undone: dict[int, TaskT], *, jobs: int) -> Iterator[ResultT]:
    """Run the tasks and take those that were finished out of `undone`; stop quietly when a worker dies."""
    # "spawn": a forked child would inherit the threads of numba and torch in an undefined state
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as executor:
        futures = {executor.submit(function, task): number for number, task in undone.items()}
        for future in as_completed(futures):
            try:
                result = future.result()
            except BrokenProcessPool:
                continue
            del undone[futures[future]]
            yield result
