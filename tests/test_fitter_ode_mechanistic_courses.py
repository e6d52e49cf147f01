"""`ode-mechanistic` in its own world, from noise-free time courses: network, signs, effects, rates, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_mechanistic import MeanField, average_precision, course_world, elasticity_error, sign_accuracy

from fitters.contract import Query
from fitters.mechanistic.mechanistic_fit import MechanisticFit
from fitters.mechanistic.mechanistic_module import MechanisticField
from fitters.mechanistic.regulation_relative import REGULATIONS
from fitters.registry import load

HOURS = (6.0, 12.0, 20.0, 32.0, 48.0)
AT_ONCE = 0.005  # hours: half-life of the world's proteins where the model has none; 0.05 would delay effects by 1%
TOLD = {"linear": "basal/activity", "hill_sum": "basal/activity", "logistic": "activity", "thermodynamic": "activity"}


def fitted(world: MeanField, regulation: str, **options: object) -> MechanisticFit:
    given = {"first_epochs": 3, "step_hours": 4.0, "doubling_time": None} | options
    found = load("ode-mechanistic", regulation=regulation, **given).fit(world.data, seed=0)
    assert isinstance(found, MechanisticFit)
    return found


def errors(fit: MechanisticFit, world: MeanField, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return |estimate / truth - 1| of what is told of regulated genes, and whether intervals hold the truth."""
    model = world.model
    truth = {"half_life": model.half_life, "activity": model.activity, "basal/activity": model.basal / model.activity}
    estimate = fit.kinetics().quantities[name]
    regulated = np.isin(np.arange(model.mean.size), model.network.target)
    assert estimate.identified[regulated].mean() > 0.5
    if name == "half_life":
        assert not estimate.identified[~regulated].any()  # what never moves has no half-life that could be told
    known = estimate.identified & regulated
    held = (estimate.lower <= truth[name]) & (truth[name] <= estimate.upper)
    return np.abs(estimate.value / truth[name] - 1.0)[known], held[known]


@pytest.mark.parametrize("regulation", REGULATIONS)
def test_network_effects_and_rates_are_recovered_from_time_courses(regulation: str) -> None:
    world = course_world(regulation, seed=1, hours=HOURS, protein_half_life=AT_ONCE)
    fit = fitted(world, regulation)
    assert fit.form.course  # several times: chosen by the data
    network = fit.network()
    assert network is not None
    assert average_precision(network, world) >= 0.95
    assert sign_accuracy(network, world) >= 0.98
    assert elasticity_error(network, world) <= 0.05
    for name in ("half_life", TOLD[regulation]):
        error, held = errors(fit, world, name)
        assert np.median(error) <= 0.05
        assert held.mean() >= 0.85
    assert errors(fit, world, "half_life")[0].max() <= 0.05
    label = world.data.perturbations[0]
    early, late = (fit.predict(Query(((label,),), time=hour, arm="strong")).profile[0] for hour in (6.0, 26.0))
    assert np.abs(early - late).max() > 0.1  # an hour between two that were measured is answered too


@pytest.mark.parametrize("regulation", REGULATIONS)
def test_an_onset_that_is_left_out_is_found_out(regulation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug: knock-downs are established at once, so that transcripts seem to last too long."""
    world = course_world(regulation, seed=1, hours=HOURS, protein_half_life=AT_ONCE)
    monkeypatch.setattr(MechanisticField, "onset", lambda self, hour, since: self.since.new_ones(len(since)))
    fit = fitted(world, regulation, epochs=2, first_epochs=2)
    assert np.median(errors(fit, world, "half_life")[0]) > 0.05
