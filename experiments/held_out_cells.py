"""The held-out cells that sampled ones are compared with, few of each perturbation; for scoring, never for fitting.

In: the group of every cell of a data set. Out: `HeldOutCells`; and what a fit samples to be compared with them. On both
sides batches are left to chance: were they matched, two cells of one sample would be of different batches more often
than two cells of different samples, and the distances within, which metrics subtract, would be too large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from fitters.checks import CheckedFit
from fitters.contract import Claim, Query
from fitters.training_data import TrainingData
from simcell.dataset import read_counts

MOST_VALUES = 20_000_000  # counts that a fit is asked for at once


@dataclass(frozen=True, eq=False)
class HeldOutCells:
    """Cells of Q perturbations in one context.

    Attributes:
        counts: for each perturbation (n, G) counts.
    """

    counts: tuple[csr_array, ...]

    @property
    def n_cells(self) -> tuple[int, ...]:
        """Number of cells of each perturbation."""
        return tuple(counts.shape[0] for counts in self.counts)


def choose_cells(group: NDArray[np.integer], most: Sequence[int]) -> NDArray[np.bool_]:
    """Return which of N cells are chosen: up to so many of each group.

    They are chosen by chance, whatever their batch, and the same ones whenever it is asked.

    Args:
        group: (N,) number of each cell's group, -1 for cells of none.
        most: for each group the largest number of cells.
    """
    chosen = np.zeros(len(group), dtype=bool)
    for number, limit in enumerate(most):
        cells = np.flatnonzero(group == number)
        chosen[np.random.default_rng(number).permutation(cells)[:limit]] = True
    return chosen


def read_cells(tree: xr.DataTree, group: NDArray[np.integer], *, most: Sequence[int]) -> tuple[csr_array, ...]:
    """Return for each group the counts of the cells that are chosen of it."""
    chosen = choose_cells(group, most)
    counts, group = read_counts(tree, chosen), group[chosen]
    return tuple(counts[np.flatnonzero(group == number)] for number in range(len(most)))


def batch_shares(training: TrainingData, *, time: float | None, medium: str | None) -> dict[str, float]:
    """Return how large a part of the training cells of a context, of all where it has none, is of each batch."""
    here = np.ones(training.n_cells, dtype=bool)
    if time is not None:
        here &= np.isclose(training.time, time)
    if medium is not None:
        here &= training.medium == medium
    names, number = np.unique(training.batch[here] if here.any() else training.batch, return_counts=True)
    return dict(zip(names.tolist(), (number / number.sum()).tolist(), strict=True))


def sample_like(
    fit: CheckedFit, query: Query, n_cells: Sequence[int], *, shares: Mapping[str, float], seed: int
) -> tuple[csr_array, ...]:
    """Return for each perturbation as many sampled cells as there are held-out ones.

    A fit that tells batches apart is asked for cells of batches that are drawn by chance, cell by cell; any other for
    cells of no batch in particular, which are of all batches as in training. Either way they are independent cells of
    one distribution, as the held-out ones are, in a screen that has every perturbation in every batch alike.

    Args:
        fit: it claims to sample cells.
        query: Q perturbations and their context.
        n_cells: (Q,) number of cells that are held out.
        shares: the chance of each batch, of training cells; they add up to 1.
        seed: of the sampling; each part of it has a seed of its own.

    Raises:
        FitterError: the fit refused, or what it returned are no cells.
    """
    of_batch: dict[str | None, NDArray[np.integer]] = {None: np.array(n_cells, dtype=np.intp)}
    if Claim.BATCH in fit.claims and len(shares) > 1:
        of_batch = dict(zip(shares, _by_chance(n_cells, list(shares.values()), seed=seed).T, strict=True))
    parts: list[list[csr_array]] = [[] for _ in n_cells]
    asked = 0
    for name, wanted in of_batch.items():
        for rows in _portions(wanted, len(fit.genes)):
            derived = int(np.random.SeedSequence([seed, asked]).generate_state(1)[0])
            asked += 1
            sampled = fit.predict(
                replace(
                    query,
                    perturbations=tuple(query.perturbations[row] for row in rows),
                    batch=name,
                    cells=int(wanted[rows].max()),
                    seed=derived,
                )
            ).cells
            assert sampled is not None  # a checked fit returns what it was asked for
            for row, cells in zip(rows, sampled, strict=True):
                parts[row].append(csr_array(cells[: wanted[row]]))
    nothing = csr_array((0, len(fit.genes)), dtype=np.int32)
    return tuple(vstack([nothing, *cells], format="csr") for cells in parts)


def _by_chance(n_cells: Sequence[int], shares: Sequence[float], *, seed: int) -> NDArray[np.integer]:
    """Return (Q, B) numbers of cells of each batch, if every cell is of a batch by chance."""
    return np.random.default_rng(seed).multinomial(n_cells, shares)


def _portions(wanted: NDArray[np.integer], n_genes: int) -> list[NDArray[np.intp]]:
    """Return the rows of which cells are wanted, in portions that are not too large to be asked for at once."""
    rows = np.flatnonzero(wanted)
    if not rows.size:
        return []
    at_once = max(1, MOST_VALUES // (int(wanted.max()) * n_genes))
    return [rows[start : start + at_once] for start in range(0, rows.size, at_once)]
