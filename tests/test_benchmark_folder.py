"""The folder of a benchmark: one run at a time, no foreign file touched, and no stale result taken up."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers_benchmark import SMALL, USER_FITTERS, example_data, example_simulate, rows

from experiments import benchmark, data_sets, task
from experiments.benchmark import plan, run_benchmark
from experiments.benchmark_spec import parse_benchmark_spec
from experiments.digests import source_digest
from experiments.outputs import Folder, slug, task_id
from simcell.errors import SimcellError


def test_a_changed_fitter_file_is_fitted_again(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(USER_FITTERS)
    data = example_data(fitters=["mine.py:Control"], metrics=["mse-truth"], **SMALL)
    spec = parse_benchmark_spec(data, folder=tmp_path)
    before = run_benchmark(spec, tmp_path / "run", simulate=example_simulate, report=False)
    mine.write_text(USER_FITTERS.replace("plus: float = 0.0", "plus: float = 1.0"))
    after = run_benchmark(spec, tmp_path / "run", simulate=example_simulate, report=False)
    assert rows(after, fitter="Control")["value"].item() > rows(before, fitter="Control")["value"].item()


def test_another_benchmark_or_a_foreign_folder_is_not_overwritten(tmp_path: Path) -> None:
    spec = parse_benchmark_spec(example_data(fitters=["mean"], seeds=[1], splits=[{"kind": "unseen-single"}]))
    other = parse_benchmark_spec(example_data(fitters=["mean"], seeds=[2], splits=[{"kind": "unseen-single"}]))
    run_benchmark(spec, tmp_path / "run", simulate=example_simulate, report=False)
    with pytest.raises(SimcellError, match="holds another benchmark; use --force"):
        run_benchmark(other, tmp_path / "run", simulate=example_simulate, report=False)
    forced = run_benchmark(other, tmp_path / "run", simulate=example_simulate, report=False, force=True)
    assert set(forced.scores["seed"]) == {2}
    assert not list((tmp_path / "run" / "results").glob("*seed1*"))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    with pytest.raises(SimcellError, match="is not the folder of a benchmark"):
        run_benchmark(spec, tmp_path / "foreign", simulate=example_simulate, report=False, force=True)
    assert (tmp_path / "foreign" / "thesis.txt").read_text() == "mine"


def test_a_file_among_the_options_is_found_beside_the_benchmark_and_its_content_counts(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(USER_FITTERS)
    table = tmp_path / "embedding.csv"
    table.write_text("1.0")
    option = {"tables": ["embedding.csv", "nowhere.csv", "a" * 5000], "plus": 0.5}
    data = example_data(fitters=[{"name": "mine.py:FromFile", "options": option}], metrics=["mse-truth"], **SMALL)
    spec = parse_benchmark_spec(data, folder=tmp_path)
    assert spec.fitters[0].options == {"tables": [str(table), "nowhere.csv", "a" * 5000], "plus": 0.5}

    def value() -> float:
        result = run_benchmark(spec, tmp_path / "run", simulate=example_simulate, report=False)
        return float(rows(result, fitter="FromFile")["value"].item())

    before = value()
    table.write_text("2.0")
    assert value() > before, "fitted again, in the same folder"


def test_results_of_other_source_code_are_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = parse_benchmark_spec(example_data(fitters=["mean"], metrics=["mse-truth"], **SMALL))
    simulated = []

    def simulate(spec: Any, path: Path, **rest: Any) -> None:
        simulated.append(path.name)
        example_simulate(spec, path, **rest)

    def ids() -> list[str]:
        return [one.fingerprint for one in plan(spec, Folder(tmp_path / "run"))]

    before = ids()
    for _ in range(2):
        run_benchmark(spec, tmp_path / "run", simulate=simulate, report=False)
    assert simulated == ["example-seed1.zarr", "example-seed1-replicate1.zarr"]
    for module in (benchmark, data_sets):
        monkeypatch.setattr(module, "source_digest", lambda *packages: "edited")
    assert not set(before) & set(ids())
    run_benchmark(spec, tmp_path / "run", simulate=simulate, report=False)
    assert len(simulated) == 4


def test_the_digest_of_the_source_tells_packages_apart() -> None:
    assert source_digest("simcell") == source_digest("simcell")
    assert len({source_digest("simcell"), source_digest("fitters"), source_digest("simcell", "fitters")}) == 3


@pytest.mark.parametrize(
    "damage", [{"surprise": 1}, {"scores": 7}, {"scores": [{"metric": "x"}]}, {"seconds": "long"}, {"labels": None}]
)
def test_a_damaged_result_is_made_anew(damage: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    task.write_result(path, task.TaskResult("one", "ok", scores=(), labels=("A",), seconds=1.0), "print")
    assert task.read_result(path, "print") == task.TaskResult("one", "ok", labels=("A",), seconds=1.0)
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    assert task.read_result(path, "print") is None


def test_a_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    spec = parse_benchmark_spec(example_data(fitters=["mean"], metrics=["mse-truth"], **SMALL))
    run = partial(run_benchmark, spec, tmp_path / "run", simulate=example_simulate, report=False)
    with Folder(tmp_path / "run").held(), pytest.raises(SimcellError, match=r"run: another run is writing it$"):
        run()
    with pytest.raises(SimcellError, match="another run is writing it"):
        run(map_function=lambda function, tasks: run(force=True))
    assert run().any_scored


def test_a_run_that_was_killed_at_its_very_start_goes_on(tmp_path: Path) -> None:
    spec = parse_benchmark_spec(example_data(fitters=["mean"], metrics=["mse-truth"], **SMALL))
    home = Folder(tmp_path / "run")
    home.path.mkdir()
    (home.path / ".provenance.json.x1.tmp").write_text("{")  # killed before any folder was made
    result = run_benchmark(spec, home.path, simulate=example_simulate, report=False)
    assert result.any_scored
    assert not list(home.path.glob(".*"))


def test_tasks_with_different_names_have_different_files() -> None:
    assert task_id("s", 1, "unseen-single", "mean") == "s--seed1--unseen-single--mean"
    alike = [("a--b", "c"), ("a", "b--c"), ("a-", "b"), ("a", "-b"), ("é", "b"), ("è", "b"), ("_", "b"), ("a b", "c")]
    alike += [("a_b", "c"), ("a", "b"), ("a/b", "c"), ("a:b", "c")]
    names = {slug(*parts) for parts in alike}
    assert len(names) == len(alike)
    assert all(name.isascii() and "/" not in name and ":" not in name for name in names)
