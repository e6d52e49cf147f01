"""Checkpoints: a training that was broken off goes on as if it had not been; files of anything else are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers_counts import counted  # noqa: E402
from helpers_training import Breaking, Linear, Toy, built, labels, parameters_of, same, trained  # noqa: E402

from fitters.errors import FitterError  # noqa: E402
from fitters.training import loop  # noqa: E402
from fitters.training.cells import CellTable  # noqa: E402
from fitters.training.checkpoint import FORMAT, Checkpoint, State, check_stages, fingerprint_of  # noqa: E402
from fitters.training.objective import Moment  # noqa: E402

WAYS: dict[str, dict[str, Any]] = {
    "adam": {"batch_size": 16},
    "cosine": {"batch_size": 16, "schedule": "cosine", "batching": "perturbation"},
    "lbfgs": {"optimiser": "lbfgs", "learning_rate": 0.1},
}


class BreaksOff(Exception):
    """What ends a training from outside."""


class BrokenOff(Linear):
    """Is broken off in the middle of an epoch."""

    until = 99

    def terms(self, rows: Any, moment: Moment) -> dict[str, Any]:
        if moment.epoch == self.until and not self.training:
            raise BreaksOff
        return super().terms(rows, moment)


def model(*, until: int = 99, dropout: float = 0.2) -> BrokenOff:
    found = BrokenOff(dropout=dropout, drifting=True)
    found.load_state_dict(built().state_dict())
    found.until = until
    return found


def resumed(path: Path, *, until: int = 7, **options: Any) -> tuple[Any, Any]:
    """Train with a checkpoint, broken off in the epoch `until`, and then to the end."""
    options = {"checkpoint": str(path), "checkpoint_every": 3, **options}
    with pytest.raises(BreaksOff):
        trained(model(until=until), **options)
    return trained(model(), **options)


@pytest.mark.parametrize("way", WAYS)
def test_a_resumed_training_has_the_same_bits(way: str, tmp_path: Path) -> None:
    whole, one = trained(model(), **WAYS[way])
    parts, two = resumed(tmp_path / "toy.pt", **WAYS[way])
    assert whole.n_epochs == parts.n_epochs == 12 and whole.best_epoch == parts.best_epoch
    assert (whole.training == parts.training).all() and (whole.held_out == parts.held_out).all()
    assert same(one, two)
    trainings = sum(training for training, _ in two.seen)
    expected = sum(training for training, _ in one.seen)
    assert trainings <= 0.5 * expected if way != "lbfgs" else trainings < expected  # of 12 epochs, 6 were done


@pytest.mark.parametrize("forgotten", ["optimiser", "epoch", "best"])
def test_a_checkpoint_that_forgets_would_be_seen(
    forgotten: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: moments of Adam, the number of epochs done, or the best epoch are not taken up again."""
    whole, one = trained(model(), **WAYS["adam"], patience=3, epochs=40)
    original = Checkpoint.read

    def read(self: Checkpoint) -> State | None:
        found = original(self)
        if found is not None and forgotten == "optimiser":
            found.optimiser["state"] = {}
        elif found is not None and forgotten == "epoch":
            found.epoch = 0
        elif found is not None:
            found.best = (float("inf"), 0, {})
        return found

    monkeypatch.setattr(Checkpoint, "read", read)
    until = whole.best_epoch + 2
    parts, two = resumed(tmp_path / "toy.pt", **WAYS["adam"], patience=3, epochs=40, checkpoint_every=1, until=until)
    assert not same(one, two) or not np.array_equal(parts.training, whole.training)


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    path = str(tmp_path / "folder" / "toy.pt")
    first, one = trained(model(), checkpoint=path)
    second, two = trained(model(), checkpoint=path)
    assert two.seen == [] and same(one, two) and (first.training == second.training).all()
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["toy.pt"]
    assert second.seconds == first.seconds


def test_stages_have_files_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "toy.pt"
    for stage in ("pretraining", ""):
        trained(model(), checkpoint=str(path), stage=stage)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["toy.pt", "toy.pt.pretraining"]
    path.rename(tmp_path / "toy.pt.fine")
    with pytest.raises(FitterError, match=r"is a checkpoint of another model, toy$"):
        trained(model(), checkpoint=str(path), stage="fine")


def test_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.pt"
    trained(model(), checkpoint=str(path), fingerprint="one")
    with pytest.raises(FitterError, match=r"^fitter toy: option checkpoint: '.*toy\.pt' is of other data, options or"):
        trained(model(), checkpoint=str(path), fingerprint="two")
    content = torch.load(path, weights_only=True)
    torch.save(content | {"model": "vae"}, path)
    with pytest.raises(FitterError, match=r"toy\.pt' is a checkpoint of another model, vae$"):
        trained(model(), checkpoint=str(path), fingerprint="one")
    torch.save(content | {"format": FORMAT + "0"}, path)
    with pytest.raises(
        FitterError, match=r"toy\.pt' is not a checkpoint of toy \(ValueError: simcell-checkpoint-10\)$"
    ):
        trained(model(), checkpoint=str(path), fingerprint="one")
    other = {"map.weight": torch.zeros(5, 5), "map.bias": torch.zeros(5)}
    torch.save(content | {"state": content["state"] | {"model": other}}, path)
    with pytest.raises(FitterError, match=r"toy\.pt' is not a checkpoint of toy \(RuntimeError: .*size mismatch"):
        trained(model(), checkpoint=str(path), fingerprint="one")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(300), None])
