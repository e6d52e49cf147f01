"""Poisson and binomial draws follow their laws, at all sizes and on both sides of the switch of algorithm."""

from __future__ import annotations

import numpy as np
import pytest
from budget import assert_counts_follow, caught, level
from numpy.typing import NDArray
from scipy.stats import binom, poisson

from simcell.kernels.counts import INVERSION_BELOW, draw_captured, draw_molecules
from simcell.random import Purpose, kernel_key

N = 500_000
CELLS = np.arange(N, dtype=np.int64)
KEY = kernel_key(3, Purpose.MOLECULES)
SWITCH = np.array([INVERSION_BELOW - 0.01, INVERSION_BELOW, INVERSION_BELOW + 0.01])
MEANS = np.array([0.1, 0.7, 2.5, *SWITCH, 14.0, 33.3, 150.0, 1000.0, 1e4]).astype(np.float32)
# chances at the ends, in the middle, mirrored; tiny with huge numbers; and around the switch, n p = 10
TRIALS_AND_CHANCE = [
    (1, 0.3),
    (6, 0.5),
    (6, 0.9),
    (25, 0.39),
    (25, 0.41),
    (40, 0.5),
    (40, 0.7),
    (1_000, 0.00999),
    (1_000, 0.01001),
    (1_000, 0.98),
    (1_000, 0.9901),
    (20_000, 0.06),
    (20_000, 0.5),
    (2_000_000_000, 1e-9),
    (2_000_000_000, 4.999e-9),
    (2_000_000_000, 5.001e-9),
    (2_000_000_000, 1e-7),
]


def draw_poisson(means: NDArray[np.float32]) -> NDArray[np.int32]:
    out = np.empty((N, means.size), np.int32)
    draw_molecules(np.tile(means, (N, 1)), KEY, CELLS, out)
    return out


def draw_binomial(trials: NDArray[np.int32], chance: NDArray[np.float64]) -> NDArray[np.int32]:
    out = np.empty((N, trials.size), np.int32)
    batch = np.zeros(N, np.int64)
    draw_captured(np.tile(trials, (N, 1)), np.ones(N), chance[None, :], batch, KEY, CELLS, out)
    return out


def check_poisson(counts: NDArray[np.int32], means: NDArray[np.floating]) -> None:
    limit = level("poisson sampler") / means.size
    for column, mean in zip(counts.T, means.astype(np.float64), strict=True):
        assert_counts_follow(column, poisson(mean), limit, what=f"Poisson of mean {mean:g}")


def check_binomial(counts: NDArray[np.int32], trials: NDArray[np.int32], chance: NDArray[np.float64]) -> None:
    limit = level("binomial sampler") / trials.size
    for column, n, p in zip(counts.T, trials, chance, strict=True):
        assert_counts_follow(column, binom(n, p), limit, what=f"binomial of {n} at {p:g}")


@pytest.mark.statistical
def test_poisson() -> None:
    check_poisson(draw_poisson(MEANS), MEANS)
    one = MEANS[5:6]
    assert one[0] > INVERSION_BELOW
    with caught("Poisson of mean 10.01"):  # a mean that is off by two percent
        check_poisson(draw_poisson(one * np.float32(1.02)), one)
    with caught("Poisson of mean 10.01"):  # a rounded normal in its place
        check_poisson(np.rint(np.random.default_rng(1).normal(10.01, 10.01**0.5, (N, 1))).clip(0).astype(int), one)


@pytest.mark.statistical
def test_binomial() -> None:
    trials = np.array([n for n, _ in TRIALS_AND_CHANCE], np.int32)
    chance = np.array([p for _, p in TRIALS_AND_CHANCE])
    check_binomial(draw_binomial(trials, chance), trials, chance)
    forty, seventy = np.array([40], np.int32), np.array([0.7])
    with caught("binomial of 40 at 0.7"):  # the mirror left out
        check_binomial(draw_binomial(forty, 1.0 - seventy), forty, seventy)
    with caught("binomial of 40 at 0.7"):  # a Poisson in its place, from which counts can exceed their molecules
        check_binomial(draw_poisson(np.float32([28.0])), forty, seventy)


def test_impossible_and_certain_draws_are_exact() -> None:
    assert (draw_poisson(np.zeros(1, np.float32)) == 0).all()
    trials = np.array([0, 7, 7, 2**31 - 1], np.int32)
    counts = draw_binomial(trials, np.array([0.5, 0.0, 1.0, 1.5]))  # a chance above 1 is held at 1
    assert (counts == [0, 0, 7, 2**31 - 1]).all()
