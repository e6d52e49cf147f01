"""How time grows: with cells (as it should, in proportion), with edges, and what a second thread brings.

Langevin engine, thermodynamic regulation (the default), 1,000 genes, 24 h without burn-in. Growth is judged by core
time, which other programs on the machine hardly change; threads have to be judged by the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks._report import Figure, Result, n_cores, number
from benchmarks._timing import Timing, fastest
from simcell import CellModel, draw_cell_model, run_cells
from simcell.generators import erdos_renyi

GENES, REGULATORS, HOURS = 1000, 0.15, 24.0
CELLS = (1024, 4096, 16384)
EDGES_PER_GENE = (3, 12)
COLUMNS = ("cells", "edges per gene", "threads", "ms per cell", "core-ms per cell")


def measure(*, quick: bool = False) -> Result:
    """Return the times and their ratios; `quick` takes an eighth of the cells and fewer repeats."""
    sizes = tuple(cells // 8 for cells in CELLS) if quick else CELLS
    repeats, threads = 2 if quick else 5, min(2, n_cores())
    models = {edges: _model(edges) for edges in EDGES_PER_GENE}
    few, many = EDGES_PER_GENE
    small, middle, large = sizes
    cases = [(size, few, threads) for size in sizes] + [(middle, many, threads), (middle, few, 1)]
    for model in models.values():
        _run(model, cells=128, threads=1)  # compiles
    prepared = {_name(case): _prepared(models[case[1]], cells=case[0], threads=case[2]) for case in cases}
    time = fastest(prepared, repeats=repeats)

    one, two = time[_name((middle, few, 1))], time[_name((middle, few, threads))]
    more = time[_name((middle, many, threads))]
    by_cells = (time[_name((large, few, threads))].cpu / large) / (time[_name((small, few, threads))].cpu / small)
    figures = (
        Figure(f"core time per cell, {large:,} cells over {small:,}", by_cells, "×", 1.25),
        Figure(f"core time per cell, {many} edges per gene over {few}", more.cpu / two.cpu, "×", many / few),
        Figure(f"time by the clock, 1 thread over {threads}", one.wall / two.wall, "×", 0.8 * threads, at_least=True),
    )
    return Result(
        f"Scaling: {GENES:,} genes, {HOURS:g} h",
        figures,
        COLUMNS,
        tuple(_row(case, time[_name(case)]) for case in cases),
        (f"Least of {repeats} runs, taken in turns.",),
    )


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
