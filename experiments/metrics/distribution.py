"""Are sampled cells distributed as measured ones: energy distance, MMD, sliced Wasserstein, variance, zeros.

Distances are taken in the `CellSpace` of the training cells: log1p of counts scaled to a common depth, along principal
axes. Variances are those of counts scaled to that depth, zeros those of the counts themselves, gene by gene. The cells
of a sample are taken to be independent, batches included: matched batches would bias all that is taken within samples.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist, pdist
from scipy.stats import hypergeom

from experiments.metrics.base import Against, Better, FloatArray, Judges, Metric
from experiments.metrics.cells import FEWEST_CELLS, MOST_CELLS, N_COMPONENTS, N_DIRECTIONS, CellComparison
from fitters.contract import Claim

WIDTHS = (0.5, 1.0, 2.0)  # of the kernels of the MMD, times the median distance between training cells
LEAST_MEAN = 0.1  # counts per cell of common depth; genes that have fewer say nothing of a variance
N_GROUPS = 10  # of genes of like mean, among which the noise of single genes averages out
# Counts added to mean and variance: a gene without counts is taken to be Poisson, the limit of small means.
PRIOR = 0.05


def energy_distance(first: FloatArray, second: FloatArray) -> float:
    """Return the unbiased estimate of ``2 E|X - Y| - E|X - X'| - E|Y - Y'|``, |.| the Euclidean distance.

    Args:
        first: (n, K) sample, n at least 2.
        second: (m, K) sample, m at least 2.
    """
    return float(2.0 * cdist(first, second).mean() - pdist(first).mean() - pdist(second).mean())


def squared_mmd(first: FloatArray, second: FloatArray, *, scale: float) -> float:
    """Return the unbiased estimate of ``E k(X, X') + E k(Y, Y') - 2 E k(X, Y)``.

    k is the mean of Gaussian kernels ``exp(-|x - y|^2 / (2 s^2))``, s = `WIDTHS` times `scale`.

    Args:
        first: (n, K) sample, n at least 2.
        second: (m, K) sample, m at least 2.
        scale: a typical distance.
    """

    def likeness(squared: FloatArray) -> float:
        return float(np.mean([np.exp(-squared / (2.0 * (width * scale) ** 2)).mean() for width in WIDTHS]))

    within = likeness(pdist(first, "sqeuclidean")) + likeness(pdist(second, "sqeuclidean"))
    return within - 2.0 * likeness(cdist(first, second, "sqeuclidean"))


def sliced_wasserstein(first: FloatArray, second: FloatArray, *, directions: FloatArray) -> float:
    """Return by how much two samples of h cells differ more if they are of different origin; h as in `excess`.

    They differ by the mean over directions of the Wasserstein-1 distance between their projections, which is the area
    between the fractions of cells below a place; of the h of n cells that are in a sample, it is averaged over all.

    Args:
        first: (n, K) sample, n at least 2.
        second: (m, K) sample, m at least 2.
        directions: (K, D) unit vectors.
    """
    projected = np.concatenate([first, second]) @ directions
    order = projected.argsort(axis=0, kind="stable")
    width = np.diff(np.take_along_axis(projected, order, axis=0), axis=0)
    below = (order < len(first)).cumsum(axis=0)[:-1]  # cells of the first sample, below the gap that follows each cell
    of_second = np.arange(1, len(projected))[:, None] - below
    return float((width * excess(len(first), len(second))[below, of_second]).sum(axis=0).mean())


@lru_cache(maxsize=32)
def excess(n: int, m: int) -> FloatArray:
    """Return (n + 1, m + 1): by how much a fraction differs more between two samples than within them.

    Row i and column j: i of n cells and j of m are marked. Of h cells drawn from each, the fractions that are marked
    differ by some absolute value, of which this is the mean, less half of that for two times h cells drawn from the n
    (none of them twice), less half of that for the m. h is half of the smaller number, so that there are as many.

    If all n + m cells are draws of one distribution, every pair of h cells and h others is like any other, and 0 is
    expected. If not, more is expected: |x - y| is of negative type, and so is what adds it up over genes or over places
    on a line; this is the energy distance (Székely & Rizzo 2013) of samples of h cells.
    """
    h = min(n, m) // 2
    drawn = np.arange(h + 1)
    apart = np.abs(drawn[:, None] - drawn) / h
    between = _chances(n, h) @ apart @ _chances(m, h).T
    return between - 0.5 * _within(n, h)[:, None] - 0.5 * _within(m, h)


def _within(n: int, h: int) -> FloatArray:
    """Return (n + 1,): how much the marked fractions of h and of h other cells differ, of n of which i are marked."""
    marked, first = np.arange(2 * h + 1), np.arange(h + 1)
    apart = np.abs(2 * first - marked[:, None]) / h
    return _chances(n, 2 * h) @ (_chances(2 * h, h) * apart).sum(axis=1)


def _chances(n: int, h: int) -> FloatArray:
    """Return (n + 1, h + 1) chances that of h of n cells j are marked, if i of the n are."""
    return np.asarray(hypergeom.pmf(np.arange(h + 1), n, np.arange(n + 1)[:, None], h))


def e_distances(comparison: CellComparison) -> FloatArray:
    """(Q,) energy distances between sampled and measured cells."""
    space = comparison.space
    return comparison.scores(lambda a, b: energy_distance(space.embed(a), space.embed(b)))


def squared_mmds(comparison: CellComparison) -> FloatArray:
    """(Q,) squared maximum mean discrepancies between sampled and measured cells."""
    space = comparison.space
    return comparison.scores(lambda a, b: squared_mmd(space.embed(a), space.embed(b), scale=space.scale))


def sliced_wassersteins(comparison: CellComparison) -> FloatArray:
    """(Q,) sliced Wasserstein distances between sampled and measured cells, in excess of those within."""
    space = comparison.space
    return comparison.scores(
        lambda a, b: sliced_wasserstein(space.embed(a), space.embed(b), directions=space.directions)
    )


def mean_variances(comparison: CellComparison) -> FloatArray:
    """(Q,) mean over groups of genes of the difference of their mean ln(variance / mean); NaN without such genes.

    Groups are of genes of like mean in training, so that the law is compared and not every gene with its noise.
    """
    space = comparison.space
    genes = np.flatnonzero(space.mean >= LEAST_MEAN)
    if not genes.size:
        return np.full(len(comparison.measured), math.nan)
    rising = genes[np.argsort(space.mean[genes], kind="stable")]
    groups = np.array_split(rising, min(N_GROUPS, rising.size))

    def law(counts: csr_array) -> FloatArray:
        scaled = space.scaled(counts)
        ratio = np.log((scaled.var(axis=0, ddof=1) + PRIOR) / (scaled.mean(axis=0) + PRIOR))
        return np.array([ratio[group].mean() for group in groups])

    return comparison.scores(lambda a, b: float(np.abs(law(a) - law(b)).mean()))


def zero_fractions(comparison: CellComparison) -> FloatArray:
    """(Q,) mean over genes of the difference between the fractions of cells without a count, in excess of that within.

    Both are fractions of h cells: see `excess`.
    """

    def zeros(counts: csr_array) -> NDArray[np.intp]:
        return counts.shape[0] - (counts > 0).sum(axis=0)

    return comparison.scores(lambda a, b: float(excess(a.shape[0], b.shape[0])[zeros(a), zeros(b)].mean()))


_CELLS = (
    f"Sampled are as many cells as were measured (at most {MOST_CELLS}; {FEWEST_CELLS} at least, or there is no "
    "score), independent of each other: who tells batches apart is asked for batches drawn by chance, each as "
    "often as training cells are of it."
)
_SPACE = (
    "Cells are log1p of counts scaled to the median depth of the training cells, along the first "
    f"{N_COMPONENTS} principal axes of those."
)
_UNBIASED = (
    "0 is expected of independent cells of the same distribution, and more of those of any other; values below it are "
    "noise, or cells that are not independent. The mean over perturbations is taken with the signs, so that noise "
    "cancels, and is judged by its distance from 0."
)
_HALVES = (
    "The difference between two samples of half as many cells, one sampled and one held out, less the mean of those "
    "between two sampled and between two held-out ones, over all ways to draw them: few cells differ much by chance, "
    "and would be nearer to cells of too little noise than to those of their own distribution."
)
_NOISE = "Two samples of the same distribution differ too: how much is what replicate scores."

_OF_CELLS = partial(Metric, best=0.0, against=Against.MEASURED, needs=Claim.DISTRIBUTION, judges=Judges.CELLS)

METRICS = (
    _OF_CELLS(
        name="e-distance",
        function=e_distances,
        range=(-math.inf, math.inf),
        better=Better.NEARER,
        sentence="Energy distance between sampled and held-out cells: twice the mean distance between two cells of "
        f"different origin, less that within either. {_SPACE} {_CELLS} {_UNBIASED}",
        source="E-distance of Peidli et al. (2024), Nature Methods 21, 531-540, after Székely & Rizzo (2013). The "
        "paper takes squared Euclidean distances, of which only the difference of the means remains; here, as in the "
        "authors' later code and in Székely & Rizzo, they are not squared, so that the whole distribution counts.",
        label="E-distance",
    ),
    _OF_CELLS(
        name="mmd",
        function=squared_mmds,
        range=(-2.0, 2.0),
        better=Better.NEARER,
        sentence="Squared maximum mean discrepancy between sampled and held-out cells, by Gaussian kernels of "
        f"{', '.join(f'{width:g}' for width in WIDTHS)} times the median distance between training cells. {_SPACE} "
        f"{_CELLS} {_UNBIASED}",
        source="Gretton et al. (2012), Journal of Machine Learning Research 13, 723-773, equation 3; the mean of three "
        "kernels in the place of one.",
        label="MMD²",
    ),
    _OF_CELLS(
        name="sliced-wasserstein",
        function=sliced_wassersteins,
        range=(-math.inf, math.inf),
        better=Better.NEARER,
        sentence=f"Mean over {N_DIRECTIONS} fixed random directions of the Wasserstein-1 distance between sampled and "
        f"held-out cells, projected, in excess of chance. {_HALVES} {_SPACE} {_CELLS} {_UNBIASED}",
        source="Rabin et al. (2011) and Bonneel et al. (2015), Journal of Mathematical Imaging and Vision 51, 22-45; "
        "of order 1 instead of 2, and less the distance within, as in the energy distance.",
        label="Sliced Wasserstein",
    ),
    _OF_CELLS(
        name="mean-variance",
        function=mean_variances,
        range=(0.0, math.inf),
        better=Better.LOWER,
        sentence="Difference between sampled and held-out cells in ln(variance / mean) of counts scaled to the median "
        f"depth of the training cells: its mean in each of {N_GROUPS} groups of genes of like mean, of which the "
        f"absolute values are averaged; genes of at least {LEAST_MEAN:g} counts per training cell. 0.69 "
        f"is a factor of two. {_CELLS} {_NOISE}",
        source="The relation of mean and variance by which simulators of counts are judged (Soneson & Robinson 2018, "
        f"Bioinformatics 34, 691-692); {PRIOR:g} is added to both, for genes without counts.",
        label="Mean–variance, |Δ ln Fano|",
    ),
    _OF_CELLS(
        name="zero-fraction",
        function=zero_fractions,
        range=(-1.0, 1.0),
        better=Better.NEARER,
        sentence="Mean over genes of the difference between sampled and held-out cells in the fraction of cells with "
        f"no count, whatever their depth, in excess of chance. {_HALVES} {_CELLS} {_UNBIASED}",
        source="Fraction of zeros, as in Soneson & Robinson (2018), Bioinformatics 34, 691-692, gene by gene; less the "
        "difference within, as in the energy distance.",
        label="Zeros, |Δ fraction|",
    ),
)
