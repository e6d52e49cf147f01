"""Sampled cells are draws: their seed decides them, and together they are the profile that is predicted."""

from __future__ import annotations

import numpy as np

from experiments.contract.base import Check, NotJudged, Outcome, failed, passed
from experiments.contract.subject import Subject
from fitters.contract import Claim, Query
from simcell.profiles import log_profile

CELLS = 400
LEAST_MEAN = 0.5  # counts per training cell: what is rarer says little of a profile
APART = 0.5  # root mean square distance of log profiles, beyond what the sample's own noise explains
DEPTH = 2.0  # factor between median depths of sampled and of training cells


def _run(subject: Subject) -> Outcome:
    if Claim.DISTRIBUTION not in subject.claims:
        raise NotJudged("it samples no cells")
    fit, _, _ = subject.first
    labels = [label for labels in subject.questions.values() for label in labels]
    first, again, other = (fit.predict(Query.of_labels(labels, cells=CELLS, seed=seed)) for seed in (1, 1, 2))
    assert first.cells is not None and again.cells is not None and other.cells is not None
    if any((one != two).any() for one, two in zip(first.cells, again.cells, strict=True)):
        return failed("the same query with the same seed gives other cells")
    if all((one == two).all() for one, two in zip(first.cells, other.cells, strict=True)):
        return failed("another seed gives the same cells")
    data = subject.screen.training
    common = np.asarray(data.counts.mean(axis=0)).ravel() >= LEAST_MEAN
    depth = float(np.median(np.concatenate([cells.sum(axis=1) for cells in first.cells])))
    usual = float(np.median(np.asarray(data.counts.sum(axis=1))))
    if not usual / DEPTH <= depth <= usual * DEPTH:
        return failed(f"sampled cells have {depth:g} counts in the median, training cells {usual:g}")
    worst = 0.0
    for label, cells, profile in zip(labels, first.cells, first.profile, strict=True):
        halves = [log_profile(half.sum(axis=0)) for half in (cells[::2], cells[1::2])]
        gap = float(np.sqrt(np.square(log_profile(cells.sum(axis=0)) - profile)[common].mean()))
        noise = 0.5 * float(np.sqrt(np.square(halves[0] - halves[1])[common].mean()))
        worst = max(worst, gap)
        if gap > APART + 3.0 * noise:
            return failed(f"{label}: sampled cells are {gap:.2g} from the profile predicted (noise {noise:.2g})")
    return passed(f"{CELLS} cells of {len(labels)} perturbations: at most {worst:.2g} from the profiles predicted")


CHECK = Check("samples", "Sampled cells follow their seed, have usual depths and the predicted profile.", _run)
