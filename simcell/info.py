"""What is in a data set, as a page of plain text for a person at a terminal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from simcell.dataset import chunk_cells
from simcell.labels import CONTROL, perturbation_targets
from simcell.schema import SCHEMA, get_array, get_group, has_group


def describe(tree: xr.DataTree) -> str:
    """Return a summary of a data set, a line for each fact, without reading the counts.

    Args:
        tree: as given by `simcell.dataset.load`.
    """
    rows = list(_rows(tree))
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows)


def _rows(tree: xr.DataTree) -> Iterator[tuple[str, str]]:
    attrs = tree.attrs
    cells = get_group(tree, "cells")
    labels = Counter(cells["perturbation"].values.tolist())
    n_cells, n_genes = get_array(tree, "counts/umis").shape
    yield "screen", str(attrs["name"])
    yield "seed", f"{attrs['seed']}, replicate {attrs['replicate']}"
    yield "made by", ", ".join(f"{name} {version}" for name, version in attrs["versions"].items())
    yield "schema", f"version {attrs['schema_version']}"
    yield "cells", f"{n_cells:,}, of which {labels[CONTROL]:,} control ({labels[CONTROL] / n_cells:.1%})"
    yield "genes", f"{n_genes:,}"
    network = get_group(tree, "truth/network")
    yield "network", f"{network.sizes['edge']:,} edges, {len(set(network['regulator'].values.tolist())):,} regulators"
    yield "batches", _counted(cells["batch"].values.tolist())
    yield "samples", _counted(cells["sample"].values.tolist())
    yield "media", _counted(cells["medium"].values.tolist())
    yield "times", ", ".join(f"{time:g} h" for time in np.unique(cells["time"].values))
    yield "perturbations", _perturbations(labels)
    per_perturbation = [n for label, n in labels.items() if label != CONTROL]
    if per_perturbation:
        yield "cells of each", _spread(per_perturbation)
    yield "UMIs per cell", _spread(cells["n_umis"].values)
    unplanned = int((~cells["planned"].values).sum())
    if unplanned:
        yield "not planned", f"{unplanned:,} cells with guides that the library does not combine"
    response = get_group(tree, "truth/response")
    settled = response["settled"].values
    yield "settled arms", f"{settled.mean():.0%} of {settled.size:,} (perturbation, time) at their steady state"
    paths = [group.path for group in SCHEMA if has_group(tree, group.path)]
    yield "truth", ", ".join(path.removeprefix("truth/") for path in paths if path.startswith("truth/"))
    yield "latent", "intensity and molecules of every cell" if has_group(tree, "latent") else "not stored"
    yield "chunks", f"{chunk_cells(tree):,} cells x {n_genes:,} genes"
    source = tree.encoding.get("source")
    if source:
        yield "size on disk", _bytes(_disk_usage(Path(source)))


def _perturbations(labels: Counter[str]) -> str:
    orders = Counter(len(perturbation_targets(label)) for label in labels if label != CONTROL)
    names = {1: ("single", "singles"), 2: ("double", "doubles")}
    parts = [f"{n:,} {names.get(k, (f'{k}-way', f'{k}-way'))[n > 1]}" for k, n in sorted(orders.items())]
    return f"{orders.total():,}" + (f" ({', '.join(parts)})" if parts else "")


def _counted(values: list[str], *, shown: int = 6) -> str:
    counts = sorted(Counter(values).items())
    text = ", ".join(f"{name} ({n:,} cells)" for name, n in counts[:shown])
    return f"{len(counts):,}: {text}" + (", ..." if len(counts) > shown else "")


def _spread(values: object) -> str:
    low, middle, high = np.percentile(np.asarray(values), [25, 50, 75])
    return f"median {middle:,.0f}, quartiles {low:,.0f} to {high:,.0f}"


def _disk_usage(path: Path) -> int:
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
