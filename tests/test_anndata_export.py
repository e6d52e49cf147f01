"""The exported h5ad holds the same counts and labels, keeps the truth to itself unless asked, and appears whole."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers_dataset import make_example_tree

from simcell import anndata_export
from simcell.anndata_export import export_anndata
from simcell.errors import DataError, SimcellError
from simcell.schema import GROUPS, get_array, get_group
from simcell.store import write_tree

anndata = pytest.importorskip("anndata")


@pytest.fixture(scope="module")
def tree() -> xr.DataTree:
    return make_example_tree(3, times=(24.0, 96.0), cells_per_perturbation=40)


@pytest.fixture(scope="module")
def path(tree: xr.DataTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("screen") / "example.zarr"
    write_tree(tree, path, chunk_cells=256)  # more than one block
    return path


def test_counts_and_labels_are_those_of_the_data_set(tree: xr.DataTree, path: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = export_anndata(path, tmp_path / "x.h5ad")
        data = anndata.read_h5ad(out)
    counts, cells = get_array(tree, "counts/umis").values, get_group(tree, "cells")
    assert data.X.format == "csr"
    assert data.X.dtype == np.int32
    assert data.X.indices.dtype == data.X.indptr.dtype
    assert np.array_equal(data.X.toarray(), counts)
    assert data.var_names.tolist() == get_array(tree, "counts/gene").values.tolist()
    assert data.obs_names.is_unique
    names = {"nperts": "n_perturbations", "guide_id": "guides", "clone_id": "clone", "ncounts": "n_umis"}
    names |= {name: name for name in ("perturbation", "batch", "sample", "time", "medium", "planned")}
    for column, name in names.items():
        assert data.obs[column].tolist() == cells[name].values.tolist(), column
    assert data.obs["ngenes"].tolist() == (counts > 0).sum(1).tolist()
    assert data.obs["control"].tolist() == (cells["perturbation"].values == "control").tolist()
    assert set(data.obs["perturbation_type"]) == {"CRISPRi"}
    assert data.var["ncounts"].tolist() == counts.sum(0).tolist()
    assert data.var["ncells"].tolist() == (counts > 0).sum(0).tolist()


def test_the_file_bears_its_provenance_but_no_truth(tree: xr.DataTree, path: Path, tmp_path: Path) -> None:
    data = anndata.read_h5ad(export_anndata(path, tmp_path / "x.h5ad"))
    assert list(data.uns) == ["simcell"]
    assert data.uns["simcell"]["spec"] == tree.attrs["spec"]
    assert data.uns["simcell"]["seed"] == "3"
    assert data.uns["simcell"]["schema_version"] == 1
    assert data.uns["simcell"]["versions"] == tree.attrs["versions"]
    assert not data.varm
    assert not data.obsm
    assert not data.layers


def test_the_truth_is_exported_when_asked_for(tree: xr.DataTree, path: Path, tmp_path: Path) -> None:
    truth = anndata.read_h5ad(export_anndata(path, tmp_path / "x.h5ad", truth=True)).uns["truth"]
    groups = [name for name in GROUPS if name.startswith("truth/")]
    assert sorted(truth) == sorted(name.removeprefix("truth/") for name in groups)
    for name in groups:
        for variable, array in get_group(tree, name).variables.items():
            found = truth[name.removeprefix("truth/")][variable]
            assert np.array_equal(found, array.values.astype(object) if array.dtype.kind == "T" else array.values)


def test_a_data_set_in_memory_and_a_huge_seed(tree: xr.DataTree, tmp_path: Path) -> None:
    copy = tree.copy()
    copy.attrs["seed"] = 2**80
    data = anndata.read_h5ad(export_anndata(copy, tmp_path / "x.h5ad"))
    assert data.uns["simcell"]["seed"] == str(2**80)
    data.write_h5ad(tmp_path / "again.h5ad")
    again = anndata.read_h5ad(tmp_path / "again.h5ad")
    assert (again.X != data.X).nnz == 0


def test_perturbation_types_follow_the_guides_of_a_cell(tree: xr.DataTree, tmp_path: Path) -> None:
    copy = tree.copy()
    library = get_group(tree, "truth/guides")
    kinds = np.array(["knockout", *["crispra"] * (library.sizes["guide"] - 1)])
    copy["truth/guides"] = xr.DataTree(library.assign(modality=("guide", kinds)))
    obs = anndata.read_h5ad(export_anndata(copy, tmp_path / "x.h5ad")).obs
    assert set(obs.loc[obs["perturbation"] == "G000", "perturbation_type"]) == {"CRISPR-cas9"}
    assert set(obs.loc[obs["perturbation"] == "G001", "perturbation_type"]) == {"CRISPRa"}


def test_what_exists_is_replaced_only_with_force_and_only_if_it_is_hdf5(path: Path, tmp_path: Path) -> None:
    out = export_anndata(path, tmp_path / "x.h5ad")
    with pytest.raises(SimcellError, match=r"x.h5ad: exists; use --force to replace it"):
        export_anndata(path, out)
    export_anndata(path, out, force=True)
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(SimcellError, match=r"notes.txt: exists and is not an h5ad file; not replaced"):
        export_anndata(path, tmp_path / "notes.txt", force=True)
    with pytest.raises(DataError, match=r"does not exist"):
        export_anndata(tmp_path / "none.zarr", tmp_path / "y.h5ad")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["notes.txt", "x.h5ad"]


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_full_disk_is_noticed_before_hdf5_does(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    left = [calls]

    def full(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(SimcellError, match=r"^[^\n]*x.h5ad: the disk is full; nothing was written$"):
        export_anndata(path, tmp_path / "x.h5ad")
    assert not list(tmp_path.iterdir())


def test_the_full_disk_of_hdf5_is_told_in_one_line(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(f"Can't write data (errno = {errno.ENOSPC}, error message = '{os.strerror(errno.ENOSPC)}')")

    monkeypatch.setattr(anndata_export, "_obs", failing)
    with pytest.raises(SimcellError, match=r"^[^\n]*x.h5ad: the disk is full; nothing was written$"):
        export_anndata(path, tmp_path / "x.h5ad")
    assert not list(tmp_path.iterdir())


def test_without_anndata_the_remedy_is_named(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(SimcellError, match=r"pip install 'simcell\[anndata\]'"):
        export_anndata(path, tmp_path / "x.h5ad")
    assert not list(tmp_path.iterdir())
