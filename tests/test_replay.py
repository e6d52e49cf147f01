"""Replay: a data set comes out of its own specification again, bit for bit, and a changed one does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers_core import make_spec

from simcell import replay, simulate
from simcell.errors import DataError, SimcellError
from simcell.schema import SCHEMA

SPECS: dict[str, dict[str, Any]] = {
    "doubles": {},
    "moi": {"protocol": [{"step": "transduce", "moi": 1.5}, {"step": "culture", "hours": 12.0}, {"step": "harvest"}]},
    "knockout": {"library": {"modality": "knockout"}},
    "ode": {"engine": {"name": "ode"}},
    "media": {
        "signals": {"heat": [{"target": "A", "sign": 1}]},
        "media": {"base": {"heat": 0.2}, "hot": {"heat": 2.0}},
        "protocol": [
            {"step": "culture", "medium": "hot", "hours": 4.0},
            {"step": "transduce"},
            {"step": "culture", "medium": "base", "hours": 9.5},
            {"step": "harvest"},
        ],
    },
    "generated": {
        "network": {"kind": "grouped-scale-free", "genes": 30, "edges_per_gene": 2, "groups": 2},
        "library": {"targets": {"count": 5}, "combinations": [{"order": 3, "count": 4}]},
        "output": {"latent": False},
    },
}


def made(folder: Path, *, replicate: int = 0, **changes: Any) -> Path:
    return simulate(make_spec(**changes), folder / "screen.zarr", replicate=replicate, n_threads=1, progress=False)


def reread(path: Path) -> tuple[bool, str]:
    found = replay(path, n_threads=2, progress=False)
    return found.identical, "\n".join(found.lines)


def set_attributes(path: Path, **changes: Any) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"] |= changes
    (path / "zarr.json").write_text(json.dumps(metadata))


def attributes(path: Path) -> dict[str, Any]:
    return json.loads((path / "zarr.json").read_text())["attributes"]


@pytest.mark.parametrize("changes", SPECS.values(), ids=SPECS)
def test_a_data_set_is_replayed_bit_for_bit(changes: dict[str, Any], tmp_path: Path) -> None:
    path = made(tmp_path, **changes)
    identical, text = reread(path)
    assert identical, text
    assert text.count("identical") == len(SCHEMA) - (not changes.get("output", {"latent": True})["latent"])


def test_a_replicate_is_replayed_as_that_replicate(tmp_path: Path) -> None:
    assert reread(made(tmp_path, replicate=3))[0]
    set_attributes(tmp_path / "screen.zarr", replicate=2)
    assert not reread(tmp_path / "screen.zarr")[0]


def test_an_edge_list_that_is_gone_does_not_matter(tmp_path: Path) -> None:
    table = tmp_path / "edges.csv"
    table.write_text("regulator,target,sign\nA,B,+\nB,C,?\nC,A,-\n")
    path = made(tmp_path, network={"kind": "edge-list", "path": str(table)}, library={"targets": ["A", "B", "C"]})
    table.unlink()
    assert reread(path)[0]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("counts/umis", "counts"),
        ("latent/intensity", "latent"),
        ("truth/kinetics/mean", "truth/kinetics"),
        ("truth/response/ensemble_mean", "truth/response"),
        ("truth/cells/size_factor", "truth/cells"),
    ],
)
def test_one_number_that_was_changed_is_found(name: str, group: str, tmp_path: Path) -> None:
    path = made(tmp_path)
    array = zarr.open_array(path / name, mode="r+")
    where = (0,) * array.ndim
    old = np.asarray(array[where])
    array[where] = old + 1 if old.dtype.kind == "i" else np.nextafter(old, np.inf, dtype=old.dtype)
    try:
        identical, text = reread(path)
    except SimcellError as error:  # a reader may notice by itself that sums do not agree
        assert name == "counts/umis", error
        return
    assert not identical
    assert f"{group}: differs in {name.rsplit('/', 1)[1]}" in text
    assert text.count("differs") == 1


@pytest.mark.parametrize(
    "change",
    [
        ("seed: 7", "seed: 8"),
        ("cells_per_batch: 21", "cells_per_batch: 20"),
        ("latent: true", "latent: false"),
        ("cells_per_perturbation: 10", "cells_per_perturbation: 11"),
        ("hours: 30.0", "hours: 29.0"),
        ("targets: [A, B, E]", "targets: [A, C, E]"),
    ],
    ids=lambda change: change[0].strip(),
)
def test_another_specification_is_noticed(change: tuple[str, str], tmp_path: Path) -> None:
    path = made(tmp_path)
    text = attributes(path)["spec"]
    assert change[0] in text
    set_attributes(path, spec=text.replace(*change, 1))
    identical, lines = reread(path)
    assert not identical
    assert "differs" in lines


def test_other_versions_are_only_named_where_something_differs(tmp_path: Path) -> None:
    path = made(tmp_path)
    set_attributes(path, versions=attributes(path)["versions"] | {"numpy": "0.1"})
    identical, text = reread(path)
    assert identical
    assert "made by" not in text
    set_attributes(path, spec=attributes(path)["spec"].replace("seed: 7", "seed: 8", 1))
    identical, text = reread(path)
    assert not identical
    assert "'numpy': '0.1'" in text


def test_a_specification_that_is_none_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = made(tmp_path)
    set_attributes(path, spec="name: 3")
    with pytest.raises(SimcellError) as caught:
        reread(path)
    assert "\n" not in str(caught.value) or len(str(caught.value).splitlines()) <= 3


def test_replay_leaves_the_data_set_and_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert reread(path)[0]
    assert list(folder.iterdir()) == []
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_damaged_counts_are_an_error_and_no_difference(tmp_path: Path) -> None:
    path = made(tmp_path)
    chunk = path / "counts" / "umis" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-5])
    with pytest.raises(DataError, match="damaged"):
        replay(path, progress=False)
