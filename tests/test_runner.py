"""Running tasks on worker processes: what dies, what is interrupted, and what goes to the same worker."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from experiments.runner import DIED, on_processes, run_tasks


def die_at_three(number: int) -> int:
    """Square a number; 3 takes the process with it."""
    if number == 3:
        os._exit(1)
    return number * number


def test_a_worker_that_dies_takes_only_its_own_task_with_it() -> None:
    results = run_tasks(die_at_three, [1, 2, 3, 4], died=lambda one, why: f"{one}: {why}", jobs=2, progress=False)
    assert sorted(map(str, results)) == sorted(["1", "4", "16", f"3: {DIED}"])


def mark_and_wait(number: int, folder: Path) -> int:
    """Leave a mark that the task was begun, and hang unless it is the first."""
    (folder / str(number)).touch()
    if number:
        time.sleep(600)
    return number


def test_an_interruption_ends_what_runs_and_begins_nothing_more(tmp_path: Path) -> None:
    function = partial(mark_and_wait, folder=tmp_path)
    results = on_processes(function, range(12), died=lambda one, why: -1, jobs=2)
    assert next(results) == 0
    results.close()
    begun = len(list(tmp_path.iterdir()))
    assert 1 <= begun <= 3, "the first, and what the two workers took up next"


def wait_for(*marks: Path) -> None:
    """Return when all files are there."""
    while not all(mark.exists() for mark in marks):
        time.sleep(0.01)


def meet(number: int, folder: Path) -> int:
    """Go down with all others when all have begun; when tried again, wait for the others to be there, too."""
    begun, again = ([folder / f"{word}-{other}" for other in range(3)] for word in ("begun", "again"))
    if begun[number].exists():
        again[number].touch()
        wait_for(*again)
        return number
    begun[number].touch()
    wait_for(*begun)
    if number == 0:
        os._exit(1)
    time.sleep(600)
    return -1


def test_what_a_dead_worker_left_undone_is_tried_again_side_by_side(tmp_path: Path) -> None:
    """The three tasks wait for each other: one after the other they would never end."""
    function = partial(meet, folder=tmp_path)
    results = run_tasks(function, [0, 1, 2], died=lambda one, why: -1, jobs=3, progress=False)
    assert sorted(results) == [0, 1, 2]


def worker(task: tuple[str, int]) -> tuple[str, int, int]:
    """Return a task with the process that did it."""
    time.sleep(0.05)
    return *task, os.getpid()


def test_tasks_that_share_something_go_to_the_same_worker() -> None:
    tasks = [(name, number) for number in range(3) for name in "abcd"]
    results = run_tasks(worker, tasks, died=lambda one, why: (*one, -1), jobs=2, shared=lambda one: one[0])
    assert sorted(result[:2] for result in results) == sorted(tasks)
    for name in "abcd":
        assert len({process for group, _, process in results if group == name}) == 1


def test_one_group_is_divided_so_that_no_worker_is_idle() -> None:
    tasks = [("a", number) for number in range(8)]
    results = run_tasks(worker, tasks, died=lambda one, why: (*one, -1), jobs=2, shared=lambda one: one[0])
    assert sorted(result[:2] for result in results) == tasks
