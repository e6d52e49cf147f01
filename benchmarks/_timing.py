"""Timing of rivals on a machine that others may use too: in turns, several times, and the least time counts.

In: programs by name. Out: for each its least wall time and least processor time (all threads together).
"""

from __future__ import annotations

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
            wall, cpu = time.perf_counter(), time.process_time()
            program()
            taken = Timing(time.perf_counter() - wall, time.process_time() - cpu)
            known = best.get(name, taken)
            best[name] = Timing(min(known.wall, taken.wall), min(known.cpu, taken.cpu))
    say("")
    return best


def say(message: str) -> None:
    """Show what is being done, in a terminal only; the next message takes its place."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{message}", end="", file=sys.stderr, flush=True)
