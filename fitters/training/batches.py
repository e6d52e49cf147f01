"""Mini-batches: which rows are seen together. Drawn at random, by perturbation, or by experimental batch.

In: rows with their condition and batch, a strategy, a generator. Out: arrays of rows, each row once in an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BATCHING = ("random", "perturbation", "batch")
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class RowLabels:
    """What rows are: (N,) codes of condition and of experimental batch, and whether each is held out."""

    condition: NDArray[np.intp]
    batch: NDArray[np.intp]
    held_out: NDArray[np.bool_]

    @property
    def training(self) -> Rows:
        """Rows to learn from."""
        return np.flatnonzero(~self.held_out)

    @property
    def stopping(self) -> Rows:
        """Rows to stop by."""
        return np.flatnonzero(self.held_out)


def epoch_batches(
    rows: Rows, labels: RowLabels, *, batching: str, size: int, generator: np.random.Generator
) -> list[Rows]:
    """Return the mini-batches of one epoch, each of at most about `size` rows.

    "random" deals rows at random. "perturbation" and "batch" keep mini-batches within one condition or experimental
    batch each (a group is cut into equal parts; small groups share one, for "perturbation" only), in random order.
    """
    shuffled = generator.permutation(rows)
    if batching == "random":
        return _cut(shuffled, size)
    code = labels.condition if batching == "perturbation" else labels.batch
    groups = [shuffled[code[shuffled] == value] for value in np.unique(code[rows])]
    parts = [part for group in groups for part in _cut(group, size)]
    parts = [parts[position] for position in generator.permutation(len(parts))]
    if batching == "batch":
        return parts
    merged: list[Rows] = []
    for part in parts:  # conditions of few cells: several whole ones together
        if merged and merged[-1].size + part.size <= size:
            merged[-1] = np.concatenate([merged[-1], part])
        else:
            merged.append(part)
    return merged


def _cut(rows: Rows, size: int) -> list[Rows]:
    return [part for part in np.array_split(rows, max(1, -(-rows.size // size))) if part.size]
