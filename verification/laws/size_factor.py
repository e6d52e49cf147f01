"""Cells of different size: everything scales with the size, and concentrations do not know of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from simcell import CellModel, theory
from simcell.theory.examples import self_repressing_gene
from verification.approximations import Array, count_law_error, step_of
from verification.comparison import Comparison, compare_law
from verification.count_laws import CountLaw, count_law, lognormal_sizes
from verification.law import MOLECULES, STOCHASTIC, Law, promoters
from verification.moment_checks import check_covariances, check_means
from verification.moments import MRNA, Gene
from verification.worlds import forgotten, lone_genes, simulate

SIGMA, WIDE = 0.3, 0.5  # of the log size of cells; the wide one where genes are regulated
MEANS = np.array([5.0, 30.0])
STATES: dict[str, Any] = {"mrna": 60, "protein": 160}


def check(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    for promoter in promoters(engine):
        if promoter == "telegraph":
            continue  # as with bursts
        model = lone_genes(mean=MEANS, promoter=promoter, size_sigma=SIGMA, proteins_per_mrna=0.01)
        sample = simulate(model, engine, cells=cells, seed=seed, burn_in_hours=forgotten(model))
        genes = [Gene.of(model, number) for number in range(MEANS.size)]
        own = np.diag([gene.stationary()[1][MRNA, MRNA] for gene in genes])
        # total variance: of one size, and of the means of all sizes; the size is common to all genes
        expected = own + np.outer(MEANS, MEANS) * (np.exp(SIGMA**2) - 1.0)
        names = [f"mean {mean:g}" for mean in MEANS]
        common: dict[str, Any] = {"parameter": f"{promoter}, log size with deviation {SIGMA:g}", "cells": sample.cells}
        counts = sample.mrna[0]
        yield check_means("mRNA", counts, MEANS, variance=np.diag(expected), names=names, **common)
        yield check_covariances("mRNA", counts, expected, names=names, **common)
        for gene, column in zip(genes, counts.T, strict=True):
            law = count_law(gene, largest=8 * int(column.max()) + 100, sizes=lognormal_sizes(SIGMA))
            off = count_law_error(engine, gene, step=step_of(engine, model))
            yield compare_law(f"mRNA of mean {gene.rate / gene.decay:g}", column, law, **common, **off.of(1.0))
    if engine in MOLECULES:
        yield from _concentrations(engine, cells, seed + 1)


@cache
def regulated() -> tuple[CellModel, Array, Array, Array]:
    """Return a gene that represses itself, in cells of all sizes, and the chances of its mRNA and of its protein.

    The master equation is solved at each size; the law of all cells is the mixture. The last is what truncation may
    have done to it.
    """
    model = self_repressing_gene(size_sigma=WIDE)
    mixed = {kind: np.zeros(most + 1) for kind, most in STATES.items()}
    lost = 0.0
    for size, chance in zip(*lognormal_sizes(WIDE, nodes=11), strict=True):
        space = theory.state_space(model, **STATES, size=float(size))
        law = theory.stationary(space)
        lost += chance * min(law.truncation, 1.0)
        for kind, total in mixed.items():
            total += chance * theory.count_marginal(space, law.chance, kind).chance
    return model, mixed["mrna"], mixed["protein"], np.array(lost)


def _concentrations(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    model, mrna, protein, lost = regulated()
    sample = simulate(model, engine, cells=cells, seed=seed)
    for name, chances, counts in (("mRNA", mrna, sample.mrna), ("protein", protein, sample.protein)):
        yield compare_law(
            name,
            counts[0, :, 0].astype(np.int64),
            CountLaw(chances),
            parameter=f"a gene that represses itself by its concentration, log size with deviation {WIDE:g}",
            cells=sample.cells,
            systematic=float(lost),
            because="truncation of the states",
        )


LAW = Law(
    name="size of cells",
    statement="Amounts scale with a lognormal size of mean 1: variance = that of one size + mean^2 (exp(sigma^2) - 1), "
    "and all genes of a cell go together by mean mean' (exp(sigma^2) - 1).",
    source="total variance; the law is a mixture over sizes, by Gauss-Hermite quadrature",
    engines=STOCHASTIC,
    check=check,
    cells=50_000,
)
