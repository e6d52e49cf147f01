"""The training loop: what is learnt from, when it stops, what each term does, and that nothing but the seed decides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers_training import Breaking, Linear, Recording, built, labels, parameters_of, recording, same, trained  # noqa: E402

from fitters.errors import FitterError  # noqa: E402
from fitters.training import loop  # noqa: E402
from fitters.training.devices import seeded  # noqa: E402
from fitters.training.objective import Moment  # noqa: E402


def test_it_learns_and_says_what_it_took() -> None:
    history, model = trained(epochs=60)
    assert history.terms == ("response",) and history.n_epochs == 60
    assert history.training[-1, 0] < 0.05 * history.training[0, 0]
    assert history.held_out is not None and history.held_out.shape == (60, 1)
    assert history.seconds > 0 and history.peak_memory > 2**20 and history.device == "cpu"
    assert not model.training  # dropout is off in what is kept


def test_rows_held_out_are_never_trained_on() -> None:
    _, model = trained(epochs=2)
    for training, rows in model.seen:
        assert labels().held_out[rows].any() != training and labels().held_out[rows].all() != training
    seen = [row for training, rows in model.seen[: len(model.seen) // 2] if training for row in rows]
    assert sorted(seen) == labels().training.tolist()


@pytest.mark.parametrize("batching", ["random", "perturbation", "batch"])
def test_what_is_held_out_comes_in_mini_batches_of_the_same_kind_and_the_same_at_every_epoch(batching: str) -> None:
    """A term that compares cells of one condition, or of one batch, can be computed there as well."""
    _, model = trained(epochs=3, batching=batching, batch_size=10)
    evaluated = [rows for training, rows in model.seen if not training]
    n_each = len(evaluated) // 3
    assert n_each > 1 and evaluated[:n_each] == evaluated[n_each : 2 * n_each] == evaluated[2 * n_each :]
    assert sorted(row for rows in evaluated[:n_each] for row in rows) == labels().stopping.tolist()
    code = {"random": np.zeros(120), "perturbation": labels().condition, "batch": labels().batch}[batching]
    assert all(np.unique(code[rows]).size == 1 for rows in evaluated)


def test_the_recorded_value_is_the_mean_over_rows() -> None:
    """With a learning rate of almost nothing, the value of an epoch is that of its rows together."""
    history, model = trained(epochs=1, batch_size=7, learning_rate=1e-12)
    for rows, found in ((labels().training, history.training), (labels().stopping, history.held_out)):
        expected = model.terms(torch.as_tensor(rows), Moment(0, 0.0))["response"]
        assert found is not None and found[0, 0] == pytest.approx(float(expected.detach()), rel=1e-5)


def stopped(**options: Any) -> tuple[Any, Recording]:
    """Train where what is held out follows another law, so that learning more does harm to it."""
    return trained(recording(drifting=True), **{"epochs": 200, "patience": 5, "batch_size": 120} | options)


def test_training_stops_and_the_best_epoch_is_restored() -> None:
    history, model = stopped()
    assert history.held_out is not None
    error = history.held_out[:, 0]
    assert 1 < history.best_epoch == error.argmin() + 1 < history.n_epochs == history.best_epoch + 5 < 200
    best = model.evaluated[history.best_epoch - 1]
    assert all(torch.equal(best[name], value) for name, value in parameters_of(model).items())


def test_keeping_the_last_epoch_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: what is kept as the best is no copy, so that it moves on with the model."""
    monkeypatch.setattr(loop, "copied", dict)
    history, model = stopped()
    best = model.evaluated[history.best_epoch - 1]
    assert not all(torch.equal(best[name], value) for name, value in parameters_of(model).items())


def test_without_rows_held_out_all_epochs_run_and_the_last_is_kept() -> None:
    history, _ = trained(rows=labels(n_held=0), epochs=30, patience=1)
    assert history.n_epochs == 30 and history.held_out is None and history.best_epoch == 0


@pytest.mark.parametrize(
    ("stopping", "losses", "expected"),
    [
        (None, {"sparsity": 0.5}, lambda response, sparsity: response),
        (None, {"response": 0, "sparsity": 0.5}, lambda response, sparsity: 0.5 * sparsity),
        (("response", "sparsity"), {"sparsity": 0.5}, lambda response, sparsity: response + 0.5 * sparsity),
        (("sparsity",), {"sparsity": 0}, lambda response, sparsity: response),  # of weight 0: does not count
        ({"sparsity": 3.0}, {"sparsity": 0}, lambda response, sparsity: 3.0 * sparsity),
        ({"contrast": 1.0}, {"sparsity": 0}, lambda response, sparsity: response),  # not there: does not count
    ],
)
def test_it_stops_by_the_terms_that_the_model_names(stopping: Any, losses: dict[str, float], expected: Any) -> None:
    model = built(drifting=True)
    if stopping is not None:
        model.stopping = stopping
    history, _ = trained(model, losses=losses, epochs=40, patience=40, batch_size=120)
    assert history.held_out is not None and history.terms == ("response", "sparsity")
    assert history.best_epoch == expected(*history.held_out.T).argmin() + 1


