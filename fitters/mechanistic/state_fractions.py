"""The counts of pools of cells as fractions, corrected for batches, and the bias of their log profiles.

In: a table of cells with their contexts. Out: `Fractions`, by pool.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.errors import FitterError
from fitters.measurement import LEAST_CONTROL_COUNTS
from fitters.mechanistic.states import Contexts
from fitters.pool_bias import PoolBias, against_controls
from fitters.training.cells import CellTable
from simcell.labels import CONTROL

FloatArray = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Fractions:
    """P pools of cells of one condition, batch and context each; C conditions, K contexts, G genes.

    A bias is what is to be subtracted from a log profile; see `PoolBias`. Those of the corrected fractions are of a
    quotient: the bias of the pool, less that of the controls it was divided by.

    Args:
        condition, batch, context, n_cells: (P,).
        raw: (P, G) of the pool's counts. bias_raw: (P, G) of its log profile.
        own: (P, G) of the controls of its batch and context; of the context, where the batch has none.
        bias_own: (P, G) of their log profile.
        everyone: (K, G) of all controls of a context. bias_everyone: (K, G).
        corrected: (P, G) raw fractions, relative to the controls of the same batch. bias_corrected: (P, G) of its log
            profile from that of all controls of the context.
        bias_together: (K, C, G) of the corrected fractions of all cells of a condition.
    """

    condition: Codes
    batch: Codes
    context: Codes
    n_cells: NDArray[np.int64]
    raw: FloatArray
    own: FloatArray
    everyone: FloatArray
    corrected: FloatArray
    bias_raw: FloatArray
    bias_own: FloatArray
    bias_everyone: FloatArray
    bias_corrected: FloatArray
    bias_together: FloatArray

    @classmethod
    def of(cls, table: CellTable, contexts: Contexts, *, cells_per_pool: int, fitter: str) -> Fractions:
        """Return the fractions of pools of at most `cells_per_pool` cells.

        Raises:
            FitterError: a context without controls.
        """
        n_contexts, n_batches, n_conditions = len(contexts.all), len(table.batches), len(table.conditions)
        pool, condition, batch, context = _pools(table, contexts, cells_per_pool)
        total = _summed(table, pool, len(condition))
        n_cells = np.bincount(pool, minlength=len(condition)).astype(np.int64)
        control = table.conditions.index(CONTROL)
        is_control = condition == control
        by_batch = np.zeros((n_contexts, n_batches, total.shape[1]))
        cells_by_batch = np.zeros((n_contexts, n_batches))
        np.add.at(by_batch, (context[is_control], batch[is_control]), total[is_control])
        np.add.at(cells_by_batch, (context[is_control], batch[is_control]), n_cells[is_control])
        everywhere, n_everywhere = by_batch.sum(axis=1), cells_by_batch.sum(axis=1)
        for k, depth in enumerate(everywhere.sum(axis=1)):
            if depth == 0:
                one = contexts.all[k]
                raise FitterError(fitter, f"no controls at {one.time:g} h in medium {one.medium!r} of arm {one.arm!r}")
        everyone = _normalised(everywhere)
        lacking = by_batch.sum(axis=2, keepdims=True) == 0
        by_own = np.where(lacking, everyone[:, None], _normalised(by_batch))
        n_own = np.where(lacking[:, :, 0], n_everywhere[:, None], cells_by_batch)
        measured = (everywhere >= LEAST_CONTROL_COUNTS).all(axis=0)
        corrects = measured & (by_own > 0.1 * everyone[:, None])
        factor = np.where(corrects, everyone[:, None] / np.where(corrects, by_own, 1.0), 1.0)
        raw, own = _normalised(total), by_own[context, batch]
        corrected = raw * factor[context, batch]

        bias_raw, bias_own, bias_corrected = np.zeros((3, *raw.shape))
        bias_everyone, bias_together = np.zeros_like(everyone), np.zeros((n_contexts, n_conditions, raw.shape[1]))
        for k in range(n_contexts):
            here = context == k
            cells = table.control & (contexts.code == k)
            bias = PoolBias.of(table.counts[cells], table.batch[cells], factor[k])
            level, depth = against_controls(condition[here], n_cells[here], total[here], own[here], is_control[here])
            bias_raw[here] = bias.at(n_cells[here, None], level=level, depth=depth)
            bias_everyone[k] = bias.at(n_everywhere[k])
            of_own = bias.at(n_own[k][:, None])
            bias_own[here] = of_own[batch[here]]
            of_divisor = np.where(corrects[k], of_own, bias_everyone[k])
            divisor_below = bias.median_below_mean(np.where(corrects[k] & ~lacking[k], by_batch[k], everywhere[k]))
            bias_corrected[here] = np.where(measured, bias_raw[here] - of_divisor[batch[here]], 0.0)
            for c in np.setdiff1d(condition[here], control):
                rows = here & (condition == c)
                place = np.flatnonzero(condition[here] == c)[0]
                weight = np.bincount(batch[rows], weights=n_cells[rows], minlength=n_batches) / n_cells[rows].sum()
                whole = bias.at(n_cells[rows].sum(), level=level[place], depth=depth[place])
                # a divisor's error biases the quotient by its variance in each batch, and its log by half that of all
                divided = weight * (2.0 - weight)
                bias_together[k, c] = np.where(measured, whole - divided @ of_divisor, 0.0)
                umis = total[rows].sum(axis=1)
                together = np.average(corrected[rows], axis=0, weights=umis)
                below = bias.median_below_mean(umis @ own[rows]) - divided @ divisor_below
                corrected[rows] /= _composition(together[measured] / everyone[k, measured], below[measured])
        corrected = np.where(measured, corrected, everyone[context])
        return cls(
            condition=condition,
            batch=batch,
            context=context,
            n_cells=n_cells,
            raw=raw,
            own=own,
            everyone=everyone,
            corrected=corrected,
            bias_raw=bias_raw,
            bias_own=bias_own,
            bias_everyone=bias_everyone,
            bias_corrected=bias_corrected,
            bias_together=bias_together,
        )


def _pools(table: CellTable, contexts: Contexts, cells_per_pool: int) -> tuple[Codes, Codes, Codes, Codes]:
    """Return (N,) the pool of each cell, and (P,) the condition, batch and context of each pool."""
    n_batches, n_conditions = len(table.batches), len(table.conditions)
    key = (contexts.code * n_batches + table.batch) * n_conditions + table.condition
    pool = np.empty(table.n_cells, dtype=np.intp)
    keys: list[int] = []
    for value in np.unique(key):
        cells = np.flatnonzero(key == value)
        for part in np.array_split(cells, -(-cells.size // cells_per_pool)):
            pool[part] = len(keys)
            keys.append(int(value))
    pool_key = np.array(keys, dtype=np.intp)
    batch = pool_key // n_conditions % n_batches
    return pool, pool_key % n_conditions, batch, pool_key // (n_conditions * n_batches)


def _composition(ratio: FloatArray, below: FloatArray) -> float:
    """Return the median over genes of ratios (M,) of a condition to control; 1 where there is none above 0.

    Counts are skewed: half of the ratios are below ``1 - below`` if nothing changes, which each is divided by.

    Args:
        ratio, below: (M,) of the measured genes.
    """
    median = float(np.median(ratio / (1.0 - np.clip(below, -0.5, 0.5)))) if ratio.size else 1.0
    return median if np.isfinite(median) and median > 0 else 1.0


def _summed(table: CellTable, pool: Codes, n_pools: int) -> FloatArray:
    from scipy.sparse import csr_array

    ones = np.ones(table.n_cells)
    membership = csr_array((ones, (pool, np.arange(table.n_cells))), shape=(n_pools, table.n_cells))
    return np.asarray((membership @ table.counts.astype(np.float64)).todense())


def _normalised(total: FloatArray) -> FloatArray:
    return total / np.maximum(total.sum(axis=-1, keepdims=True), 1.0)
