"""Cells through time: relaxation after a guide, the noise of proteins, linear networks, and an independent solver."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from budget import assert_equal_within, assert_mean, assert_variance, caught, level, variance_error
from helpers_core import without_noise
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from worlds import BURST, DECAY, HALF_LIFE, lone_genes

from simcell import theory
from simcell.calibration import calibrate
from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.network import Network
from simcell.regulation import REGULATIONS
from simcell.run import run_cells

TIMES = (3.0, 12.0, 48.0)
# How far the symmetric splitting is from continuous time, relative to a mean or a variance, at a step of 1 h and the
# rates of these tests, 0.05 to 0.3 per hour; it falls with the square of the step.
SPLITTING_ERROR = 0.004
MEAN, PROTEIN_HALF_LIFE = 200.0, 8.0
PROTEIN_DECAY = np.log(2.0) / PROTEIN_HALF_LIFE


def check_relaxation(found: NDArray[np.floating], expected: NDArray[np.float64]) -> None:
    """`found` (N, T) over the wild-type mean, of cells that differ; expected (T,)."""
    error = found.std(axis=0, dtype=np.float64) / np.sqrt(found.shape[0])
    mean, allowed = found.mean(axis=0, dtype=np.float64), 0.5 * SPLITTING_ERROR
    assert_equal_within(mean, expected, error, level("relaxation"), what="relaxation", allowed=allowed)


def respond(model: CellModel, *, n_cells: int = 100_000, **guide: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return mRNA and protein of gene 0, (N, T) each over the wild-type mean, after a guide against it."""
    guides = CellEffects.of(0, n_cells=n_cells, **guide)
    data = run_cells(model, times=TIMES, n_cells=n_cells, guides=guides, burn_in_hours=70.0, step_hours=1.0, seed=31)
    protein = data["protein"].values[:, :, 0] / model.protein_mean[0]
    return data["intensity"].values[:, :, 0].T / model.mean[0], protein.T


@pytest.mark.statistical
def test_mean_relaxes_as_theory_says() -> None:
    model = lone_genes(mean=MEAN, protein_half_life=PROTEIN_HALF_LIFE)
    times = np.array(TIMES)
    mrna, protein = respond(model, transcription=0.2)
    at_once = np.concatenate(
        [
            theory.intensity_mean(times, start=1.0, target=0.2, decay=DECAY),
            theory.two_stage_relaxation(times, start=1.0, target=0.2, first=DECAY, second=PROTEIN_DECAY),
        ]
    )
    check_relaxation(np.concatenate([mrna, protein], axis=1), at_once)
    late, _ = respond(model, transcription=3.0, start=6.0, constant=12.0)
    slowly = theory.two_stage_relaxation(times - 6.0, start=1.0, target=3.0, first=1.0 / 12.0, second=DECAY)
    check_relaxation(late, slowly)
    mrna, protein = respond(model, transcription=1.0, translation=0.3)
    functional = theory.intensity_mean(times, start=1.0, target=0.3, decay=PROTEIN_DECAY)
    check_relaxation(np.concatenate([mrna, protein], axis=1), np.concatenate([np.ones(3), functional]))
    wrong = lone_genes(mean=MEAN, protein_half_life=PROTEIN_HALF_LIFE, half_life=1.1 * HALF_LIFE)
    with caught("relaxation"):  # a half-life that is off by 10 percent
        check_relaxation(np.concatenate(respond(wrong, transcription=0.2), axis=1), at_once)
    with caught("relaxation"):  # a guide that acts at once, though it should set in slowly
        check_relaxation(respond(model, transcription=3.0, start=6.0)[0], slowly)
    with caught("relaxation"):  # a guide that acts from transduction on, though it has a lag
        check_relaxation(respond(model, transcription=3.0, constant=12.0)[0], slowly)


def lone_regulators(**changes: Any) -> CellModel:
    """Return four regulators that have no effect, of different noise and speed."""
    loops = np.arange(4)
    settings: dict[str, Any] = {
        "mean": np.array([40.0, 100.0, 100.0, 400.0]),
        "half_life": np.array([3.0, 3.0, 10.0, 10.0]),
        "protein_half_life": np.array([10.0, 3.0, 10.0, 5.0]),
        "burst_size": BURST,
    }
    network = Network(("A", "B", "C", "D"), loops, loops, np.ones(4, int))
    return calibrate(network, activity=0.3, fold=1.0, doubling_time=None, **settings | changes)


def check_protein_noise(level_of: NDArray[np.float64], model: CellModel) -> None:
    expected = theory.protein_noise(
        mean=model.mean,
        burst=BURST,
        decay=model.decay,
        protein_decay=model.protein_decay,
        protein_mean=model.protein_mean,
    )
    limit = level("protein noise") / 2.0
    assert_mean(level_of, 1.0, limit, what="protein level", variance=expected)
    assert_variance(level_of, expected, limit, what="protein level", allowed=SPLITTING_ERROR * expected)


