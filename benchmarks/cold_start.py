"""The wait before anything happens: `simcell --help`, and the first simulation of a new process, with each engine.

Each time is that of a new process, by the clock. The compile cache is cold (an empty folder for each engine) or warm
(the same again).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks._report import Figure, Result, number
from benchmarks._timing import Timing, processor_seconds, say
from simcell.engines import ENGINES

FIRST_RUN = """
from simcell import draw_cell_model, run_cells
from simcell.generators import erdos_renyi
run_cells(draw_cell_model(erdos_renyi(100)), engine={engine!r}, times=[1.0], n_cells=1, burn_in_hours=0.0)
"""
HEAVY = ("torch", "numba", "numpy", "xarray")
LOADED = f"""
import contextlib, io, sys
from experiments.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(["--help"])
print(" ".join(name for name in {HEAVY!r} if name in sys.modules))
"""


def measure(*, quick: bool = False) -> Result:
    """Return the times; `quick` takes fewer repeats."""
    helps, firsts = (3, 1) if quick else (10, 2)
    script = Path(sys.executable).with_name("simcell")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "experiments.cli"]
    loaded = subprocess.run([sys.executable, "-c", LOADED], text=True, check=True, stdout=subprocess.PIPE).stdout
    nothing = [sys.executable, "-c", ""]
    say("cold start")
    times = [(_timed(nothing), _timed([*command, "--help"])) for _ in range(helps)]
    cold: dict[str, Timing] = {}
    warm: dict[str, Timing] = {}
    for engine in ENGINES:
        say(f"cold start: {engine}")
        cold[engine], warm[engine] = _first_runs(engine, repeats=firsts)
    say("")
    return Result(
        "Cold start",
        (
            Figure("simcell --help", min(both[1].wall for both in times), "s", 0.5),
            Figure(f"of {', '.join(HEAVY)}: loaded by it", len(loaded.split()), "", 0.0),
            Figure("Python alone", min(both[0].wall for both in times), "s"),
            Figure("first simulation of a process, compiled before, slowest engine", _slowest(warm), "s", 3.0),
            Figure("first simulation ever, compiling, slowest engine", _slowest(cold), "s", 40.0),
        ),
        ("engine", "compiled before, s", "core-s", "compiling, s", "core-s"),
        tuple((engine, *_seconds_of(warm[engine]), *_seconds_of(cold[engine])) for engine in ENGINES),
        notes=(
            f"Least of {helps} new processes ({firsts} where it compiles); {' '.join(command)}".rstrip(),
            "Core-s: time of the cores, which is what a machine without other work would take.",
        ),
    )


def _first_runs(engine: str, *, repeats: int) -> tuple[Timing, Timing]:
    """Return the least times of the first run in a new process with an empty compile cache, and with a filled one."""
    command, cold, warm = [sys.executable, "-c", FIRST_RUN.format(engine=engine)], [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="simcell-bench-") as folder:
            environment = os.environ | {"NUMBA_CACHE_DIR": folder, "XDG_CACHE_HOME": folder}
            cold.append(_timed(command, environment))
            warm += [_timed(command, environment) for _ in range(2)]
    return _least(cold), _least(warm)


def _timed(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Timing:
    """Return how long a command takes."""
    wall, cpu = time.perf_counter(), processor_seconds()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return Timing(time.perf_counter() - wall, processor_seconds() - cpu)


def _least(times: Sequence[Timing]) -> Timing:
    return Timing(min(each.wall for each in times), min(each.cpu for each in times))


def _slowest(times: Mapping[str, Timing]) -> float:
    return max(each.wall for each in times.values())


def _seconds_of(taken: Timing) -> tuple[str, str]:
    return number(taken.wall), number(taken.cpu)
