"""The data set of a screen, read back: a path in, a validated and lazy `xarray.DataTree` out, counts block by block.

What is in it is declared in `simcell.schema`; it is written by `simcell.store`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import scipy.sparse
import xarray as xr
from numpy.typing import NDArray

from simcell.errors import DataError
from simcell.labels import CONTROL
from simcell.schema import (
    ATLAS_FORMAT,
    ATTRIBUTES,
    FORMAT,
    SCHEMA,
    SCHEMA_VERSION,
    find_variable,
    get_array,
    get_group,
    has_group,
    is_type,
)

_CHECKSUM_BYTES = 4
_PER_CELL = ("counts/umis", "latent/intensity", "latent/molecules")  # large: their checksums are left to the reading
READ_ERRORS = (OSError, ValueError, RuntimeError, KeyError)  # what codecs and stores raise on damaged bytes


def validate(tree: xr.DataTree) -> None:
    """Raise `DataError` unless `tree` is a complete data set of this schema version.

    Checked are the root attributes, the presence, dimensions and types of every variable, sizes and names shared
    between groups, and that every name of a gene in the truth is a gene of the counts. Counts stay unread.
    """
    check_attributes(tree.attrs)
    for group in SCHEMA:
        if not group.required and not has_group(tree, group.path):
            continue
        dataset = get_group(tree, group.path)
        for variable in group.variables:
            array = find_variable(group.path, variable, dataset)
            if not is_type(array.dtype, variable.dtype):
                raise DataError(f"{group.path}/{variable.name}: type {array.dtype}, {variable.dtype} expected")
    _check_shared(tree)
    perturbations = get_array(tree, "truth/response/perturbation").values
    if len(perturbations) == 0 or str(perturbations[0]) != CONTROL:
        raise DataError(f"truth/response/perturbation: {CONTROL!r} expected first")
    genes = set(get_array(tree, "counts/gene").values.tolist())
    for name in ("truth/network/regulator", "truth/network/target", "truth/kinetics/regulator"):
        for value in get_array(tree, name).values.tolist():
            if value not in genes:
                raise DataError(f"{name}: {value!r} is not a gene of the counts")


def check_attributes(attrs: object) -> None:
    """Raise `DataError` unless `attrs` are the root attributes of a complete data set of this schema version."""
    if isinstance(attrs, dict) and attrs.get("format") == ATLAS_FORMAT:
        raise DataError("not a simcell data set but an atlas, which simcell.load_atlas reads")
    if not isinstance(attrs, dict) or attrs.get("format") != FORMAT:
        raise DataError(f"not a simcell data set (format {FORMAT!r} expected)")
    version = attrs.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DataError(f"schema version {version!r}, this simcell reads version {SCHEMA_VERSION}")
    if attrs.get("complete") is not True:
        raise DataError("not complete: the run that wrote it did not finish")
    for name, (kind, description) in ATTRIBUTES.items():
        if name not in attrs:
            raise DataError(f"attribute {name!r} missing ({description})")
        if not isinstance(attrs[name], kind):
            raise DataError(f"attribute {name!r}: {type(attrs[name]).__name__}, {kind.__name__} expected")


def load(path: str | os.PathLike[str], *, verify: bool = False) -> xr.DataTree:
    """Open a data set, check that it is whole, and return it with its arrays still on disk.

    Args:
        path: zarr folder written by `simcell.store`.
        verify: check the bytes of every chunk. Otherwise those of the counts and of the latent group, which may be
            larger than memory, are checked only when they are read; those of all other groups always are.

    Raises:
        DataError: in one line, for a path that is missing, foreign, unfinished, truncated, damaged, or of another
            schema version.
    """
    return open_checked(path, what="a simcell data set", check=check_attributes, validate=validate, verify=verify)


def open_checked(
    path: str | os.PathLike[str],
    *,
    what: str,
    check: Callable[[Any], None],
    validate: Callable[[xr.DataTree], None],
    verify: bool,
) -> xr.DataTree:
    """Open a zarr folder lazily once it is known to be whole: its attributes, its chunks, then what is in them.

    Args:
        what: it should be, for errors.
        check: of the root's attributes; raises DataError.
        validate: of the open tree; raises DataError.
        verify: as in `load`.

    Raises:
        DataError: as in `load`.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: does not exist")
    metadata = path / "zarr.json"
    if not metadata.is_file():
        raise DataError(f"{path}: not {what} (no zarr.json in it)")
    try:
        root = json.loads(metadata.read_text())
        attributes = root["attributes"]
    except (OSError, ValueError, LookupError, TypeError):
        raise DataError(f"{path}: not {what} (zarr.json cannot be read)") from None
    try:
        check(attributes)
        check_chunks(path, root, verify=verify)
        tree = open_store(path)
        validate(tree)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (*READ_ERRORS, TypeError) as error:
        raise DataError(f"{path}: damaged ({first_line(error)})") from error
    return tree


