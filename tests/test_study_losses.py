"""The study of losses: its worlds are what they are called, and its verdicts follow from its table."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments.report.summary import interval
from experiments.studies import load_study
from experiments.studies.losses import page, verdicts, world
from experiments.studies.losses.settings import BASE, DRIFTING, STATIONARY, WEIGHTS, Setting, settings
from experiments.studies.tables import told
from fitters.results import LossHistory
from simcell.errors import SpecError
from simcell.screen import build_screen
from simcell.truth import true_response

BASE_SETTING = (BASE["hours"], int(BASE["cells"]))


def rows(effect: float, *, fitter: str = "node", metric: str = "error", n: int = 6) -> pd.DataFrame:
    """Return a table in which the value at weight 1 is `effect` times that at weight 0, up to a little noise."""
    rng = np.random.default_rng(0)
    found = []
    for seed in range(n):
        size = rng.lognormal()
        keys = {"controls": STATIONARY, "hours": BASE_SETTING[0], "cells": BASE_SETTING[1], "seed": seed, "problem": ""}
        found.append(keys | {"fitter": "no-change", "weight": None, "metric": "error", "value": 2.0 * size})
        for weight in WEIGHTS:
            value = size * (effect if weight == 1.0 else 1.0) * rng.lognormal(sigma=0.02)
            found.append(keys | {"fitter": fitter, "weight": weight, "metric": metric, "value": value})
    return pd.DataFrame(found)


@pytest.mark.parametrize(
    ("effect", "verdict"), [(0.5, "**holds**"), (2.0, "the contrary is seen"), (1.0, "**is undecided**")]
)
def test_verdicts_follow_the_interval(effect: float, verdict: str) -> None:
    (sentence,) = verdicts.conclusion(verdicts.verdicts(verdicts.by_network(rows(effect))))
    assert verdict in sentence
    assert "`node`, stationary controls, 72 h, 400 cells: a lower test error" in sentence


def test_one_network_gives_no_verdict() -> None:
    (sentence,) = verdicts.conclusion(verdicts.verdicts(verdicts.by_network(rows(0.5, n=1))))
    assert "tells nothing" in sentence


def test_a_difference_among_many_has_to_be_larger_than_one_alone() -> None:
    one = interval(pd.Series([0.1, 0.5, 0.3, 0.9, 0.2, 0.1]))
    assert one.low > 0.0  # its own interval leaves 0 out
    none = interval(pd.Series([0.3, -0.3, 0.2, -0.2]))
    assert told([one]) == [True]
    assert told([one, *[none] * 9]) == [False] * 10
    assert told([interval(pd.Series([5.0]))]) == [False]
    assert told([]) == []


def test_the_page_has_every_setting_and_marks_what_is_told(tmp_path: Path) -> None:
    table = pd.concat([rows(0.5), rows(1.0, metric="spread of field")], ignore_index=True)
    curve = {"setting": Setting(STATIONARY, *BASE_SETTING).name, "seed": 0, "fitter": "node", "weight": 1.0}
    curves = [curve | {"terms": ["response"], "training": [[2.0], [1.0]], "held_out": []}]
    made_by = {"command": "simcell study losses", "date": "2026-01-01", "cores": 1}
    text = page.write_page(tmp_path, table, curves, made_by).read_text()
    assert "among all 2 ratios" in text
    assert "| stationary | 72 | 400 | node | **0.5" in text
    assert (tmp_path / "losses.png").exists() and (tmp_path / "curves.png").exists()


def test_errors_are_relative_to_no_change_of_the_same_network() -> None:
    relative = verdicts.relative_error(verdicts.by_network(rows(0.5)))
    off = relative.xs(0.0, level="weight")
    np.testing.assert_allclose(off, 0.5, rtol=0.1)  # 0.5 in every network, though their sizes differ by far
    assert "no-change" not in relative.index.get_level_values("fitter")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("controls", [STATIONARY, DRIFTING])
def test_controls_stand_still_or_drift_as_the_setting_says(controls: str, seed: int) -> None:
    spec = Setting(controls, 72.0, 4).screen(seed)
    spec = spec.model_copy(update={"library": spec.library.model_copy(update={"combinations": ()})})
    response = true_response(build_screen(spec), progress=False)
    assert len(response.times) == 3
    moved = np.abs(np.log(response.mean_field[:, 0] / response.mean_field[0, 0])).max(axis=1)
    assert moved[2] < 1e-6 if controls == STATIONARY else moved[2] > 0.2
    knocked_down = np.abs(np.log(response.mean_field[:, 1:] / response.mean_field[:, :1])).max(axis=(1, 2))
    assert knocked_down[0] < 1e-6  # the first sample is taken before guides act
    assert knocked_down[2] > 1.0


def test_settings_differ_in_one_knob_at_a_time() -> None:
    for controls in (STATIONARY, DRIFTING):
        for setting in (one for one in settings() if one.controls == controls):
            changed = {name for name, value in BASE.items() if dataclasses.asdict(setting)[name] != value}
            assert len(changed) <= 1
    assert [one.name for one in settings(quick=True)] == ["stationary, 72 h, 400 cells", "drifting, 72 h, 400 cells"]


def test_what_a_probe_does_to_one_weight_is_noted_and_a_value_that_is_no_number_is_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> dict[str, float]:
        raise np.linalg.LinAlgError("no eigenvalues")

    def simulated(*_: object, **__: object) -> Path:
        return tmp_path

    monkeypatch.setattr("simcell.simulate", simulated)
    monkeypatch.setattr("simcell.load", lambda _: None)
    monkeypatch.setattr(world, "_examination", lambda *_: SimpleNamespace(questions=()))
    monkeypatch.setattr(world, "_errors", lambda *_: np.nan)
    monkeypatch.setattr(world, "_fit", lambda *_: None)
    monkeypatch.setattr(world, "_measured", broken)
    task = world.WorldTask(Setting(STATIONARY, *BASE_SETTING), 1, "node", tmp_path, "print")
    first, *others = world.run_world(task)["rows"]
    assert (first["fitter"], first["value"]) == ("no-change", None)
    assert [row["problem"] for row in others] == ["LinAlgError: no eigenvalues"] * len(WEIGHTS)
    assert not task.path.exists()  # what failed is tried again
    monkeypatch.setattr(world, "_measured", lambda *_: {"error": 1.0, "spread of field": np.nan})
    monkeypatch.setattr(world, "_fit", lambda *_: SimpleNamespace(history=LossHistory()))
    found = world.run_world(task)
    assert found == world.run_world(task) and task.path.exists()
    assert [row["value"] for row in found["rows"][1:3]] == [1.0, None]


def test_a_fitter_without_the_term_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="one of node, node, large pools, ode-mechanistic"):
        load_study("losses").run(tmp_path, fitters=["mean"])
    with pytest.raises(SpecError, match=">= 2"):
        load_study("losses").run(tmp_path, networks=1)
