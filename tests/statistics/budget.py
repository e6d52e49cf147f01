"""The one budget of false alarms of the whole suite, and the comparisons that are held to it.

If every kernel is right, the chance that *any* statistical test fails at a fresh set of seeds is at most `TOTAL`. The
budget is cut into equal slots; `SHARES` says who has how many, and for how many runs (calls with other parameters or
samples). A check gets its level from `level`, which refuses to be asked more often than was registered; within a run,
several comparisons share the level by Bonferroni. Seeds are fixed, so a test that passes goes on passing until
something that it looks at has changed.

To add a law: a line in `SHARES`; a function `check_...(sample, ...)` that raises AssertionError; a test that runs it on
the real thing; and one that runs it `with caught(...)` on a planted bug, to show that it has the power to see one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from verification.statistics import (
    SKEWED,
    cdf_distance,
    chi_square_chance,
    dkw_radius,
    variance_error,
    z_threshold,
)

__all__ = ["SKEWED", "cdf_distance", "chi_square_chance", "dkw_radius", "variance_error", "z_threshold"]

TOTAL = 1e-6
SLOTS = 100


@dataclass(frozen=True)
class Share:
    """What one law may spend: so many slots, in so many runs."""

    runs: int
    slots: int = 1


SHARES: dict[str, Share] = {
    # test_random_numbers.py
    "uniform law": Share(runs=1),
    "normal law": Share(runs=1),
    "streams uncorrelated": Share(runs=4),
    # test_count_samplers.py
    "poisson sampler": Share(runs=1),
    "binomial sampler": Share(runs=1),
    # test_intensity.py
    "intensity mean": Share(runs=2),
    "intensity variance": Share(runs=3),
    "count law": Share(runs=5, slots=2),
    "single transcripts": Share(runs=1),
    "transient variance": Share(runs=1),
    "autocorrelation": Share(runs=1),
    "cells independent": Share(runs=2),
    # test_dynamics.py
    "relaxation": Share(runs=3),
    "protein noise": Share(runs=1),
    "linear network": Share(runs=2, slots=2),
    # test_measurement.py
    "captured law": Share(runs=1),
    "captured moments": Share(runs=1),
    "mean of factors": Share(runs=2),
    "spread of factors": Share(runs=1),
    # test_layers.py
    "splicing": Share(runs=1),
    "cell sizes": Share(runs=1),
    "amounts scale with size": Share(runs=1),
    "followers": Share(runs=2),
    # test_library_laws.py
    "constructs per cell": Share(runs=2),
    "construct weights": Share(runs=1),
    "null alleles": Share(runs=1),
    "guide efficacy": Share(runs=1),
    # test_stationarity.py
    "wild type stationary": Share(runs=1),
    # test_ensemble.py
    "ensemble error honest": Share(runs=3, slots=2),
    "ensemble mean": Share(runs=2, slots=2),
    # test_atlas_law.py
    "atlas wild type": Share(runs=1),
    # test_theory_twin.py
    "theory law": Share(runs=3),
    "theory passage": Share(runs=1),
    "theory lineage": Share(runs=1),
    # test_sample_distances.py
    "energy distance": Share(runs=2),
    "squared mmd": Share(runs=2),
    "wasserstein": Share(runs=1),
    "true law in batches": Share(runs=2),
    "true law is best": Share(runs=1),
}

_spent: Counter[str] = Counter()
_planting = False


def level(name: str) -> float:
    """Return the false-alarm rate that one run of a law may have; refuse a run that was not registered."""
    share = SHARES[name]
    if not _planting:
        _spent[name] += 1
        assert _spent[name] <= share.runs, f"{name}: more than the {share.runs} runs registered in SHARES"
    return TOTAL / SLOTS * share.slots / share.runs


@contextmanager
def caught(match: str) -> Iterator[None]:
    """Assert that the check inside fails, with a message that contains `match`: the planted bug is caught.

    Runs inside are not charged: a check that is meant to fail raises no false alarm.
    """
    global _planting
    _planting = True
    try:
        with pytest.raises(AssertionError, match=re.escape(match)):
            yield
    finally:
        _planting = False


def assert_equal_within(
    found: ArrayLike, expected: ArrayLike, error: ArrayLike, level: float, *, what: str, allowed: ArrayLike = 0.0
) -> None:
    """Assert that estimates agree with theory, given their standard errors and an allowed systematic difference."""
    found, expected, error = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (found, expected, error)))
    z = np.maximum(np.abs(found - expected) - allowed, 0.0) / error
    worst = np.unravel_index(np.argmax(z), z.shape)
    limit = z_threshold(level, z.size)
    place = f" [{', '.join(map(str, worst))}]" if z.ndim else ""
    assert z[worst] <= limit, (
        f"{what}{place}: {found[worst]:.6g} is {z[worst]:.1f} standard errors from {expected[worst]:.6g} "
        f"(limit {limit:.1f} over {z.size} comparisons)"
    )


def assert_mean(
    sample: NDArray[np.floating], expected: ArrayLike, level: float, *, what: str, variance: ArrayLike | None = None
) -> None:
    """Assert the mean over the first axis; its standard error is from theory's variance, or else from the sample."""
    spread = sample.var(axis=0, dtype=np.float64) if variance is None else variance
    error = np.sqrt(np.asarray(spread) / sample.shape[0])
    assert_equal_within(sample.mean(axis=0, dtype=np.float64), expected, error, level, what=f"mean of {what}")


def assert_variance(
    sample: NDArray[np.floating],
    expected: ArrayLike,
    level: float,
    *,
    what: str,
    kurtosis: ArrayLike | None = None,
    allowed: ArrayLike = 0.0,
) -> None:
    """Assert the variance over the first axis; its standard error has theory's kurtosis, or else the sample's."""
    centred = sample - sample.mean(axis=0, dtype=np.float64)
    found = (centred**2).mean(axis=0)
    peaked = (centred**4).mean(axis=0) / found**2 if kurtosis is None else kurtosis
    error = variance_error(expected, peaked, sample.shape[0])
    assert_equal_within(found, expected, error, level, what=f"variance of {what}", allowed=allowed)


def assert_counts_follow(counts: NDArray[np.integer], law: object, level: float, *, what: str) -> None:
    """Assert by a chi-square test that counts (N,) follow a discrete law."""
    low, high = int(counts.min()), int(counts.max())
    expected = law.pmf(np.arange(low, high + 1))
    expected[0] += law.cdf(low - 1)
    expected[-1] += law.sf(high)
    # what is left over by rounding belongs nowhere in particular
    chance = chi_square_chance(np.bincount(counts - low), expected / expected.sum() * counts.size)
    assert chance >= level, f"{what}: so poor a fit has chance {chance:.1e} (limit {level:.1e})"


def assert_uncorrelated(first: NDArray[np.floating], second: NDArray[np.floating], level: float, *, what: str) -> None:
    """Assert that columns of two samples (N, K), whose rows are independent draws, are uncorrelated pair by pair."""
    a, b = (x - x.mean(axis=0, dtype=np.float64) for x in (first, second))
    product = (a * b) / np.sqrt((a**2).mean(axis=0) * (b**2).mean(axis=0))
    error = np.sqrt((product**2).mean(axis=0) / product.shape[0])
    assert_equal_within(product.mean(axis=0), 0.0, error, level, what=f"correlation of {what}")