def test_a_term_of_weight_0_is_recorded_and_moves_nothing() -> None:
    without, plain = trained(built(dropout=0.2), epochs=15)
    with_it, recorded = trained(built(dropout=0.2), epochs=15, losses={"sparsity": 0})
    assert with_it.terms == ("response", "sparsity") and with_it.weight.tolist() == [1.0, 0.0]
    assert (with_it.training[:, :1] == without.training).all() and same(plain, recorded)
    assert (with_it.training[:, 1] > 0).all() and (np.diff(with_it.training[:, 1]) != 0).all()
    _, other = trained(built(dropout=0.2), epochs=15, losses={"sparsity": 1e-3})
    assert not same(plain, other)  # else the comparison would see nothing


def test_weights_weigh() -> None:
    """Of inputs of variance 1, weights shrink by a sixth of the price of their mean size, each being a third of it."""
    for weight in (0.0, 1.5, 3.0):
        _, model = trained(epochs=60, losses={"sparsity": weight}, rows=labels(n_held=0))
        np.testing.assert_allclose(model.map.weight.detach()[0], 1.0 - weight / 6.0, atol=0.15)


class Warming(Linear):
    """Asks for sparsity from the third epoch on only, then half of it."""

    def weight_now(self, term: str, moment: Moment) -> float:
        return 1.0 if term == "response" else 0.5 * (moment.epoch >= 2)


def test_a_weight_may_change_over_time_and_the_term_is_recorded_as_it_is() -> None:
    with seeded(0, 0):
        model = Warming()
    warming, _ = trained(model, epochs=4, losses={"sparsity": 3.0})
    plain, _ = trained(built(), epochs=4)
    half, _ = trained(built(), epochs=4, losses={"sparsity": 1.5})
    assert (warming.training[:2, 0] == plain.training[:2, 0]).all() and warming.weight.tolist() == [1.0, 3.0]
    assert warming.training[2, 0] != plain.training[2, 0] and warming.training[1, 0] != half.training[1, 0]
    # what is recorded is the weights' mean size in epochs in which it is not minimised too
    assert warming.training[0, 1] == trained(built(), epochs=1, losses={"sparsity": 0})[0].training[0, 1] > 0


def test_nothing_global_is_touched() -> None:
    model, breaking = built(dropout=0.2), Breaking(term_at=2)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()
        trained(model)
        built()
        with pytest.raises(FitterError):
            trained(breaking, losses={"sparsity": 0.1})
        assert torch.equal(torch.get_rng_state(), state) and (np.random.get_state()[1] == legacy).all()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_the_seed_decides_batches_dropout_and_nothing_else_does() -> None:
    first, one = trained(built(dropout=0.2))
    torch.manual_seed(123)
    second, two = trained(built(dropout=0.2))
    assert (first.training == second.training).all() and same(one, two)
    assert one.seen == two.seen
    other, three = trained(built(dropout=0.2), seed=1)
    assert not np.array_equal(other.training, first.training) and three.seen != one.seen
    assert trained(built(dropout=0.2), stage="again")[1].seen != one.seen


def draws(*key: int) -> list[float]:
    with seeded(0, *key):
        return torch.rand(3).tolist()


def test_keys_of_randomness_do_not_collide() -> None:
    keys = [(), (0,), (0, 0), (1,), (1, 0), (0, 1)]
    assert len({tuple(draws(*key)) for key in keys}) == len(keys)
    assert draws(1) == draws(1)


FRESH = """
import hashlib, sys
sys.path.insert(0, "tests")
from helpers_training import built, parameters_of, trained
history, model = trained(built(dropout=0.2), batching="perturbation", schedule="cosine")
digest = hashlib.sha256(history.training.tobytes() + history.held_out.tobytes())
for value in parameters_of(model).values():
    digest.update(value.numpy().tobytes())
print(digest.hexdigest())
"""


def test_a_fresh_process_has_the_same_bits() -> None:
    root = Path(__file__).parents[1]
    runs = [
        subprocess.run([sys.executable, "-c", FRESH], cwd=root, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert len(runs[0]) == 65 and runs[0] == runs[1]


class Terminal:
    """A standard error that says it is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("progress", [True, False])
def test_a_bar_is_shown_if_asked_for_and_only_on_a_terminal(
    progress: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    trained(progress=progress)
    assert capfd.readouterr().err == ""  # no terminal
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    trained(progress=progress)
    assert ("toy: 100%" in terminal.text and "12/12" in terminal.text and "loss" in terminal.text) == progress
    assert (terminal.text == "") != progress
