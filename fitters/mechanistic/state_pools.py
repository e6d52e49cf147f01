"""The measurement step of the models of states: pools of cells as changes of log profiles, in few dimensions.

In: a table of cells with their contexts. Out: `StatePools`: one state per pool of cells, relative to controls, and the
basis in which states are written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.mechanistic.state_fractions import Fractions
from fitters.mechanistic.states import Contexts
from fitters.training.cells import CellTable
from simcell.labels import CONTROL, perturbation_targets
from simcell.profiles import SCALE

FloatArray = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Basis:
    """A linear map between states (D,) and changes of log profiles (G,): ``y = unit * x V'``, ``x = y V / unit``.

    Args:
        vectors: (G, D) V, orthonormal; None: each gene is a dimension.
        unit: root mean square of a coordinate of perturbed cells, so that states have no unit.
        n_genes: G.
    """

    vectors: FloatArray | None
    unit: float
    n_genes: int

    @property
    def dimensions(self) -> int:
        """D."""
        return self.n_genes if self.vectors is None else self.vectors.shape[1]

    def encode(self, change: FloatArray) -> FloatArray:
        """Return (.., D) states of (.., G) changes of log profiles."""
        found: FloatArray = (change if self.vectors is None else change @ self.vectors) / self.unit
        return found

    def decode(self, state: FloatArray) -> FloatArray:
        """Return (.., G) changes of log profiles of (.., D) states."""
        found: FloatArray = self.unit * (state if self.vectors is None else state @ self.vectors.T)
        return found


@dataclass(frozen=True, eq=False)
class StatePools:
    """P pools of cells of one condition, batch and context each.

    Args:
        basis: of the states.
        condition, batch, context: (P,) codes. n_cells: (P,).
        state: (P, D), by the controls of the same batch; of genes that are the condition's own targets, the control's.
        matched: (P, D) change against the controls of the same batch, of log profiles as they were counted.
        pooled: (P, D) the same against the controls of all batches.
        reference: (G,) log profile of the controls of context 0.
        control: (K, G) log profiles of the controls of each context.
        n_controls: (K,) control cells of each context.
        mean: (K, C, G) change of the log profile of each condition's cells together from `reference`; NaN where there
            are no cells.
    """

    basis: Basis
    condition: Codes
    batch: Codes
    context: Codes
    n_cells: NDArray[np.int64]
    state: FloatArray
    matched: FloatArray
    pooled: FloatArray
    reference: FloatArray
    control: FloatArray
    n_controls: NDArray[np.int64]
    mean: FloatArray

    @classmethod
    def of(
        cls, table: CellTable, contexts: Contexts, *, dimensions: int | None, cells_per_pool: int, fitter: str
    ) -> StatePools:
        """Return the states of pools of at most `cells_per_pool` cells.

        A pool's fractions are divided by those of the controls of its batch and context, times those of all controls of
        the context (where the batch's controls show a gene at less than a tenth of that, its batch is not corrected),
        and by the median ratio of its condition to control, for fractions add up to one (as in `relative_levels`).

        The logarithm of few counts is biased downwards. From every profile the bias of a pool of its size is subtracted
        (see `PoolBias`, estimated from the controls of each context; what it says of levels far from the controls' is
        of second order): pools of controls are on average at the state of all controls together, from which levels are
        taken, and those of a perturbation at its own, however small they are.

        Raises:
            FitterError: a context without controls.
        """
        of = Fractions.of(table, contexts, cells_per_pool=cells_per_pool, fitter=fitter)
        condition, batch, context, n_cells = of.condition, of.batch, of.context, of.n_cells
        reference = np.log1p(SCALE * of.everyone[0])
        control = np.log1p(SCALE * of.everyone)
        n_contexts, n_conditions = len(of.everyone), len(table.conditions)
        targets = _targets(table)

        mean = np.full((n_contexts, n_conditions, len(table.genes)), np.nan)
        for k, c in np.unique(np.column_stack([context, condition]), axis=0):
            here = (context == k) & (condition == c)
            together = np.average(of.corrected[here], axis=0, weights=n_cells[here])
            mean[k, c] = np.log1p(SCALE * together) - of.bias_together[k, c] - reference
        level = np.log1p(SCALE * of.corrected) - of.bias_corrected
        change = np.where(targets[condition], control[context], level) - reference
        log_raw, log_own = np.log1p(SCALE * of.raw) - of.bias_raw, np.log1p(SCALE * of.own) - of.bias_own
        everyone = control - of.bias_everyone
        matched = np.where(targets[condition], 0.0, log_raw - log_own)
        pooled = np.where(targets[condition], 0.0, log_raw - everyone[context])
        basis = _basis(mean, targets, control - reference, table, dimensions, condition, context, n_cells)
        is_control = table.conditions.index(CONTROL)
        return cls(
            basis=basis,
            condition=condition,
            batch=batch,
            context=context,
            n_cells=n_cells,
            state=basis.encode(change),
            matched=basis.encode(matched),
            pooled=basis.encode(pooled),
            reference=reference,
            control=control,
            n_controls=np.bincount(
                context[condition == is_control],
                weights=n_cells[condition == is_control],
                minlength=n_contexts,
            ).astype(np.int64),
            mean=mean,
        )


def _targets(table: CellTable) -> NDArray[np.bool_]:
    """Return (C, G) which genes are targets of which condition."""
    column = {gene: number for number, gene in enumerate(table.genes)}
    found = np.zeros((len(table.conditions), len(table.genes)), dtype=bool)
    for row, label in enumerate(table.conditions):
        for target in perturbation_targets(label):
            if target in column:
                found[row, column[target]] = True
    return found


def _basis(
    mean: FloatArray,
    targets: NDArray[np.bool_],
    control: FloatArray,
    table: CellTable,
    dimensions: int | None,
    condition: Codes,
    context: Codes,
    n_cells: NDArray[np.int64],
) -> Basis:
    """Return the leading directions of mean changes, weighted by the root of cells; not centred: 0 is the control."""
    cells = np.zeros(mean.shape[:2])
    np.add.at(cells, (context, condition), n_cells)
    rows = np.where(targets[None], control[:, None], mean)[cells > 0]
    perturbed = np.broadcast_to(np.arange(mean.shape[1]) != table.conditions.index(CONTROL), cells.shape)[cells > 0]
    weight = np.sqrt(cells[cells > 0])
    n_genes = mean.shape[2]
    vectors = None
    if dimensions is not None and dimensions < n_genes:
        vectors = np.linalg.svd(rows * weight[:, None], full_matrices=False)[2][:dimensions].T
    places = rows if vectors is None else rows @ vectors
    unit = float(np.sqrt((places[perturbed] ** 2).mean())) if perturbed.any() else 1.0
    return Basis(vectors, unit if unit > 0 else 1.0, n_genes)
