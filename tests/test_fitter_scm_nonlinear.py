"""The nonlinear structural fitter: recovery of known equations, its pools, and what it does with poor data."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers_structural import KNOCKED_DOWN, average_precision, shuffled, structural_world

from fitters.base import FitterError, FitterOptionError, Query, RefusedQueryError, TrainingData, checked_fit
from fitters.contract import Assumption
from fitters.scm import scm_nonlinear
from fitters.scm.cycle_breaking import break_cycles
from fitters.scm.pools import Pools, make_pools
from fitters.scm.scm_nonlinear import ScmNonlinear
from fitters.scm.structural_fit import StructuralFit
from fitters.training.devices import one_thread
from simcell.profiles import log_profile

torch = pytest.importorskip("torch")

WORLD = structural_world(1)
QUICK: dict[str, Any] = {"epochs": 20, "resamples": 0}


def fit(data: TrainingData = WORLD.data, *, seed: int = 0, **options: Any) -> StructuralFit:
    return ScmNonlinear(**options).fit(data, seed=seed)


def rows_of_targets(found: StructuralFit) -> float:
    """Return the average precision over edges from perturbed genes, which interventions tell apart."""
    edges = found.network()
    assert edges is not None
    score, slope = np.zeros_like(WORLD.slope), np.zeros_like(WORLD.slope)
    score[WORLD.targets], slope[WORLD.targets] = edges.score[WORLD.targets], WORLD.slope[WORLD.targets]
    return average_precision(score, slope)[0]


def forget_interventions(data: TrainingData, **options: Any) -> Pools:
    """A planted bug: targets keep their equations in their own conditions."""
    pools = make_pools(data, **options)
    return replace(pools, held=np.zeros_like(pools.held))


@pytest.mark.parametrize("acyclic", [False, True])
def test_known_equations_are_recovered(acyclic: bool) -> None:
    found = fit(acyclic=acyclic)
    edges = found.network()
    assert edges is not None and edges.standard_error is not None and edges.effects
    precision, chance = average_precision(edges.score, WORLD.slope)
    assert chance < 0.12 and precision > 0.6
    assert rows_of_targets(found) > 0.9
    told = (WORLD.slope != 0) & (edges.score != 0)
    assert told.sum() > 10 and (np.sign(edges.score[told]) == np.sign(WORLD.slope[told])).all()
    assert (edges.standard_error[told] > 0).all()


def test_recovery_has_the_power_to_see_a_lost_intervention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scm_nonlinear, "make_pools", forget_interventions)
    assert rows_of_targets(fit(resamples=0)) < 0.8


def test_an_unseen_perturbation_is_predicted_by_its_equations() -> None:
    """A combination that no cell has is nearer to the truth than the control is."""
    names = [WORLD.data.genes[target] for target in WORLD.targets[:2]]
    found = checked_fit(ScmNonlinear(resamples=0), WORLD.data, seed=0)
    z = np.zeros(WORLD.data.n_genes)
    for gene in range(len(z)):
        z[gene] = KNOCKED_DOWN if gene in WORLD.targets[:2] else (np.tanh(1.5 * z) / 1.5) @ WORLD.slope[:, gene]
    truth = log_profile(found.fit.fraction * (1 + z))
    predicted = found.predict(Query.of_labels(["+".join(names)])).profile[0]
    error, none = np.abs(predicted - truth), np.abs(WORLD.data.control - truth)
    assert error.mean() < 0.3 * none.mean()


def test_a_graph_said_to_be_acyclic_is() -> None:
    found = fit(acyclic=True, penalty=0.1, **QUICK)
    assert not np.linalg.matrix_power(np.abs(found.derivative) > 0, len(found.genes)).any()
    assert Assumption.ACYCLIC in ScmNonlinear(acyclic=True).assumptions
    assert Assumption.ACYCLIC not in ScmNonlinear().assumptions


def test_cycles_lose_their_weakest_edge_and_nothing_else() -> None:
    strength = np.zeros((5, 5))
    strength[0, 1], strength[1, 2], strength[2, 0], strength[3, 4], strength[2, 3] = 3, 1, 2, 0.1, 0.2
    assert (break_cycles(strength) == (strength > 0) & (strength != 1)).all()


def test_history_has_every_term_at_every_epoch() -> None:
    history = fit(**QUICK).history
    assert history.terms == ("likelihood", "log_determinant", "sparsity")
    assert history.n_epochs == 20 and history.held_out is not None
    assert np.isfinite(history.training).all() and np.isfinite(history.held_out).all()
    assert history.training[-1, 0] < history.training[0, 0]


def test_it_stops_when_what_is_held_out_no_longer_gains() -> None:
    assert fit(epochs=400, patience=3, penalty=0.0, resamples=0, held_out=0.3).history.n_epochs < 400


def test_the_seed_decides_all_and_nothing_global_is_touched() -> None:
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, second = fit(**QUICK), fit(**QUICK)
    assert (first.derivative == second.derivative).all()
    assert not np.array_equal(first.derivative, fit(seed=1, **QUICK).derivative)
    assert (torch.get_rng_state() == state).all() and torch.get_num_threads() == threads
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert torch.get_num_threads() == threads


def test_order_of_cells_and_genes_is_of_no_account() -> None:
    """Pools and training are in the order of names, so that answers agree to the last bits."""
    other = shuffled(WORLD.data, 3)
    back = [other.genes.index(gene) for gene in WORLD.data.genes]
    first, second = fit(epochs=20), fit(other, epochs=20)
    one, two = first.network(), second.network()
    assert one is not None and two is not None and one.standard_error is not None and two.standard_error is not None
    np.testing.assert_allclose(two.score[np.ix_(back, back)], one.score, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(two.standard_error[np.ix_(back, back)], one.standard_error, rtol=1e-12, atol=1e-14)
    query = Query.of_labels([WORLD.data.genes[0], WORLD.data.perturbations[0], "control"])
    np.testing.assert_allclose(second.predict(query).profile[:, back], first.predict(query).profile, rtol=1e-10)


def test_pools_do_not_depend_on_order_and_know_their_noise() -> None:
    pools, other = (make_pools(data, cells_per_pool=40, seed=0) for data in (WORLD.data, shuffled(WORLD.data, 4)))
    assert pools.genes == other.genes == tuple(sorted(WORLD.data.genes)) and pools.key == other.key
    assert (pools.change == other.change).all() and (pools.variance == other.variance).all()
    assert pools.n_cells.sum() == WORLD.data.n_cells and len(set(pools.key)) == len(pools)
    control = np.array(pools.label) == "control"
    assert 0.85 < (pools.change[control] / np.sqrt(pools.variance[control])).std() < 1.15
    assert not np.array_equal(make_pools(WORLD.data, cells_per_pool=40, seed=1).change, pools.change)
    for label in set(pools.label):
        rows = np.array(pools.label) == label
        expected = pools.expected_change[rows]
        assert (expected == expected[0]).all()
        assert (np.abs(expected[0]) <= np.abs(pools.change[rows]).max(axis=0)).all()


def test_saved_and_reloaded_it_answers_the_same() -> None:
    found = fit(**QUICK)
    query = Query.of_labels(WORLD.data.perturbations)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict(query).profile, found.predict(query).profile)


def poor(counts: Any, labels: list[str], genes: list[str]) -> TrainingData:
    return TrainingData.from_arrays(np.asarray(counts), genes=genes, perturbation=labels)


def test_poor_data_are_survived() -> None:
    """One perturbation, of a gene that is not measured beside one never expressed; two cells of it; no single."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(20.0, (40, 3))
    counts[:, 2] = 0
    for label in ("A", "X", "A+B", "C"):
        data = poor(counts, ["control"] * 38 + [label] * 2, ["A", "B", "C"])
        found = checked_fit(ScmNonlinear(**QUICK), data, seed=0)
        edges = found.network()
        assert edges is not None and edges.identified is not None
        assert not edges.identified[2].any() and not edges.identified[:, 2].any() and not edges.score[2].any()
        prediction = found.predict(Query.of_labels([label, "control"])).profile
        np.testing.assert_array_equal(prediction[1], data.control)
        if label in ("X", "C"):
            np.testing.assert_array_equal(prediction[0], data.control)


