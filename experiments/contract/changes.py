"""Training data, changed in one way each: reordered, thinned, resampled, with a batch effect, or made hard to use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fitters.training_data import TrainingData
from simcell.labels import CONTROL


def copied(data: TrainingData, kind: type[TrainingData] = TrainingData) -> TrainingData:
    """Return the same data in memory of their own, so that who writes into them reaches no other check."""
    return _of(data, data.counts.toarray(), kind=kind)


def with_cells(data: TrainingData, cells: NDArray[np.integer]) -> TrainingData:
    """Return the chosen cells, in the order given; a cell may be chosen twice."""
    return TrainingData(
        genes=data.genes,
        counts=data.counts.toarray()[cells],
        perturbation=data.perturbation[cells],
        batch=data.batch[cells],
        medium=data.medium[cells],
        time=data.time[cells],
        arm=data.arm[cells],
        experiments=data.experiments,
        knowledge=data.knowledge,
    )


def with_genes(data: TrainingData, columns: NDArray[np.integer]) -> TrainingData:
    """Return the same cells with their genes in another order."""
    return TrainingData(
        genes=tuple(data.genes[column] for column in columns),
        counts=data.counts.toarray()[:, columns],
        perturbation=data.perturbation,
        batch=data.batch,
        medium=data.medium,
        time=data.time,
        arm=data.arm,
        experiments=data.experiments,
        knowledge=data.knowledge,
    )


def at_half_depth(data: TrainingData, *, seed: int) -> TrainingData:
    """Return the cells with every UMI kept with probability 1/2."""
    return _of(data, np.random.default_rng(seed).binomial(data.counts.toarray(), 0.5))


def resampled(data: TrainingData, *, seed: int) -> TrainingData:
    """Return cells drawn anew, with replacement, within each condition and batch."""
    rng = np.random.default_rng(seed)
    groups = [f"{label}\n{batch}" for label, batch in zip(data.perturbation, data.batch, strict=True)]
    _, group = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(group == number) for number in range(group.max() + 1)]
    return with_cells(data, np.concatenate([rng.choice(cells, cells.size) for cells in members]))


def unbalanced(data: TrainingData) -> TrainingData:
    """Return data in which perturbed cells are mostly of the first batch, and controls of both."""
    scarce = (data.perturbation != CONTROL) & (data.batch != np.unique(data.batch)[0])
    keep = ~scarce
    keep[np.flatnonzero(scarce)[::8]] = True
    return with_cells(data, np.flatnonzero(keep))


def with_batch_effect(data: TrainingData, *, seed: int) -> TrainingData:
    """Return data in which the first batch sees each gene with a capture of its own, between a tenth and all."""
    capture = np.random.default_rng(seed).uniform(0.1, 1.0, data.n_genes)
    chance = np.where((data.batch == np.unique(data.batch)[0])[:, None], capture, 1.0)
    return _of(data, np.random.default_rng([seed, 1]).binomial(data.counts.toarray(), chance))


def with_silent_gene(data: TrainingData) -> TrainingData:
    """Return data in which a gene, not itself a target, is never seen."""
    counts = data.counts.toarray()
    counts[:, next(column for column, gene in enumerate(data.genes) if gene not in data.perturbed_genes)] = 0
    return _of(data, counts)


def with_silent_target(data: TrainingData) -> TrainingData:
    """Return data in which a gene that is perturbed is never seen."""
    counts = data.counts.toarray()
    counts[:, next(column for column, gene in enumerate(data.genes) if gene in data.perturbed_genes)] = 0
    return _of(data, counts)


def with_few_cells(data: TrainingData, *, n_cells: int = 3) -> TrainingData:
    """Return data with a few cells of each condition."""
    chosen = [np.flatnonzero(data.perturbation == label)[:n_cells] for label in data.conditions]
    return with_cells(data, np.sort(np.concatenate(chosen)))


def with_one_perturbation(data: TrainingData) -> TrainingData:
    """Return controls and the first single perturbation."""
    single = next(label for label in data.perturbations if "+" not in label)
    return with_cells(data, np.flatnonzero(np.isin(data.perturbation, (CONTROL, single))))


def with_combinations_only(data: TrainingData) -> TrainingData:
    """Return controls and the combinations."""
    kept = [label for label in data.conditions if label == CONTROL or "+" in label]
    return with_cells(data, np.flatnonzero(np.isin(data.perturbation, kept)))


def with_target_not_measured(data: TrainingData) -> TrainingData:
    """Return data without the column of a gene that is perturbed."""
    target = next(label for label in data.perturbations if "+" not in label)
    return with_genes(data, np.array([column for column, gene in enumerate(data.genes) if gene != target]))


def _of(data: TrainingData, counts: NDArray[np.integer], kind: type[TrainingData] = TrainingData) -> TrainingData:
    return kind.from_arrays(
        np.array(counts),
        genes=data.genes,
        perturbation=np.array(data.perturbation),
        batch=np.array(data.batch),
        medium=np.array(data.medium),
        time=np.array(data.time),
        arm=np.array(data.arm),
        experiments=data.experiments,
        knowledge=data.knowledge,
        drop_empty_cells=True,
    )
