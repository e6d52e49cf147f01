"""The bias of log profiles of small pools: against sums over binomial counts, and where nothing is perturbed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import binom

from fitters.mechanistic.state_pools import StatePools
from fitters.mechanistic.states import Contexts
from fitters.pool_bias import PoolBias, against_controls
from fitters.pooled_responses import pooled_responses
from fitters.training.cells import CellTable
from fitters.training_data import TrainingData

FloatArray = NDArray[np.float64]
SCALE = 1e4


def fractions(n_genes: int, seed: int = 0) -> FloatArray:
    found: FloatArray = np.random.default_rng(seed).lognormal(0.0, 1.0, n_genes)
    return found / found.sum()


def exact(fraction: FloatArray, umis: int, factor: float | FloatArray = 1.0) -> FloatArray:
    """Return the bias of the log profile of a pool of so many UMIs, cells all alike: counts are binomial."""
    counts = np.arange(umis + 1)
    weights = binom.pmf(counts, umis, fraction[:, None])
    profile = np.log1p(SCALE * counts / umis * np.broadcast_to(factor, fraction.shape)[:, None])
    found: FloatArray = (weights * profile).sum(axis=1) - np.log1p(SCALE * factor * fraction)
    return found


def alike(n_cells: int, umis: int, fraction: FloatArray, seed: int = 1) -> csr_array:
    return csr_array(np.random.default_rng(seed).multinomial(umis, fraction, n_cells))


def bias_of(counts: csr_array, batch: list[int] | None = None) -> PoolBias:
    codes = np.zeros(counts.shape[0], np.intp) if batch is None else np.array(batch, np.intp)
    return PoolBias.of(counts, codes, np.ones((codes.max() + 1, counts.shape[1])))


def rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


# the bias itself


def test_the_bias_of_cells_all_alike_is_that_of_binomial_counts() -> None:
    """The mean over k pools of squared deviations is known to a share sqrt(2 / k), and the bias with it."""
    fraction = fractions(200)
    bias = bias_of(alike(800, 400, fraction))
    for size in (1, 3, 10, 25, 60):
        expected = exact(fraction, 400 * size)
        error = bias.at(size) - expected
        assert rms(error) < 1.3 * np.sqrt(2 / (800 / size)) * rms(expected) + 0.03 * rms(expected)
        assert abs(error.mean()) < 0.06 * abs(expected.mean())  # between sizes that were tried b is not quite linear


def test_sizes_of_few_controls_are_carried_on_as_one_over_n() -> None:
    """Of 24 cells, the largest pools of which there are eight are of 2: of 4 cells, there would be six."""
    fraction = fractions(60)
    bias = bias_of(alike(24, 1000, fraction))
    np.testing.assert_array_equal(bias.inverse, [0.0, 0.5, 1.0])
    np.testing.assert_allclose(bias.at(20), bias.at(2) / 10, rtol=1e-12)
    found = np.mean([bias_of(alike(24, 1000, fraction, seed)).at(20) for seed in range(40)])
    assert found == pytest.approx(exact(fraction, 2000).mean() / 10, rel=0.1)
    assert found == pytest.approx(exact(fraction, 20000).mean(), rel=0.4)


def test_cells_together_have_a_bias_of_their_own() -> None:
    """Two cells in pools of one: half of the bias of one cell is in both. Means over many pairs show it."""
    fraction = fractions(50)
    found = np.mean([bias_of(alike(2, 20000, fraction, seed)).at(1) for seed in range(300)], axis=0)
    assert found.mean() == pytest.approx(exact(fraction, 20000).mean(), rel=0.15)


def test_without_two_controls_of_a_batch_nothing_is_known() -> None:
    counts = alike(3, 100, fractions(5))
    bias = bias_of(counts, [0, 1, 2])
    np.testing.assert_array_equal(bias.at([[1], [7]]), np.zeros((2, 5)))
    np.testing.assert_array_equal(bias.relative_variance(np.full(5, 9.0)), 0.0)


def test_batches_are_dealt_by_themselves() -> None:
    """What a batch does to a gene is no variance between the cells of its pools; of mixed ones (a bug), it would be."""
    fraction = fractions(100)
    effect = np.exp(0.8 * np.random.default_rng(2).normal(size=100))
    other = fraction * effect / (fraction * effect).sum()
    counts = csr_array(np.concatenate([alike(300, 1000, fraction).toarray(), alike(300, 1000, other, 3).toarray()]))
    factor = np.stack([np.ones(100), fraction / other])
    batch = np.repeat([0, 1], 300)
    expected = (exact(fraction, 5000) + exact(other, 5000, fraction / other)) / 2
    found = PoolBias.of(counts, batch, factor).at(5)
    assert rms(found - expected) < 0.25 * rms(expected)
    assert np.median(PoolBias.of(counts, batch, factor).excess) < 0.1
    assert np.median(PoolBias.of(counts, 0 * batch, factor[:1]).excess) > 0.25


@pytest.mark.parametrize(("level", "depth"), [(5.0, 1.0), (0.2, 1.0), (1.0, 0.5), (1.0, 3.0)])
def test_levels_and_depths_other_than_the_controls(level: float, depth: float) -> None:
    """Both are better than the bias of controls of the same number."""
    fraction = np.sort(fractions(200))[50:]  # a fifth of the lowest is nearly nothing, and its bias too
    counts = alike(2000, 400, np.append(fraction, 1 - fraction.sum()))
    bias = bias_of(counts)
    expected = exact(level * fraction, int(400 * depth * 20))
    found = bias.at(20, level=np.full(151, level), depth=depth)[:-1]
    assert rms(found - expected) < 0.4 * rms(expected)
    assert rms(found - expected) < 0.6 * rms(bias.at(20)[:-1] - expected)


def test_excess_and_variance_of_sums_of_cells_that_differ() -> None:
    """Gamma levels of shape 2: variance over mean is 1 + mean / 2, and medians of sums are where they are."""
    rng = np.random.default_rng(4)
    fraction = fractions(30)
    mean = 3000 * fraction
    counts = rng.poisson(mean * rng.gamma(2.0, 0.5, (3000, 30)))
    bias = bias_of(csr_array(counts))
    np.testing.assert_allclose(bias.excess, mean / 2, rtol=0.2)
    sums = rng.poisson(mean * rng.gamma(2.0, 0.5, (4000, 8, 30))).sum(axis=1)
    variance = sums.var(axis=0) / sums.mean(axis=0) ** 2
    np.testing.assert_allclose(bias.relative_variance(8 * mean), variance, rtol=0.25)
    many = mean > 20  # where a count is fine enough to have a median
    below = 1 - np.median(sums, axis=0) / sums.mean(axis=0)
    np.testing.assert_allclose(bias.median_below_mean(8 * mean)[many], below[many], atol=0.015)
    assert below[many].mean() > 0.015


def test_levels_are_drawn_to_one_and_depths_are_by_cell() -> None:
    total = np.array([[90.0, 10.0], [180.0, 20.0], [10.0, 40.0]])
    level, depth = against_controls(
        np.array([0, 0, 1]), np.array([1, 2, 1]), total, np.tile([0.9, 0.1], (3, 1)), np.array([True, True, False])
    )
    np.testing.assert_allclose(level, np.array([[1.0, 1.0], [1.0, 1.0], [20 / 55, 50 / 15]]))
    np.testing.assert_allclose(depth[:, 0], np.array([1.0, 1.0, 0.5]))


# where nothing is perturbed

N_GENES, N_CONDITIONS, SHAPE = 400, 20, 2.0


def nothing_happens(n_control: int, n_each: int, depth: float, seed: int) -> CellTable:
    """Return cells of two batches, gamma between cells; perturbations of names that are no genes do nothing."""
    rng = np.random.default_rng(seed)
    labels = ["control"] * n_control + [f"X{number}" for number in range(N_CONDITIONS) for _ in range(n_each)]
    batch = np.arange(len(labels)) % 2
    effect = np.exp(0.1 * rng.normal(size=(2, N_GENES)))
    umis = depth * np.exp(0.3 * rng.normal(size=len(labels)) - 0.045)
    level = fractions(N_GENES) * effect[batch] * rng.gamma(SHAPE, 1 / SHAPE, (len(labels), N_GENES))
    genes = [f"G{number:03}" for number in range(N_GENES)]
    data: Any = TrainingData.from_arrays(
        rng.poisson(umis[:, None] * level), genes=genes, perturbation=labels, batch=[f"b{code}" for code in batch]
    )
    return CellTable.of(data)


def bounds(n_control: int, n_each: int, depth: float, n_pool: int) -> tuple[FloatArray, FloatArray]:
    """Return (4,) the bias by quartile of expression to second order, and what a mean change without bias may show.

    Three standard errors of a mean over the genes of a quartile, from the cells of all perturbations and the controls
    (half of these again for the batches, matched one by one), and a tenth of the bias, as it is known.
    """
    fraction = fractions(N_GENES)
    variance = 1 / (depth * fraction) + 1 / SHAPE
    slope = SCALE * fraction / (1 + SCALE * fraction)
    error = variance * (1 / (N_CONDITIONS * n_each) + 1.5 / n_control) if n_each else variance / n_control
    of = quartile()
    bias = np.array([(-0.5 * slope**2 * variance / n_pool)[of == q].mean() for q in range(4)])
    error = np.array([np.sqrt((slope**2 * error)[of == q].mean() / (of == q).sum()) for q in range(4)])
    return bias, 3 * error + 0.1 * abs(bias)


def quartile() -> NDArray[np.intp]:
    fraction = fractions(N_GENES)
    return np.digitize(fraction, np.quantile(fraction, [0.25, 0.5, 0.75]))


def by_quartile(change: FloatArray, measured: NDArray[np.bool_] | None = None) -> FloatArray:
    mean = change.mean(axis=0)
    kept = np.ones(N_GENES, dtype=bool) if measured is None else measured
    return np.array([mean[kept & (quartile() == q)].mean() for q in range(4)])


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a bug: no bias is ever seen."""
    at = PoolBias.at
    monkeypatch.setattr(PoolBias, "at", lambda self, size, **others: 0.0 * at(self, size, **others))


