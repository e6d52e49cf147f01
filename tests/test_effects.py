"""Perturbations: what they do to a cell, what they leave alone, how they compose, and the effects they cause."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from helpers_core import fingerprint, make_model, make_network, models, networks, solve
from hypothesis import given, settings
from hypothesis import strategies as st

from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.errors import SpecError
from simcell.network import Network
from simcell.regulation import REGULATIONS
from simcell.run import run_cells
from simcell.truth import direct_effects, total_effects

CHAIN = [(0, 1, 1), (1, 2, 1), (0, 3, -1), (4, 5, 1)]  # A -> B -> C, A -| D, E -> F
NAMES = sorted(REGULATIONS)


def same(one: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether two recordings are equal in all bits."""
    return all(one[name].values.tobytes() == other[name].values.tobytes() for name in ("intensity", "mrna", "protein"))


def record(model: CellModel, guides: CellEffects | None = None, **changes: object) -> xr.Dataset:
    arguments = {"times": [0.0, 10.0, 40.0], "n_cells": 5, "burn_in_hours": 10.0, "seed": 3} | changes
    return run_cells(model, guides=guides, **arguments)  # type: ignore[arg-type]


def shift(effects: CellEffects) -> CellEffects:
    """Return the same cells, their guides listed the other way round."""
    return CellEffects(
        *(column[:, ::-1].copy() for column in (getattr(effects, name) for name in effects.__dataclass_fields__))
    )


@pytest.mark.parametrize("engine", ["langevin", "ode"])
@settings(max_examples=10)
@given(model=models(layers=True))
def test_a_guide_against_nothing_changes_no_bit(engine: str, model: CellModel) -> None:
    control = record(model, engine=engine, n_cells=2)
    for gene, transcription, start in ((-1, 0.0, 0.0), (0, 1.0, 0.0), (0, 0.0, 40.0), (0, 0.0, 1e6)):
        guide = CellEffects.of(gene, transcription, n_cells=2, start=start)
        assert same(record(model, guide, engine=engine, n_cells=2), control)


@pytest.mark.parametrize("engine", ["langevin", "ode"])
def test_two_guides_compose_in_any_order(engine: str) -> None:
    model = make_model(make_network(CHAIN))
    for genes in ([0, 1], [1, 2], [4, 0], [-1, 3]):
        both = CellEffects.of(genes, [0.2, 0.5], n_cells=5, translation=[0.5, 1.0], start=[3.0, 0.0])
        assert same(record(model, both, engine=engine), record(model, shift(both), engine=engine))
    twice = CellEffects.of([0, 0], [0.5, 0.4], n_cells=5)
    once = CellEffects.of(0, 0.2, n_cells=5)
    found, expected = (record(model, guides, engine=engine).intensity for guides in (twice, once))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_nothing_happens_before_the_start() -> None:
    model = make_model(make_network(CHAIN))
    control = record(model)
    for engine in ("langevin", "ode"):
        late = record(model, CellEffects.of(0, 0.0, n_cells=5, start=10.0), engine=engine)
        wild = control if engine == "langevin" else record(model, engine=engine)
        assert same(late.isel(time=slice(0, 2)), wild.isel(time=slice(0, 2)))
        assert not same(late.isel(time=2), wild.isel(time=2))


@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_onset_is_nothing_then_exponential(constant: float) -> None:
    """A gene without regulators has dy/dt = decay (mean m(t) - y): a closed form where m(t) = 1 - e (1 - e^-s)."""
    model = make_model(make_network(CHAIN), half_life=3.0, doubling_time=None)
    d, hours, start, m = model.decay[0], 20.0, 4.0, 0.25
    found = solve(model, CellEffects.of(0, m, start=start, constant=constant), hours=hours).intensity[0, 0]
    s = hours - start
    k = math.inf if constant == 0 else 1 / constant
    ramp = 1 - math.exp(-d * s) - (0 if constant == 0 else d / (d - k) * (math.exp(-k * s) - math.exp(-d * s)))
    assert found == pytest.approx(model.mean[0] * (1 + (m - 1) * ramp), rel=1e-7)