def open_store(path: Path) -> xr.DataTree:
    """Open a zarr folder lazily, without any check."""
    return xr.open_datatree(path, engine="zarr", consolidated=True, chunks=None, decode_cf=False)


def chunk_cells(tree: xr.DataTree) -> int:
    """Return the number of cells per stored chunk; all cells for a data set in memory."""
    counts = get_array(tree, "counts/umis")
    chunks = counts.encoding.get("chunks")
    return int(chunks[0]) if chunks else max(1, counts.sizes["cell"])


def iter_counts(
    tree: xr.DataTree, *, cells: int | None = None, variable: str = "counts/umis"
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the counts of all cells, block by block, so that no more than a block is in memory.

    Args:
        tree: the data set.
        cells: cells per block; by default those of a stored chunk, or more chunks of them where they are small.
        variable: any variable that runs over cells and genes.

    Yields:
        The number of the block's first cell, and the (cells, G) block.

    Raises:
        DataError: for a chunk whose bytes are damaged.
    """
    array = get_array(tree, variable)
    n_cells = array.sizes["cell"]
    if cells is None:
        stored = chunk_cells(tree)
        cells = stored * max(1, 256 // stored)
    for start in range(0, n_cells, cells):
        stop = min(start + cells, n_cells)
        try:
            block = array[start:stop].values
        except READ_ERRORS as error:
            source = tree.encoding.get("source", "data set")
            raise DataError(f"{source}: {variable} of cells {start} to {stop - 1} cannot be read: damaged") from error
        yield start, block


def read_counts(tree: xr.DataTree, cells: NDArray[Any] | None = None) -> scipy.sparse.csr_array:
    """Return the counts as a sparse int32 (cells, G) array, read block by block.

    Args:
        tree: the data set.
        cells: bool (all cells,) mask of the cells to keep; all by default.
    """
    blocks = []
    for start, block in iter_counts(tree):
        kept = block if cells is None else block[cells[start : start + len(block)]]
        blocks.append(scipy.sparse.csr_array(kept))
    return scipy.sparse.vstack(blocks, format="csr", dtype=np.int32)


def _check_shared(tree: xr.DataTree) -> None:
    """Check that a dimension has one size, and one list of names, wherever it occurs."""
    sizes: dict[str, tuple[int, str]] = {}
    names: dict[str, tuple[NDArray, str]] = {}
    for group in SCHEMA:
        if not has_group(tree, group.path):
            continue
        dataset = get_group(tree, group.path)
        for dim in map(str, dataset.sizes):
            size, where = sizes.setdefault(dim, (dataset.sizes[dim], group.path))
            if dataset.sizes[dim] != size:
                raise DataError(f"{group.path}: {dataset.sizes[dim]} along {dim}, {size} expected as in {where}")
            if dim not in dataset.variables:
                continue
            found = dataset.variables[dim].values
            expected, where = names.setdefault(dim, (found, group.path))
            if found is expected:
                if len(np.unique(found)) != len(found):
                    raise DataError(f"{group.path}/{dim}: names expected to be unique")
            elif not np.array_equal(found, expected):
                raise DataError(f"{group.path}/{dim}: not the same as {where}/{dim}")


def check_chunks(path: Path, root: dict[str, Any], *, verify: bool) -> None:
    """Check that the file of every chunk is there, and that the checksum at its end is that of its bytes."""
    for name, array in sorted(root["consolidated_metadata"]["metadata"].items()):
        if array["node_type"] != "array":
            continue
        sizes = array["chunk_grid"]["configuration"]["chunk_shape"]
        counts = [-(-size // chunk) for size, chunk in zip(array["shape"], sizes, strict=True)]
        for index in product(*map(range, counts)):
            chunk = path.joinpath(name, "c", *map(str, index))
            try:
                length = chunk.stat().st_size
            except OSError:
                length = 0
            if length <= _CHECKSUM_BYTES:
                raise DataError(f"truncated: chunk {'.'.join(map(str, index))} of {name} is missing")
            if verify or name not in _PER_CELL:
                data = chunk.read_bytes()
                stored = int.from_bytes(data[-_CHECKSUM_BYTES:], "little")
                if google_crc32c.value(data[:-_CHECKSUM_BYTES]) != stored:
                    raise DataError(f"damaged: chunk {'.'.join(map(str, index))} of {name} fails its checksum")


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
