"""What a fit can tell beside predictions: its loss history, edge scores and kinetic estimates, all frozen arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LossHistory:
    """Every loss term at every epoch.

    Args:
        terms: names of the T terms, such as ``("response", "steady_state_controls")``.
        weight: (T,) weight of each term in the sum that was minimised.
        training: (epochs, T) unweighted value of each term on the training perturbations.
        held_out: (epochs, T) the same on the perturbations held out for early stopping, or None.
        best_epoch: number, from 1, of the epoch whose parameters were kept; 0: the last.
        seconds: wall time of the training.
        peak_memory: most bytes that the whole process held up to its end (of a GPU: that torch held there); 0: not
            known.
        device: where it ran.
        stage: what was trained, where there are several stages.
        earlier: histories of the stages before this one.
    """

    terms: tuple[str, ...] = ()
    weight: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    training: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    held_out: NDArray[np.float64] | None = None
    best_epoch: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    device: str = ""
    stage: str = ""
    earlier: tuple[LossHistory, ...] = ()

    def __post_init__(self) -> None:
        n_terms = len(self.terms)
        tables = (self.training,) if self.held_out is None else (self.training, self.held_out)
        if self.weight.shape != (n_terms,) or any(t.shape != (len(self.training), n_terms) for t in tables):
            found = f"weight {self.weight.shape}, tables {[table.shape for table in tables]}"
            raise ValueError(f"loss history of {n_terms} terms: {found}")

    @property
    def n_epochs(self) -> int:
        """Number of epochs; 0 for a closed form."""
        return len(self.training)

    @property
    def total(self) -> NDArray[np.float64]:
        """(epochs,) weighted sum of the terms."""
        return self.training @ self.weight


@dataclass(frozen=True, eq=False)
class EdgeScores:
    """Signed scores of all edges from R regulators to G genes.

    Args:
        regulators: R gene names (rows).
        genes: G gene names (columns), as in the training data.
        score: (R, G); the magnitude ranks edges, the sign says activation (+) or repression (-).
        standard_error: (R, G) uncertainty of the score, or None. Scores of penalised fits are shrunk toward 0, so that
            score and error make no interval that covers the effect of a true edge as often as it says.
        identified: (R, G) bool, False where the data cannot tell; None if all are. Such scores are 0 and rank last.
        effects: whether scores are effect sizes, d ln activity of the gene by d ln level of the regulator around the
            unperturbed state, so that total effects follow from them.
    """

    regulators: tuple[str, ...]
    genes: tuple[str, ...]
    score: NDArray[np.float64]
    standard_error: NDArray[np.float64] | None = None
    identified: NDArray[np.bool_] | None = None
    effects: bool = False

    def __post_init__(self) -> None:
        shape = (len(self.regulators), len(self.genes))
        for name in ("score", "standard_error", "identified"):
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"edge scores, {name}: shape {value.shape} is not {shape} (regulators, genes)")
        if not np.isfinite(self.score).all():
            raise ValueError(f"edge scores: {int((~np.isfinite(self.score)).sum())} are not finite")


@dataclass(frozen=True, eq=False)
class Estimate:
    """One quantity for each of G genes, with an interval; NaN, and `identified` False, where the data cannot tell.

    Args:
        value: (G,) estimate.
        lower: (G,) lower end of the interval.
        upper: (G,) upper end of the interval.
        identified: (G,) bool.
        level: probability that the interval is to cover.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    identified: NDArray[np.bool_]
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.value.shape == self.lower.shape == self.upper.shape == self.identified.shape:
            raise ValueError("estimate: value, lower, upper and identified differ in shape")
        if not np.isfinite(self.value[self.identified]).all():
            raise ValueError("estimate: a value said to be identified is not finite")


@dataclass(frozen=True, eq=False)
class KineticsEstimate:
    """Kinetic quantities by name, as the data set's truth names them (``half_life`` in hours, ``burst_size``, ...).

    Args:
        genes: G gene names, as in the training data.
        quantities: name -> (G,) estimate; a combination that alone is identifiable has a name of its own, such as
            ``"max_rate/decay"``.
    """

    genes: tuple[str, ...]
    quantities: Mapping[str, Estimate]

    def __post_init__(self) -> None:
        for name, estimate in self.quantities.items():
            if estimate.value.shape != (len(self.genes),):
                raise ValueError(f"kinetics, {name}: shape {estimate.value.shape} is not ({len(self.genes)},)")
