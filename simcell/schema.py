"""The schema of a screen's data set: one table of groups and variables, from which checks and documentation both come.

In: the `xarray.Dataset` of one group. Out: the same with the declared types, units and descriptions, or a `DataError`
naming group, variable and what is expected. `simcell.dataset` checks a whole `xarray.DataTree` by the same table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from simcell.errors import DataError, nearest

FORMAT = "simcell-screen"
ATLAS_FORMAT = "simcell-atlas"
SCHEMA_VERSION = 1
STRING = np.dtypes.StringDType()


@dataclass(frozen=True)
class Variable:
    """One array of a group.

    Args:
        name: as stored. A variable named like its only dimension is a coordinate.
        dims: the dimensions, in storage order.
        dtype: a numpy type name, or ``"str"``.
        description: one line, field's terms.
        unit: as written beside a number; ``""`` for counts, labels and ratios.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    description: str
    unit: str = ""


@dataclass(frozen=True)
class Group:
    """A group of variables that share dimensions; an optional group may be absent, but not a part of it."""

    path: str
    description: str
    variables: tuple[Variable, ...]
    required: bool = True


_RESPONSE = ("time", "perturbation", "gene")
_GENE = Variable("gene", ("gene",), "str", "gene names, unique")
_REGULATOR = Variable("regulator", ("regulator",), "str", "names of the genes with a regulating protein")

ATTRIBUTES: dict[str, tuple[type, str]] = {
    "format": (str, f"always {FORMAT!r}"),
    "schema_version": (int, f"version of this table, now {SCHEMA_VERSION}"),
    "name": (str, "name of the screen"),
    "spec": (str, "the complete, resolved specification as YAML: enough to simulate the screen again"),
    "seed": (int, "root seed"),
    "replicate": (int, "number of the replicate under that seed"),
    "versions": (dict, "versions of simcell, python, numpy and numba that made the data"),
    "complete": (bool, "True once every chunk has been written"),
}

