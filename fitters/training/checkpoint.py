"""Checkpoints: what is needed to go on with a training as if it had never stopped, in one file, written whole.

In: a path and the state of a training. Out: the file, or the state read back. A checkpoint says what it is of, and one
of another model, other data, options or seed is refused.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitters.errors import FitterError, one_line
from fitters.training.cells import CellTable

FORMAT = "simcell-checkpoint-1"


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
    """

    epoch: int
    model: dict[str, Any]
    optimiser: dict[str, Any]
    training: list[list[float]]
    held_out: list[list[float]]
    best: tuple[float, int, dict[str, Any]]
    seconds: float


def fingerprint_of(table: CellTable, *what: object) -> str:
    """Return a digest of training cells and of anything whose `repr` says what it is (options, seed)."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (table.genes, table.conditions, table.batches, table.media, table.arms, *what):
        digest.update(repr(part).encode())
    for array in (table.condition, table.batch, table.medium, table.arm, table.time, table.counts.data,
                  table.counts.indices, table.counts.indptr):  # fmt: skip
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_checkpoint(path: str, state: State, *, model: str, fingerprint: str) -> None:
    """Write a checkpoint beside the path and move it there."""
    import torch

    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    torch.save({"format": FORMAT, "model": model, "fingerprint": fingerprint, "state": vars(state)}, beside)
    os.replace(beside, target)


def read_checkpoint(path: str, *, model: str, fingerprint: str, fitter: str) -> State | None:
    """Return the state of a checkpoint; None where there is no file.

    Raises:
        FitterError: the file is no checkpoint, or one of another model, or of other data, options or seed.
    """
    import torch

    if not Path(path).exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        if found["format"] != FORMAT:
            raise ValueError(found["format"])
        of, digest, state = found["model"], found["fingerprint"], State(**found["state"])
    except Exception as error:
        raise FitterError(fitter, f"option checkpoint: {path!r} is not a checkpoint ({one_line(error)})") from None
    if of != model:
        raise FitterError(fitter, f"option checkpoint: {path!r} is a checkpoint of another model, {of}")
    if digest != fingerprint:
        raise FitterError(
            fitter,
            f"option checkpoint: {path!r} is of other data, options or seed; remove it, or name another file",
        )
    return state
