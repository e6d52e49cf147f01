"""What a guide of each kind does to its gene: CRISPRi, CRISPRa, knock-out. To add one: a function and its line below.

In: a guide's efficacy. Out: the states in which a cell with that guide can be, each with its probability.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

from simcell.sources import SOURCES

ALLELES = 2


@dataclass(frozen=True)
class GeneState:
    """One outcome of a guide in a cell: its probability, and the factors of transcription and of translation."""

    probability: float
    transcription: float
    translation: float


@dataclass(frozen=True)
class Modality:
    """One kind of perturbation.

    Attributes:
        efficacy: mean of guides' efficacy by default. concentration: sum of its beta distribution's parameters.
        lag_hours, time_constant_hours: onset by default.
        states: (efficacy in [0, 1], fold) -> the states of a cell.
    """

    name: str
    efficacy: float
    concentration: float
    lag_hours: float
    time_constant_hours: float
    states: Callable[[float, float], tuple[GeneState, ...]]


def _crispri(efficacy: float, fold: float) -> tuple[GeneState, ...]:
    """Transcription times 1 - efficacy."""
    return (GeneState(1.0, 1.0 - efficacy, 1.0),)


def _crispra(efficacy: float, fold: float) -> tuple[GeneState, ...]:
    """Transcription times 1 + (fold - 1) efficacy."""
    return (GeneState(1.0, 1.0 + (fold - 1.0) * efficacy, 1.0),)


def _knockout(efficacy: float, fold: float) -> tuple[GeneState, ...]:
    """Each allele null with probability efficacy; a null allele leaves some mRNA and no functional protein."""
    left = SOURCES["nonsense_mediated_decay_remaining"].value
    states = []
    for null in range(ALLELES + 1):
        probability = comb(ALLELES, null) * efficacy**null * (1.0 - efficacy) ** (ALLELES - null)
        functional = 1.0 - null / ALLELES
        transcribed = functional + (1.0 - functional) * left
        if probability > 0.0:
            states.append(GeneState(probability, transcribed, functional / transcribed))
    return tuple(states)


_CONCENTRATION = SOURCES["crispri_concentration"].value
_LAG, _CONSTANT = SOURCES["crispri_lag"].value, SOURCES["crispri_time_constant"].value

MODALITIES: dict[str, Modality] = {
    modality.name: modality
    for modality in (
        Modality("crispri", SOURCES["crispri_knockdown"].value, _CONCENTRATION, _LAG, _CONSTANT, _crispri),
        Modality("crispra", SOURCES["crispri_knockdown"].value, _CONCENTRATION, _LAG, _CONSTANT, _crispra),
        Modality(
            "knockout",
            SOURCES["knockout_null_allele"].value,
            _CONCENTRATION,
            SOURCES["knockout_lag"].value,
            _CONSTANT,
            _knockout,
        ),
    )
}
DEFAULT_FOLD = SOURCES["crispra_fold"].value
