"""Proteins, splicing and division of one gene, against moment equations and master equations written out plainly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_theory import dense_generator, linear_moments, linear_rates, plain
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.stats import binom, nbinom

from simcell import theory
from simcell.calibration import calibrate
from simcell.cell import CellModel
from simcell.errors import SpecError
from simcell.network import Network


def lone_gene(**changes: Any) -> CellModel:
    """Return one regulator that acts on itself by a fold of 1, that is, not at all."""
    settings: dict[str, Any] = {
        "mean": 7.0,
        "half_life": 3.0,
        "burst_size": 2.5,
        "activity": 0.3,
        "fold": 1.0,
        "protein_half_life": 8.0,
        "proteins_per_mrna": 4.0,
        "doubling_time": 20.0,
    }
    return calibrate(Network(("A",), np.array([0]), np.array([0]), np.array([1])), **settings | changes)


def kinetics(model: CellModel) -> dict[str, Any]:
    """Return the arguments of the two-stage formulas."""
    return {
        "mean": model.mean[0],
        "protein_mean": model.protein_mean[0],
        "decay": model.decay[0],
        "protein_decay": model.protein_decay[0],
    }


@pytest.mark.parametrize("promoter", ["poisson", "bursty", "telegraph"])
def test_two_stage_covariance(promoter: str) -> None:
    model = lone_gene(promoter=promoter)
    cell = plain(model)
    mean, expected = linear_moments(cell)
    kept = [cell.at("mrna"), cell.at("protein")]
    np.testing.assert_allclose(mean[kept], [model.mean[0], model.protein_mean[0]], rtol=1e-12)
    if promoter == "telegraph":
        on = {"activity": 0.3, "switching_rate": model.switching_rate[0]}
        found = theory.telegraph_two_stage_covariance(**kinetics(model), **on)
    else:
        found = theory.two_stage_covariance(**kinetics(model), burst=2.5 if promoter == "bursty" else 0.0)
    np.testing.assert_allclose(found, expected[np.ix_(kept, kept)], rtol=1e-10)


def test_two_stage_covariance_of_many_genes_at_once() -> None:
    settings = {"protein_mean": 50.0, "decay": 0.2, "protein_decay": np.array([[0.1], [0.3]])}
    found = theory.two_stage_covariance(mean=np.array([3.0, 5.0, 8.0]), burst=2.0, **settings)
    assert found.shape == (2, 3, 2, 2)
    one = theory.two_stage_covariance(mean=5.0, burst=2.0, protein_mean=50.0, decay=0.2, protein_decay=0.3)
    np.testing.assert_allclose(found[1, 1], one)


def test_intensities_have_the_noise_of_bursts_and_protein_all_of_its_own() -> None:
    model = lone_gene()
    settings = kinetics(model)
    found = theory.two_stage_covariance(**settings, burst=2.5, intensities=True)
    # moments of dy = -delta y dt + exponential bursts, dn = (tau y - gamma n) dt
    delta, gamma = settings["decay"], settings["protein_decay"]
    slope = np.array([[-delta, 0.0], [gamma * 4.0, -gamma]])
    single = 28.0 + gamma / (gamma + delta) * 7.0 * 4.0**2  # of counting molecules of protein and of mRNA
    noise = np.diag([delta * 7.0 / 2.5 * 2.0 * 2.5**2, 2.0 * gamma * single])
    np.testing.assert_allclose(slope @ found + found @ slope.T + noise, 0.0, atol=1e-12)
    level = theory.protein_noise(mean=7.0, burst=2.5, decay=delta, protein_decay=gamma, protein_mean=28.0)
    assert found[1, 1] / model.protein_mean[0] ** 2 == pytest.approx(level)
    counted = theory.two_stage_covariance(**settings, burst=2.5)
    assert counted[0, 0] - found[0, 0] == pytest.approx(7.0)
    assert counted[1, 1] == pytest.approx(found[1, 1])
    assert counted[0, 1] > found[0, 1]


@pytest.mark.parametrize("second", [0.5, 0.2])
def test_two_stages_in_a_row(second: float) -> None:
    times = np.array([0.0, 1.0, 4.0, 15.0])
    solved = solve_ivp(
        lambda t, x: [0.2 * (3.0 - x[0]), second * (x[0] - x[1])],
        (0, 15),
        [1.0, 1.0],
        t_eval=times,
        rtol=1e-10,
        atol=1e-10,
    )
    found = theory.two_stage_relaxation(times, start=1.0, target=3.0, first=0.2, second=second)
    np.testing.assert_allclose(found, solved.y[1], rtol=1e-8)


@pytest.mark.parametrize("promoter", ["poisson", "bursty"])
def test_splicing_moments(promoter: str) -> None:
    model = lone_gene(promoter=promoter, splicing_half_life=1.5)
    cell = plain(model)
    mean, expected = linear_moments(cell)
    kept = [cell.at("unspliced"), cell.at("mrna")]
    burst = 2.5 if promoter == "bursty" else 0.0
    settings = {
        "production": model.max_rate[0] * 0.3,
        "splicing_rate": np.log(2.0) / 1.5,
        "decay": model.decay[0],
        "growth": np.log(2.0) / 20.0,
    }
    found_mean, found = theory.splicing_moments(**settings, burst=burst)
    np.testing.assert_allclose(found_mean, mean[kept], rtol=1e-12)
    np.testing.assert_allclose(found_mean, [model.unspliced_mean[0], 7.0], rtol=1e-12)
    np.testing.assert_allclose(found, expected[np.ix_(kept, kept)], rtol=1e-10)
    _, latent = theory.splicing_moments(**settings, burst=burst, intensities=True)
    np.testing.assert_allclose(found - latent, np.diag(mean[kept]), atol=1e-12)


@pytest.mark.parametrize("burst", [0.0, 0.8])
@pytest.mark.parametrize("splicing_rate", [0.4, 0.7])
def test_spliced_law(burst: float, splicing_rate: float) -> None:
    settings = {"production": 0.6, "splicing_rate": splicing_rate, "decay": 0.5, "growth": 0.1}
    law = theory.spliced_count_law(**settings, burst=burst)
    # the master equation of (unspliced, spliced) in a box, by its null space
    extent = 24
    rates = np.zeros((extent**2, extent**2))
    sizes = {1: 1.0} if burst == 0.0 else {k: burst**k / (1.0 + burst) ** (k + 1) for k in range(1, extent)}
    for u in range(extent):
        for s in range(extent):
            here = u * extent + s
            for size, chance in sizes.items():
                if u + size < extent:
                    rates[here, here + size * extent] += 0.6 / (burst or 1.0) * chance
            if u and s + 1 < extent:
                rates[here, here - extent + 1] += splicing_rate * u
            if u:
                rates[here, here - extent] += 0.1 * u
            if s:
                rates[here, here - 1] += 0.5 * s
    change = rates.T - np.diag(rates.sum(axis=1))
    change[0] = 1.0
    settled = np.linalg.solve(change, np.eye(extent**2)[0]).reshape(extent, extent).sum(axis=0)
    np.testing.assert_allclose(law.pmf(np.arange(extent)), settled, atol=3e-7)
    mean, covariance = theory.splicing_moments(**settings, burst=burst)
    assert (law.mean(), law.var()) == pytest.approx((mean[1], covariance[1, 1]), rel=1e-8)


def test_fast_splicing_leaves_the_negative_binomial() -> None:
    law = theory.spliced_count_law(production=3.0, splicing_rate=1e4, decay=0.5, burst=2.0)
    count = np.arange(60)
    np.testing.assert_allclose(law.pmf(count), nbinom(3.0, 1.0 / 3.0).pmf(count), atol=1e-4)


@pytest.mark.parametrize("burst", [0.0, 1.5])
def test_law_of_a_lineage_that_divides(burst: float) -> None:
    settings = {"production": 0.9, "degradation": 0.08, "interval": 12.0}
    most = 100
    count = np.arange(most + 1)
    rates = np.zeros((most + 1, most + 1))  # (to, from)
    sizes = {1: 1.0} if burst == 0.0 else {k: burst**k / (1.0 + burst) ** (k + 1) for k in range(1, most + 1)}
    for n in range(most + 1):
        for size, chance in sizes.items():
            if n + size <= most:
                rates[n + size, n] += 0.9 / (burst or 1.0) * chance
        if n:
            rates[n - 1, n] += 0.08 * n
    rates -= np.diag(rates.sum(axis=0))
    halve = np.stack([binom.pmf(count, n, 0.5) for n in count], axis=1)
    cycle = np.linalg.matrix_power(halve @ expm(rates * 12.0), 64)
    newborn = cycle[:, 0]
    for age in (0.0, 3.0, 11.9):
        law = theory.divided_count_law(**settings, burst=burst, age=age)
        expected = expm(rates * age) @ newborn
        np.testing.assert_allclose(law.pmf(count), expected, atol=1e-9)
        assert law.mean() == pytest.approx(theory.divided_mean(age, **settings))
        assert law.var() == pytest.approx(theory.divided_variance(age, **settings, burst=burst))
    # at a uniform phase: the integral over the cycle, in one exponential with an added column
    whole = np.zeros((2 * (most + 1), 2 * (most + 1)))
    whole[: most + 1, : most + 1], whole[most + 1 :, : most + 1] = rates, np.eye(most + 1)
    integral = (expm(whole * 12.0) @ np.append(newborn, np.zeros(most + 1)))[most + 1 :] / 12.0
    law = theory.divided_count_law(**settings, burst=burst)
    np.testing.assert_allclose(law.pmf(count), integral, atol=1e-9)
    assert (law.mean(), law.var()) == pytest.approx(theory.divided_moments(**settings, burst=burst), rel=1e-8)


@pytest.mark.parametrize("promoter", ["poisson", "bursty", "telegraph"])
@pytest.mark.parametrize("splicing", [None, 1.5])
def test_moments_of_a_lineage_with_all_layers(promoter: str, splicing: float | None) -> None:
    model = lone_gene(promoter=promoter, splicing_half_life=splicing, division=True)
    ages = np.array([0.0, 7.0, 19.0])
    found = theory.lineage(model, 0, ages=ages)
    cell = plain(model)
    slope, constant, noise_slope, noise = linear_rates(cell)
    n = constant.size
    promoter_state = np.array([kind == "promoter" for kind, _ in cell.amounts])

    def derivative(time: float, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        mean, covariance = moments[:n], moments[n:].reshape(n, n)
        spread = slope @ covariance + covariance @ slope.T + noise_slope @ mean + noise
        return np.concatenate([slope @ mean + constant, spread.ravel()])

    moments = np.zeros(n + n * n)
    for _ in range(30):  # cycles, from nothing
        path = solve_ivp(derivative, (0.0, 20.0), moments, t_eval=[*ages, 20.0], rtol=1e-10, atol=1e-10)
        mean, covariance = path.y[:n, -1], path.y[n:, -1].reshape(n, n)
        share = np.where(promoter_state, 1.0, 0.5)
        halved = covariance * np.outer(share, share) + np.diag(np.where(promoter_state, 0.0, 0.25 * mean))
        moments = np.concatenate([mean * share, halved.ravel()])
    assert found.kind.tolist() == [kind for kind, _ in cell.amounts]
    np.testing.assert_allclose(found.mean, path.y[:n, :-1].T, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, path.y[n:, :-1].T.reshape(-1, n, n), rtol=1e-6, atol=1e-8)
    if promoter != "telegraph" and splicing is None:
        production = model.max_rate[0] * 0.3
        settings = {"production": production, "degradation": np.log(2.0) / 3.0, "interval": 20.0}
        expected = theory.divided_moments(**settings, burst=2.5 if promoter == "bursty" else 0.0)
        assert (found.phase_mean[0], found.phase_covariance[0, 0]) == pytest.approx(expected)


def test_a_lineage_is_of_dividing_cells_and_lone_genes() -> None:
    with pytest.raises(SpecError, match=r"^cell.division: False is not True"):
        theory.lineage(lone_gene(), 0)
    with pytest.raises(SpecError, match=r"^gene: 'A' is not one that no regulator acts upon$"):
        theory.lineage(lone_gene(division=True, fold=3.0), 0)


def test_capture_thins_a_law() -> None:
    count = np.arange(400)
    law = theory.count_law(8.0, 3.0).pmf(count)
    thinned = binom.pmf(np.arange(60)[:, None], count, 0.2) @ law
    np.testing.assert_allclose(theory.captured_law(8.0, 3.0, 0.2).pmf(np.arange(60)), thinned, atol=1e-12)


def test_the_plain_twin_makes_negative_binomial_counts() -> None:
    model = lone_gene(mean=1.5, burst_size=1.0, proteins_per_mrna=0.5, doubling_time=None)
    states, rate, leaving = dense_generator(plain(model), (24, 8))
    change = rate.T - np.diag(rate.sum(axis=1))
    change[0] = 1.0
    settled = np.linalg.solve(change, np.eye(len(states))[0]).reshape(25, 9).sum(axis=1)
    np.testing.assert_allclose(settled, theory.count_law(1.5, 1.0).pmf(np.arange(25)), atol=1e-5)
    assert leaving[-1] > 0.0
