"""A number for every cell that depends on its counts by gene name and on nothing else: an order without an order.

In: training data, a seed. Out: (N,) hashes, by which cells can be sorted or dealt whatever their order in the data.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from fitters.training_data import TrainingData


def cell_hashes(data: TrainingData, *, seed: int) -> NDArray[np.uint64]:
    """Return a hash of each cell's counts: a sum over its genes, which has no order."""
    names = [hashlib.blake2b(f"{seed}\0{gene}".encode(), digest_size=8).digest() for gene in data.genes]
    salt = np.array([int.from_bytes(name, "little") for name in names], dtype=np.uint64)
    counts = data.counts
    with np.errstate(over="ignore"):
        mixed = salt[counts.indices] ^ (counts.data.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        for shift, multiplier in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # the finaliser of splitmix64
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(multiplier)
        mixed = np.where(counts.data > 0, mixed ^ (mixed >> np.uint64(31)), np.uint64(0))
        running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
        hashes: NDArray[np.uint64] = running[counts.indptr[1:]] - running[counts.indptr[:-1]]
    return hashes
