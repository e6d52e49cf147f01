"""Cells that divide: every molecule goes to either daughter with chance 1/2, and cells are anywhere in their cycle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from verification.comparison import Comparison, compare_law
from verification.count_laws import dividing_law
from verification.law import MOLECULES, Law, promoters
from verification.moment_checks import check_covariances, check_means
from verification.moments import MRNA, PROTEIN, Gene, dividing
from verification.worlds import lone_genes, simulate

DOUBLING = 12.0
SETTINGS: dict[str, Any] = {
    "mean": np.array([5.0, 20.0]),
    "half_life": np.array([3.0, 20.0]),
    "protein_half_life": 40.0,
    "proteins_per_mrna": 4.0,
    "doubling_time": DOUBLING,
}
GENERATIONS = 8  # after which 1/2^8 of a protein is left


def check(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    for promoter in promoters(engine):
        model = lone_genes(promoter=promoter, division=True, **SETTINGS)
        sample = simulate(model, engine, cells=cells, seed=seed, burn_in_hours=GENERATIONS * DOUBLING)
        for number in range(model.mean.size):
            gene = Gene.of(model, number, dividing=True)
            mean, covariance, _, _ = dividing(gene, DOUBLING)
            both, names = [MRNA, PROTEIN], ["mRNA", "protein"]
            expected = covariance[np.ix_(both, both)]
            values = np.stack([sample.mrna[0, :, number], sample.protein[0, :, number]], axis=1)
            parameter = f"{promoter}, half-life {model.half_life[number]:g} h, doubling every {DOUBLING:g} h"
            common: dict[str, Any] = {"parameter": parameter, "cells": sample.cells}
            yield check_means("molecules", values, mean[both], variance=np.diag(expected), names=names, **common)
            yield check_covariances("molecules", values, expected, names=names, **common)
            if promoter != "telegraph":
                column = sample.mrna[0, :, number]
                yield compare_law(
                    "mRNA", column, dividing_law(gene, DOUBLING, largest=4 * int(column.max()) + 100), **common
                )


LAW = Law(
    name="division",
    statement="With explicit division each molecule stays with chance 1/2, independently. Over cells of uniform phase, "
    "mean, variance and law of mRNA and protein are those of the periodic solution.",
    source="the moment equations with mean -> mean/2, C -> C/4 + diag(mean)/4 at each division; Huh & Paulsson, "
    "Nature Genetics 43 (2011), for binomial partition",
    engines=MOLECULES,
    check=check,
    cells=50_000,
)
