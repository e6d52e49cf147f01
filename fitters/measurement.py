"""The measurement step: from counts to expression levels relative to control, with their errors and covariances.

In: training data. Out: `Levels` of every condition, and covariances between genes among the cells of a condition.
Both are computed once for a `TrainingData` and shared by all fitters that ask.

Model: the count of gene g in cell c is Poisson(s_c x_cg), with s_c the UMIs of the cell and x_cg the gene's fraction of
the cell's mRNA. What varies between cells beyond Poisson noise is biology; a level relative to control has no unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from fitters.training_data import TrainingData
from fitters.training_parsing import frozen
from simcell.labels import CONTROL

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]

# A gene with fewer counts than this in the controls has no level that others could be compared with: its ratios are 1.
LEAST_CONTROL_COUNTS = 10
# A condition's spread between cells is known from its own cells and from the controls, which count as so many of them.
PRIOR_CELLS = 10.0

_LEVELS: WeakKeyDictionary[TrainingData, Levels] = WeakKeyDictionary()
_CONTROL: WeakKeyDictionary[TrainingData, FloatArray] = WeakKeyDictionary()
_COVARIANCES: WeakKeyDictionary[TrainingData, dict[str, FloatArray]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Levels:
    """Expression of C conditions relative to control.

    Args:
        conditions: C labels, "control" first, then sorted.
        genes: G gene names.
        n_cells: (C,) cells of each condition.
        fraction: (G,) each gene's fraction of the control's counts.
        ratio: (C, G) level over the control's; 1 in the control row and for genes that were not measured.
        standard_error: (C, G) of the ratio, from the spread between cells, the control's part included.
        own_error: (C, G) the part of it that is the condition's own; the two parts add up in squares.
        measured: (G,) whether the controls have counts enough to compare with.
    """

    conditions: tuple[str, ...]
    genes: tuple[str, ...]
    n_cells: NDArray[np.int64]
    fraction: FloatArray
    ratio: FloatArray
    standard_error: FloatArray
    own_error: FloatArray
    measured: NDArray[np.bool_]

    @cached_property
    def row(self) -> dict[str, int]:
        """Row of each condition."""
        return {label: row for row, label in enumerate(self.conditions)}


def relative_levels(data: TrainingData) -> Levels:
    """Return the levels of every condition relative to control, computed once for a data set.

    The level of condition p is its pooled fraction ``f_pg = sum_c k_cg / sum_c s_c``. It is compared with controls of
    the same batches, ``f_0pg = sum_b w_pb f_0bg`` with w_pb the share of p's counts in batch b (of all batches together
    for a batch without controls). Fractions add up to one, so that a gene that rises lets all others seem to fall: each
    condition's ratios are divided by their median over measured genes (the median of ratios of Anders & Huber,
    Genome Biology 11:R106 (2010)), which is right where fewer than half of the genes respond.

    (With noise it is pulled toward those that respond if they do so to one side: by 6% where 30% of genes fall.)

    Standard errors are those of a ratio of sums over cells (Cochran, Sampling Techniques, 3rd ed., 6.4), within batches
    and with the controls' share of them; of few cells, the spread is shrunk to that of controls. They are never below
    the Poisson error of the pooled count.
    """
    if data not in _LEVELS:
        _LEVELS[data] = _levels(data)
    return _LEVELS[data]


def covariance(data: TrainingData, label: str) -> FloatArray:
    """Return (G, G) covariances of z = ratio - 1 between the cells of a condition, Poisson noise removed.

    ``E[k_i k_j - (i = j) k_i] = s^2 E[x_i x_j]``: factorial moments of Poisson counts are moments of what they count
    (Haight, Handbook of the Poisson Distribution, 1967). So ``S_ij = sum_c (k_ci k_cj - (i = j) k_ci) / sum_c s_c^2 -
    f_i f_j`` with f the mean at the same weights, made unbiased, and divided by the controls' fractions; within each
    batch, by its own controls, so that what batches do to counts is no covariance. It is computed once per data set and
    condition. Variances may come out below 0 where counts are few; genes not measured have 0.
    """
    found = _COVARIANCES.setdefault(data, {})
    if label not in found:
        found[label] = _covariance(data, label)
    return found[label]


def _levels(data: TrainingData) -> Levels:
    conditions = (CONTROL, *data.perturbations)
    n_conditions, n_genes = len(conditions), data.n_genes
    total, depth = np.zeros((n_conditions, n_genes)), np.zeros(n_conditions)
    spread, share, lacks = np.zeros((n_conditions, n_genes)), [], []  # of counts; by batch, UMIs and whether no control
    control, control_error = [], []  # fraction by batch, and the variance of each
    row = np.array([conditions.index(label) for label in data.conditions])[
        np.unique(data.perturbation, return_inverse=True)[1]
    ]
    everywhere = _pooled_control(data)
    for batch in np.unique(data.batch):
        here = np.flatnonzero(data.batch == batch)
        one = _sums(data.counts[here].astype(np.float64), row[here], n_conditions, everywhere.excess)
        total += one.total
        depth += one.depth
        spread += one.spread
        share.append(one.depth)
        lacking = bool(one.depth[0] == 0)
        lacks.append(lacking)
        control.append(everywhere.fraction if lacking else one.total[0] / one.depth[0])
        control_error.append(0.0 * everywhere.error if lacking else one.spread[0] / one.depth[0] ** 2)
    weight = np.array(share).T / depth[:, None]
    measured = everywhere.total >= LEAST_CONTROL_COUNTS
    reference = weight @ np.array(control)
    # batches without controls all borrow the same ones, whose error does not average out between them
    borrowed = weight[:, lacks].sum(axis=1, keepdims=True)
    reference_error = weight**2 @ np.array(control_error) + borrowed**2 * everywhere.error
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(measured & (reference > 0), total / depth[:, None] / reference, 1.0)
        own = np.where(total > 0, spread, 1.0) / depth[:, None] ** 2  # no count at all: as if there were one
        error = np.where(measured & (reference > 0), np.sqrt(own + ratio**2 * reference_error) / reference, 0.0)
        own_error = np.where(measured & (reference > 0), np.sqrt(own) / reference, 0.0)
    scale = np.median(ratio[:, measured], axis=1) if measured.any() else np.ones(n_conditions)
    scale = np.where(scale > 0, scale, 1.0)[:, None]
    ratio, error, own_error = ratio / scale, error / scale, own_error / scale
    ratio[0], error[0], own_error[0] = 1.0, 0.0, 0.0
    ratio[:, ~measured], error[:, ~measured], own_error[:, ~measured] = 1.0, 0.0, 0.0
    n_cells = np.bincount(row, minlength=n_conditions).astype(np.int64)
    # read-only, since all fitters share them
    return Levels(
        conditions,
        data.genes,
        n_cells=frozen(n_cells),
        fraction=frozen(everywhere.fraction),
        ratio=frozen(ratio),
        standard_error=frozen(error),
        own_error=frozen(own_error),
        measured=frozen(measured),
    )


@dataclass(frozen=True, eq=False)
class _Control:
    """All controls: counts (G,), fraction (G,) with its variance, and squared variation between cells (G,)."""

    total: FloatArray
    fraction: FloatArray
    error: FloatArray
    excess: FloatArray


def _pooled_control(data: TrainingData) -> _Control:
    counts = data.counts[np.flatnonzero(data.perturbation == CONTROL)].astype(np.float64)
    found = _sums(counts, np.zeros(counts.shape[0], dtype=np.intp), 1, np.zeros(data.n_genes))
    total, depth, fraction = found.total[0], found.depth[0], found.total[0] / found.depth[0]
    square = np.asarray(counts.sum(axis=1), dtype=np.float64) @ np.asarray(counts.sum(axis=1), dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(total > 0, np.maximum(found.raw[0] - total, 0.0) / (square * fraction**2), 0.0)
    return _Control(total, fraction, found.spread[0] / depth**2, excess)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Counts summed over the cells of C conditions: total (C, G), depth (C,), raw (C, G), spread (C, G).

    `raw` is the summed square of k - s f, unbiased, `spread` the variance of the total.
    """

    total: FloatArray
    depth: FloatArray
    raw: FloatArray
    spread: FloatArray


