"""The contract suite: every registered fitter passes it, and each planted fault is caught by its own check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import planted_fitters
import pytest
from helpers_command import AWK

from experiments import cli
from experiments.contract.base import Check, Outcome, Status
from experiments.contract.checks import CHECKS
from experiments.contract.subject import Subject
from experiments.contract.suite import Result, line_of, run_check, run_suite
from fitters.registry import available

PLANTED_FILE = Path(planted_fitters.__file__)
# What makes a fitter cheap enough for a suite of some twenty fits, or makes it a fitter at all.
OPTIONS: dict[str, dict[str, Any]] = {
    "vae": {"epochs": 10},
    "command": AWK,
    "gies": {"max_genes": 8},
    "dagma": {"warm_iterations": 200, "iterations": 400},
    "scm-nonlinear": {"epochs": 20, "resamples": 2},
    "transformer": {"pretraining_epochs": 3, "epochs": 15, "width": 16},
    "rank-transformer": {"pretraining_epochs": 3, "epochs": 15, "width": 16},
    "frozen-transformer": {"pretraining_epochs": 3, "width": 16},
    "node": {"epochs": 60},
    "ode-mechanistic": {"epochs": 3, "first_epochs": 2},
}
WITHOUT = frozenset({"fresh process", "time and memory"})  # they start a process each; see the test of its own


def subject(name: str) -> Subject:
    return Subject(f"{PLANTED_FILE}:{name}")


def lost(one: Subject, checks: Any = None) -> dict[str, str]:
    outcomes = {check.name: run_check(check, one) for check in checks or CHECKS.values()}
    return {name: outcome.message for name, outcome in outcomes.items() if outcome.status is Status.FAILED}


@pytest.mark.parametrize("name", available())
def test_every_registered_fitter_keeps_the_contract(name: str) -> None:
    entry = available()[name]
    if entry.lacks:
        pytest.skip(entry.lacks)
    assert not lost(Subject(name, OPTIONS.get(name, {})))


def test_a_sound_fitter_passes_all() -> None:
    results = list(run_suite(subject("Samples")))
    assert len(results) == len(CHECKS)
    assert {result.outcome.status for result in results} <= {Status.PASSED, Status.MEASURED}, results


@pytest.mark.parametrize(("name", "check"), planted_fitters.PLANTED.items())
def test_a_planted_fault_is_caught_by_its_check_alone(name: str, check: str) -> None:
    checks = [one for one in CHECKS.values() if one.name not in WITHOUT or one.name == check]
    assert list(lost(subject(name), checks)) == [check]


def test_every_check_that_can_fail_has_a_planted_fault() -> None:
    assert set(planted_fitters.PLANTED.values()) == set(CHECKS) - {"time and memory"}


def test_what_a_fit_takes_is_stated() -> None:
    def taken(name: str) -> float:
        outcome = run_check(CHECKS["time and memory"], subject(name))
        assert outcome.status is Status.MEASURED
        return float(outcome.message.split(" MB of them")[0].rpartition(" ")[2])

    assert taken("Greedy") > 250 > 100 > taken("Sound")


def test_a_fit_of_a_built_in_fitter_refuses_by_itself() -> None:
    one = subject("Sound")
    assert run_check(CHECKS["refusals"], one).status is Status.PASSED
    one.built_in = True
    outcome = run_check(CHECKS["refusals"], one)
    assert outcome.status is Status.FAILED and "the fit itself answers" in outcome.message


def test_what_a_check_raises_is_a_failure_of_one_line() -> None:
    def breaks(_: Subject) -> Outcome:
        raise RuntimeError("two\nlines")

    outcome = run_check(Check("broken", "Broken.", breaks), subject("Sound"))
    assert outcome == Outcome(Status.FAILED, "RuntimeError: two lines")
    assert line_of(Result(CHECKS["depth"], outcome)).split() == ["failed", "depth", "RuntimeError:", "two", "lines"]


def test_the_command_prints_a_line_per_check_and_fails_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check-fitter", f"{PLANTED_FILE}:Sound", "--quick"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {check.name} " in text for check in CHECKS.values() if check.quick)
    assert "11 passed, 0 failed" in text
    assert cli.main(["check-fitter", f"{PLANTED_FILE}:ByColumn", "--quick"]) == 1
    assert "1 failed: order of genes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such/file.py:Mine"], "no file"),
        (["bilineer"], "did you mean 'bilinear'"),
        (["bilinear", "--set", "componets=3"], "did you mean 'components'"),
        (["bilinear", "--set", "components"], "--set: 'components' is not of the form option=value"),
        (["bilinear", "--set", "components=[1"], "a value that YAML can read"),
        (["bilinear", "--set", "penalty=-1"], "option penalty: -1 is not"),
        (["command"], "option command: () is not a command line"),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check-fitter", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_package_that_is_missing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PLANTED_FILE.read_text() + "\nclass Lacks(Sound):\n    packages = ('nosuchpackage',)\n"
    (tmp_path / "lacks.py").write_text(text)
    assert cli.main(["check-fitter", f"{tmp_path / 'lacks.py'}:Lacks"]) == 2
    assert "nosuchpackage is not installed" in capsys.readouterr().err
    assert str(tmp_path) not in sys.path


def test_a_fitter_that_would_end_the_process_ends_no_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leaves.py").write_text(
        "import os\n\n\nclass Leaves:\n    name, claims = 'leaves', frozenset({'mean'})\n\n"
        "    def fit(self, data, *, seed):\n        os._exit(0)\n"
    )
    assert cli.main(["check-fitter", f"{tmp_path / 'leaves.py'}:Leaves", "--quick"]) == 1
    assert "it called os._exit(0)" in " ".join(capsys.readouterr().out.split())
