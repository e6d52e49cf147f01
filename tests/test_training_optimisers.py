"""Steps of the training loop: gradients are clipped, rates follow their schedule, and models may bring their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers_training import Linear, built, labels, parameters_of, recording, trained  # noqa: E402

from fitters.training.devices import seeded  # noqa: E402
from fitters.training.objective import Moment  # noqa: E402
from fitters.training.options import LEAST_RATE  # noqa: E402


class Steep(Linear):
    """Has a gradient of 1e6, and plain descent for an optimiser, whose step shows it."""

    def terms(self, rows: Any, moment: Moment) -> dict[str, Any]:
        return {"response": 1e6 * (self.map.weight.sum() + self.map.bias.sum())}

    def make_optimiser(self, learning_rate: float) -> Any:
        return torch.optim.SGD(self.parameters(), lr=learning_rate)


def moved_by(**options: Any) -> float:
    """Return how far one step of length-1 learning rate goes."""
    with seeded(0, 0):
        model = Steep()
    before = parameters_of(model)
    trained(model, epochs=1, batch_size=1000, learning_rate=1.0, **options)
    return float(sum(((value - before[name]) ** 2).sum() for name, value in parameters_of(model).items()) ** 0.5)


def test_gradients_are_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moved_by(gradient_clip=0.25) == pytest.approx(0.25, rel=1e-4)
    assert moved_by(gradient_clip=None) == pytest.approx(2e6, rel=1e-4)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: None)  # the planted bug
    assert moved_by(gradient_clip=0.25) > 1e6


def test_the_first_step_of_adam_is_as_long_as_its_rate() -> None:
    model = built()
    before = parameters_of(model)
    trained(model, epochs=1, batch_size=1000, learning_rate=0.125, rows=labels(n_held=0))
    for name, value in parameters_of(model).items():
        np.testing.assert_allclose((value - before[name]).abs(), 0.125, rtol=1e-4)


def test_a_cosine_takes_the_learning_rate_to_a_twentieth() -> None:
    _, model = trained(recording(), schedule="cosine", epochs=11, batch_size=1000, learning_rate=0.1, patience=99)
    rates = np.array(model.rates)
    assert rates.size == 11 and rates[0] == 0.1 and rates[-1] == pytest.approx(0.1 * LEAST_RATE)
    assert (np.diff(rates) < 0).all() and rates[5] == pytest.approx(0.1 * (1 + LEAST_RATE) / 2)
    _, model = trained(recording(), epochs=3, batch_size=1000, learning_rate=0.1)
    assert model.rates == [0.1, 0.1, 0.1]


def test_the_schedule_is_that_of_the_optimiser_too() -> None:
    """A step of plain descent down a constant slope is as long as the rate says, in every group."""

    class Sloping(Steep):
        def terms(self, rows: Any, moment: Moment) -> dict[str, Any]:
            return {"response": self.map.weight.sum()}

        def make_optimiser(self, learning_rate: float) -> Any:
            return torch.optim.SGD([{"params": [self.map.weight], "lr": 2 * learning_rate}], lr=learning_rate)

    with seeded(0, 0):
        model = Sloping()
    before = float(model.map.weight.detach()[0, 0])
    trained(model, schedule="cosine", epochs=3, batch_size=1000, learning_rate=0.1, gradient_clip=None, patience=9,
            rows=labels(n_held=0))  # fmt: skip
    assert before - float(model.map.weight.detach()[0, 0]) == pytest.approx(0.2 * (1 + 0.525 + 0.05), rel=1e-5)


def test_lbfgs_solves_a_quadratic_at_once_also_with_dropout() -> None:
    history, model = trained(optimiser="lbfgs", learning_rate=1.0, epochs=3)
    assert history.training[-1, 0] < 1e-8
    assert next(len(rows) for training, rows in model.seen if training) == labels().training.size
    # with dropout, the line search still has one function in each epoch: every step goes down
    model = built(dropout=0.3)
    values: list[float] = []
    original = model.terms

    def terms(rows: Any, moment: Moment) -> dict[str, Any]:
        found = original(rows, moment)
        values.append(float(found["response"].detach()))
        return found

    model.terms = terms
    trained(model, optimiser="lbfgs", learning_rate=1.0, epochs=1, rows=labels(n_held=0))
    assert len(values) > 3 and values[-1] == min(values) < values[0]


def test_lbfgs_ends_when_it_gains_less_than_the_model_asks_for() -> None:
    class Asking(Linear):
        least_gain = 1e-3

    with seeded(0, 0):
        model = Asking()
    history, _ = trained(model, optimiser="lbfgs", learning_rate=1.0, epochs=30, rows=labels(n_held=0))
    loss = history.training[:, 0]
    assert 3 <= history.n_epochs < 10 and loss[-2] - loss[-1] < 1e-3 < loss[0] - loss[1]
    # losses of mini-batches do not compare from epoch to epoch: Adam goes on
    with seeded(0, 0):
        model = Asking()
    assert trained(model, epochs=30, learning_rate=1e-6, rows=labels(n_held=0))[0].n_epochs == 30


def test_groups_of_parameters_are_the_models() -> None:
    class Half(Linear):
        def parameter_groups(self) -> list[dict[str, Any]]:
            return [{"params": [self.map.weight]}]

    with seeded(0, 0):
        model = Half()
    before = parameters_of(model)
    trained(model, epochs=2)
    after = parameters_of(model)
    assert torch.equal(before["map.bias"], after["map.bias"])
    assert not torch.equal(before["map.weight"], after["map.weight"])
