"""Do predicted changes go along with true or measured ones: Pearson correlation of changes against control."""

from __future__ import annotations

import numpy as np

from experiments.metrics.base import Against, Better, Comparison, FloatArray, Metric
from experiments.metrics.genes import N_TOP_GENES, SOURCE, highest_in_control

UNDEFINED = "A prediction without variation over genes (no change) has no correlation and scores 0: it tells nothing."


def pearson_rows(predicted: FloatArray, reference: FloatArray) -> FloatArray:
    """Pearson correlation of each row of `predicted` with the same row of `reference`.

    Args:
        predicted: (Q, G).
        reference: (Q, G).

    Returns:
        (Q,) correlations. A predicted row without variation gives 0: the correlation is undefined, and dropping the row
        (as a NaN would) rewards a predictor for saying nothing. A reference row without variation gives NaN: there is
        nothing to correlate with, for any predictor alike. A predicted row that is not finite gives NaN.
    """
    centred = [side - side.mean(axis=1, keepdims=True) for side in (predicted, reference)]
    # Differences that are rounding of equal numbers are no variation: 1e-12 of the row's own size, or of 1.
    sizes = [np.maximum(np.abs(side).max(axis=1), 1.0) for side in (predicted, reference)]
    norms = [np.sqrt(np.square(side).sum(axis=1)) for side in centred]
    flat = [norm <= 1e-12 * size * np.sqrt(predicted.shape[1]) for norm, size in zip(norms, sizes, strict=True)]
    product = (centred[0] * centred[1]).sum(axis=1)
    correlation = product / np.where(flat[0] | flat[1], 1.0, norms[0] * norms[1])
    correlation = np.where(flat[0], 0.0, np.clip(correlation, -1.0, 1.0))
    return np.where(flat[1] | ~np.isfinite(predicted).all(axis=1), np.nan, correlation)


def pearson_delta_measured(comparison: Comparison) -> FloatArray:
    """(Q,) correlation of predicted and measured change, both against the training control, over its highest genes."""
    genes = highest_in_control(comparison)
    predicted = comparison.predicted.profile[:, genes] - comparison.measured.control[genes]
    return pearson_rows(predicted, comparison.measured.delta[:, genes])


def pearson_delta_truth(comparison: Comparison) -> FloatArray:
    """(Q,) correlation of the predicted with the true change, over all genes, each against its own side's control."""
    return pearson_rows(comparison.predicted.delta, comparison.truth.delta)


METRICS = (
    Metric(
        name="pearson-delta-measured",
        function=pearson_delta_measured,
        range=(-1.0, 1.0),
        better=Better.HIGHER,
        best=1.0,
        sentence=f"Pearson correlation between the predicted and the measured change of held-out cells, over the "
        f"{N_TOP_GENES:,} genes highest in the training control. Both changes are taken from the same control sample, "
        f"whose noise they share. {UNDEFINED}",
        source=SOURCE,
        against=Against.MEASURED,
        label="Pearson Δ, measured",
    ),
    Metric(
        name="pearson-delta-truth",
        function=pearson_delta_truth,
        range=(-1.0, 1.0),
        better=Better.HIGHER,
        best=1.0,
        sentence=f"Pearson correlation over all genes between the predicted change (from the training control) and the "
        f"true change at infinite depth (from the true control). {UNDEFINED}",
        source="The same authors' Pearson delta, held against the simulator's ensemble mean over all genes.",
        against=Against.TRUTH,
        label="Pearson Δ, truth",
    ),
)
