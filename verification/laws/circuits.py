"""Circuits of one and two genes with few molecules, against the exact solution of their master equation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcell import CellEffects, CellModel, theory
from simcell.theory import Counts, StateSpace, Stationary
from simcell.theory.examples import self_repressing_gene
from verification.comparison import Comparison, compare_law
from verification.law import MOLECULES, Law, promoters
from verification.moment_checks import check_covariances, check_means
from verification.worlds import Sample, circuit, simulate

TRANSCRIPTION, LATER = 0.3, 5.0  # factor of a guide, hours after which to look
ONE: dict[str, Any] = {"poisson": {"mrna": 16, "protein": 70}, "bursty": {"mrna": 40, "protein": 110}}
ONE["telegraph"] = ONE["bursty"]
TWO: dict[str, Any] = {"mrna": 7, "protein": 24}  # of both genes together: what one has more of, the other has less of


@cache
def one_gene(promoter: str, sign: int) -> tuple[CellModel, StateSpace, Stationary]:
    """Return a gene that represses or activates itself, its states and their stationary law."""
    if sign < 0:
        model = self_repressing_gene(promoter=promoter)
    else:
        # weak enough for the states to be few
        settings: dict[str, Any] = {"mean": 2.0, "half_life": 2.0, "burst_size": 2.0, "fold": 4.0}
        settings |= {"protein_half_life": 4.0, "proteins_per_mrna": 4.0}
        model = circuit([(0, 0, 1)], promoter=promoter, **settings)
    space = theory.state_space(model, **ONE[promoter])
    return model, space, theory.stationary(space)


@cache
def two_genes() -> tuple[CellModel, StateSpace, Stationary]:
    """Return a gene that activates another, which represses it, their states and the stationary law."""
    model = circuit(
        [(0, 1, 1), (1, 0, -1)],
        promoter="poisson",
        mean=0.5,
        half_life=2.0,
        protein_half_life=3.0,
        proteins_per_mrna=2.5,
        fold=20.0,
    )

    def few(counts: Counts) -> NDArray[np.bool_]:
        total = {kind: counts.of(kind, 0) + counts.of(kind, 1) for kind in TWO}
        return np.asarray((total["mrna"] <= TWO["mrna"]) & (total["protein"] <= TWO["protein"]))

    space = theory.state_space(model, **TWO, keep=few)
    return model, space, theory.stationary(space)


def check_one(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    for promoter in promoters(engine):
        for sign, words in ((-1, "represses"), (1, "activates")):
            model, space, law = one_gene(promoter, sign)
            sample = simulate(model, engine, cells=cells, seed=seed)
            yield from _compare(sample, space, law.chance, law.truncation, f"{promoter}, a gene that {words} itself")
        model, _, law = one_gene(promoter, -1)
        guided = theory.state_space(model, **ONE[promoter], transcription=TRANSCRIPTION)
        later, lost = theory.transient(guided, law.chance, [LATER])
        guide = CellEffects.of(0, TRANSCRIPTION)
        sample = simulate(model, engine, cells=cells, seed=seed + 1, times=[LATER], guide=guide)
        words = f"{promoter}, a gene that represses itself, {LATER:g} h after transcription was multiplied by 0.3"
        yield from _compare(sample, space, later[0], float(lost[0]) + law.truncation, words)


def check_two(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    model, space, law = two_genes()
    sample = simulate(model, engine, cells=cells, seed=seed)
    yield from _compare(sample, space, law.chance, law.truncation, "G1 activates G2, which represses G1")


def _compare(
    sample: Sample, space: StateSpace, chance: NDArray[np.float64], truncation: float, parameter: str
) -> Iterator[Comparison]:
    """Compare means, covariances and the law of each amount; what truncation may have done is allowed."""
    counts = np.stack(
        [
            (sample.mrna if kind == "mrna" else sample.protein)[-1][:, gene].astype(np.int64)
            for kind, gene in zip(space.counts.kind, space.counts.gene, strict=True)
            if kind != "promoter"
        ],
        axis=1,
    )
    kept = [axis for axis, kind in enumerate(space.counts.kind) if kind != "promoter"]
    names = [f"{space.counts.kind[axis]} {space.counts.gene[axis] + 1}" for axis in kept]
    mean, covariance = theory.count_moments(space, chance)
    mean, covariance = mean[kept], covariance[np.ix_(kept, kept)]
    common: dict[str, Any] = {"parameter": parameter, "cells": sample.cells}
    # of the moments, at most so much that is beyond the largest counts that are held
    largest = np.array([space.shape[axis] for axis in kept], np.float64)
    because = f"truncation of the states, at most {truncation:.0e}"
    yield check_means(
        "molecules",
        counts,
        mean,
        variance=np.diag(covariance),
        names=names,
        systematic=truncation * largest,
        because=because,
        **common,
    )
    yield check_covariances(
        "molecules",
        counts,
        covariance,
        names=names,
        systematic=truncation * np.outer(largest, largest),
        because=because,
        **common,
    )
    for number, axis in enumerate(kept):
        law = theory.count_marginal(space, chance, space.counts.kind[axis], space.counts.gene[axis])
        yield compare_law(names[number], counts[:, number], law, systematic=truncation, because=because, **common)


LAWS = (
    Law(
        name="autoregulated gene",
        statement="A gene of few molecules that represses or activates itself has the law of the master equation: "
        "stationary, and on its way after a guide.",
        source="finite state projection: Munsky & Khammash, J. Chem. Phys. 124 (2006), doi:10.1063/1.2145882",
        engines=MOLECULES,
        check=check_one,
        cells=50_000,
    ),
    Law(
        name="two-gene circuit",
        statement="Two genes that regulate each other have the stationary law of their master equation.",
        source="finite state projection: Munsky & Khammash (2006)",
        engines=MOLECULES,
        check=check_two,
        few=40_000,
    ),
)
