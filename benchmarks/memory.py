"""A large screen to disk: 50,000 cells x 2,000 genes, with its peak of resident memory, its time and its size.

The screen runs in a process of its own, which is asked for the most memory it ever held. It has few targets, so that
the time is that of cells and counts; the true responses of many targets cost time, and their size on disk, besides.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._report import Figure, Result, n_cores
from benchmarks._timing import say
from fitters.training.memory import peak_memory

GENES, BATCHES = 2000, 10
CELLS_PER_BATCH = 5000
SPEC = """\
name: memory
seed: 1
network: {{kind: grouped-scale-free, genes: {genes}, regulators: 0.1}}
library: {{modality: crispri, targets: {{count: 4}}, non_targeting: 2}}
protocol:
  - {{step: transduce}}
  - {{step: culture, medium: base, hours: 168}}
  - {{step: harvest}}
assay: {{batches: {batches}, cells_per_batch: {cells_per_batch}}}
truth: {{cells_per_perturbation: 32}}
"""


def measure(*, quick: bool = False) -> Result:
    """Return memory, time and size; `quick` takes a tenth of the cells."""
    cells_per_batch = CELLS_PER_BATCH // 10 if quick else CELLS_PER_BATCH
    cells = BATCHES * cells_per_batch
    spec = SPEC.format(genes=GENES, batches=BATCHES, cells_per_batch=cells_per_batch)
    say(f"{cells:,} cells x {GENES:,} genes")
    with tempfile.TemporaryDirectory(prefix="simcell-bench-") as folder:
        path = Path(folder) / "screen.zarr"
        command = [sys.executable, "-m", "benchmarks.memory", str(path)]
        begin = time.perf_counter()
        peak = int(subprocess.run(command, input=spec, text=True, check=True, stdout=subprocess.PIPE).stdout)
        seconds = time.perf_counter() - begin
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    say("")
    return Result(
        f"Memory: {cells:,} cells × {GENES:,} genes, 168 h, to zarr",
        (
            Figure("peak resident memory", peak / 1e9, "GB", 2.0),
            Figure(f"time on {n_cores()} threads, start of the process and truth included", seconds, "s"),
            Figure("time per cell", 1e3 * seconds / cells, "ms"),
            Figure("size on disk", size / 1e6, "MB"),
            Figure("size on disk per count", size / (cells * GENES), "bytes"),
        ),
        notes=("One run in a process of its own.",),
    )


def _simulate(path: str) -> None:
    """Run the screen whose specification is on standard input; print the peak of memory."""
    from simcell import parse_screen_spec, simulate

    simulate(parse_screen_spec(sys.stdin.read()), path)
    print(peak_memory())


if __name__ == "__main__":
    _simulate(sys.argv[1])
