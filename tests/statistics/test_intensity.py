"""One gene by itself: the square-root diffusion of its intensity, and the negative binomial law of its counts."""

from __future__ import annotations

import numpy as np
import pytest
from budget import (
    assert_equal_within,
    assert_mean,
    assert_uncorrelated,
    assert_variance,
    caught,
    cdf_distance,
    dkw_radius,
    level,
)
from numba import njit
from numpy.typing import NDArray
from worlds import BURST, DECAY, HALF_LIFE, SHAPES, lone_genes, sample

from simcell import theory
from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.engines import LANES, Langevin
from simcell.kernels.langevin import quadratic_exponential
from simcell.random import Purpose, kernel_key

MEAN = SHAPES * BURST
# How far the scheme's stationary count law is from the negative binomial, in the CDF, per unit of decay * step. The two
# have the same mean and variance. Measured over decay * step of 0.03 to 1, worst of all shapes: 0.012 to 0.025 (about
# shape 1; least for the smallest and largest shapes).
SCHEME_ERROR = 0.03


def check_mean(intensity: NDArray[np.float32], mean: NDArray[np.float64]) -> None:
    assert_mean(intensity, mean, level("intensity mean"), what="intensity", variance=BURST * mean)


def check_variance(intensity: NDArray[np.float32], mean: NDArray[np.float64]) -> None:
    kurtosis = theory.intensity_kurtosis(mean=mean, burst=BURST)
    assert_variance(intensity, BURST * mean, level("intensity variance"), what="intensity", kurtosis=kurtosis)


def check_count_law(counts: NDArray[np.int32], mean: NDArray[np.float64], *, step_hours: float) -> None:
    allowed = dkw_radius(level("count law"), counts.shape[0], mean.size) + SCHEME_ERROR * DECAY * step_hours
    for column, m in zip(counts.T, mean, strict=True):
        distance = cdf_distance(column, theory.count_law(m, BURST))
        assert distance <= allowed, f"counts of shape {m / BURST:g}: CDF is off by {distance:.4f} (limit {allowed:.4f})"


def check_autocorrelation(early: NDArray[np.float32], late: NDArray[np.float32], hours: float) -> None:
    before, after = (x - x.mean(axis=0, dtype=np.float64) for x in (early, late))
    product = before * after / (before.std(axis=0) * after.std(axis=0))
    expected = theory.intensity_autocorrelation(hours, decay=DECAY)
    # to first order, a correlation's error is that of its product less its share of the two variances
    residual = product - expected * 0.5 * ((before / before.std(axis=0)) ** 2 + (after / after.std(axis=0)) ** 2)
    error = residual.std(axis=0) / np.sqrt(early.shape[0])
    assert_equal_within(product.mean(axis=0), expected, error, level("autocorrelation"), what="autocorrelation")


def check_independent(intensity: NDArray[np.float32]) -> None:
    limit = level("cells independent") / 3.0
    n_genes = intensity.shape[1]
    assert_uncorrelated(intensity[:-LANES], intensity[LANES:], limit, what="cells in the same lane")
    assert_uncorrelated(intensity[:-1], intensity[1:], limit, what="cells side by side")
    pairs = [(a, b) for a in range(n_genes) for b in range(a)]
    first, second = (intensity[:, list(genes)] for genes in zip(*pairs, strict=True))
    assert_uncorrelated(first, second, limit, what="unconnected genes")


@njit(error_model="numpy")
def one_step(intensity, production, remaining, burst, bits):  # type: ignore[no-untyped-def]
    quadratic_exponential(intensity, production, np.float32(1.0), remaining, burst, bits)


