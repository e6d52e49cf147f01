"""How far the log profile of a small pool of cells lies below that of many, by the number of its cells.

In: control cells by batch. Out: `PoolBias`, which gives the bias of a pool of any size, to be subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcell.profiles import SCALE

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
LEAST_POOLS = 8  # of the largest size tried: of fewer, the mean says little of a bias far smaller than their spread
MOST_POOLS = 1024  # of a size, in all batches: this bounds time and memory, and knows the bias to about 1 part in 20
PSEUDO_COUNTS = 10.0  # draw the level of a gene that is hardly counted to that of the controls


def against_controls(
    condition: NDArray[np.intp],
    n_cells: NDArray[np.int64],
    total: FloatArray,
    reference: FloatArray,
    is_control: NDArray[np.bool_],
) -> tuple[FloatArray, FloatArray]:
    """Return (P, G) levels and (P, 1) UMIs of a cell of each pool's condition, relative to those of controls.

    A level is ``(observed + 10) / (expected + 10)`` of the counts of all pools of the condition, drawn to 1 where they
    are few, for the noise in it is also in the profile that is to be corrected.

    Args:
        condition, n_cells, is_control: (P,) of pools. total: (P, G) their counts.
        reference: (P, G) fractions of controls that each pool is compared with.
    """
    conditions, place = np.unique(condition, return_inverse=True)
    umis = total.sum(axis=1)
    observed, expected = np.zeros((2, len(conditions), total.shape[1]))
    np.add.at(observed, place, total)
    np.add.at(expected, place, umis[:, None] * reference)
    per_cell = np.bincount(place, weights=umis) / np.bincount(place, weights=n_cells)
    depth = per_cell / (umis[is_control].sum() / n_cells[is_control].sum())
    return ((observed + PSEUDO_COUNTS) / (expected + PSEUDO_COUNTS))[place], depth[place][:, None]


@dataclass(frozen=True, eq=False)
class PoolBias:
    """The bias ``b_g(n) = E L(f_g) - L(E f_g)``, f the fractions of counts of a pool of n cells, ``L = log1p(10^4 f)``.

    To second order it is ``-1/2 (10^4 / (1 + 10^4 f))^2 Var f``, which falls as 1 / n. It is not taken from that
    formula, which fails where a pool has few counts of a gene, but from the controls themselves: they are dealt into
    pools of n = 1, 2, 4, .. cells, and the profile of all of them together is subtracted from the mean of the pools'
    profiles. (The error of the level itself is in both and cancels.) Between these sizes b is linear in 1 / n, and
    beyond the largest of them it goes to 0 with 1 / n. The largest has at least `LEAST_POOLS` pools, so of few controls
    it is small, and what is said of larger pools is too much where b is not yet proportional to 1 / n. Of 400 genes, at
    400 or 1500 UMIs a cell, in pools of 10 to 50 cells, 1000 controls give b to a root mean square of 0.14 to 0.26 of
    it, 40 controls to 0.5. Where no batch has two controls b is unknown, and 0.

    At another level than the controls', r f, and at another depth, the counts of a cell are q times those of a control,
    and a pool of n cells is as bad as one of ``n q (1 + a) / (1 + q a)`` controls, a the excess over 1 of the controls'
    variance over mean (Poisson counts: n q; cells that differ much: n). The slope of the logarithm changes b by
    ``(r (1 + 10^4 f) / (1 + 10^4 r f))^2``. Both are of second order, and r is not known exactly: for genes that rose
    or fell five times, the error in b is 0.3 to 0.8 of what it is if b is taken at the controls' level (same pools).

    Args:
        inverse: (K,) 1 / n of the sizes that were tried, increasing from 0.
        bias: (K, G) b there; 0 at 0.
        level: (G,) ``10^4 f`` of the controls.
        excess: (G,) a, at least 0.
    """

    inverse: FloatArray
    bias: FloatArray
    level: FloatArray
    excess: FloatArray

    @classmethod
    def of(cls, counts: csr_array, batch: NDArray[np.intp], factor: FloatArray) -> PoolBias:
        """Return the bias that control cells show.

        Cells are dealt in turn, in the order given, those of each batch by themselves; batches count by their pools.

        Args:
            counts: (N, G) of control cells.
            batch: (N,) codes into B batches.
            factor: (B, G) by which a pool's fractions are multiplied before the logarithm: corrections for batches.
        """
        counts = counts.astype(np.float64)
        members = [np.flatnonzero(batch == number) for number in range(len(factor))]
        kept = [(counts[cells], times) for cells, times in zip(members, factor, strict=True) if cells.size >= 2]
        n_genes = counts.shape[1]
        inverse, bias = [0.0], [np.zeros(n_genes)]
        most = max(2 * LEAST_POOLS, MOST_POOLS // max(len(kept), 1))
        size = 1
        while True:
            shown, pools = np.zeros(n_genes), 0
            for of_batch, times in kept:
                n_pools = min(of_batch.shape[0] // size, most)
                if n_pools >= 2:
                    shown += n_pools * _shown(of_batch, times, n_pools, size)
                    pools += n_pools
            if not pools or (pools < LEAST_POOLS and size > 1):
                break
            inverse.insert(1, 1.0 / size)
            bias.insert(1, shown / pools)
            size *= 2
        total = sum((times * of_batch.sum(axis=0) for of_batch, times in kept), start=np.zeros(n_genes))
        umis = sum(float(of_batch.sum()) for of_batch, _ in kept)
        return cls(np.array(inverse), np.array(bias), SCALE * total / max(umis, 1.0), _excess(kept, n_genes))

    def at(self, size: ArrayLike, *, level: ArrayLike = 1.0, depth: ArrayLike = 1.0) -> FloatArray:
        """Return the bias (.., G) of the log profiles of pools.

        Args:
            size: (.., 1) or (.., G) cells of the pool.
            level: (.., G) r, fractions relative to the controls'.
            depth: (.., 1) UMIs of a cell relative to the controls'.
        """
        level = np.asarray(level, dtype=np.float64)
        q = level * np.asarray(depth)
        as_controls = np.asarray(size) * q * (1.0 + self.excess) / (1.0 + q * self.excess)
        slope = level * (1.0 + self.level) / (1.0 + level * self.level)
        if len(self.inverse) == 1:
            return np.zeros(np.broadcast_shapes(as_controls.shape, slope.shape))
        x = 1.0 / np.maximum(as_controls, 1.0)
        above = np.clip(np.searchsorted(self.inverse, x), 1, len(self.inverse) - 1)
        share = (x - self.inverse[above - 1]) / (self.inverse[above] - self.inverse[above - 1])
        gene = np.arange(self.bias.shape[1])
        found: FloatArray = self.bias[above - 1, gene] * (1.0 - share) + self.bias[above, gene] * share
        return slope**2 * found

    def relative_variance(self, counts: ArrayLike) -> FloatArray:
        """Return the squared coefficient of variation (.., G) of sums of so many counts of cells, ``(1 + a) / counts``.

        0 where nothing is known: no counts, or no two controls of a batch.
        """
        return self._over(counts, 1.0 + self.excess)

    def median_below_mean(self, counts: ArrayLike) -> FloatArray:
        """Return by how much (.., G) the median of such a sum is below its mean, as a share of it.

        ``skewness * sd / 6`` of Poisson counts of a gamma-distributed level: ``(1 + 2 a) / (6 counts)``; 0 likewise.
        """
        return self._over(counts, (1.0 + 2.0 * self.excess) / 6.0)

    def _over(self, counts: ArrayLike, numerator: FloatArray) -> FloatArray:
        counts = np.asarray(counts, dtype=np.float64)
        known = (counts > 0) & (len(self.inverse) > 1)
        return np.where(known, numerator / np.where(known, counts, 1.0), 0.0)


def _shown(counts: csr_array, factor: FloatArray, n_pools: int, size: int) -> FloatArray:
    """Return (G,) how far pools of the cells lie below all of these together, carried over to 1 / n = 1 / size and 0.

    All cells are in the pools, or else as many as make `n_pools` of `size`, evenly spaced.
    """
    from scipy.sparse import csr_array

    n_cells = counts.shape[0]
    if n_pools < n_cells // size:
        n_used = n_pools * size
        counts, n_cells = counts[np.arange(n_used) * n_cells // n_used], n_used
    pool = np.arange(n_cells) % n_pools
    membership = csr_array((np.ones(n_cells), (pool, np.arange(n_cells))), shape=(n_pools, n_cells))
    total = (membership @ counts).toarray()
    together = total.sum(axis=0)
    fraction = total / np.maximum(total.sum(axis=1, keepdims=True), 1.0)
    shown = np.log1p(SCALE * factor * fraction).mean(axis=0)
    shown -= np.log1p(SCALE * factor * together / max(float(together.sum()), 1.0))
    between = float((1.0 / np.bincount(pool)).mean()) - 1.0 / n_cells  # the cells together have a bias of their own
    carried: FloatArray = shown / size / between
    return carried


def _excess(batches: list[tuple[csr_array, FloatArray]], n_genes: int) -> FloatArray:
    """Return (G,) the excess over 1 of the variance over the mean of counts, at each cell's depth, within batches."""
    squares, sums = np.zeros(n_genes), np.zeros(n_genes)
    for counts, _ in batches:
        depth = np.asarray(counts.sum(axis=1))
        total = np.asarray(counts.sum(axis=0))
        fraction = total / max(float(total.sum()), 1.0)
        squares += np.asarray(counts.power(2).sum(axis=0))
        squares += fraction * (fraction * float(depth @ depth) - 2.0 * np.asarray(depth @ counts))
        sums += total
    return np.maximum(squares / np.maximum(sums, 1.0) - 1.0, 0.0)
