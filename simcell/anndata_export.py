"""Export of a data set to AnnData (.h5ad), with the column names of scPerturb, counts streamed block by block.

In: a data set, or the path of one. Out: an h5ad file with raw counts in X (CSR, int32). By default it holds
nothing that an experimenter could not know: a method that is trained on the file cannot see the truth by mistake.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
import xarray as xr
from numpy.typing import NDArray

from simcell.dataset import iter_counts, load
from simcell.errors import SimcellError
from simcell.labels import CONTROL, SEPARATOR
from simcell.output import check_output, reserve, staged
from simcell.schema import GROUPS, get_array, get_group, has_group

if TYPE_CHECKING:
    import pandas as pd

KIND = "an h5ad file"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SLACK_BYTES = 1 << 20  # HDF5's own book-keeping
# Names of perturbation types in scPerturb's curated files; any other modality keeps its own name.
_PERTURBATION_TYPES = {"crispri": "CRISPRi", "crispra": "CRISPRa", "knockout": "CRISPR-cas9"}


def export_anndata(
    source: str | os.PathLike[str] | xr.DataTree,
    out: str | os.PathLike[str],
    *,
    truth: bool = False,
    force: bool = False,
) -> Path:
    """Write a data set as h5ad and return the path of the file.

    Columns of ``obs`` are named as in scPerturb (Peidli et al. 2024, doi:10.1038/s41592-023-02144-y): ``perturbation``
    ("control" without a target), ``nperts``, ``perturbation_type``, ``guide_id``, ``batch``, ``sample``, ``time`` in
    hours, ``ncounts``, ``ngenes``; beside them ``control``, ``medium``, ``clone_id`` and ``planned``. ``var`` has the
    genes, with ``ncounts`` and ``ncells``. Targets of a combination stay joined by "+" (in scPerturb by "_", which gene
    names may hold). ``uns["simcell"]`` has the specification, seed and versions that made the data.

    Args:
        source: a data set as given by `simcell.dataset.load`, or its path.
        out: h5ad file to be made.
        truth: whether the truth is put into ``uns["truth"]``, group by group, under the names of the data set.
        force: whether an h5ad file that stands at `out` is replaced.

    Memory holds one block of cells and the columns of ``obs``, and the truth if asked for.

    Raises:
        SimcellError: when anndata is not installed, when `out` cannot be written, and when the disk is full.
        DataError: when `source` is not a whole data set.
    """
    anndata, h5py = _require_anndata()
    check_output(out, force=force, ours=_is_hdf5, kind=KIND)
    tree = source if isinstance(source, xr.DataTree) else load(source)
    with staged(out, force=force, ours=_is_hdf5, kind=KIND) as stage, h5py.File(stage, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        genes_per_cell, umis_per_gene, cells_per_gene = _write_counts(anndata, file, tree, stage)
        reserve(stage, _table_bytes(tree, truth=truth))
        write = anndata.io.write_elem
        write(file, "obs", _obs(tree, genes_per_cell))
        write(file, "var", _var(tree, umis_per_gene, cells_per_gene))
        write(file, "uns", _uns(tree, truth=truth))
        for name in ("layers", "obsm", "varm", "obsp", "varp"):
            write(file, name, {})
    return Path(out)


def _require_anndata() -> tuple[Any, Any]:
    try:
        import anndata
        import anndata.io
        import h5py
    except ImportError:
        raise SimcellError("export needs anndata, which is not installed: pip install 'simcell[anndata]'") from None
    return anndata, h5py


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    except OSError:
        return False


def _write_counts(anndata: Any, file: Any, tree: xr.DataTree, stage: Path) -> tuple[NDArray, NDArray, NDArray]:
    """Append the counts to ``X``; return detected genes per cell, and UMIs and cells per gene."""
    n_cells, n_genes = get_array(tree, "counts/umis").shape
    genes_per_cell = np.zeros(n_cells, dtype=np.int64)
    umis_per_gene = np.zeros(n_genes, dtype=np.int64)
    cells_per_gene = np.zeros(n_genes, dtype=np.int64)
    # A cell has at most as many entries as UMIs; past 2^31 of them in all, 32-bit indices would overflow.
    entries = min(n_cells * n_genes, int(get_array(tree, "cells/n_umis").sum()))
    index_type = np.int32 if entries <= np.iinfo(np.int32).max else np.int64
    stored = None
    for start, block in iter_counts(tree):
        detected = block > 0
        genes_per_cell[start : start + len(block)] = detected.sum(axis=1)
        cells_per_gene += detected.sum(axis=0)
        umis_per_gene += block.sum(axis=0, dtype=np.int64)
        sparse = scipy.sparse.csr_matrix(block)
        reserve(stage, sparse.nnz * (4 + np.dtype(index_type).itemsize) + 8 * len(block) + _SLACK_BYTES)
        if stored is None:
            sparse.indptr, sparse.indices = sparse.indptr.astype(index_type), sparse.indices.astype(index_type)
            options = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
            anndata.io.write_elem(file, "X", sparse, dataset_kwargs=options)
            stored = anndata.io.sparse_dataset(file["X"])
        else:
            stored.append(sparse)
        file.flush()
    return genes_per_cell, umis_per_gene, cells_per_gene


def _table_bytes(tree: xr.DataTree, *, truth: bool) -> int:
    """Return a generous bound of what all but the counts takes in the file."""
    n_cells, n_genes = get_array(tree, "counts/umis").shape
    paths = [path for path in GROUPS if truth and path.startswith("truth/") and has_group(tree, path)]
    text = len(str(tree.attrs["spec"]).encode())
    return 256 * (n_cells + n_genes) + text + 4 * sum(get_group(tree, path).nbytes for path in paths) + _SLACK_BYTES


def _obs(tree: xr.DataTree, genes_per_cell: NDArray) -> pd.DataFrame:
    import pandas as pd

    cells = get_group(tree, "cells")
    text = {name: cells[name].values.astype(object) for name in ("perturbation", "guides", "batch", "sample", "medium")}
    columns = {
        "perturbation": pd.Categorical(text["perturbation"]),
        "control": text["perturbation"] == CONTROL,
        "nperts": cells["n_perturbations"].values,
        "perturbation_type": pd.Categorical(_perturbation_types(tree, text["guides"])),
        "guide_id": pd.Categorical(text["guides"]),
        "batch": pd.Categorical(text["batch"]),
        "sample": pd.Categorical(text["sample"]),
        "time": cells["time"].values,
        "medium": pd.Categorical(text["medium"]),
        "clone_id": cells["clone"].values,
        "planned": cells["planned"].values,
        "ncounts": cells["n_umis"].values,
        "ngenes": genes_per_cell,
    }
    return pd.DataFrame(columns, index=pd.Index([f"cell{i}" for i in range(len(genes_per_cell))], name="cell_barcode"))


def _perturbation_types(tree: xr.DataTree, guides: NDArray) -> list[str]:
    """Return the modality of every cell's guides (the design of the library, known to an experimenter)."""
    library = get_group(tree, "truth/guides")
    names, modalities = library["guide"].values.tolist(), library["modality"].values.tolist()
    known = {name: _PERTURBATION_TYPES.get(kind, kind) for name, kind in zip(names, modalities, strict=True)}
    found: dict[str, str] = {}
    for construct in set(guides):
        found[construct] = SEPARATOR.join(sorted({known[name] for name in construct.split(";") if name in known}))
    return [found[construct] for construct in guides]


def _var(tree: xr.DataTree, umis_per_gene: NDArray, cells_per_gene: NDArray) -> pd.DataFrame:
    import pandas as pd

    genes = pd.Index(get_array(tree, "counts/gene").values.astype(object), name="gene")
    return pd.DataFrame({"ncounts": umis_per_gene, "ncells": cells_per_gene}, index=genes)


def _uns(tree: xr.DataTree, *, truth: bool) -> dict[str, Any]:
    attrs = dict(tree.attrs)
    attrs["seed"] = str(attrs["seed"])  # a seed may be larger than any integer of HDF5
    uns: dict[str, Any] = {"simcell": {str(name): value for name, value in attrs.items() if name != "complete"}}
    if truth:
        uns["truth"] = {}
        for path in GROUPS:
            if path.startswith("truth/") and has_group(tree, path):
                group = get_group(tree, path)
                arrays = {str(name): group[name].values for name in group.variables}
                plain = {name: a.astype(object) if a.dtype.kind in "TU" else a for name, a in arrays.items()}
                uns["truth"][path.removeprefix("truth/")] = plain
    return uns
