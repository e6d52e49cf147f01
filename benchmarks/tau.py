"""Tau-leaping: the engine `tau`, and beside it GillesPy2's C++ solver `TauLeapingCSolver`, with the error of both.

What is compared: as in `ssa.py`, the same reactions, amounts at the start, hours, recorded times and number of
trajectories; compiling is left out, what each hands to its user is counted. One thread each. Two networks: one with 20
molecules of each mRNA, where GillesPy2 takes steps of about one event whenever any species is below 10 molecules, and
one with 200, where it leaps.

Error: mean and variance of all amounts at the end against an exact simulation (the engine `ssa`, many cells), relative,
averaged over species with its sign; mRNA and protein apart. Standard errors are given, and on how many cells. GillesPy2
is run as it comes (tolerance 0.03; no optimisation by the compiler), compiled with -O3, and with a larger tolerance or
constant steps, which cost less and err more. The same seed gives the same trajectories however it is compiled, so
that errors are measured with -O3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks import _gillespy
from benchmarks._hill_network import GENES, amounts_at_end, hill_network, simulate
from benchmarks._moments import RelativeError, relative_errors
from benchmarks._report import Figure, Result, n_cores, number
from benchmarks._timing import fastest, say
from simcell import CellModel

HOURS, RECORDS, TIMED = 48.0, 2, 64  # cells whose time is taken
LIMIT = 3.0  # standard errors by which the error of simcell may seem the larger, of eight that are looked at
COLUMNS = ("program", "mRNA", "ms per cell", "ratio", "cells for errors", "mRNA mean", "mRNA variance",
           "protein mean", "protein variance")  # fmt: skip
OURS, EXACT = "simcell, tau", "simcell, ssa"
AS_IT_COMES, OPTIMISED = "GillesPy2", "GillesPy2, -O3"
Errors = tuple[RelativeError, RelativeError, RelativeError, RelativeError]  # of mRNA, mean and variance; of protein
ERRORS = ("mean of mRNA", "variance of mRNA", "mean of protein", "variance of protein")


@dataclass(frozen=True)
class Variant:
    """GillesPy2 with one set of options; on how many cells its error is judged, if it has one of its own."""

    name: str
    judged: int = 0
    optimised: bool = True
    tolerance: float = 0.03
    constant_step: float | None = None


@dataclass(frozen=True)
class Case:
    """One network, by the wild-type mean of its mRNA; on how many cells simcell's error is judged, against how many."""

    mean: float
    judged: int
    exact: int
    variants: tuple[Variant, ...]


CASES = (
    Case(20.0, 8192, 8192, (
        Variant(AS_IT_COMES, optimised=False),
        Variant(OPTIMISED, 512),
        Variant("GillesPy2, -O3, steps of 0.1 h", 512, constant_step=0.1),
    )),
    Case(200.0, 2048, 2048, (
        Variant(AS_IT_COMES, optimised=False),
        Variant(OPTIMISED, 1024),
        Variant("GillesPy2, -O3, tolerance 0.1", 1024, tolerance=0.1),
    )),
)  # fmt: skip


def measure(*, quick: bool = False) -> Result:
    """Return the comparison; `quick` takes an eighth of the cells, fewer repeats and only one tolerance."""
    _gillespy.require()
    share, repeats = (8, 1) if quick else (1, 3)
    figures: list[Figure] = []
    rows: list[tuple[str, ...]] = []
    for case in CASES:
        chosen = replace(case, variants=case.variants[:2]) if quick else case
        found = _measure(chosen, share=share, repeats=repeats)
        figures += found[0]
        rows += found[1]
    return Result(
        f"Engine tau: 20 genes, Hill sums, {HOURS:g} h",
        tuple(figures),
        COLUMNS,
        tuple(rows),
        (
            f"Least of {repeats} runs of {TIMED // share} cells, in turns, by the clock, on one thread each. Ratio: "
            "over that of simcell's tau.",
            "Errors: relative to an exact simulation, averaged over species with their sign, with standard errors; "
            "of so many cells as stand before them. GillesPy2 makes the same trajectories however it is compiled.",
            f"-O3: compiled with {_gillespy.OPTIMISED}; GillesPy2 as it comes compiles without optimisation.",
        ),
    )


def _measure(case: Case, *, share: int, repeats: int) -> tuple[list[Figure], list[tuple[str, ...]]]:
    model = hill_network(mean=case.mean)
    ours = partial(simulate, model, hours=HOURS, records=RECORDS)
    solvers = {variant.name: _solver(model, variant) for variant in case.variants}
    cells = TIMED // share
    prepared = {
        OURS: _ready(partial(ours, engine="tau", cells=cells, threads=1)),
        EXACT: _ready(partial(ours, engine="ssa", cells=cells, threads=1)),
    }
    for variant in case.variants:
        prepared[variant.name] = _ready(_run(solvers[variant.name], variant, cells=cells))
    for engine in ("tau", "ssa"):
        ours(engine=engine, cells=1, threads=1)  # compiles
    time = fastest(prepared, repeats=repeats)

    threads = n_cores()
    say("errors")
    exact = amounts_at_end(ours(engine="ssa", cells=case.exact // share, threads=threads, seed=2))
    samples = {OURS: amounts_at_end(ours(engine="tau", cells=case.judged // share, threads=threads, seed=3))}
    for variant in case.variants:
        if variant.judged:
            say(f"errors: {variant.name}")
            samples[variant.name] = _run(solvers[variant.name], variant, cells=variant.judged // share, seed=2)()[-1]
    errors = {name: _errors(sample, exact) for name, sample in samples.items()}
    for solver in solvers.values():
        solver.close()
    say("")
    mean = f"{case.mean:g} of each mRNA"
    figures = [
        figure
        for name in (AS_IT_COMES, OPTIMISED)
        for figure in (
            Figure(f"{name}, time over tau, {mean}", time[name].wall / time[OURS].wall, "×",
                   10.0 if name == AS_IT_COMES else None, at_least=True),
            Figure(f"{name}, core time over tau, {mean}", time[name].cpu / time[OURS].cpu, "×"),
        )
    ]  # fmt: skip
    figures += [
        Figure(f"error of {what}, {mean}: simcell's the larger by, in standard errors", mine.above(theirs), "", LIMIT)
        for what, mine, theirs in zip(ERRORS, errors[OURS], errors[OPTIMISED], strict=True)
    ]
    rows = [
        (
            name,
            f"{case.mean:g}",
            number(1e3 * taken.wall / cells),
            number(taken.wall / time[OURS].wall),
            f"{samples[name].shape[0]:,}" if name in samples else "",
            *map(str, errors.get(name, ("",) * len(ERRORS))),
        )
        for name, taken in time.items()
    ]
    return figures, rows


def _solver(model: CellModel, variant: Variant) -> _gillespy.Solver:
    return _gillespy.Solver(
        model, name="TauLeapingCSolver", optimised=variant.optimised, constant_step=variant.constant_step
    )


def _run(solver: _gillespy.Solver, variant: Variant, *, cells: int, seed: int = 1) -> Callable[[], NDArray[np.float64]]:
    return partial(solver.run, trajectories=cells, hours=HOURS, records=RECORDS, seed=seed, tau_tol=variant.tolerance)


def _ready(program: Callable[[], object]) -> Callable[[], Callable[[], object]]:
    return lambda: program


def _errors(sample: NDArray[np.float64], exact: NDArray[np.float64]) -> Errors:
    """Return the relative errors of mean and variance: of mRNA, then of protein."""
    return relative_errors(sample[:, :GENES], exact[:, :GENES]) + relative_errors(sample[:, GENES:], exact[:, GENES:])
