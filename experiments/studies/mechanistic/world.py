"""One network of the mechanistic study: simulated under one regulation function, fitted with each of the four.

In: a `CrossTask`. Out: rows of the study's table; they are kept in a file, so that a stopped study goes on.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.blas import one_blas_thread
from experiments.metrics import METRICS
from experiments.metrics.base import NoScoreError
from experiments.metrics.estimates import KineticsComparison, NetworkComparison
from experiments.metrics.ranking import Ranking
from experiments.outputs import read_json, slug, write_json
from experiments.studies.recovery.settings import NOISE_FREE, Setting
from experiments.studies.recovery.world import noise_free
from experiments.world import true_world
from fitters.base import TrainingData, checked_fit
from fitters.contract import Query
from fitters.registry import load as load_fitter
from simcell.errors import SimcellError
from simcell.generators import grouped_scale_free
from simcell.labels import CONTROL
from simcell.profiles import log_profile
from simcell.spec import ScreenSpec

REGULATIONS = ("thermodynamic", "hill_sum", "logistic", "linear")
GENES, REGULATORS, EDGES_PER_GENE, STEADY_GENES = 14, 0.4, 2.0, 20
AUPRC, SIGNS, ERROR = "auprc", "sign-accuracy", "prediction-error"
KINETICS, COVERAGE = "kinetics-error", "kinetics-coverage"
SCORES = (AUPRC, SIGNS, KINETICS, COVERAGE, ERROR)
HELD_OUT = 3  # every third combination is predicted, not fitted
OPTIONS: dict[str, Any] = {}  # of the fitter: its defaults


@dataclass(frozen=True)
class CrossTask:
    """What is to be done: the world of one regulation function under one seed; results go to `folder`."""

    truth: str
    seed: int
    folder: Path
    fingerprint: str

    @property
    def path(self) -> Path:
        """The file of the results."""
        return self.folder / f"{slug(self.truth, f'seed{self.seed}')}.json"


def run_world(task: CrossTask) -> list[dict[str, Any]]:
    """Return the rows of one world; what was done before is read back."""
    done = read_json(task.path)
    if done.get("fingerprint") == task.fingerprint:
        return list(done["rows"])
    rows = _rows(task)
    if not any(row["problem"] for row in rows):  # what failed is tried again when the study is
        write_json(task.path, {"fingerprint": task.fingerprint, "rows": rows})
    return rows


def died(task: CrossTask, problem: str) -> list[dict[str, Any]]:
    """Return the rows of a world whose process died."""
    return [_row(task, fitted, metric, None, problem=problem) for fitted in REGULATIONS for metric in SCORES]


def screen(regulation: str, seed: int) -> ScreenSpec:
    """Return a screen: every regulator knocked down by 80%, and every pair of them, two weeks before harvest."""
    drawn = grouped_scale_free(
        GENES, edges_per_gene=EDGES_PER_GENE, groups=2, regulators=REGULATORS, out_degree_bias=4.0, seed=seed
    )
    base = Setting(NOISE_FREE, regulation, {"cell": {"regulation": regulation}}).screen(seed)
    found = base.model_dump(mode="json")
    edges = zip(drawn.regulator.tolist(), drawn.target.tolist(), drawn.sign.tolist(), strict=True)
    named = [(drawn.genes[regulator], drawn.genes[target], sign) for regulator, target, sign in edges]
    steady = [f"S{number:03d}" for number in range(STEADY_GENES)]
    found["network"] = {"kind": "edges", "edges": named, "genes": [*drawn.genes, *steady]}
    found["library"] |= {"targets": "regulators", "combinations": [{"order": 2, "count": "all"}]}
    return ScreenSpec.model_validate(found)


def _rows(task: CrossTask) -> list[dict[str, Any]]:
    import simcell

    with tempfile.TemporaryDirectory(prefix="simcell-mechanistic-") as folder:
        try:
            path = simcell.simulate(screen(task.truth, task.seed), Path(folder) / "x.zarr", progress=False)
            tree = simcell.load(path)
            data, world = noise_free(tree), true_world(tree)
        except SimcellError as error:
            return died(task, str(error))
    doubles = [label for label in data.perturbations if "+" in label]
    asked = doubles[::HELD_OUT]
    training = data.take(np.flatnonzero(~np.isin(data.perturbation, asked)))
    rows = []
    for fitted in REGULATIONS:
        start = time.perf_counter()
        try:
            with one_blas_thread():
                fit = checked_fit(
                    load_fitter("ode-mechanistic", regulation=fitted, **OPTIONS), training, seed=task.seed
                )
                scores = fit.network()
                rates = fit.kinetics()
                predicted = fit.predict(Query.of_labels(asked)).profile
        except SimcellError as error:
            rows += [_row(task, fitted, metric, None, problem=str(error)) for metric in SCORES]
            continue
        seconds = time.perf_counter() - start
        assert scores is not None and rates is not None  # it claims both
        comparison = NetworkComparison.of(scores, world, perturbed=training.perturbed_genes)
        found = {
            AUPRC: _area(comparison),
            SIGNS: _score(SIGNS, comparison),
            KINETICS: _score(KINETICS, KineticsComparison(rates, world)),
            COVERAGE: _score(COVERAGE, KineticsComparison(rates, world)),
            ERROR: _prediction_error(data, asked, predicted),
        }
        rows += [_row(task, fitted, metric, value, seconds=seconds) for metric, value in found.items()]
    return rows


def _area(comparison: NetworkComparison) -> float | None:
    try:
        score, sign = comparison.candidates()
        return Ranking.of(np.abs(score), sign != 0).average_precision()
    except NoScoreError:
        return None


def _score(metric: str, comparison: NetworkComparison | KineticsComparison) -> float | None:
    try:
        return float(METRICS[metric].function(comparison))
    except NoScoreError:
        return None


def _prediction_error(data: TrainingData, asked: list[str], predicted: np.ndarray) -> float:
    """Return the squared error of profiles over that of no change: 0 is perfect, 1 as good as nothing."""
    control = data.pseudobulk.row(CONTROL)
    truth = np.stack([log_profile(data.pseudobulk.total[data.conditions.index(label)]) for label in asked])
    return float(((predicted - truth) ** 2).sum() / ((control - truth) ** 2).sum())


def _row(
    task: CrossTask, fitted: str, metric: str, value: float | None, *, seconds: float | None = None, problem: str = ""
) -> dict[str, Any]:
    return {
        "truth": task.truth,
        "fitted": fitted,
        "seed": task.seed,
        "metric": metric,
        "score": value,
        "seconds": seconds,
        "problem": problem,
    }
