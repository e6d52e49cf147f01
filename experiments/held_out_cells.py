"""The held-out cells that sampled ones are compared with, few of each perturbation; for scoring, never for fitting.

In: the group of every cell of a data set. Out: `HeldOutCells`; and what a fit samples to be compared with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from fitters.checks import CheckedFit
from fitters.contract import Claim, Query
from simcell.dataset import read_counts

MOST_VALUES = 20_000_000  # counts that a fit is asked for at once


@dataclass(frozen=True, eq=False)
class HeldOutCells:
    """Cells of Q perturbations in one context.

    Attributes:
        counts: for each perturbation (n, G) counts.
        batch: for each the (n,) batches of these cells.
    """

    counts: tuple[csr_array, ...]
    batch: tuple[NDArray[np.str_], ...]

    @property
    def n_cells(self) -> tuple[int, ...]:
        """Number of cells of each perturbation."""
        return tuple(len(batch) for batch in self.batch)


def choose_cells(group: NDArray[np.integer], batch: NDArray[np.str_], most: Sequence[int]) -> NDArray[np.bool_]:
    """Return which of N cells are chosen: up to so many of each group, in the proportions of its batches.

    They are chosen by chance, and the same ones whenever it is asked.

    Args:
        group: (N,) number of each cell's group, -1 for cells of none.
        batch: (N,) batches.
        most: for each group the largest number of cells.
    """
    chosen = np.zeros(len(group), dtype=bool)
    for number, limit in enumerate(most):
        cells = np.flatnonzero(group == number)
        wanted = min(limit, len(cells))
        shuffled = np.random.default_rng(number).permutation(cells)
        by_batch = shuffled[np.argsort(batch[shuffled], kind="stable")]
        evenly = ((np.arange(wanted) + 0.5) * len(cells) / max(wanted, 1)).astype(np.intp)
        chosen[by_batch[evenly]] = True
    return chosen


def read_cells(
    tree: xr.DataTree, group: NDArray[np.integer], batch: NDArray[np.str_], *, most: Sequence[int]
) -> list[tuple[csr_array, NDArray[np.str_]]]:
    """Return for each group the counts of the cells that are chosen of it, and their batches."""
    chosen = choose_cells(group, batch, most)
    counts, group, batch = read_counts(tree, chosen), group[chosen], batch[chosen]
    rows = [np.flatnonzero(group == number) for number in range(len(most))]
    return [(counts[row], batch[row]) for row in rows]


def sample_like(fit: CheckedFit, query: Query, held_out: HeldOutCells, *, seed: int) -> tuple[csr_array, ...]:
    """Return for each perturbation as many sampled cells as there are held-out ones.

    A fit that tells batches apart is asked for cells of the same batches; any other for cells of no batch in
    particular, which are of all batches as in training. So are cells of a batch that the training cells lack.

    Args:
        fit: it claims to sample cells.
        query: Q perturbations and their context.
        held_out: of the same perturbations.
        seed: of the sampling; each part of it has a seed of its own.

    Raises:
        FitterError: the fit refused, or what it returned are no cells.
    """
    apart = Claim.BATCH in fit.claims and len(fit.scope.batches) > 1
    parts: list[list[csr_array]] = [[] for _ in held_out.batch]
    asked = 0
    for name in (*fit.scope.batches, None) if apart else (None,):
        wanted = np.array([_of_batch(batch, name, fit.scope.batches if apart else ()) for batch in held_out.batch])
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


def _of_batch(batch: NDArray[np.str_], name: str | None, known: Sequence[str]) -> int:
    """Return how many cells are of a batch; of None, those of a batch that is not known."""
    return int((~np.isin(batch, list(known)) if name is None else batch == name).sum())


def _portions(wanted: NDArray[np.integer], n_genes: int) -> list[NDArray[np.intp]]:
    """Return the rows of which cells are wanted, in portions that are not too large to be asked for at once."""
    rows = np.flatnonzero(wanted)
    if not rows.size:
        return []
    at_once = max(1, MOST_VALUES // (int(wanted.max()) * n_genes))
    return [rows[start : start + at_once] for start in range(0, rows.size, at_once)]
