"""Small pools of cells as the rows of a training: how far each pool's profile is from that of controls.

In: a table of training cells. Out: `PooledResponses`, changes of log profiles against the controls of the same batch,
and against those of all batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.errors import FitterError
from fitters.measurement import LEAST_CONTROL_COUNTS
from fitters.pool_bias import PoolBias, against_controls
from fitters.training.cells import CellTable
from simcell.labels import CONTROL
from simcell.profiles import SCALE, log_profile

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PooledResponses:
    """P pools of perturbed cells; G genes as in the table.

    Args:
        condition: (P,) codes into the table's conditions.
        batch: (P,) codes into its batches.
        matched: (P, G) change of the log profile against controls of the same batch; 0 for genes not measured.
        pooled: (P, G) the same against controls of all batches.
        measured: (G,) whether the controls have at least `LEAST_CONTROL_COUNTS` counts.
        n_cells: (P,) cells of each pool.
    """

    condition: NDArray[np.intp]
    batch: NDArray[np.intp]
    matched: FloatArray
    pooled: FloatArray
    measured: NDArray[np.bool_]
    n_cells: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.condition)

    def note(self, what: str) -> str:
        """Return how many pools there are, and the median of their cells; `what` they are."""
        return f"{len(self)} pools of {what}, of {np.median(self.n_cells):g} in the median"

    def check_measured(self, *, fitter: str) -> None:
        """Refuse responses of no gene, from which nothing can be learned.

        Raises:
            FitterError: the controls have too few counts of every gene.
        """
        if not self.measured.any():
            least = f"each has fewer than {LEAST_CONTROL_COUNTS:g} counts"
            raise FitterError(fitter, f"no gene is counted often enough in the controls to be compared with: {least}")


def pooled_responses(table: CellTable, *, cells_per_pool: int) -> PooledResponses:
    """Deal the cells of every condition and batch into pools of about equal size and return their responses.

    A group of n cells makes ``max(1, round(n / cells_per_pool))`` pools. Cells are dealt to them in turn, in the
    table's own order: by medium, arm and time, so that each pool has its share of every context, and then as if at
    random, by a hash of their counts. With f the fractions of counts of a pool, f_b those of the controls of its batch
    (of all controls, where the batch's have fewer than `LEAST_CONTROL_COUNTS` counts of a gene) and c those of all
    controls, the profile of the pool is ``L(c f / f_b)``, L the log profile: what a batch does to a gene, it does to f
    and to f_b. The matched change is this profile minus ``L(c)``; the pooled one is ``L(f)`` minus its mean over pools
    of controls. Before that, biases are taken out of the profiles:

    - The logarithm of few counts is biased downwards, the more so the smaller the pool, and pools of controls are
      seldom of the size of the perturbed. From each profile the bias of a pool of its size is subtracted, and that of
      the f_b it was divided by is added (see `PoolBias`: it is what controls show that are dealt into pools of many
      sizes). It is that of the level and depth of all cells of the condition (see `against_controls`): of genes that
      change much, what is left is an error of second order.
    - ``1 / f_b`` of few controls is too large on average, and so is the sum over genes that c f / f_b is divided by to
      be a fraction: each term is divided by its excess, by the variance of f_b.
    """
    from scipy.sparse import csr_array

    n_batches = len(table.batches)
    group_codes, group = np.unique(table.condition * n_batches + table.batch, return_inverse=True)
    size = np.bincount(group)
    n_pools = np.maximum(1, np.rint(size / cells_per_pool)).astype(np.intp)
    order = np.argsort(group, kind="stable")
    rank = np.empty(table.n_cells, np.intp)
    rank[order] = np.arange(table.n_cells) - np.repeat(np.cumsum(size) - size, size)
    pool = (np.cumsum(n_pools) - n_pools)[group] + rank % n_pools[group]
    of = np.repeat(group_codes, n_pools)
    condition, batch = of // n_batches, of % n_batches

    counts = table.counts.astype(np.float64)
    membership = csr_array((np.ones(table.n_cells), (pool, np.arange(table.n_cells))), shape=(of.size, table.n_cells))
    total = (membership @ counts).toarray()
    fraction = total / total.sum(axis=1, keepdims=True)
    is_control = condition == table.conditions.index(CONTROL)
    of_batch = np.stack([total[is_control & (batch == number)].sum(axis=0) for number in range(n_batches)])
    everywhere = of_batch.sum(axis=0)
    all_controls = everywhere / everywhere.sum()
    depth = np.maximum(of_batch.sum(axis=1, keepdims=True), 1.0)
    reference = np.where(of_batch >= LEAST_CONTROL_COUNTS, of_batch / depth, all_controls)
    measured = everywhere >= LEAST_CONTROL_COUNTS

    correction = np.where(measured, all_controls / np.where(reference > 0, reference, 1.0), 1.0)
    n_cells = np.bincount(pool)
    bias = PoolBias.of(table.counts[table.control], table.batch[table.control], correction)
    level, depth = against_controls(condition, n_cells, total, reference[batch], is_control)
    of_pools = bias.at(n_cells[:, None], level=level, depth=depth)
    n_controls = np.bincount(table.batch[table.control], minlength=n_batches)[:, None]
    of_reference = bias.at(np.where(of_batch >= LEAST_CONTROL_COUNTS, n_controls, n_controls.sum()))

    # with f_b not known exactly, c / f_b is too large on average, and so would be the sum that the fractions are of
    share = of_batch / np.maximum(everywhere, 1.0)
    too_large = 1.0 + np.where(of_batch >= LEAST_CONTROL_COUNTS, 1.0 - share, 0.0) * bias.relative_variance(of_batch)
    corrected = np.where(measured, fraction * correction[batch], all_controls)
    whole = (corrected / too_large[batch]).sum(axis=1, keepdims=True)
    matched = np.log1p(SCALE * corrected / whole) - of_pools + of_reference[batch] - log_profile(all_controls)
    pooled = log_profile(fraction) - of_pools
    pooled -= pooled[is_control].mean(axis=0)
    found = [np.where(measured, change, 0.0)[~is_control] for change in (matched, pooled)]
    return PooledResponses(
        condition[~is_control], batch[~is_control], found[0], found[1], measured, n_cells[~is_control]
    )
