"""A guide that sets in slowly, after a lag: mRNA and protein relax to their new level along the known course."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from simcell import CellEffects
from verification.approximations import ODE_BECAUSE, ODE_TOLERANCE, OWN_NOISE, Array, moments_of, onset, splitting
from verification.comparison import Comparison, Curve, compare_exactly
from verification.law import ALL, Law
from verification.moment_checks import check_means, check_variances
from verification.moments import MRNA, PROTEIN, Gene, after
from verification.worlds import forgotten, lone_genes, simulate

PRODUCTS = [MRNA, PROTEIN]
TIMES = (3.0, 8.0, 15.0, 30.0, 60.0)
LAG, CONSTANT = 6.0, 10.0
CASES = ((0.1, "represses to 0.1"), (3.0, "activates threefold"))
MEAN, BURST = 20.0, 4.0


def check(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    model = lone_genes(mean=MEAN, burst_size=BURST)
    for fold, words in CASES:
        guide = CellEffects.of(0, fold, start=LAG, constant=CONSTANT)

        def transcription(time: float, fold: float = fold) -> float:
            return 1.0 + (fold - 1.0) * (1.0 - np.exp(-max(time - LAG, 0.0) / CONSTANT))

        def solve(gene: Gene, course: Callable[[float], float] = transcription) -> tuple[Array, Array]:
            return after(gene, TIMES, transcription=course, breaks=(LAG,))

        mean, covariance, own = moments_of(engine, model, 0, solve)
        scale = np.array([MEAN, model.protein_mean[0]])
        expected = mean[:, PRODUCTS] / scale
        variance, own = (each[:, PRODUCTS, PRODUCTS] / scale**2 for each in (covariance, own))
        names = [f"{what}, {time:g} h" for time in TIMES for what in ("mRNA", "protein")]
        parameter = f"a guide {words}, lag {LAG:g} h, time constant {CONSTANT:g} h"
        hours = forgotten(model, proteins=True)
        size = 1 if engine == "ode" else cells
        sample = simulate(model, engine, cells=size, seed=seed, times=TIMES, guide=guide, burn_in_hours=hours)
        values = np.stack([sample.counted[:, :, 0], sample.protein[:, :, 0]], axis=-1) / scale  # (T, N, 2)
        title = f"mRNA over the wild type, {words}"
        curve = Curve(title, np.array(TIMES), expected[:, 0], values.mean(axis=1)[:, 0], "hours", "mean")
        if engine == "ode":
            yield compare_exactly(
                "amounts over the wild type",
                parameter=parameter,
                expected=expected,
                measured=values[:, 0],
                tolerance=ODE_TOLERANCE,
                because=ODE_BECAUSE,
                names=np.reshape(names, expected.shape),
                curve=curve,
            )
            continue
        table = np.moveaxis(values, 0, 1).reshape(cells, -1)
        common: dict[str, Any] = {"parameter": parameter, "cells": sample.cells, "names": names}
        off, slow = splitting(engine, model), onset(engine, model, fold=fold, constant=CONSTANT)
        because = (off + slow).because
        # of the change, for means; mRNA knows nothing of the splitting
        systematic = np.tile([slow.relative, slow.relative + abs(fold - 1.0) * off.relative], len(TIMES))
        yield check_means(
            "amounts over the wild type",
            table,
            expected.ravel(),
            variance=variance.ravel(),
            curve=curve,
            systematic=systematic,
            because=because,
            **common,
        )
        systematic = np.tile([slow.relative, slow.relative + max(fold, 1.0) * off.relative], len(TIMES))
        yield check_variances(
            "amounts over the wild type",
            table,
            variance.ravel(),
            systematic=own.ravel() + systematic * np.tile(variance[0], len(TIMES)),
            because=f"{OWN_NOISE}; {because}" if own.any() else "",
            **common,
        )


LAW = Law(
    name="onset of a guide",
    statement="Transcription is 1 + (m - 1)(1 - exp(-(t - lag)/constant)) of the wild type's from the lag on; means "
    "and variances of mRNA and protein follow the moment equations at every time.",
    source="moment equations of the reactions, solved to 1e-11",
    engines=ALL,
    check=check,
    cells=50_000,
)
