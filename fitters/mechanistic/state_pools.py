"""The measurement step of the models of states: pools of cells as changes of log profiles, in few dimensions.

In: a table of cells with their contexts. Out: `StatePools`: one state per pool of cells, relative to controls, and the
basis in which states are written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.errors import FitterError
from fitters.measurement import LEAST_CONTROL_COUNTS
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
        mean: (K, C, G) change of the log profile of each condition from `reference`; NaN where there are no cells.
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

        Raises:
            FitterError: a context without controls.
        """
        corrected, raw, own, everyone, group = _fractions(table, contexts, cells_per_pool, fitter)
        reference = np.log1p(SCALE * everyone[0])
        control = np.log1p(SCALE * everyone)
        condition, batch, context, n_cells = group
        n_conditions = len(table.conditions)
        targets = _targets(table)

        level = np.log1p(SCALE * corrected)
        mean = np.full((len(everyone), n_conditions, level.shape[1]), np.nan)
        for k in range(len(everyone)):
            for c in np.unique(condition[context == k]):
                here = (context == k) & (condition == c)
                together = np.average(corrected[here], axis=0, weights=n_cells[here])
                mean[k, c] = np.log1p(SCALE * together) - reference
        change = np.where(targets[condition], control[context], level) - reference
        log_raw, log_own = np.log1p(SCALE * raw), np.log1p(SCALE * own)
        matched = np.where(targets[condition], 0.0, log_raw - log_own)
        pooled = np.where(targets[condition], 0.0, log_raw - control[context])
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
                minlength=len(everyone),
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


def _fractions(
    table: CellTable, contexts: Contexts, cells_per_pool: int, fitter: str
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, tuple[Codes, Codes, Codes, NDArray[np.int64]]]:
    """Return (P, G) corrected and raw fractions and those of each pool's own controls, (K, G) those of all controls."""
    n_contexts, n_batches, n_conditions = len(contexts.all), len(table.batches), len(table.conditions)
    key = (contexts.code * n_batches + table.batch) * n_conditions + table.condition
    pool = np.empty(table.n_cells, dtype=np.intp)
    keys: list[int] = []
    for value in np.unique(key):
        cells = np.flatnonzero(key == value)
        for part in np.array_split(cells, -(-cells.size // cells_per_pool)):
            pool[part] = len(keys)
            keys.append(int(value))
    pool_key = np.array(keys, dtype=np.intp)
    condition, batch = pool_key % n_conditions, pool_key // n_conditions % n_batches
    context = pool_key // (n_conditions * n_batches)
    total = _summed(table, pool, len(keys))
    n_cells = np.bincount(pool, minlength=len(keys)).astype(np.int64)
    is_control = condition == table.conditions.index(CONTROL)
    by_batch = np.zeros((n_contexts, n_batches, total.shape[1]))
    np.add.at(by_batch, (context[is_control], batch[is_control]), total[is_control])
    everywhere = by_batch.sum(axis=1)
    for k, depth in enumerate(everywhere.sum(axis=1)):
        if depth == 0:
            one = contexts.all[k]
            raise FitterError(fitter, f"no controls at {one.time:g} h in medium {one.medium!r} of arm {one.arm!r}")
    everyone = _normalised(everywhere)
    own_fraction = _normalised(by_batch)
    own_fraction = np.where(by_batch.sum(axis=2, keepdims=True) > 0, own_fraction, everyone[:, None])
    raw, own, all_of = _normalised(total), own_fraction[context, batch], everyone[context]
    measured = (everywhere >= LEAST_CONTROL_COUNTS).all(axis=0)
    corrects = measured & (own > 0.1 * all_of)
    corrected = raw * np.where(corrects, all_of / np.where(corrects, own, 1.0), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        for k in range(n_contexts):
            for c in np.unique(condition[context == k]):
                here = (context == k) & (condition == c)
                together = np.average(corrected[here], axis=0, weights=total[here].sum(axis=1))
                median = np.median((together / everyone[k])[measured]) if measured.any() else 1.0
                corrected[here] /= median if np.isfinite(median) and median > 0 else 1.0
    corrected = np.where(measured, corrected, all_of)
    return corrected, raw, own, everyone, (condition, batch, context, n_cells)


def _summed(table: CellTable, pool: Codes, n_pools: int) -> FloatArray:
    from scipy.sparse import csr_array

    ones = np.ones(table.n_cells)
    membership = csr_array((ones, (pool, np.arange(table.n_cells))), shape=(n_pools, table.n_cells))
    return np.asarray((membership @ table.counts.astype(np.float64)).todense())


def _normalised(total: FloatArray) -> FloatArray:
    return total / np.maximum(total.sum(axis=-1, keepdims=True), 1.0)


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