def test_translation_acts_on_protein_and_not_on_the_own_mrna() -> None:
    model = make_model(make_network(CHAIN))
    state = solve(model, CellEffects.of(0, 1.0, translation=0.25), hours=2000.0)
    mrna, level = state.intensity[:, 0], state.level[:, 0]
    assert mrna[0] == pytest.approx(model.mean[0], rel=1e-9)
    assert level[0] == pytest.approx(0.25, rel=1e-8)
    assert mrna[1] < 0.9 * model.mean[1]
    # of a gene without a protein in the model, it does nothing at all
    guide = CellEffects.of(2, 1.0, translation=0.0, n_cells=5)
    assert same(record(model, guide), record(model))


@pytest.mark.parametrize("name", NAMES)
def test_removing_a_regulator_moves_its_targets_the_right_way(name: str) -> None:
    model = make_model(make_network(CHAIN), regulation=name, fold=3.0)
    gone = solve(model, CellEffects.of(0, 0.0), hours=3000.0).intensity[:, 0] / model.mean
    assert gone[0] == pytest.approx(0.0, abs=1e-9)
    assert gone[1] < 0.95
    assert gone[2] < 1.0
    assert gone[3] > 1.05
    np.testing.assert_allclose(gone[4:], 1.0, rtol=1e-9)
    more = solve(model, CellEffects.of(0, 2.0), hours=3000.0).intensity[:, 0] / model.mean
    assert more[0] == pytest.approx(2.0, rel=1e-7)
    assert more[1] > 1.0
    assert more[3] < 1.0


@pytest.mark.parametrize("name", ["thermodynamic", "hill_sum", "logistic"])
def test_a_target_whose_only_regulator_is_gone_keeps_its_basal_rate(name: str) -> None:
    model = make_model(make_network(CHAIN), regulation=name, fold=4.0)
    gone = solve(model, CellEffects.of(0, 0.0), hours=5000.0).intensity[1, 0]
    basal = model.regulation.activity(model.basal, model.strength, model.edges, np.zeros(model.hill.size))[1]
    assert basal > 0.0
    assert gone == pytest.approx(model.ceiling[1] * basal, rel=1e-6)
    expected = {"thermodynamic": model.basal[1] / (1 + model.basal[1]), "hill_sum": model.basal[1]}
    assert basal == pytest.approx(expected.get(name, 1 / (1 + math.exp(-model.basal[1]))), rel=1e-12)


@pytest.mark.parametrize("engine", ["langevin", "ode"])
@pytest.mark.parametrize("name", NAMES)
def test_simulation_leaves_model_and_effects_as_they_were(name: str, engine: str) -> None:
    model = make_model(make_network([*CHAIN, (1, 1, -1)]), regulation=name)
    effects = CellEffects.of([0, 1], [0.0, 3.0], translation=[0.0, 1.0], n_cells=5, start=1.0, constant=2.0)
    before = fingerprint(model, model.edges, model.network, effects)
    record(model, effects, engine=engine)
    assert fingerprint(model, model.edges, model.network, effects) == before


def test_a_knock_out_never_recalibrates() -> None:
    """Half-responses stay over the wild type's level: after a knock-out and a rescue, the wild type comes back."""
    model = make_model(make_network([*CHAIN, (2, 0, -1)]))
    out = solve(model, CellEffects.of(0, 0.0, translation=0.0), hours=3000.0)
    level = out.level[:, 0]
    active = model.regulation.activity(model.basal, model.strength, model.edges, level)
    expected = model.ceiling * active
    expected[0] = 0.0
    np.testing.assert_allclose(out.intensity[:, 0], expected, rtol=1e-7, atol=1e-8)
    rescued = solve(model, CellEffects.of([0, 0], [0.5, 2.0], n_cells=1), hours=3000.0)
    np.testing.assert_allclose(rescued.intensity[:, 0], model.mean, rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12)
@given(data=st.data())
def test_total_effects_are_the_derivative_of_the_steady_state(name: str, data: st.DataObject) -> None:
    model = data.draw(models(regulation=name))
    total, h = total_effects(model), 1e-4
    hours = 45.0 / model.slowest_rate
    for r, gene in enumerate(model.network.regulators):
        up, down = (solve(model, CellEffects.of(gene, math.exp(s)), hours=hours).intensity[:, 0] for s in (h, -h))
        measured = (np.log(up) - np.log(down)) / (2 * h)
        np.testing.assert_allclose(total[r], measured, rtol=1e-3, atol=1e-5)


