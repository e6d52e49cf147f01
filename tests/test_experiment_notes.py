"""The notes of an experiment: where cells had been at any hour, and how fitters are given them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from experiments.studies.losses.settings import Setting
from experiments.training import all_cells
from fitters.errors import TrainingDataError
from fitters.experiment import Experiment, Step, Stretch
from fitters.mechanistic.mechanistic_rows import trajectories
from fitters.training_data import TrainingData
from simcell import load, simulate

WORD = (Step("culture", "base", 10.0), Step("transduce"), Step("culture", "rich", 5.0), Step("harvest"))


def test_stretches_say_where_cells_had_been() -> None:
    notes = Experiment(WORD)
    assert notes.transduced_at == 10.0
    assert notes.stretches(15.0) == (Stretch("base", 0.0, 10.0, False), Stretch("rich", 10.0, 15.0, True))
    assert notes.stretches(4.0) == (Stretch("base", 0.0, 4.0, False),)
    assert notes.stretches(20.0)[-1] == Stretch("rich", 15.0, 20.0, True)  # beyond the steps: as at their end
    assert notes.stretches(20.0, medium="poor")[-1].medium == "poor"
    assert Experiment().stretches(3.0, medium="base") == (Stretch("base", 0.0, 3.0, True),)


def test_signals_of_media_are_levels_with_0_where_nothing_is_said() -> None:
    notes = Experiment(WORD, {"base": {}, "rich": {"insulin": 2.0}})
    assert notes.signals == ("insulin",)
    assert (notes.level("rich", "insulin"), notes.level("base", "insulin"), notes.level("x", "y")) == (2.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("kind", "medium", "hours", "problem"),
    [("wash", "", 0.0, "step 'wash' is not one of"), ("culture", "base", 0.0, "0.0"), ("culture", "", 3.0, "medium")],
)
def test_wrong_steps_are_named(kind: str, medium: str, hours: float, problem: str) -> None:
    with pytest.raises(TrainingDataError, match=re.escape(problem)):
        Step(kind, medium, hours)


def test_some_cells_keep_their_arm_and_the_notes() -> None:
    notes = {"early": Experiment(WORD)}
    data = TrainingData.from_arrays(
        [[1, 2], [3, 4], [5, 6]],
        genes=["A", "B"],
        perturbation=["control", "A", "control"],
        arm=["early", "late", "early"],
        experiments=notes,
    )
    part = data.take(np.array([2, 1]))
    assert part.arm.tolist() == ["early", "late"] and part.experiments == notes
    assert TrainingData.from_arrays([[1, 2]], genes=["A", "B"], perturbation=["control"]).arm.tolist() == ["arm0"]


def test_a_screen_gives_its_notes_and_controls_that_changed_medium_were_at_rest_before(tmp_path: Path) -> None:
    path = simulate(Setting("drifting", 72.0, 6).screen(1), tmp_path / "x.zarr", progress=False)
    data = all_cells(load(path))
    (notes,) = data.experiments.values()
    assert notes.begins_in == "base" and notes.level("other", "factor") == 3.0
    assert [step.kind for step in notes.steps].count("sample") == 2
    rows = trajectories(data, fitter="ode-mechanistic", last_only=False)
    assert rows.media.reference == "base"  # not the medium of the first sample, in which controls drift
    assert np.abs(rows.signal - rows.media.levels("base")).min() > 0.0
