"""One gene by itself: the shot noise of its intensity, and the negative binomial law of its counts."""

from __future__ import annotations

import dataclasses

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
from scipy.stats import poisson
from worlds import BURST, DECAY, HALF_LIFE, SHAPES, lone_genes, sample

from simcell import theory
from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.engines import Langevin
from simcell.engines.langevin import make_plan
from simcell.kernels.pools import arrive
from simcell.random import Purpose, kernel_key

MEAN = SHAPES * BURST
# How far the scheme's stationary count law is from the negative binomial, in the CDF, per unit of decay * stride. The
# two have the same mean and variance. Measured with 2 million draws for bursts of 4 to 300 molecules and shapes of 0.1
# to 20, worst of all: 0.0036 at decay * stride of 0.1, 0.009 at 0.3, 0.008 at 0.6, 0.02 at 1.
SCHEME_ERROR = 0.036
# (burst, decay * step, genes that regulate): those that do not take strides of up to half a lifetime
SETTINGS = [(4.0, 0.1, 6), (4.0, 0.1, 1), (30.0, 0.1, 1), (300.0, 0.1, 1), (300.0, 1.0, 1)]
BURSTY_SHAPES = np.array([0.1, 0.2, 0.5, 1.0, 2.0, 5.0])


def check_mean(intensity: NDArray[np.float32], mean: NDArray[np.float64]) -> None:
    assert_mean(intensity, mean, level("intensity mean"), what="intensity", variance=BURST * mean)


def check_variance(intensity: NDArray[np.float32], mean: NDArray[np.float64]) -> None:
    kurtosis = theory.intensity_kurtosis(mean=mean, burst=BURST)
    assert_variance(intensity, BURST * mean, level("intensity variance"), what="intensity", kurtosis=kurtosis)


def check_count_law(counts: NDArray[np.integer], model: CellModel, *, step_hours: float) -> None:
    """Counts (N, G) against the negative binomial of each gene, all but for what the stride is allowed to do."""
    stride = model.decay * step_hours * make_plan(model, step_hours).stride
    radius = dkw_radius(level("count law"), counts.shape[0], counts.shape[1])
    for column, mean, burst, x in zip(counts.T, model.mean, model.burst_size, stride, strict=True):
        allowed = radius + SCHEME_ERROR * x
        distance = cdf_distance(column, theory.count_law(mean, burst))
        what = f"counts of shape {mean / burst:g}, bursts of {burst:g}"
        assert distance <= allowed, f"{what}: CDF is off by {distance:.4f} (limit {allowed:.4f})"


def check_single_transcripts(counts: NDArray[np.integer], mean: NDArray[np.float64]) -> None:
    radius = dkw_radius(level("single transcripts"), counts.shape[0], mean.size)
    for column, m in zip(counts.T, mean, strict=True):
        distance = cdf_distance(column, poisson(m))
        assert distance <= radius, f"single transcripts, mean {m:g}: CDF is off by {distance:.4f} (limit {radius:.4f})"


def check_transient_variance(intensity: NDArray[np.float32], expected: NDArray[np.float64]) -> None:
    """Intensities (N, K) over the wild-type mean."""
    assert_variance(intensity, expected, level("transient variance"), what="intensity after a guide")


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
    lanes = Langevin.lanes
    assert_uncorrelated(intensity[:-lanes], intensity[lanes:], limit, what="cells in the same lane")
    assert_uncorrelated(intensity[:-1], intensity[1:], limit, what="cells side by side")
    pairs = [(a, b) for a in range(n_genes) for b in range(a)]
    first, second = (intensity[:, list(genes)] for genes in zip(*pairs, strict=True))
    assert_uncorrelated(first, second, limit, what="unconnected genes")


@njit(error_model="numpy")
def one_stride(pool, production, plan, size, bits):  # type: ignore[no-untyped-def]
    arrive(pool, production, plan, 0, 0, size, bits)


