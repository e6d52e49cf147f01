"""The recovery study: its worlds are as they say, it goes on where it was, its conclusion follows from the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pandas as pd
import pytest

from experiments.cli import main
from experiments.studies import load_study, recovery
from experiments.studies.recovery import page, world
from experiments.studies.recovery.settings import BASE, NOISE_FREE, STEADY_GENES, Setting, settings
from experiments.studies.recovery.world import AUPRC, SCORES, WorldTask, run_world
from fitters.results import EdgeScores
from simcell.errors import SpecError
from simcell.screen import build_screen

ALL = settings()


def noise_free(kind: str) -> Setting:
    return next(setting for setting in ALL if setting.noise_free and setting.value == kind)


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.name)
def test_every_setting_is_a_screen_of_its_own(setting: Setting) -> None:
    screen = build_screen(setting.screen(3))
    network = screen.model.network
    graph = networkx.DiGraph(zip(network.regulator.tolist(), network.target.tolist(), strict=True))
    assert networkx.is_directed_acyclic_graph(graph) == setting.acyclic
    n_steady = STEADY_GENES if setting.knob != "steady genes" else 0
    assert sum(gene.startswith("S") for gene in network.genes) == n_steady
    assert len({other.name for other in ALL}) == len(ALL)
    regulators = {network.genes[gene] for gene in network.regulators}
    assert {target for label in screen.library.perturbations[1:] for target in label.split("+")} <= regulators


def task(tmp_path: Path, setting: Setting, *fitters: str, seed: int = 1) -> WorldTask:
    return WorldTask(setting, seed, fitters, tmp_path, "print")


def scores(rows: list[dict[str, Any]], metric: str) -> dict[str, float]:
    return {row["fitter"]: row["score"] for row in rows if row["metric"] == metric}


def test_a_linear_world_without_noise_is_recovered_and_a_planted_bug_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cyclic = noise_free("cycles")
    rows = run_world(task(tmp_path, cyclic, "ridge-network", "random-network"))
    assert {row["metric"] for row in rows} == set(SCORES)
    assert scores(rows, AUPRC)["ridge-network"] >= 0.95 > 0.5 > scores(rows, AUPRC)["random-network"]
    assert scores(rows, "sign-accuracy")["ridge-network"] >= 0.98

    # the bug: regulators and targets are mixed up
    original = world.NetworkComparison.of

    def transposed(found: EdgeScores, *rest: Any, **named: Any) -> Any:
        assert found.regulators == found.genes
        return original(EdgeScores(found.regulators, found.genes, found.score.T, effects=True), *rest, **named)

    monkeypatch.setattr(world.NetworkComparison, "of", transposed)
    rows = run_world(WorldTask(cyclic, 1, ("ridge-network",), tmp_path, "another print"))
    assert scores(rows, AUPRC)["ridge-network"] < 0.5


def test_what_was_done_is_taken_up_and_what_failed_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = task(tmp_path, noise_free("no cycles"), "random-network")
    rows = run_world(one)
    stored = json.loads(one.path.read_text())
    assert stored["rows"] == rows
    monkeypatch.setattr(world, "_rows", lambda _: pytest.fail("done before"))
    assert run_world(one) == rows
    monkeypatch.setattr(world, "_rows", lambda one: world.died(one, "no memory"))
    failed = task(tmp_path, noise_free("cycles"), "random-network")
    assert [row["problem"] for row in run_world(failed)] == ["no memory"]
    assert not failed.path.exists()


def table(value: dict[tuple[str, str], dict[str, list[float]]]) -> pd.DataFrame:
    """Return a table of the study with given areas, by setting and fitter; signs are all right."""
    return pd.DataFrame(
        [
            {"knob": knob, "value": name, "acyclic": False, "seed": seed, "fitter": fitter, "metric": metric}
            | {"score": {AUPRC: score, "sign-accuracy": 1.0, "auprc-ratio": score / 0.1}[metric]}
            | {"seconds": 1.0, "problem": ""}
            for (knob, name), fitters in value.items()
            for fitter, areas in fitters.items()
            for seed, score in enumerate(areas)
            for metric in (AUPRC, "sign-accuracy", "auprc-ratio")
        ]
    )


def test_the_conclusion_follows_from_the_numbers() -> None:
    found = table(
        {
            (NOISE_FREE, "cycles"): {"good": [1.0, 0.99, 1.0], "bad": [0.1, 0.2, 0.1]},
            (BASE, "cycles"): {"good": [0.80, 0.81, 0.80], "bad": [0.30, 0.31, 0.30]},
            ("depth", "capture 0.03"): {"good": [0.20, 0.21, 0.20], "bad": [0.30, 0.31, 0.30]},
            ("depth", "capture 1"): {"good": [0.90, 0.91, 0.90], "bad": [0.30, 0.31, 0.30]},
        }
    )
    said = list(page.conclusion(found))
    assert said[0].endswith("(the interval of the area lies above 0.95) by good (signs 1.00).")
    assert (
        said[1] == "In the base screen good comes first with 0.80 ± 0.01, ahead of all others (paired over networks)."
    )
    # chance is 0.1 here: 0.8033 is 0.78 of the way from it to 1
    assert "base (0.78 of" in said[2] and "most is lost with depth, capture 0.03 (0.11 left)" in said[2]
    assert said[2].endswith("best with depth, capture 1 (0.89).")
    assert said[3] == "Another fitter is ahead (paired over networks) at: depth, capture 0.03 (bad)."


def test_fitters_are_compared_on_the_same_networks() -> None:
    """A lead of 0.03 in every network is told, however much the networks differ."""
    found = table({(BASE, "cycles"): {"good": [0.3, 0.6, 0.9], "near": [0.27, 0.57, 0.87], "noisy": [0.5, 0.4, 0.8]}})
    (said,) = page.conclusion(found)
    assert said.endswith("not told apart from noisy (paired over networks).")


def test_fitters_that_cannot_take_part_are_named(tmp_path: Path) -> None:
    for name in ("mean", "nothing"):
        with pytest.raises(SpecError, match=f"fitters: '{name}' is not a fitter that claims a network"):
            recovery.run(tmp_path, fitters=[name], progress=False)
    with pytest.raises(SpecError, match="networks: 1 is not >= 2"):
        recovery.run(tmp_path, networks=1, progress=False)
    with pytest.raises(SpecError, match=r"study: 'recvery' is not one of .*recovery.* \(did you mean 'recovery'\?\)"):
        load_study("recvery")


def test_the_command_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = (noise_free("cycles"), next(setting for setting in ALL if setting.knob == BASE))
    monkeypatch.setattr(recovery, "settings", lambda *, quick=False: few)
    arguments = ["study", "recovery", "-o", str(tmp_path / "out"), "--networks", "2", "--fitters"]
    assert main([*arguments, "ridge-network,random-network"]) == 0
    printed = capsys.readouterr().out
    assert "by ridge-network (signs" in printed and "recovery.md" in printed
    text = (tmp_path / "out" / "recovery.md").read_text()
    assert "| noise-free, cycles |" in text and "| base, cycles |" in text and "recovery.png" in text
    found = pd.read_csv(tmp_path / "out" / "recovery.csv")
    assert set(found["metric"]) == set(SCORES) and np.isfinite(found["score"]).any()
    assert (tmp_path / "out" / "recovery.png").stat().st_size > 10_000
