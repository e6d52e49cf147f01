"""One root seed in, independent random streams out, each keyed by what it belongs to.

A stream is named by its purpose and, for cells, by the cell's own number: never by a thread, a chunk or an order of
calls. Small draws (networks, guides) come from numpy generators; draws inside kernels are a counter-based function of a
key made here and of (cell, gene, step), see `kernels/streams.py`.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Purpose(IntEnum):
    """What a stream is used for. Numbers are part of the data format: append, never renumber."""

    NETWORK = 1
    CELL_MODEL = 2
    GUIDES = 3
    ASSIGNMENT = 4
    DYNAMICS = 6
    EDITING = 7
    MOLECULES = 8
    CAPTURE = 9
    SIZE_FACTOR = 10
    BATCH = 11
    TRUTH = 12
    SPLIT = 13
    ATLAS = 14


def _sequence(seed: int, purpose: Purpose, index: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(int(purpose), *index))


def stream(seed: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """Return the generator of one purpose, and of one `index` within it (a replicate, a batch).

    Args:
        seed: the root seed, any non-negative integer.
        purpose: what the draws are for.
        index: further non-negative integers that set this stream apart.
    """
    return np.random.Generator(np.random.Philox(_sequence(seed, purpose, index)))


def kernel_key(seed: int, purpose: Purpose, *index: int) -> NDArray[np.uint32]:
    """Return the (2,) uint32 key of the counter-based streams of one purpose; cells are counters under it."""
    return _sequence(seed, purpose, index).generate_state(2, np.uint32).astype(np.uint32)