def test_garbage_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "toy.pt"
    if content is None:
        torch.save([1, 2, 3], path)
    else:
        path.write_bytes(content)
    with pytest.raises(
        FitterError, match=r"^fitter toy: option checkpoint: '.*' is not a checkpoint of toy \("
    ) as found:
        trained(model(), checkpoint=str(path))
    assert len(str(found.value)) < 400 and "\n" not in str(found.value)


class Harmful:
    """What a file could do on loading if pickles were trusted."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a checkpoint ran code",))


def test_a_file_cannot_run_code(tmp_path: Path) -> None:
    path = tmp_path / "toy.pt"
    torch.save({"format": Harmful()}, path)
    with pytest.raises(FitterError, match="is not a checkpoint"):
        trained(model(), checkpoint=str(path))


def test_a_broken_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "toy.pt"
    trained(model(), checkpoint=str(path), epochs=3)
    before = path.read_bytes()
    original = torch.save

    def broken(content: Any, file: Any) -> None:
        original(content, file)
        with open(file, "r+b") as written:
            written.truncate(100)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(
        FitterError, match=r"toy\.pt' cannot be written \(OSError: \[Errno 28\] No space left on device\)"
    ):
        trained(model(), checkpoint=str(path), epochs=6)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["toy.pt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FitterError, match=r"option checkpoint: '.*' cannot be written \((Not|File)"):
        trained(unused := model(), checkpoint=str(tmp_path / "file" / "toy.pt"))
    assert not unused.seen  # before any work
    with pytest.raises(FitterError, match=r"option checkpoint: '.*' is not a checkpoint of toy \(OSError: .* too long"):
        trained(unused, checkpoint=str(tmp_path / ("x" * 300)))


def test_all_stages_are_checked_before_the_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / "toy.pt"
    options = Toy(checkpoint=str(path))
    check_stages(options, "first", "", fingerprint="one")
    assert list(path.parent.iterdir()) == []  # the folder is made, and nothing left in it
    trained(model(), checkpoint=str(path), fingerprint="one", epochs=1)
    check_stages(options, "first", "", fingerprint="one")
    with pytest.raises(FitterError, match=r"toy\.pt' is of other data, options or seed"):
        check_stages(options, "first", "", fingerprint="two")
    path.rename(f"{path}.first")
    with pytest.raises(FitterError, match=r"toy\.pt\.first' is a checkpoint of another model, toy$"):
        check_stages(options, "", "first", fingerprint="one")
    path.mkdir()
    with pytest.raises(FitterError, match=r"toy\.pt' is not a checkpoint of toy \(IsADirectoryError"):
        check_stages(options, "", fingerprint="one")


@pytest.mark.parametrize("how", [{"term_at": 5}, {"parameter_at": 5}])
def test_after_divergence_the_last_finite_state_can_be_loaded(how: dict[str, int], tmp_path: Path) -> None:
    """It is that of the fifth epoch, whole: that of a training which ended there."""
    path = tmp_path / "toy.pt"
    rows, recorded = labels(n_held=0), {"sparsity": 0}
    breaking = Breaking(**how)
    breaking.load_state_dict(built().state_dict())
    with pytest.raises(FitterError, match=r"; the last finite state, of epoch 5, is in .*toy\.pt; try a lower"):
        trained(breaking, checkpoint=str(path), rows=rows, checkpoint_every=100, losses=recorded)
    state = Checkpoint(str(path), "toy", "", "toy").read()
    assert state is not None and state.epoch == 5 and len(state.training) == 5
    history, five = trained(rows=rows, epochs=5, losses=recorded)
    assert np.array_equal(np.array(state.training), history.training)
    assert all(torch.equal(state.model[name], value) for name, value in parameters_of(five).items())
    steps = {float(moments["step"]) for moments in state.optimiser["state"].values()}
    assert steps == {5.0 * 4}  # 120 rows, 32 at a time


def test_what_is_remembered_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: model and optimiser are kept by reference, so that the broken epoch's steps are in the file."""
    monkeypatch.setattr(loop, "copied", dict)
    with pytest.raises(AssertionError):
        test_after_divergence_the_last_finite_state_can_be_loaded({"parameter_at": 5}, tmp_path)


def table(**changes: Any) -> CellTable:
    return CellTable.of(counted(**changes))


def test_fingerprints_know_data_and_options_but_not_where_a_training_is_kept() -> None:
    first = fingerprint_of(table(), repr(Toy()), 0)
    assert first == fingerprint_of(table(), repr(Toy(checkpoint="a", checkpoint_every=2, progress=True)), 0)
    others = [
        fingerprint_of(table(seed=1), repr(Toy()), 0),
        fingerprint_of(table(), repr(Toy(batch_size=8)), 0),
        fingerprint_of(table(), repr(Toy(losses={"sparsity": 1})), 0),
        fingerprint_of(table(), repr(Toy()), 1),
    ]
    assert len({first, *others}) == 5
