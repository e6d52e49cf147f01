"""Training cells as a table that has no order of its own: genes by name, cells by labels and hash of their counts.

In: training data. Out: `CellTable`. A model trained on it gives the same bits whatever the order of genes and cells
in the data; `in_data_order` brings its answers back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fitters.cell_hashes import cell_hashes
from fitters.training_data import TrainingData
from simcell.labels import CONTROL, perturbation_targets

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CellTable:
    """N cells, G genes, sorted; labels as codes into sorted tuples of names.

    Args:
        genes: G names, sorted.
        column: (G,) column of each in the training data.
        counts: (N, G) csr_array of int32.
        conditions: C labels, "control" among them. condition: (N,) codes.
        batches: B names. batch: (N,) codes.
        media: M names. medium: (N,) codes.
        arms: names. arm: (N,) codes.
        time: (N,) hours since the start of the protocol.
        targets: T genes that some condition perturbs, sorted.
        design: (C, T) float32, 1 where the condition perturbs the target.
    """

    genes: tuple[str, ...]
    column: NDArray[np.intp]
    counts: csr_array
    conditions: tuple[str, ...]
    condition: NDArray[np.intp]
    batches: tuple[str, ...]
    batch: NDArray[np.intp]
    media: tuple[str, ...]
    medium: NDArray[np.intp]
    arms: tuple[str, ...]
    arm: NDArray[np.intp]
    time: FloatArray
    targets: tuple[str, ...]
    design: NDArray[np.float32]

    @classmethod
    def of(cls, data: TrainingData) -> CellTable:
        """Return the table of training data."""
        column = np.array(sorted(range(data.n_genes), key=data.genes.__getitem__), dtype=np.intp)
        codes = {
            name: np.unique(getattr(data, name), return_inverse=True)
            for name in ("perturbation", "batch", "medium", "arm")
        }
        keys = [data.time, *(code for _, code in reversed(codes.values()))]
        order = np.lexsort((cell_hashes(data, seed=0), *keys))
        names = {name: tuple(found.tolist()) for name, (found, _) in codes.items()}
        code = {name: found[order] for name, (_, found) in codes.items()}
        conditions = names["perturbation"]
        targets = tuple(sorted(data.perturbed_genes))
        design = np.array(
            [[target in perturbation_targets(label) for target in targets] for label in conditions], dtype=np.float32
        ).reshape(len(conditions), len(targets))
        counts = data.counts[order][:, column]
        counts.eliminate_zeros()
        counts.sort_indices()  # within a cell, too, the order of genes is to be this table's
        return cls(
            genes=tuple(data.genes[position] for position in column),
            column=column,
            counts=counts,
            conditions=conditions,
            condition=code["perturbation"],
            batches=names["batch"],
            batch=code["batch"],
            media=names["medium"],
            medium=code["medium"],
            arms=names["arm"],
            arm=code["arm"],
            time=data.time[order],
            targets=targets,
            design=design,
        )

    @property
    def n_cells(self) -> int:
        """N."""
        return len(self.condition)

    @cached_property
    def depth(self) -> FloatArray:
        """(N,) UMIs of each cell."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.float64)

    @cached_property
    def control(self) -> NDArray[np.bool_]:
        """(N,) whether the cell is a control."""
        return self.condition == self.conditions.index(CONTROL)

    def dense(self, rows: NDArray[np.integer] | slice = slice(None)) -> NDArray[np.float32]:
        """Return (n, G) counts of some cells as float32."""
        return np.asarray(self.counts[rows].toarray(), dtype=np.float32)

    def in_data_order(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values whose last axis is this table's genes with that axis as in the training data."""
        found = np.empty_like(values)
        found[..., self.column] = values
        return found

    def held_out(self, share: float, *, seed: int) -> NDArray[np.bool_]:
        """Return (C,) which conditions are held out to stop by: a share of the perturbations, by a hash of their names.

        At least one if `share` is above 0 and there are four perturbations or more; never all, never the control.
        """
        labels = sorted(
            (label for label in self.conditions if label != CONTROL),
            key=lambda label: hashlib.blake2b(f"{seed}\0{label}".encode(), digest_size=8).digest(),
        )
        n_held = min(max(1, round(share * len(labels))), len(labels) - 1) if share > 0 and len(labels) >= 4 else 0
        chosen = set(labels[:n_held])
        return np.array([label in chosen for label in self.conditions])
