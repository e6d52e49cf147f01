"""Can a prediction be told from the others: the perturbation discrimination score (PDS) by cosine similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.metrics.base import Against, Better, Comparison, FloatArray, Metric

TIE = 1e-9  # cosines closer than this are the same number up to rounding


def discrimination(predicted: FloatArray, reference: FloatArray, targets: Sequence[Sequence[int]]) -> FloatArray:
    """Perturbation discrimination score of each prediction.

    For perturbation p, the fraction of the other perturbations q for which the predicted change of p is nearer, by
    cosine, to the reference change of p than to that of q; a tie counts one half. The two cosines of a pair (p, q) are
    taken over the same genes, those that neither p nor q targets, so that a knocked-down target never gives a
    perturbation away, and an uninformative prediction (the same change for all, or none) scores exactly 0.5 on average.

    Args:
        predicted: (Q, G) predicted changes.
        reference: (Q, G) true or measured changes.
        targets: for each perturbation, the positions of its target genes.

    Returns:
        (Q,) scores in [0, 1]: 1 best, 0.5 chance. NaN where Q is 1 or the prediction is not finite.
    """
    n = len(reference)
    if n < 2:
        return np.full(n, np.nan)
    answered = np.asarray(np.isfinite(predicted).all(axis=1))
    keep = np.ones(reference.shape)  # keep[p] is 0 at the targets of p
    for p, genes in enumerate(targets):
        keep[p, list(genes)] = 0.0
    guess = np.where(answered[:, None], predicted, 0.0) * keep
    kept = reference * keep
    # Each matrix is [p, q], over the genes that neither p nor q targets; "own" is the reference of p, "other" of q.
    own_dot = (guess * reference) @ keep.T
    other_dot = guess @ kept.T
    own_norm = np.sqrt(np.square(kept) @ keep.T)
    other_norm = own_norm.T
    guess_norm = np.sqrt(np.square(guess) @ keep.T)
    difference = _cosine(own_dot, guess_norm * own_norm) - _cosine(other_dot, guess_norm * other_norm)
    wins = np.where(np.abs(difference) <= TIE, 0.5, np.where(difference > 0, 1.0, 0.0))
    np.fill_diagonal(wins, 0.0)
    return np.where(answered, wins.sum(axis=1) / (n - 1), np.nan)


def _cosine(dot: FloatArray, norms: FloatArray) -> FloatArray:
    """Cosine from a dot product and a product of norms; 0 where a vector has no length."""
    return np.where(norms > 0, dot / np.where(norms > 0, norms, 1.0), 0.0)


def pds_truth(comparison: Comparison) -> FloatArray:
    """(Q,) discrimination among the true changes at infinite depth."""
    return discrimination(comparison.predicted.delta, comparison.truth.delta, comparison.targets)


def pds_measured(comparison: Comparison) -> FloatArray:
    """(Q,) discrimination among the measured changes, all against the training control."""
    predicted = comparison.predicted.profile - comparison.measured.control
    return discrimination(predicted, comparison.measured.delta, comparison.targets)


_SOURCE = (
    "Perturbation discrimination score of the Virtual Cell Challenge (Arc Institute, cell-eval2, pds_cosine). There, "
    "only the target of the predicted perturbation is removed; here the targets of both perturbations of a compared "
    "pair, so that a prediction that is the same for all scores exactly 0.5."
)
_SENTENCE = (
    "Fraction of the other perturbations whose {} change is farther, by cosine, from the predicted change than the "
    "perturbation's own, leaving out the target genes of both; ties count one half: 1 is best and 0.5 is chance. "
    "Perturbations that change nothing but their own targets tie with one another: even the oracle may stay below 1."
)

METRICS = (
    Metric(
        name="pds-truth",
        function=pds_truth,
        range=(0.0, 1.0),
        better=Better.HIGHER,
        best=1.0,
        sentence=_SENTENCE.format("true"),
        source=_SOURCE,
        against=Against.TRUTH,
        label="PDS, truth",
    ),
    Metric(
        name="pds-measured",
        function=pds_measured,
        range=(0.0, 1.0),
        better=Better.HIGHER,
        best=1.0,
        sentence=_SENTENCE.format("measured"),
        source=_SOURCE,
        against=Against.MEASURED,
        label="PDS, measured",
    ),
)
