"""Random numbers that belong to names: the order of genes, pools or cells in the data is of no account.

In: names and a seed. Out: a generator or normal draws for each name, or uniform ones for ordered pairs of names. The
same names and seed give the same numbers, on any machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_INCREMENT, _FIRST, _SECOND = (
    np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def pair_uniforms(
    names: Sequence[str], rows: NDArray[np.integer], columns: NDArray[np.integer], *, seed: int = 0
) -> NDArray[np.float64]:
    """Return a draw from (0, 1) for each pair (names[row], names[column]); the two orders of a pair differ.

    The names' 64-bit digests are mixed by the finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
    """
    key = np.array([_digest(name, seed) for name in names], dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = _mix(_mix(key[rows]) + key[columns])
    return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def keyed_normals(names: Sequence[str], n_draws: int, *, seed: int, stream: str) -> NDArray[np.float64]:
    """Return (n, n_draws) standard normal draws, each row keyed by seed, stream and its name."""
    return np.stack([keyed_generator(name, seed=seed, stream=stream).standard_normal(n_draws) for name in names])


def keyed_generator(name: str, *, seed: int, stream: str) -> np.random.Generator:
    """Return the generator that belongs to seed, stream and name."""
    digest = hashlib.blake2b(f"{stream}\0{name}".encode(), digest_size=16).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])


def _digest(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest(), "little")


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = value + _INCREMENT
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    return value ^ (value >> np.uint64(31))
