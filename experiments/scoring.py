"""From comparisons to scores, and from scores to anchored scores: 0 = mean baseline, 1 = oracle, never clipped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from experiments.controls import ORACLE
from experiments.metrics import Comparison, Metric, Reference
from experiments.training import Question

BASELINE = "mean"  # the fitter that stands at 0
ALWAYS = ("no-change", BASELINE)  # fitters that stand in every table, listed or not
NO_SPAN = 1e-9  # oracle and baseline closer than this, relative to their size, leave nothing to measure by

OK, FAILED, NOT_CLAIMED = "ok", "failed", "not claimed"
KEYS = ["screen", "seed", "split", "fitter"]
ANCHORED = ["anchored", "anchor_note"]
COLUMNS = [
    *KEYS, "family", "metric", "against", "value", *ANCHORED, "n_queries", "status", "message", "seconds",
]  # fmt: skip


@dataclass(frozen=True)
class Score:
    """One metric of one task.

    Attributes:
        metric: the metric's name.
        value: mean over the held-out perturbations for which the score exists; NaN if there is none.
        per_query: the score of every held-out perturbation, NaN where it does not exist.
    """

    metric: str
    value: float
    per_query: tuple[float, ...]

    @property
    def n_queries(self) -> int:
        """Number of perturbations that `value` is the mean of."""
        return sum(math.isfinite(value) for value in self.per_query)


def compare(question: Question, predicted: Reference, genes: Sequence[str]) -> Comparison:
    """Put the predictions of one question beside its truth and its measurement."""
    position = {gene: index for index, gene in enumerate(genes)}
    targets = tuple(
        tuple(position[target] for target in targets if target in position) for targets in question.query.perturbations
    )
    return Comparison(tuple(genes), targets, predicted, question.truth, question.measured)


def score(comparisons: Sequence[Comparison], metrics: Iterable[Metric]) -> tuple[Score, ...]:
    """Score the comparisons of one task, one per question, by every metric."""
    scores = []
    for metric in metrics:
        values = np.concatenate([metric.function(comparison) for comparison in comparisons])
        exists = np.isfinite(values)
        mean = float(values[exists].mean()) if exists.any() else math.nan
        scores.append(Score(metric.name, mean, tuple(values.tolist())))
    return tuple(scores)


def anchor(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores with the columns ``anchored`` and ``anchor_note``: why a score is not anchored, else empty.

    Within each screen, seed, split and metric: ``(value - mean) / (oracle - mean)``. It is never clipped: below 0 is
    worse than predicting the mean of the training perturbations, above 1 better than the truth (which happens against
    measured data, whose noise a prediction may share).

    Args:
        scores: the columns of `COLUMNS` but those of `ANCHORED`.
    """
    anchored = scores.copy()
    anchored["anchored"] = math.nan
    anchored["anchor_note"] = ""
    for _, group in anchored.groupby(["screen", "seed", "split", "metric"], sort=False):
        zero, one = (_value_of(group, name) for name in (BASELINE, ORACLE))
        scored = group.index[(group["status"] == OK) & np.isfinite(group["value"].astype(float))]
        reason = _no_anchor(zero, one)
        anchored.loc[scored, "anchor_note"] = reason
        if not reason:
            anchored.loc[scored, "anchored"] = (group.loc[scored, "value"].astype(float) - zero) / (one - zero)
    return anchored[COLUMNS]


def _value_of(group: pd.DataFrame, fitter: str) -> float:
    found = group.loc[(group["fitter"] == fitter) & (group["status"] == OK), "value"]
    return float(found.iloc[0]) if len(found) else math.nan


def _no_anchor(zero: float, one: float) -> str:
    """Return why scores cannot be anchored, or nothing."""
    for name, value in ((BASELINE, zero), (ORACLE, one)):
        if not math.isfinite(value):
            return f"{name} has no score here"
    if abs(one - zero) <= NO_SPAN * max(1.0, abs(one), abs(zero)):
        return f"{ORACLE} and {BASELINE} score alike"
    return ""
