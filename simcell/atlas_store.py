"""The file of an atlas: its schema, its writer (chunks of cells in, one zarr folder out) and its reader.

It is kept as a screen is: counts by chunks of cells with checksums, under its name only once it is complete; what an
experimenter could know stands in `/cells` and `/counts`, what is true in `/truth`.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from simcell.dataset import open_checked, open_store
from simcell.errors import DataError
from simcell.output import check_output, staged
from simcell.schema import ATLAS_FORMAT as FORMAT
from simcell.schema import Group, Variable, conform, find_variable, get_group, has_group, is_type, strings
from simcell.store import chunk_shape, create_array

SCHEMA_VERSION = 1
KIND = "a simcell atlas"

ATTRIBUTES: dict[str, tuple[type, str]] = {
    "format": (str, f"always {FORMAT!r}"),
    "schema_version": (int, f"version of this table, now {SCHEMA_VERSION}"),
    "name": (str, "name of the screen whose world it is of"),
    "spec": (str, "the complete, resolved specification of that screen as YAML"),
    "seed": (int, "root seed of that screen"),
    "arguments": (dict, "cells, tissues, regulators_changed and fold_sigma"),
    "versions": (dict, "versions of simcell, python, numpy and numba that made the data"),
    "complete": (bool, "True once every chunk has been written"),
}
_GENE = Variable("gene", ("gene",), "str", "gene names, unique")
_COUNTS = Variable("umis", ("cell", "gene"), "int32", "UMI counts")
ATLAS_SCHEMA: tuple[Group, ...] = (
    Group(
        "cells",
        "what an experimenter knows of every cell",
        (
            Variable("tissue", ("cell",), "str", "tissue0, the wild type of the screen, tissue1, ..."),
            Variable("batch", ("cell",), "str", "batch in which the cell was measured; none of the screen's"),
        ),
    ),
    Group("counts", "what the sequencer saw", (_GENE, _COUNTS)),
    Group(
        "truth/tissues",
        "what makes the tissues",
        (
            Variable("tissue", ("tissue",), "str", "tissue0, tissue1, ..."),
            Variable("regulator", ("regulator",), "str", "names of the genes with a regulating protein"),
            _GENE,
            Variable("factor", ("tissue", "regulator"), "float64", "transcription over that of the wild type"),
            Variable("medium", ("tissue",), "str", "medium that the tissue's cells live in"),
            Variable("mean_field", ("tissue", "gene"), "float64", "mRNA of the noise-free cell", "molecules"),
            Variable("settled", ("tissue",), "bool", "whether the noise-free cell had come to rest"),
        ),
    ),
    Group(
        "truth/cells",
        "what an experimenter cannot know of every cell",
        (Variable("size_factor", ("cell",), "float64", "capture of the cell relative to the mean"),),
    ),
    Group(
        "truth/assay",
        "what the measurement did",
        (
            Variable("batch", ("batch",), "str", "batch names"),
            _GENE,
            Variable("efficiency", ("batch", "gene"), "float64", "capture of a gene in a batch relative to the mean"),
        ),
    ),
)
_GROUPS = {group.path: group for group in ATLAS_SCHEMA}


class AtlasWriter:
    """Write one atlas, as a context manager; on any exception, and on Ctrl-C, nothing is left behind.

    Args:
        path: zarr folder to be made.
        genes: the G gene names.
        n_cells: number of cells.
        chunk_cells: cells per stored chunk.
        attrs: root attributes ``name``, ``spec``, ``seed``, ``arguments``, ``versions``.
        force: whether an atlas that stands at `path` is replaced (only then, and at the very end).

    Raises:
        SimcellError: `path` cannot be written; before any work.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        genes: Sequence[str],
        n_cells: int,
        chunk_cells: int,
        attrs: Mapping[str, Any],
        force: bool,
    ) -> None:
        self.path, self._force = check_output(path, force=force, ours=is_atlas, kind=KIND), force
        self._genes, self._shape, self._chunk_cells = strings(list(genes)), (n_cells, len(genes)), chunk_cells
        self._attrs = {"format": FORMAT, "schema_version": SCHEMA_VERSION} | dict(attrs)
        self._written = np.zeros(n_cells, bool)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._store = self._stack.enter_context(staged(self.path, force=self._force, ours=is_atlas, kind=KIND))
        try:
            self._root = zarr.create_group(str(self._store), zarr_format=3, attributes=self._attrs)
            counts = self._root.create_group("counts")
            create_array(counts, _GENE, self._genes.shape, chunk_shape(self._genes))[...] = self._genes
            self._counts = create_array(counts, _COUNTS, self._shape, (self._chunk_cells, self._shape[1]))
        except BaseException as error:
            if not self._stack.__exit__(type(error), error, error.__traceback__):
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if error is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            self._finish()
        return None

    def write_chunk(self, start: int, counts: NDArray[np.int32]) -> None:
        """Write the cells `start`, `start` + 1, ... of one stored chunk; threads may write different chunks at once."""
        stop = start + len(counts)
        self._counts[start:stop] = counts
        self._written[start:stop] = True

    def write_group(self, path: str, dataset: xr.Dataset) -> None:
        """Write a whole group other than the counts; DataError where it is not as the schema declares it."""
        dataset = conform(path, dataset, groups=_GROUPS)
        group = self._root.require_group(path)
        for variable in _GROUPS[path].variables:
            values = dataset.variables[variable.name].values
            array = create_array(group, variable, values.shape, chunk_shape(values))
            if values.size:
                array[...] = values

    def _finish(self) -> None:
        if not self._written.all():
            raise DataError(f"{self.path}: {int((~self._written).sum())} cells were not written")
        self._root.attrs["complete"] = True
        with warnings.catch_warnings():
            # Consolidated metadata is an extension of zarr format 3; xarray opens a data set by it in one read.
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            zarr.consolidate_metadata(str(self._store), zarr_format=3)
        tree = open_store(self._store)
        try:
            _validate(tree)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from None
        finally:
            tree.close()


