"""A data set: what is written is read back bit for bit, what is damaged is named, and nothing half-written stays."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers_dataset import example_attributes, make_example_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from simcell import store
from simcell.dataset import chunk_cells, iter_counts, load, read_counts, validate
from simcell.errors import DataError, SimcellError
from simcell.info import describe
from simcell.schema import GROUPS, SCHEMA, conform, get_array, get_group, schema_markdown
from simcell.store import ScreenWriter, write_tree

REST = [group.path for group in SCHEMA if group.path not in ("counts", "latent")]


def start_writer(
    tree: xr.DataTree, path: Path, *, chunk: int = 100, latent: bool = False, force: bool = False
) -> ScreenWriter:
    genes = get_array(tree, "counts/gene").values.tolist()
    n_cells = get_group(tree, "cells").sizes["cell"]
    return ScreenWriter(
        path, genes=genes, n_cells=n_cells, chunk_cells=chunk, attrs=example_attributes(), latent=latent, force=force
    )


def flip_byte(chunk: Path) -> None:
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)


def edit_root(path: Path, **attributes: object) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"].update(attributes)
    (path / "zarr.json").write_text(json.dumps(metadata))


@pytest.fixture(scope="module")
def tree() -> xr.DataTree:
    return make_example_tree(1, latent=True, times=(24.0, 96.0))


@pytest.fixture(scope="module")
def written(tree: xr.DataTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written") / "example.zarr"
    write_tree(tree, path, chunk_cells=100)
    return path


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "copy.zarr"))


# Round trips


def test_a_data_set_is_read_back_identical_and_without_a_warning(
    tree: xr.DataTree, written: Path, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xr.testing.assert_identical(load(written, verify=True), tree)
        write_tree(load(written), tmp_path / "again.zarr", chunk_cells=37)
        xr.testing.assert_identical(load(tmp_path / "again.zarr", verify=True), tree)
        xr.testing.assert_identical(xr.open_datatree(written, chunks=None), tree)


def test_opening_leaves_the_arrays_on_disk(written: Path) -> None:
    array = get_array(load(written), "counts/umis")
    assert not array.variable._in_memory
    assert "dask" not in type(array.variable._data).__module__


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_random_counts_come_back_whatever_the_order_of_the_chunks(data: st.DataObject) -> None:
    n_cells, n_genes = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 12))
    chunk = data.draw(st.integers(1, 45))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    largest = data.draw(st.sampled_from([1, 3, 300, 2**31]))
    counts = rng.integers(0, largest, (n_cells, n_genes)) * (rng.random((n_cells, n_genes)) < 0.5)
    starts = data.draw(st.permutations(range(0, n_cells, min(chunk, n_cells))))
    full = make_example_tree(n_genes=n_genes + 8, cells_per_perturbation=4, n_controls=4)
    genes = get_array(full, "counts/gene").values.tolist()
    padded = np.hstack([counts, np.zeros((n_cells, 8), dtype=counts.dtype)])
    keep = {"cell": np.arange(n_cells) % get_group(full, "cells").sizes["cell"]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.zarr"
        with ScreenWriter(path, genes=genes, n_cells=n_cells, chunk_cells=chunk, attrs=example_attributes()) as writer:
            for start in starts:
                writer.write_chunk(start, counts=padded[start : start + chunk])
            for name in REST:
                group = get_group(full, name)
                group = group.isel(keep) if "cell" in group.sizes else group
                writer.write_group(name, group.assign(n_umis=("cell", writer.n_umis)) if name == "cells" else group)
        back = load(path, verify=True)
        assert np.array_equal(get_array(back, "counts/umis").values, padded)
        assert np.array_equal(read_counts(back).toarray(), padded)
        cells = data.draw(st.integers(1, 50))
        blocks = dict(iter_counts(back, cells=cells))
        assert np.array_equal(np.vstack(list(blocks.values())), padded)
        assert list(blocks) == list(range(0, n_cells, cells))


def test_threads_may_write_different_chunks(tree: xr.DataTree, tmp_path: Path) -> None:
    counts = get_array(tree, "counts/umis").values
    with start_writer(tree, tmp_path / "x.zarr", chunk=10) as writer, ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda start: writer.write_chunk(start, counts=counts[start : start + 10]), range(0, len(counts), 10)
            )
        )
        for name in REST:
            writer.write_group(name, get_group(tree, name))
    assert np.array_equal(get_array(load(tmp_path / "x.zarr"), "counts/umis").values, counts)


def test_blocks_and_masks_of_cells(tree: xr.DataTree, written: Path) -> None:
    data, counts = load(written), get_array(tree, "counts/umis").values
    assert chunk_cells(data) == 100
    mask = get_array(data, "cells/perturbation").values == "control"
    kept = read_counts(data, mask)
    assert kept.dtype == np.int32
    assert np.array_equal(kept.toarray(), counts[mask])
    intensity = np.vstack([block for _, block in iter_counts(data, variable="latent/intensity")])
    assert np.array_equal(intensity, get_array(tree, "latent/intensity").values)


# Validation


def without(tree: xr.DataTree, path: str) -> xr.DataTree:
    kept = xr.DataTree.from_dict({name: group for name, group in tree.to_dict().items() if name != f"/{path}"})
    kept.attrs = dict(tree.attrs)
    return kept


def replaced(tree: xr.DataTree, path: str, dataset: xr.Dataset) -> xr.DataTree:
    other = xr.DataTree.from_dict(tree.to_dict() | {f"/{path}": dataset})
    other.attrs = dict(tree.attrs)
    return other


def test_the_example_is_valid(tree: xr.DataTree) -> None:
    validate(tree)
    validate(make_example_tree(2))


@pytest.mark.parametrize("path", REST)
def test_a_missing_group_is_named(tree: xr.DataTree, path: str) -> None:
    with pytest.raises(DataError, match=rf"^{path}: missing group"):
        validate(without(tree, path))


@pytest.mark.parametrize(("path", "name"), [(group.path, v.name) for group in SCHEMA for v in group.variables])
def test_a_missing_variable_is_named(tree: xr.DataTree, path: str, name: str) -> None:
    with pytest.raises(DataError, match=rf"^{path}/{name}: missing variable, .* expected"):
        validate(replaced(tree, path, get_group(tree, path).drop_vars(name)))


def test_other_types_dimensions_sizes_and_names_are_refused(tree: xr.DataTree) -> None:
    cells, effects = get_group(tree, "cells"), get_group(tree, "truth/effects")
    network, response = get_group(tree, "truth/network"), get_group(tree, "truth/response")
    cases = [
        (
            "cells",
            cells.assign(batch=("cell", np.zeros(cells.sizes["cell"]))),
            "cells/batch: type float64, str expected",
        ),
        ("cells", cells.assign(time=cells.time.astype("int32")), "cells/time: type int32, float64 expected"),
        ("cells", cells.isel(cell=slice(5)), "along cell, 5 expected as in cells"),
        (
            "truth/effects",
            effects.transpose("gene", "regulator"),
            r"truth/effects/direct: dimensions \(gene, regulator\)",
        ),
        ("truth/effects", effects.isel(gene=slice(None, None, -1)), "truth/effects/gene: not the same as counts/gene"),
        ("truth/network", network.assign(target=("edge", ["X"] * network.sizes["edge"])), "target: 'X' is not a gene"),
        ("truth/response", response.isel(perturbation=slice(1, None)), "perturbation: 'control' expected first"),
    ]
    for path, dataset, message in cases:
        with pytest.raises(DataError, match=message):
            validate(replaced(tree, path, dataset))


def test_conform_casts_to_the_declared_types_and_refuses_what_would_change_a_value(tree: xr.DataTree) -> None:
    cells = get_group(tree, "cells")
    loose = cells.assign(n_perturbations=cells.n_perturbations.astype("int64"), batch=cells.batch.astype(object))
    xr.testing.assert_identical(conform("cells", loose), cells)
    with pytest.raises(DataError, match=r"cells/n_perturbations: a value does not fit int16"):
        conform("cells", cells.assign(n_perturbations=cells.n_perturbations.astype("int64") + 40_000))
    with pytest.raises(DataError, match=r"cells/clone: type float64, int64 expected"):
        conform("cells", cells.assign(clone=cells.clone.astype(float)))
    with pytest.raises(DataError, match=r"cells/bacth: no such variable in the schema \(did you mean 'batch'\?\)"):
        conform("cells", cells.rename(batch="bacth"))
    with pytest.raises(
        DataError, match=r"truth/efects: no such group in the schema \(did you mean 'truth/effects'\?\)"
    ):
        conform("truth/efects", cells)


def test_the_schema_documents_itself() -> None:
    text = schema_markdown()
    for group in SCHEMA:
        assert f"### `/{group.path}`" in text
        for variable in group.variables:
            assert variable.description in text
    assert len(GROUPS) == len(SCHEMA)


# Files that are not whole


def test_paths_that_are_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.zarr: does not exist"):
        load(tmp_path / "nothing.zarr")
    with pytest.raises(DataError, match=r"not a simcell data set \(no zarr.json"):
        load(tmp_path)
    (tmp_path / "text.zarr").write_text("hello")
    with pytest.raises(DataError, match=r"not a simcell data set \(no zarr.json"):
        load(tmp_path / "text.zarr")
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(DataError, match=r"zarr.json cannot be read"):
        load(tmp_path)
    xr.Dataset({"x": ("y", np.arange(3))}).to_zarr(tmp_path / "foreign.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(DataError, match=r"foreign.zarr: not a simcell data set"):
        load(tmp_path / "foreign.zarr")


def test_another_version_and_an_unfinished_file(copy: Path) -> None:
    edit_root(copy, schema_version=2)
    with pytest.raises(DataError, match=r"copy.zarr: schema version 2, this simcell reads version 1"):
        load(copy)
    edit_root(copy, schema_version=1, complete=False)
    with pytest.raises(DataError, match=r"not complete"):
        load(copy)
    edit_root(copy, complete=True, seed="7")
    with pytest.raises(DataError, match=r"attribute 'seed': str, int expected"):
        load(copy)


@pytest.mark.parametrize("chunk", ["counts/umis/c/1/0", "cells/batch/c/0", "truth/response/log_profile/c/0/0/0"])
def test_a_missing_or_empty_chunk_is_found_on_opening(copy: Path, chunk: str) -> None:
    (copy / chunk).write_bytes(b"")
    with pytest.raises(DataError, match=r"truncated: chunk .* is missing"):
        load(copy)
    (copy / chunk).unlink()
    with pytest.raises(DataError, match=r"truncated: chunk .* is missing"):
        load(copy)


def test_a_missing_group_folder_is_found_on_opening(copy: Path) -> None:
    shutil.rmtree(copy / "truth" / "effects")
    with pytest.raises(DataError, match=r"truncated: chunk .* of truth/effects"):
        load(copy)


@pytest.mark.parametrize("chunk", ["cells/perturbation/c/0", "truth/network/sign/c/0"])
def test_damaged_bytes_of_a_small_group_are_found_on_opening(copy: Path, chunk: str) -> None:
    flip_byte(copy / chunk)
    with pytest.raises(DataError, match=r"damaged: chunk 0 of .* fails its checksum"):
        load(copy)


def test_damaged_counts_are_found_on_reading(copy: Path) -> None:
    flip_byte(copy / "counts/umis/c/3/0")
    with pytest.raises(DataError, match=r"damaged: chunk 3.0 of counts/umis"):
        load(copy, verify=True)
    data = load(copy)
    with pytest.raises(DataError, match=r"copy.zarr: counts/umis of cells 300 to .* cannot be read: damaged"):
        list(iter_counts(data, cells=100))


# Writing: whole or not at all


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, OSError])
def test_an_exception_leaves_nothing_behind(tree: xr.DataTree, tmp_path: Path, error: type[BaseException]) -> None:
    counts = get_array(tree, "counts/umis").values
    with pytest.raises(error), start_writer(tree, tmp_path / "x.zarr") as writer:
        writer.write_chunk(0, counts=counts[:100])
        raise error
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line_and_leaves_nothing_behind(
    tree: xr.DataTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zarr.storage import LocalStore

    put, left = LocalStore.set, [60]

    async def failing(self: LocalStore, *args: object, **more: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        await put(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalStore, "set", failing)
    with pytest.raises(SimcellError, match=r"^[^\n]*x.zarr: the disk is full; nothing was written$"):
        write_tree(tree, tmp_path / "x.zarr", chunk_cells=20)
    assert left[0] < 0
    assert not list(tmp_path.iterdir())


def test_what_is_not_whole_is_not_published(tree: xr.DataTree, tmp_path: Path) -> None:
    counts = get_array(tree, "counts/umis").values
    n_cells = len(counts)
    with (
        pytest.raises(DataError, match=rf"{n_cells - 100} cells were not written, the first is cell 100"),
        start_writer(tree, tmp_path / "x.zarr") as writer,
    ):
        writer.write_chunk(0, counts=counts[:100])
    with (
        pytest.raises(DataError, match=r"truth/assay: missing group"),
        start_writer(tree, tmp_path / "x.zarr", chunk=n_cells) as writer,
    ):
        writer.write_chunk(0, counts=counts)
        for name in REST[:-1]:
            writer.write_group(name, get_group(tree, name))
    with (
        pytest.raises(DataError, match=r"cells/n_umis: not the sum of the counts"),
        start_writer(tree, tmp_path / "x.zarr", chunk=n_cells) as writer,
    ):
        writer.write_chunk(0, counts=counts[::-1])
        for name in REST:
            writer.write_group(name, get_group(tree, name))
    assert not list(tmp_path.iterdir())


def test_chunks_that_do_not_fit_are_refused(tree: xr.DataTree, tmp_path: Path) -> None:
    counts = get_array(tree, "counts/umis").values
    with pytest.raises(ZeroDivisionError), start_writer(tree, tmp_path / "x.zarr") as writer:
        for start, block, error, message in [
            (50, counts[50:150], ValueError, "start 50 is not the first cell of a chunk of 100"),
            (len(counts) + 100 - len(counts) % 100, counts[:100], ValueError, "is not the first cell"),
            (0, counts[:99], ValueError, "shape .99, 40., .100, 40. expected"),
            (0, counts[:100] - 10_000, DataError, "a value is negative"),
            (0, counts[:100] * 1.0, DataError, "type float64, integers expected"),
            (0, counts[:100].astype(np.int64) + 2**31, DataError, "does not fit int32"),
        ]:
            with pytest.raises(error, match=message):
                writer.write_chunk(start, counts=block)
        with pytest.raises(ValueError, match=r"if and only if latent=True"):
            writer.write_chunk(0, counts=counts[:100], molecules=counts[:100])
        with pytest.raises(DataError, match=r"cells: 5 cells, "):
            writer.write_group("cells", get_group(tree, "cells").isel(cell=slice(5)))
        raise ZeroDivisionError
    with pytest.raises(ValueError, match=r"the writer is closed"):
        writer.write_chunk(0, counts=counts[:100])
    with (
        pytest.raises(DataError, match=r"latent/intensity: finite numbers expected"),
        start_writer(tree, tmp_path / "x.zarr", latent=True) as writer,
    ):
        writer.write_chunk(0, counts=counts[:100], intensity=np.full((100, 40), np.nan), molecules=counts[:100])
    assert not list(tmp_path.iterdir())


def test_an_output_that_exists_is_replaced_only_with_force_and_only_at_the_end(tree: xr.DataTree, copy: Path) -> None:
    other = make_example_tree(5)
    with pytest.raises(SimcellError, match=r"copy.zarr: exists; use --force to replace it"):
        start_writer(other, copy)
    with pytest.raises(ZeroDivisionError), start_writer(other, copy, force=True):
        raise ZeroDivisionError
    xr.testing.assert_identical(load(copy), tree)
    write_tree(other, copy, force=True)
    xr.testing.assert_identical(load(copy), other)
    assert [entry.name for entry in copy.parent.iterdir()] == ["copy.zarr"]


def test_a_failing_move_puts_the_old_file_back(tree: xr.DataTree, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, calls = os.rename, []

    def failing(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, "input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match=r"input/output error"):
        write_tree(make_example_tree(5), copy, force=True)
    xr.testing.assert_identical(load(copy), tree)
    assert [entry.name for entry in copy.parent.iterdir()] == ["copy.zarr"]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_not_ours_is_never_replaced(tree: xr.DataTree, tmp_path: Path, force: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("precious")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "file", "link"):
        with pytest.raises(SimcellError, match=rf"{name}: exists and is not a simcell file; not replaced"):
            write_tree(tree, tmp_path / name, force=force)
    assert (tmp_path / "folder" / "thesis.tex").read_text() == "precious"
    with pytest.raises(SimcellError, match=r"the folder .*missing does not exist"):
        write_tree(tree, tmp_path / "missing" / "x.zarr", force=force)
    with pytest.raises(SimcellError, match=r"a file name is expected"):
        write_tree(tree, Path(".."), force=force)


def test_what_a_killed_run_left_is_cleared_by_the_next(tree: xr.DataTree, copy: Path) -> None:
    other = make_example_tree(5)
    stale = copy.parent / ".copy.zarr.partial"
    (stale / "new").mkdir(parents=True)
    (stale / "new" / "zarr.json").write_text("{}")
    os.rename(copy, stale / "old")  # killed between the two renames of a replacement
    with pytest.raises(SimcellError, match=r"exists; use --force"), start_writer(other, copy):
        pass
    xr.testing.assert_identical(load(copy), tree)
    (stale / "new").mkdir(parents=True)
    write_tree(other, copy, force=True)
    xr.testing.assert_identical(load(copy), other)
    assert [entry.name for entry in copy.parent.iterdir()] == ["copy.zarr"]


def test_a_second_run_on_the_same_path_is_refused(tree: xr.DataTree, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), start_writer(tree, tmp_path / "x.zarr"):
        with (
            pytest.raises(SimcellError, match=r"x.zarr: another run is writing it"),
            start_writer(tree, tmp_path / "x.zarr"),
        ):
            pass
        assert (tmp_path / ".x.zarr.partial" / "new").is_dir()
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_closing_waits_for_threads_that_are_still_writing(
    tree: xr.DataTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = get_array(tree, "counts/umis").values
    begun, go_on = threading.Event(), threading.Event()

    class Slow:
        def __setitem__(self, key: object, value: object) -> None:
            begun.set()
            go_on.wait(10)

    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(ZeroDivisionError),
        start_writer(tree, tmp_path / "x.zarr") as writer,
    ):
        monkeypatch.setitem(writer._arrays, "counts/umis", Slow())
        job = pool.submit(writer.write_chunk, 0, counts=counts[:100])
        begun.wait(10)
        threading.Timer(0.05, go_on.set).start()
        raise ZeroDivisionError
    assert job.done()
    assert not list(tmp_path.iterdir())


def test_only_our_own_folders_count_as_screens(written: Path, tmp_path: Path) -> None:
    assert store.is_screen(written)
    for text in ("", "[]", "{}", '{"attributes": {"format": "other"}}', '{"attributes": null}'):
        (tmp_path / "zarr.json").write_text(text)
        assert not store.is_screen(tmp_path)


# Summary


def test_the_summary_tells_what_is_in_a_file(tree: xr.DataTree, written: Path) -> None:
    text = describe(load(written))
    rows = dict(line.split("  ", 1) for line in text.splitlines())
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    n_umis = get_array(tree, "cells/n_umis").values
    assert rows["screen"] == "example"
    assert rows["seed"] == "1, replicate 0"
    assert rows["cells"].startswith(f"{len(n_umis)}, of which 60 control")
    assert rows["perturbations"] == "12 (8 singles, 4 doubles)"
    assert rows["UMIs per cell"].startswith(f"median {np.median(n_umis):,.0f}, quartiles ")
    assert rows["settled arms"].startswith("50% of 26")
    assert rows["chunks"] == "100 cells x 40 genes"
    assert rows["latent"].startswith("intensity")
    assert "response" in rows["truth"]
    assert rows["size on disk"].endswith(("kB", "MB"))
    assert "size on disk" not in describe(tree)