@pytest.mark.parametrize(("n_control", "n_each", "depth"), [(1000, 20, 1500.0), (1000, 20, 500.0), (60, 120, 1500.0)])
def test_small_pools_do_not_seem_to_change(
    n_control: int, n_each: int, depth: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pools of 10 cells against controls in pools of 50, and pools of 60 against controls in pools of 30."""
    table = nothing_happens(n_control, n_each, depth, seed=7)
    bias, bound = bounds(n_control, n_each, depth, n_pool=n_each // 2)
    found = pooled_responses(table, cells_per_pool=60)
    for change in (found.matched, found.pooled):
        assert (abs(by_quartile(change, found.measured)) < bound).all()
    if n_each > 20:
        return  # pools of 60 have next to no bias themselves
    without(monkeypatch)
    found = pooled_responses(table, cells_per_pool=60)
    for change in (found.matched, found.pooled):
        seen = by_quartile(change, found.measured)
        assert (seen < -bound).all() and (seen < 0.5 * bias).all()


def states(table: CellTable, kind: str, *, control: bool, cells_per_pool: int = 16) -> FloatArray:
    """Return the states, or contrasts, of pools of controls or of the others, as changes of log profiles."""
    contexts = Contexts.of(table, {})
    pools = StatePools.of(table, contexts, dimensions=None, cells_per_pool=cells_per_pool, fitter="node")
    here = pools.condition == table.conditions.index("control")
    found: FloatArray = pools.basis.decode(getattr(pools, kind)[here if control else ~here])
    return found


@pytest.mark.parametrize("kind", ["state", "matched", "pooled"])
def test_pools_of_controls_are_at_rest_whatever_their_size(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = nothing_happens(1000, 20, 500.0, seed=8)
    bias, bound = bounds(1000, 0, 500.0, n_pool=16)
    assert (abs(by_quartile(states(table, kind, control=True))) < bound).all()
    whole = states(table, kind, control=True, cells_per_pool=1000)  # a batch's controls in one pool
    assert (abs(by_quartile(whole)) < bound).all()
    without(monkeypatch)
    assert (by_quartile(states(table, kind, control=True)) < 0.5 * bias).all()


@pytest.mark.parametrize("kind", ["state", "matched", "pooled"])
def test_perturbations_that_do_nothing_leave_states_where_they_are(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = nothing_happens(1000, 20, 1500.0, seed=9)
    bias, bound = bounds(1000, 20, 1500.0, n_pool=10)
    assert (abs(by_quartile(states(table, kind, control=False))) < bound).all()
    without(monkeypatch)
    assert (by_quartile(states(table, kind, control=False)) < 0.4 * bias).all()


def test_means_of_conditions_are_those_of_controls_if_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def mean() -> FloatArray:
        table = nothing_happens(1000, 20, 800.0, seed=10)
        pools = StatePools.of(table, Contexts.of(table, {}), dimensions=None, cells_per_pool=32, fitter="node")
        control = table.conditions.index("control")
        assert abs(pools.mean[0, control]).max() < 0.02  # pools weigh by their cells here, not by their UMIs
        return by_quartile(np.delete(pools.mean[0], control, axis=0))

    _, bound = bounds(1000, 20, 800.0, n_pool=20)
    assert (abs(mean()) < bound).all()
    without(monkeypatch)
    assert mean()[0] < -bound[0]