@pytest.mark.parametrize("step_hours", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("start", [0.0, 1e-4, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_step_has_the_exact_conditional_mean_and_variance(shape: float, start: float, step_hours: float) -> None:
    # every outcome of a draw, evenly: no chance is involved
    bits = (np.arange(2**18, dtype=np.uint64) * 2**14 + 2**13).astype(np.uint32)
    target = shape * BURST
    intensity = np.full(bits.size, start * target, np.float32)
    remaining = np.float32(np.exp(-DECAY * step_hours))
    one_step(intensity, np.full(bits.size, target, np.float32), remaining, np.float32(BURST), bits)
    moments = {"start": start * target, "target": target, "decay": DECAY}
    mean = theory.intensity_mean(step_hours, **moments)
    variance = theory.intensity_variance(step_hours, burst=BURST, **moments)
    assert intensity.min() >= 0.0
    assert intensity.mean(dtype=np.float64) == pytest.approx(mean, rel=1e-5)
    assert intensity.var(dtype=np.float64) == pytest.approx(variance, rel=2e-4)


@pytest.mark.statistical
@pytest.mark.parametrize("step_hours", [1.0, 3.0])
def test_stationary_mean_and_count_law(step_hours: float) -> None:
    model = lone_genes()
    intensity, counts = sample(model, n_cells=600_000, step_hours=step_hours, seed=21)
    check_mean(intensity[0], model.mean)
    check_count_law(counts[0], model.mean, step_hours=step_hours)
    if step_hours == 1.0:
        wrong, _ = sample(lone_genes(mean=MEAN * 1.05), n_cells=100_000, seed=21)
        with caught("mean of intensity"):  # a target that is off by 5 percent
            check_mean(wrong[0], model.mean)
        with caught("counts of shape"):  # a burst size that is off by one: 1 + b for b
            _, wider = sample(lone_genes(burst_size=BURST + 1.0), n_cells=100_000, seed=21)
            check_count_law(wider[0], model.mean, step_hours=step_hours)
        with caught("counts of shape 20"):  # no bursts: Poisson counts
            _, poisson = sample(lone_genes(burst_size=1e-6), n_cells=100_000, seed=21)
            check_count_law(poisson[0][:, 5:], model.mean[5:], step_hours=step_hours)


@pytest.mark.statistical
def test_variance_is_that_of_theory_at_every_step_size() -> None:
    model = lone_genes(mean=MEAN[2:])
    for step_hours in (0.5, 1.0, 3.0):
        intensity, _ = sample(model, n_cells=200_000, step_hours=step_hours, seed=22)
        check_variance(intensity[0], model.mean)
    n_cells = 50_000
    with caught("variance of intensity"):  # a factor of 2 missing in the noise: sigma^2 = delta b
        check_variance(sample(lone_genes(mean=MEAN[2:], burst_size=BURST / 2), n_cells=n_cells)[0][0], model.mean)
    for step_hours in (0.5, 3.0):  # noise of one step as dt instead of sqrt(dt): variance goes with the step
        wrong = lone_genes(mean=MEAN[2:], burst_size=BURST * step_hours)
        with caught("variance of intensity"):
            check_variance(sample(wrong, n_cells=n_cells, step_hours=step_hours)[0][0], model.mean)


@pytest.mark.statistical
def test_autocorrelation_falls_with_decay() -> None:
    model = lone_genes(mean=MEAN[1:])
    intensity, _ = sample(model, n_cells=100_000, times=(0.0, 6.0), seed=23)
    check_autocorrelation(*intensity, hours=6.0)
    slower, _ = sample(lone_genes(mean=MEAN[1:], half_life=5.5), n_cells=100_000, times=(0.0, 6.0), seed=23)
    with caught("autocorrelation"):  # a half-life of 5.5 h for 5 h
        check_autocorrelation(*slower, hours=6.0)


def paths(
    model: CellModel, *, n_cells: int, n_times: int, hours: float, key: NDArray[np.uint32]
) -> NDArray[np.float32]:
    """Return (N, T, G): time points of cells, so many hours apart."""
    engine, none, cells = Langevin(model), CellEffects.none(n_cells), np.arange(n_cells, dtype=np.int64)
    state, found = engine.start(n_cells), []
    for number in range(-8, n_times):
        engine.advance(state, none, signals=np.zeros(0), time=number * hours, hours=hours, key=key, cells=cells)
        if number >= 0:
            found.append(state.intensity.T.copy())
    return np.stack(found, axis=1)


@pytest.mark.statistical
def test_cells_and_genes_are_independent() -> None:
    model = lone_genes(mean=MEAN[1:])
    check_independent(sample(model, n_cells=100_000, seed=24)[0][0])
    with caught("cells side by side"):  # time points of one path, a half-life apart, sold as independent cells
        path = paths(model, n_cells=200, n_times=100, hours=HALF_LIFE, key=kernel_key(24, Purpose.DYNAMICS))
        check_independent(path.reshape(-1, MEAN.size - 1))
    with caught("cells in the same lane"):  # one stream for every block: counted by lane instead of by cell
        block = sample(model, n_cells=LANES, seed=24)[0][0]
        check_independent(np.tile(block, (400, 1)))
    with caught("unconnected genes"):  # one draw for two genes
        twice, _ = sample(lone_genes(mean=MEAN[[3, 4]]), n_cells=20_000, seed=24)
        check_independent(twice[0][:, [0, 1, 0]])


@pytest.mark.statistical
def test_cells_of_two_replicates_are_independent() -> None:
    model = lone_genes(mean=MEAN[1:])

    def pairs(*replicates: int) -> NDArray[np.float32]:
        """Return cells of both replicates by turns, cell 0 of the one beside cell 0 of the other."""
        keys = [kernel_key(24, Purpose.DYNAMICS, replicate) for replicate in replicates]
        both = [paths(model, n_cells=20_000, n_times=1, hours=HALF_LIFE, key=key)[:, 0] for key in keys]
        return np.stack(both, axis=1).reshape(-1, MEAN.size - 1)

    check_independent(pairs(0, 1))
    with caught("cells side by side"):  # the replicate's number left out of the key
        check_independent(pairs(1, 1))
