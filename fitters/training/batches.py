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
    """Return the mini-batches of one epoch, each row in one of them and each of at most `size` rows, in random order.

    "random" deals rows at random. "perturbation" keeps conditions together: those of few rows share a mini-batch whole,
    one of more than `size` rows is cut into equal parts that it shares with none. "batch" likewise cuts each
    experimental batch into equal parts, and no two batches share one.
    """
    shuffled = generator.permutation(rows)
    if batching == "random":
        return _cut(shuffled, size)
    code = labels.condition if batching == "perturbation" else labels.batch
    groups = [shuffled[code[shuffled] == value] for value in np.unique(code[rows])]
    if batching == "perturbation":
        groups = _together(groups, size, generator)
    parts = [part for group in groups for part in _cut(group, size)]
    return [parts[position] for position in generator.permutation(len(parts))]


def _together(groups: list[Rows], size: int, generator: np.random.Generator) -> list[Rows]:
    """Join groups that fit into one mini-batch with others, in random order; those of more rows stay by themselves."""
    joined = [group for group in groups if group.size > size]
    room = 0
    for position in generator.permutation(len(groups)):
        group = groups[position]
        if group.size > size:
            continue
        if group.size <= room:
            joined[-1] = np.concatenate([joined[-1], group])
            room -= group.size
        else:
            joined.append(group)
            room = size - group.size
    return joined


def _cut(rows: Rows, size: int) -> list[Rows]:
    return [part for part in np.array_split(rows, max(1, -(-rows.size // size))) if part.size]