@given(models())
def test_direct_effects_are_the_derivative_of_the_activity(model: CellModel) -> None:
    direct, h = direct_effects(model), 1e-6
    for r in range(model.network.n_regulators):
        logs = []
        for s in (h, -h):
            levels = model.reference_levels
            levels[r] *= math.exp(s)
            logs.append(np.log(model.regulation.activity(model.basal, model.strength, model.edges, levels)))
        np.testing.assert_allclose(direct[r], (logs[0] - logs[1]) / (2 * h), rtol=1e-5, atol=1e-8)
    assert np.array_equal(direct != 0, _adjacency(model) != 0) or (model.strength == 0).any()


def _adjacency(model: CellModel) -> np.ndarray:
    out = np.zeros((model.network.n_regulators, model.network.n_genes))
    row = np.searchsorted(model.network.regulators, model.network.regulator)
    out[row, model.network.target] = model.network.sign
    return out


@given(models(acyclic=True, signals=False))
def test_total_effects_without_cycles_are_sums_of_products_along_paths(model: CellModel) -> None:
    network, direct = model.network, direct_effects(model)
    row = {int(gene): r for r, gene in enumerate(network.regulators)}

    def along(start: int, end: int) -> float:
        if start == end:
            return 1.0
        if start not in row:
            return 0.0
        targets = network.target[network.regulator == start]
        return sum(direct[row[start], target] * along(int(target), end) for target in targets)

    expected = [[along(int(start), end) for end in range(network.n_genes)] for start in network.regulators]
    np.testing.assert_allclose(total_effects(model), expected, rtol=1e-9, atol=1e-12)


@given(networks())
def test_no_total_effect_where_there_is_no_path(network: Network) -> None:
    total = total_effects(make_model(network, fold=2.0))
    for r, gene in enumerate(network.regulators):
        reached = network.descendants(int(gene))
        reached[gene] = True
        assert (total[r][~reached] == 0.0).all()


def test_autoregulation_scales_the_own_effect() -> None:
    for sign in (-1, 1):
        model = make_model(make_network([(0, 0, sign)], genes=2), fold=2.0)
        elasticity = direct_effects(model)[0, 0]
        assert np.sign(elasticity) == sign
        assert total_effects(model)[0, 0] == pytest.approx(1 / (1 - elasticity), rel=1e-12)


def test_entries_are_sorted_and_name_genes_and_regulators() -> None:
    network = make_network([(1, 0, 1), (3, 2, 1)], genes=5)  # regulators B, D: rows 0 and 1 of translation
    effects = CellEffects(
        gene=np.array([[3, 1], [-1, 4], [1, -1]], np.int32),
        transcription=np.array([[0.3, 0.1], [9.0, 0.4], [0.5, 9.0]]),
        translation=np.array([[0.6, 1.0], [9.0, 0.7], [0.8, 9.0]]),
        start=np.zeros((3, 2)),
        constant=np.zeros((3, 2)),
    )
    transcription, translation = effects.entries(network)
    assert transcription.row.tolist() == [1, 1, 3, 4]
    assert transcription.lane.tolist() == [0, 2, 0, 1]
    assert transcription.multiplier.tolist() == [0.1, 0.5, 0.3, 0.4]
    assert list(zip(translation.row, translation.lane, translation.multiplier, strict=True)) == [
        (0, 2, 0.8),
        (1, 0, 0.6),
    ]


def test_distinct_rows_and_back() -> None:
    effects = CellEffects.of(0, 0.5, n_cells=6)
    effects.gene[[1, 4]] = 2
    effects.start[4] = 3.0
    distinct, which = effects.distinct()
    assert distinct.n_cells == 3
    for name in effects.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(distinct, name)[which], getattr(effects, name))
    alone, which = CellEffects.none(4).distinct()
    assert alone.n_cells == 1
    assert which.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("engine", ["langevin", "ode"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gene", 6),
        ("gene", -2),
        ("transcription", -0.5),
        ("transcription", math.nan),
        ("transcription", math.inf),
        ("translation", -1.0),
        ("start", math.nan),
        ("constant", -1.0),
    ],
)
def test_wrong_effects_are_refused(field: str, value: float, engine: str) -> None:
    model = make_model(make_network(CHAIN))
    with pytest.raises(SpecError, match=rf"guides\.{field}: {value} is not"):
        record(model, CellEffects.of(**{"gene": 0, "transcription": 0.5, field: value}, n_cells=5), engine=engine)
