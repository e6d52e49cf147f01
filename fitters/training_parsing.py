"""Parsing of training data: whatever arrays come in, what goes out is checked, private and read-only.

Every function raises `TrainingDataError`, naming the field and the first offending cell or gene.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from fitters.errors import TrainingDataError
from simcell.labels import CONTROL, SEPARATOR, perturbation_label, perturbation_targets

if TYPE_CHECKING:  # scipy is imported where it is used, so that listing the fitters stays quick
    from scipy.sparse import csr_array

ArrayT = TypeVar("ArrayT", bound=NDArray[Any])


def frozen(array: ArrayT) -> ArrayT:
    """Return a read-only view that reaches no array larger than itself."""
    view = (array if array.base is None else np.array(array)).view()
    view.flags.writeable = False
    return cast(ArrayT, view)


def parse_genes(genes: Any) -> tuple[str, ...]:
    """Return unique gene names that cannot be mistaken for labels."""
    if isinstance(genes, str) or not all(isinstance(gene, str) for gene in genes):
        raise TrainingDataError("genes", "is not a sequence of names")
    names = tuple(str(gene) for gene in genes)
    for name in names:
        if not name or name == CONTROL or SEPARATOR in name:
            allowed = f"a gene name (not empty, not {CONTROL!r}, without {SEPARATOR!r})"
            raise TrainingDataError("genes", f"{name!r} is not {allowed}")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise TrainingDataError("genes", f"{repeated!r} stands there {names.count(repeated)} times")
    return names


def parse_counts(counts: Any, genes: tuple[str, ...]) -> csr_array:
    """Return (cells, genes) counts as a read-only csr_array of int32 in canonical form, every cell with some count."""
    from scipy.sparse import csr_array, issparse

    if not issparse(counts):
        counts = np.asarray(counts)
    if counts.dtype.kind not in "iufb":
        raise TrainingDataError("counts", f"values of type {counts.dtype} are not numbers")
    if counts.ndim != 2 or counts.shape[1] != len(genes):
        raise TrainingDataError("counts", f"shape {counts.shape} is not (cells, {len(genes)} genes)")
    if counts.shape[0] == 0:
        raise TrainingDataError("counts", "no cells")
    table = csr_array(counts)
    if not table.has_canonical_format:
        table = table.copy()  # the sums are made in place, and the caller's matrix is the caller's
        table.sum_duplicates()
    value = table.data
    if value.dtype.kind == "f":
        _refuse(table, np.isnan(value), genes=genes, problem="is not a number")
        _refuse(table, value != np.floor(value), genes=genes, problem="is not a whole number")
    _refuse(table, value < 0, genes=genes, problem="is negative")
    _refuse(table, value > np.iinfo(np.int32).max, genes=genes, problem="is above the range of int32")
    empty = np.flatnonzero(np.asarray(table.sum(axis=1)) == 0)
    if empty.size:
        raise TrainingDataError("counts", f"{empty.size} cells have no count at all (first: cell {empty[0]})")
    parts = (value.astype(np.int32, copy=False), table.indices, table.indptr)
    kept = csr_array(counts.shape, dtype=np.int32)
    kept.data, kept.indices, kept.indptr = (frozen(np.asarray(part)) for part in parts)
    return kept


def _refuse(table: csr_array, wrong: NDArray[np.bool_], *, genes: tuple[str, ...], problem: str) -> None:
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        cell = int(np.searchsorted(table.indptr, first, side="right")) - 1
        where = f"cell {cell}, gene {genes[table.indices[first]]}"
        raise TrainingDataError("counts", f"{table.data[first]} {problem} ({where}; {int(wrong.sum())} such values)")


def parse_labels(labels: Any, *, field: str, n_cells: int) -> NDArray[np.str_]:
    """Return one label, not empty, per cell."""
    raw = np.asarray(labels)
    if raw.shape != (n_cells,):
        raise TrainingDataError(field, f"shape {raw.shape} is not ({n_cells},), one label per cell")
    if raw.dtype.kind != "U":
        for cell, label in enumerate(raw.tolist()):
            if not isinstance(label, str):
                raise TrainingDataError(field, f"cell {cell} has {label!r}, not a label")
    text = np.array(raw.tolist(), dtype=np.str_)
    empty = np.flatnonzero(np.strings.str_len(text) == 0)
    if empty.size:
        raise TrainingDataError(field, f"{empty.size} labels are empty (first: cell {empty[0]})")
    return frozen(text)


def canonical_perturbations(labels: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return condition labels with their targets sorted."""
    unique, code = np.unique(labels, return_inverse=True)
    canonical = []
    for label in unique.tolist():
        targets = perturbation_targets(label)
        if "" in targets or CONTROL in targets or len(set(targets)) < len(targets):
            allowed = f"{CONTROL!r} or different genes joined by {SEPARATOR!r}"
            raise TrainingDataError("perturbation", f"{label!r} is not {allowed}")
        canonical.append(perturbation_label(targets))
    return labels if canonical == unique.tolist() else frozen(np.array(canonical, dtype=np.str_)[code])


def parse_time(time: Any, *, n_cells: int) -> NDArray[np.float64]:
    """Return the hours of each cell, finite and not negative."""
    try:
        hours = np.array(time, dtype=np.float64)
    except (TypeError, ValueError):
        raise TrainingDataError("time", "is not an array of hours") from None
    if hours.shape != (n_cells,):
        raise TrainingDataError("time", f"shape {hours.shape} is not ({n_cells},), one time per cell")
    if not np.isfinite(hours).all() or (hours < 0).any():
        raise TrainingDataError("time", "has hours that are negative or not finite")
    return frozen(hours)
