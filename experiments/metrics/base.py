"""What a metric is: a record of what it judges and how to read it; and the comparison of predictions it is given.

Metrics of sampled cells are given those of `experiments.metrics.cells`; metrics of networks and of kinetics, those of
`experiments.metrics.estimates`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitters.contract import Claim

FloatArray = NDArray[np.float64]


class Better(StrEnum):
    """Which way a metric improves."""

    HIGHER = "higher"
    LOWER = "lower"
    NEARER = "nearer"  # to the best value, which is not the end of the range


class Judges(StrEnum):
    """What part of a fitter's answer a metric judges, and so what it is given and what it returns."""

    PREDICTION = "prediction"  # a `Comparison`; (Q,) scores, one per held-out perturbation
    CELLS = "cells"  # a `CellComparison`; (Q,) scores
    NETWORK = "network"  # a `NetworkComparison`; one score
    KINETICS = "kinetics"  # a `KineticsComparison`; one score

    @property
    def claim(self) -> Claim:
        """What a fitter must claim to be judged so."""
        return {
            Judges.PREDICTION: Claim.MEAN,
            Judges.CELLS: Claim.DISTRIBUTION,
            Judges.NETWORK: Claim.NETWORK,
            Judges.KINETICS: Claim.KINETICS,
        }[self]

    @property
    def by_query(self) -> bool:
        """Whether each held-out perturbation has a score of its own."""
        return self in (Judges.PREDICTION, Judges.CELLS)


class NoScoreError(Exception):
    """Why a network or kinetics metric has no score here: a sentence without a full stop, kept beside the gap."""


class Against(StrEnum):
    """What a prediction is held against: the infinite-depth truth, or the pseudobulk of the held-out cells."""

    TRUTH = "truth"
    MEASURED = "measured"


@dataclass(frozen=True, eq=False)
class Reference:
    """One side that predictions are held against, with the control that belongs to it.

    Attributes:
        profile: (Q, G) log profiles of the queried perturbations.
        control: (G,) log profile of control on this side.
    """

    profile: FloatArray
    control: FloatArray

    @cached_property
    def delta(self) -> FloatArray:
        """(Q, G) change against this side's own control."""
        return self.profile - self.control


@dataclass(frozen=True, eq=False)
class Comparison:
    """The predictions of one query beside what was true and what was measured.

    Every change ("delta") is taken on its own side: the true one from the true control, the predicted one from the
    control that the predictor knows, which for a fitter is that of its training data. Were the true control taken from
    a prediction as well, the sampling noise of the training control would appear as a predicted change, and a fitter
    that predicts no change at all would be credited with a random one. The one exception follows the source of
    `pearson-delta-measured`: held-out measurements have no control of their own, so both of its sides use the
    training control.

    Attributes:
        genes: G gene names.
        targets: for each of the Q perturbations, the positions of its target genes among `genes`.
        predicted: predictions, with the control known to the predictor; a row of NaN is a perturbation not predicted.
        truth: infinite-depth log profiles.
        measured: pseudobulk log profiles of the held-out cells, with the training control.
    """

    genes: tuple[str, ...]
    targets: tuple[tuple[int, ...], ...]
    predicted: Reference
    truth: Reference
    measured: Reference

    def reference(self, against: Against) -> Reference:
        """Return the side that a metric is held against."""
        return self.truth if against is Against.TRUTH else self.measured


@dataclass(frozen=True)
class Metric:
    """A metric and how to read it.

    Attributes:
        name: name in tables.
        function: of predictions, it takes a `Comparison` and returns (Q,) scores, one per perturbation; NaN where the
            score does not exist (never because of what was predicted, except where nothing was predicted). Of sampled
            cells it does the same with a `CellComparison`. Of a network or of kinetics, it takes their comparison and
            returns one score, or raises `NoScoreError`.
        range: smallest and largest possible score.
        better: which way it improves.
        best: the score of a perfect prediction.
        sentence: what it measures, in one sentence for a reader of the report.
        source: where the definition is from and, if it differs, how.
        against: truth or measured.
        label: short name with unit for axes and column heads.
        needs: what a fitter must claim for the metric to apply.
        judges: what part of the answer it judges.
        chance: the score that says nothing, where it is known in closed form; it is the 0 of anchored scores. None
            leaves that to a fitter (see `experiments.scoring`).
    """

    name: str
    function: Callable[[Any], Any]
    range: tuple[float, float]
    better: Better
    best: float
    sentence: str
    source: str
    against: Against
    label: str
    needs: Claim = Claim.MEAN
    judges: Judges = Judges.PREDICTION
    chance: float | None = None

    def merit(self, values: Any) -> Any:
        """Return scores such that more is better, whichever way the metric improves."""
        if self.better is Better.NEARER:
            return -abs(values - self.best)
        return values if self.better is Better.HIGHER else -values