@pytest.mark.statistical
def test_proteins_inherit_the_noise_of_their_mrna() -> None:
    def levels(model: CellModel, n_cells: int = 100_000) -> NDArray[np.float64]:
        data = run_cells(model, times=[0.0], n_cells=n_cells, burn_in_hours=100.0, step_hours=1.0, seed=32)
        return data["protein"].values[0].astype(np.float64) / model.protein_mean

    model = lone_regulators()
    check_protein_noise(levels(model), model)
    with caught("variance of protein level"):  # a factor of 2 missing in the noise of mRNA
        check_protein_noise(levels(lone_regulators(burst_size=BURST / 2.0), 50_000), model)
    with caught("variance of protein level"):  # bursts alone: without the noise of counting molecules
        check_protein_noise(levels(lone_regulators(burst_size=BURST - 1.0), 50_000), model)
    with caught("variance of protein level"):  # mRNA as white noise: sqrt(dt) for its correlation time
        white = np.random.default_rng(1).normal(1.0, np.sqrt(BURST / model.mean * model.protein_decay / 2), (50_000, 4))
        check_protein_noise(white, model)


def linear_world(**changes: Any) -> CellModel:
    """Return a linear network with both kinds of feedback, whose noise is too small for activity to reach 0."""
    edges = np.array([(0, 1, 1), (1, 2, -1), (2, 0, 1), (0, 0, -1), (2, 3, 1), (3, 1, 1)])
    settings: dict[str, Any] = {"mean": np.array([200.0, 300.0, 250.0, 400.0]), "fold": 4.0, "hill": 1.5}
    return calibrate(
        Network(("A", "B", "C", "D"), edges[:, 0], edges[:, 1], edges[:, 2]),
        regulation="linear",
        half_life=np.array([4.0, 6.0, 5.0, 8.0]),
        burst_size=BURST,
        activity=0.3,
        protein_half_life=np.array([6.0, 8.0, 10.0, 12.0]),
        doubling_time=None,
        **settings | changes,
    )


def linear_sample(model: CellModel, n_cells: int, **guides: Any) -> NDArray[np.float64]:
    """Return mRNA, then protein, over wild-type means, (N, 2R)."""
    effects = CellEffects.of(n_cells=n_cells, **guides) if guides else None
    data = run_cells(model, times=[24.0], n_cells=n_cells, guides=effects, burn_in_hours=150.0, step_hours=0.5, seed=33)
    mrna, protein = data["intensity"].values[0] / model.mean, data["protein"].values[0] / model.protein_mean
    return np.concatenate([mrna, protein], axis=1).astype(np.float64)


