"""The writer of a screen's data set: chunks of cells in, in any order and from several threads; one zarr folder out.

Memory is bounded by the chunks in flight. Every chunk carries a checksum and is written even if it is all zero, so that
a missing or damaged chunk is noticed when read. The folder appears under its name only once it is complete and valid.
"""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import xarray as xr
import zarr
from numpy.typing import ArrayLike, NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from simcell.dataset import open_store, validate
from simcell.errors import DataError
from simcell.output import check_output, staged
from simcell.schema import (
    FORMAT,
    GROUPS,
    SCHEMA,
    SCHEMA_VERSION,
    Variable,
    conform,
    get_array,
    get_group,
    has_group,
    strings,
)

KIND = "a simcell file"
_CHUNK_BYTES = 4 << 20  # of the groups that are written at once


class ScreenWriter:
    """Write one data set, as a context manager; see `simcell.schema` for what belongs in it.

    Args:
        path: zarr folder to be made.
        genes: the G gene names.
        n_cells: number of cells, known beforehand.
        chunk_cells: cells per stored chunk.
        attrs: root attributes ``name``, ``spec``, ``seed``, ``replicate``, ``versions``.
        latent: whether intensities and molecules are stored too.
        force: whether a simcell file that stands at `path` is replaced (only then, and at the very end).

    On a clean exit the data set is validated, marked complete and moved to `path`. On any exception, and on Ctrl-C,
    nothing is left behind. Raises `SimcellError` when `path` cannot be written, before any work.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        genes: Sequence[str],
        n_cells: int,
        chunk_cells: int,
        attrs: Mapping[str, Any],
        latent: bool = False,
        force: bool = False,
    ) -> None:
        if n_cells < 1 or chunk_cells < 1 or not len(genes):
            raise ValueError(f"{n_cells} cells, {chunk_cells} per chunk, {len(genes)} genes: each must be at least 1")
        check_output(path, force=force, ours=is_screen, kind=KIND)
        self.path = Path(path)
        self._force, self._latent = force, latent
        self._genes = strings(list(genes))
        self._n_cells, self._chunk_cells = n_cells, min(chunk_cells, n_cells)
        self._attrs = {"format": FORMAT, "schema_version": SCHEMA_VERSION} | dict(attrs)
        self._n_umis = np.full(n_cells, -1, dtype=np.int64)
        self._arrays: dict[str, zarr.Array] = {}
        self._written: set[str] = set()
        self._idle = threading.Condition()
        self._writing, self._closed = 0, False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        stage = staged(self.path, force=self._force, ours=is_screen, kind=KIND)
        self._store = self._stack.enter_context(stage)
        try:
            self._root = zarr.create_group(str(self._store), zarr_format=3, attributes=self._attrs)
            for path in ("counts", "latent") if self._latent else ("counts",):
                self._open(path)
        except BaseException as error:
            if not self._stack.__exit__(type(error), error, error.__traceback__):
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with self._idle:  # a thread still at work would write into a folder that is gone
            self._closed = True
            self._idle.wait_for(lambda: not self._writing)
        if error is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            self._finish()
        return None

    @property
    def n_umis(self) -> NDArray[np.int64]:
        """UMIs of every cell, from the counts; -1 for a cell that has not been written yet."""
        return self._n_umis.copy()

    def write_chunk(
        self,
        start: int,
        *,
        counts: ArrayLike,
        intensity: ArrayLike | None = None,
        molecules: ArrayLike | None = None,
    ) -> None:
        """Write the cells `start`, `start` + 1, ... of one stored chunk; threads may write different chunks at once.

        Args:
            start: number of the first cell, a multiple of `chunk_cells`.
            counts: (cells of the chunk, G) UMI counts.
            intensity: (cells of the chunk, G), given if and only if the writer was made with ``latent=True``.
            molecules: likewise.

        Raises:
            DataError: for counts or molecules that are negative or no integers, and intensities that are not finite.
            ValueError: for a chunk of another place or size.
        """
        latent = {"intensity": intensity, "molecules": molecules}
        if any((values is not None) != self._latent for values in latent.values()):
            raise ValueError(f"intensity and molecules: to be given if and only if latent=True, here {self._latent}")
        stop = min(start + self._chunk_cells, self._n_cells)
        if start % self._chunk_cells or not 0 <= start < self._n_cells:
            raise ValueError(f"start {start} is not the first cell of a chunk of {self._chunk_cells}")
        blocks = {"counts/umis": counts}
        blocks |= {f"latent/{name}": values for name, values in latent.items() if values is not None}
        shape = (stop - start, len(self._genes))
        checked = {name: _checked(name, np.asarray(values), shape) for name, values in blocks.items()}
        with self._in_flight():
            for name, block in checked.items():
                self._arrays[name][start:stop] = block
            self._n_umis[start:stop] = checked["counts/umis"].sum(axis=1, dtype=np.int64)

    def write_group(self, path: str, dataset: xr.Dataset) -> None:
        """Write a whole group other than the counts and the latent one, converted to the types of the schema.

        Raises `DataError` naming the variable that is missing, unknown, or of another type or shape than declared.
        """
        if path in ("counts", "latent"):
            raise ValueError(f"{path} is written by write_chunk")
        dataset = conform(path, dataset)
        if "cell" in dataset.sizes and dataset.sizes["cell"] != self._n_cells:
            raise DataError(f"{path}: {dataset.sizes['cell']} cells, {self._n_cells} expected")
        group = self._root.require_group(path)
        for variable in GROUPS[path].variables:
            self._write(group, variable, dataset.variables[variable.name].values)
        self._written.add(path)

    @contextmanager
    def _in_flight(self) -> Iterator[None]:
        with self._idle:
            if self._closed:
                raise ValueError(f"{self.path}: the writer is closed")
            self._writing += 1
        try:
            yield
        finally:
            with self._idle:
                self._writing -= 1
                self._idle.notify_all()

    def _open(self, path: str) -> None:
        group = self._root.create_group(path)
        for variable in GROUPS[path].variables:
            if variable.dims == ("gene",):
                self._write(group, variable, self._genes)
            else:
                shape = (self._n_cells, len(self._genes))
                chunks = (self._chunk_cells, len(self._genes))
                self._arrays[f"{path}/{variable.name}"] = create_array(group, variable, shape, chunks)
        self._written.add(path)

    def _write(self, group: zarr.Group, variable: Variable, values: NDArray[Any]) -> None:
        array = create_array(group, variable, values.shape, chunk_shape(values))
        if values.size:
            array[...] = values

    def _finish(self) -> None:
        missing = np.flatnonzero(self._n_umis < 0)
        if missing.size:
            raise DataError(f"{self.path}: {missing.size} cells were not written, the first is cell {missing[0]}")
        for group in SCHEMA:
            if group.required and group.path not in self._written:
                raise DataError(f"{self.path}: {group.path}: missing group ({group.description})")
        self._root.attrs["complete"] = True
        with warnings.catch_warnings():
            # Consolidated metadata is an extension of zarr format 3; xarray opens a data set by it in one read.
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            zarr.consolidate_metadata(str(self._store), zarr_format=3)
        tree = open_store(self._store)
        try:
            validate(tree)
            if not np.array_equal(get_array(tree, "cells/n_umis").values, self._n_umis):
                raise DataError("cells/n_umis: not the sum of the counts")
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from None
        finally:
            tree.close()


def write_tree(
    tree: xr.DataTree, path: str | os.PathLike[str], *, chunk_cells: int = 1024, force: bool = False
) -> None:
    """Write a data set that is held in memory, or opened lazily, to the zarr folder `path` (see `ScreenWriter`)."""
    latent = has_group(tree, "latent")
    arrays = {name: get_array(tree, f"latent/{name}") for name in ("intensity", "molecules") if latent}
    arrays["counts"] = get_array(tree, "counts/umis")
    n_cells = arrays["counts"].sizes["cell"]
    with ScreenWriter(
        path,
        genes=get_array(tree, "counts/gene").values.tolist(),
        n_cells=n_cells,
        chunk_cells=chunk_cells,
        attrs={str(name): value for name, value in tree.attrs.items() if name != "complete"},
        latent=latent,
        force=force,
    ) as writer:
        for start in range(0, n_cells, min(chunk_cells, n_cells)):
            cells = slice(start, start + chunk_cells)
            writer.write_chunk(start, **{name: array[cells].values for name, array in arrays.items()})
        for group in SCHEMA:
            if group.path not in ("counts", "latent") and has_group(tree, group.path):
                known = {variable.name for variable in group.variables}
                dataset = get_group(tree, group.path)
                writer.write_group(group.path, dataset.drop_vars(set(dataset.variables) - known))


def is_screen(path: Path) -> bool:
    """Return whether `path` is a data set that this package wrote, of whatever schema version."""
    try:
        metadata = json.loads((path / "zarr.json").read_text())
        return bool(metadata["attributes"]["format"] == FORMAT)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _checked(name: str, values: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    if values.shape != shape:
        raise ValueError(f"{name}: shape {values.shape}, {shape} expected")
    if name == "latent/intensity":
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise DataError(f"{name}: finite numbers expected")
        return values.astype(np.float32, copy=False)
    if values.dtype.kind not in "iu":
        raise DataError(f"{name}: type {values.dtype}, integers expected")
    if values.size and (values.min() < 0 or values.max() > np.iinfo(np.int32).max):
        raise DataError(f"{name}: a value is negative or does not fit int32")
    return values.astype(np.int32, copy=False)


def create_array(group: zarr.Group, variable: Variable, shape: tuple[int, ...], chunks: tuple[int, ...]) -> zarr.Array:
    """Create one array of a data set: as declared, compressed, with checksums."""
    # zstd 1 after bitshuffle: on counts of a screen a third smaller than lz4 and half as large as zstd 5 without
    # shuffle, at 0.8 GB/s; the checksum comes last, so that it covers the bytes as they lie on the disk.
    size = 1 if variable.dtype == "str" else np.dtype(variable.dtype).itemsize
    blosc = BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle" if size > 1 else "noshuffle", typesize=size)
    attributes: dict[str, Any] = {"description": variable.description} | (
        {"unit": variable.unit} if variable.unit else {}
    )
    return group.create_array(
        variable.name,
        shape=shape,
        dtype="string" if variable.dtype == "str" else variable.dtype,
        chunks=chunks,
        compressors=[blosc, Crc32cCodec()],
        dimension_names=variable.dims,
        attributes=attributes,
        config={"write_empty_chunks": True},
    )


def chunk_shape(values: NDArray[Any]) -> tuple[int, ...]:
    """Return chunks of some MB that run whole along the last dimensions."""
    chunks = [max(size, 1) for size in values.shape]
    for axis in range(len(chunks)):
        rest = values.itemsize * int(np.prod(chunks[axis + 1 :]))
        chunks[axis] = max(1, min(chunks[axis], _CHUNK_BYTES // rest))
        if chunks[axis] > 1:
            break
    return tuple(chunks)
