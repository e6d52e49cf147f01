"""The wait before anything happens: `simcell --help`, and the first simulation of a new process.

Each time is that of a new process, by the clock. The compile cache is cold (an empty folder) or warm (the same again).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks._report import Figure, Result
from benchmarks._timing import say

FIRST_RUN = """
from simcell import draw_cell_model, run_cells
from simcell.generators import erdos_renyi
run_cells(draw_cell_model(erdos_renyi(100)), times=[1.0], n_cells=1, burn_in_hours=0.0)
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
    helps, firsts = (3, 1) if quick else (10, 3)
    script = Path(sys.executable).with_name("simcell")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "experiments.cli"]
    loaded = subprocess.run([sys.executable, "-c", LOADED], text=True, check=True, stdout=subprocess.PIPE).stdout
    nothing = [sys.executable, "-c", ""]
    cold, warm = [], []
    say("cold start")
    times = [(_seconds(nothing), _seconds([*command, "--help"])) for _ in range(helps)]
    for _ in range(firsts):
        with tempfile.TemporaryDirectory(prefix="simcell-bench-") as folder:
            environment = os.environ | {"NUMBA_CACHE_DIR": folder, "XDG_CACHE_HOME": folder}
            cold.append(_seconds([sys.executable, "-c", FIRST_RUN], environment))
            warm += [_seconds([sys.executable, "-c", FIRST_RUN], environment) for _ in range(2)]
    say("")
    return Result(
        "Cold start",
        (
            Figure("simcell --help", min(both[1] for both in times), "s", 0.5),
            Figure(f"of {', '.join(HEAVY)}: loaded by it", len(loaded.split()), "", 0.0),
            Figure("Python alone", min(both[0] for both in times), "s"),
            Figure("first simulation of a process, compiled before", min(warm), "s"),
            Figure("first simulation ever, compiling", min(cold), "s"),
        ),
        notes=(f"Least of {helps} new processes ({firsts} where it compiles); {' '.join(command)}".rstrip(),),
    )


def _seconds(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Return how long a command takes."""
    begin = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin
