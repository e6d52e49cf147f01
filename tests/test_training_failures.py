"""What goes wrong in training, by name: divergence, nothing to train, options out of range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers_training import Breaking, Linear, Toy, built, labels, trained  # noqa: E402

from fitters.errors import FitterError, FitterOptionError  # noqa: E402
from fitters.training.batches import RowLabels  # noqa: E402
from fitters.training.options import check_losses  # noqa: E402


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"term_at": 4}, r"training diverged: term sparsity is nan at epoch 5 \(training; last finite: 0\.\d+ at"),
        ({"held_out_at": 4}, r"training diverged: term sparsity is nan at epoch 5 \(held out; last finite: 0\.\d+ at"),
        ({"term_at": 0}, r"training diverged: term sparsity is nan at epoch 1 \(training; it never was finite\); try"),
        ({"parameter_at": 4}, r"training diverged: parameter map\.bias is not finite after epoch 5 "
         r"\(last finite terms: response \d\S+, sparsity 0\.\d+\); try a lower"),
    ],
)  # fmt: skip
def test_divergence_is_named(how: dict[str, int], message: str) -> None:
    with pytest.raises(FitterError, match=f"^fitter toy: {message}"):
        trained(
            Breaking(**how),
            losses={"sparsity": 0.1},
            batch_size=1000,
            rows=labels(n_held=3 if "held" in str(how) else 0),
        )


class Descending(Linear):
    """Learns by plain gradient descent, which a high learning rate blows up by a like factor at every step."""

    def make_optimiser(self, learning_rate: float) -> Any:
        return torch.optim.SGD(self.parameters(), lr=learning_rate)


def test_a_learning_rate_that_is_too_high_ends_by_name_long_before_numbers_overflow() -> None:
    said = r"term response is \S+e\+\d\d? at epoch \d+ \(training; last below \S+: \S+ at epoch \d+\); try a lower"
    with pytest.raises(FitterError, match=said):
        trained(Descending(), learning_rate=3.0, gradient_clip=None, epochs=60, patience=60)


def test_without_the_limit_what_has_exploded_would_be_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fitters.training.loop.EXPLOSION", float("inf"))
    history, _ = trained(Descending(), learning_rate=3.0, gradient_clip=None, epochs=3, patience=60)
    assert history.training[-1, 0] > 1e6 * history.training[0, 0]


ONE_STEP = {"epochs": 1, "batch_size": 1000, "learning_rate": 1e6, "gradient_clip": None}


@pytest.mark.parametrize(("n_held", "where"), [(0, "after its last step"), (3, "held out")])
def test_the_only_step_of_a_training_is_held_to_the_value_before_it(n_held: int, where: str) -> None:
    said = rf"term response is \S+e\+\d\d at epoch 1 \({where}; last below \S+: \S+ before the first step\)"
    with pytest.raises(FitterError, match=said):
        trained(Descending(), rows=labels(n_held=n_held), **ONE_STEP)


def test_a_term_that_is_only_recorded_may_take_any_size() -> None:
    class Watched(Linear):
        def terms(self, rows: Any, moment: Any) -> dict[str, Any]:
            found = super().terms(rows, moment)
            return found | {"sparsity": 1e9**moment.epoch * found["sparsity"]}

    history, _ = trained(Watched(), losses={"sparsity": 0}, epochs=3)
    assert history.training[-1, 1] > 1e12
    with pytest.raises(FitterError, match=r"term sparsity is .* at epoch 2"):
        trained(Watched(), losses={"sparsity": 1e-3}, epochs=3)


def test_a_resumed_training_is_held_to_the_value_before_its_first_step(tmp_path: Path) -> None:
    path = str(tmp_path / "toy.pt")
    whole = {"checkpoint": path, "checkpoint_every": 1, "batch_size": 1000, "rows": labels(n_held=0)}
    slowly = {"learning_rate": 30.0, "gradient_clip": None, "epochs": 12}
    with pytest.raises(FitterError, match="training diverged") as first:
        trained(Descending(), **whole, **slowly)
    with pytest.raises(FitterError, match="training diverged") as again:
        trained(Descending(), **whole, **slowly)
    assert str(again.value) == str(first.value)


def test_what_cannot_be_trained_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = built()
    for value in frozen.parameters():
        value.requires_grad_(False)
    with pytest.raises(FitterError, match=r"^fitter toy: the model has no parameter to train$"):
        trained(frozen)
    everything = RowLabels(*(array for array in (labels().condition, labels().batch)), held_out=np.ones(120, bool))
    with pytest.raises(FitterError, match=r"^fitter toy: no row is left to train on$"):
        trained(rows=everything)
    with pytest.raises(FitterError, match=r"^fitter toy: no term of the loss has a weight above 0$"):
        trained(losses={"response": 0})
    detached = built()
    detached.terms = lambda rows, moment: {"response": torch.tensor(1.0)}
    with pytest.raises(FitterError, match=r"^fitter toy: no term of the loss depends on a parameter of the model$"):
        trained(detached)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    allowed = "there: torch finds no CUDA device; auto or cpu"
    with pytest.raises(FitterOptionError, match=f"^fitter toy: option device: 'cuda' is not {allowed}$"):
        trained(device="cuda")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batching": "cells"}, "option batching: 'cells' is not one of random, perturbation, batch"),
        ({"schedule": "step"}, "option schedule: 'step' is not one of constant, cosine"),
        ({"optimiser": "sgd"}, "option optimiser: 'sgd' is not one of adam, lbfgs"),
        ({"device": "tpu"}, "option device: 'tpu' is not one of auto, cpu, cuda"),
        ({"epochs": 0}, "option epochs: 0 is not a whole number >= 1"),
        ({"gradient_clip": 0}, "option gradient_clip: 0 is not null or a number > 0"),
        ({"held_out": 1}, "option held_out: 1 is not a number >= 0 and < 1"),
        ({"checkpoint": ""}, "option checkpoint: '' is not null or the path of a file"),
        ({"losses": {"response": -1}}, "option losses.response: -1 is not a weight >= 0"),
        ({"losses": {"response": 1e18}}, r"option losses.response: 1e\+18 is not a weight <= 1e\+12"),
        ({"losses": {"response": 10**400}}, r"option losses.response: 10\*\*400 is not a weight <= 1e\+12"),
        ({"learning_rate": None}, "option learning_rate: None is not a number > 0"),
        ({"losses": {"response": True}}, "option losses.response: True is not a weight >= 0"),
        ({"losses": {"respnse": 1}}, "option losses: 'respnse' is not a term of its loss .did you mean 'response'..; "
         "those are response, sparsity"),
        ({"losses": [1]}, r"option losses: \[1\] is not a mapping of response, sparsity to weights"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FitterOptionError, match=f"^fitter toy: {message}$"):
        Toy(**options)


def test_weights_are_those_named_or_on_by_default() -> None:
    assert Toy().weights == {"response": 1.0}
    assert Toy(losses={"sparsity": 0}).weights == {"response": 1.0, "sparsity": 0.0}
    assert Toy(losses={"response": 0, "sparsity": 2}).weights == {"response": 0.0, "sparsity": 2.0}
    check_losses("toy", {}, Toy.terms)
