"""No truth is reached: the data have no field for it, and decoys laid out on disk and in memory change no answer."""

from __future__ import annotations

from dataclasses import fields

from experiments.contract.answers import distance
from experiments.contract.base import Check, Outcome, failed, passed
from experiments.contract.subject import Subject
from experiments.contract.traps import fit_among_decoys
from fitters.training_data import TrainingData
from simcell.errors import SimcellError

_FIELDS = {"genes", "counts", "perturbation", "batch", "medium", "time", "arm", "experiments", "knowledge"}


def _run(subject: Subject) -> Outcome:
    first = subject.steady
    if {one.name for one in fields(TrainingData)} != _FIELDS:
        return failed("TrainingData has fields beside counts, labels, notes and what is told on purpose")
    for decoy in subject.screen.decoys:
        try:
            answer, touched = fit_among_decoys(subject, decoy)
        except SimcellError as error:
            return failed(f"beside a data set with a truth, it fails: {error}")
        if touched:
            return failed(f"it went for the truth: {'; '.join(touched[:3])}")
        gap = distance(first, answer)
        if gap.any:
            return failed(f"beside a data set with another truth, answers {gap}")
    return passed(f"{len(subject.screen.decoys)} decoys on disk and in memory: the same bits, none touched")


CHECK = Check("no truth reached", "Neither files nor objects that hold a truth change its answers.", _run)
