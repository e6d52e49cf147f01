"""Cell models: calibration to an exact fixed point, stability, Jacobian, rates, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers_core import make_model, make_network, models, solve
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simcell.calibration import STABILITY_MARGIN, SignalEdge, calibrate
from simcell.cell import CellModel
from simcell.draw import draw_cell_model
from simcell.effects import CellEffects
from simcell.errors import SpecError
from simcell.generators import grouped_scale_free, repressilator, toggle_switch
from simcell.kernels.ode import steady_slope
from simcell.regulation import REGULATIONS
from simcell.spec.cell import CellSpec

Array = NDArray[np.float64]


def slope_at(model: CellModel, state: Array, signals: Array) -> Array:
    """Return d(mRNA, levels)/dt of an unperturbed cell, from the compiled kernel."""
    out = np.empty((state.size, 1))
    level = np.concatenate([state[model.network.n_genes :], signals])
    nothing = CellEffects.none(1).entries(model.network)
    steady_slope(state[:, None].copy(), level[:, None], model.circuit(), *nothing, out)
    return out[:, 0]


def numerical_jacobian(model: CellModel, state: Array, signals: Array) -> Array:
    """Return the Jacobian (G+R, G+R) by central differences."""
    columns = []
    for i in range(state.size):
        h = 1e-6 * max(1.0, abs(state[i]))
        up, down = state.copy(), state.copy()
        up[i] += h
        down[i] -= h
        columns.append((slope_at(model, up, signals) - slope_at(model, down, signals)) / (2 * h))
    return np.array(columns).T


def wild_type(model: CellModel) -> Array:
    return np.concatenate([model.mean, np.ones(model.network.n_regulators)])


@given(models())
def test_any_valid_network_calibrates_to_a_fixed_point(model: CellModel) -> None:
    drift = model.drift()
    assert np.abs(drift / (model.decay * model.mean)).max() < 1e-12
    # the compiled equations agree, and so does the definition: production balances loss
    compiled = slope_at(model, wild_type(model), model.reference)
    speed = np.concatenate([model.decay * model.mean, model.protein_decay])
    assert np.abs(compiled / speed).max() < 1e-12
    np.testing.assert_allclose(model.max_rate * model.activity, model.decay * model.mean, rtol=1e-12)
    made = model.translation_rate * model.mean[model.network.regulators]
    np.testing.assert_allclose(made, model.protein_decay * model.protein_mean, rtol=1e-12)


@settings(max_examples=25)
@given(models())
def test_the_mean_field_stays_at_the_wild_type(model: CellModel) -> None:
    state = solve(model, hours=100.0, tolerance=1e-8)
    np.testing.assert_allclose(state.intensity[:, 0], model.mean, rtol=1e-9)
    np.testing.assert_allclose(state.level[:, 0], model.reference_levels, rtol=1e-9)


@given(models(regulation="hill_sum"))
def test_activity_of_hill_sum_is_its_own(model: CellModel) -> None:
    assert (model.activity > 0).all()
    assert (model.activity <= 1).all()


@settings(max_examples=30)
@given(models(), st.integers(0, 1000))
def test_jacobian_is_that_of_the_compiled_equations(model: CellModel, seed: int) -> None:
    n_genes, regulators = model.network.n_genes, model.network.regulators
    levels = model.reference_levels.copy()
    if seed % 2:
        levels[: regulators.size] = np.exp(0.3 * np.random.default_rng(seed).standard_normal(regulators.size))
    state = np.concatenate([model.mean, levels[: regulators.size]])
    kept = np.concatenate([regulators, n_genes + np.arange(regulators.size)])
    full = numerical_jacobian(model, state, model.reference)
    # the model's own is in mRNA over its wild-type mean
    unit = np.concatenate([model.mean[regulators], np.ones(regulators.size)])
    measured = full[np.ix_(kept, kept)] * unit / unit[:, None]
    at_kink = model.regulation.name == "linear" and bool(
        (model.regulation.activity(model.basal, model.strength, model.edges, levels) < 1e-4).any()
    )
    if not at_kink:
        np.testing.assert_allclose(model.jacobian(levels), measured, rtol=1e-5, atol=1e-6)


@settings(max_examples=25)
@given(models())
def test_spectral_abscissa_against_the_whole_numerical_jacobian(model: CellModel) -> None:
    full = numerical_jacobian(model, wild_type(model), model.reference)
    slowest = float(np.linalg.eigvals(full).real.max())
    assert -model.slowest_rate == pytest.approx(slowest, abs=2e-4)  # repeated eigenvalues split by sqrt(1e-8)
    assert model.stable


@pytest.mark.parametrize("name", ["thermodynamic", "linear"])
def test_an_unstable_wild_type_is_attenuated(name: str) -> None:
    strong = {"regulation": name, "fold": 60.0, "hill": 4.0}
    free = make_model(toggle_switch(), **strong, require_stable=False)
    assert not free.stable
    assert free.attenuation == 1.0
    tamed = make_model(toggle_switch(), **strong)
    assert tamed.stable
    assert tamed.attenuation < 1.0
    assert tamed.spectral_abscissa <= -STABILITY_MARGIN * min(tamed.protein_decay.min(), tamed.decay.min())
    weaker = make_model(toggle_switch(), **strong | {"fold": 60.0**tamed.attenuation})
    np.testing.assert_allclose(tamed.strength, weaker.strength, rtol=1e-12)
    np.testing.assert_allclose(tamed.basal, weaker.basal, rtol=1e-12)
    # no weaker than it has to be: one notch less is not stable enough
    notch = make_model(toggle_switch(), **strong | {"fold": 60.0 ** (tamed.attenuation / 0.8)}, require_stable=False)
    assert notch.spectral_abscissa > -STABILITY_MARGIN * notch.protein_decay.min()
    # and attenuated, it still comes back from a push
    back = solve(tamed, CellEffects.of(0, 1.0), hours=2000.0, tolerance=1e-8)
    np.testing.assert_allclose(back.intensity[:, 0], tamed.mean, rtol=1e-6)


def test_an_unstable_wild_type_moves_away() -> None:
    model = make_model(toggle_switch(), fold=60.0, hill=4.0, require_stable=False)
    pushed = solve(model, CellEffects.of(0, 0.9), hours=1000.0, tolerance=1e-8)
    assert pushed.intensity[0, 0] < 0.5 * model.mean[0]
    assert pushed.intensity[1, 0] > 1.2 * model.mean[1]


@pytest.mark.parametrize("name", sorted(REGULATIONS))
@pytest.mark.parametrize(
    "kinetics",
    [
        {"protein_half_life": 1.0},
        {"protein_half_life": 0.05},
        {"half_life": 1000.0, "doubling_time": None},
        {"half_life": 0.05, "protein_half_life": 1000.0, "doubling_time": None},
    ],
)
def test_without_a_cycle_nothing_is_attenuated_whatever_the_lifetimes(name: str, kinetics: dict[str, float]) -> None:
    chain = make_network([(0, 1, 1), (1, 2, -1), (0, 2, 1)])
    model = make_model(chain, regulation=name, fold=20.0, **kinetics)
    assert model.attenuation == 1.0
    assert model.stable


def test_short_lived_proteins_may_be_drawn() -> None:
    cell = CellSpec.model_validate({"protein_half_life": {"median": 1.0, "sigma": 0.5}})
    assert draw_cell_model(grouped_scale_free(50, seed=1), cell=cell).stable


def test_rates_hold_dilution_by_growth() -> None:
    growing = make_model(repressilator(), half_life=6.0, protein_half_life=12.0, doubling_time=24.0)
    still = make_model(repressilator(), half_life=6.0, protein_half_life=12.0, doubling_time=None)
    np.testing.assert_allclose(still.decay, math.log(2) / 6.0, rtol=1e-14)
    np.testing.assert_allclose(growing.decay, math.log(2) * (1 / 6.0 + 1 / 24.0), rtol=1e-14)
    np.testing.assert_allclose(growing.protein_decay, math.log(2) * (1 / 12.0 + 1 / 24.0), rtol=1e-14)
    assert still.growth == 0.0


def test_signals_act_from_their_reference_level() -> None:
    network = make_network([(0, 1, 1)])
    signals = [SignalEdge("heat", "A", 1, 5.0), SignalEdge("heat", "B", -1, 3.0)]
    model = make_model(network, signals=("heat", "drug"), signal_edges=signals, reference_medium={"heat": 0.5})
    assert model.signal_levels(None).tolist() == [0.5, 0.0]
    assert model.signal_levels({"drug": 2.0}).tolist() == [0.0, 2.0]
    assert model.network_edges.sum() == network.n_edges
    np.testing.assert_allclose(solve(model, hours=50.0).intensity[:, 0], model.mean, rtol=1e-9)
    hot = solve(model, hours=500.0, medium={"heat": 5.0}).intensity[:, 0]
    cold = solve(model, hours=500.0, medium={}).intensity[:, 0]
    assert hot[0] > 1.1 * model.mean[0] > 1.1 * 1.1 * cold[0]
    dull = solve(model, hours=500.0, medium={"heat": 0.5, "drug": 9.0}).intensity[:, 0]
    np.testing.assert_allclose(dull, model.mean, rtol=1e-8)  # a signal without an edge does nothing
    with pytest.raises(SpecError, match=r"medium: 'heta' is not a signal of this model \(did you mean 'heat'\?\)"):
        model.signal_levels({"heta": 1.0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regulation": "thermodynamik"}, r"cell.regulation: .* \(did you mean 'thermodynamic'\?\)"),
        ({"mean": 0.0}, "cell.mean: 0.0 is not a finite number > 0"),
        ({"mean": [1.0, math.nan, 1.0]}, "cell.mean: nan is not a finite number > 0"),
        ({"mean": [1.0, 2.0]}, r"cell.mean: .*\(2,\).* is not one number or of shape \(3,\)"),
        ({"half_life": -1.0}, "cell.half_life: -1.0 is not"),
        ({"burst_size": math.inf}, "cell.burst_size: inf is not"),
        ({"activity": 1.0}, "cell.activity: 1.0 is not below 1"),
        ({"activity": 0.0}, "cell.activity: 0.0 is not"),
        ({"fold": 0.9}, "cell.fold: 0.9 is not >= 1"),
        ({"half_response": 0.0}, "cell.half_response: 0.0 is not"),
        ({"hill": [1.0, -2.0, 1.0]}, "cell.hill: -2.0 is not"),
        ({"protein_half_life": 0.0}, "cell.protein_half_life: 0.0 is not"),
        ({"proteins_per_mrna": -5.0}, "cell.proteins_per_mrna: -5.0 is not"),
        ({"doubling_time": 0.0}, "cell.doubling_time: 0.0 is not"),
        ({"doubling_time": -24.0}, "cell.doubling_time: -24.0 is not"),
        ({"doubling_time": math.nan}, "cell.doubling_time: nan is not"),
        ({"signal_edges": [SignalEdge("hot", "G1", 1, 2.0)], "signals": ("heat",)}, "signals: 'hot' is not a signal"),
        ({"signal_edges": [SignalEdge("heat", "G9", 1, 2.0)], "signals": ("heat",)}, "'G9' is not in the network"),
        ({"signal_edges": [SignalEdge("heat", "G1", 1, 0.5)], "signals": ("heat",)}, "cell.fold: 0.5 is not >= 1"),
        ({"signals": ("heat",), "reference_medium": {"cold": 1.0}}, "'cold' is not a signal"),
    ],
)
def test_what_is_not_allowed_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make_model(repressilator(), **changes)


def test_hopelessly_unstable_is_an_error_that_says_so() -> None:
    # the slowest mode of a positive loop with fold 1e300 cannot be tamed by a power of 1e-3
    with pytest.raises(SpecError, match=r"cell.strength: .* is not weak enough for the wild type to be stable"):
        make_model(make_network([(0, 0, 1)]), regulation="linear", fold=1e300, hill=1e4)


def test_draws_are_by_seed_and_each_quantity_has_its_own_stream() -> None:
    network = grouped_scale_free(30, seed=2)
    one, same, other = (draw_cell_model(network, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.mean, same.mean)
    assert not np.array_equal(one.mean, other.mean)
    changed = draw_cell_model(network, seed=1, cell=CellSpec.model_validate({"burst_size": {"median": 9, "sigma": 1}}))
    np.testing.assert_array_equal(one.mean, changed.mean)
    np.testing.assert_array_equal(one.strength, changed.strength)
    assert not np.array_equal(one.burst_size, changed.burst_size)
    draws = np.stack([np.log(one.mean), np.log(one.half_life), np.log(one.burst_size), one.activity])
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.6


def test_drawn_numbers_are_those_asked_for() -> None:
    law = {
        "mean_mrna": {"median": 3.0, "sigma": 0.0},
        "mrna_half_life": {"median": 5.0, "sigma": 0.0},
        "protein_half_life": {"median": 7.0, "sigma": 0.0},
        "proteins_per_mrna": {"median": 11.0, "sigma": 0.0},
        "burst_size": {"median": 13.0, "sigma": 0.0},
        "doubling_time": 17.0,
        "activity": {"low": 0.2, "high": 0.2},
        "strength": {"low": 3.0, "high": 3.0},
        "half_response": {"sigma": 0.0},
        "hill": {"low": 1.5, "high": 1.5},
    }
    model = draw_cell_model(make_network([(0, 1, 1), (1, 2, -1)]), cell=CellSpec.model_validate(law))
    assert set(model.mean) == {3.0}
    assert set(model.half_life) == {5.0}
    assert set(model.protein_half_life) == {7.0}
    np.testing.assert_allclose(model.protein_mean, 33.0)
    assert set(model.burst_size) == {13.0}
    assert model.doubling_time == 17.0
    np.testing.assert_allclose(model.activity, 0.2)
    np.testing.assert_allclose(model.strength, [3.0, 1 / 3.0])
    assert set(model.half_response) == {1.0}
    assert set(model.hill) == {1.5}


def test_calibrate_takes_one_number_or_one_per_gene() -> None:
    network = make_network([(0, 1, 1)])
    arguments = {"half_life": 6.0, "burst_size": 2.0, "activity": 0.3, "fold": 4.0}
    one = calibrate(network, mean=5.0, **arguments)
    each = calibrate(network, mean=np.array([5.0, 5.0]), **arguments)
    np.testing.assert_array_equal(one.basal, each.basal)
