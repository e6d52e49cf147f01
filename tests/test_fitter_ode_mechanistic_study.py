"""The mechanistic study: a world is fitted under every function, what was done is kept, the conclusion is computed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from experiments.studies import load_study, mechanistic
from experiments.studies.mechanistic import page, world
from experiments.studies.mechanistic.world import AUPRC, ERROR, REGULATIONS, SCORES, SIGNS, CrossTask, run_world
from simcell.errors import SpecError


def test_a_world_is_fitted_under_every_function_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "OPTIONS", {"epochs": 2, "first_epochs": 2})
    task = CrossTask("linear", 1, tmp_path, "print")
    rows = run_world(task)
    assert [(row["fitted"], row["metric"]) for row in rows] == [(one, m) for one in REGULATIONS for m in SCORES]
    scores = {(row["fitted"], row["metric"]): row["score"] for row in rows}
    assert scores["linear", AUPRC] >= 0.95 and scores["linear", SIGNS] >= 0.98
    assert 0.0 <= scores["linear", ERROR] < 0.01
    monkeypatch.setattr(world, "_rows", lambda _: pytest.fail("done before"))
    assert run_world(task) == rows


def table(cost: float) -> pd.DataFrame:
    """Return scores that are 0.9 for the right function and lower by `cost` for hill_sum in a linear world."""
    return pd.DataFrame(
        [
            {"truth": truth, "fitted": fitted, "seed": seed, "metric": metric, "seconds": 1.0, "problem": ""}
            | {"score": 0.9 + 0.001 * seed - (cost if (truth, fitted) == ("linear", "hill_sum") else 0.0)}
            for truth in REGULATIONS
            for fitted in REGULATIONS
            for seed in range(3)
            for metric in SCORES
        ]
    )


def test_the_conclusion_follows_from_the_numbers(tmp_path: Path) -> None:
    found = list(page.conclusion(table(0.3)))
    assert found[0] == (
        "Area under the precision-recall curve: 0.901 ± 0.002 with the right function; most is lost by hill_sum in a "
        "world of linear (-0.300 ± 0.000 on the same networks); 1 of 12 wrong functions cost something that is told "
        "from none."
    )
    made_by = {"command": "simcell study mechanistic", "date": "2026-01-01", "cores": 1}
    text = page.write_page(tmp_path, table(0.3), made_by).read_text()
    assert "| linear | 0.901" in text and (tmp_path / "mechanistic.png").stat().st_size > 5000


def test_what_the_study_cannot_take_is_named(tmp_path: Path) -> None:
    assert load_study("mechanistic") is mechanistic
    with pytest.raises(SpecError, match="fitters: 'mean' is not left out"):
        mechanistic.run(tmp_path, fitters=["mean"], progress=False)
    with pytest.raises(SpecError, match="networks: 1 is not >= 2"):
        mechanistic.run(tmp_path, networks=1, progress=False)