def load_atlas(path: str | os.PathLike[str], *, verify: bool = False) -> xr.DataTree:
    """Open an atlas, check that it is whole, and return it with its arrays still on disk.

    Args:
        path: zarr folder written by `simulate_atlas`.
        verify: check the bytes of the counts too, which are otherwise checked when they are read.

    Raises:
        DataError: in one line, for a path that is missing, foreign, unfinished, truncated, damaged, or of another
            schema version.
    """
    return open_checked(path, what=KIND, check=_check_attributes, validate=_validate, verify=verify)


def is_atlas(path: Path) -> bool:
    """Return whether `path` is an atlas that this package wrote, of whatever schema version."""
    try:
        metadata = json.loads((path / "zarr.json").read_text())
        return bool(metadata["attributes"]["format"] == FORMAT)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _check_attributes(attrs: object) -> None:
    if not isinstance(attrs, dict) or attrs.get("format") != FORMAT:
        raise DataError(f"not {KIND} (format {FORMAT!r} expected)")
    if attrs.get("schema_version") != SCHEMA_VERSION:
        version = attrs.get("schema_version")
        raise DataError(f"schema version {version!r} of atlases, this simcell reads version {SCHEMA_VERSION}")
    if attrs.get("complete") is not True:
        raise DataError("not complete: the run that wrote it did not finish")
    for name, (kind, description) in ATTRIBUTES.items():
        if not isinstance(attrs.get(name), kind):
            raise DataError(f"attribute {name!r}: {kind.__name__} expected ({description})")


def _validate(tree: xr.DataTree) -> None:
    """Raise `DataError` unless all variables are there, as declared, and of sizes that agree."""
    sizes: dict[str, int] = {}
    for group in ATLAS_SCHEMA:
        if not has_group(tree, group.path):
            raise DataError(f"{group.path}: missing group ({group.description})")
        dataset = get_group(tree, group.path)
        for variable in group.variables:
            array = find_variable(group.path, variable, dataset)
            if not is_type(array.dtype, variable.dtype):
                raise DataError(f"{group.path}/{variable.name}: type {array.dtype}, {variable.dtype} expected")
        for dim, size in dataset.sizes.items():
            if sizes.setdefault(str(dim), size) != size:
                raise DataError(f"{group.path}: {size} along {dim}, {sizes[str(dim)]} expected")
