"""Small worlds for the transformer: two modules of genes that rise and fall together, in an atlas and in a screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from fitters.base import TrainingData
from fitters.knowledge import Atlas, Knowledge

GENES = tuple(f"G{number:02}" for number in range(16))
MODULE = np.arange(16) % 2  # genes of a module rise and fall together
SEEN = 12  # genes that are perturbed in training: six of each module
FAST: dict[str, Any] = {
    "width": 16, "layers": 2, "heads": 2, "pretraining_epochs": 12, "pretraining_pool": 1, "cells_per_pool": 10,
    "epochs": 40, "learning_rate": 5e-3, "held_out": 0.0, "genes_per_step": 16, "components": 4,
}  # fmt: skip


def atlas_of_modules(seed: int = 0, *, spread: float = 0.7, n_cells: int = 500, depth: float = 3000.0) -> Atlas:
    """Return cells in which each module has a level of its own, and so few counts that a gene alone shows little."""
    rng = np.random.default_rng(seed)
    level = np.exp(spread * rng.standard_normal((n_cells, 2)))[:, MODULE] * np.linspace(0.5, 2.0, 16)
    counts = rng.poisson(depth * level / level.sum(axis=1, keepdims=True))
    return Atlas(GENES, counts, np.array(["t0", "t1"])[np.arange(n_cells) % 2])


def screen_of_modules(seed: int = 1, *, atlas: Atlas | None = None, cells: int = 50) -> TrainingData:
    """Return a screen in which a perturbation halves its target, and lowers the rest of its module by a third."""
    rng = np.random.default_rng(seed)
    labels = ["control"] * 10 + list(GENES[:SEEN])
    counts = [rng.poisson(500.0 * changes(label)) for label in labels for _ in range(cells)]
    return TrainingData.from_arrays(
        np.array(counts), genes=GENES, perturbation=np.repeat(labels, cells), knowledge=Knowledge(atlas=atlas)
    )


def changes(label: str) -> np.ndarray:
    level = np.linspace(0.5, 2.0, 16)
    if label in GENES:
        target = GENES.index(label)
        level = level * np.where(MODULE[target] == MODULE, 0.67, 1.0)
        level[target] *= 0.5
    return level