def _sums(counts: csr_array, row: NDArray[np.intp], n_conditions: int, excess: FloatArray) -> _Sums:
    """Return sums by condition; variances are shrunk to that of controls, which counts as `PRIOR_CELLS` cells."""
    from scipy.sparse import csr_array, diags_array

    n_cells = counts.shape[0]
    membership = csr_array((np.ones(n_cells), (row, np.arange(n_cells))), shape=(n_conditions, n_cells))
    s = np.asarray(counts.sum(axis=1), dtype=np.float64)
    total = np.asarray((membership @ counts).todense())
    depth, square = membership @ s, (membership @ s**2)[:, None]
    f = total / np.maximum(depth, 1.0)[:, None]
    weighted = np.asarray((membership @ (diags_array(s) @ counts)).todense())
    raw = np.asarray((membership @ counts.power(2)).todense()) - 2 * f * weighted + f**2 * square
    n = np.bincount(row, minlength=n_conditions)[:, None].astype(np.float64)
    raw *= n / np.maximum(n - 1.0, 1.0)
    expected = total + excess * f**2 * square  # Poisson noise, and what controls vary by
    own = np.maximum(n - 1.0, 0.0)
    spread = np.maximum((own * raw + PRIOR_CELLS * expected) / (own + PRIOR_CELLS), total)
    return _Sums(total, depth, raw, spread)


