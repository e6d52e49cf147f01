"""While a fitter works in a benchmark: which forbidden files it opens, and whether what all share stays as it was.

In: the folder of the data sets, which hold the truth; the training data. Out: a `FitterError` that says what was done.
It catches carelessness and plain cheating; code that runs in this process and means to hide can do so.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fitters.errors import FitterError
from fitters.training_data import TrainingData

_FILE_EVENTS = frozenset({"open", "os.listdir", "os.scandir"})
_watched: list[str] = []  # the folder that is forbidden now, if any
_opened: list[str] = []  # what was opened of it
_listening = False


@contextmanager
def guarded(fitter: str, training: TrainingData, *, truth: Path) -> Iterator[None]:
    """Let a fitter work on training data while nobody else does.

    Args:
        fitter: its name, for messages.
        training: what it is given.
        truth: folder that it may not look into.

    Raises:
        FitterError: afterwards, where it opened a file of that folder, or changed the training data.
    """
    _ = training.pseudobulk.profile  # made before, so that it is compared too
    before = _digest(training)
    with _watching(truth):
        yield
        if _opened:
            raise FitterError(fitter, f"opened {_opened[0]}, where the truth lies")
    if _digest(training) != before:
        raise FitterError(fitter, "changed the training data, which all fitters share")


@contextmanager
def _watching(folder: Path) -> Iterator[None]:
    global _listening
    if not _listening:  # a hook cannot be taken away again; it does nothing while nothing is watched
        sys.addaudithook(_note)
        _listening = True
    _watched.append(os.path.realpath(folder))
    try:
        yield
    finally:
        _watched.clear()
        _opened.clear()


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched or event not in _FILE_EVENTS or not arguments or not isinstance(arguments[0], str | os.PathLike):
        return
    path = os.path.realpath(arguments[0])
    if path == _watched[0] or path.startswith(_watched[0] + os.sep):
        _opened.append(os.fspath(arguments[0]))


def _digest(training: TrainingData) -> bytes:
    """Return a digest of all that the training data hold, of their pseudobulks, and of what is told beside them."""
    counts = training.counts
    pooled = training.pseudobulk
    parts = [counts.data, counts.indices, counts.indptr, training.time, pooled.total, pooled.profile]
    atlas = training.knowledge.atlas
    if atlas is not None:
        parts += [atlas.counts.data, atlas.counts.indices, atlas.counts.indptr, atlas.tissue]
    found = hashlib.blake2b(repr(sorted(training.knowledge.graphs.items())).encode(), digest_size=16)
    for part in parts:
        found.update(part.tobytes())
    found.update(repr(sorted(training.experiments.items())).encode())
    for labels in (training.perturbation, training.batch, training.medium, training.arm):
        found.update("\0".join(labels.tolist()).encode())
    return found.digest()
