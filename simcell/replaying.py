"""Replay: simulate a data set again from its own specification, and compare every number bit for bit."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from simcell.dataset import load
from simcell.schema import SCHEMA, get_group, has_group
from simcell.screen import simulate
from simcell.spec import parse_screen_spec

BLOCK = 4096  # cells compared at a time


@dataclass(frozen=True)
class Replay:
    """Whether a data set came out the same again, and a line on each group."""

    identical: bool
    lines: tuple[str, ...]


def replay(path: str | os.PathLike[str], *, n_threads: int | None = None, progress: bool = True) -> Replay:
    """Simulate the data set at `path` again, in a temporary folder, and compare all arrays bit for bit."""
    original = load(path, verify=True)
    spec = parse_screen_spec(original.attrs["spec"])
    with tempfile.TemporaryDirectory(prefix="simcell-replay-") as folder:
        copy = Path(folder) / "replay.zarr"
        simulate(spec, copy, replicate=original.attrs["replicate"], n_threads=n_threads, progress=progress)
        again = load(copy)
        identical = spec.seed == original.attrs["seed"]
        lines = (
            [] if identical else [f"seed: differs, {original.attrs['seed']} beside {spec.seed} in the specification"]
        )
        for group in SCHEMA:
            if not has_group(original, group.path):
                continue
            if not has_group(again, group.path):
                identical = False
                lines.append(f"{group.path}: differs, for it is not made again")
                continue
            differing = _differences(get_group(original, group.path), get_group(again, group.path))
            identical &= not differing
            lines.append(f"{group.path}: {'differs in ' + ', '.join(differing) if differing else 'identical'}")
    if not identical and original.attrs["versions"] != again.attrs["versions"]:
        lines.append(f"made by {original.attrs['versions']}, replayed by {again.attrs['versions']}")
    return Replay(identical, tuple(lines))


def _differences(one: xr.Dataset, other: xr.Dataset) -> list[str]:
    """Return the names of the variables that are not equal in all bits."""
    return [str(name) for name in one.variables if not _equal(one[name], other[name])]


def _equal(one: xr.DataArray, other: xr.DataArray) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.ndim == 0:
        return _same_bits(one.values, other.values)
    return all(
        _same_bits(one[first : first + BLOCK].values, other[first : first + BLOCK].values)
        for first in range(0, one.shape[0], BLOCK)
    )


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind == "f":
        return one.tobytes() == other.tobytes()
    return bool(np.array_equal(one, other))
