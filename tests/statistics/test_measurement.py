"""The measurement operator: capture thins, and factors of cells and batches have a mean of 1."""

from __future__ import annotations

import numpy as np
import pytest
from budget import (
    assert_equal_within,
    assert_mean,
    assert_variance,
    caught,
    cdf_distance,
    dkw_radius,
    level,
)
from numpy.typing import NDArray
from worlds import SHAPES

from simcell import theory
from simcell.assay import Assay, draw_assay
from simcell.course import count_molecules
from simcell.engines import Observation
from simcell.spec.measurement import AssaySpec

BURST, CAPTURE, SIGMA = 8.0, 0.15, 0.4
MEAN = SHAPES * BURST
N = 200_000
CELLS = np.arange(N, dtype=np.int64)


def make_assay(*, capture: float = CAPTURE, size_factor_sigma: float = 0.0, batch_sigma: float = 0.0) -> Assay:
    spec = AssaySpec(
        batches=2,
        cells_per_batch=N // 2,
        capture=capture,
        size_factor_sigma=size_factor_sigma,
        batch_sigma=batch_sigma,
    )
    return draw_assay(spec, n_genes=MEAN.size, seed=41)


def measured(assay: Assay) -> NDArray[np.int32]:
    """Return UMI counts (N, G) of cells whose molecules have exactly the stationary law."""
    intensity = np.random.default_rng(42).gamma(MEAN / BURST, BURST, (N, MEAN.size)).astype(np.float32)
    seen = Observation(protein=np.empty((N, 0), np.float32), intensity=intensity)
    return assay.measure(count_molecules(seen, key=assay.molecules_key, cells=CELLS), CELLS)


def check_captured_law(counts: NDArray[np.int32]) -> None:
    radius = dkw_radius(level("captured law"), counts.shape[0], MEAN.size)
    for column, mean in zip(counts.T, MEAN, strict=True):
        distance = cdf_distance(column, theory.captured_law(mean, BURST, CAPTURE))
        assert distance <= radius, f"captured, mean {mean:g}: CDF is off by {distance:.4f} (limit {radius:.4f})"


def check_captured_moments(counts: NDArray[np.int32]) -> None:
    limit = level("captured moments") / 3.0
    mean, variance = theory.captured_moments(MEAN, BURST, CAPTURE, size_factor_sigma=SIGMA)
    assert_mean(counts, mean, limit, what="UMIs", variance=variance)
    assert_variance(counts, variance, limit, what="UMIs")
    # what genes share is the size factor of their cell
    centred = counts - counts.mean(axis=0)
    pairs = [(a, b) for a in range(MEAN.size) for b in range(a)]
    first, second = (list(genes) for genes in zip(*pairs, strict=True))
    product = centred[:, first] * centred[:, second]
    shared = mean[first] * mean[second] * np.expm1(SIGMA**2)
    error = product.std(axis=0) / np.sqrt(product.shape[0])
    assert_equal_within(product.mean(axis=0), shared, error, limit, what="covariance of two genes' UMIs")


def check_factors_mean(factors: NDArray[np.float64], sigma: float, what: str) -> None:
    assert_mean(factors, 1.0, level("mean of factors"), what=what, variance=np.expm1(sigma**2))


def check_factors_spread(factors: NDArray[np.float64], sigma: float, what: str) -> None:
    assert_variance(np.log(factors), sigma**2, level("spread of factors"), what=f"logarithm of {what}", kurtosis=3.0)


@pytest.mark.statistical
def test_captured_counts_are_the_thinned_negative_binomial() -> None:
    check_captured_law(measured(make_assay()))
    with caught("captured, mean"):  # capture applied twice
        check_captured_law(measured(make_assay(capture=CAPTURE**2)))
    with caught("captured, mean"):  # the Fano factor of molecules, 1 + b, kept for UMIs
        law = theory.count_law(MEAN * CAPTURE, BURST)
        check_captured_law(law.rvs((N, MEAN.size), random_state=1))


@pytest.mark.statistical
def test_size_factors_widen_counts_and_couple_genes() -> None:
    assay = make_assay(size_factor_sigma=SIGMA)
    check_captured_moments(measured(assay))
    with caught("mean of UMIs"):  # a size factor of median 1
        check_captured_moments(measured(make_assay(size_factor_sigma=SIGMA, capture=CAPTURE * np.exp(SIGMA**2 / 2))))
    with caught("variance of UMIs"):  # a size factor that is only written down
        check_captured_moments(measured(make_assay()))
    with caught("covariance of two genes"):  # a size factor of each gene in place of each cell
        counts = measured(assay)
        check_captured_moments(np.stack([np.roll(column, 7 * g) for g, column in enumerate(counts.T)], axis=1))


@pytest.mark.statistical
def test_factors_of_cells_and_batches_have_mean_1_and_their_spread() -> None:
    size = make_assay(size_factor_sigma=SIGMA).size_factor(CELLS)
    check_factors_mean(size, SIGMA, "size factors")
    check_factors_spread(size, SIGMA, "size factors")
    many = AssaySpec(batches=60, cells_per_batch=1, batch_sigma=0.5)
    check_factors_mean(draw_assay(many, n_genes=2000, seed=43).efficiency.ravel(), 0.5, "efficiencies")
    with caught("mean of size factors"):  # a median of 1
        check_factors_mean(size * np.exp(SIGMA**2 / 2.0), SIGMA, "size factors")
    with caught("variance of logarithm of size factors"):  # variance in place of standard deviation
        check_factors_spread(make_assay(size_factor_sigma=SIGMA**2).size_factor(CELLS), SIGMA, "size factors")


def test_batches_are_the_world_and_cells_the_replicate() -> None:
    spec = AssaySpec(batches=2, cells_per_batch=50, batch_sigma=0.3, size_factor_sigma=0.3)
    first, second = (draw_assay(spec, n_genes=20, seed=5, replicate=replicate) for replicate in (0, 1))
    assert np.array_equal(first.efficiency, second.efficiency)
    cells = np.arange(100, dtype=np.int64)
    assert not np.isin(first.size_factor(cells), second.size_factor(cells)).any()
