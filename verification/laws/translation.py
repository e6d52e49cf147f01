"""A knock-out: no functional protein is made any more, while mRNA goes on as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simcell import CellEffects
from verification.approximations import ODE_BECAUSE, ODE_TOLERANCE, OWN_NOISE, Array, moments_of, splitting
from verification.comparison import Comparison, Curve, compare_exactly
from verification.law import ALL, Law
from verification.moment_checks import check_means, check_variances
from verification.moments import MRNA, PROTEIN, Gene, after
from verification.worlds import forgotten, lone_genes, simulate

PRODUCTS = [MRNA, PROTEIN]
TIMES = (4.0, 12.0, 30.0)
FACTORS = (0.0, 0.5)


def check(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    model = lone_genes(mean=20.0)
    for factor in FACTORS:
        guide = CellEffects.of(0, 1.0, translation=factor)

        def solve(gene: Gene, factor: float = factor) -> tuple[Array, Array]:
            return after(gene, TIMES, translation=lambda time: factor)

        mean, covariance, own = moments_of(engine, model, 0, solve)
        hours, size = forgotten(model, proteins=True), 1 if engine == "ode" else cells
        sample = simulate(model, engine, cells=size, seed=seed, times=TIMES, guide=guide, burn_in_hours=hours)
        scale = np.array([model.mean[0], model.protein_mean[0]])
        values = np.stack([sample.counted[:, :, 0], sample.protein[:, :, 0]], axis=-1) / scale
        expected = mean[:, PRODUCTS] / scale
        variance, own = (each[:, PRODUCTS, PRODUCTS] / scale**2 for each in (covariance, own))
        names = [f"{what}, {time:g} h" for time in TIMES for what in ("mRNA", "protein")]
        parameter = f"translation times {factor:g} from hour 0 on"
        found = values.mean(axis=1)[:, 1]
        curve = Curve(
            f"protein, {parameter}", np.array(TIMES), expected[:, 1], found, "hours", "mean over the wild type"
        )
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
        off = splitting(engine, model)
        yield check_means(
            "amounts over the wild type",
            table,
            expected.ravel(),
            variance=variance.ravel(),
            curve=curve,
            **common,
            **off.of(np.tile([0.0, 1.0 - factor], len(TIMES))),
        )
        yield check_variances(
            "amounts over the wild type",
            table,
            variance.ravel(),
            systematic=own.ravel() + off.relative * np.tile([0.0, variance[0, 1]], len(TIMES)),
            because=f"{OWN_NOISE}; {off.because}" if own.any() else "",
            **common,
        )


LAW = Law(
    name="knock-out",
    statement="Without translation a protein falls as exp(-γ t), molecule by molecule, and its mRNA does not change; "
    "with half of it, it goes to a half.",
    source="moment equations of the reactions, solved to 1e-11",
    engines=ALL,
    check=check,
    cells=50_000,
)
