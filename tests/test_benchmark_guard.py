"""Fitters that a benchmark must not trust: those that look for the truth, spoil what is shared, or end the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_benchmark import SMALL, USER_FITTERS, example_data, example_simulate, rows

from experiments.benchmark import BenchmarkResult, run_benchmark
from experiments.benchmark_spec import parse_benchmark_spec

CHEATS = '''
import os


class Opens(Control):
    """Reads the truth of the benchmark that it takes part in."""

    name = "opens"

    def __init__(self, *, where=""):
        super().__init__()
        self.where = where

    def fit(self, data, *, seed):
        for folder, _, files in os.walk(self.where):
            for file in files:
                open(os.path.join(folder, file), "rb").close()
        return super().fit(data, seed=seed)


class Spoils(Control):
    """Makes all cells alike for whoever comes next."""

    name = "spoils"

    def fit(self, data, *, seed):
        counts = data.counts.data
        counts.setflags(write=True)
        counts[:] = 1
        return super().fit(data, seed=seed)


class Rewrites(Control):
    """Forgets what was done to the cells."""

    name = "rewrites"

    def fit(self, data, *, seed):
        data.experiments.clear()
        return super().fit(data, seed=seed)


class Leaves(Control):
    name = "leaves"

    def fit(self, data, *, seed):
        os._exit(0)


class Moves(Control):
    name = "moves"

    def fit(self, data, *, seed):
        os.chdir("/")
        return super().fit(data, seed=seed)
'''


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkResult:
    folder = tmp_path_factory.mktemp("guard")
    (folder / "cheats.py").write_text(USER_FITTERS + CHEATS)
    fitters = [
        {"name": "cheats.py:Opens", "options": {"where": str(folder / "run")}},
        *(f"cheats.py:{name}" for name in ("Spoils", "Rewrites", "Leaves", "Moves", "Control")),
    ]
    spec = parse_benchmark_spec(example_data(fitters=fitters, metrics=["mse-truth"], **SMALL), folder=folder)
    return run_benchmark(spec, folder / "run", simulate=example_simulate, report=False)


@pytest.mark.parametrize(
    ("fitter", "message"),
    [
        ("Opens", r"fitter opens: opened .*where the truth lies"),
        ("Spoils", "fitter spoils: changed the training data, which all fitters share"),
        ("Rewrites", "fitter rewrites: changed the training data, which all fitters share"),
        ("Leaves", "the worker process died"),
    ],
)
def test_what_must_not_be_is_marked(done: BenchmarkResult, fitter: str, message: str) -> None:
    found = rows(done, fitter=fitter)
    assert set(found["status"]) == {"failed"}
    assert found["message"].str.contains(message).all(), found["message"].tolist()


def test_the_others_are_none_the_worse(done: BenchmarkResult, tmp_path: Path) -> None:
    assert np.isfinite(rows(done, fitter="Moves")["value"]).all()
    (tmp_path / "mine.py").write_text(USER_FITTERS)
    spec = parse_benchmark_spec(
        example_data(fitters=["mine.py:Control"], metrics=["mse-truth"], **SMALL), folder=tmp_path
    )
    alone = run_benchmark(spec, tmp_path / "run", simulate=example_simulate, report=False)
    for fitter in ("Control", "mean", "no-change"):
        np.testing.assert_array_equal(rows(done, fitter=fitter)["value"], rows(alone, fitter=fitter)["value"])
