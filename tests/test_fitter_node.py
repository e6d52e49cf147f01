"""`node`: the flow of its field, the steady states in its loss, and what it learns of times, pairs and unseen genes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from helpers_arms import two_arms
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from fitters import losses
from fitters.checks import CheckedFit, checked_fit
from fitters.contract import Query
from fitters.errors import FitterError, FitterOptionError, RefusedQueryError
from fitters.experiment import Experiment, Step
from fitters.mechanistic.node import RESPONSES, Node, NodeFit
from fitters.mechanistic.state_pools import StatePools
from fitters.mechanistic.states import HOURS_UNKNOWN, Contexts
from fitters.training.cells import CellTable
from fitters.training_data import TrainingData
from simcell.profiles import log_profile

torch = pytest.importorskip("torch")
pytest.importorskip("torchdiffeq")

FloatArray = NDArray[np.float64]
GENES = tuple(f"G{number:02}" for number in range(24))
SMALL: dict[str, Any] = {
    "epochs": 80,
    "learning_rate": 1e-2,
    "held_out": 0.0,
    "dimensions": 6,
    "embedding": 12,
    "hidden": 32,
    "losses": {"weight_decay": 0.03},
}
STEPS = (
    Step("transduce"),
    *(step for hours in (12.0, 24.0, 60.0) for step in (Step("culture", "base", hours), Step("sample"))),
)


@cache
def relaxing(cells: int = 40) -> tuple[TrainingData, dict[tuple[str, float], FloatArray]]:
    """Return cells at 12, 36 and 96 h whose log levels relax to ``sum_g e_g (1 - exp(-t / 30 h))``, and the truth.

    The effect e of a gene on the others is linear in two hidden numbers of the gene, which also decide how much it
    answers to others: its pattern of expression tells them. Twelve genes are perturbed alone, and five pairs of them.
    """
    rng = np.random.default_rng(3)
    angle = rng.permutation(24) * 2 * np.pi / 24
    place = np.column_stack([np.cos(angle), np.sin(angle)])
    effect = 0.6 * place @ np.array([[0.8, -0.6], [0.6, 0.8]]) @ place.T
    base = rng.lognormal(3.0, 0.7, 24)
    singles = GENES[:12]
    pairs = ("G00+G03", "G01+G04", "G02+G05", "G00+G04", "G06+G07")
    counts, labels, times, truth = [], [], [], {}
    for time in (12.0, 36.0, 48.0, 96.0):
        for label in ("control", *singles, "G20", "G21", *pairs, "G01+G03"):
            targets = [GENES.index(gene) for gene in label.split("+")] if label != "control" else []
            change = effect[targets].sum(axis=0) * (1 - np.exp(-time / 30.0))
            change[targets] = np.log(0.2) * (1 - np.exp(-time / 8.0))
            level = base * np.exp(change)
            truth[label, time] = log_profile(level)
            if time == 48.0 or label in ("G20", "G21", "G01+G03"):
                continue
            n = 3 * cells if label == "control" else cells
            counts.append(rng.poisson(4000.0 * level / level.sum(), (n, 24)))
            labels += [label] * n
            times += [time] * n
    data = TrainingData.from_arrays(
        np.concatenate(counts),
        genes=GENES,
        perturbation=labels,
        time=times,
        medium=np.full(len(labels), "base"),
        experiments={"arm0": Experiment(STEPS, {"base": {}})},
    )
    return data, truth


@cache
def fitted() -> CheckedFit:
    return checked_fit(Node(**SMALL), relaxing()[0], seed=0)


def explained(fit: CheckedFit, labels: tuple[str, ...], time: float) -> float:
    """Return how much of the true change from control is predicted, of genes that are not targeted."""
    _, truth = relaxing()
    found = fit.predict(Query.of_labels(("control", *labels), time=time)).profile
    found = found[1:] - found[0]
    true = np.stack([truth[label, time] - truth["control", time] for label in labels])
    others = np.array([[gene not in label.split("+") for gene in GENES] for label in labels])
    return 1.0 - float(((found - true)[others] ** 2).sum() / (true[others] ** 2).sum())


def with_network(fit: NodeFit, scale: float) -> NodeFit:
    """Return the fit with all weights of its network scaled."""
    arrays = {name: value * scale if "network" in name else value for name, value in fit.arrays.items()}
    return replace(fit, arrays=arrays)


# what is learnt


def test_times_pairs_and_genes_never_seen_are_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    singles = ("G00", "G01", "G02", "G05")
    for time in (12.0, 48.0, 96.0):  # no cell was taken at 48 h
        assert explained(fitted(), singles, time) > 0.85
    assert explained(fitted(), ("G01+G03",), 96.0) > 0.85
    assert explained(fitted(), ("G20", "G21"), 96.0) > 0.85
    word = Contexts.word
    monkeypatch.setattr(  # a planted bug: all cells are taken to be of the last time
        Contexts, "word", lambda self, context: word(self, self.all[-1])
    )
    lost = checked_fit(Node(**SMALL), relaxing()[0], seed=0)
    assert explained(lost, singles, 12.0) < 0.5


def test_nothing_happens_to_controls_and_targets_are_where_they_were_measured() -> None:
    data, truth = relaxing()
    found = fitted().predict(Query.of_labels(["control", "G00", "G21"], time=36.0)).profile
    here = (data.time == 36.0) & (data.perturbation == "control")
    np.testing.assert_allclose(found[0], log_profile(data.counts[np.flatnonzero(here)].sum(axis=0)), rtol=1e-9)
    assert abs(found[1, 0] - truth["G00", 36.0][0]) < 0.15  # 500 counts: an error of 0.05
    assert abs(found[2, 21] - truth["G21", 36.0][21]) < 0.3  # as deep as the others
    before = fitted().predict(Query.of_labels(["control", "G00"], time=0.0)).profile
    np.testing.assert_array_equal(*before)


# the flow


def test_the_flow_is_that_of_the_field() -> None:
    """Against scipy's solver on the field as the fit shows it, with the medium and the onset."""
    fit = fitted().fit
    word = (Step("culture", "base", 10.0), Step("transduce"), Step("culture", "base", 50.0))
    start = np.asarray(fit.arrays["start_state"], np.float64)
    state = solve_ivp(lambda t, x: fit.field(x[None], medium="base")[0], (0.0, 10.0), start, rtol=1e-6).y[:, -1]
    np.testing.assert_allclose(fit.states(word[:1], [()])[0], state, atol=2e-3)
    state = solve_ivp(lambda t, x: fit.field(x[None], targets=("G03",), hours=t)[0], (0.0, 50.0), state, rtol=1e-6).y[
        :, -1
    ]
    np.testing.assert_allclose(fit.states(word, [("G03",)])[0], state, atol=5e-3)
    assert np.abs(state).max() > 0.3


