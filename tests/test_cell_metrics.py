"""Metrics of sampled cells against cases worked out by hand, what they must see, and what must not matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from scipy.stats import hypergeom, wasserstein_distance

from experiments.metrics import METRICS, CellComparison, CellSpace, Judges, distribution
from experiments.metrics.cells import FEWEST_CELLS, N_COMPONENTS, SPACE_CELLS, scale_to
from experiments.metrics.distribution import energy_distance, excess, sliced_wasserstein, squared_mmd

CELLS = {name: metric for name, metric in METRICS.items() if metric.judges is Judges.CELLS}


def draw(seed: int, n: int, *, n_genes: int = 40, noise: float = 0.5, depth: float = 400.0) -> csr_array:
    """Return (n, G) negative binomial counts of cells whose depths differ, the same law for every seed."""
    mean = np.random.default_rng(99).lognormal(0.0, 1.0, n_genes)
    rng = np.random.default_rng(seed)
    size = rng.lognormal(0.0, 0.3, (n, 1)) * depth / mean.sum()
    rate = mean * size if noise == 0 else rng.gamma(1 / noise, noise * mean, (n, n_genes)) * size
    return csr_array(rng.poisson(rate).astype(np.int32))


def compare(sampled: csr_array, measured: csr_array, *, space: CellSpace | None = None) -> dict[str, float]:
    """Return all scores of one perturbation."""
    case = CellComparison(space or CellSpace.of(draw(1, 300)), (sampled,), (measured,))
    return {name: float(metric.function(case)[0]) for name, metric in CELLS.items()}


def plain_space(n_genes: int, *, depth: float, mean: float = 1.0) -> CellSpace:
    """Return a space whose axes are the genes."""
    return CellSpace(depth, np.full(n_genes, mean), np.zeros(n_genes), np.eye(n_genes), 1.0)


def test_all_five_are_there() -> None:
    assert set(CELLS) == {"e-distance", "mmd", "sliced-wasserstein", "mean-variance", "zero-fraction"}


def test_distances_by_hand() -> None:
    first, second = np.array([[0.0], [2.0]]), np.array([[1.0], [5.0]])
    # between 1, 5, 1, 3; within 2 and 4
    assert energy_distance(first, second) == pytest.approx(2 * 2.5 - 2 - 4)
    # at a distance d = 2 from each other, and none within
    near, far = np.zeros((2, 1)), np.full((2, 1), 2.0)
    kernels = np.exp(-4.0 / (2.0 * np.array([0.5, 1.0, 2.0]) ** 2))
    assert squared_mmd(near, far, scale=1.0) == pytest.approx(2.0 - 2.0 * kernels.mean())
    assert squared_mmd(near, near, scale=1.0) == pytest.approx(0.0)
    # halves are single cells: between {0, 1} and {0, 1, 2} they are 0, 1, 2, 1, 0, 1 apart; within 1; and 1, 2, 1
    one, other = np.array([[1.0], [0.0]]), np.array([[2.0], [0.0], [1.0]])
    assert sliced_wasserstein(one, other, directions=np.ones((1, 1))) == pytest.approx(5 / 6 - 1 / 2 - 4 / 6)


def in_excess(first: NDArray[np.float64], second: NDArray[np.float64], distance: Callable[..., float]) -> float:
    """Return the mean distance between halves of different samples, less that of those within, all written out."""
    h = min(len(first), len(second)) // 2
    ways = [[list(way) for way in combinations(range(len(sample)), h)] for sample in (first, second)]
    between = np.mean([distance(first[a], second[b]) for a in ways[0] for b in ways[1]])
    within = [
        np.mean([distance(sample[a], sample[b]) for a in some for b in some if not set(a) & set(b)])
        for sample, some in zip((first, second), ways, strict=True)
    ]
    return float(between - np.mean(within))


@pytest.mark.parametrize(("n", "m"), [(6, 6), (4, 7), (5, 4), (2, 3)])
def test_each_slice_is_the_wasserstein_distance_of_the_projections_in_excess_of_that_within(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    first, second, directions = rng.normal(size=(n, 3)), rng.normal(1.0, 2.0, (m, 3)), rng.normal(size=(3, 5))
    expected = [in_excess(first @ one, second @ one, wasserstein_distance) for one in directions.T]
    assert sliced_wasserstein(first, second, directions=directions) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(("n", "m"), [(6, 6), (4, 7)])
def test_fractions_differ_in_excess_of_those_within(n: int, m: int) -> None:
    for i, j in np.ndindex(n + 1, m + 1):
        marked, others = (np.arange(size) < some for size, some in ((n, i), (m, j)))
        expected = in_excess(marked, others, lambda a, b: abs(a.mean() - b.mean()))
        assert excess(n, m)[i, j] == pytest.approx(expected, abs=1e-12)


def test_variances_and_zeros_by_hand() -> None:
    n, h = FEWEST_CELLS, FEWEST_CELLS // 2
    # depth 4 everywhere, as in the space: counts are not scaled
    steady = csr_array(np.tile([2, 2], (n, 1)))
    half = csr_array(np.tile([[4, 0], [0, 4]], (n // 2, 1)))
    space = plain_space(2, depth=4.0)
    found = compare(half, steady, space=space)
    # half of the n cells against none, in halves of h: what is between is 0.5, what is within is cut off
    one_gene = 0.5 - 0.5 * np.abs(2 * np.arange(h + 1) / h - 1) @ hypergeom.pmf(np.arange(h + 1), n, n // 2, h)
    assert found["zero-fraction"] == pytest.approx(one_gene)
    variance = 4.0 * n / (n - 1)
    assert found["mean-variance"] == pytest.approx(np.log((variance + 0.05) / 0.05))
    # an overspread gene and an underspread one of like mean: each counts
    pair = csr_array(np.column_stack([half.toarray()[:, 0], np.full(n, 2)]))
    assert compare(pair, steady, space=replace(space, depth=1e9))["zero-fraction"] == pytest.approx(one_gene / 2)
    rare = replace(space, mean=np.array([1.0, 0.01]))
    assert compare(half, steady, space=rare)["mean-variance"] == pytest.approx(found["mean-variance"])
    assert np.isnan(compare(half, steady, space=replace(space, mean=np.zeros(2)))["mean-variance"])


def test_the_cells_themselves_are_at_no_distance() -> None:
    cells, space = draw(2, 50), CellSpace.of(draw(1, 300))
    found = compare(cells, cells, space=space)
    assert found["mean-variance"] == 0
    assert found["sliced-wasserstein"] < 0 and found["zero-fraction"] < 0, "two halves of one sample share no cells"
    # the mean between counts each cell's distance of 0 from itself, that within does not
    within = pdist(space.embed(cells)).mean()
    assert found["e-distance"] == pytest.approx(-2.0 * within / 50)
    assert found["mmd"] < 0


def test_another_sample_of_the_same_law_is_nearer_than_one_of_another_law() -> None:
    measured = draw(3, 150)
    same = compare(draw(4, 150), measured)
    assert abs(same["e-distance"]) < 0.05 and abs(same["mmd"]) < 0.005
    shifted = draw(4, 150).toarray()
    shifted[:, :8] *= 3
    for name, value in compare(csr_array(shifted), measured).items():
        # counts times three are zero where they were
        assert value > 1.5 * abs(same[name]) or name == "zero-fraction", name
    poisson = compare(draw(4, 150, noise=0.0), measured)
    for name, value in poisson.items():
        assert value > 1.5 * abs(same[name]), f"{name}: cells without the noise of genes"
    shallow = compare(draw(4, 150, depth=100.0), measured)
    assert shallow["zero-fraction"] > 3 * same["zero-fraction"]


def test_the_energy_distance_sees_the_spread_where_squared_distances_see_the_mean_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    narrow, wide = rng.normal(0.0, 1.0, (400, 3)), rng.normal(0.0, 2.0, (400, 3))
    narrow, wide = narrow - narrow.mean(axis=0), wide - wide.mean(axis=0)
    assert energy_distance(narrow, wide) > 0.2
    cross, within = distribution.cdist, distribution.pdist
    monkeypatch.setattr(distribution, "cdist", lambda a, b: cross(a, b, "sqeuclidean"))
    monkeypatch.setattr(distribution, "pdist", lambda a: within(a, "sqeuclidean"))
    assert abs(energy_distance(narrow, wide)) < 0.1


def test_the_order_of_cells_and_genes_is_of_no_account() -> None:
    training, sampled, measured = draw(1, 300), draw(2, 40), draw(3, 50, noise=0.2)
    rng = np.random.default_rng(0)
    first = compare(sampled, measured, space=CellSpace.of(training))
    moved = compare(sampled[rng.permutation(40)], measured[rng.permutation(50)], space=CellSpace.of(training))
    assert moved == pytest.approx(first, rel=1e-9)
    genes = rng.permutation(40)
    space = CellSpace.of(training[:, genes])
    assert compare(sampled[:, genes], measured[:, genes], space=space) == pytest.approx(first, rel=1e-6)
    swapped = compare(measured, sampled, space=CellSpace.of(training))
    assert swapped == pytest.approx(first, rel=1e-9)


def test_too_few_cells_have_no_score() -> None:
    few, enough = draw(2, FEWEST_CELLS - 1), draw(3, FEWEST_CELLS)
    for pair in ((few, enough), (enough, few), (draw(1, 0), enough)):
        assert all(np.isnan(value) for value in compare(*pair).values())
    assert all(np.isfinite(value) for value in compare(enough, enough).values())
    case = CellComparison(CellSpace.of(draw(1, 300)), (few, enough), (enough, enough))
    assert np.isnan(CELLS["mmd"].function(case)).tolist() == [True, False]


def axes_by_svd(counts: csr_array) -> NDArray[np.float64]:
    level = scale_to(counts, float(np.median(counts.sum(axis=1)))).log1p().toarray()
    return np.asarray(np.linalg.svd(level - level.mean(axis=0), full_matrices=False)[2].T)


@pytest.mark.parametrize(("n", "n_genes"), [(300, 60), (30, 60)])
def test_the_axes_are_principal(n: int, n_genes: int) -> None:
    training = draw(7, n, n_genes=n_genes)
    space, expected = CellSpace.of(training), axes_by_svd(training)
    k = space.components.shape[1]
    assert k == min(N_COMPONENTS, n - 1, n_genes)
    np.testing.assert_allclose(space.components.T @ space.components, np.eye(k), atol=1e-8)
    np.testing.assert_allclose(np.abs((space.components * expected[:, :k]).sum(axis=0)), 1.0, atol=1e-6)
    places = space.embed(training)
    np.testing.assert_allclose(places.mean(axis=0), 0.0, atol=1e-9)
    assert (np.diff(places.var(axis=0)) <= 1e-9).all()
    assert space.scale == pytest.approx(np.median(pdist(places)), rel=0.05)


def test_depth_is_of_no_account_to_places_and_counts_that_are_not_there_do_not_break_them() -> None:
    space = CellSpace.of(draw(1, 300))
    cells = draw(2, 5)
    np.testing.assert_allclose(space.embed(csr_array(cells * 3)), space.embed(cells))
    assert space.scaled(cells).sum(axis=1) == pytest.approx(np.full(5, space.depth))
    nothing = csr_array((20, 40), dtype=np.int32)
    assert all(np.isfinite(value) for value in compare(nothing, draw(3, 20), space=space).values())
    alike = CellSpace.of(csr_array(np.tile([3, 1], (30, 1))))
    assert alike.scale == 1.0 and alike.components.shape == (2, 1)
    np.testing.assert_allclose(np.linalg.norm(space.directions, axis=0), 1.0)


def test_of_many_training_cells_some_make_the_space() -> None:
    many = draw(8, SPACE_CELLS + 500)
    space = CellSpace.of(many)
    assert space.depth == np.median(many.sum(axis=1))
    assert not np.allclose(space.mean, scale_to(many, space.depth).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(space.mean, scale_to(many, space.depth).mean(axis=0), rtol=0.2)
