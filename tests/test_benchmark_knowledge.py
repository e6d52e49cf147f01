"""What fitters of a benchmark are told beside the cells: graphs and an atlas, made once, handed on, and named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_benchmark import SMALL, USER_FITTERS, example_data, example_simulate, rows
from helpers_dataset import make_example_tree

from experiments import knowledge
from experiments.benchmark import BenchmarkResult, plan, run_benchmark
from experiments.benchmark_spec import BenchmarkSpec, parse_benchmark_spec
from experiments.outputs import Folder
from experiments.report import write_report
from experiments.task import _cached_examination, _examination
from fitters.errors import TrainingDataError
from fitters.knowledge import Atlas
from simcell.dataset import load
from simcell.errors import DataError, SimcellError, SpecError
from simcell.spec import dump_spec, json_schema, parse_spec, read_mapping

GRAPHS = {"sure": {"corrupted": 0.0}, "half": {"corrupted": 0.5}}
ATLAS = {"cells": 30, "tissues": 3}
CURIOUS = '''
class Told(Control):
    """Fails unless it is told what the test says."""

    name = "told"

    def __init__(self, *, graphs=(), cells=0):
        super().__init__()
        self.graphs, self.cells = tuple(graphs), cells

    def fit(self, data, *, seed):
        known = data.knowledge
        assert tuple(sorted(known.graphs)) == self.graphs
        assert all(len(graph.edges) > 10 for graph in known.graphs.values())
        assert (0 if known.atlas is None else known.atlas.counts_of(data.genes).shape[0]) == self.cells
        assert known.atlas is None or known.atlas.counts.data.max() > 1
        return super().fit(data, seed=seed)


class OpensAtlas(Control):
    name = "opens-atlas"

    def __init__(self, *, where=""):
        super().__init__()
        self.where = where

    def fit(self, data, *, seed):
        (Path(self.where) / "data" / "example-seed1-atlas.zarr" / "counts.npy").read_bytes()
        return super().fit(data, seed=seed)


class SpoilsAtlas(Control):
    name = "spoils-atlas"

    def fit(self, data, *, seed):
        counts = data.knowledge.atlas.counts.data
        counts.setflags(write=True)
        counts[:] = 1
        return super().fit(data, seed=seed)


class SpoilsGraph(Control):
    name = "spoils-graph"

    def fit(self, data, *, seed):
        data.knowledge.graphs.pop("half")
        return super().fit(data, seed=seed)
'''


def fake_atlas(spec: Any, path: Path, *, cells: int, tissues: int, force: bool, **_: Any) -> None:
    """Write a stand-in for an atlas, of the genes of the synthetic example."""
    assert force
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    np.save(path / "counts.npy", np.random.default_rng(spec.seed).poisson(2.0, (cells, 40)) + 1)
    np.save(path / "tissue.npy", np.array([f"tissue{number % tissues}" for number in range(cells)]))
    (path / "zarr.json").write_text("{}")


def read_fake(path: Path) -> Atlas:
    """Read what `fake_atlas` wrote."""
    try:
        counts, tissue = np.load(path / "counts.npy"), np.load(path / "tissue.npy")
    except (OSError, ValueError):
        raise DataError(f"{path}: damaged") from None
    return Atlas(tuple(f"G{number:03d}" for number in range(40)), counts, tissue)


@pytest.fixture(autouse=True)
def own_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "_read_atlas", read_fake)


def spec_of(fitters: list[Any], known: Any, folder: Path = Path(), **changes: Any) -> BenchmarkSpec:
    """Return a small benchmark with knowledge."""
    data = example_data(fitters=fitters, metrics=["mse-truth"], knowledge=known, **(SMALL | changes))
    return parse_benchmark_spec(data, folder=folder)


def run(spec: BenchmarkSpec, folder: Path, **options: Any) -> BenchmarkResult:
    """Run a benchmark in this process, where the stand-in for atlases is known."""
    given = {"simulate": example_simulate, "simulate_atlas": fake_atlas, "report": False, "map_function": map}
    return run_benchmark(spec, folder, **(given | options))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(USER_FITTERS + CURIOUS)
    return tmp_path


def test_an_atlas_that_is_missing_is_named(tmp_path: Path) -> None:
    known = spec_of(["mean"], {"atlas": ATLAS}).knowledge
    with pytest.raises(SimcellError, match=r"none\.zarr: cannot be read \(No such file or directory\)$"):
        knowledge.knowledge_of(make_example_tree(1), known, seed=1, atlas=tmp_path / "none.zarr")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": np.ones((2, 3), int)}, r"knowledge\.atlas\.counts: shape \(2, 3\) is not"),
        ({"genes": ("A", "A")}, r"knowledge\.atlas\.genes: 'A' stands there 2 times"),
        ({"tissue": np.array(["t0"])}, r"knowledge\.atlas\.tissue: shape \(1,\) is not \(2,\)"),
    ],
)
def test_an_atlas_that_is_of_no_use_is_named_as_such(changes: dict[str, Any], message: str) -> None:
    sound = {"genes": ("A", "B"), "counts": np.ones((2, 2), int), "tissue": np.array(["t0", "t1"])}
    Atlas(**sound)
    with pytest.raises(TrainingDataError, match=message):
        Atlas(**(sound | changes))


def test_fitters_are_told_what_the_benchmark_says_and_nothing_else(mine: Path) -> None:
    told = {"name": "mine.py:Told", "options": {"graphs": ["half", "sure"], "cells": 30}}
    nothing = {"name": "mine.py:Told", "label": "nothing"}
    spec = spec_of([told, nothing], {"graphs": GRAPHS, "atlas": ATLAS}, mine)
    result = run(spec, mine / "run")
    assert set(rows(result, fitter="Told")["status"]) == {"ok"}
    assert set(rows(result, fitter="nothing")["status"]) == {"failed"}, "it was not to be told anything"
    silent = run(spec_of([told, nothing], {}, mine), mine / "silent", simulate_atlas=None)
    assert set(rows(silent, fitter="Told")["status"]) == {"failed"}
    assert set(rows(silent, fitter="nothing")["status"]) == {"ok"}


def test_a_graph_is_the_true_one_or_as_wrong_as_is_said_and_the_same_for_all_splits(tmp_path: Path) -> None:
    splits = [{"kind": "unseen-single"}, {"kind": "unseen-double"}]
    spec = spec_of(["mean"], {"graphs": GRAPHS | {"wrong": {"corrupted": 1.0}}}, splits=splits)
    result = run(spec, tmp_path / "run")
    tasks = plan(spec, Folder(result.folder))
    single, double = (_examination(Folder(result.folder), task).training.knowledge for task in tasks[::4][:2])
    network = load(Folder(result.folder).data("example", 1))["truth/network"]
    true = set(zip(network["regulator"].values.tolist(), network["target"].values.tolist(), strict=True))
    share = {name: np.mean([edge in true for edge in graph.edges]) for name, graph in single.graphs.items()}
    assert share["sure"] == 1.0
    assert len(single.graphs["sure"].edges) == len(true)
    assert 0.2 < share["half"] < 0.8
    assert share["wrong"] == 0.0
    assert single.graphs == double.graphs
    assert single.atlas is None


def test_each_screen_and_seed_has_one_atlas_which_a_second_run_takes_up(tmp_path: Path) -> None:
    made: list[str] = []

    def counting(spec: Any, path: Path, **rest: Any) -> None:
        made.append(f"{spec.seed} {path.name}")
        fake_atlas(spec, path, **rest)

    spec = spec_of(["mean"], {"atlas": ATLAS}, seeds=[1, 2])
    run(spec, tmp_path / "run", simulate_atlas=counting)
    assert made == ["1 example-seed1-atlas.zarr", "2 example-seed2-atlas.zarr"]
    run(spec, tmp_path / "run", simulate_atlas=counting)
    assert len(made) == 2
    (tmp_path / "run" / "data" / "example-seed2-atlas.zarr" / "counts.npy").write_bytes(b"half of it")
    run(spec, tmp_path / "run", simulate_atlas=counting)
    assert made[2:] == ["2 example-seed2-atlas.zarr"], "one that is damaged is made again"
    (tmp_path / "run" / "data" / "example-seed1-atlas.json").write_text('{"source": "of old", "cells": 30}')
    run(spec, tmp_path / "run", simulate_atlas=counting)
    assert made[3:] == ["1 example-seed1-atlas.zarr"], "and one of another program"


def test_an_atlas_that_cannot_be_made_fails_its_tasks_only(tmp_path: Path) -> None:
    def breaks(spec: Any, path: Path, **rest: Any) -> None:
        if spec.seed == 2:
            raise SimcellError("no tissue came")
        fake_atlas(spec, path, **rest)

    result = run(spec_of(["mean"], {"atlas": ATLAS}, seeds=[1, 2]), tmp_path / "run", simulate_atlas=breaks)
    assert set(rows(result, seed=1, fitter="mean")["status"]) == {"ok"}
    assert set(rows(result, seed=2)["message"]) == {"no data: atlas: no tissue came"}
    assert set(pd.read_csv(result.folder / "knowledge.csv")["seed"]) == {1}


@pytest.mark.parametrize(
    ("fitter", "message"),
    [
        ("OpensAtlas", r"opened .*-atlas\.zarr/counts\.npy, where the truth lies"),
        ("SpoilsAtlas", "changed the training data, which all fitters share"),
        ("SpoilsGraph", "changed the training data, which all fitters share"),
    ],
)
def test_the_file_of_an_atlas_is_not_opened_and_knowledge_is_not_changed(fitter: str, message: str, mine: Path) -> None:
    told = {"name": "mine.py:Told", "options": {"graphs": ["half", "sure"], "cells": 30}}
    where = {"options": {"where": str(mine / "run")}} if fitter == "OpensAtlas" else {}
    spec = spec_of([{"name": f"mine.py:{fitter}"} | where, told], {"graphs": GRAPHS, "atlas": ATLAS}, mine)
    _cached_examination.cache_clear()
    result = run(spec, mine / "run")
    assert set(rows(result, fitter=fitter)["status"]) == {"failed"}
    assert rows(result, fitter=fitter)["message"].str.contains(message).all()
    assert set(rows(result, fitter="Told")["status"]) == {"ok"}


def test_results_depend_on_what_was_told(tmp_path: Path) -> None:
    def prints(known: Any) -> set[str]:
        return {one.fingerprint for one in plan(spec_of(["mean"], known), Folder(tmp_path))}

    different = [{}, {"graphs": GRAPHS}, {"graphs": {"sure": {}}}, {"graphs": {"sure": {"corrupted": 0.1}}}]
    different += [{"atlas": {}}, {"atlas": {"cells": 7, "tissues": 3}}]
    assert len(set.union(*map(prints, different))) == sum(len(prints(known)) for known in different)


def test_the_report_names_what_was_told_and_options_that_were_given(tmp_path: Path) -> None:
    fitter = {"name": "bilinear", "label": "small", "options": {"components": 3}}
    spec = spec_of([fitter], {"graphs": GRAPHS, "atlas": ATLAS}, seeds=[1, 2])
    result = run(spec, tmp_path / "run")
    told = pd.read_csv(result.folder / "knowledge.csv")
    assert len(told) == 2 * 3, "seeds, graphs and atlas"
    page = write_report(result.folder).read_text()
    section = page[page.index('<section id="fitters">') : page.index('<section id="metrics">')]
    assert "told on purpose" in section
    for description in told.loc[told["seed"] == 1, "description"]:
        assert f">{description}</td>" in section
    assert "30 unperturbed cells of 3 tissues of the same world" in section
    assert "Options: <code>components: 3</code>" in section


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"grafs": {}}, r"knowledge\.grafs: 'grafs' is not a known key \(did you mean 'graphs'\?\)"),
        ({"graphs": {"a": {"corrupted": 1.5}}}, r"knowledge\.graphs\.a\.corrupted: 1\.5 is not <= 1"),
        ({"graphs": {"a": {"corrupted": -0.1}}}, r"knowledge\.graphs\.a\.corrupted: -0\.1 is not >= 0"),
        ({"graphs": {"a": {"corrupt": 0.5}}}, r"knowledge\.graphs\.a\.corrupt: .*did you mean 'corrupted'"),
        ({"graphs": {"a b": {}}}, r"knowledge\.graphs\.a b: 'a b' is not a name of letters"),
        ({"graphs": {"none": {}}}, r"knowledge\.graphs\.none: 'none' is not free"),
        ({"graphs": ["a"]}, r"knowledge\.graphs: \['a'\] is not a mapping"),
        ({"graphs": {"a": 0.5}}, r"knowledge\.graphs\.a: 0\.5 is not a mapping"),
        ({"atlas": {"cells": 0}}, r"knowledge\.atlas\.cells: 0 is not >= 1"),
        ({"atlas": {"cells": 1.5}}, r"knowledge\.atlas\.cells: 1\.5 is not a whole number"),
        ({"atlas": {"tissues": 0}}, r"knowledge\.atlas\.tissues: 0 is not >= 1"),
        ({"atlas": {"cells": 5, "tissues": 6}}, r"knowledge\.atlas\.tissues: 6 is not <= cells \(5\)"),
        ({"atlas": 20_000}, r"knowledge\.atlas: 20000 is not a mapping"),
    ],
)
def test_bad_knowledge_is_refused_by_name(known: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec_of(["mean"], known)


def test_defaults_and_names_that_yaml_takes_for_truth_values() -> None:
    text = "knowledge: {graphs: {true: {corrupted: 0.0}, half: {corrupted: 0.5}, plain: }, atlas: {}}"
    spec = spec_of(["mean"], read_mapping(text)["knowledge"])
    corrupted = {name: graph.corrupted for name, graph in spec.knowledge.graphs.items()}
    assert corrupted == {"true": 0.0, "half": 0.5, "plain": 0.0}
    assert spec.knowledge.atlas is not None
    assert (spec.knowledge.atlas.cells, spec.knowledge.atlas.tissues) == (20_000, 20)
    assert parse_spec(dump_spec(spec), model=BenchmarkSpec) == spec
    assert parse_benchmark_spec(example_data()).knowledge.is_empty
    assert "corrupted" in json_schema(BenchmarkSpec)["$defs"]["GraphSpec"]["properties"]


def test_cells_without_any_count_are_no_part_of_an_atlas(tmp_path: Path) -> None:
    from experiments.atlases import atlas_of
    from simcell import simulate_atlas
    from simcell.atlas_store import load_atlas

    screen = {
        "name": "shallow",
        "network": {"kind": "erdos-renyi", "genes": 20, "regulators": 0.2},
        "assay": {"capture": 0.001},
    }
    path = simulate_atlas(screen, tmp_path / "atlas.zarr", cells=100, tissues=4, progress=False)
    depth = load_atlas(path)["counts/umis"].values.sum(axis=1)
    atlas = atlas_of(path)
    assert 0 < atlas.counts.shape[0] == (depth > 0).sum() < 100
    np.testing.assert_array_equal(atlas.counts.sum(axis=1), depth[depth > 0])
    assert atlas.tissue.tolist() == [f"tissue{number % 4}" for number in np.flatnonzero(depth)]
