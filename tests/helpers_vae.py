"""Small worlds for the variational auto-encoder: log-linear effects in few dimensions, batches, contexts, depths."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fitters.base import TrainingData
from simcell.labels import perturbation_targets

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class World:
    """Training data, and the true log fractions (up to a constant) of any perturbation of the first 8 genes."""

    data: TrainingData
    base: FloatArray
    effect: FloatArray

    def truth(self, label: str) -> FloatArray:
        """Return the (G,) change of log fractions, batches and contexts apart."""
        targets = [self.data.genes.index(gene) for gene in perturbation_targets(label)]
        change = self.effect[targets].sum(axis=0)
        with_change = np.exp(self.base + change)
        found: FloatArray = change - np.log(with_change.sum() / np.exp(self.base).sum())
        return found


def world(
    *,
    seed: int = 0,
    cells: int = 60,
    doubles: tuple[tuple[int, int], ...] = tuple(list(combinations(range(8), 2))[::3]),
    singles: tuple[int, ...] = tuple(range(8)),
    batch_sd: float = 0.0,
    late_gain: float | None = None,
    kinds: int = 3,
) -> World:
    """Return a world of 30 genes whose first 8 are targets.

    Args:
        seed: of everything.
        cells: of each condition; controls have four times as many.
        doubles, singles: which perturbations there are.
        batch_sd: sd of log efficiencies of genes in batch "b"; "a" has none.
        late_gain: effects at time 48 in medium "late" over those at 24 in "early"; None: one context.
        kinds: number of response programmes; target t follows programme t mod kinds, with 20 genes to respond.
    """
    rng = np.random.default_rng(seed)
    n_genes = 30
    genes = tuple(f"G{number:02d}" for number in range(n_genes))
    base = np.log(rng.gamma(3.0, 1.0, n_genes) + 0.5)
    programme = rng.normal(0.0, 0.8, (kinds, n_genes)) * (np.arange(n_genes) >= 10)
    effect = programme[np.arange(n_genes) % kinds]
    effect[np.arange(n_genes), np.arange(n_genes)] = np.log(0.2)  # every target keeps a fifth
    hidden = rng.normal(0.0, 0.4, (2, n_genes)) * (np.arange(n_genes) >= 10)
    labels = ["control"] * 4 + [genes[t] for t in singles] + [f"{genes[i]}+{genes[j]}" for i, j in doubles]
    perturbation = np.repeat(labels, cells)
    n = perturbation.size
    batch = np.array(["a", "b"])[np.arange(n) % 2]
    late = (np.arange(n) // 2 % 2 == 1) if late_gain is not None else np.zeros(n, bool)
    change = np.array([sum(effect[genes.index(g)] for g in perturbation_targets(p)) + 0.0 * base for p in perturbation])
    target = np.array([[gene in perturbation_targets(p) for gene in genes] for p in perturbation])
    gain = np.where(late[:, None] & ~target, 1.0 if late_gain is None else late_gain, 1.0)
    efficiency = rng.normal(0.0, 1.0, n_genes) * batch_sd
    medium = rng.normal(0.0, 0.5, n_genes)
    logits = base + gain * change + rng.normal(size=(n, 2)) @ hidden
    logits = logits + (batch == "b")[:, None] * efficiency + late[:, None] * medium
    fraction = np.exp(logits)
    fraction /= fraction.sum(axis=1, keepdims=True)
    depth = 600.0 * rng.lognormal(0.0, 0.5, n)[:, None]
    counts = rng.poisson(rng.gamma(8.0, depth * fraction / 8.0))
    data = TrainingData.from_arrays(
        counts,
        genes=genes,
        perturbation=perturbation,
        batch=batch,
        medium=np.where(late, "late", "early"),
        time=np.where(late, 48.0, 24.0),
    )
    return World(data, base, effect)
