"""Checkpoints: what is needed to go on with a training as if it had never stopped, in one file, written whole.

In: a path and the state of a training. Out: the file, or the state read back. A checkpoint says what it is of, and one
of another model, other data, options or seed is refused.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fitters.errors import FitterError, one_line
from fitters.training.cells import CellTable

if TYPE_CHECKING:
    from fitters.training.options import TrainedFitter

FORMAT = "simcell-checkpoint-1"
LONGEST_REASON = 120  # characters of torch's own words, which may fill pages


@dataclass
class State:
    """What a training needs to go on: plain numbers, lists, and dictionaries of tensors.

    Args:
        epoch: epochs done.
        model: state of the module.
        optimiser: state of the optimiser.
        training: value of every term, epoch by epoch.
        held_out: the same on what is held out.
        best: lowest error on what is held out, its epoch, and the module's state then.
        seconds: wall time so far.
        first: value of every term before the first step.
    """

    epoch: int
    model: dict[str, Any]
    optimiser: dict[str, Any]
    training: list[list[float]]
    held_out: list[list[float]]
    best: tuple[float, int, dict[str, Any]]
    seconds: float
    first: list[float] = field(default_factory=list)


def model_name(fitter: str, stage: str) -> str:
    """Return the name of what a stage of a fitter's training trains."""
    return f"{fitter}/{stage}" if stage else fitter


def check_stages(options: TrainedFitter, *stages: str, fingerprint: str) -> None:
    """Hold the checkpoints of all stages of a training to what they are to be, before the first begins.

    Raises:
        FitterError: one is of something else, or no checkpoint, or cannot be written.
    """
    for stage in stages:
        checkpoint = Checkpoint.of(options, stage=stage, fingerprint=fingerprint)
        if checkpoint:
            checkpoint.check()


def fingerprint_of(table: CellTable, *what: object) -> str:
    """Return a digest of training cells and of anything whose `repr` says what it is (options, seed)."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (table.genes, table.conditions, table.batches, table.media, table.arms, *what):
        digest.update(repr(part).encode())
    for array in (table.condition, table.batch, table.medium, table.arm, table.time, table.counts.data,
                  table.counts.indices, table.counts.indptr):  # fmt: skip
        digest.update(array.tobytes())
    return digest.hexdigest()


def copied(value: Any) -> Any:
    """Return a copy of nested dictionaries and lists whose tensors are on the CPU and shared with nobody."""
    if isinstance(value, Mapping):
        return {name: copied(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(part) for part in value)
    return value.detach().cpu().clone() if hasattr(value, "detach") else value


@dataclass(frozen=True)
class Checkpoint:
    """A file and what it is to be of.

    Args:
        path: where.
        model: name of what is trained.
        fingerprint: digest of data, options and seed.
        fitter: whose errors they are.
    """

    path: str
    model: str
    fingerprint: str
    fitter: str

    @classmethod
    def of(cls, options: TrainedFitter, *, stage: str, fingerprint: str) -> Checkpoint | None:
        """Return that of one stage of a fitter's training; None where the options name no file."""
        path = options.checkpoint
        if not path:
            return None
        return cls(f"{path}.{stage}" if stage else path, model_name(options.name, stage), fingerprint, options.name)

    def check(self) -> None:
        """Refuse a file that cannot be gone on from, or that could not be written.

        Raises:
            FitterError: as `read` and `write` do.
        """
        self.read()
        self.check_writable()

    def check_writable(self) -> None:
        """Refuse a place where nothing can be written, before any work is done for it; the folder is made.

        Raises:
            FitterError: nothing can be written there.
        """
        beside = self._beside()
        with self._writing():
            beside.parent.mkdir(parents=True, exist_ok=True)
            beside.touch()
        beside.unlink()

    def write(self, state: State) -> None:
        """Write a state beside the path and move it there, so that what stands there is whole at every moment.

        Raises:
            FitterError: it cannot be written.
        """
        import torch

        beside = self._beside()
        content = {"format": FORMAT, "model": self.model, "fingerprint": self.fingerprint, "state": vars(state)}
        try:
            with self._writing():
                beside.parent.mkdir(parents=True, exist_ok=True)
                torch.save(content, beside)
                os.replace(beside, self.path)
        finally:
            with suppress(OSError):
                beside.unlink()

    def read(self) -> State | None:
        """Return the state of the file; None where there is none.

        Raises:
            FitterError: the file is no checkpoint, or one of another model, or of other data, options or seed.
        """
        import torch

        with self.reading():
            if not Path(self.path).exists():
                return None
            found = torch.load(self.path, map_location="cpu", weights_only=True)
            if found["format"] != FORMAT:
                raise ValueError(found["format"])
            of, digest, state = found["model"], found["fingerprint"], State(**found["state"])
        if of != self.model:
            raise self._refusal(f"is a checkpoint of another model, {of}")
        if digest != self.fingerprint:
            raise self._refusal("is of other data, options or seed; remove it, or name another file")
        return state

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn whatever goes wrong with the file's content into a FitterError that names the file."""
        try:
            yield
        except Exception as error:
            raise self._refusal(f"is not a checkpoint of {self.model} ({_short(error)})") from None

    def _beside(self) -> Path:
        target = Path(self.path)
        return target.with_name(f".{target.name}.{os.getpid()}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # torch raises the latter where a folder is missing or a disk full
            raise self._refusal(f"cannot be written ({_short(error)})") from None

    def _refusal(self, problem: str) -> FitterError:
        return FitterError(self.fitter, f"option checkpoint: {self.path!r} {problem}")


def _short(error: Exception) -> str:
    text = one_line(error)
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "..."
