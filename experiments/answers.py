"""What a fitter or a control answers in one examination: predictions, cells, edges and kinetics, from a single fit.

In: an `Examination`, and which parts of an answer are to be judged. Out: `Answers`. What is not claimed is not asked.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from experiments import controls
from experiments.estimates import Estimates
from experiments.held_out_cells import batch_shares, sample_like
from experiments.metrics import Judges, Reference
from experiments.scoring import not_claimed
from experiments.training import Examination, cells_like, control_profile
from experiments.world import oracle_kinetics, oracle_network
from fitters.checks import CheckedFit, checked_fit
from fitters.contract import Claim, Fitter
from fitters.errors import RefusedQueryError
from fitters.results import LossHistory
from simcell.dataset import load as load_data


@dataclass(frozen=True, eq=False)
class Answers:
    """What was answered.

    Attributes:
        predicted: one side per question; None if there are no predictions.
        estimates: edge scores and kinetics, where there are any.
        refusal: why there are no predictions, in one line; empty if there are, or if none were wanted.
        notes: what the fit wants a reader to know.
        history: every loss term of every epoch of the fit.
        cells: for each question the (n, G) counts sampled for each perturbation; None if there are none.
        cells_refusal: why there are no cells, where the fit refused to sample them.
    """

    predicted: tuple[Reference, ...] | None
    estimates: Estimates
    refusal: str = ""
    notes: tuple[str, ...] = ()
    history: LossHistory = field(default_factory=LossHistory)
    cells: tuple[tuple[csr_array, ...], ...] | None = None
    cells_refusal: str = ""


def answers_of_fitter(
    fitter: Fitter, examination: Examination, *, wanted: Set[Judges], title: str, seed: int
) -> Answers:
    """Return what a fitter, once trained, answers; it is not trained if it claims nothing of what is wanted.

    Raises:
        FitterError: the fit or an answer failed.
    """
    claims = frozenset(Claim(claim) for claim in fitter.claims)
    perturbed = tuple(sorted(examination.training.perturbed_genes))
    asked = {judged for judged in wanted if judged.claim in claims}
    refusal = ""
    lacking = {Claim.MEAN} - claims or examination.split.needs - claims
    if wanted & {Judges.PREDICTION, Judges.CELLS} and lacking:
        refusal = not_claimed(title, lacking)
        asked -= {Judges.PREDICTION, Judges.CELLS}
    if not asked:
        return Answers(None, Estimates(None, None, perturbed), refusal)
    fit = checked_fit(fitter, examination.training, seed=seed)
    predicted = None
    if Judges.PREDICTION in asked:
        try:
            predicted = _predictions(fit, examination)
        except RefusedQueryError as error:
            refusal = str(error)
    cells, cells_refusal = None, ""
    if Judges.CELLS in asked:
        try:
            cells = _samples(fit, examination, seed=seed)
        except RefusedQueryError as error:
            cells_refusal = str(error)
    network = fit.network() if Judges.NETWORK in asked else None
    kinetics = fit.kinetics() if Judges.KINETICS in asked else None
    estimates = Estimates(network, kinetics, perturbed)
    return Answers(predicted, estimates, refusal, fit.notes, fit.history, cells, cells_refusal)


def answers_of_control(name: str, examination: Examination, *, wanted: Set[Judges], second_draw: Path) -> Answers:
    """Return what a control answers: the oracle knows all but single cells, the replicate has measured again.

    `second_draw` is the data set that the replicate answers with.
    """
    perturbed = tuple(sorted(examination.training.perturbed_genes))
    nothing = Estimates(None, None, perturbed)
    questions = examination.questions if Judges.PREDICTION in wanted else ()
    if name == controls.ORACLE:
        predicted = tuple(controls.oracle(question) for question in questions)
        network = oracle_network(examination.world) if Judges.NETWORK in wanted else None
        kinetics = oracle_kinetics(examination.world) if Judges.KINETICS in wanted else None
        return Answers(predicted or None, Estimates(network, kinetics, perturbed))
    if not wanted & {Judges.PREDICTION, Judges.CELLS}:
        return Answers(None, nothing, f"{name} makes predictions only")
    tree = load_data(second_draw)
    predicted = tuple(controls.replicate(question, tree) for question in questions)
    cells = None
    if Judges.CELLS in wanted:
        cells = tuple(cells_like(tree, question) for question in examination.questions)
    return Answers(predicted or None, nothing, cells=cells)


def _samples(fit: CheckedFit, examination: Examination, *, seed: int) -> tuple[tuple[csr_array, ...], ...]:
    """Return the cells that a fit samples for each question, to be compared with the held-out ones."""
    answers = []
    for number, question in enumerate(examination.questions):
        assert question.cells is not None  # they are kept where cells are wanted
        query = question.query_for(fit.claims)
        key = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        shares = batch_shares(examination.training, time=question.query.time, medium=question.query.medium)
        answers.append(sample_like(fit, query, question.cells.n_cells, shares=shares, seed=key))
    return tuple(answers)


def _predictions(fit: CheckedFit, examination: Examination) -> tuple[Reference, ...]:
    """Return what a fit predicts for each question, with the control that it knows: pooled over what it cannot tell."""
    answers = []
    for question in examination.questions:
        query = question.query_for(fit.claims)
        known = control_profile(examination.training, time=query.time, medium=query.medium)
        answers.append(Reference(fit.predict(query).profile, known))
    return tuple(answers)
