"""Time and memory of every fitter on one screen: 500 genes, 150 training perturbations, 30,000 cells.

Each fitter is trained in a process of its own, which reads the screen, fits, and predicts all perturbations (and
samples some cells, where that is claimed). Options are their defaults; models with attention are told an atlas, on
which they are trained first. Time is that of the fit and the predictions, what is shared between fitters (pseudobulks,
levels, covariances) included, imports and reading left out; memory is the peak of the process, the data included. The
network metrics are timed beside them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._fitting import Size, fit_in_a_process, simulate_screen
from benchmarks._report import Figure, Result
from benchmarks._timing import say

SIZE = Size(genes=500, perturbations=150, cells=30_000, atlas=10_000)
QUICK = Size(genes=60, perturbations=12, cells=1_200, atlas=500)
LONGEST = {"baseline": 5.0, "linear": 5.0}  # seconds, by family
LONGEST_OF_OTHERS = 180.0
TOGETHER = 1_200.0
MOST_MEMORY = 6.0  # GB
TOLD = ("attention",)  # families that are given an atlas


def measure(*, quick: bool = False) -> Result:
    """Return time and memory of all fitters; `quick` takes a small screen."""
    from fitters.registry import BUILT_IN, available

    size = QUICK if quick else SIZE
    entries = {name: entry for name, entry in available().items() if name in BUILT_IN}
    figures, rows = [], []
    together = 0.0
    with tempfile.TemporaryDirectory(prefix="simcell-bench-") as temporary:
        folder = Path(temporary)
        say("simulating the screen")
        simulate_screen(folder, size)
        for name, entry in entries.items():
            problem = entry.problem or entry.lacks
            if problem:
                rows.append((name, entry.family, "-", "-", "-", problem))
                continue
            say(name)
            taken = fit_in_a_process(folder, name, told=entry.family in TOLD)
            if taken.problem:
                rows.append((name, entry.family, "-", "-", "-", taken.problem))
                continue
            seconds, memory = taken.seconds, taken.memory / 1e9
            together += seconds
            rows.append((name, entry.family, taken.device or "cpu", f"{seconds:.2f}", f"{memory:.2f}", ""))
            target = LONGEST.get(entry.family, LONGEST_OF_OTHERS)
            if not quick:
                figures.append(Figure(f"{name}, fit and predictions", seconds, "s", target))
                figures.append(Figure(f"{name}, peak memory", memory, "GB", MOST_MEMORY))
    if not quick:
        figures.append(Figure("all that were fitted, one after the other", together, "s", TOGETHER))
    say("metrics")
    n = 200 if quick else 2_000
    figures.append(
        Figure(f"network metrics, {n:,} × {n:,} genes, without those of acyclic graphs", _metrics(n), "s", 1.0)
    )
    say("")
    return Result(
        f"Fitters: {size}",
        tuple(figures),
        columns=("fitter", "family", "device", "s", "GB", "problem"),
        rows=tuple(rows),
        notes=("One run each, one after the other.",),
    )


def _metrics(genes: int) -> float:
    """Return the seconds that all network metrics but those of acyclic graphs take on dense scores."""
    from experiments.metrics import METRICS
    from experiments.metrics.base import Judges, NoScoreError
    from experiments.metrics.estimates import NetworkComparison, World

    rng = np.random.default_rng(0)
    sign = np.where(rng.random((genes, genes)) < 3 / genes, rng.choice([-1, 1], (genes, genes)), 0).astype(np.int8)
    names = tuple(f"G{number}" for number in range(genes))
    score = 0.05 * sign + rng.normal(0, 0.01, sign.shape) / np.sqrt(genes)
    world = World(names, sign, 0.05 * sign, np.linalg.inv(np.eye(genes) - 0.05 * sign), {})
    comparison = NetworkComparison(names, score, True, world, np.ones(genes, bool))
    begin = time.perf_counter()
    for metric in METRICS.values():
        if metric.judges is Judges.NETWORK and metric.name not in ("shd", "sid", "aid"):
            try:
                metric.function(comparison)
            except NoScoreError:
                continue
    return time.perf_counter() - begin
