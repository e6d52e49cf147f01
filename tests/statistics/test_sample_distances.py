"""Distances between samples estimate those between distributions without bias, and favour no wrong sampler."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from budget import assert_mean, caught, level
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from scipy.stats import norm

from experiments import held_out_cells
from experiments.held_out_cells import sample_like
from experiments.metrics import METRICS, CellComparison, CellSpace, distribution
from experiments.metrics.cells import FEWEST_CELLS
from experiments.metrics.distribution import WIDTHS, energy_distance, sliced_wasserstein, squared_mmd
from fitters.contract import Claim, Prediction, Query

N_PAIRS, N_FIRST, N_SECOND = 2_000, 12, 15  # few cells each: there a bias is large
SCALE = 1.3
SHIFTS = (0.0, 0.8)
N_GENES, N_BATCHES, N_SAMPLES = 60, 2, 1_000
NOISE = 1 / 3  # squared coefficient of variation of a gene's rate
BEST_IS_0 = ("e-distance", "mmd", "sliced-wasserstein", "zero-fraction")


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
    """Of two samples of one distribution, no excess is expected."""
    found = np.array([sliced_wasserstein(*pair, directions=np.ones((1, 1))) for pair in pairs(seed, 0.0)])
    assert_mean(found, 0.0, level("wasserstein"), what="sliced Wasserstein distance")


def cells(rng: np.random.Generator, of_batch: NDArray[np.intp], noise: float = NOISE) -> csr_array:
    """Return counts of cells of given batches, of which each has an efficiency of its own for each gene."""
    fraction = np.random.default_rng(0).dirichlet(np.full(N_GENES, 0.7))
    efficiency = np.exp(0.3 * np.random.default_rng(1).standard_normal((N_BATCHES, N_GENES)))
    rate = 10.0 * N_GENES * rng.lognormal(0.0, 0.3, (of_batch.size, 1)) * fraction * efficiency[of_batch]
    return csr_array(rng.poisson(rate * rng.gamma(1 / noise, noise, rate.shape)).astype(np.int32))


class Law:
    """A fit that samples cells of the law of `cells`; told of batches, it knows them all."""

    genes = tuple(f"G{gene:03d}" for gene in range(N_GENES))

    def __init__(self, *claims: Claim) -> None:
        self.claims = frozenset(claims)

    def predict(self, query: Query) -> Prediction:
        """Return cells of the batch that is asked for; of any, as often as in training, if there is none."""
        rng = np.random.default_rng(query.seed)
        several = (len(query), query.cells)
        of_batch = rng.integers(N_BATCHES, size=several) if query.batch is None else np.full(several, int(query.batch))
        return Prediction(np.zeros((len(query), N_GENES)), tuple(cells(rng, one).toarray() for one in of_batch))


def held_out_batches(rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the batches of the held-out cells of a perturbation, as a screen has them."""
    return rng.integers(N_BATCHES, size=FEWEST_CELLS)


def check_matched(claims: tuple[Claim, ...], seed: int) -> None:
    """0 is expected of the cells of the true law that a benchmark is given by a fit, whether it tells batches apart."""
    rng = np.random.default_rng(seed)
    measured = tuple(cells(rng, held_out_batches(rng)) for _ in range(N_SAMPLES))
    query = Query(perturbations=(("G000",),) * N_SAMPLES)
    fit, shares = Law(Claim.DISTRIBUTION, *claims), {str(batch): 1 / N_BATCHES for batch in range(N_BATCHES)}
    sampled = sample_like(fit, query, [FEWEST_CELLS] * N_SAMPLES, shares=shares, seed=seed)  # type: ignore[arg-type]
    space = CellSpace.of(cells(rng, rng.integers(N_BATCHES, size=1_000)))
    found = scores_of(space, sampled, measured)
    assert_mean(found, 0.0, level("true law in batches"), what="distances of the true law")


def check_best(seed: int) -> None:
    """The true law has a better expected score than samplers of too little and of too much noise, with few cells."""
    rng = np.random.default_rng(seed)
    nowhere = np.zeros(FEWEST_CELLS, dtype=np.intp)
    space = CellSpace.of(cells(rng, np.zeros(1_000, dtype=np.intp)))
    measured, true, *wrong = (
        [cells(rng, nowhere, noise) for _ in range(N_SAMPLES)] for noise in (NOISE, NOISE, NOISE / 20, 3 * NOISE)
    )
    own = scores_of(space, true, measured)
    share = level("true law is best") / (len(wrong) * own.shape[1])
    for other in wrong:
        gain = scores_of(space, other, measured) - own
        error = gain.std(axis=0) / np.sqrt(N_SAMPLES)
        assert (gain.mean(axis=0) >= norm.isf(share) * error).all(), "a wrong sampler scores as well as the true law"


def scores_of(space: CellSpace, sampled: Sequence[csr_array], measured: Sequence[csr_array]) -> NDArray[np.float64]:
    """Return (Q, 4) scores of which 0 is the best."""
    comparison = CellComparison(space, tuple(sampled), tuple(measured))
    return np.column_stack([METRICS[name].function(comparison) for name in BEST_IS_0])


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_energy_distance_is_unbiased(shift: float) -> None:
    check_energy(1, shift)


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_squared_mmd_is_unbiased(shift: float) -> None:
    check_mmd(2, shift)


def test_of_the_sliced_wasserstein_distance_nothing_is_left_within_a_distribution() -> None:
    check_wasserstein(3)


@pytest.mark.parametrize("claims", [(Claim.BATCH,), ()])
def test_nothing_is_expected_of_the_true_law_whether_or_not_it_tells_batches_apart(claims: tuple[Claim, ...]) -> None:
    check_matched(claims, 4)


def test_the_true_law_is_best_with_the_fewest_cells_allowed() -> None:
    check_best(5)


@pytest.mark.parametrize("shift", SHIFTS)
def test_cells_compared_with_themselves_are_caught(monkeypatch: pytest.MonkeyPatch, shift: float) -> None:
    """The means within a sample that include the distance 0 of every cell from itself are biased."""
    monkeypatch.setattr(distribution, "pdist", lambda sample, kind="euclidean": cdist(sample, sample, kind))
    with caught("mean of energy distance"):
        check_energy(1, shift)
    with caught("mean of squared MMD"):
        check_mmd(2, shift)


def test_distances_that_subtract_nothing_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few cells are far from others by chance, and nearer to those of too little noise."""
    monkeypatch.setattr(distribution, "_within", lambda n, h: np.zeros(n + 1))
    distribution.excess.cache_clear()
    try:
        with caught("mean of sliced Wasserstein distance"):
            check_wasserstein(3)
        with caught("a wrong sampler scores as well as the true law"):
            check_best(5)
    finally:
        distribution.excess.cache_clear()


def test_samples_of_the_batches_of_the_held_out_cells_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both sides have as many cells of every batch, the distances within are larger than those between."""
    alike = np.arange(FEWEST_CELLS) % N_BATCHES
    counted = np.bincount(alike)
    monkeypatch.setitem(globals(), "held_out_batches", lambda rng: alike)
    monkeypatch.setattr(held_out_cells, "_by_chance", lambda n, shares, *, seed: np.tile(counted, (len(n), 1)))
    with caught("mean of distances of the true law"):
        check_matched((Claim.BATCH,), 4)