def test_steps_of_either_solver_agree() -> None:
    word = (Step("transduce"), Step("culture", "base", 61.0))
    fit = fitted().fit
    options = [{"solver": "rk4", "step_hours": 2.0}, {"solver": "dopri5", "step_hours": 8.0}]
    fine, adaptive = (replace(fit, shape=replace(fit.shape, options=one)) for one in options)
    np.testing.assert_allclose(fine.states(word, [("G01",)]), adaptive.states(word, [("G01",)]), atol=1e-4)
    np.testing.assert_allclose(fit.states(word, [("G01",)]), adaptive.states(word, [("G01",)]), atol=5e-3)


def test_spectral_abscissa_of_a_field_that_only_relaxes() -> None:
    fit = with_network(fitted().fit, 0.0)
    rate = 0.25 / (1 + np.exp(-np.asarray(fit.arrays["rate"], np.float64)))
    assert fit.spectral_abscissa() == pytest.approx(-rate.min(), rel=1e-5)
    whole, step = fitted().fit, 1e-2
    moved = np.concatenate([step * np.eye(6), -step * np.eye(6)])
    field = whole.field(moved)
    jacobian = (field[:6] - field[6:]).T / (2 * step)
    assert whole.spectral_abscissa() == pytest.approx(np.linalg.eigvals(jacobian).real.max(), abs=2e-4)


# steady states


def test_the_steady_state_of_controls_is_what_its_name_says() -> None:
    """The mean squared field, per day, at control pools; exactly 0 for a field that rests there."""
    options = {**SMALL, "epochs": 1, "learning_rate": 1e-12, "losses": {"steady_state_controls": 0.0}}
    data = relaxing()[0]
    fit = checked_fit(Node(**options), data, seed=0)
    table = CellTable.of(data)
    pools = StatePools.of(table, Contexts.of(table, data.experiments), dimensions=6, cells_per_pool=32, fitter="node")
    here = pools.condition == table.conditions.index("control")
    expected = ((24.0 * fit.fit.field(pools.state[here])) ** 2).mean()
    terms = fit.history.terms
    assert fit.history.training[0, terms.index("steady_state_controls")] == pytest.approx(expected, rel=1e-4)
    resting = with_network(fit.fit, 0.0)
    np.testing.assert_array_equal(resting.field(np.zeros((1, 6))), 0.0)


