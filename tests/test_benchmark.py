"""The benchmark end to end on synthetic data: every task is scored or marked, and a killed run goes on."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers_benchmark import SMALL, USER_FITTERS, example_data, example_simulate, rows
from helpers_dataset import make_example_tree

from experiments import benchmark, task
from experiments.benchmark import run_benchmark
from experiments.benchmark_spec import BenchmarkSpec, load_benchmark_spec, parse_benchmark_spec
from experiments.commands import judging
from experiments.digests import benchmark_digest
from experiments.metrics import METRICS
from experiments.scoring import anchor
from fitters.contract import Claim
from simcell.errors import SimcellError, SpecError
from simcell.profiles import log_profile


@pytest.fixture(scope="module")
def user_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("user") / "mine.py"
    path.write_text(USER_FITTERS)
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, user_file: Path) -> benchmark.BenchmarkResult:
    names = [f"{user_file}:{name}" for name in ("Fails", "ReturnsNaN", "Modest", "Control")]
    spec = parse_benchmark_spec(example_data(fitters=["additive", "bilinear", *names]), folder="/")
    return run_benchmark(spec, tmp_path_factory.mktemp("out") / "run", simulate=example_simulate, report=False)


def test_every_fitter_of_every_task_has_a_row_for_every_metric(done: benchmark.BenchmarkResult) -> None:
    fitters = {"no-change", "mean", "additive", "bilinear", "oracle", "replicate"}
    fitters |= {"Fails", "ReturnsNaN", "Modest", "Control"}
    assert set(done.scores["fitter"]) == fitters
    assert len(done.scores) == len(fitters) * 2 * 2 * done.scores["metric"].nunique()
    assert pd.read_csv(done.folder / "scores.csv").shape == done.scores.shape


def test_a_failing_fitter_is_marked_in_one_line_and_the_others_go_on(done: benchmark.BenchmarkResult) -> None:
    failed = rows(done, fitter="Fails")
    assert set(failed["status"]) == {"failed"}
    assert set(failed["message"]) == {"fitter fails: fit failed: ZeroDivisionError: the dog ate the gradient"}
    assert set(rows(done, fitter="ReturnsNaN")["status"]) == {"failed"}
    assert "not finite" in rows(done, fitter="ReturnsNaN")["message"].iloc[0]
    assert len(done.failures) == 2 * 4
    assert set(rows(done, fitter="bilinear")["status"]) == {"ok"}
    stored = json.loads((done.folder / "results" / "example--seed1--unseen-single--Fails.json").read_text())
    assert "the dog ate" in stored["details"]


def test_what_a_fitter_does_not_claim_is_not_asked(done: benchmark.BenchmarkResult) -> None:
    modest = rows(done, fitter="Modest")
    assert set(modest["status"]) == {"not claimed"}
    singles = modest[modest["split"] == "unseen-single"]
    assert set(singles["message"]) == {"Modest does not claim unseen-gene"}


def test_a_metric_is_computed_for_fitters_that_claim_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beyond = replace(METRICS["mse-truth"], name="beyond", needs=Claim.DISTRIBUTION)
    monkeypatch.setitem(METRICS, "beyond", beyond)
    spec = parse_benchmark_spec(example_data(fitters=["mean"], metrics=["mse-truth", "beyond"], **SMALL))
    result = run_benchmark(spec, tmp_path / "run", simulate=example_simulate, report=False)
    value = result.scores.set_index(["fitter", "metric"])["value"]
    assert np.isnan(value["mean", "beyond"])
    assert np.isfinite(value["mean", "mse-truth"])
    assert value["oracle", "beyond"] == 0
    assert set(rows(result, metric="beyond", fitter="oracle")["anchor_note"]) == {"mean has no score here"}


def test_anchors_mean_is_0_and_oracle_is_1_and_no_change_scores_0_correlation(done: benchmark.BenchmarkResult) -> None:
    np.testing.assert_allclose(rows(done, fitter="mean")["anchored"], 0, atol=1e-12)
    np.testing.assert_allclose(rows(done, fitter="oracle")["anchored"], 1)
    assert (rows(done, fitter="oracle", metric="mse-truth")["value"] == 0).all()
    assert (rows(done, fitter="oracle", metric="pds-truth")["value"] == 1).all()
    np.testing.assert_allclose(rows(done, fitter="oracle", metric="pearson-delta-truth")["value"], 1)
    assert (rows(done, fitter="no-change", metric="pearson-delta-truth")["value"] == 0).all()
    for metric in ("pds-truth", "pds-measured"):
        np.testing.assert_allclose(rows(done, fitter="mean", metric=metric)["value"], 0.5)
        np.testing.assert_allclose(rows(done, fitter="no-change", metric=metric)["value"], 0.5)


def test_a_better_model_scores_better(done: benchmark.BenchmarkResult) -> None:
    doubles = rows(done, split="unseen-double", metric="mse-truth").groupby("fitter")["value"].mean()
    assert doubles["oracle"] < doubles["additive"] < doubles["no-change"]
    assert doubles["replicate"] < doubles["mean"]


def test_a_shift_of_all_genes_is_seen_by_distance_but_not_by_correlation(user_file: Path, tmp_path: Path) -> None:
    fitters = [{"name": f"{user_file}:Control", "label": "shifted", "options": {"plus": 0.5}}]
    spec = parse_benchmark_spec(example_data(fitters=fitters, **SMALL), folder="/")
    result = run_benchmark(spec, tmp_path / "run", simulate=example_simulate, report=False)
    value = result.scores.set_index(["fitter", "metric"])["value"]
    assert value["shifted", "pearson-delta-truth"] == 0
    assert value["shifted", "mse-truth"] > value["no-change", "mse-truth"]


def test_predictions_are_kept(done: benchmark.BenchmarkResult) -> None:
    with np.load(done.folder / "predictions" / "example--seed1--unseen-double--additive.npz") as stored:
        assert stored["predicted"].shape == stored["true"].shape == (len(stored["perturbation"]), len(stored["genes"]))
        assert all("+" in label for label in stored["perturbation"])


def test_a_second_run_takes_up_what_was_done_and_does_the_rest(
    done: benchmark.BenchmarkResult, user_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = done.folder / "results" / "example--seed2--unseen-double--bilinear.json"
    lost.unlink()
    attempted = []
    attempt = task._attempt
    monkeypatch.setattr(task, "_attempt", lambda one: attempted.append(one.id) or attempt(one))

    def no_simulation(*_: Any, **__: Any) -> None:
        raise AssertionError("data were there")

    names = [f"{user_file}:{name}" for name in ("Fails", "ReturnsNaN", "Modest", "Control")]
    spec = parse_benchmark_spec(example_data(fitters=["additive", "bilinear", *names]), folder="/")
    # in this process, where attempts can be counted
    again = run_benchmark(spec, done.folder, simulate=no_simulation, report=False, map_function=map)
    failed = {name for name in attempted if name.endswith(("Fails", "ReturnsNaN"))}
    assert set(attempted) == failed | {lost.stem}, "only what was lost or had failed is done again"
    columns = [column for column in done.scores if column != "seconds"]
    pd.testing.assert_frame_equal(again.scores[columns], done.scores[columns])


def test_data_that_cannot_be_made_fail_their_tasks_only(tmp_path: Path) -> None:
    def breaks(spec: Any, path: Path, **rest: Any) -> None:
        if spec.seed == 2:
            raise SimcellError("the incubator is broken")
        example_simulate(spec, path, **rest)

    result = run_benchmark(parse_benchmark_spec(example_data()), tmp_path / "run", simulate=breaks, report=False)
    assert set(rows(result, seed=1, fitter="mean")["status"]) == {"ok"}
    assert set(rows(result, seed=2)["message"]) == {"no data: the incubator is broken"}


def test_any_map_function_takes_the_place_of_the_runner(tmp_path: Path) -> None:
    calls = []

    def backwards(function: Any, tasks: Any) -> Any:
        calls.append(len(tasks))
        return [function(one) for one in reversed(tasks)]

    spec = parse_benchmark_spec(example_data(seeds=[1], fitters=["additive"]))
    result = run_benchmark(spec, tmp_path / "run", simulate=example_simulate, map_function=backwards, report=False)
    assert calls == [1, 1, 2 * 5], "first draws, second draws, fits"
    assert list(dict.fromkeys(result.scores["fitter"])) == ["no-change", "mean", "additive", "oracle", "replicate"]


def test_no_anchor_where_oracle_and_mean_score_alike() -> None:
    shared = {"screen": "s", "seed": 0, "split": "x", "family": "", "metric": "m", "against": "truth"}
    shared |= {"value_note": "", "n_queries": 1}
    table = pd.DataFrame(
        [
            {**shared, "fitter": name, "value": value, "status": "ok", "message": "", "seconds": 0.0}
            for name, value in (("mean", 0.5), ("oracle", 0.5 + 1e-12), ("mine", 0.7))
        ]
    )
    anchored = anchor(table).set_index("fitter")
    assert anchored["anchored"].isna().all()
    assert anchored.loc["mine", "anchor_note"] == "oracle and mean score alike"
    better = anchor(table.assign(value=[0.4, 0.2, 0.1])).set_index("fitter")
    assert better.loc["mine", "anchored"] == pytest.approx(1.5), "never clipped"
    assert set(better["anchor_note"]) == {""}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, r"seeds\[1\]: 1 is not new"),
        ({"splits": [{"kind": "unseen-triple"}]}, r"splits\[0\].kind: 'unseen-triple' is not one of .*unseen-single"),
        ({"splits": [{"kind": "unseen-single", "test_fraction": 1.5}]}, r"splits\[0\].test_fraction: 1.5 is not < 1"),
        ({"splits": [{"kind": "unseen-k", "order": 3}]}, r"splits\[0\]: 'unseen-3' is not possible on screen"),
        ({"metrics": ["mse-trut"]}, r"metrics\[0\].*did you mean 'mse-truth'"),
        ({"fitters": ["mean", "mean"]}, r"fitters\[1\]: 'mean' is not new"),
        ({"fitters": ["oracle"]}, r"fitters\[0\]: 'oracle' is not a fitter"),
        ({"fitters": [{"name": "oracle", "label": "cheat"}]}, r"fitters\[0\]: 'oracle' is not a fitter"),
        ({"fitters": ["mean", {"name": "additive", "label": "replicate"}]}, r"fitters\[1\]: 'replicate' is not a fit"),
        ({"fitters": [{"name": "no-change", "label": "mean"}]}, r"fitters\[0\]: 'mean' is not free: the baseline"),
        ({"fitters": [{"name": "no-change", "options": {"k": 1}}]}, r"fitters\[0\]: 'no-change' is not free"),
        ({"fitters": ["mine.py:mean"]}, r"fitters\[0\]: 'mean' is not free"),
        ({"fiters": ["mean"]}, "did you mean 'fitters'"),
        ({"screens": [{"file": "nowhere.yaml"}]}, r"screens\[0\].file: .*nowhere.yaml: no such file"),
        ({"jobs": 0}, "jobs: 0 is not >= 1"),
    ],
)
def test_bad_specifications_name_the_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_benchmark_spec(example_data(**changes))


def test_unknown_fitters_and_options_are_refused_before_any_work(tmp_path: Path) -> None:
    for fitter, message in (("meen", "did you mean 'mean'"), ({"name": "additive", "options": {"k": 1}}, "option")):
        with pytest.raises(SpecError, match=rf"fitters\[0\]: .*{message}"):
            spec = parse_benchmark_spec(example_data(fitters=[fitter]))
            run_benchmark(spec, tmp_path / "run", simulate=example_simulate)
    assert not (tmp_path / "run").exists()


def test_a_benchmark_file_finds_its_screens_beside_it(tmp_path: Path) -> None:
    (tmp_path / "screen.yaml").write_text("name: small\nnetwork: {kind: toggle-switch}\n")
    (tmp_path / "bench.yaml").write_text(
        "screens: [{file: screen.yaml, set: [assay.batches=3]}]\nsplits: [{kind: unseen-single}]\nfitters: [mean]\n"
    )
    spec = load_benchmark_spec(tmp_path / "bench.yaml")
    assert spec.full_screens[0].assay.batches == 3
    again = BenchmarkSpec.model_validate(spec.model_dump(mode="json"))
    assert benchmark_digest(again) == benchmark_digest(spec)
    assert benchmark_digest(spec.model_copy(update={"jobs": 7})) == benchmark_digest(spec)
    assert benchmark_digest(spec.model_copy(update={"seeds": (9,)})) != benchmark_digest(spec)


def test_a_second_draw_takes_the_truth_of_the_first(tmp_path: Path) -> None:
    asked = []

    def simulate(spec: Any, path: Path, *, truth_from: Path | None = None, replicate: int, **rest: Any) -> None:
        assert truth_from is None or truth_from.exists()
        asked.append((replicate, truth_from and truth_from.name))
        example_simulate(spec, path, replicate=replicate, **rest)

    spec = parse_benchmark_spec(example_data(fitters=["mean"], metrics=["mse-truth"], **SMALL))
    run_benchmark(spec, tmp_path / "run", simulate=simulate, report=False)
    assert asked == [(0, None), (1, "example-seed1.zarr")]


@pytest.mark.parametrize(("fitters", "code"), [(["Fails", "Control"], 0), (["Fails", "ReturnsNaN"], 1)])
def test_the_command_fails_if_no_fitter_of_the_user_was_scored(
    fitters: list[str], code: int, user_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "bench.yaml"
    names = [f"{user_file}:{name}" for name in fitters]
    path.write_text(json.dumps(example_data(fitters=names, metrics=["mse-truth"], **SMALL)))
    run = partial(run_benchmark, simulate=example_simulate, report=False)
    monkeypatch.setattr(benchmark, "run_benchmark", run)
    arguments = Namespace(spec=path, output=tmp_path / "run", force=False, jobs=None)
    assert judging.benchmark(arguments) == code
    assert "warning: example, seed 1, unseen-single, Fails: " in capsys.readouterr().err


def test_the_tree_of_the_example_is_not_changed_by_reading(tmp_path: Path) -> None:
    from experiments.splits import unseen_single
    from experiments.training import conditions, examine

    tree = make_example_tree(3)
    before = tree.copy(deep=True)
    examine(tree, unseen_single(conditions(tree), seed=0))
    xr.testing.assert_identical(tree, before)


@pytest.mark.parametrize("told_apart", [(), ("time",), ("medium",), ("time", "medium")])
def test_the_control_that_a_fitter_knows_is_pooled_over_what_it_cannot_tell_apart(told_apart: tuple[str, ...]) -> None:
    from experiments.answers import answers_of_fitter
    from experiments.metrics import Judges
    from experiments.splits import unseen_single
    from experiments.training import conditions, examine

    class NoChange:
        name = "no-change"
        claims = frozenset({Claim.MEAN, Claim.UNSEEN_GENE, *map(Claim, told_apart)})

        def fit(self, data: Any, *, seed: int) -> Any:
            self.control = data.control
            return self

        def predict(self, query: Any) -> Any:
            return np.tile(self.control, (len(query), 1))

    tree = make_example_tree(3, times=(24.0, 96.0), cells_per_perturbation=40)
    cells = tree["cells"].to_dataset()
    medium = np.array(["RPMI", "DMEM"])[np.arange(cells.sizes["cell"]) % 2]
    tree["cells"] = cells.assign(medium=("cell", medium))
    exam = examine(tree, unseen_single(conditions(tree), seed=0))
    wanted = frozenset({Judges.PREDICTION})
    answers = answers_of_fitter(NoChange(), exam, wanted=wanted, title="no-change", seed=0)  # type: ignore[arg-type]
    assert answers.predicted is not None and len(answers.predicted) == len(exam.questions) == 4
    for question, answer in zip(exam.questions, answers.predicted, strict=True):
        here = exam.training.perturbation == "control"
        for name in told_apart:
            here &= getattr(exam.training, name) == getattr(question.query, name)
        np.testing.assert_array_equal(answer.control, log_profile(exam.training.counts.toarray()[here].sum(axis=0)))
