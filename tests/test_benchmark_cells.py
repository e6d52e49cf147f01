"""Fitters that sample cells in a benchmark: what is kept, asked, scored and shown; and that others pay nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_benchmark import SMALL, example_data, example_simulate
from helpers_dataset import make_example_tree
from numpy.typing import NDArray

from experiments import training as training_module
from experiments.answers import answers_of_control, answers_of_fitter
from experiments.benchmark import BenchmarkResult, plan, run_benchmark
from experiments.benchmark_spec import parse_benchmark_spec
from experiments.held_out_cells import HeldOutCells, batch_shares, choose_cells, sample_like
from experiments.metrics import METRICS, Judges, select_metrics
from experiments.outputs import Folder
from experiments.report import leaderboard_text
from experiments.report.summary import leaderboard
from experiments.scoring import anchor, score_answers
from experiments.splits import unseen_single
from experiments.training import Examination, all_cells, conditions, examine
from fitters.base import Claim, FitterError, Prediction, Query, RefusedQueryError, checked_fit
from fitters.registry import load
from simcell.errors import SpecError
from simcell.profiles import log_profile

CELLS = {name for name, metric in METRICS.items() if metric.judges is Judges.CELLS}
WANTED = frozenset({Judges.CELLS})


class Sampler:
    """Cells of one count per gene that say which batch they are of and which of the sample they are."""

    name = "sampler"
    claims = frozenset({Claim.MEAN, Claim.DISTRIBUTION, Claim.UNSEEN_GENE, Claim.COMBINATION, Claim.BATCH})

    def __init__(self) -> None:
        self.queries: list[Query] = []

    def fit(self, data: Any, *, seed: int) -> Sampler:
        self.n_genes = data.n_genes
        return self

    def predict(self, query: Query) -> Prediction:
        self.queries.append(query)
        cells = np.ones((query.cells, self.n_genes), np.int32)
        cells[:, 0] = {None: 7, "batch0": 8, "batch1": 9}[query.batch]
        cells[:, 1] = np.arange(query.cells)
        profile = np.tile(log_profile(np.ones(self.n_genes)), (len(query), 1))
        return Prediction(profile, (cells,) * len(query) if query.cells else None)


class Pooled(Sampler):
    """One that does not tell batches apart."""

    name = "pooled"
    claims = Sampler.claims - {Claim.BATCH}


class Shy(Sampler):
    """One that predicts means and refuses to sample."""

    name = "shy"

    def predict(self, query: Query) -> Prediction:
        if query.cells:
            raise RefusedQueryError(self.name, "query refused: not today")
        return super().predict(query)


def examination(*, cells: bool = True, **world: Any) -> Examination:
    tree = make_example_tree(3, **world)
    return examine(tree, unseen_single(conditions(tree), seed=0), cells=cells)


def test_held_out_cells_are_kept_where_they_are_wanted_and_are_those_of_the_perturbation() -> None:
    tree = make_example_tree(3)
    split = unseen_single(conditions(tree), seed=0)
    assert all(question.cells is None for question in examine(tree, split).questions)
    (question,) = examine(tree, split, cells=True).questions
    assert question.cells is not None and question.cells.n_cells == (25,) * len(question.query)
    counts = tree["counts/umis"].values
    for label, kept in zip(question.query.labels, question.cells.counts, strict=True):
        np.testing.assert_array_equal(kept.toarray(), counts[tree["cells/perturbation"].values == label])
    for label, profile in zip(question.query.labels, question.measured.profile, strict=True):
        kept = question.cells.counts[question.query.labels.index(label)]
        np.testing.assert_allclose(log_profile(kept.sum(axis=0)), profile)


def test_every_time_has_cells_of_its_own_and_is_asked_for_them() -> None:
    tree = make_example_tree(3, times=(24.0, 96.0), cells_per_perturbation=40)
    exam = examine(tree, unseen_single(conditions(tree), seed=0), cells=True)
    assert [question.query.time for question in exam.questions] == [24.0, 96.0]
    measured = [np.concatenate([one.toarray() for one in question.cells.counts]) for question in exam.questions]
    held_out = np.isin(tree["cells/perturbation"].values, exam.labels)
    for question, cells in zip(exam.questions, measured, strict=True):
        here = held_out & (tree["cells/time"].values == question.query.time)
        assert sorted(map(tuple, cells.tolist())) == sorted(map(tuple, tree["counts/umis"].values[here].tolist()))
    answers = answers_of_fitter(load("control-cells"), exam, wanted=WANTED, title="control-cells", seed=0)
    controls = exam.training.perturbation == "control"
    for question, sampled in zip(exam.questions, answers.cells or (), strict=True):
        known = exam.training.counts.toarray()[controls & (exam.training.time == question.query.time)]
        assert {tuple(cell) for one in sampled for cell in one.toarray().tolist()} <= set(map(tuple, known.tolist()))
    found = score_answers(answers, exam, select_metrics(CELLS), claims={"distribution", "mean"})
    assert {len(score.per_query) for score in found} == {len(exam.labels)}


def test_no_held_out_cell_is_among_the_training_data() -> None:
    with_cells, without = examination(), examination(cells=False)
    assert not set(with_cells.labels) & set(with_cells.training.perturbation.tolist())
    np.testing.assert_array_equal(with_cells.training.counts.toarray(), without.training.counts.toarray())
    assert not any(isinstance(value, HeldOutCells) for value in vars(with_cells.training).values())


def test_of_many_cells_some_are_kept_whatever_their_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_module, "MOST_CELLS", 11)
    (question,) = examination().questions
    assert question.cells is not None and set(question.cells.n_cells) == {11}
    group = np.repeat([0, 1, -1], [100, 7, 30])
    chosen = choose_cells(group, [20, 20])
    assert chosen[:100].sum() == 20 and chosen[100:107].all() and not chosen[107:].any()
    np.testing.assert_array_equal(choose_cells(group, [20, 20]), chosen)
    assert not choose_cells(group, [0, 0]).any()
    many = choose_cells(np.repeat(np.arange(200), 100), [20] * 200).reshape(200, 100)
    of_batch = many[:, :25].sum(axis=1)  # of a batch of a quarter of the cells
    assert of_batch.mean() == pytest.approx(5.0, abs=0.6)
    assert of_batch.var() == pytest.approx(20 * 0.25 * 0.75 * 80 / 99, rel=0.5), "hypergeometric: by chance"


def asked(
    fitter: Sampler, n_cells: list[int], *, n_genes: int = 40, **shares: float
) -> tuple[list[NDArray[Any]], list[Query]]:
    """Return what a fitter samples to be compared with so many cells, and what it was asked."""
    fit = checked_fit(fitter, all_cells(make_example_tree(3, n_genes=n_genes)), seed=0)
    query = Query.of_labels([f"G{number:03d}" for number in range(len(n_cells))])
    chances = shares or {"batch0": 0.25, "batch1": 0.75}
    return [cells.toarray() for cells in sample_like(fit, query, n_cells, shares=chances, seed=5)], fitter.queries


def test_who_tells_batches_apart_is_asked_for_batches_by_chance() -> None:
    found, queries = asked(Sampler(), [8] * 40)
    assert {len(cells) for cells in found} == {8} and {query.batch for query in queries} == {"batch0", "batch1"}
    of_first = np.array([(cells[:, 0] == 8).sum() for cells in found])
    assert of_first.mean() == pytest.approx(2.0, abs=0.6)
    assert of_first.var() == pytest.approx(8 * 0.25 * 0.75, rel=0.6), "binomial: each cell for itself"
    assert len({query.seed for query in queries}) == len(queries), "every part has a seed of its own"
    again, _ = asked(Sampler(), [8] * 40)
    assert all((one == other).all() for one, other in zip(found, again, strict=True))
    found, queries = asked(Sampler(), [3, 0], batch1=1.0)
    assert [cells.shape for cells in found] == [(3, 40), (0, 40)] and [query.batch for query in queries] == [None]
    found, queries = asked(Pooled(), [4, 2])
    assert [cells[:, 0].tolist() for cells in found] == [[7] * 4, [7] * 2]
    assert [(query.batch, query.cells) for query in queries] == [(None, 4)]


def test_batches_are_as_likely_as_training_cells_are_of_them() -> None:
    training = all_cells(make_example_tree(3, times=(24.0, 96.0)))
    late = training.time == 96.0
    kept = training.take(np.flatnonzero(~late | (training.batch == "batch1")))
    assert batch_shares(kept, time=96.0, medium=None) == {"batch1": 1.0}
    early = kept.batch[kept.time == 24.0]
    assert batch_shares(kept, time=24.0, medium=None)["batch0"] == pytest.approx((early == "batch0").mean())
    assert batch_shares(kept, time=None, medium="none") == batch_shares(kept, time=None, medium=None)


def test_large_samples_are_asked_for_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.held_out_cells.MOST_VALUES", 4 * 40)
    found, queries = asked(Pooled(), [4, 4])
    assert [query.labels for query in queries] == [("G000",), ("G001",)]
    assert queries[0].seed != queries[1].seed and [len(cells) for cells in found] == [4, 4]


def test_cells_are_asked_for_only_where_they_are_wanted_and_claimed() -> None:
    exam = examination()
    for wanted, expected in ((WANTED, True), (frozenset({Judges.PREDICTION}), False)):
        fitter = Sampler()
        answers = answers_of_fitter(fitter, exam, wanted=wanted, title="s", seed=0)
        assert (answers.cells is not None) is expected
        assert any(query.cells for query in fitter.queries) is expected
        assert (answers.predicted is not None) is not expected
    mean = answers_of_fitter(load("mean"), exam, wanted=WANTED, title="mean", seed=0)
    assert mean.cells is None and score_answers(mean, exam, select_metrics(CELLS), claims={"mean"}) == ()
    narrow = Sampler()
    narrow.claims = narrow.claims - {Claim.UNSEEN_GENE}
    refused = answers_of_fitter(narrow, exam, wanted=WANTED, title="narrow", seed=0)
    assert refused.cells is None and refused.refusal == "narrow does not claim unseen-gene"


def test_who_refuses_to_sample_has_means_and_a_gap_with_its_reason() -> None:
    exam = examination()
    answers = answers_of_fitter(Shy(), exam, wanted=WANTED | {Judges.PREDICTION}, title="shy", seed=0)
    scores = {score.metric: score for score in score_answers(answers, exam, METRICS.values(), claims=Shy.claims)}
    assert np.isfinite(scores["mse-truth"].value)
    assert all(np.isnan(scores[name].value) and "not today" in scores[name].note for name in CELLS)
    few = examination(cells_per_perturbation=8)
    answers = answers_of_fitter(Sampler(), few, wanted=WANTED, title="s", seed=0)
    found = score_answers(answers, few, select_metrics(CELLS), claims=Sampler.claims)
    assert {score.note.split(",")[0] for score in found} == {"fewer than 10 cells of every perturbation"}


def test_what_is_no_cell_fails() -> None:
    class Half(Sampler):
        def predict(self, query: Query) -> Prediction:
            found = super().predict(query)
            return replace(found, cells=tuple(cells * 0.5 for cells in found.cells or ()))

    with pytest.raises(FitterError, match="values that are not counts"):
        answers_of_fitter(Half(), examination(), wanted=WANTED, title="half", seed=0)


def test_cells_of_the_law_score_better_than_control_cells_and_the_replicate_has_as_many_as_were_held_out(
    tmp_path: Path,
) -> None:
    """The second draw of these worlds is Poisson about the means; here it is the screen itself, seen again."""
    from simcell.store import write_tree

    tree = make_example_tree(3, cells_per_perturbation=60)
    write_tree(tree, tmp_path / "again.zarr")
    exam = examine(tree, unseen_single(conditions(tree), seed=0), cells=True)
    again = answers_of_control("replicate", exam, wanted=WANTED, second_draw=tmp_path / "again.zarr")
    assert again.cells is not None and {cells.shape[0] for cells in again.cells[0]} == {60}
    own = {one.metric: one.value for one in score_answers(again, exam, select_metrics(CELLS), claims=None)}
    controls = answers_of_fitter(load("control-cells"), exam, wanted=WANTED, title="control-cells", seed=0)
    other = score_answers(controls, exam, select_metrics(CELLS), claims={"distribution", "mean"})
    for score in other:
        assert score.n_queries == len(exam.labels)
        assert METRICS[score.metric].merit(own[score.metric]) > METRICS[score.metric].merit(score.value)
    oracle = answers_of_control("oracle", exam, wanted=WANTED, second_draw=tmp_path)
    assert oracle.cells is None


def test_cells_are_judged_only_where_a_fitter_samples(tmp_path: Path) -> None:
    def planned(**changes: Any) -> tuple[set[str], set[Judges]]:
        tasks = plan(parse_benchmark_spec(example_data(**changes)), Folder(tmp_path))
        return {task.fitter.title for task in tasks}, {METRICS[name].judges for task in tasks for name in task.metrics}

    assert planned(fitters=["additive"]) == (
        {"additive", "mean", "no-change", "oracle", "replicate"},
        {Judges.PREDICTION},
    )
    fitters, judged = planned(fitters=["scaled-control-cells"])
    assert "control-cells" in fitters and judged == {Judges.PREDICTION, Judges.CELLS}
    fitters, judged = planned(fitters=["scaled-control-cells"], metrics=["mse-truth"])
    assert "control-cells" not in fitters and judged == {Judges.PREDICTION}
    with pytest.raises(SpecError, match=r"fitters\[0\]: 'control-cells' is not free"):
        planned(fitters=[{"name": "mean", "label": "control-cells"}])


def test_no_cells_are_read_where_no_metric_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = training_module.read_cells
    monkeypatch.setattr(training_module, "read_cells", lambda *a, **k: reads.append(1) or read(*a, **k))
    for fitters, expected in ((["additive"], False), (["scaled-control-cells"], True)):
        data = example_data(fitters=fitters, **SMALL)
        folder = tmp_path / fitters[0]
        result = run_benchmark(parse_benchmark_spec(data), folder, simulate=example_simulate, report=False)
        assert bool(reads) is expected and not result.failures


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkResult:
    data = example_data(fitters=["scaled-control-cells", "bilinear"], splits=[{"kind": "unseen-single"}])
    folder = tmp_path_factory.mktemp("cells") / "run"
    return run_benchmark(parse_benchmark_spec(data), folder, simulate=example_simulate)


def test_scores_are_in_the_table(done: BenchmarkResult) -> None:
    assert not done.failures
    scored = done.scores[done.scores["metric"].isin(CELLS)]
    has = scored.groupby("fitter")["value"].apply(lambda values: bool(values.notna().all()))
    assert set(has[has].index) == {"control-cells", "scaled-control-cells", "replicate"}
    assert set(scored.loc[scored["fitter"] == "bilinear", "message"]) == {"bilinear does not claim distribution"}
    assert set(scored.loc[scored["fitter"] == "oracle", "message"]) == {"oracle does not claim distribution"}
    assert set(scored.loc[scored["fitter"] == "replicate", "n_queries"]) == {2}
    stored = pd.read_csv(done.folder / "scores.csv")
    assert set(stored.loc[stored["metric"].isin(CELLS), "against"]) == {"measured"}


def test_the_report_shows_cells(done: BenchmarkResult) -> None:
    assert done.report is not None
    page = done.report.read_text()
    assert '<section id="cells">' in page and 'href="#cells"' in page
    section = page[page.index('<section id="cells">') : page.index('<section id="screens">')]
    for fitter in ("control-cells", "scaled-control-cells", "replicate"):
        assert f">{fitter}</td>" in section
    for fitter in ("oracle", "bilinear", "no-change"):
        assert f">{fitter}</td>" not in section
    assert "0 = control cells, 1 = replicate" in section or "not anchored" in section
    text = leaderboard_text(done.scores)
    board = text[text.index("example / unseen-single, cells (n = 2 seeds)") :]
    assert "E-distance → 0" in board and "0 = control-cells, 1 = replicate" in board and "bilinear" not in board


def table(**value: float) -> pd.DataFrame:
    """Return scores by the E-distance of some fitters."""
    columns = {"screen": "s", "seed": 1, "split": "p", "metric": "e-distance", "status": "ok", "against": "measured"}
    columns |= {"family": "", "value_note": "", "n_queries": 3, "message": "", "seconds": 1.0}
    return pd.DataFrame([columns | {"fitter": name, "value": score} for name, score in value.items()])


def test_control_cells_stand_at_0_and_the_replicate_at_1() -> None:
    scores = table(**{"control-cells": 0.5, "replicate": -0.1, "vae": 0.2, "oracle": 9.0})
    found = anchor(scores).set_index("fitter")["anchored"]
    assert found[["control-cells", "replicate", "vae"]].tolist() == pytest.approx([0.0, 1.0, 0.75])
    for values, reason in (
        ({"control-cells": 0.1, "replicate": -0.2}, "replicate scores no better than control-cells"),
        ({"control-cells": 0.1, "replicate": -0.1}, "replicate and control-cells score alike"),
        ({"control-cells": 0.1, "replicate": 0.1}, "replicate and control-cells score alike"),
        ({"replicate": 0.1}, "control-cells has no score here"),
    ):
        notes = anchor(table(vae=0.2, **values)).set_index("fitter")
        assert notes.loc["vae", "anchor_note"] == reason and np.isnan(notes.loc["vae", "anchored"])


def test_who_is_farther_from_the_best_score_stands_behind_on_either_side() -> None:
    """Of unbiased estimates, those below 0 are no better than those above, and seeds do not cancel them."""
    value = {"control-cells": 0.3, "replicate": -0.02, "good": 0.0, "near": 0.01, "bad": -0.25, "worse": 0.28}
    scores = anchor(table(**value)).set_index("fitter")
    merit = METRICS["e-distance"].merit(scores["value"])
    assert merit.sort_values().index.tolist() == scores["anchored"].sort_values().index.tolist()
    assert scores.loc["bad", "anchored"] == pytest.approx((0.3 - 0.25) / (0.3 - 0.02))
    other = {**value, "bad": 0.25, "near": -0.01}
    both = pd.concat([table(**value), table(**other).assign(seed=2)])
    both["family"] = ["control" if name == "replicate" else "vae" for name in both["fitter"]]
    lines = leaderboard(anchor(both.reset_index(drop=True)), Judges.CELLS)
    assert [line.fitter for line in lines] == ["good", "near", "bad", "worse", "control-cells", "replicate"]
