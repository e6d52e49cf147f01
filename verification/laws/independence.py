"""Cells are independent draws: no correlation of cells at any distance, of unconnected genes, of runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from verification.comparison import Comparison, compare
from verification.effective import Cells, measure
from verification.law import STOCHASTIC, Law
from verification.moment_checks import correlation
from verification.worlds import Sample, forgotten, lone_genes, simulate

MEANS = np.array([4.0, 8.0, 20.0, 8.0, 20.0, 8.0])  # more genes than a block of random numbers has, 4


def check(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    model = lone_genes(mean=MEANS, proteins_per_mrna=0.01)
    first, second = (
        simulate(model, engine, cells=cells, seed=each, burn_in_hours=forgotten(model)) for each in (seed, seed + 1)
    )
    yield _distances(first.cells, "cells of one run, at any distance of their numbers")
    both = np.stack([first.latent[0], second.latent[0]], axis=1).reshape(2 * cells, -1)
    yield _distances(measure(both), "cells of two runs with neighbouring seeds, by turns")
    yield _unconnected(first)


def _distances(cells: Cells, parameter: str) -> Comparison:
    """Compare the largest correlation, over all distances of two cells' numbers, with none."""
    return compare(
        f"correlation of cells, the largest (at distance {cells.lag:,})",
        parameter=parameter,
        expected=0.0,
        measured=cells.correlation,
        error=cells.error,
        cells=cells,
        among=cells.number // 2 - 1,
    )


def _unconnected(sample: Sample) -> Comparison:
    pairs = [(a, b) for a in range(MEANS.size) for b in range(a)]
    one, other = (sample.latent[0][:, list(genes)] for genes in zip(*pairs, strict=True))
    found, error = correlation(one, other)
    return compare(
        "correlation of two genes",
        parameter="genes that know nothing of each other, in one cell",
        expected=0.0,
        measured=found,
        error=error,
        cells=sample.cells,
        names=[f"genes {a + 1} and {b + 1}" for a, b in pairs],
    )


LAW = Law(
    name="independent cells",
    statement="Cells are independent draws, and so are genes that are not connected and runs with other seeds: no "
    "correlation at any distance of two cells' numbers.",
    source="Sokal, Monte Carlo methods in statistical mechanics (1997); simulators that sell time points of one path "
    "as cells fail",
    engines=STOCHASTIC,
    check=check,
)
