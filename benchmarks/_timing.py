"""Timing of rivals on a machine that others may use too: in turns, several times, and the least time counts.

In: programs by name. Out: for each its least wall time and least processor time (all threads together, and all
processes that it started and that have ended).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Least times of several runs, seconds: by the clock, and of all cores together."""

    wall: float
    cpu: float


def fastest(prepared: Mapping[str, Callable[[], Callable[[], object]]], *, repeats: int) -> dict[str, Timing]:
    """Return the least times of programs that are run in turns, so that a busy spell hits all of them alike.

    Args:
        prepared: by name, what prepares a run and returns it; only the run is timed. What compiles in its first run
            must have been run before.
    """
    best: dict[str, Timing] = {}
    for repeat in range(repeats):
        for name, prepare in prepared.items():
            say(f"run {repeat + 1} of {repeats}: {name}")
            program = prepare()
            wall, cpu = time.perf_counter(), processor_seconds()
            program()
            taken = Timing(time.perf_counter() - wall, processor_seconds() - cpu)
            known = best.get(name, taken)
            best[name] = Timing(min(known.wall, taken.wall), min(known.cpu, taken.cpu))
    say("")
    return best


def plain_processes(count: int) -> Callable[[], Callable[[], object]]:
    """Return what `fastest` times: so many processes at once that share nothing, each counting for half a second.

    Of one process the time, of n the time: how far a machine that others use too can be faster with n threads at all.
    """

    def run() -> None:
        command = [sys.executable, "-S", "-c", "for _ in range(20_000_000): pass"]
        for process in [subprocess.Popen(command) for _ in range(count)]:
            process.wait()

    return lambda: run


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def say(message: str) -> None:
    """Show what is being done, in a terminal only; the next message takes its place."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{message}", end="", file=sys.stderr, flush=True)
