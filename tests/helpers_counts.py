"""Small training data drawn from Poisson laws, with several batches, media, times and arms; and the same reordered."""

from __future__ import annotations

import numpy as np

from fitters.training_data import TrainingData

GENES = ("C", "A", "E", "B", "D")
LABELS = ("control", "B", "A", "A+C", "E", "D")


def counted(*, seed: int = 0, cells: int = 480) -> TrainingData:
    """Return data of five genes, cells of all conditions in turn."""
    rng = np.random.default_rng(seed)
    at = np.arange(cells)
    return TrainingData(
        genes=GENES,
        counts=rng.poisson(5.0, (cells, len(GENES))) + 1,
        perturbation=np.array(LABELS)[at % len(LABELS)],
        batch=np.array(["two", "one"])[at // 6 % 2],
        medium=np.array(["rich", "poor"])[at // 12 % 2],
        time=np.array([48.0, 24.0])[at // 24 % 2],
        arm=np.array(["b", "a"])[at // 30 % 2],
    )


def reordered(data: TrainingData, seed: int) -> TrainingData:
    """Return the same cells and genes in another order."""
    rng = np.random.default_rng(seed)
    cells, genes = rng.permutation(data.n_cells), rng.permutation(data.n_genes)
    labels = {name: getattr(data, name)[cells] for name in ("perturbation", "batch", "medium", "time", "arm")}
    return TrainingData(genes=tuple(data.genes[gene] for gene in genes), counts=data.counts[cells][:, genes], **labels)
