"""Stationary counts of genes that nothing regulates: Poisson, negative binomial, and the telegraph's Beta-Poisson."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from verification.approximations import count_law_error, step_of
from verification.comparison import Comparison, compare_law
from verification.count_laws import count_law, telegraph_law
from verification.law import STOCHASTIC, Law, promoters
from verification.moment_checks import check_means, check_variances
from verification.moments import MRNA, Gene
from verification.worlds import forgotten, lone_genes, simulate

SETTINGS: dict[str, dict[str, Any]] = {
    "poisson": {"mean": np.array([0.5, 20.0, 3.0])},
    "bursty": {"mean": np.array([2.0, 8.0, 80.0, 4.0, 20.0]), "burst_size": 4.0},
    "telegraph": {"mean": np.array([8.0, 20.0, 40.0]), "burst_size": np.array([4.0, 40.0, 400.0]), "activity": 0.5},
}
REGULATORS = {"poisson": 2, "bursty": 3, "telegraph": 2}  # the first genes; the others only follow


def check(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    for promoter in promoters(engine):
        model = lone_genes(
            promoter=promoter, regulators=REGULATORS[promoter], proteins_per_mrna=0.01, **SETTINGS[promoter]
        )
        sample = simulate(model, engine, cells=cells, seed=seed, burn_in_hours=forgotten(model))
        counts = sample.mrna[0]
        genes = [Gene.of(model, number) for number in range(counts.shape[1])]
        variance = np.array([gene.stationary()[1][MRNA, MRNA] for gene in genes])
        words = [f"{promoter}, mean {m:g}, burst {b:g}" for m, b in zip(model.mean, model.burst_size, strict=True)]
        if promoter == "poisson":
            words = [f"poisson, mean {m:g}" for m in model.mean]
        common: dict[str, Any] = {"parameter": f"{promoter} promoters", "cells": sample.cells, "names": words}
        yield check_means("mRNA", counts, model.mean, variance=variance, **common)
        yield check_variances("mRNA", counts, variance, **common)
        for number, gene in enumerate(genes):
            column, largest = counts[:, number], int(4 * counts[:, number].max() + 100)
            law = (telegraph_law if promoter == "telegraph" else count_law)(gene, largest=largest)
            off = count_law_error(engine, gene, step=step_of(engine, model, number))
            yield compare_law("mRNA", column, law, parameter=words[number], cells=sample.cells, **off.of(1.0))


LAW = Law(
    name="stationary counts",
    statement="A gene at constant production has Poisson counts (one transcript at a time), negative binomial ones "
    "with Fano factor 1 + b (geometric bursts of mean b), or a Beta mixture of Poissons (a promoter that goes on and "
    "off).",
    source="Paulsson & Ehrenberg, Phys. Rev. Lett. 84 (2000); Peccoud & Ycart, Theor. Popul. Biol. 48 (1995)",
    engines=STOCHASTIC,
    check=check,
)
