"""How time grows: with cells and with edges (as it should, along a straight line), and what a second thread brings.

Langevin engine, thermodynamic regulation (the default), 1,000 genes, 168 h without burn-in. Growth is judged by core
time, which other programs on the machine hardly change; threads have to be judged by the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from benchmarks._report import Figure, Result, n_cores, number
from benchmarks._timing import Timing, fastest, plain_processes
from simcell import CellModel, draw_cell_model, run_cells
from simcell.generators import erdos_renyi

GENES, REGULATORS, HOURS = 1000, 0.15, 168.0
CELLS = (256, 512, 1024, 2048, 4096, 8192)
EDGES_PER_GENE = (1, 2, 4, 6, 8)
USUAL_EDGES = 4
MANY_CELLS = 4096
OFF_LINE = 1.2  # how far a time may be above a straight line
COLUMNS = ("cells", "edges per gene", "threads", "ms per cell", "core-ms per cell")


def measure(*, quick: bool = False) -> Result:
    """Return the times and their ratios; `quick` takes a quarter of the cells and fewer repeats."""
    share, repeats, threads = 4 if quick else 1, 2 if quick else 5, min(2, n_cores())
    sizes, many = tuple(cells // share for cells in CELLS), MANY_CELLS // share
    models = {edges: _model(edges) for edges in EDGES_PER_GENE}
    by_size = [(cells, USUAL_EDGES, 1) for cells in sizes]
    by_edges = [(many, edges, 1) for edges in EDGES_PER_GENE]
    both = (many, USUAL_EDGES, threads)
    cases = list(dict.fromkeys([*by_size, *by_edges, both]))
    _run(models[USUAL_EDGES], cells=128, threads=1)  # compiles
    prepared = {_name(case): _prepared(models[case[1]], cells=case[0], threads=case[2]) for case in cases}
    prepared |= {f"{n} processes": plain_processes(n) for n in (1, threads)}
    time = fastest(prepared, repeats=repeats)

    least, most = EDGES_PER_GENE[0], EDGES_PER_GENE[-1]
    of_sizes = np.array([time[_name(case)].cpu for case in by_size])
    of_edges = np.array([time[_name(case)].cpu for case in by_edges])
    per_cell = of_sizes / np.array(sizes)
    by_cells_off, by_edges_off = above_line(np.array(sizes), of_sizes), above_line(np.array(EDGES_PER_GENE), of_edges)
    one, two = time[_name((many, USUAL_EDGES, 1))], time[_name(both)]
    alone, together = time["1 processes"], time[f"{threads} processes"]
    figures = (
        Figure(f"core time per cell, {sizes[-1]:,} cells over {sizes[0]:,}", per_cell[-1] / per_cell[0], "×", OFF_LINE),
        Figure("core time by cells, most above a straight line", by_cells_off, "×", OFF_LINE),
        Figure(f"core time, {most} edges per gene over {least}", of_edges[-1] / of_edges[0], "×", most / least),
        Figure("core time by edges, most above a straight line", by_edges_off, "×", OFF_LINE),
        Figure(f"time by the clock, 1 thread over {threads}", one.wall / two.wall, "×", 0.8 * threads, at_least=True),
        Figure(f"the machine, {threads} plain processes over 1", threads * alone.wall / together.wall, "×"),
    )
    return Result(
        f"Scaling: {GENES:,} genes, {HOURS:g} h",
        figures,
        COLUMNS,
        tuple(_row(case, time[_name(case)]) for case in cases),
        (
            f"Least of {repeats} runs, taken in turns.",
            "Straight line: that of least squared relative distance, of any height at 0 that is not negative.",
        ),
    )


def above_line(x: NDArray[np.number], y: NDArray[np.floating]) -> float:
    """Return the largest ratio of y to the straight line a + b x, a and b >= 0, of least squared relative distance."""
    line = np.stack([np.ones(x.size), x], axis=1)
    weights, _ = nnls(line / y[:, None], np.ones(x.size))
    return float((y / (line @ weights)).max())


def _model(edges_per_gene: int) -> CellModel:
    return draw_cell_model(erdos_renyi(GENES, edges_per_gene=edges_per_gene, regulators=REGULATORS, seed=0), seed=0)


def _run(model: CellModel, *, cells: int, threads: int) -> object:
    return run_cells(model, times=[HOURS], n_cells=cells, burn_in_hours=0.0, n_threads=threads)


def _prepared(model: CellModel, *, cells: int, threads: int) -> Callable[[], Callable[[], object]]:
    return lambda: partial(_run, model, cells=cells, threads=threads)


def _name(case: tuple[int, int, int]) -> str:
    cells, edges, threads = case
    return f"{cells:,} cells, {edges} edges per gene, {threads} threads"


def _row(case: tuple[int, int, int], taken: Timing) -> tuple[str, ...]:
    cells, edges, threads = case
    return f"{cells:,}", str(edges), str(threads), number(1e3 * taken.wall / cells), number(1e3 * taken.cpu / cells)