@pytest.mark.parametrize("x", [0.03, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("burst", [BURST, 300.0])
@pytest.mark.parametrize("shape", [0.1, 0.5, 2.0, 5.0])
@pytest.mark.parametrize(("activity", "size"), [(1.0, 1.0), (0.25, 1.0), (1.0, 2.5)])
def test_one_stride_has_the_exact_mean_and_variance(
    shape: float, burst: float, x: float, activity: float, size: float
) -> None:
    """Of an intensity over the cell's size, after any start, on both sides of the switch between the two laws."""
    # every outcome of a draw, evenly: no chance is involved
    bits = (np.arange(2**20, dtype=np.uint64) * 2**12 + 2**11).astype(np.uint32)
    target = shape * burst
    model = lone_genes(mean=target / 0.3, activity=0.3, burst_size=burst)
    model = dataclasses.replace(model, mean=model.activity * target)  # a ceiling of `target`
    plan, start = make_plan(model, x / DECAY), np.float32(0.7 * target)
    pool = np.full(bits.size, start, np.float32)
    production, sizes = (np.full(bits.size, value, np.float32) for value in (activity, size))
    one_stride(pool, production, plan, sizes, bits)
    moments = {"target": activity * target, "decay": DECAY}
    mean = theory.intensity_mean(x / DECAY, start=start, **moments)
    variance = theory.intensity_variance(x / DECAY, burst=burst, **moments) / size
    assert pool.min() >= 0.999 * start * np.exp(-x)  # what was there decays; bursts only add
    assert pool.mean(dtype=np.float64) == pytest.approx(mean, rel=1e-5)
    rare = (pool > pool.min()).mean() < 0.02  # of so many points, few then tell of the exponential's tail
    assert pool.var(dtype=np.float64) == pytest.approx(variance, rel=4e-3 if rare else 1e-3)


@pytest.mark.statistical
@pytest.mark.parametrize("step_hours", [1.0, 3.0])
def test_stationary_mean(step_hours: float) -> None:
    model = lone_genes()
    intensity, _ = sample(model, n_cells=400_000, step_hours=step_hours, seed=21)
    check_mean(intensity[0], model.mean)
    wrong, _ = sample(lone_genes(mean=MEAN * 1.05), n_cells=100_000, seed=21)
    with caught("mean of intensity"):  # a target that is off by 5 percent
        check_mean(wrong[0], model.mean)


@pytest.mark.statistical
@pytest.mark.parametrize(("burst", "x", "regulators"), SETTINGS)
def test_count_law(burst: float, x: float, regulators: int) -> None:
    settings = {"mean": BURSTY_SHAPES * burst, "regulators": regulators}
    model, step_hours = lone_genes(burst_size=burst, **settings), x / DECAY
    _, counts = sample(model, n_cells=400_000, step_hours=step_hours, seed=26)
    check_count_law(counts[0], model, step_hours=step_hours)
    if (burst, x, regulators) == SETTINGS[0]:
        with caught("counts of shape"):  # a burst size that is off by one: 1 + b for b
            _, wider = sample(lone_genes(burst_size=burst + 1.0, **settings), n_cells=100_000, seed=26)
            check_count_law(wider[0], model, step_hours=step_hours)
        with caught("counts of shape 5"):  # no bursts: Poisson counts
            _, quiet = sample(lone_genes(burst_size=1e-6, **settings), n_cells=100_000, seed=26)
            check_count_law(quiet[0][:, ::-1], dataclasses.replace(model, mean=model.mean[::-1]), step_hours=step_hours)
    if burst == 300.0:
        rng = np.random.default_rng(1)
        with caught("counts of shape 0.1"):  # mean and variance alone: a normal intensity, cut at 0
            normal = rng.normal(model.mean, np.sqrt(burst * model.mean), (100_000, model.mean.size))
            check_count_law(rng.poisson(np.maximum(normal, 0.0)), model, step_hours=step_hours)


@pytest.mark.statistical
def test_single_transcripts_are_poisson() -> None:
    model = lone_genes(promoter="poisson")
    intensity, counts = sample(model, n_cells=200_000, seed=27)
    np.testing.assert_allclose(intensity[0], np.tile(model.mean, (200_000, 1)), rtol=1e-4)  # all noise is in counting
    check_single_transcripts(counts[0], model.mean)
    with caught("single transcripts"):  # bursts of one molecule on average, where there should be none
        check_single_transcripts(sample(lone_genes(burst_size=1.0), n_cells=50_000, seed=27)[1][0], model.mean)


@pytest.mark.statistical
def test_the_variance_after_a_guide_relaxes_twice_as_fast_as_the_mean() -> None:
    """At any burst size and at any time, though steps end where cells are measured."""
    burst, mean = np.array([4.0, 30.0, 300.0]), np.array([20.0, 60.0, 100.0])
    times, multiplier = np.array([1.0, 4.0, 9.0, 20.0]), 0.2

    def measured(seed: int, **changes: float) -> NDArray[np.float32]:
        """Return (N, 4 times 3 genes)."""
        model = lone_genes(mean=mean, burst_size=burst, **changes)
        guides = CellEffects.of([0, 1, 2], multiplier, n_cells=100_000)
        intensity, _ = sample(model, n_cells=100_000, times=list(times), guides=guides, step_hours=1.0, seed=seed)
        return (intensity / mean).transpose(1, 0, 2).reshape(100_000, -1)

    before, hours = burst * mean, times[:, None]
    right = theory.intensity_variance(hours, start_variance=before, target=multiplier * mean, burst=burst, decay=DECAY)
    check_transient_variance(measured(28), (right / mean**2).ravel())
    left = np.exp(-DECAY * hours)
    diffusion = before * left**2 + 2.0 * burst * (mean - multiplier * mean) * left * (1.0 - left)
    diffusion = diffusion + multiplier * burst * mean * (1.0 - left**2)
    with caught("variance of intensity after a guide"):  # a square-root diffusion, of the same stationary law
        check_transient_variance(measured(28), (diffusion / mean**2).ravel())
    with caught("variance of intensity after a guide"):  # a half-life that is off by 10 percent
        check_transient_variance(measured(29, half_life=1.1 * HALF_LIFE), (right / mean**2).ravel())


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
    state, found = engine.start(cells, key=key), []
    for number in range(-8, n_times):
        engine.advance(state, none, signals=np.zeros(0), time=number * hours, hours=hours, key=key, cells=cells)
        if number >= 0:
            found.append(engine.observe(state).intensity)
    return np.stack(found, axis=1)


@pytest.mark.statistical
def test_cells_and_genes_are_independent() -> None:
    model = lone_genes(mean=MEAN[1:])
    check_independent(sample(model, n_cells=100_000, seed=24)[0][0])
    with caught("cells side by side"):  # time points of one path, a half-life apart, sold as independent cells
        path = paths(model, n_cells=200, n_times=100, hours=HALF_LIFE, key=kernel_key(24, Purpose.DYNAMICS))
        check_independent(path.reshape(-1, MEAN.size - 1))
    with caught("cells in the same lane"):  # one stream for every block: counted by lane instead of by cell
        block = sample(model, n_cells=Langevin.lanes, seed=24)[0][0]
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