def _control_by_batch(data: TrainingData) -> FloatArray:
    """Return (B, G) fractions of the controls of each batch; those of all batches where one has no control."""
    from scipy.sparse import csr_array

    batches, batch = np.unique(data.batch, return_inverse=True)
    chosen = np.flatnonzero(data.perturbation == CONTROL)
    membership = csr_array((np.ones(chosen.size), (batch[chosen], chosen)), shape=(batches.size, data.n_cells))
    total = np.asarray((membership @ data.counts.astype(np.float64)).todense())
    depth = total.sum(axis=1, keepdims=True)
    fraction: FloatArray = np.where(depth > 0, total / np.maximum(depth, 1.0), total.sum(axis=0) / total.sum())
    return fraction


def _covariance(data: TrainingData, label: str) -> FloatArray:
    """Average the covariances within each batch, weighted by their degrees of freedom."""
    levels = relative_levels(data)
    cells = np.flatnonzero(data.perturbation == label)
    if data not in _CONTROL:
        _CONTROL[data] = _control_by_batch(data)
    control, total, degrees = _CONTROL[data], np.zeros((data.n_genes, data.n_genes)), 0
    for number, batch in enumerate(np.unique(data.batch)):
        here = cells[data.batch[cells] == batch]
        if here.size < 2:
            continue
        own = control[number]
        # a gene that the batch's controls show too little of is compared with all controls
        known = levels.measured & (own > 0.1 * levels.fraction)
        scale = np.where(known, own, np.where(levels.measured, levels.fraction, np.inf))
        total += (here.size - 1) * _factorial_covariance(data.counts[here].toarray().astype(np.float64), scale)
        degrees += here.size - 1
    return frozen(total / max(degrees, 1))


def _factorial_covariance(counts: FloatArray, scale: FloatArray) -> FloatArray:
    """Return (G, G) covariances of k / (s scale) between cells (n, G), Poisson noise removed."""
    s = counts.sum(axis=1)
    weight = s**2 / (s**2).sum()  # of k / s, so that the products below are plain sums of counts
    mean = (weight / s) @ counts
    own = np.diag_indices(mean.size)
    product = counts.T @ counts / (s**2).sum()
    product[own] -= counts.sum(axis=0) / (s**2).sum()
    square = np.outer(mean, mean)
    square[own] -= (weight / s) ** 2 @ counts  # the Poisson noise of the mean itself
    found: FloatArray = (product - square) / (1.0 - (weight**2).sum()) / np.outer(scale, scale)
    return found
