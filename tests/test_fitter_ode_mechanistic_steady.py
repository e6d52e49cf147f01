"""`ode-mechanistic` in its own world, from noise-free steady states: network, signs, effects and what can be told."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_mechanistic import average_precision, elasticity_error, sign_accuracy, steady_world

from fitters.mechanistic import ode_mechanistic
from fitters.mechanistic.mechanistic_fit import MechanisticFit
from fitters.registry import load

# Epochs of the last stage: half-responses and activities are the slowest to settle.
EPOCHS = {"linear": 4, "logistic": 6, "hill_sum": 8, "thermodynamic": 14}
TOLD = {"linear": "basal/activity", "hill_sum": "basal/activity", "logistic": "activity", "thermodynamic": "activity"}


def fitted(regulation: str, *, seed: int = 2, epochs: int | None = None) -> MechanisticFit:
    world = steady_world(regulation, seed=seed)
    most = EPOCHS[regulation] if epochs is None else epochs
    fitter = load("ode-mechanistic", regulation=regulation, epochs=most, first_epochs=4)
    found = fitter.fit(world.data, seed=0)
    assert isinstance(found, MechanisticFit)
    return found


@pytest.mark.parametrize("regulation", EPOCHS)
def test_network_and_production_over_decay_are_recovered_from_steady_states(regulation: str) -> None:
    """Activity (or the basal share) is production over its maximum: the combination that steady states show."""
    world = steady_world(regulation, seed=2)
    fit = fitted(regulation)
    network = fit.network()
    assert network is not None
    assert average_precision(network, world) >= 0.95
    assert sign_accuracy(network, world) >= 0.98
    assert elasticity_error(network, world) <= 0.05
    kinetics = fit.kinetics()
    assert not kinetics.quantities["half_life"].identified.any()  # a steady state says nothing of time
    told = kinetics.quantities[TOLD[regulation]]
    regulated = np.isin(np.arange(world.model.mean.size), world.model.network.target)
    assert told.identified[regulated].mean() > 0.5
    model = world.model
    truth = model.activity if TOLD[regulation] == "activity" else model.basal / model.activity
    error = np.abs(told.value / truth - 1.0)[told.identified & regulated]
    assert np.median(error) <= 0.05


@pytest.mark.parametrize("regulation", EPOCHS)
def test_a_knock_down_that_is_no_change_of_production_is_found_out(
    regulation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bug: knock-downs do not reach the production of their targets, so that nothing drives the network."""
    world = steady_world(regulation, seed=2)
    original = ode_mechanistic.OdeMechanistic.fit
    from fitters.mechanistic.mechanistic_module import MechanisticField

    monkeypatch.setattr(
        MechanisticField, "strengths", lambda self, rows: self.level.new_ones(len(rows), self.unit.shape[0])
    )
    network = original(load("ode-mechanistic", regulation=regulation, epochs=2, first_epochs=2), world.data, seed=0)
    scores = network.network()
    assert scores is not None
    assert average_precision(scores, world) < 0.95 or elasticity_error(scores, world) > 0.05


def test_the_wrong_sign_of_a_rate_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug: activators and repressors are mixed up in the function."""
    from fitters.mechanistic import mechanistic_parameters

    world = steady_world("logistic", seed=2)
    original = mechanistic_parameters.elasticity
    monkeypatch.setattr(mechanistic_parameters, "elasticity", lambda *given, **named: -original(*given, **named))
    network = fitted("logistic", epochs=2).network()
    assert network is not None
    assert sign_accuracy(network, world) < 0.98