def check_linear_mean(found: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    error = found.std(axis=0) / np.sqrt(found.shape[0])
    assert_equal_within(
        found.mean(axis=0), expected, error, level("linear network"), what="mean", allowed=SPLITTING_ERROR / 4.0
    )


def check_linear_covariance(found: NDArray[np.float64], model: CellModel) -> None:
    expected = theory.linear_covariance(model)
    centred = found - found.mean(axis=0)
    rows, columns = np.tril_indices(expected.shape[0])
    product = centred[:, rows] * centred[:, columns]
    scale = np.sqrt(np.diag(expected)[rows] * np.diag(expected)[columns])
    assert_equal_within(
        product.mean(axis=0),
        expected[rows, columns],
        product.std(axis=0) / np.sqrt(found.shape[0]),
        level("linear network"),
        what="covariance",
        allowed=SPLITTING_ERROR * scale,
    )


@pytest.mark.statistical
def test_linear_networks_have_their_exact_moments() -> None:
    model = linear_world()
    assert model.attenuation == 1.0
    check_linear_covariance(linear_sample(model, 60_000), model)
    guide = {"gene": 0, "transcription": 0.6}
    noise_free = run_cells(model, engine="ode", times=[24.0], n_cells=1, guides=CellEffects.of(**guide))
    mrna, protein = noise_free["intensity"].values[0, 0], noise_free["protein"].values[0, 0]
    expected = np.concatenate([mrna / model.mean, protein / model.protein_mean])
    check_linear_mean(linear_sample(model, 60_000, **guide), expected)
    with caught("covariance"):  # edges without effect
        check_linear_covariance(linear_sample(linear_world(fold=1.0), 20_000), model)
    with caught("covariance"):  # every strength 30 percent too large
        check_linear_covariance(linear_sample(linear_world(fold=8.0), 20_000), model)
    with caught("mean"):  # the wild type re-estimated at the guide: its targets do not feel it
        check_linear_mean(linear_sample(linear_world(fold=1.0), 20_000, **guide), expected)


def independent_solution(
    model: CellModel, effects: CellEffects, hours: float, *, recalibrated: bool = False
) -> NDArray[np.float64]:
    """Return mRNA (G,) and protein levels (R,) after `hours`, by another solver and from the formulas of the design."""
    n_genes, regulators = model.network.n_genes, model.network.regulators
    rank = {int(gene): number for number, gene in enumerate(regulators)}
    edges = list(zip(model.network.regulator, model.network.target, strict=True))

    def activity(q: NDArray[np.float64], gene: int) -> float:
        own = [
            (rank[int(r)], model.strength[e], (q[rank[int(r)]] / model.half_response[e]) ** model.hill[rank[int(r)]])
            for e, (r, t) in enumerate(edges)
            if t == gene
        ]
        basal, name = model.basal[gene], model.regulation.name
        if name == "thermodynamic":
            odds = basal * np.prod([(1.0 + w * x) / (1.0 + x) for _, w, x in own])
            return float(odds / (1.0 + odds))
        if name == "hill_sum":
            return float(basal + sum(k * x / (1.0 + x) if k > 0 else -k / (1.0 + x) for _, k, x in own))
        total = basal + sum(beta * q[r] for r, beta, _ in own)
        return float(1.0 / (1.0 + np.exp(-total))) if name == "logistic" else max(0.0, float(total))

    def multiplier(time: float, slot: int, final: float) -> float:
        elapsed, constant = time - effects.start[0, slot], effects.constant[0, slot]
        return 1.0 if elapsed <= 0.0 else 1.0 + (final - 1.0) * (1.0 - np.exp(-elapsed / constant))

    def slope(time: float, state: NDArray[np.float64]) -> NDArray[np.float64]:
        y, q = state[:n_genes], state[n_genes:]
        produced = np.array([activity(q, gene) for gene in range(n_genes)]) * model.max_rate
        if recalibrated:
            produced = model.decay * model.mean
        translated = y[regulators] / model.mean[regulators]
        for slot, gene in enumerate(effects.gene[0]):
            produced[gene] *= multiplier(time, slot, effects.transcription[0, slot])
            if gene in rank:
                translated[rank[gene]] *= multiplier(time, slot, effects.translation[0, slot])
        return np.concatenate([produced - model.decay * y, model.protein_decay * (translated - q)])

    start = np.concatenate([model.mean, np.ones(regulators.size)])
    found = solve_ivp(slope, (0.0, hours), start, method="DOP853", rtol=1e-11, atol=1e-11, max_step=2.0)
    assert found.success
    return found.y[:, -1]


def random_world(regulation: str) -> CellModel:
    rng = np.random.default_rng(5)
    pairs = [(r, t) for r in range(5) for t in range(10) if rng.random() < 0.4]
    regulator, target = np.array(pairs).T
    network = Network(tuple("ABCDEFGHIJ"), regulator, target, rng.choice([-1, 1], len(pairs)))
    n_regulators = network.n_regulators
    return calibrate(
        network,
        regulation=regulation,
        mean=np.exp(rng.normal(3.0, 1.0, 10)),
        half_life=np.exp(rng.normal(1.5, 0.4, 10)),
        burst_size=3.0,
        activity=rng.uniform(0.1, 0.7, 10),
        fold=rng.uniform(2.0, 6.0, len(pairs)),
        half_response=np.exp(rng.normal(0.0, 0.4, len(pairs))),
        hill=rng.uniform(1.0, 3.0, n_regulators),
        protein_half_life=rng.uniform(4.0, 20.0, n_regulators),
    )


GUIDES = CellEffects.of([0, 2], [0.1, 2.5], translation=[0.5, 1.0], start=0.0, constant=[6.0, 12.0])


def solved(model: CellModel, *, engine: str = "ode", **changes: Any) -> NDArray[np.float64]:
    """Return mRNA (G,) and protein (R,) over wild-type means."""
    data = run_cells(model, engine=engine, times=[40.0], n_cells=1, guides=GUIDES, burn_in_hours=0.0, **changes)
    mrna, protein = data["intensity"].values[0, 0] / model.mean, data["protein"].values[0, 0] / model.protein_mean
    return np.concatenate([mrna, protein])


@pytest.mark.parametrize("regulation", REGULATIONS)
def test_engines_agree_with_an_independent_solver(regulation: str) -> None:
    model = random_world(regulation)

    def independent(*, recalibrated: bool = False) -> NDArray[np.float64]:
        found = independent_solution(model, GUIDES, 40.0, recalibrated=recalibrated)
        return np.concatenate([found[:10] / model.mean, found[10:]])

    expected = independent()
    assert np.abs(expected[:10] - 1.0).max() > 0.2  # there is something to get wrong
    np.testing.assert_allclose(solved(model), expected, rtol=3e-7)  # float32, in which results are kept
    # without noise, the stochastic engine converges to it with the square of the step
    quiet = without_noise(model)
    far, near = (
        np.abs(solved(quiet, engine="langevin", step_hours=step) / expected - 1.0).max() for step in (2.0, 1.0)
    )
    assert near < 0.01
    assert 3.3 < far / near < 4.7
    with pytest.raises(AssertionError, match="Not equal to tolerance"):  # a knock-out that re-calibrates its targets
        np.testing.assert_allclose(independent(recalibrated=True), expected, rtol=3e-7)


def test_variance_error_is_that_of_a_normal_sample() -> None:
    assert variance_error(2.0, 3.0, 200) == pytest.approx(2.0 * np.sqrt(2.0 / 200))
