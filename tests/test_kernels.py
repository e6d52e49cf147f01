"""Compiled kernels, number by number: the generator's known answers, elementary functions, counts, solver, one step."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers_core import make_model, make_network, models, solve, without_noise
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import ndtri

from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.engines import Langevin
from simcell.kernels import ode
from simcell.kernels.counts import draw_captured, draw_molecules
from simcell.kernels.elementary import tabulate
from simcell.kernels.streams import fill_uniforms, philox_block

LOG, EXP, SURVIVAL, NORMAL = range(4)
KEY = np.array([17, 4], np.uint32)


def table(function: int, x: NDArray[np.generic]) -> NDArray[np.float32]:
    out = np.empty(x.size, np.float32)
    tabulate(function, x, out)
    return out


def units_in_last_place(found: NDArray[np.float32], exact: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(found.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_answers(counter: str, key: str, answer: str) -> None:
    """Source: the file kat_vectors of Random123 1.09, lines philox4x32 10."""
    numbers = [np.array([int(word, 16) for word in text.split()], np.uint32) for text in (counter, key, answer)]
    assert philox_block(numbers[0], numbers[1]).tolist() == numbers[2].tolist()


def test_uniforms_lie_inside_the_unit_interval_and_belong_to_their_cell() -> None:
    cells = np.array([0, 1, 2**31, 2**32, 2**40 + 1], np.int64)
    out = np.empty((5, 2000))
    fill_uniforms(out, KEY, cells, 3)
    assert ((out > 0.0) & (out < 1.0)).all()
    assert np.unique(out).size == out.size
    alone = np.empty((1, 2000))
    fill_uniforms(alone, KEY, cells[3:4], 3)
    np.testing.assert_array_equal(alone[0], out[3])
    for key, gene in ((KEY, 4), (KEY + np.uint32(1), 3)):
        other = np.empty((5, 2000))
        fill_uniforms(other, key, cells, gene)
        assert not np.intersect1d(other, out).size


def test_logarithm() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [np.exp(rng.uniform(-85, 88, 20_000)), 1 + rng.uniform(-0.3, 0.5, 20_000), 2.0 ** np.arange(-120, 127)]
    )
    x = x.astype(np.float32)
    exact = np.log(x.astype(np.float64))
    found = table(LOG, x)
    assert np.abs(found - exact).max() < 1e-5
    far = np.abs(exact) > 1e-3
    assert units_in_last_place(found[far], exact[far]).max() < 3
    assert table(LOG, np.ones(1, np.float32))[0] == 0.0


def test_exponential() -> None:
    x = np.concatenate([np.linspace(-86.9, 87.9, 40_001), np.linspace(-1e-3, 1e-3, 1001)]).astype(np.float32)
    assert units_in_last_place(table(EXP, x), np.exp(x.astype(np.float64))).max() < 3
    ends = table(EXP, np.array([-np.inf, -1e30, -88.0, 89.0, 1e30, np.inf, 0.0], np.float32))
    assert np.isfinite(ends).all()
    assert (ends > 0).all()
    assert ends[-1] == 1.0


def test_normal_quantile_and_survival_belong_together() -> None:
    rng = np.random.default_rng(1)
    bits = rng.integers(-(2**31), 2**31, 200_000).astype(np.int32)
    edge = np.array([0, -1, 2**31 - 1, -(2**31), 1, -2, 2**30, -(2**30)], np.int32)
    bits = np.concatenate([bits, edge])
    normal, survival = table(NORMAL, bits).astype(np.float64), table(SURVIVAL, bits).astype(np.float64)
    assert np.isfinite(normal).all()
    assert ((survival > 0) & (survival < 1)).all()
    # as documented: the tail of the other 31 bits, sign from the top bit
    tail = ((bits & np.int32(0x7FFFFFFF)).astype(np.float64) + 0.5) * 2.0**-32
    exact = np.where(bits < 0, ndtri(tail), -ndtri(tail))
    near = np.abs(exact) < 5
    assert np.abs(normal - exact)[near].max() < 4e-6
    assert np.abs(normal - exact).max() < 4e-3
    np.testing.assert_allclose(survival, np.where(bits < 0, 1 - tail, tail), rtol=2e-7, atol=1e-9)
    order = np.argsort(normal, kind="stable")
    assert (np.diff(survival[order]) <= 1e-6).all()


@pytest.mark.parametrize("mean", [0.0, 1e-12, 0.5, 9.999, 10.0, 1e3, 1e5, 1e8])
def test_molecules_are_whole_and_near_their_mean(mean: float) -> None:
    n = 400
    out = np.empty((n, 3), np.int32)
    draw_molecules(np.full((n, 3), mean, np.float32), KEY, np.arange(n), out)
    assert (out >= 0).all()
    assert abs(out.mean() - mean) <= 6.5 * np.sqrt(mean / out.size) + 1e-6
    again = np.empty((2, 3), np.int32)
    draw_molecules(np.full((2, 3), mean, np.float32), KEY, np.array([n - 1, 7]), again)
    np.testing.assert_array_equal(again, out[[n - 1, 7]])


@pytest.mark.parametrize("mean", [-1.0, -1e-30, np.nan, np.inf, 2.0**31, 1e30])
def test_what_is_no_number_of_molecules_is_counted_and_never_wraps(mean: float) -> None:
    out = np.empty((2, 2), np.int32)
    intensity = np.array([[3.0, mean], [mean, 20.0]], np.float32)
    assert draw_molecules(intensity, KEY, np.arange(2), out) == 2
    assert out[0, 1] == out[1, 0] == -1
    assert (out[[0, 1], [0, 1]] >= 0).all()


@settings(max_examples=40)
@given(st.integers(0, 2**31 - 1), st.floats(0, 1), st.integers(0, 1000))
def test_captured_never_exceeds_what_was_there(trials: int, chance: float, cell: int) -> None:
    out = np.empty((1, 2), np.int32)
    molecules = np.array([[trials, trials // 1000]], np.int32)
    draw_captured(molecules, np.ones(1), np.full((1, 2), chance), np.zeros(1, np.int64), KEY, np.array([cell]), out)
    assert ((out >= 0) & (out <= molecules)).all()
    spread = np.sqrt(molecules * chance * (1 - chance))
    assert (np.abs(out - molecules * chance) <= 12 * spread + 40).all()


def test_capture_at_the_ends() -> None:
    molecules = np.array([[0, 5, 10_000, 3]], np.int32)
    out = np.empty((1, 4), np.int32)
    zero, cell = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for size_factor, expected in ((1e9, molecules), (0.0, np.zeros((1, 4)))):
        draw_captured(molecules, np.array([size_factor]), np.ones((1, 4)), zero, KEY, cell, out)
        np.testing.assert_array_equal(out, expected)


def test_the_tableau_satisfies_the_order_conditions() -> None:
    a, c = np.zeros((7, 7)), ode.NODES
    a[:, :6] = ode.STAGES
    fifth = a[6]
    fourth = fifth - ode.ERROR
    np.testing.assert_allclose(a.sum(axis=1), c, atol=1e-15)
    for weights, order in ((fifth, 5), (fourth, 4)):
        for power in range(order):
            assert weights @ c**power == pytest.approx(1 / (power + 1), abs=1e-14)
        assert weights @ a @ c == pytest.approx(1 / 6, abs=1e-14)
        assert weights @ a @ c**2 == pytest.approx(1 / 12, abs=1e-14)
        assert weights @ a @ a @ c == pytest.approx(1 / 24, abs=1e-14)
    assert abs(fourth @ c**4 - 1 / 5) > 1e-4


@settings(max_examples=20)
@given(models(layers=True), st.integers(0, 1000))
def test_the_solver_against_another_one(model: CellModel, seed: int) -> None:
    """The equations written again in numpy, solved by scipy, for a cell with a guide that sets in."""
    n, regulators = model.network.n_genes, model.network.regulators
    last = n + regulators.size
    gene = seed % n
    factor, translation, start, constant = 0.1 + (seed % 7) / 3, 0.3, 2.0, 5.0
    medium = {name: 0.8 for name in model.signals}
    spliced = model.splicing_half_life is not None

    def slope(time: float, state: NDArray[np.float64]) -> NDArray[np.float64]:
        ramp = 1 - np.exp(-(time - start) / constant) if time > start else 0.0
        levels = np.concatenate([np.maximum(state[n:last], 0), model.signal_levels(medium)])
        begun = model.max_rate * model.regulation.activity(model.basal, model.strength, model.edges, levels)
        begun[gene] *= 1 + (factor - 1) * ramp
        made = state[regulators] / model.mean[regulators]
        made[regulators == gene] *= 1 + (translation - 1) * ramp
        matured = model.splicing_rate * state[last:] if spliced else begun
        unspliced = begun - (model.splicing_rate + model.growth) * state[last:] if spliced else []
        mrna, protein = matured - model.decay * state[:n], model.protein_decay * (made - state[n:last])
        return np.concatenate([mrna, protein, unspliced])

    wild = np.concatenate([model.mean, np.ones(regulators.size), model.unspliced_mean if spliced else []])
    middle = solve_ivp(slope, (0, start), wild, rtol=1e-9, atol=1e-10).y[:, -1]
    expected = solve_ivp(slope, (start, 40), middle, rtol=1e-9, atol=1e-10).y[:, -1]
    effects = CellEffects.of(gene, factor, translation=translation, start=start, constant=constant)
    found = solve(model, effects, hours=40.0, medium=medium, tolerance=1e-9)
    np.testing.assert_allclose(found.intensity[:, 0], expected[:n], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.level[: regulators.size, 0], expected[n:last], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.unspliced[:, 0], expected[last:], rtol=1e-5, atol=1e-6)


def test_tolerance_is_kept() -> None:
    model = make_model(make_network([(0, 1, 1), (1, 2, -1), (2, 0, 1)]))
    effects = CellEffects.of(0, 0.1)
    exact = solve(model, effects, hours=50.0, tolerance=1e-13).intensity
    errors = [
        np.abs(solve(model, effects, hours=50.0, tolerance=t).intensity - exact).max() for t in (1e-4, 1e-7, 1e-10)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 1e-4
    assert errors[2] < 1e-7


@settings(max_examples=25)
@given(models(layers=True))
def test_without_noise_the_stochastic_kernel_is_the_deterministic_one(model: CellModel) -> None:
    effects = CellEffects.of(0, 0.2, translation=0.5, start=1.0, constant=4.0)
    model = without_noise(model)
    quiet, cells = Langevin(model, step_hours=0.05), np.zeros(1, np.int64)
    state = quiet.start(cells, key=KEY, expected=True)
    assert state.size[0] == 1.0 or model.size_sigma > 0.0
    signals = model.signal_levels(None)
    quiet.advance(state, effects, signals=signals, time=0.0, hours=20.0, key=KEY, cells=cells)
    seen, expectation, exact = quiet.observe(state), quiet.expectation(state), solve(model, effects, hours=20.0)
    size = state.size[0].astype(np.float64)  # amounts are proportional to it, concentrations are not
    near = {"rtol": 5e-3, "atol": 1e-3}
    np.testing.assert_allclose(state.level, exact.level, **near)
    np.testing.assert_allclose(seen.intensity[0] / model.mean, size * exact.intensity[:, 0] / model.mean, **near)
    np.testing.assert_allclose(expectation[0] / model.mean, seen.intensity[0] / model.mean, rtol=1e-3, atol=1e-4)
    protein = size * exact.level[: model.network.n_regulators, 0]
    np.testing.assert_allclose(seen.protein[0] / model.protein_mean, protein, **near)
    assert (seen.unspliced_intensity is None) == (model.splicing_half_life is None)
    if seen.unspliced_intensity is not None:
        mean = model.unspliced_mean
        np.testing.assert_allclose(seen.unspliced_intensity[0] / mean, size * exact.unspliced[:, 0] / mean, **near)


@pytest.mark.parametrize("splicing_half_life", [None, 0.5])
@pytest.mark.parametrize("n_genes", [2, 3, 4, 5, 9])
def test_every_gene_has_its_own_noise_whatever_their_number(n_genes: int, splicing_half_life: float | None) -> None:
    """Bits are drawn for four genes at a time: neither the last, incomplete four nor the others may share any."""
    network = make_network([(0, 0, 1)], genes=n_genes)
    alike = make_model(network, fold=1.0, splicing_half_life=splicing_half_life)
    engine = Langevin(alike, step_hours=1.0)
    cells = np.arange(300, dtype=np.int64)
    state = engine.start(cells, key=KEY)
    engine.advance(state, CellEffects.none(300), signals=np.empty(0), time=0.0, hours=1.0, key=KEY, cells=cells)
    pools = state.pools
    gene = np.arange(len(pools)) % n_genes  # a gene's unspliced transcripts go with its mRNA, as they should
    correlation = np.where(gene == gene[:, None], 0.0, np.corrcoef(pools))
    assert np.abs(correlation).max() < 6.5 / np.sqrt(300)
    before = pools[:n_genes].copy()
    engine.advance(state, CellEffects.none(300), signals=np.empty(0), time=1.0, hours=1.0, key=KEY, cells=cells)
    fresh = state.pools[:n_genes] - np.exp(-alike.decay[0]) * before  # a second step has other noise than the first
    assert abs(np.corrcoef(fresh[0], before[0])[0, 1]) < 0.4


def test_a_kernel_is_compiled_once() -> None:
    """Another layout or type of an argument is another compilation, which costs every new user seconds."""
    code = """
import tempfile, sys
from helpers_core import make_spec
from simcell import simulate
from simcell.kernels import counts, langevin, ode, streams
layers = {"splicing_half_life": {"median": 0.2, "sigma": 0.1}, "size_sigma": 0.2}
for engine in ("langevin", "ode"):
    for cell in ({}, layers):
        simulate(make_spec(engine={"name": engine}, cell=cell), tempfile.mkdtemp() + "/x.zarr", progress=False)
kernels = {
    f"{module.__name__}.{name}": thing.signatures
    for module in (counts, langevin, ode, streams)
    for name, thing in vars(module).items()
    if hasattr(thing, "signatures") and not thing.targetoptions.get("forceinline")
}
assert sum(map(len, kernels.values())) >= 4, kernels
print({name: signatures for name, signatures in kernels.items() if len(signatures) > 1})
"""
    path = [*sys.path, str(__file__).rsplit("/", 1)[0]]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{}"
