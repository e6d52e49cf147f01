"""Loss histories, divergences and checkpoints of trained fitters in a benchmark: kept for each task, and shown."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers_benchmark import SMALL, USER_FITTERS, example_data, example_simulate, rows

from experiments.benchmark import BenchmarkResult, run_benchmark
from experiments.benchmark_spec import parse_benchmark_spec
from experiments.loss_histories import KEYS, read_history, stages, tabulate_losses, tabulate_trainings, write_history
from experiments.report import write_report
from experiments.report.loss_pictures import COLUMNS, MOST_POINTS, losses_picture
from fitters.results import LossHistory
from simcell.errors import SpecError

TRAINED = '''
from dataclasses import dataclass, replace

from fitters.training.batches import RowLabels
from fitters.training.cells import CellTable
from fitters.training.checkpoint import fingerprint_of
from fitters.training.loop import train
from fitters.training.options import TrainedFitter


@dataclass(frozen=True, kw_only=True)
class Descends(TrainedFitter):
    """Learns the mean log count of every gene by gradients, in two stages."""

    epochs: int = 6
    batch_size: int = 512
    learning_rate: float = 0.05
    grows: float = 1.0
    log: str = ""

    name = "descends"
    family = "vae"
    claims = frozenset({"mean", "unseen-gene", "combination"})
    assumptions = frozenset()
    terms = {"response": 1.0, "sparsity": 0.01}

    def fit(self, data, *, seed):
        import torch

        class Mean(torch.nn.Module):
            def __init__(self, x, grows, log):
                super().__init__()
                self.level = torch.nn.Parameter(torch.zeros(x.shape[1]))
                self.register_buffer("x", x, persistent=False)
                self.grows, self.log = grows, log

            def terms(self, rows, moment):
                if self.log and self.training:
                    with open(self.log, "a") as file:
                        file.write("a step\\n")
                error = ((self.x[rows] - self.level) ** 2).mean()
                return {"response": error * self.grows**moment.epoch, "sparsity": self.level.abs().mean()}

        table = CellTable.of(data)
        held = table.held_out(self.held_out, seed=seed)[table.condition]
        labels = RowLabels(table.condition, table.batch, held)
        module = Mean(torch.log1p(torch.tensor(table.dense())), self.grows, self.log)
        how = {"weights": self.weights, "seed": seed, "fingerprint": fingerprint_of(table, repr(self), seed)}
        first = train(module, labels, self, stage="pretraining", epochs=3, **how)
        self_history = replace(train(module, labels, self, stage="fine-tuning", **how), earlier=(first,))
        return Fitted(self_history, data.control)


class Fitted:
    def __init__(self, history, control):
        self.history, self.control = history, control

    def predict(self, query):
        return np.tile(self.control, (len(query), 1))
'''
DIVERGES = {"name": "mine.py:Descends", "label": "diverges", "options": {"grows": 1e30}}


def run(folder: Path, fitters: list[Any], **changes: Any) -> BenchmarkResult:
    """Run a benchmark of fitters of mine.py in this process."""
    data = example_data(fitters=fitters, metrics=["mse-truth"], **changes)
    spec = parse_benchmark_spec(data, folder=folder)
    return run_benchmark(spec, folder / "run", simulate=example_simulate, report=False, map_function=map)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(USER_FITTERS + TRAINED)
    return tmp_path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkResult:
    folder = tmp_path_factory.mktemp("losses")
    (folder / "mine.py").write_text(USER_FITTERS + TRAINED)
    no_stop = {"name": "mine.py:Descends", "label": "no-stop", "options": {"held_out": 0, "losses": {"sparsity": 0}}}
    return run(folder, ["mine.py:Descends", no_stop, DIVERGES, "mine.py:Control"])


def test_every_term_of_every_epoch_of_every_stage_is_kept(done: BenchmarkResult) -> None:
    losses = pd.read_csv(done.folder / "losses.csv", keep_default_na=False)
    assert set(losses["fitter"]) == {"Descends", "no-stop"}, "neither closed forms nor failures"
    assert len(losses.groupby(["seed", "split"])) == 4
    one = losses[(losses["fitter"] == "Descends") & (losses["seed"] == 1) & (losses["split"] == "unseen-single")]
    sizes = one.groupby("stage", sort=False).size().to_dict()
    assert sizes == {"pretraining": 3 * 2, "fine-tuning": 6 * 2}
    assert dict(zip(one["term"], one["weight"], strict=True)) == {"response": 1.0, "sparsity": 0.01}
    assert set(one["best_epoch"]) <= set(range(1, 7))
    stored = read_history(done.folder / "losses" / "example--seed1--unseen-single--Descends.npz")
    response = one[(one["stage"] == "fine-tuning") & (one["term"] == "response")]
    np.testing.assert_allclose(response["training"], stored[1].training[:, 0], rtol=1e-6)
    assert stored[1].held_out is not None
    np.testing.assert_allclose(response["held_out"].astype(float), stored[1].held_out[:, 0], rtol=1e-6)
    assert response["training"].is_monotonic_decreasing, "it learns"
    without = losses[losses["fitter"] == "no-stop"]
    assert set(without["held_out"]) == {""}
    assert set(without["best_epoch"]) == {0}
    assert set(without.loc[without["term"] == "sparsity", "weight"]) == {0.0}, "recorded only"


def test_what_each_training_took_is_kept(done: BenchmarkResult) -> None:
    took = pd.read_csv(done.folder / "trainings.csv")
    assert len(took) == 2 * 2 * 2 * 2, "fitters, seeds, splits, stages"
    assert set(took["epochs"]) == {3, 6}
    assert (took["seconds"] > 0).all()
    assert (took["peak_memory"] > 1e7).all()
    assert set(took["device"]) == {"cpu"}


def test_a_divergence_is_marked_in_one_line_and_the_others_go_on(done: BenchmarkResult) -> None:
    found = rows(done, fitter="diverges")
    assert set(found["status"]) == {"failed"}
    message = found["message"].iloc[0]
    assert re.search(r"training diverged: term response is \S+e\+\d\d at epoch 2 \(training; last below ", message)
    assert "\n" not in message
    assert not list((done.folder / "losses").glob("*diverges*"))
    for fitter in ("Descends", "Control", "mean"):
        assert set(rows(done, fitter=fitter)["status"]) == {"ok"}


def test_a_run_that_goes_on_has_the_same_losses(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments import task

    first = run(mine, ["mine.py:Descends"], seeds=[1])
    before = (first.folder / "losses.csv").read_text()
    assert before.count("\n") > 1
    (first.folder / "results" / "example--seed1--unseen-double--Descends.json").unlink()
    attempted, attempt = [], task._attempt
    monkeypatch.setattr(task, "_attempt", lambda one: attempted.append(one.id) or attempt(one))
    run(mine, ["mine.py:Descends"], seeds=[1])
    assert attempted == ["example--seed1--unseen-double--Descends"]
    assert (first.folder / "losses.csv").read_text() == before


def test_losses_of_a_fit_that_now_fails_are_not_shown(mine: Path) -> None:
    kept = run(mine, ["mine.py:Descends"], **SMALL).folder / "losses.csv"
    assert len(pd.read_csv(kept))
    (mine / "mine.py").write_text((USER_FITTERS + TRAINED).replace("grows: float = 1.0", "grows: float = 1e30"))
    failed = run(mine, ["mine.py:Descends"], **SMALL)
    assert set(rows(failed, fitter="Descends")["status"]) == {"failed"}
    assert not len(pd.read_csv(kept))


def test_losses_of_a_fit_that_now_refuses_are_not_shown(mine: Path) -> None:
    kept = run(mine, ["mine.py:Descends"], **SMALL).folder / "losses.csv"
    assert len(pd.read_csv(kept))
    refuses = 'from fitters.errors import RefusedQueryError\n        raise RefusedQueryError(self.name, "no")'
    (mine / "mine.py").write_text(USER_FITTERS + TRAINED.replace("import torch", refuses))
    refused = run(mine, ["mine.py:Descends"], **SMALL)
    assert set(rows(refused, fitter="Descends")["status"]) == {"not claimed"}
    assert not len(pd.read_csv(kept))


def test_every_task_has_a_checkpoint_of_its_own(mine: Path) -> None:
    log = mine / "log.txt"
    program = (USER_FITTERS + TRAINED).replace('log: str = ""', f"log: str = {str(log)!r}")
    (mine / "mine.py").write_text(program)
    fitter = {"name": "mine.py:Descends", "options": {"checkpoint": "fit.pt", "batch_size": 10**6}}
    first = run(mine, [fitter])
    assert set(rows(first, fitter="Descends")["status"]) == {"ok"}
    kept = sorted(path.parent.name for path in (first.folder / "checkpoints").glob("*/fit.pt.fine-tuning"))
    splits = ("unseen-double", "unseen-single")
    assert kept == [f"example--seed{seed}--{split}--Descends" for seed in (1, 2) for split in splits]
    assert not list(mine.glob("fit.pt*"))

    assert log.read_text().count("a step") == 4 * (3 + 6)
    log.write_text("")
    (first.folder / "results" / f"{kept[0]}.json").unlink()
    again = run(mine, [fitter])
    assert not log.read_text(), "it goes on from where it was: at the end"
    assert rows(again, fitter="Descends")["value"].tolist() == rows(first, fitter="Descends")["value"].tolist()

    (mine / "mine.py").write_text(program + "\n# edited\n")
    run(mine, [fitter])
    assert log.read_text().count("a step") == 4 * (3 + 6), "another program: all over again"


def test_a_checkpoint_that_is_none_is_marked_and_named(mine: Path) -> None:
    fitter = {"name": "mine.py:Descends", "options": {"checkpoint": "fit.pt"}}
    first = run(mine, [fitter, "mine.py:Control"], **SMALL)
    name = "example--seed1--unseen-single--Descends"
    (first.folder / "results" / f"{name}.json").unlink()
    (first.folder / "checkpoints" / name / "fit.pt.pretraining").write_bytes(b"no checkpoint")
    again = run(mine, [fitter, "mine.py:Control"], **SMALL)
    message = rows(again, fitter="Descends")["message"].item()
    assert re.search(rf"option checkpoint: '.*{name}/fit\.pt\.pretraining' is not a checkpoint", message)
    assert "\n" not in message
    assert set(rows(again, fitter="Control")["status"]) == {"ok"}


@pytest.mark.parametrize("path", ["kept/fit.pt", "/tmp/fit.pt", "..", "made_by.json"])
def test_a_checkpoint_that_tasks_would_share_or_that_hides_its_mark_is_refused_before_any_work(
    path: str, mine: Path
) -> None:
    fitters = ["mine.py:Control", {"name": "mine.py:Descends", "options": {"checkpoint": path}}]
    with pytest.raises(SpecError, match=rf"fitters\[1\]\.options\.checkpoint: '{path}' is not the name of a file, wit"):
        run(mine, fitters)
    assert not (mine / "run").exists()


def history(*, epochs: int = 4, stage: str = "", held_out: bool = True, **rest: Any) -> LossHistory:
    """Return a history whose values are known."""
    training = np.arange(1.0, 2 * epochs + 1).reshape(epochs, 2)
    return LossHistory(
        ("a", "b"), np.array([1.0, 0.5]), training, training / 2 if held_out else None, stage=stage, **rest
    )


def test_a_history_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    early = history(epochs=2, held_out=False, seconds=1.5, peak_memory=7, device="cpu")
    write_history(path, history(best_epoch=3, earlier=(early, LossHistory())))
    first, last = read_history(path)
    assert (first.stage, last.stage) == ("(1)", "(2)"), "stages without names are told apart"
    assert first.held_out is None
    assert (first.seconds, first.peak_memory, first.device) == (1.5, 7, "cpu")
    assert last.best_epoch == 3
    np.testing.assert_array_equal(last.training, history().training)
    np.testing.assert_array_equal(last.held_out, history().held_out)
    assert last.terms == ("a", "b")
    write_history(path, LossHistory())
    assert not path.exists(), "a closed form has no file, and leaves none"
    path.write_bytes(b"half a file")
    assert read_history(path) == ()
    write_history(path, history())
    path.write_bytes(path.read_bytes()[:-40])
    assert read_history(path) == ()


def test_the_tables_by_hand() -> None:
    keys = dict(zip(KEYS, ("s", 1, "x", "f"), strict=True))
    found = [(keys, stages(history(epochs=2, best_epoch=1, seconds=3.0)))]
    losses = tabulate_losses(found)
    assert losses[["epoch", "term", "weight", "training", "held_out"]].to_numpy().tolist() == [
        [1, "a", 1.0, 1.0, 0.5],
        [1, "b", 0.5, 2.0, 1.0],
        [2, "a", 1.0, 3.0, 1.5],
        [2, "b", 0.5, 4.0, 2.0],
    ]
    took = tabulate_trainings(found).iloc[0]
    assert (took["epochs"], took["best_epoch"], took["seconds"]) == (2, 1, 3.0)
    assert list(tabulate_losses([]).columns) == list(losses.columns)


def frame(fitter: str, found: LossHistory, *, seed: int = 1) -> pd.DataFrame:
    """Return the rows of losses.csv of one task."""
    return tabulate_losses([(dict(zip(KEYS, ("s", seed, "x", fitter), strict=True)), stages(found))])


def test_curves_are_those_of_the_table() -> None:
    slow, quick = history(epochs=4, best_epoch=2), history(epochs=2, best_epoch=1)
    figure = losses_picture(pd.concat([frame("f", slow), frame("f", quick, seed=2)]), ["f"])
    (axes,) = figure.axes
    drawn = {
        (line.get_linewidth() > 1, line.get_label()): line
        for line in axes.lines
        if not line.get_label().startswith("_")
    }
    mean = drawn[True, "a × 1"]
    assert mean.get_xydata().tolist() == [[1, 1.0], [2, 3.0]], "mean as far as both went"
    assert mean.get_linestyle() == "-"
    solid = [line for line in axes.lines if line.get_linewidth() < 1 and line.get_linestyle() == "-"]
    assert sorted(len(line.get_xdata()) for line in solid) == [2, 2, 4, 4]
    marked = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "^"]
    assert sorted(marked) == [1, 2], "the epoch kept by each seed"
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 2 * 3, "each term: two seeds and their mean"
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"a × 1", "b × 0.5"}


def test_axes_are_logarithmic_where_values_are_positive_and_far_apart() -> None:
    def scale(values: list[float]) -> str:
        table = np.array(values)[:, None]
        one = frame("f", LossHistory(("a",), np.ones(1), table))
        return str(losses_picture(one, ["f"]).axes[0].get_yscale())

    assert scale([100.0, 1.0]) == "log"
    assert scale([100.0, 1.0, 0.0]) == "log"
    assert scale([100.0, 1.0, math.inf]) == "log"  # as a user's fitter may say
    assert scale([1.2, 1.0]) == "linear"
    assert scale([100.0, -1.0]) == "linear"
    assert scale([0.0, 0.0]) == "linear"


def test_a_term_has_one_colour_and_terms_of_a_panel_have_different_ones() -> None:
    def one(fitter: str, terms: list[str]) -> pd.DataFrame:
        table = np.ones((2, len(terms)))
        return frame(fitter, LossHistory(tuple(terms), np.ones(len(terms)), table))

    fitters = {f"f{number}": ["response", *(f"t{number}{extra}" for extra in range(5))] for number in range(4)}
    figure = losses_picture(pd.concat([one(*item) for item in fitters.items()]), list(fitters))
    drawn = [{str(line.get_label()): line.get_color() for line in axes.lines} for axes in figure.axes]
    assert all(len(set(colours.values())) == 6 for colours in drawn)
    assert len({colours["response × 1"] for colours in drawn}) == 1


def test_stages_stand_side_by_side_and_long_trainings_are_thinned() -> None:
    long = history(epochs=5_000, stage="last", earlier=(history(stage="first"),))
    parts = [frame(name, long) for name in ("one", "two", "three")]
    figure = losses_picture(pd.concat(parts), ["one", "two", "three"])
    places = {axes.get_title(): axes.get_subplotspec() for axes in figure.axes}
    for name in ("one", "two", "three"):
        first, last = places[f"{name}, first"], places[f"{name}, last"]
        assert first.rowspan == last.rowspan
        assert last.colspan.start == first.colspan.start + 1 < COLUMNS
    assert max(len(line.get_xdata()) for axes in figure.axes for line in axes.lines) <= MOST_POINTS


def test_the_report_shows_the_losses(done: BenchmarkResult) -> None:
    page = write_report(done.folder).read_text()
    section = page[page.index('<section id="losses">') : page.index('<section id="screens">')]
    for text in ("Descends, pretraining", "Descends, fine-tuning", "no-stop, fine-tuning", "sparsity × 0.01"):
        assert f">{text}<" in section
    assert ">sparsity (recorded only)<" in section
    assert "diverges" not in section
    assert section.count("<svg") == 2, "one for each split"
    assert '<a href="#losses">' in page
    assert "fitter descends: training diverged: term response is " in page


def test_a_report_without_trained_fitters_has_no_section_of_losses(tmp_path: Path) -> None:
    spec = parse_benchmark_spec(example_data(fitters=["additive"], metrics=["mse-truth"], **SMALL))
    result = run_benchmark(spec, tmp_path / "run", simulate=example_simulate, report=False)
    assert len(pd.read_csv(result.folder / "losses.csv")) == 0
    page = write_report(result.folder).read_text()
    assert "losses" not in re.findall(r'id="([^"]+)"', page)
    assert "Fitters were told nothing beside the training cells." in page
    for name in ("losses.csv", "trainings.csv", "knowledge.csv"):
        (result.folder / name).unlink()
    assert write_report(result.folder).read_text() == page, "a folder of an earlier version has no such tables"
