"""A benchmark on synthetic data, for tests of what runs benchmarks and of what reports on them.

A stand-in for the simulator, a specification as it would stand in a file, and a file of fitters of a user's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from helpers_dataset import make_example_tree

from experiments.benchmark import BenchmarkResult
from simcell._version import __version__
from simcell.store import write_tree

USER_FITTERS = '''
from pathlib import Path

import numpy as np


class Control:
    """The control plus a bit."""

    name = "control-plus"
    claims = frozenset({"mean", "unseen-gene", "combination"})
    assumptions = frozenset()

    def __init__(self, *, plus: float = 0.0):
        self.plus = plus

    def fit(self, data, *, seed):
        self.control = data.control
        return self

    def predict(self, query):
        return np.tile(self.control + self.plus, (len(query), 1))


class Fails(Control):
    name = "fails"

    def fit(self, data, *, seed):
        raise ZeroDivisionError("the dog ate\\nthe gradient")


class ReturnsNaN(Control):
    name = "returns-nan"

    def predict(self, query):
        return super().predict(query) * np.nan


class FromFile(Control):
    name = "from-file"

    def __init__(self, *, tables, plus):
        super().__init__(plus=plus + float(Path(tables[0]).read_text()))


class Modest(Control):
    name = "modest"
    claims = frozenset({"mean"})
'''


def example_simulate(spec: Any, path: Path, *, replicate: int, force: bool, **_: Any) -> None:
    """Write the synthetic example as if it had been simulated; a replicate has the same truth and other counts."""
    tree = make_example_tree(spec.seed, n_doubles=8)
    if replicate:
        draw = np.random.default_rng([spec.seed, replicate])
        label = np.array(tree["cells/perturbation"].values.tolist())
        counts = tree["counts/umis"].values
        mean = np.stack([counts[label == name].mean(axis=0) for name in label])
        new = draw.poisson(mean).astype(np.int32)
        tree["counts"] = tree["counts"].to_dataset().assign(umis=(("cell", "gene"), new))
        tree["cells"] = tree["cells"].to_dataset().assign(n_umis=("cell", new.sum(axis=1, dtype=np.int64)))
    tree.attrs |= {"seed": spec.seed, "replicate": replicate, "name": spec.name}
    tree.attrs["versions"] = {**tree.attrs["versions"], "simcell": __version__}
    write_tree(tree, path, force=force)


def example_data(**changes: Any) -> dict[str, Any]:
    """Return a benchmark as it would stand in a file."""
    screen = {
        "name": "example",
        "network": {"kind": "erdos-renyi", "genes": 40, "regulators": 0.2},
        "library": {"targets": "regulators", "combinations": [{"order": 2, "count": 8}]},
    }
    data: dict[str, Any] = {
        "name": "test",
        "screens": [screen],
        "seeds": [1, 2],
        "splits": [{"kind": "unseen-single"}, {"kind": "unseen-double"}],
        "fitters": ["additive", "bilinear"],
    }
    return data | changes


SMALL: dict[str, Any] = {"seeds": [1], "splits": [{"kind": "unseen-single"}]}


def rows(result: BenchmarkResult, **where: Any) -> pd.DataFrame:
    """Return the scores with the given values in the given columns."""
    scores = result.scores
    for column, value in where.items():
        scores = scores[scores[column] == value]
    return scores
