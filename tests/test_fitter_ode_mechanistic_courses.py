"""`ode-mechanistic` in its own world, from noise-free time courses: network, signs, and half-lives in hours."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_mechanistic import MeanField, average_precision, course_world, sign_accuracy

from fitters.contract import Query
from fitters.mechanistic.mechanistic_fit import MechanisticFit
from fitters.mechanistic.mechanistic_module import MechanisticField
from fitters.mechanistic.regulation_relative import REGULATIONS
from fitters.registry import load

HOURS = (6.0, 12.0, 20.0, 32.0, 48.0)


def fitted(world: MeanField, regulation: str, **options: object) -> MechanisticFit:
    given = {"epochs": 3, "first_epochs": 3, "step_hours": 4.0, "doubling_time": None} | options
    found = load("ode-mechanistic", regulation=regulation, **given).fit(world.data, seed=0)
    assert isinstance(found, MechanisticFit)
    return found


def half_life_error(fit: MechanisticFit, world: MeanField) -> float:
    told = fit.kinetics().quantities["half_life"]
    moved = np.isin(np.arange(world.model.mean.size), world.model.network.target)
    assert told.identified[moved].mean() > 0.5
    assert not told.identified[~moved].any()  # what never moves has no half-life that could be told
    return float(np.median(np.abs(told.value / world.model.half_life - 1.0)[told.identified]))


@pytest.mark.parametrize("regulation", REGULATIONS)
def test_network_and_half_lives_are_recovered_from_time_courses(regulation: str) -> None:
    world = course_world(regulation, seed=1, hours=HOURS)
    fit = fitted(world, regulation)
    assert fit.form.course  # several times: chosen by the data
    network = fit.network()
    assert network is not None
    assert average_precision(network, world) >= 0.95
    assert sign_accuracy(network, world) >= 0.98
    assert half_life_error(fit, world) <= 0.05
    label = world.data.perturbations[0]
    early, late = (fit.predict(Query(((label,),), time=hour, arm="strong")).profile[0] for hour in (6.0, 26.0))
    assert np.abs(early - late).max() > 0.1  # an hour between two that were measured is answered too


@pytest.mark.parametrize("regulation", REGULATIONS)
def test_an_onset_that_is_left_out_is_found_out(regulation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug: knock-downs are established at once, so that transcripts seem to last too long."""
    world = course_world(regulation, seed=1, hours=HOURS)
    monkeypatch.setattr(MechanisticField, "onset", lambda self, hour, since: self.since.new_ones(len(since)))
    assert half_life_error(fitted(world, regulation, epochs=2, first_epochs=2), world) > 0.05