def test_what_cannot_be_fitted_or_asked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = np.ones((4, 2), dtype=int)
    with pytest.raises(FitterError, match="the training data have no perturbation"):
        fit(poor(ones, ["control"] * 4, ["A", "B"]))
    with pytest.raises(FitterError, match="no gene has counts enough in the control cells"):
        fit(poor(ones, ["control", "A", "A", "A"], ["A", "B"]))
    with pytest.raises(RefusedQueryError, match="'TP53' is not a gene of the training data"):
        fit(**QUICK).predict(Query.of_labels(["TP53"]))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        FitterError, match=r"needs the package torch, which is not installed: pip install 'simcell\[fit\]'"
    ):
        fit()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_units": 0}, "option hidden_units: 0 is not a whole number >= 1"),
        ({"cells_per_pool": 2.5}, "option cells_per_pool: 2.5 is not a whole number >= 1"),
        ({"penalty": -1}, "option penalty: -1 is not a number >= 0"),
        ({"unperturbed_penalty": "no"}, "option unperturbed_penalty: 'no' is not a number >= 0"),
        ({"learning_rate": 0}, "option learning_rate: 0 is not a number > 0"),
        ({"held_out": 1.0}, "option held_out: 1.0 is not a number >= 0 and < 1"),
        ({"hold_out": "cells"}, "option hold_out: 'cells' is not one of pools, perturbations"),
        ({"resamples": -1}, "option resamples: -1 is not a whole number >= 0"),
        ({"resamples": 1}, "option resamples: 1 is not 0 or a whole number >= 2"),
        ({"acyclic": "yes"}, "option acyclic: 'yes' is not true or false"),
    ],
)
def test_bad_options_are_refused_before_any_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FitterOptionError, match=f"^fitter scm-nonlinear: {message}$"):
        ScmNonlinear(**options)
