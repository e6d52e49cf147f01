"""Rate equations and linear noise, against finite differences, plain moment equations and exact laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_theory import linear_moments, plain
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from simcell import theory
from simcell.calibration import SignalEdge, calibrate
from simcell.cell import CellModel
from simcell.circuits import toggle_switch
from simcell.errors import SpecError
from simcell.network import Network
from simcell.regulation import REGULATIONS
from simcell.theory.examples import self_repressing_gene

LAYERS = [
    {"promoter": promoter, "splicing_half_life": splicing}
    for promoter in ("poisson", "bursty", "telegraph")
    for splicing in (None, 0.7)
]


def world(regulation: str = "thermodynamic", **changes: Any) -> CellModel:
    """Return a network with feedback of both signs, in which C and E regulate nothing; all parameters differ."""
    edges = np.array([(0, 1, 1), (1, 0, -1), (3, 3, -1), (1, 3, 1), (0, 2, 1), (3, 2, -1), (1, 4, 1)])
    settings: dict[str, Any] = {
        "mean": np.array([30.0, 50.0, 20.0, 80.0, 10.0]),
        "half_life": np.array([3.0, 4.0, 5.0, 2.0, 6.0]),
        "burst_size": np.array([2.0, 3.0, 1.5, 4.0, 2.5]),
        "activity": np.array([0.3, 0.4, 0.25, 0.5, 0.2]),
        "fold": np.array([3.0, 2.0, 4.0, 3.0, 2.5, 3.0, 2.0]),
        "half_response": np.array([1.0, 1.3, 0.8, 1.1, 0.9, 1.0, 1.2]),
        "hill": np.array([1.5, 2.0, 1.2]),
        "protein_half_life": np.array([6.0, 10.0, 8.0]),
        "proteins_per_mrna": np.array([10.0, 5.0, 8.0]),
        "doubling_time": 24.0,
    }
    network = Network(tuple("ABCDE"), edges[:, 0], edges[:, 1], edges[:, 2])
    return calibrate(network, regulation=regulation, **settings | changes)


def amounts_of(noise: theory.LinearNoise | theory.MeanField, cell_amounts: list[tuple[str, int]]) -> list[int]:
    """Return where the amounts of the plain twin stand among those of the theory."""
    known = list(zip(noise.kind.tolist(), noise.gene.tolist(), strict=True))
    return [known.index(amount) for amount in cell_amounts]


@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_drift_is_that_of_the_reactions(layers: dict[str, Any]) -> None:
    model = world(**layers)
    field = theory.mean_field(model, transcription=[0.4, 1, 1, 1, 1], translation=[0.7, 1, 1])
    cell = plain(model, transcription=0.4, translation=0.7)
    order = amounts_of(field, cell.amounts)
    x = field.amounts(np.array([0.6, 1.4, 1.1])) * np.linspace(0.8, 1.2, field.n_variables)
    state = x[order]
    expected, noise = np.zeros(state.size), np.zeros((state.size, state.size))
    for reaction in cell.reactions:
        change = np.zeros(state.size)
        for at, step in reaction.change.items():
            change[at] = step
        sizes = (reaction.burst, reaction.burst + 2.0 * reaction.burst**2) if reaction.burst else (1.0, 1.0)
        expected += sizes[0] * change * reaction.rate(state)
        noise += sizes[1] * np.outer(change, change) * reaction.rate(state)
    np.testing.assert_allclose(field.drift(x)[order], expected, rtol=1e-10, atol=1e-10)
    molecules, switching = field.diffusion(x)
    np.testing.assert_allclose((molecules + switching)[np.ix_(order, order)], noise, rtol=1e-10, atol=1e-10)
    assert not np.any(switching[field.kind != "promoter"])


# telegraph promoters are not offered with linear regulation, whose activity may exceed 1
OFFERED = [
    (name, layers) for name in REGULATIONS for layers in LAYERS if (name, layers["promoter"]) != ("linear", "telegraph")
]


@pytest.mark.parametrize(("regulation", "layers"), OFFERED, ids=str)
def test_jacobian_and_fixed_point(regulation: str, layers: dict[str, Any]) -> None:
    model = world(regulation, **layers, signals=("heat",), signal_edges=[SignalEdge("heat", "B", 1, 3.0)])
    field = theory.mean_field(model)
    wild_type = field.fixed_point()
    np.testing.assert_allclose(wild_type[field.at("mrna")], model.mean, rtol=1e-9)
    np.testing.assert_allclose(wild_type[field.at("protein")], model.protein_mean, rtol=1e-9)
    np.testing.assert_allclose(field.drift(wild_type), 0.0, atol=1e-8)
    if layers["splicing_half_life"] is not None:
        np.testing.assert_allclose(wild_type[field.at("unspliced")], model.unspliced_mean, rtol=1e-9)
    hot = theory.mean_field(model, medium={"heat": 2.0}, transcription=0.8)
    x = hot.fixed_point()
    np.testing.assert_allclose(hot.drift(x), 0.0, atol=1e-7)
    assert np.abs(x / wild_type - 1.0).max() > 0.1
    step = 1e-5 * np.maximum(x, 1.0)
    found = [(hot.drift(x + h) - hot.drift(x - h)) / (2.0 * h.sum()) for h in np.diag(step)]
    np.testing.assert_allclose(hot.jacobian(x), np.stack(found, axis=1), rtol=1e-5, atol=1e-6)


def test_growth_rates_are_those_of_the_model() -> None:
    model = world()
    field = theory.mean_field(model, genes=model.network.regulators)
    ours = np.sort_complex(np.linalg.eigvals(field.jacobian(field.fixed_point())))
    np.testing.assert_allclose(ours, np.sort_complex(np.linalg.eigvals(model.jacobian())), atol=1e-9)


@pytest.mark.parametrize("layers", LAYERS[:4], ids=str)
def test_linear_networks_have_their_exact_covariance(layers: dict[str, Any]) -> None:
    model = world("linear", **layers)
    cell = plain(model)
    mean, covariance = linear_moments(cell)
    noise = theory.linear_noise(model)
    order = amounts_of(noise, cell.amounts)
    np.testing.assert_allclose(noise.mean[order], mean, rtol=1e-8)
    np.testing.assert_allclose(noise.covariance[np.ix_(order, order)], covariance, rtol=1e-7, atol=1e-7)
    assert not noise.switching.any()


@pytest.mark.parametrize("splicing", [None, 0.7])
def test_telegraph_genes_have_their_exact_covariance(splicing: float | None) -> None:
    model = world(fold=1.0, promoter="telegraph", splicing_half_life=splicing, size_sigma=0.3)
    cell = plain(model)
    mean, covariance = linear_moments(cell)
    noise = theory.linear_noise(model)
    order = amounts_of(noise, cell.amounts)
    np.testing.assert_allclose(noise.mean[order], mean, rtol=1e-8)
    np.testing.assert_allclose(noise.covariance[np.ix_(order, order)], covariance, rtol=1e-7, atol=1e-7)
    # over cells of all sizes, by total covariance and quadrature over the lognormal
    node, weight = hermegauss(24)
    sizes, weight = np.exp(0.3 * node - 0.045), weight / weight.sum()
    each = [linear_moments(plain(model, size=size)) for size in sizes]
    average = sum(w * m for w, (m, _) in zip(weight, each, strict=True))
    spread = sum(w * (c + np.outer(m - average, m - average)) for w, (m, c) in zip(weight, each, strict=True))
    np.testing.assert_allclose(noise.population[np.ix_(order, order)], spread, rtol=1e-6, atol=1e-6)


def test_sizes_leave_the_relative_noise_of_feedback_as_it_is() -> None:
    # with feedback of proteins' concentrations, which a cell of another size has to keep
    model = world("linear", size_sigma=0.4)
    noise = theory.linear_noise(model)
    order = amounts_of(noise, plain(model).amounts)
    for size in (0.5, 2.0):
        mean, covariance = linear_moments(plain(model, size=size))
        np.testing.assert_allclose(mean, size * noise.mean[order], rtol=1e-8)
        np.testing.assert_allclose(covariance, size * noise.covariance[np.ix_(order, order)], rtol=1e-6, atol=1e-6)
    square = np.exp(0.16) - 1.0
    expected = noise.covariance + square * np.outer(noise.mean, noise.mean)
    np.testing.assert_allclose(noise.population, expected)


def test_lagged_covariance_is_the_regression_of_the_later_amounts() -> None:
    noise = theory.linear_noise(world("linear", promoter="poisson", size_sigma=0.2))

    def slope(time: float, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        return (noise.jacobian @ covariance.reshape(noise.mean.size, -1)).ravel()

    solved = solve_ivp(slope, (0.0, 5.0), noise.covariance.ravel(), rtol=1e-10, atol=1e-10)
    expected = solved.y[:, -1].reshape(noise.mean.size, -1)
    np.testing.assert_allclose(noise.lagged(5.0), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(noise.lagged(0.0, population=True), noise.population)
    apart = noise.lagged(5.0, population=True) - noise.lagged(5.0)
    np.testing.assert_allclose(apart, (np.exp(0.04) - 1.0) * np.outer(noise.mean, noise.mean), rtol=1e-7)


@pytest.mark.parametrize("splicing", [None, 0.7])
def test_intensities(splicing: float | None) -> None:
    model = world(fold=1.0, splicing_half_life=splicing)
    noise = theory.linear_noise(model, intensities=True)
    full = theory.linear_noise(model)
    for gene in (0, 1):
        settings = {"decay": model.decay[gene], "burst": model.burst_size[gene], "intensities": True}
        at = noise.index("mrna", gene)[0]
        if splicing is None:
            both = [at, noise.index("protein", gene)[0]]
            protein = {"protein_mean": model.protein_mean[gene], "protein_decay": model.protein_decay[gene]}
            expected = theory.two_stage_covariance(mean=model.mean[gene], **protein, **settings)
        else:
            both = [noise.index("unspliced", gene)[0], at]
            production = model.max_rate[gene] * model.activity[gene]
            rates = {"splicing_rate": np.log(2.0) / splicing, "growth": model.growth}
            _, expected = theory.splicing_moments(production=production, **rates, **settings)
        np.testing.assert_allclose(noise.covariance[np.ix_(both, both)], expected, rtol=1e-8)
        # counts drawn from intensities have the noise of single molecules besides
        assert full.covariance[at, at] - noise.covariance[at, at] == pytest.approx(model.mean[gene])


def test_linear_covariance_is_of_regulators_relative_to_the_wild_type() -> None:
    model = world()
    regulators, n = model.network.regulators, model.network.n_regulators
    found = theory.linear_covariance(model)
    noise = np.zeros(2 * n)
    delta, gamma = model.decay[regulators], model.protein_decay
    noise[:n] = 2.0 * delta * model.burst_size[regulators] / model.mean[regulators]
    counting = 1.0 / model.protein_mean + gamma / (gamma + delta) / model.mean[regulators]
    noise[n:] = 2.0 * gamma * counting
    jacobian = model.jacobian()
    np.testing.assert_allclose(jacobian @ found + found @ jacobian.T + np.diag(noise), 0.0, atol=1e-10)


def test_followers_do_not_change_what_they_follow() -> None:
    model = world(promoter="telegraph")
    whole = theory.linear_noise(model)
    part = theory.linear_noise(model, genes=model.network.regulators)
    kept = [list(zip(whole.kind, whole.gene, strict=True)).index(a) for a in zip(part.kind, part.gene, strict=True)]
    np.testing.assert_allclose(whole.covariance[np.ix_(kept, kept)], part.covariance, rtol=1e-8, atol=1e-10)


def test_error_of_a_nonlinear_gene_falls_with_its_numbers() -> None:
    errors = []
    for scale in (1.0, 4.0):
        model = self_repressing_gene(promoter="poisson", mean=2.0 * scale, proteins_per_mrna=2.0)
        space = theory.state_space(model, mrna=int(16 + 12 * scale), protein=int(24 + 22 * scale))
        law = theory.stationary(space)
        assert law.truncation < 1e-6
        mean, covariance = theory.count_moments(space, law.chance)
        noise = theory.linear_noise(model)
        errors.append([abs(noise.mean[1] / mean[1] - 1.0), abs(noise.covariance[1, 1] / covariance[1, 1] - 1.0)])
    errors = np.array(errors)
    assert np.all(errors[0] > 0.01)  # there is something to fall
    np.testing.assert_allclose(errors[0] / errors[1], 4.0, rtol=0.35)


def test_large_networks() -> None:
    rng = np.random.default_rng(3)
    n_genes, n_regulators = 300, 40
    pairs = np.unique(np.stack([rng.integers(n_regulators, size=700), rng.integers(n_genes, size=700)], axis=1), axis=0)
    network = Network(tuple(f"g{i}" for i in range(n_genes)), pairs[:, 0], pairs[:, 1], rng.choice([-1, 1], len(pairs)))
    model = calibrate(network, mean=20.0, half_life=4.0, burst_size=2.0, activity=0.3, fold=2.0, hill=1.0)
    noise = theory.linear_noise(model)
    residual = noise.jacobian @ noise.covariance
    field = theory.mean_field(model)
    molecules, _ = field.diffusion(noise.mean)
    np.testing.assert_allclose(residual + residual.T + molecules, 0.0, atol=1e-6 * molecules.max())
    assert np.linalg.eigvalsh(noise.covariance).min() > 0.0


def test_refusals() -> None:
    with pytest.raises(SpecError, match=r"^cell.division: True is not allowed here"):
        theory.linear_noise(world(division=True))
    with pytest.raises(SpecError, match=r"^cell.promoter: 'telegraph' is not 'bursty' or 'poisson'"):
        theory.linear_noise(world(promoter="telegraph"), intensities=True)
    unstable = calibrate(
        toggle_switch(),
        mean=5.0,
        half_life=2.0,
        burst_size=2.0,
        activity=0.2,
        fold=100.0,
        hill=4.0,
        require_stable=False,
    )
    with pytest.raises(SpecError, match=r"^cell: 'with a fixed point that grows at .* per hour' is not stable"):
        theory.linear_noise(unstable)
    with pytest.raises(SpecError, match=r"^genes: \[0, 2\] is not all regulators"):
        theory.mean_field(world(), genes=[0, 2])
    with pytest.raises(SpecError, match=r"^genes: 2 is not a gene with an amount of kind 'protein'"):
        theory.linear_noise(world()).index("protein", [0, 2])
