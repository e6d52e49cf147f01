"""What the variational auto-encoder sees of training data: arrays of cells, contexts, doses and gene embeddings.

In: training data. Out: `CellsAndDoses`, in an order of genes and cells of its own, so that the data's order is of no
account: not one bit of it depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.knock_down import KnockDown
from fitters.training.cells import CellTable
from fitters.training_data import TrainingData
from simcell.labels import CONTROL, perturbation_targets
from simcell.profiles import SCALE

FloatArray = NDArray[np.float64]

# A target that seems not to have moved may yet have acted: its dose is not taken to be smaller than this.
LEAST_DOSE = 0.1
# A target that seems to be gone is not taken to be lower than this, over its level in controls.
LEAST_LEVEL = 0.02
# Counts added to the mean of a context when contexts are compared, shared among genes as in all controls.
PRIOR_COUNTS = 1000.0

# Bounds of the inverse dispersion that the moments of controls may give.
LEAST_THETA, MOST_THETA = 0.1, 100.0

Context = tuple[float, str, str]


@dataclass(frozen=True, eq=False)
class Doses:
    """How strongly each gene is perturbed where it is a target, and to which level it goes itself.

    Args:
        knock_down: measured on the training cells.
        genes: names of the measured genes.
        measured: whether doses are measured; 1 for all otherwise.
        own_target: whether the target's own level is told to the decoder.
    """

    knock_down: KnockDown
    genes: tuple[str, ...]
    measured: bool
    own_target: bool

    def of(self, target: str) -> float:
        """Return minus the relative change of a target: 0.9 where 10% are left, below 0 where it is activated.

        1 where it was not measured; what is to be expected of a gene that no training cell has as target.
        """
        if not self.measured:
            return 1.0
        known = self.knock_down.seen(target) or (target in self.genes and bool(self.knock_down.measured))
        dose = -self.knock_down.change(target) if known else 1.0
        return dose if abs(dose) >= LEAST_DOSE else LEAST_DOSE

    def offset(self, targets: tuple[str, ...]) -> FloatArray:
        """Return (G,) logarithms of the targets' own levels under their perturbation; 0 for all other genes."""
        offset = np.zeros(len(self.genes))
        for target in targets if self.own_target else ():
            if target in self.genes and (self.knock_down.seen(target) or self.knock_down.measured):
                offset[self.genes.index(target)] = np.log(max(1.0 + self.knock_down.change(target), LEAST_LEVEL))
        return offset


@dataclass(frozen=True, eq=False)
class CellsAndDoses:
    """N cells, G genes, C conditions, T targets, B batches, K contexts (time, medium, arm).

    Args:
        table: the cells, in their canonical order.
        contexts: K contexts, sorted. context: (N,) codes.
        dose: (C, T) dose of each target in each condition, 0 where it is none.
        own: (C, G) logarithm of the level of each condition's own targets.
        doses: those of other targets.
        base: (G,) logarithm of the fraction of all controls.
        batch_offset: (B, G) what the logarithm is in the controls of each batch, over `base`.
        context_offset: (K, G) the same of contexts, in the batches that they share.
        centre: (B, G) mean of `normalised` over the controls of each batch. spread: (G,) its sd over controls.
        size: UMIs to which cells are brought before their logarithm is taken.
        theta: (G,) inverse dispersion of controls, by moments.
        embedding: (G, D) embedding of every gene.
    """

    table: CellTable
    contexts: tuple[Context, ...]
    context: NDArray[np.intp]
    dose: NDArray[np.float32]
    own: NDArray[np.float32]
    doses: Doses
    base: FloatArray
    batch_offset: FloatArray
    context_offset: FloatArray
    centre: FloatArray
    spread: FloatArray
    size: float
    theta: FloatArray
    embedding: FloatArray

    @classmethod
    def of(cls, data: TrainingData, *, components: int, dose: bool, own_target: bool, held_out: NDArray[np.bool_],
           table: CellTable) -> CellsAndDoses:  # fmt: skip
        """Return the arrays of training data.

        Args:
            data: the training data.
            components: most dimensions D of the gene embedding.
            dose: whether doses are measured.
            own_target: whether the decoder is told a target's own level.
            held_out: (C,) conditions that the embedding is not to know.
            table: that of the data.
        """
        ordered = TrainingData.from_arrays(
            table.counts,
            genes=table.genes,
            perturbation=np.array(table.conditions)[table.condition],
            batch=np.array(table.batches)[table.batch],
        )
        doses = Doses(KnockDown.of(ordered), table.genes, dose, own_target)
        labels = list(zip(table.time.tolist(), table.medium.tolist(), table.arm.tolist(), strict=True))
        codes = sorted(set(labels))
        number = {label: row for row, label in enumerate(codes)}
        context = np.array([number[label] for label in labels], dtype=np.intp)
        contexts = tuple((time, table.media[medium], table.arms[arm]) for time, medium, arm in codes)
        control = table.control
        base = _log_fraction(np.asarray(table.counts[np.flatnonzero(control)].sum(axis=0), dtype=np.float64))
        nowhere = np.zeros(table.n_cells, dtype=np.intp), np.zeros((1, base.size))
        context_offset = nowhere[1] if len(contexts) == 1 else _offsets(table, context, len(contexts), base, nowhere)
        batch_offset = _offsets(table, table.batch, len(table.batches), base, (context, context_offset))
        size = float(np.median(table.depth))
        centre, spread = _centre_and_spread(table, size)
        wanted = np.array(
            [[doses.of(target) * (target in perturbation_targets(label)) for target in table.targets]
             for label in table.conditions], dtype=np.float32,
        )  # fmt: skip
        return cls(
            table=table,
            contexts=contexts,
            context=context,
            dose=wanted.reshape(len(table.conditions), len(table.targets)),
            own=np.array([doses.offset(perturbation_targets(label)) for label in table.conditions], dtype=np.float32),
            doses=doses,
            base=base,
            batch_offset=batch_offset,
            context_offset=context_offset,
            centre=centre,
            spread=spread,
            size=size,
            theta=inverse_dispersion(table, base),
            embedding=gene_embedding(table, components=components, leave_out=held_out),
        )


