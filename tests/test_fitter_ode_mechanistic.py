"""`ode-mechanistic`: its regulation functions, gradients at rest, terms and refusals are what they are said to be."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers_mechanistic import steady_world

from fitters.contract import Query
from fitters.errors import FitterError, FitterOptionError, RefusedQueryError
from fitters.experiment import Experiment, Step
from fitters.mechanistic.mechanistic_media import Media
from fitters.mechanistic.mechanistic_module import MechanisticField
from fitters.mechanistic.mechanistic_parameters import STRONGEST, Form
from fitters.mechanistic.mechanistic_rows import trajectories
from fitters.mechanistic.mechanistic_screening import layout_of
from fitters.mechanistic.regulation_relative import REGULATIONS, relative_rate
from fitters.registry import load
from fitters.training.objective import Moment

START = Moment(0, 0.0)


def field_of(regulation: str, **options: Any) -> MechanisticField:
    """Return a field with weights drawn at random, of a small world."""
    data = steady_world(regulation, seed=3, arms=("strong",)).data
    rows = trajectories(data, fitter="ode-mechanistic", last_only=True)
    form = Form(
        regulation=regulation,
        course=False,
        protein=False,
        calibrated=True,
        residual_units=0,
        step_hours=3.0,
        solver="rk4",
        settled_after=96.0,
    )
    form = dataclasses.replace(form, **options)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        terms = frozenset(load("ode-mechanistic").terms)  # type: ignore[attr-defined]
        field = MechanisticField(layout_of(rows, regulation=regulation, slots=12), rows, form, wanted=terms)
        with torch.no_grad():
            field.weight_scaled += 0.4 * torch.randn_like(field.weight_scaled) / field.unit.clamp(min=0.1)
            if field.residual_out is not None:
                field.residual_out += 0.1 * torch.randn_like(field.residual_out)
    return field


@pytest.mark.parametrize("regulation", REGULATIONS)
def test_production_at_control_is_exactly_one_and_rates_are_the_simulators(regulation: str) -> None:
    from simcell.regulation import REGULATIONS as SIMULATED

    world = steady_world(regulation, seed=3, arms=("strong",))
    model = world.model
    gene = int(model.edges.target[0])
    mine = np.flatnonzero(model.edges.target == gene)
    levels = model.reference_levels * np.linspace(0.3, 1.7, model.reference_levels.size)
    truth = SIMULATED[regulation].activity(model.basal, model.strength, model.edges, levels)[gene]
    strength = model.strength[mine] / (model.activity[gene] if regulation in ("hill_sum", "linear") else 1.0)
    weight = np.log(model.strength[mine]) if regulation == "thermodynamic" else strength
    shape: dict[str, Any] = {
        "weight": torch.tensor(weight)[None],
        "affinity": torch.tensor(np.log(model.edges.affinity[mine]))[None],
        "hill": torch.tensor(model.hill[model.edges.source[mine]])[None],
        "activity": torch.tensor(model.activity[[gene]]),
    }
    ones = torch.ones(1, mine.size, dtype=torch.float64)
    at = torch.tensor(levels[model.edges.source[mine]])[None]
    assert float(relative_rate(regulation, ones, ones, **shape)[0]) == 1.0
    assert float(relative_rate(regulation, at, ones, **shape)[0]) == pytest.approx(
        truth / model.activity[gene], rel=1e-12
    )


@pytest.mark.parametrize("regulation", REGULATIONS)
@pytest.mark.parametrize("residual_units", [0, 3])
def test_gradients_at_rest_are_those_of_the_unrolled_iteration_and_of_finite_differences(
    regulation: str, residual_units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = field_of(regulation, residual_units=residual_units)
    rows = torch.arange(6)
    weight = field.weight_scaled

    def implicit() -> torch.Tensor:
        return (field.states(rows)[:, 0] ** 2).sum()

    def unrolled() -> torch.Tensor:
        network, everything = field.network_of(field.regulators), field.network_of()
        strength = field.strengths(rows)
        x = strength[:, field.regulators]
        for _ in range(400):
            x = 0.5 * (x + strength[:, field.regulators] * field.production(x, network))
        return ((strength * field.production(x, everything)) ** 2).sum()

    (ours,) = torch.autograd.grad(implicit(), weight)
    (theirs,) = torch.autograd.grad(unrolled(), weight)
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7 * float(theirs.abs().max()))
    with torch.no_grad():
        at = tuple(int(place) for place in np.unravel_index(int(theirs.abs().argmax()), theirs.shape))
        weight[at] += 1e-5
        up = implicit()
        weight[at] -= 2e-5
        slope = float((up - implicit()) / 2e-5)
        weight[at] += 1e-5
    assert float(ours[at]) == pytest.approx(slope, rel=1e-4)

    # the bug: inputs are taken for constants, as without the linear solve
    monkeypatch.setattr(
        MechanisticField, "_slopes", lambda self, x, n: torch.zeros(len(x), *([x.shape[1]] * 2)).double()
    )
    (wrong,) = torch.autograd.grad(implicit(), weight)
    assert not torch.allclose(wrong, theirs, rtol=1e-2, atol=1e-3 * float(theirs.abs().max()))


def test_the_steady_state_term_of_controls_is_zero_on_calibrated_fields_and_not_on_others() -> None:
    calibrated = field_of("thermodynamic")
    rows = torch.arange(len(calibrated.level))
    assert bool(calibrated.is_control.any())
    assert float(calibrated.terms(rows, START)["steady_state_controls"].detach()) == 0.0
    free = field_of("thermodynamic", calibrated=False)
    with torch.no_grad():
        assert free.log_gain is not None
        free.log_gain += 0.1
    assert float(free.terms(rows, START)["steady_state_controls"].detach()) > 1.0


def test_weights_within_the_smooth_part_become_exactly_zero() -> None:
    field = field_of("linear")
    with torch.no_grad():
        field.weight_scaled[0, 0] = 0.1 * field.standard
        field.after_step(1.0)
    assert float(field.weight_scaled.detach()[0, 0]) == 0.0
    assert float(field.weight_scaled.detach().abs().max()) > 0.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"regulation": "cubic"}, "option regulation: 'cubic' is not one of thermodynamic"),
        ({"fit_to": "both"}, "option fit_to: 'both' is not one of auto"),
        ({"residual_units": -1}, "option residual_units: -1 is not a whole number >= 0"),
        ({"slots": 0}, "option slots: 0 is not a whole number >= 1"),
        ({"protein": 1}, "option protein: 1 is not true or false"),
        ({"step_hours": 0}, "option step_hours: 0 is not a number > 0"),
        ({"losses": {"sparsity": -1}}, "option losses.sparsity: -1 is not a weight >= 0"),
        ({"losses": {"adversary": 1}}, "option losses: 'adversary' is not a term of its loss"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(FitterOptionError, match=said.replace("(", r"\(")):
        load("ode-mechanistic", **options)


def test_each_optimiser_has_a_learning_rate_with_which_it_learns() -> None:
    data = steady_world("linear", seed=3, arms=("strong",)).data
    assert (load("ode-mechanistic").rate, load("ode-mechanistic", optimiser="adam").rate) == (1.0, 0.01)
    assert load("ode-mechanistic", optimiser="adam", learning_rate=0.5).rate == 0.5
    options = {"regulation": "linear", "optimiser": "adam", "refit": False}
    history = load("ode-mechanistic", **options).fit(data, seed=0).history
    assert history.training[-1, 0] < history.earlier[0].training[0, 0]
    with pytest.raises(FitterError, match=r"term response is \S+ at epoch \d+ \(.*try a lower learning_rate"):
        load("ode-mechanistic", learning_rate=1e6, **options).fit(data, seed=0)


def test_settled_cells_that_the_data_lack_are_named_with_the_hours_that_there_are() -> None:
    data = steady_world("linear", seed=3, arms=("strong",)).data
    options = {"settled_after": 1000.0, "losses": {"steady_state_settled": 1.0}, "fit_to": "steady-state"}
    with pytest.raises(FitterError, match=r"settled_after = 1000 h or longer; the data have 400 h"):
        load("ode-mechanistic", **options).fit(data, seed=0)
    controls = data.take(np.flatnonzero(data.perturbation == "control"))
    with pytest.raises(FitterError, match="no perturbation"):
        load("ode-mechanistic").fit(controls, seed=0)


def test_steady_states_answer_no_other_time_and_nothing_changes_without_targets() -> None:
    data = steady_world("linear", seed=3, arms=("strong",)).data
    every = {name: 0.5 for name in ("steady_state_controls", "steady_state_settled", "contrast_matched")}
    fit = load("ode-mechanistic", regulation="linear", epochs=1, first_epochs=1, losses=every).fit(data, seed=0)
    assert {*every, "response", "sparsity", "shape"} == set(fit.history.terms)
    assert np.allclose(fit.predict(Query(((),))).profile[0], data.control, atol=1e-12)
    known = data.perturbations[0].split("+")[0]
    with pytest.raises(RefusedQueryError, match="fitted to steady states"):
        fit.predict(Query(((known,),), time=3.0))


def test_a_prediction_takes_a_knock_down_no_further_than_the_field_does() -> None:
    data = steady_world("linear", seed=3, arms=("strong",)).data
    fit = load("ode-mechanistic", regulation="linear", epochs=1, first_epochs=1).fit(data, seed=0)
    target = data.perturbations[0].split("+")[0]
    for log_strength in (-2.0, -10.0 * STRONGEST):
        state = {**fit.state, "log_strength": np.full_like(fit.state["log_strength"], log_strength)}
        changed = dataclasses.replace(fit, state=state)
        with torch.no_grad():
            of_field = changed.field.strengths(torch.arange(len(changed.rows.label))).numpy().min()
        assert changed._strength("strong", target) == pytest.approx(of_field, rel=1e-12)


def test_a_checkpoint_of_something_else_is_refused_before_the_first_stage(tmp_path: Path) -> None:
    world = steady_world("linear", seed=3, arms=("strong",))
    (tmp_path / "fit.pt").write_text("no checkpoint")
    fitter: Any = load("ode-mechanistic", regulation="linear", checkpoint=str(tmp_path / "fit.pt"))
    with pytest.raises(
        FitterError, match=r"^fitter ode-mechanistic: option checkpoint: '.*fit\.pt' is not a checkpoint"
    ):
        fitter.fit(world.data, seed=0)
    assert [file.name for file in tmp_path.iterdir()] == ["fit.pt"]  # no file of an earlier stage


def test_a_checkpoint_is_of_its_notes(tmp_path: Path) -> None:
    data = steady_world("linear", seed=3, arms=("strong",)).data
    options = {"regulation": "linear", "epochs": 1, "first_epochs": 1, "checkpoint": str(tmp_path / "fit.pt")}
    load("ode-mechanistic", **options).fit(data, seed=0)
    (noted,) = data.experiments.values()
    later = dataclasses.replace(noted, steps=(Step("culture", data.medium[0], 10.0), *noted.steps))
    with pytest.raises(FitterError, match="is of other data, options or seed"):
        load("ode-mechanistic", **options).fit(dataclasses.replace(data, experiments={"strong": later}), seed=0)


def test_media_become_signals_and_those_without_notes_are_told_by_name() -> None:
    noted = {"arm0": Experiment((), {"base": {"insulin": 1.0}, "fed": {"insulin": 3.0, "salt": 0.0}})}
    media = Media.of(noted, ("base", "fed"), reference="base")
    assert media.names == ("insulin",) and media.levels("fed") == (3.0,)
    plain = Media.of({}, ("base", "fed"), reference="base")
    assert plain.names == ("medium fed",) and plain.levels("fed") == (1.0,) and plain.levels("base") == (0.0,)
