"""Pools of cells: from counts to draws of a structural model, each with the variance of its measurement.

In: training data, cells per pool, a seed. Out: `Pools`, levels relative to control of small groups of cells of one
condition and batch. It is the measurement step of the fitters whose models are of draws rather than of conditions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fitters.cell_hashes import cell_hashes
from fitters.measurement import LEAST_CONTROL_COUNTS, relative_levels
from fitters.training_data import TrainingData, pool
from simcell.labels import CONTROL, perturbation_targets

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pools:
    """P pools of cells, sorted by condition, batch and number; G genes, sorted by name: no order of the data is left.

    Args:
        genes: G gene names, those whose level in the controls was measured (`relative_levels`).
        label: P condition labels.
        key: P names ``condition/batch/number``, by which randomness is keyed.
        n_cells: (P,) cells of each pool.
        change: (P, G) z = level / control level - 1.
        variance: (P, G) of `change` as a measurement of its condition: Poisson and biological noise between cells.
        held: (P, G) whether the gene is a target of the pool's perturbation.
    """

    genes: tuple[str, ...]
    label: tuple[str, ...]
    key: tuple[str, ...]
    n_cells: NDArray[np.int64]
    change: FloatArray
    variance: FloatArray
    held: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.label)

    @cached_property
    def expected_change(self) -> FloatArray:
        """(P, G) level of each pool's condition with its noise taken off, ``m max(t_g / (t_g + s), 1 - s / m^2)``.

        m is the mean of z over the pools of the condition by precision, s its variance, and t_g that of the gene's true
        levels over conditions (the mean of m^2 - s, at least 0). The first factor is the posterior mean under a normal
        prior; the second is the positive-part estimator of James and Stein for one effect alone: thus a knock-down,
        which few conditions share, is not shrunk away. Regressors replaced by expectations do not attenuate effects
        (regression calibration; Carroll et al., Measurement Error in Nonlinear Models, 2nd ed., 2006, chapter 4).
        What varies between pools of one condition is noise here, biological noise included: it need not be passed on.
        """
        labels, code = np.unique(self.label, return_inverse=True)
        precision, weighted = np.zeros((2, len(labels), len(self.genes)))
        np.add.at(precision, code, 1.0 / self.variance)
        np.add.at(weighted, code, self.change / self.variance)
        mean, variance = weighted / precision, 1.0 / precision
        spread = np.maximum((mean**2 - variance).mean(axis=0), 0.0)
        own = 1.0 - variance / np.maximum(mean**2, 1e-12)
        expected: FloatArray = mean * np.maximum(spread / (spread + variance), np.maximum(own, 0.0))
        return expected[code]

    def take(self, rows: NDArray[np.integer]) -> Pools:
        """Return some of the pools."""
        return replace(
            self,
            label=tuple(self.label[row] for row in rows),
            key=tuple(self.key[row] for row in rows),
            n_cells=self.n_cells[rows],
            change=self.change[rows],
            variance=self.variance[rows],
            held=self.held[rows],
        )


def make_pools(data: TrainingData, *, cells_per_pool: int, seed: int) -> Pools:
    """Deal the cells of every condition and batch into pools of about equal size and return their levels.

    A group of n cells makes ``max(1, round(n / cells_per_pool))`` pools. Cells are dealt in the order of a hash of
    their counts by gene name, and of the seed: an order at random, whatever the order of cells and genes in the data.

    The level of pool p is its fraction ``f_pg = sum_c k_cg / sum_c s_c`` over that of the controls of its batch (of all
    controls where the batch has fewer than `LEAST_CONTROL_COUNTS` counts of the gene), over the median of these ratios
    in its condition and batch, as in `relative_levels`. Its variance is ``F_pg f s^-1`` of the pool, relative, plus
    that of the controls it is compared with; F, at least 1, is the variance between cells over that of Poisson counts,
    from the cells of the condition and of the controls together. A pool without any count has the variance of one
    count.
    """
    measured = relative_levels(data).measured
    order = np.array([column for column in np.argsort(data.genes) if measured[column]], dtype=np.intp)
    genes = tuple(data.genes[column] for column in order)
    group_keys, group = _groups(data)
    rank, size = _ranks(group, cell_hashes(data, seed=seed))
    n_pools = np.maximum(1, np.rint(size / cells_per_pool)).astype(np.intp)
    first = np.concatenate([[0], np.cumsum(n_pools)[:-1]])
    pooled = pool(data.counts, first[group] + rank % n_pools[group], labels=("",) * int(n_pools.sum()))
    grouped = pool(data.counts, group, labels=("",) * len(group_keys))
    of = np.repeat(np.arange(len(group_keys)), n_pools)  # the group of each pool

    is_control = np.array([label == CONTROL for label, _ in group_keys])
    batch = np.array([batch for _, batch in group_keys])
    total, depth = grouped.total[:, order].astype(np.float64), grouped.total.sum(axis=1).astype(np.float64)
    reference, reference_total = _references(total, depth, is_control=is_control, batch=batch)
    ratio = total / depth[:, None] / reference
    scale = np.median(ratio, axis=1, keepdims=True) if genes else np.ones((len(group_keys), 1))
    unit = reference * np.where(scale > 0, scale, 1.0)  # the fraction at which z = 0
    factor = _overdispersion(data, group, group_keys)[:, order]

    pool_depth = pooled.total.sum(axis=1, dtype=np.float64)[:, None]
    expected_total = np.maximum(pool_depth * (total / depth[:, None])[of], 1.0)
    variance = factor[of] * expected_total / (pool_depth * unit[of]) ** 2
    control_error = factor[is_control][0] / reference_total if genes else np.empty((len(group_keys), 0))
    variance += np.where(is_control[:, None], 0.0, (total / depth[:, None] / unit) ** 2 * control_error)[of]
    targets = [set(perturbation_targets(label)) for label, _ in group_keys]
    held = np.array([[gene in names for gene in genes] for names in targets], dtype=bool).reshape(
        len(targets), len(genes)
    )
    return Pools(
        genes=genes,
        label=tuple(group_keys[row][0] for row in of),
        key=tuple(f"{group_keys[row][0]}/{group_keys[row][1]}/{at - first[row]}" for at, row in enumerate(of)),
        n_cells=pooled.n_cells,
        change=pooled.total[:, order] / pool_depth / unit[of] - 1.0,
        variance=variance,
        held=held[of],
    )


def _groups(data: TrainingData) -> tuple[list[tuple[str, str]], NDArray[np.intp]]:
    """Return the (condition, batch) pairs that have cells, sorted, and the index of each cell's pair."""
    _, condition = np.unique(data.perturbation, return_inverse=True)
    batches, batch = np.unique(data.batch, return_inverse=True)
    code, group = np.unique(condition * len(batches) + batch, return_inverse=True)
    return [(data.conditions[c // len(batches)], str(batches[c % len(batches)])) for c in code.tolist()], group


def _ranks(group: NDArray[np.intp], hashes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rank of each cell's hash within its group, and the size of each group."""
    size = np.bincount(group)
    order = np.lexsort((hashes, group))
    rank = np.empty(len(group), np.intp)
    rank[order] = np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
    return rank, size


def _references(
    total: FloatArray, depth: FloatArray, *, is_control: NDArray[np.bool_], batch: NDArray[np.str_]
) -> tuple[FloatArray, FloatArray]:
    """Return for each group the control fractions that it is compared with and the counts that they are made of."""
    overall_total, overall_depth = total[is_control].sum(axis=0), depth[is_control].sum()
    reference = np.tile(overall_total / overall_depth, (len(total), 1))
    counts = np.tile(overall_total, (len(total), 1))
    for row in np.flatnonzero(is_control):
        same = batch == batch[row]
        enough = total[row] >= LEAST_CONTROL_COUNTS
        reference[np.ix_(same, enough)] = total[row, enough] / depth[row]
        counts[np.ix_(same, enough)] = total[row, enough]
    return reference, counts


def _overdispersion(data: TrainingData, group: NDArray[np.intp], group_keys: list[tuple[str, str]]) -> FloatArray:
    """Return for each group F (G,), the variance of counts between the cells of its condition over their mean."""
    from scipy.sparse import csr_array, diags_array

    n_cells, n_groups = data.n_cells, len(group_keys)
    membership = csr_array((np.ones(n_cells), (group, np.arange(n_cells))), shape=(n_groups, n_cells))
    counts = data.counts.astype(np.float64)
    depth = np.asarray(counts.sum(axis=1), dtype=np.float64)
    total = (membership @ counts).toarray()
    fraction = total / (membership @ depth)[:, None]
    squares = (membership @ counts.power(2)).toarray()
    crossed = (membership @ (diags_array(depth) @ counts)).toarray()
    spread = squares - 2 * fraction * crossed + fraction**2 * (membership @ depth**2)[:, None]
    size = np.bincount(group, minlength=n_groups)[:, None]
    spread = np.where(size > 1, spread * size / np.maximum(size - 1, 1), 0.0)
    total = np.where(size > 1, total, 0.0)
    labels = np.array([label for label, _ in group_keys])
    control = labels == CONTROL
    factor = np.ones_like(total)
    for label in np.unique(labels):
        rows = (labels == label) | control
        counted = total[rows].sum(axis=0)
        factor[labels == label] = np.maximum(spread[rows].sum(axis=0) / np.maximum(counted, 1.0), 1.0)
    return factor
