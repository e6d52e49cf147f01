"""Regulation functions: the numpy twin against plain arithmetic and the compiled kernel; slopes, bounds, meanings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers_core import make_model, make_network, models
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from simcell.cell import CellModel
from simcell.kernels.regulation import ACTIVITY_CODES, activity
from simcell.regulation import REGULATIONS

NAMES = sorted(REGULATIONS)
Array = NDArray[np.float64]


def levels_of(model: CellModel, seed: int, *, widest: float = 2.0) -> Array:
    """Return levels of all inputs, about their wild-type level of 1."""
    return np.exp(widest * np.random.default_rng(seed).standard_normal(model.hill.size))


def by_hand(model: CellModel, levels: Array) -> Array:
    """Return activities by the formulas of the documentation, edge by edge, from amounts and half-responses."""
    out = np.empty(model.network.n_genes)
    for gene in range(out.size):
        edges = [e for e in range(model.edges.target.size) if model.edges.target[e] == gene]
        total, odds = model.basal[gene], model.basal[gene]
        for e in edges:
            i = model.edges.source[e]
            x = (levels[i] / model.half_response[e]) ** model.hill[i]
            w = model.strength[e]
            odds *= (1 + w * x) / (1 + x)
            if model.regulation.name == "hill_sum":
                total += w * x / (1 + x) if w > 0 else -w / (1 + x)
            else:
                total += w * levels[i]
        out[gene] = {
            "thermodynamic": odds / (1 + odds),
            "hill_sum": total,
            "logistic": 1 / (1 + math.exp(-total)) if total > -700 else 0.0,
            "linear": max(0.0, total),
        }[model.regulation.name]
    return out


def activity_of(model: CellModel, levels: Array) -> Array:
    return model.regulation.activity(model.basal, model.strength, model.edges, levels)


@njit
def every_activity(circuit, level, power, out):
    for gene in range(out.shape[0]):
        activity(gene, circuit, level, power, out[gene])


def compiled(model: CellModel, levels: Array, dtype: type[np.floating]) -> NDArray[np.floating]:
    """Return activities (G, L) of levels (I, L) from the kernel."""
    circuit = model.circuit(dtype)
    level = levels.astype(dtype)
    power = (levels ** model.hill[:, None]).astype(dtype)
    out = np.empty((model.network.n_genes, level.shape[1]), dtype)
    every_activity(circuit, level, power, out)
    return out


@given(models(), st.integers(0, 1000))
def test_activity_is_the_documented_formula(model: CellModel, seed: int) -> None:
    levels = levels_of(model, seed)
    np.testing.assert_allclose(activity_of(model, levels), by_hand(model, levels), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
@settings(max_examples=25)
@given(models(), st.integers(0, 1000))
def test_kernel_and_twin_agree(dtype: type[np.floating], tolerance: float, model: CellModel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = np.exp(1.5 * rng.standard_normal((model.hill.size, 5)))
    levels[:, 0], levels[:, 1] = 0.0, 1.0  # all inputs gone; all as in the wild type
    expected = np.stack([activity_of(model, levels[:, lane]) for lane in range(5)], axis=1)
    # sums of strengths cancel in single precision, so that the error is that of the largest term
    size = np.abs(model.basal) + model.edges.sum(np.abs(model.strength)) * max(1.0, levels.max())
    scale = np.ones_like(size) if model.regulation.name in ("thermodynamic", "hill_sum") else size
    error = np.abs(compiled(model, levels, dtype) - expected) / np.maximum(expected, scale[:, None])
    assert error.max() <= tolerance


def test_kernel_knows_the_same_functions() -> None:
    assert set(ACTIVITY_CODES) == set(REGULATIONS)
    assert len(set(ACTIVITY_CODES.values())) == len(ACTIVITY_CODES)
    assert {name: regulation.code for name, regulation in REGULATIONS.items()} == ACTIVITY_CODES


@given(models(), st.integers(0, 1000))
def test_slope_is_the_derivative_by_the_logarithm_of_the_level(model: CellModel, seed: int) -> None:
    levels, h = levels_of(model, seed, widest=0.7), 1e-6
    slope = model.regulation.slope(model.basal, model.strength, model.edges, levels)
    at = activity_of(model, levels)
    for source in range(levels.size):
        up, down = levels.copy(), levels.copy()
        up[source] *= math.exp(h)
        down[source] *= math.exp(-h)
        measured = (activity_of(model, up) - activity_of(model, down)) / (2 * h)
        own = model.edges.source == source
        expected = np.zeros_like(measured)
        expected[model.edges.target[own]] = slope[own]  # an input has at most one edge to a gene
        kink = (model.regulation.name == "linear") & (at < 1e-4)
        np.testing.assert_allclose(np.where(kink, expected, measured), expected, rtol=1e-6, atol=2e-8)


@given(models(), st.integers(0, 1000))
def test_bounds_and_signs(model: CellModel, seed: int) -> None:
    levels = levels_of(model, seed)
    active = activity_of(model, levels)
    assert (active >= 0).all()
    if model.regulation.name != "linear":
        assert (active <= 1 + 1e-12).all()
    if model.regulation.name == "hill_sum":
        assert (active > 0).all()
    slope = model.regulation.slope(model.basal, model.strength, model.edges, levels)
    effect = np.sign(slope) * np.sign(np.log(model.strength) if model.regulation.name == "thermodynamic" else 1)
    expected = np.sign(model.strength)
    assert ((slope == 0) | (effect == expected)).all()


@pytest.mark.parametrize("name", NAMES)
def test_activator_raises_and_repressor_lowers(name: str) -> None:
    model = make_model(make_network([(0, 2, 1), (1, 2, -1)]), regulation=name)
    wild = activity_of(model, np.ones(2))[2]
    assert activity_of(model, np.array([1.5, 1.0]))[2] > wild > activity_of(model, np.array([1.0, 1.5]))[2]
    assert activity_of(model, np.array([0.5, 1.0]))[2] < wild < activity_of(model, np.array([1.0, 0.5]))[2]


@pytest.mark.parametrize("sign", [1, -1])
def test_half_response_is_where_half_of_the_edge_acts(sign: int) -> None:
    network = make_network([(0, 1, sign)])
    hill_sum = make_model(network, regulation="hill_sum", half_response=0.37, hill=3.3)
    none, half, full = (activity_of(hill_sum, np.array([q]))[1] for q in (0.0, 0.37, 1e9))
    assert half == pytest.approx((none + full) / 2, rel=1e-12)
    assert abs(full - none) == pytest.approx(abs(hill_sum.strength[0]), rel=1e-12)
    bound = make_model(network, half_response=0.37, hill=3.3)
    none, half, full = (p / (1 - p) for p in (activity_of(bound, np.array([q]))[1] for q in (0.0, 0.37, 1e9)))
    assert half == pytest.approx((none + full) / 2, rel=1e-12)
    assert full / none == pytest.approx(4.0**sign, rel=1e-12)  # the fold, at saturation


def test_fold_of_logistic_and_linear_regulation() -> None:
    network = make_network([(0, 1, 1)])
    logistic = make_model(network, regulation="logistic", fold=5.0)
    with_it, without = (p / (1 - p) for p in (activity_of(logistic, np.array([q]))[1] for q in (1.0, 0.0)))
    assert with_it / without == pytest.approx(5.0, rel=1e-12)
    linear = make_model(network, regulation="linear", fold=5.0, hill=2.0)
    bound = make_model(network, fold=5.0, hill=2.0, activity=1e-6)
    elasticity = [
        m.regulation.slope(m.basal, m.strength, m.edges, np.ones(1))[0] / m.activity[1] for m in (linear, bound)
    ]
    # the linear one is the thermodynamic one's tangent at w x = 1/x: close, not equal, at half-response
    assert elasticity[0] == pytest.approx(2.0 * 4.0 / (2 * 6.0), rel=1e-12)
    assert elasticity[1] == pytest.approx(elasticity[0], rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_edges_of_fold_one_do_nothing(name: str) -> None:
    model = make_model(make_network([(0, 1, 1), (1, 0, -1)]), regulation=name, fold=1.0)
    for levels in ([0.0, 0.0], [30.0, 0.1]):
        np.testing.assert_allclose(activity_of(model, np.array(levels)), model.activity, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sign", [1, -1, 0])
def test_a_hub_target_of_many_regulators_is_calibrated_in_both_precisions(
    name: str, sign: int, dtype: type[np.floating]
) -> None:
    """The product over 200 edges must neither overflow nor underflow, or the gene falls silent without a word."""
    n = 200
    signs = np.where(np.arange(n) % 2, 1, -1) if sign == 0 else np.full(n, sign)
    model = make_model(make_network([(r, n, int(signs[r])) for r in range(n)]), regulation=name, fold=6.0)
    found = compiled(model, np.ones((n, 1)), dtype)[:, 0]
    np.testing.assert_allclose(found, model.activity, rtol=1e-3)
    # all of them gone, or all of them high, is far from the wild type, but no reason to lose the gene
    for level in (0.0, 0.5, 30.0):
        found = compiled(model, np.full((n, 1), level), dtype)[n, 0]
        expected = activity_of(model, np.full(n, level))[n]
        assert found == pytest.approx(expected, rel=5e-3, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_activity_stays_finite_at_absurd_levels_in_single_precision(name: str) -> None:
    model = make_model(
        make_network([(0, 3, 1), (1, 3, 1), (2, 3, -1)]), regulation=name, fold=1000.0, hill=10.0, half_response=0.2
    )
    levels = np.array([[0.0, 1e-6, 1.0, 1e3, 5e3], [0.0, 1.0, 1e-6, 1e3, 0.0], [0.0, 1e-6, 1e3, 5e3, 0.0]])
    with np.errstate(over="ignore", invalid="ignore"):
        found = compiled(model, levels, np.float32)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
