"""Atlases: tissues differ by their regulators as the truth says, bit for bit alike however they are made; refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_core import make_spec

import simcell.atlas
from experiments import cli
from experiments.atlases import atlas_of
from simcell import build_screen, load, load_atlas, simulate_atlas
from simcell.atlas import Tissues, draw_tissues
from simcell.atlas_store import ATLAS_SCHEMA
from simcell.course import course
from simcell.errors import DataError, SimcellError, SpecError
from simcell.protocol import Segment, Timeline
from simcell.schema import get_array

# A -> B -> C, A -| D; E -> F
SMALL: dict[str, Any] = {"cells": 90, "tissues": 3, "regulators_changed": 0.5}


def written(folder: Path, name: str = "atlas.zarr", *, spec: dict[str, Any] | None = None, **options: Any) -> Any:
    path = simulate_atlas(spec or make_spec(), folder / name, progress=False, **SMALL | options)
    return load_atlas(path, verify=True)


def values(tree: Any, name: str) -> np.ndarray:
    return get_array(tree, name).values


def everything(tree: Any) -> dict[str, np.ndarray]:
    names = [f"{group.path}/{variable.name}" for group in ATLAS_SCHEMA for variable in group.variables]
    return {name: values(tree, name) for name in names}


def raised(factor: float) -> Callable[..., Tissues]:
    """Return a drawing of two tissues of which the second makes more of A."""

    def draw(network: Any, **_: Any) -> Tissues:
        names = np.array(network.genes)[network.regulators]
        return Tissues(np.where(names == "A", np.array([[1.0], [factor]]), 1.0), np.zeros(2, np.int64))

    return draw


# what is in it


def test_an_atlas_holds_what_its_schema_says(tmp_path: Path) -> None:
    tree = written(tmp_path)
    assert values(tree, "counts/umis").shape == (90, 6)
    assert np.unique(values(tree, "cells/tissue"), return_counts=True)[1].tolist() == [30, 30, 30]
    pairs = set(zip(values(tree, "cells/tissue"), values(tree, "cells/batch"), strict=True))
    assert len(pairs) == 3 * 2, "every batch has cells of all tissues"
    factor = values(tree, "truth/tissues/factor")
    assert (factor[0] == 1.0).all()
    assert (factor[1:] != 1.0).sum(axis=1).tolist() == [2, 2]  # half of the four regulators
    assert tree.attrs["arguments"] == SMALL | {"fold_sigma": 1.0}
    with pytest.raises(DataError, match=r"not a simcell data set but an atlas, which simcell.load_atlas reads"):
        load(tmp_path / "atlas.zarr")


def test_fitters_get_counts_and_tissues_of_it(tmp_path: Path) -> None:
    tree = written(tmp_path)
    atlas = atlas_of(tmp_path / "atlas.zarr")
    assert atlas.genes == tuple("ABCDEF")
    np.testing.assert_array_equal(atlas.counts.toarray(), values(tree, "counts/umis"))
    np.testing.assert_array_equal(atlas.tissue, values(tree, "cells/tissue"))


def test_tissue_0_has_the_wild_types_means_and_a_raised_activator_moves_its_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(
        assay={"batch_sigma": 0.0}, engine={"burn_in_hours": None}, cell={"strength": {"low": 6.0, "high": 8.0}}
    )
    model = build_screen(spec).model
    monkeypatch.setattr(simcell.atlas, "draw_tissues", raised(6.0))
    options: dict[str, Any] = {"cells": 4000, "tissues": 2}
    tree = written(tmp_path, spec=spec, **options)
    mean = values(tree, "truth/tissues/mean_field")
    np.testing.assert_allclose(mean[0], model.mean, rtol=1e-6)
    fold = np.log(mean[1] / mean[0])
    assert fold[0] == pytest.approx(np.log(6.0), rel=1e-3)
    assert fold[1] > 0.1 and fold[3] < -0.1  # A activates B and represses D
    np.testing.assert_allclose(fold[4:], 0.0, atol=1e-6)  # E and F are none of its targets

    def seen(tree: Any) -> np.ndarray:
        counts, tissue = values(tree, "counts/umis"), values(tree, "cells/tissue")
        means = [counts[tissue == name].mean(axis=0) for name in ("tissue0", "tissue1")]
        return np.log(means[1] / means[0])

    moved = seen(tree)
    np.testing.assert_allclose(moved[4:], 0.0, atol=0.15)
    np.testing.assert_allclose(moved[[0, 1, 3]], fold[[0, 1, 3]], atol=0.3)
    monkeypatch.setattr(Tissues, "effects", lambda self, tissue, network: simcell.CellEffects.none(tissue.size))
    blind = seen(written(tmp_path, "blind.zarr", spec=spec, **options))  # a planted bug: all are the wild type
    assert np.abs(blind[[0, 1, 3]] - fold[[0, 1, 3]]).max() > 0.3


def test_tissues_that_change_nothing_are_all_the_wild_type(tmp_path: Path) -> None:
    spread = written(tmp_path, fold_sigma=0.0)
    none = written(tmp_path, "none.zarr", regulators_changed=0.0)
    np.testing.assert_array_equal(values(spread, "counts/umis"), values(none, "counts/umis"))
    np.testing.assert_allclose(np.ptp(values(none, "truth/tissues/mean_field"), axis=0), 0.0)


def test_cells_and_batches_are_not_the_screens(tmp_path: Path) -> None:
    screen = build_screen(make_spec())
    tree = written(tmp_path)
    assert (values(tree, "truth/assay/efficiency") != screen.assay.efficiency).all()
    first = np.arange(42)
    assert (values(tree, "truth/cells/size_factor")[:42] != screen.assay.size_factor(first)).all()


def test_more_tissues_leave_the_first_as_they_were() -> None:
    network = build_screen(make_spec()).model.network
    options: dict[str, Any] = {"regulators_changed": 0.5, "fold_sigma": 1.0, "n_media": 3, "seed": 4}
    few, many = (draw_tissues(network, tissues=number, **options) for number in (3, 30))
    np.testing.assert_array_equal(few.factor, many.factor[:3])
    np.testing.assert_array_equal(few.medium, many.medium[:3])
    assert set(many.medium) == {0, 1, 2} and many.medium[0] == 0
    logs = np.log(many.factor[1:][many.factor[1:] != 1.0])
    assert 0.6 < logs.std() < 1.4 and abs(logs.mean()) < 0.5
    other = draw_tissues(network, tissues=3, **options | {"seed": 5})
    assert (other.factor != few.factor).any()


def test_tissues_live_in_media_of_the_screen(tmp_path: Path) -> None:
    spec = make_spec(
        signals={"heat": [{"target": "A", "sign": 1, "strength": 20.0}]},
        media={"base": {"heat": 0.0}, "hot": {"heat": 10.0}},
        protocol=[{"step": "transduce"}, {"step": "culture", "medium": "base", "hours": 9.0}, {"step": "harvest"}],
    )
    tree = written(tmp_path, spec=spec, cells=120, tissues=12, regulators_changed=0.0)
    medium, mean = values(tree, "truth/tissues/medium"), values(tree, "truth/tissues/mean_field")
    assert set(medium) == {"base", "hot"} and medium[0] == "base"
    hot, base = mean[medium == "hot"], mean[medium == "base"]
    assert (hot[:, 0] > 2.0 * base[0, 0]).all() and np.ptp(base, axis=0).max() == 0.0
    screen = build_screen(spec)
    plan = course(
        screen.model,
        Timeline((Segment("hot", 0.0, 20.0),), sampled_at=(20.0,)),
        engine="ode",
        burn_in_hours=0.0,
        media={"base": {"heat": 0.0}, "hot": {"heat": 10.0}},
    )
    seen = plan.finish(simcell.CellEffects.none(1), cells=np.zeros(1, np.int64), key=np.zeros(2, np.uint32))
    np.testing.assert_allclose(hot[0], seen.expected_mrna[0], rtol=1e-5)


@pytest.mark.parametrize("engine", ["langevin", "tau", "ode"])
def test_it_is_the_same_to_the_bit_for_any_threads_and_chunks(tmp_path: Path, engine: str) -> None:
    spec = make_spec(engine={"name": engine})
    expected = everything(written(tmp_path, "one.zarr", spec=spec, n_threads=1))
    spec["output"] = {"latent": False, "chunk_cells": 1}
    for number, chunk_cells in enumerate((7, 64, 1000)):
        spec["output"]["chunk_cells"] = chunk_cells
        found = everything(written(tmp_path, f"{number}.zarr", spec=spec, n_threads=number + 1))
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)


# refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": 0}, "cells: 0 is not"),
        ({"cells": 2.5}, "cells: 2.5 is not"),
        ({"tissues": 0}, "tissues: 0 is not"),
        ({"tissues": 91}, r"tissues: 91 is not <= cells \(90\)"),
        ({"regulators_changed": 1.5}, "regulators_changed: 1.5 is not a number from 0 to 1"),
        ({"regulators_changed": True}, "regulators_changed: True is not"),
        ({"fold_sigma": -0.1}, "fold_sigma: -0.1 is not a number from 0 to 3"),
        ({"fold_sigma": float("nan")}, "fold_sigma: nan is not"),
        ({"spec": make_spec(engine={"burn_in_hours": 0.0})}, r"engine.burn_in_hours: 0.0 is not > 0"),
        ({"n_threads": 0}, "n_threads: 0 is not"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=f"^{message}"):
        written(tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_what_stands_there_is_replaced_only_on_demand_and_only_an_atlas(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(SimcellError, match="exists; use --force"):
        written(tmp_path)
    assert values(written(tmp_path, cells=60, force=True), "counts/umis").shape[0] == 60
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(SimcellError, match="exists and is not a simcell atlas; not replaced"):
        written(tmp_path, "mine.zarr", force=True)


def test_a_run_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(simcell.atlas, "_at_rest", fails)
    with pytest.raises(RuntimeError, match="no"):
        written(tmp_path)
    assert not list(tmp_path.iterdir())


def damage(path: Path, kind: str) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    chunk = path / "counts/umis/c/0/0"
    if kind == "format":
        metadata["attributes"]["format"] = "another"
    elif kind == "version":
        metadata["attributes"]["schema_version"] = 99
    elif kind == "unfinished":
        metadata["attributes"].pop("complete")
    elif kind == "attribute":
        metadata["attributes"].pop("spec")
    elif kind == "chunk":
        chunk.unlink()
    elif kind == "bytes":
        chunk.write_bytes(chunk.read_bytes()[:-6] + b"garble")
    (path / "zarr.json").write_text("{" if kind == "json" else json.dumps(metadata))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("format", "not a simcell atlas"),
        ("version", "schema version 99 of atlases, this simcell reads version 1"),
        ("unfinished", "not complete"),
        ("attribute", "attribute 'spec': str expected"),
        ("chunk", "chunk 0.0 of counts/umis is missing"),
        ("bytes", "fails its checksum"),
        ("json", "zarr.json cannot be read"),
    ],
)
def test_a_damaged_atlas_is_refused_in_one_line(tmp_path: Path, kind: str, message: str) -> None:
    written(tmp_path)
    damage(tmp_path / "atlas.zarr", kind)
    with pytest.raises(DataError, match=message) as caught:
        load_atlas(tmp_path / "atlas.zarr", verify=True)
    assert "\n" not in str(caught.value) and "atlas.zarr" in str(caught.value)


def test_a_path_without_an_atlas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_atlas(tmp_path / "none.zarr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="not a simcell atlas"):
        load_atlas(tmp_path / "folder")


# the command


def test_the_command_writes_an_atlas(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, path = tmp_path / "screen.yaml", tmp_path / "atlas.zarr"
    spec.write_text(json.dumps(make_spec()))
    arguments = ["atlas", str(spec), "-o", str(path), "--cells", "90", "--tissues", "3", "--seed", "8"]
    assert cli.main([*arguments, "--fold-sigma", "0.5", "--set", "output.chunk_cells=50"]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    tree = load_atlas(path)
    assert tree.attrs["seed"] == 8 and tree.attrs["arguments"]["fold_sigma"] == 0.5
    assert cli.main(arguments) == 2
    assert "exists; use --force" in capsys.readouterr().err
    assert cli.main([*arguments, "--force", "--regulators-changed", "2"]) == 2
    assert "regulators_changed: 2.0 is not a number from 0 to 1" in capsys.readouterr().err
    shutil.rmtree(path)
