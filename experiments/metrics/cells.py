"""What metrics of sampled cells are given: cells that a fitter drew beside held-out ones, and the space they are in.

In: counts of the training cells, of sampled and of measured cells. Out: `CellSpace`, one for all fitters of a split,
and `CellComparison`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.spatial.distance import pdist

from experiments.metrics.base import FloatArray

MOST_CELLS = 200  # of a perturbation in a context; of more, as many are chosen, evenly over batches
FEWEST_CELLS = 10  # fewer cells than these, on either side, have no score: they say little of a distribution
N_COMPONENTS = 50
N_DIRECTIONS = 100
SPACE_CELLS = 2_000  # training cells that the space is made from; of more, as many are chosen evenly
_MEDIAN_CELLS = 500  # those among which the median distance is taken


@dataclass(frozen=True, eq=False)
class CellSpace:
    """Where the distances between cells are taken; made from training cells, the same for all that is compared.

    Attributes:
        depth: UMIs to which every cell is scaled: the median of the training cells.
        mean: (G,) mean of the scaled counts of the training cells.
        centre: (G,) mean of their log1p.
        components: (G, K) orthonormal principal axes of their log1p, K up to `N_COMPONENTS`, the largest first.
        scale: median distance between two training cells along these axes.
    """

    depth: float
    mean: FloatArray
    centre: FloatArray
    components: FloatArray
    scale: float

    @classmethod
    def of(cls, counts: csr_array) -> CellSpace:
        """Return the space of (N, G) counts of training cells, every cell with at least one count."""
        depth = float(np.median(counts.sum(axis=1)))
        some = counts[_evenly(counts.shape[0], SPACE_CELLS)]
        scaled = scale_to(some, depth)
        level = scaled.log1p()
        centre = np.asarray(level.mean(axis=0))
        components = _principal_axes(level, centre)
        space = cls(depth, np.asarray(scaled.mean(axis=0)), centre, components, scale=1.0)
        distance = pdist(space.embed(some[_evenly(some.shape[0], _MEDIAN_CELLS)]))
        median = float(np.median(distance)) if distance.size else 0.0
        return cls(depth, space.mean, centre, components, scale=median or 1.0)

    def scaled(self, counts: csr_array) -> FloatArray:
        """Return (n, G) counts of cells, each scaled to the common depth; a cell without counts stays 0."""
        return scale_to(counts, self.depth).toarray()

    def embed(self, counts: csr_array) -> FloatArray:
        """Return (n, K) places of cells: log1p of their scaled counts along the principal axes."""
        level = scale_to(counts, self.depth).log1p()
        return np.asarray(level @ self.components) - self.centre @ self.components

    @cached_property
    def directions(self) -> FloatArray:
        """(K, `N_DIRECTIONS`) unit vectors, uniform on the sphere, always the same ones."""
        drawn = np.random.default_rng(0).standard_normal((self.components.shape[1], N_DIRECTIONS))
        return drawn / np.linalg.norm(drawn, axis=0)


@dataclass(frozen=True, eq=False)
class CellComparison:
    """Sampled cells beside held-out ones of the same Q perturbations in one context.

    Attributes:
        space: of the training cells.
        sampled: (n, G) counts of the cells that were drawn for each perturbation.
        measured: (n, G) counts of its held-out cells.
    """

    space: CellSpace
    sampled: tuple[csr_array, ...]
    measured: tuple[csr_array, ...]

    def scores(self, function: Callable[[csr_array, csr_array], float]) -> FloatArray:
        """Return (Q,) values of a function of sampled and measured counts; NaN where there are too few cells."""
        return np.array([self._score(function, *pair) for pair in zip(self.sampled, self.measured, strict=True)])

    @staticmethod
    def _score(function: Callable[[csr_array, csr_array], float], sampled: csr_array, measured: csr_array) -> float:
        enough = min(sampled.shape[0], measured.shape[0]) >= FEWEST_CELLS
        return float(function(sampled, measured)) if enough else float("nan")


def scale_to(counts: csr_array, depth: float) -> csr_array:
    """Return counts of which every cell adds up to `depth`; one without counts stays 0."""
    total = np.asarray(counts.sum(axis=1), dtype=np.float64)
    return csr_array(diags_array(depth / np.where(total > 0, total, 1.0)) @ counts)


def _evenly(n: int, most: int) -> NDArray[np.intp]:
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp)


def _principal_axes(level: csr_array, centre: FloatArray) -> FloatArray:
    """Return (G, K) principal axes of (n, G) levels, by the smaller of the two matrices that have them.

    The sign of each is that which makes its largest entry positive.
    """
    n_cells, n_genes = level.shape
    n_axes = min(N_COMPONENTS, n_genes, n_cells)
    by_genes = n_genes <= n_cells
    if by_genes:
        square = (level.T @ level).toarray() - n_cells * np.outer(centre, centre)
    else:
        shared = np.asarray(level @ centre)
        square = (level @ level.T).toarray() - shared[:, None] - shared[None, :] + centre @ centre
    size, vector = scipy.linalg.eigh(square, subset_by_index=[len(square) - n_axes, len(square) - 1])
    kept = np.flatnonzero(size > 1e-10 * max(size[-1], 1e-300))[::-1]
    if not kept.size:  # all cells are alike: any axis will do
        return np.eye(n_genes, 1)
    axes = vector[:, kept]
    if not by_genes:
        axes = (level.T @ axes - np.outer(centre, axes.sum(axis=0))) / np.sqrt(size[kept])
    largest = np.abs(axes).argmax(axis=0)
    signed: FloatArray = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    return signed