SCHEMA: tuple[Group, ...] = (
    Group(
        "cells",
        "what an experimenter knows of every cell",
        (
            Variable("perturbation", ("cell",), "str", "target genes, sorted, joined by '+'; 'control' without one"),
            Variable("n_perturbations", ("cell",), "int16", "number of distinct target genes"),
            Variable("guides", ("cell",), "str", "guides of the cell, joined by ';'"),
            Variable("batch", ("cell",), "str", "batch in which the cell was measured"),
            Variable("time", ("cell",), "float64", "time of sampling since the start of the protocol", "h"),
            Variable("sample", ("cell",), "str", "sample0, sample1, ... or harvest, by when the cell was taken"),
            Variable("medium", ("cell",), "str", "medium in which the cell was taken"),
            Variable("clone", ("cell",), "int64", "clone, by the number of its founder"),
            Variable("n_umis", ("cell",), "int64", "sum of the counts over genes"),
            Variable("planned", ("cell",), "bool", "whether the library holds the cell's combination of guides"),
        ),
    ),
    Group(
        "counts",
        "what the sequencer saw",
        (_GENE, Variable("umis", ("cell", "gene"), "int32", "UMI counts")),
    ),
    Group(
        "latent",
        "what was in the cells",
        (
            _GENE,
            Variable("intensity", ("cell", "gene"), "float32", "expected mRNA molecules given the history of the cell"),
            Variable("molecules", ("cell", "gene"), "int32", "mRNA molecules before capture"),
        ),
        required=False,
    ),
    Group(
        "truth/network",
        "the regulatory network, an edge per row",
        (
            Variable("regulator", ("edge",), "str", "gene that regulates"),
            Variable("target", ("edge",), "str", "gene that is regulated"),
            Variable("sign", ("edge",), "int8", "+1 activates, -1 represses"),
            Variable("strength", ("edge",), "float64", "weight in the regulation function: w, k or beta"),
            Variable(
                "half_response",
                ("edge",),
                "float64",
                "regulator at half response",
                "proteins",
            ),
        ),
    ),
    Group(
        "truth/kinetics",
        "rates and levels of the unperturbed cell",
        (
            _GENE,
            _REGULATOR,
            Variable("mean", ("gene",), "float64", "mean mRNA level", "molecules"),
            Variable("half_life", ("gene",), "float64", "mRNA half-life", "h"),
            Variable("splicing_half_life", ("gene",), "float64", "of unspliced transcripts; 0 without splicing", "h"),
            Variable("burst_size", ("gene",), "float64", "mean transcripts per burst", "molecules"),
            Variable("activity", ("gene",), "float64", "promoter activity, 0 to 1"),
            Variable("max_rate", ("gene",), "float64", "production at full promoter activity", "molecules/h"),
            Variable("basal", ("gene",), "float64", "basal term of the regulation function"),
            Variable("protein_half_life", ("regulator",), "float64", "protein half-life", "h"),
            Variable("protein_mean", ("regulator",), "float64", "mean protein level", "proteins"),
            Variable("translation_rate", ("regulator",), "float64", "proteins made per mRNA", "1/h"),
            Variable("hill", ("regulator",), "float64", "Hill coefficient"),
        ),
    ),
    Group(
        "truth/response",
        "the true response to every planned perturbation at every sampled time",
        (
            Variable("time", ("time",), "float64", "time since the start of the protocol", "h"),
            Variable("perturbation", ("perturbation",), "str", "'control', then every planned perturbation"),
            _GENE,
            Variable("mean_field", _RESPONSE, "float64", "level of the noise-free cell", "molecules"),
            Variable("ensemble_mean", _RESPONSE, "float64", "mean level over simulated cells", "molecules"),
            Variable("ensemble_se", _RESPONSE, "float64", "standard error of ensemble_mean", "molecules"),
            Variable("log_profile", _RESPONSE, "float64", "log profile that endless depth would show, log1p(1e4 p)"),
            Variable("settled", _RESPONSE[:2], "bool", "whether the noise-free arm had reached its steady state"),
            Variable("ensemble_cells", _RESPONSE[:2], "int64", "cells behind ensemble_mean"),
        ),
    ),
    Group(
        "truth/effects",
        "effects of regulators on genes around the unperturbed steady state",
        (
            _REGULATOR,
            _GENE,
            Variable("direct", ("regulator", "gene"), "float64", "d ln activity_g / d ln level_r"),
            Variable("total", ("regulator", "gene"), "float64", "d ln mean_g / d ln production_r"),
        ),
    ),
    Group(
        "truth/guides",
        "the guide library as it works",
        (
            Variable("guide", ("guide",), "str", "guide names, unique"),
            Variable("target", ("guide",), "str", "target gene; empty for a non-targeting guide"),
            Variable("modality", ("guide",), "str", "crispri, crispra, knockout"),
            Variable("efficacy", ("guide",), "float64", "fraction of the full effect that the guide reaches"),
        ),
    ),
    Group(
        "truth/cells",
        "what an experimenter cannot know of every cell",
        (
            Variable("size_factor", ("cell",), "float64", "capture of the cell relative to the mean"),
            Variable("size", ("cell",), "float64", "size of the cell, to which its amounts are proportional; mean 1"),
            Variable(
                "construct",
                ("cell",),
                "int32",
                "number of the cell's construct; -1 if there are several",
            ),
        ),
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

GROUPS: dict[str, Group] = {group.path: group for group in SCHEMA}


def strings(values: ArrayLike) -> NDArray[np.str_]:
    """Return `values` as an array of variable-width strings, the type of every text variable of a data set."""
    return np.asarray(values, dtype=STRING)


def conform(path: str, dataset: xr.Dataset, *, groups: Mapping[str, Group] = GROUPS) -> xr.Dataset:
    """Return `dataset` with the types, units and descriptions that a schema declares for the group at `path`.

    Values are never changed: an integer that does not fit the declared type is an error, and so are a variable that
    is missing, one that the schema does not know, and other dimensions than declared.
    """
    group = groups.get(path)
    if group is None:
        raise DataError(f"{path}: no such group in the schema{nearest(path, groups)}")
    known = {variable.name: variable for variable in group.variables}
    for name in map(str, dataset.variables):
        if name not in known:
            raise DataError(f"{path}/{name}: no such variable in the schema{nearest(name, known)}")
    coordinates: dict[str, xr.Variable] = {}
    data: dict[str, xr.Variable] = {}
    for variable in group.variables:
        found = find_variable(path, variable, dataset)
        attrs = {"description": variable.description} | ({"unit": variable.unit} if variable.unit else {})
        array = xr.Variable(variable.dims, _cast(f"{path}/{variable.name}", found.values, variable.dtype), attrs)
        (coordinates if variable.dims == (variable.name,) else data)[variable.name] = array
    return xr.Dataset(data, coordinates)


def get_group(tree: xr.DataTree, path: str) -> xr.Dataset:
    """Return the group at `path` (``"cells"``, ``"truth/network"``); `DataError` if the data set has none."""
    if not has_group(tree, path):
        raise DataError(f"{path}: missing group{f' ({GROUPS[path].description})' if path in GROUPS else ''}")
    node = tree[path]
    assert isinstance(node, xr.DataTree)
    return node.to_dataset(inherit=False)


def get_array(tree: xr.DataTree, name: str) -> xr.DataArray:
    """Return the variable called `name` (``"cells/batch"``); `DataError` if the data set has none."""
    path, _, variable = name.rpartition("/")
    group = get_group(tree, path)
    if variable not in group.variables:
        raise DataError(f"{name}: missing variable")
    return group[variable]


def has_group(tree: xr.DataTree, path: str) -> bool:
    """Return whether `tree` holds the group at `path` (``"latent"``, ``"truth/network"``)."""
    return f"/{path}" in tree.groups


def schema_markdown(
    *, attributes: Mapping[str, tuple[type, str]] = ATTRIBUTES, groups: Iterable[Group] = SCHEMA
) -> str:
    """Return a schema as Markdown: a table of the root attributes, then one of variables for every group."""
    return "\n".join(_markdown_lines(attributes, groups))


def _markdown_lines(attributes: Mapping[str, tuple[type, str]], groups: Iterable[Group]) -> Iterator[str]:
    yield from ("### `/`", "", "| attribute | type | meaning |", "|---|---|---|")
    for name, (kind, description) in attributes.items():
        yield f"| `{name}` | {kind.__name__} | {description} |"
    for group in groups:
        optional = "" if group.required else " (optional)"
        yield from ("", f"### `/{group.path}`{optional}: {group.description}", "")
        yield from ("| variable | dimensions | type | unit | meaning |", "|---|---|---|---|---|")
        for variable in group.variables:
            dims = ", ".join(variable.dims)
            yield f"| `{variable.name}` | {dims} | {variable.dtype} | {variable.unit} | {variable.description} |"


def find_variable(path: str, variable: Variable, dataset: xr.Dataset) -> xr.Variable:
    """Return what `dataset`, the group at `path`, holds of `variable`; `DataError` if it is not as declared."""
    expected = f"{variable.dtype} ({', '.join(variable.dims)}) expected: {variable.description}"
    if variable.name not in dataset.variables:
        raise DataError(f"{path}/{variable.name}: missing variable, {expected}")
    array = dataset.variables[variable.name]
    if array.dims != variable.dims:
        raise DataError(f"{path}/{variable.name}: dimensions ({', '.join(map(str, array.dims))}), {expected}")
    return array


def is_type(dtype: np.dtype, declared: str) -> bool:
    """Return whether `dtype` is the declared one; text may be stored in any of numpy's ways."""
    return dtype.kind in "TUO" if declared == "str" else dtype == np.dtype(declared)


def _cast(name: str, values: NDArray, declared: str) -> NDArray:
    if declared == "str":
        if values.dtype.kind not in "TUO":
            raise DataError(f"{name}: type {values.dtype}, str expected")
        return strings(values)
    dtype = np.dtype(declared)
    if values.dtype == dtype:
        return values
    order = "biuf"  # a bool may become an integer and an integer a float, never the other way
    kinds = order.find(values.dtype.kind), order.find(dtype.kind)
    if kinds[0] < 0 or (kinds[0] > kinds[1] and kinds != (2, 1)) or (dtype.kind == "b"):
        raise DataError(f"{name}: type {values.dtype}, {declared} expected")
    if dtype.kind in "iu" and values.size:
        limit = np.iinfo(dtype)
        if values.min() < limit.min or values.max() > limit.max:
            raise DataError(f"{name}: a value does not fit {declared}")
    return values.astype(dtype)
