"""How far predicted log profiles are from true or measured ones: Euclidean distance and mean squared error."""

from __future__ import annotations

import numpy as np

from experiments.metrics.base import Against, Better, Comparison, FloatArray, Metric
from experiments.metrics.genes import N_TOP_GENES, SOURCE, highest_in_control


def l2_measured(comparison: Comparison) -> FloatArray:
    """(Q,) Euclidean distance to the held-out pseudobulks over the genes highest in the training control."""
    genes = highest_in_control(comparison)
    difference = comparison.predicted.profile[:, genes] - comparison.measured.profile[:, genes]
    return np.sqrt(np.square(difference).sum(axis=1))


def mse_truth(comparison: Comparison) -> FloatArray:
    """(Q,) mean over all genes of the squared difference from the infinite-depth log profile."""
    return np.square(comparison.predicted.profile - comparison.truth.profile).mean(axis=1)


METRICS = (
    Metric(
        name="l2-measured",
        function=l2_measured,
        range=(0.0, float("inf")),
        better=Better.LOWER,
        best=0.0,
        sentence=f"Euclidean distance between the predicted and the measured log profile of held-out cells, over the "
        f"{N_TOP_GENES:,} genes highest in the training control; includes the sampling noise of the held-out cells.",
        source=SOURCE,
        against=Against.MEASURED,
        label="L2, measured",
    ),
    Metric(
        name="mse-truth",
        function=mse_truth,
        range=(0.0, float("inf")),
        better=Better.LOWER,
        best=0.0,
        sentence="Mean squared difference between the predicted and the true log profile at infinite depth, over all "
        "genes; free of the noise of any measurement of the held-out perturbations.",
        source="Mean squared error; the reference is the simulator's ensemble mean.",
        against=Against.TRUTH,
        label="MSE, truth",
    ),
)
