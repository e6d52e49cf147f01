"""From answers to scores, and from scores to anchored ones, never clipped.

0 is the mean baseline, chance or control cells; 1 is the oracle, or, of sampled cells, the replicate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from experiments.controls import ORACLE, REPLICATE
from experiments.metrics import (
    METRICS,
    CellComparison,
    Comparison,
    Judges,
    KineticsComparison,
    Metric,
    NetworkComparison,
    NoScoreError,
    Reference,
)
from experiments.metrics.cells import FEWEST_CELLS

if TYPE_CHECKING:  # what a benchmark file is checked against needs no more than the names below
    from experiments.answers import Answers
    from experiments.training import Examination, Question

BASELINE = "mean"  # the fitter that stands at 0 among predictions
CHANCE = "random-network"  # the one that does among networks, by metrics of which chance is not known in closed form
CONTROL_CELLS = "control-cells"  # the one that does among sampled cells
ZERO = {Judges.PREDICTION: BASELINE, Judges.CELLS: CONTROL_CELLS, Judges.NETWORK: CHANCE}  # of kinetics there is none
ONE = {Judges.CELLS: REPLICATE}  # what stands at 1 in the place of the oracle, which has no cells
ALWAYS = ("no-change", BASELINE)  # fitters that stand in every table, listed or not
TOO_FEW_CELLS = f"fewer than {FEWEST_CELLS} cells of every perturbation, or no gene with enough counts"
NO_SPAN = 1e-9  # oracle and baseline closer than this, relative to their size, leave nothing to measure by

OK, FAILED, NOT_CLAIMED = "ok", "failed", "not claimed"
KEYS = ["screen", "seed", "split", "fitter"]
ANCHORED = ["anchored", "anchor_note"]
COLUMNS = [
    *KEYS, "family", "metric", "against", "value", "value_note", *ANCHORED, "n_queries", "status", "message", "seconds",
]  # fmt: skip


def not_claimed(fitter: str, claims: Iterable[str]) -> str:
    """Return what is said of a fitter that lacks some claims."""
    return f"{fitter} does not claim {', '.join(sorted(claims))}"


@dataclass(frozen=True)
class Score:
    """One metric of one task.

    Attributes:
        metric: the metric's name.
        value: mean over the held-out perturbations for which the score exists; NaN if there is none. Of a network or of
            kinetics, the one score.
        per_query: the score of every held-out perturbation, NaN where it does not exist; empty for other metrics.
        note: why there is no value, where a metric of cells, networks or kinetics has none.
    """

    metric: str
    value: float
    per_query: tuple[float, ...] = ()
    note: str = ""

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


def score_answers(
    answers: Answers, examination: Examination, metrics: Iterable[Metric], *, claims: Iterable[str] | None
) -> tuple[Score, ...]:
    """Score what was answered by the metrics that judge it; None claims everything, as controls do."""
    claimed = [metric for metric in metrics if claims is None or metric.needs in frozenset(claims)]
    by_part = {part: [metric for metric in claimed if metric.judges is part] for part in Judges}
    scores: tuple[Score, ...] = ()
    if answers.predicted is not None:
        genes = examination.training.genes
        pairs = zip(examination.questions, answers.predicted, strict=True)
        scores += score([compare(*pair, genes) for pair in pairs], by_part[Judges.PREDICTION])
    scores += _score_cells(answers, examination, by_part[Judges.CELLS])
    estimates, world = answers.estimates, examination.world
    if estimates.network is not None:
        network = NetworkComparison.of(estimates.network, world, perturbed=estimates.perturbed)
        scores += score_estimate(network, by_part[Judges.NETWORK])
    if estimates.kinetics is not None:
        scores += score_estimate(KineticsComparison(estimates.kinetics, world), by_part[Judges.KINETICS])
    return scores


def _score_cells(answers: Answers, examination: Examination, metrics: Sequence[Metric]) -> tuple[Score, ...]:
    """Score sampled cells; where the fit refused to sample, the note says why."""
    if answers.cells_refusal:
        return tuple(Score(metric.name, math.nan, note=answers.cells_refusal) for metric in metrics)
    if not answers.cells or not metrics:
        return ()
    comparisons = [
        CellComparison(examination.cell_space, sampled, question.cells.counts)
        for question, sampled in zip(examination.questions, answers.cells, strict=True)
        if question.cells is not None
    ]
    return tuple(
        one if math.isfinite(one.value) else replace(one, note=TOO_FEW_CELLS) for one in score(comparisons, metrics)
    )


def score_estimate(comparison: NetworkComparison | KineticsComparison, metrics: Iterable[Metric]) -> tuple[Score, ...]:
    """Score a network or kinetics by every metric; where it has no score, the note says why."""
    scores = []
    for metric in metrics:
        try:
            scores.append(Score(metric.name, float(metric.function(comparison))))
        except NoScoreError as error:
            scores.append(Score(metric.name, math.nan, note=str(error)))
    return tuple(scores)


def score(comparisons: Sequence[Comparison] | Sequence[CellComparison], metrics: Iterable[Metric]) -> tuple[Score, ...]:
    """Score the predictions or the cells of one task, one comparison per question, by every metric."""
    scores = []
    for metric in metrics:
        values = np.concatenate([metric.function(comparison) for comparison in comparisons])
        exists = np.isfinite(values)
        mean = float(values[exists].mean()) if exists.any() else math.nan
        scores.append(Score(metric.name, mean, tuple(values.tolist())))
    return tuple(scores)


def anchor(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores with the columns ``anchored`` and ``anchor_note``: why a score is not anchored, else empty.

    Within each screen, seed, split and metric: ``(merit - zero) / (oracle - zero)``, all three by `Metric.merit`: the
    score, or, where the best score lies between worse ones, how far it is from the best. The mean baseline is at
    zero for predictions, and chance for networks: in closed form, or as the fitter `random-network`. Of sampled cells,
    those of the fitter `control-cells` are at zero, and the replicate, whose cells are another sample of the same
    distribution, is in the place of the oracle: its distance is nothing but noise about 0, so that 1 is all but the
    best score, and two who are as far from it on either side stand alike.

    It is never clipped: below 0 is worse than predicting the mean of the training perturbations, or than chance; above
    1 is better than the truth (which happens against measured data, whose noise a prediction may share).

    What is averaged later, over seeds, are these; of an unbiased estimate the score itself is a mean over
    perturbations with their signs, since most of a single one is noise, that would count against every fitter.

    Args:
        scores: the columns of `COLUMNS` but those of `ANCHORED`.
    """
    anchored = scores.copy()
    anchored["anchored"] = math.nan
    anchored["anchor_note"] = ""
    for (*_, metric), group in anchored.groupby(["screen", "seed", "split", "metric"], sort=False):
        zero_name, zero = _zero(group, str(metric))
        one_name = ONE.get(METRICS[metric].judges, ORACLE) if metric in METRICS else ORACLE
        scored = group.index[(group["status"] == OK) & np.isfinite(group["value"].astype(float))]
        merit = _merit(str(metric), group.loc[scored, "value"].astype(float))
        zero, one = _merit(str(metric), zero), _merit(str(metric), _value_of(group, one_name))
        reason = _no_anchor(zero_name, zero, one_name, one)
        if not reason and one_name != ORACLE and one <= zero:
            reason = f"{one_name} scores no better than {zero_name}"
        anchored.loc[scored, "anchor_note"] = reason
        if not reason:
            anchored.loc[scored, "anchored"] = (merit - zero) / (one - zero)
    return anchored[COLUMNS]


def _merit(metric: str, values: Any) -> Any:
    """Return scores such that more is better, as far as is known of a metric."""
    return METRICS[metric].merit(values) if metric in METRICS else values


def _value_of(group: pd.DataFrame, fitter: str) -> float:
    found = group.loc[(group["fitter"] == fitter) & (group["status"] == OK), "value"]
    return float(found.iloc[0]) if len(found) else math.nan


def _zero(group: pd.DataFrame, metric: str) -> tuple[str, float]:
    """Return what stands at 0 by a metric, and its score."""
    record = METRICS.get(metric)
    if record is None:
        return BASELINE, _value_of(group, BASELINE)
    if record.chance is not None:
        return "chance", record.chance
    name = ZERO.get(record.judges, "")
    return name, _value_of(group, name)


def _no_anchor(zero_name: str, zero: float, one_name: str, one: float) -> str:
    """Return why scores cannot be anchored, or nothing."""
    if not zero_name:
        return "nothing stands at 0"
    for name, value in ((zero_name, zero), (one_name, one)):
        if not math.isfinite(value):
            return f"{name} has no score here"
    if abs(one - zero) <= NO_SPAN * max(1.0, abs(one), abs(zero)):
        return f"{one_name} and {zero_name} score alike"
    return ""
