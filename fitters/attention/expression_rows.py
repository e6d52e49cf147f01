"""Rows of expression that a transformer reads: small pools of cells, each gene on a scale of its own.

In: counts of unperturbed cells and a group for each. Out: (M, G) fractions of pools; and `Scale`, which turns fractions
into what stands beside a gene's token: a standardised level, or a rank within the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simcell.profiles import log_profile

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
LEAST_SPREAD = 1e-3  # of a gene's levels; one that never varies has none


def pooled_fractions(
    counts: csr_array, group: NDArray[np.intp], *, cells_per_pool: int
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Deal the cells of every group into pools of about equal size.

    Returns the fractions of each pool's counts (M, G), and the group (M,) that its cells are of.

    A group of n cells makes ``max(1, round(n / cells_per_pool))`` pools, dealt in turn. Cells without a count are
    in none.
    """
    from scipy.sparse import csr_array

    kept = np.flatnonzero(np.asarray(counts.sum(axis=1)).ravel() > 0)
    counts = counts[kept].astype(np.float64)
    names, group = np.unique(group[kept], return_inverse=True)
    size = np.bincount(group)
    n_pools = np.maximum(1, np.rint(size / cells_per_pool)).astype(np.intp)
    order = np.argsort(group, kind="stable")
    rank = np.empty(kept.size, np.intp)
    rank[order] = np.arange(kept.size) - np.repeat(np.cumsum(size) - size, size)
    pool = (np.cumsum(n_pools) - n_pools)[group] + rank % n_pools[group]
    member = csr_array((np.ones(kept.size), (pool, np.arange(kept.size))), shape=(int(n_pools.sum()), kept.size))
    total: FloatArray = (member @ counts).toarray()
    return total / total.sum(axis=1, keepdims=True), np.repeat(names, n_pools)


def without_batches(fractions: FloatArray, batch: NDArray[np.intp]) -> FloatArray:
    """Return rows of controls (M, G) as if of one batch: times the mean of all over the mean of the row's batch."""
    found = np.empty_like(fractions)
    everywhere = fractions.mean(axis=0)
    for number in np.unique(batch):
        here = batch == number
        own = fractions[here].mean(axis=0)
        found[here] = np.where(own > 0, fractions[here] * everywhere / np.where(own > 0, own, 1.0), everywhere)
    return found / found.sum(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Scale:
    """What is beside a token: "values", log profiles over their spread among rows, or "ranks", from -1 to 1 in a row.

    Args:
        ranks: whether it is ranks.
        mean: (G,) mean log profile of the rows that it was made of.
        spread: (G,) standard deviation there.
    """

    ranks: bool
    mean: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, fractions: FloatArray, *, ranks: bool) -> Scale:
        """Return the scale of rows (M, G)."""
        levels = log_profile(fractions)
        return cls(ranks, levels.mean(axis=0), np.maximum(levels.std(axis=0), LEAST_SPREAD))

    def __call__(self, fractions: FloatArray) -> NDArray[np.float32]:
        """Return (M, G) numbers for rows of fractions (M, G).

        Ranks are of the level over the gene's mean level, so that genes that are high in every row do not always lead;
        genes of equal level share the mean of their ranks.
        """
        levels = log_profile(fractions) - self.mean
        if not self.ranks:
            return (levels / self.spread).astype(np.float32)
        from scipy.stats import rankdata

        n_genes = levels.shape[1]
        return (2.0 * (rankdata(levels, axis=1) - 0.5) / n_genes - 1.0).astype(np.float32)