def normalised(counts: NDArray[np.floating], size: float) -> NDArray[np.floating]:
    """Return ``log1p(size k / s)`` of counts (n, G), s the UMIs of each cell."""
    found: NDArray[np.floating] = np.log1p(size * counts / counts.sum(axis=1, keepdims=True))
    return found


def gene_embedding(table: CellTable, *, components: int, leave_out: NDArray[np.bool_]) -> FloatArray:
    """Return (G, D) places of genes: scores on the principal components of the responses of the training conditions.

    Genes that respond alike are near each other, as in `bilinear`. Each dimension has a mean square of 1; D is the
    number of components or what there are. A gene's name, not its place in the data, tells its row (`table.genes`).
    """
    conditions = np.flatnonzero(~leave_out)
    total = np.zeros((len(table.conditions), len(table.genes)))
    for row in conditions:
        total[row] = np.asarray(table.counts[np.flatnonzero(table.condition == row)].sum(axis=0), dtype=np.float64)
    profile = np.log1p(SCALE * total / np.maximum(total.sum(axis=1, keepdims=True), 1.0))
    response = profile[conditions] - profile[table.conditions.index(CONTROL)]
    left, values, _ = np.linalg.svd(response.T - response.T.mean(axis=0), full_matrices=False)
    kept = np.flatnonzero(values > 1e-6 * max(values[0], 1e-12))[:components]
    scores = left[:, kept] * values[kept]
    found: FloatArray = scores / np.maximum(np.sqrt((scores**2).mean(axis=0)), 1e-12)
    return found


def inverse_dispersion(table: CellTable, base: FloatArray) -> FloatArray:
    """Return (G,) theta of ``Var k = s f + (s f)^2 / theta`` over controls: ``sum (s f)^2 / sum ((k - s f)^2 - k)``."""
    controls = np.flatnonzero(table.control)
    counts, depth = table.dense(controls).astype(np.float64), table.depth[controls]
    expected = depth[:, None] * np.exp(base)
    excess = ((counts - expected) ** 2 - counts).sum(axis=0)
    square = (expected**2).sum(axis=0)
    found: FloatArray = square / np.clip(excess, square / MOST_THETA, square / LEAST_THETA)
    return found


def _log_fraction(total: FloatArray) -> FloatArray:
    found: FloatArray = np.log((total + 0.5) / (total.sum() + 0.5 * total.size))
    return found


def _offsets(
    table: CellTable, code: NDArray[np.intp], n_codes: int, base: FloatArray, known: tuple[NDArray[np.intp], FloatArray]
) -> FloatArray:
    """Return (n_codes, G) log ratios of the controls of each code to what is expected of them, shrunk to 0.

    Expected are the fractions of `base`, times what is known already of other groups of cells: their codes and offsets.
    """
    offsets = np.zeros((n_codes, base.size))
    known_code, known_offset = known
    fractions = np.exp(base + known_offset)
    for number in range(n_codes):
        cells = np.flatnonzero(table.control & (code == number))
        total = np.asarray(table.counts[cells].sum(axis=0), dtype=np.float64)
        depth = np.bincount(known_code[cells], weights=table.depth[cells], minlength=len(fractions))
        pooled = (depth if depth.sum() else np.ones_like(depth)) @ fractions
        expected = pooled / pooled.sum()
        offsets[number] = np.log((total / PRIOR_COUNTS + expected) / (total.sum() / PRIOR_COUNTS + 1.0) / expected)
    return offsets


def _centre_and_spread(table: CellTable, size: float) -> tuple[FloatArray, FloatArray]:
    """Return (B, G) means and (G,) sd of normalised controls; a batch without controls has the mean of all."""
    controls = np.flatnonzero(table.control)
    values, batch = normalised(table.dense(controls).astype(np.float64), size), table.batch[controls]
    overall = values.mean(axis=0)
    centre = np.array(
        [values[batch == number].mean(axis=0) if (batch == number).any() else overall
         for number in range(len(table.batches))]
    )  # fmt: skip
    spread = np.sqrt(((values - centre[batch]) ** 2).mean(axis=0))
    return centre, np.maximum(spread, 0.1)
