"""The contract of every fitter: what it may claim and assume, what it is asked (Query), what it answers (Prediction).

A fitter is any object with `name`, `claims` and `fit`; what `fit` returns is any object with `predict`. Nothing need be
inherited. What goes in is `TrainingData`; `fitters.checks` holds every fitter, built in or a user's, to this contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from simcell.errors import SpecError
from simcell.labels import perturbation_label, perturbation_targets

if TYPE_CHECKING:
    from fitters.results import EdgeScores, KineticsEstimate, LossHistory
    from fitters.training_data import TrainingData


class _Described(StrEnum):
    """A string with a meaning: ``Claim.MEAN == "mean"``, and ``Claim.MEAN.meaning`` is a sentence for reports."""

    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class Claim(_Described):
    """What a fitter says that it can answer; a query beyond its claims is refused."""

    MEAN = "mean", "predicts the mean log profile of a perturbation"
    DISTRIBUTION = "distribution", "samples the counts of single cells"
    NETWORK = "network", "scores signed edges from regulators to genes"
    KINETICS = "kinetics", "estimates rates, with what is not identifiable said"
    TIME = "time", "tells time points apart"
    MEDIUM = "medium", "tells media apart"
    ARM = "arm", "tells apart arms of an experiment, whose steps differ"
    BATCH = "batch", "tells batches apart"
    UNSEEN_GENE = "unseen-gene", "answers for targets that no training cell has"
    COMBINATION = "combination", "answers for combinations that no training cell has"


class Assumption(_Described):
    """What must hold of the world for a fitter to be right; studies break one of them at a time."""

    NO_EFFECT = "no-effect", "perturbations change nothing"
    COMMON_EFFECT = "common-effect", "all perturbations change the profile alike"
    ADDITIVE = "additive", "effects of a combination add up in the space of the model"
    LINEAR = "linear", "responses are linear in the space of the model"
    LOW_RANK = "low-rank", "responses lie in few dimensions"
    ACYCLIC = "acyclic", "the network has no feedback"
    ALL_REGULATORS_SEEN = "all-regulators-seen", "no hidden confounder: every common cause is among the genes"
    PERFECT_INTERVENTION = "perfect-intervention", "a perturbation cuts its target off from its regulators"
    STATIONARY_CONTROLS = "stationary-controls", "unperturbed cells are at steady state"
    SETTLED = "settled", "perturbed cells have reached their new steady state"
    TIMELESS = "timeless", "time points may be pooled"
    MEDIUM_FREE = "medium-free", "media may be pooled"
    NO_BATCH_EFFECT = "no-batch-effect", "batches may be pooled"


LATEST = 1e30  # hours: arithmetic with them must not overflow, in single precision either
FAMILIES = ("baseline", "linear", "scm", "vae", "semi-mechanistic", "graph", "attention", "user")


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number >= 0, as seeds and numbers of cells are; True and False are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 0)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Query:
    """What a fit is asked: one prediction for each of Q perturbations, all in one context.

    Args:
        perturbations: the target genes of each perturbation, Q tuples of names; ``()`` is a control. Stored sorted.
        time: hours since the start of the protocol; None is the training data's own time, or all of its times pooled.
        medium: medium at harvest; None as for time.
        arm: arm of the experiment; None as for time.
        batch: batch whose measurement is predicted; None as for time.
        cells: number of cells to sample per perturbation; 0 asks for the mean only.
        seed: seed of that sampling.

    Raises:
        SpecError: a perturbation that is a bare string, names a gene twice or is not of names; a value of another
            type, or out of range.
    """

    perturbations: tuple[tuple[str, ...], ...]
    time: float | None = None
    medium: str | None = None
    batch: str | None = None
    cells: int = 0
    seed: int = 0
    arm: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.perturbations, str) or not isinstance(self.perturbations, Iterable):
            raise SpecError("query.perturbations", self.perturbations, "a sequence of tuples of gene names")
        rows = []
        for position, targets in enumerate(self.perturbations):
            field = f"query.perturbations[{position}]"
            if isinstance(targets, str):
                raise SpecError(field, targets, "a tuple of gene names (Query.of_labels takes labels)")
            if not isinstance(targets, Iterable):
                raise SpecError(field, targets, "a tuple of gene names")
            targets = tuple(targets)
            if not all(isinstance(target, str) and target for target in targets):
                raise SpecError(field, targets, "a tuple of gene names")
            if len(set(targets)) < len(targets):
                raise SpecError(field, targets, "a tuple of different genes")
            rows.append(tuple(sorted(targets)))
        if not rows:
            raise SpecError("query.perturbations", (), "at least one perturbation")
        object.__setattr__(self, "perturbations", tuple(rows))
        if self.time is not None and not (_is_number(self.time) and 0 <= self.time <= LATEST):
            raise SpecError("query.time", self.time, "a number of hours >= 0")
        for field in ("medium", "batch", "arm"):
            name = getattr(self, field)
            if name is not None and not isinstance(name, str):
                raise SpecError(f"query.{field}", name, "a name, or None")
        if not is_whole(self.cells):
            raise SpecError("query.cells", self.cells, "a number of cells >= 0")
        if not is_whole(self.seed):
            raise SpecError("query.seed", self.seed, "a whole number >= 0")

    @classmethod
    def of_labels(cls, labels: Iterable[str], **context: Any) -> Query:
        """Return the query for labels such as ``"G003+G017"``; `context` is time, medium, batch, arm, cells, seed."""
        labels = tuple(labels) if isinstance(labels, Iterable) and not isinstance(labels, str) else labels
        if not isinstance(labels, tuple) or not all(isinstance(label, str) for label in labels):
            raise SpecError("labels of a query", labels, "a sequence of labels")
        return cls(tuple(perturbation_targets(label) for label in labels), **context)

    @property
    def labels(self) -> tuple[str, ...]:
        """Condition labels, Q of them, in the query's order."""
        return tuple(perturbation_label(targets) for targets in self.perturbations)

    def __len__(self) -> int:
        return len(self.perturbations)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a fit answers.

    Args:
        profile: (Q, G) float64 log profiles, rows as the query's perturbations, columns as the training data's genes.
        cells: Q arrays (n, G) of sampled counts, where the query asked for cells.
    """

    profile: NDArray[np.float64]
    cells: tuple[NDArray[np.int32], ...] | None = None


class Fit(Protocol):
    """A fitted model. A user's own need only have `predict`; the rest is then taken as absent. Fits can be pickled."""

    @property
    def history(self) -> LossHistory:
        """Every loss term of every epoch; empty for closed forms."""

    def predict(self, query: Query) -> Prediction:
        """Return one log profile per perturbation of the query, shape (Q, G)."""

    def network(self) -> EdgeScores | None:
        """Return signed edge scores, or None where the network is not claimed."""

    def kinetics(self) -> KineticsEstimate | None:
        """Return kinetic estimates, or None where they are not claimed."""


class Fitter(Protocol):
    """A way to learn from a screen. Options are keyword arguments of its constructor, checked there.

    A user's own need only have `name`, `claims` and `fit`. `fit` must be deterministic given data and seed, must not
    change the data (the arrays are read-only), and must not depend on the order of genes or cells.
    Beside these, `family` (one of FAMILIES) and `source` (a citation) are shown in reports; `packages` (import names)
    are those that it needs and not every installation has.
    """

    @property
    def name(self) -> str:
        """How the fitter is called in tables."""

    @property
    def claims(self) -> frozenset[Claim]:
        """What it can answer."""

    @property
    def assumptions(self) -> frozenset[Assumption]:
        """What it takes for granted."""

    def fit(self, data: TrainingData, *, seed: int) -> Fit:
        """Learn from the data."""