def test_its_weight_slows_the_field_at_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    def speed(weight: float) -> float:
        terms = {"weight_decay": 0.03, "steady_state_controls": weight}
        options = {**SMALL, "epochs": 25, "learn_controls": False, "losses": terms}
        fit = checked_fit(Node(**options), relaxing()[0], seed=1).fit
        return float(np.abs(fit.field(np.zeros((1, 6)))).mean())

    off, on = speed(0.0), speed(3.0)
    assert on < 0.5 * off
    monkeypatch.setattr(losses, "steady_state", lambda field: 0.0 * field.mean())  # a planted bug: the term is nothing
    assert speed(3.0) > 0.9 * off


def test_settled_cells_are_those_late_enough() -> None:
    terms = {"steady_state_settled": 1.0}
    options = {**SMALL, "epochs": 2, "losses": terms}
    late = checked_fit(Node(**options, settled_after=96.0), relaxing()[0], seed=0).history
    every = checked_fit(Node(**options, settled_after=0.0), relaxing()[0], seed=0).history
    column = late.terms.index("steady_state_settled")
    assert late.training[0, column] > 0 and every.training[0, column] > 0
    assert late.training[0, column] != every.training[0, column]
    message = r"^fitter node: option settled_after: 97 h is later than .*: theirs are 12, 36, 96 h after transduction$"
    with pytest.raises(FitterError, match=message):
        checked_fit(Node(**options, settled_after=97.0), relaxing()[0], seed=0)


# options and data


@pytest.mark.parametrize("response", RESPONSES)
def test_every_form_of_response_is_learnt(response: str) -> None:
    terms = {"weight_decay": 0.03, "contrast_matched": 0.1, "contrast_pooled": 0.1}
    options = {**SMALL, "epochs": 12, "cells_per_pool": 5, "batch_size": 4096, "response": response, "losses": terms}
    history = checked_fit(Node(**options), relaxing()[0], seed=0).history
    assert history.training[-1, 0] < 0.9 * history.training[0, 0]
    assert (
        history.training[-1, history.terms.index("contrast_matched")]
        < history.training[0, history.terms.index("contrast_matched")]
    )


def test_genes_may_be_dimensions_and_times_unknown() -> None:
    data, _ = relaxing()
    chosen = data.take(np.flatnonzero(data.time == 96.0))
    plain = TrainingData.from_arrays(chosen.counts, genes=GENES, perturbation=chosen.perturbation)
    fit = checked_fit(Node(**{**SMALL, "dimensions": None, "epochs": 5}), plain, seed=0)
    assert fit.notes == (f"no times, no protocol: perturbed for {HOURS_UNKNOWN:g} h is taken for granted",)
    assert fit.fit.shape.dimensions == 24
    np.testing.assert_allclose(fit.predict(Query.of_labels(["control"])).profile[0], plain.control, rtol=1e-9)


def test_levels_of_signals_are_what_media_are() -> None:
    fit = checked_fit(Node(**{**SMALL, "epochs": 1}), two_arms().data, seed=0)
    assert fit.fit.shape.media == {"base": (0.0,), "stimulus": (1.0,)}
    with pytest.raises(RefusedQueryError, match=r"arm 'before'.*which it does not tell apart"):
        fit.predict(Query.of_labels(["R0"], arm="before"))


def test_controls_only_are_refused() -> None:
    data = TrainingData.from_arrays([[4, 1]], genes=("A", "B"), perturbation=["control"])
    with pytest.raises(FitterError, match=r"^fitter node: the training data have no perturbation"):
        checked_fit(Node(), data, seed=0)
    data, _ = relaxing()
    lacking = data.take(np.flatnonzero((data.time != 36.0) | (data.perturbation != "control")))
    with pytest.raises(FitterError, match=r"^fitter node: no controls at 36 h in medium 'base' of arm 'arm0'"):
        checked_fit(Node(), lacking, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 0}, "option dimensions: 0 is not a whole number >= 1"),
        ({"response": "nb"}, "option response: 'nb' is not one of mse, moments, mmd, sliced-wasserstein"),
        ({"solver": "euler"}, "option solver: 'euler' is not one of rk4, dopri5"),
        ({"step_hours": 0.0}, "option step_hours: 0.0 is not a number > 0"),
        ({"settled_after": -1.0}, "option settled_after: -1.0 is not a number >= 0"),
        ({"learn_controls": 1}, "option learn_controls: 1 is not true or false"),
        ({"losses": {"steady_state_controls": -1.0}}, "option losses.steady_state_controls: -1.0 is not a weight >= 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FitterOptionError, match=f"^fitter node: {message}"):
        Node(**options)
