"""Distances between samples estimate those between distributions without bias, where they are said to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from budget import assert_equal_within, assert_mean, caught, level
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import norm

from experiments.metrics import distribution
from experiments.metrics.distribution import WIDTHS, energy_distance, sliced_wasserstein, squared_mmd

N_PAIRS, N_FIRST, N_SECOND = 2_000, 12, 15  # few cells each: there a bias is large
SCALE = 1.3
SHIFTS = (0.0, 0.8)


def pairs(seed: int, shift: float) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return pairs of samples of N(0, 1) and N(shift, 1)."""
    draw = np.random.default_rng(seed).standard_normal((N_PAIRS, N_FIRST + N_SECOND, 1))
    return [(one[:N_FIRST], one[N_FIRST:] + shift) for one in draw]


def expected_energy(shift: float) -> float:
    """Return ``2 E|X - Y| - E|X - X'| - E|Y - Y'|``: differences are normal of variance 2, and |.| is folded."""

    def folded(mean: float) -> float:
        z = mean / np.sqrt(2.0)
        return float(np.sqrt(2.0) * (2.0 * norm.pdf(z) + z * (1.0 - 2.0 * norm.cdf(-z))))

    return 2.0 * (folded(shift) - folded(0.0))


def expected_mmd(shift: float) -> float:
    """Return the squared MMD: a Gaussian kernel of width s is averaged over normal differences of variance 2."""

    def likeness(mean: float) -> float:
        wide = [(width * SCALE) ** 2 for width in WIDTHS]
        return float(np.mean([np.sqrt(s / (s + 2.0)) * np.exp(-(mean**2) / (2.0 * (s + 2.0))) for s in wide]))

    return 2.0 * (likeness(0.0) - likeness(shift))


def check_energy(seed: int, shift: float) -> None:
    found = np.array([energy_distance(*pair) for pair in pairs(seed, shift)])
    assert_mean(found, expected_energy(shift), level("energy distance"), what="energy distance")


def check_mmd(seed: int, shift: float) -> None:
    found = np.array([squared_mmd(*pair, scale=SCALE) for pair in pairs(seed, shift)])
    assert_mean(found, expected_mmd(shift), level("squared mmd"), what="squared MMD")


def check_wasserstein(seed: int) -> None:
    """Of normal samples that differ in mean, the distance along a direction is its share of the difference."""
    rng = np.random.default_rng(seed)
    shift, directions = np.array([0.6, 0.8]), np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]])
    first, second = rng.standard_normal((20_000, 2)), rng.standard_normal((30_000, 2)) + shift
    error = np.sqrt(1 / 20_000 + 1 / 30_000)  # of the difference of the means; quantiles cross in the far tails alone
    found = sliced_wasserstein(first, second, directions=directions)
    assert_equal_within(found, (0.6 + 0.8 + 1.0) / 3.0, error, level("wasserstein"), what="mean over directions")


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_energy_distance_is_unbiased(shift: float) -> None:
    check_energy(1, shift)


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_squared_mmd_is_unbiased(shift: float) -> None:
    check_mmd(2, shift)


def test_the_sliced_wasserstein_distance_is_that_of_the_projections() -> None:
    check_wasserstein(3)


@pytest.mark.parametrize("shift", SHIFTS)
def test_cells_compared_with_themselves_are_caught(monkeypatch: pytest.MonkeyPatch, shift: float) -> None:
    """The means within a sample that include the distance 0 of every cell from itself are biased."""
    monkeypatch.setattr(distribution, "pdist", lambda sample, kind="euclidean": cdist(sample, sample, kind))
    with caught("mean of energy distance"):
        check_energy(1, shift)
    with caught("mean of squared MMD"):
        check_mmd(2, shift)


def test_projections_of_cells_in_any_order_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    unsorted: Callable[..., NDArray[np.float64]] = lambda sample, axis: sample  # noqa: E731
    monkeypatch.setattr(distribution.np, "sort", unsorted)
    with caught("mean over directions"):
        check_wasserstein(3)
