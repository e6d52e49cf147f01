"""What a fitter sees of a screen: counts with their labels, and pseudobulks of them. It has no field for truth.

In: arrays of the training cells, in any order. Out: `TrainingData`, checked and read-only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fitters.errors import TrainingDataError
from fitters.experiment import Experiment
from fitters.knowledge import Knowledge
from fitters.training_parsing import (
    canonical_perturbations,
    frozen,
    parse_counts,
    parse_genes,
    parse_labels,
    parse_time,
)
from simcell.errors import nearest
from simcell.labels import CONTROL, perturbation_targets
from simcell.profiles import log_profile

if TYPE_CHECKING:  # scipy is imported where it is used, so that listing the fitters stays quick
    from scipy.sparse import csr_array

ONE_ARM = "arm0"


@dataclass(frozen=True, eq=False)
class Pseudobulk:
    """Pooled counts of C groups of cells.

    Args:
        labels: C labels, sorted.
        total: (C, G) int64 counts summed over the cells of each group.
        n_cells: (C,) cells in each group.
    """

    labels: tuple[str, ...]
    total: NDArray[np.int64]
    n_cells: NDArray[np.int64]

    @cached_property
    def profile(self) -> NDArray[np.float64]:
        """(C, G) log profiles of the pooled counts."""
        return frozen(log_profile(self.total))

    def __contains__(self, label: object) -> bool:
        return label in self._row

    def row(self, label: str) -> NDArray[np.float64]:
        """Return the (G,) log profile of one group; KeyError where it has no cells."""
        profile: NDArray[np.float64] = self.profile[self._row[label]]
        return profile

    @cached_property
    def _row(self) -> dict[str, int]:
        return {label: row for row, label in enumerate(self.labels)}


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training cells of a screen: N cells, G genes.

    Args:
        genes: G unique gene names.
        counts: (N, G) UMI counts, sparse or dense, any numeric type; kept as a csr_array of int32.
        perturbation: (N,) condition labels, "control" or target genes joined by "+" in any order; kept sorted.
        batch: (N,) batch labels.
        medium: (N,) medium at harvest.
        time: (N,) hours since the start of the protocol.
        arm: (N,) arm of the experiment that each cell belongs to; empty: one arm for all.
        experiments: arm -> what was done to its cells; arms that are not named have no notes.
        knowledge: what is told beside the cells.

    All arrays are private to the object and read-only. Cells keep their order.

    Raises:
        TrainingDataError: shapes that disagree; no cells or no controls; counts that are NaN, negative, fractional or
            above int32; cells without any count; genes that are duplicated or improperly named; empty labels.
    """

    genes: tuple[str, ...]
    counts: csr_array
    perturbation: NDArray[np.str_]
    batch: NDArray[np.str_]
    medium: NDArray[np.str_]
    time: NDArray[np.float64]
    arm: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, np.str_))
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    knowledge: Knowledge = field(default_factory=Knowledge)

    def __post_init__(self) -> None:
        genes = parse_genes(self.genes)
        counts = parse_counts(self.counts, genes)
        n_cells = counts.shape[0]
        parsed: dict[str, Any] = {"genes": genes, "counts": counts}
        if np.size(self.arm) == 0:
            object.__setattr__(self, "arm", np.full(n_cells, ONE_ARM))
        for name in ("perturbation", "batch", "medium", "arm"):
            parsed[name] = parse_labels(getattr(self, name), field=name, n_cells=n_cells)
        parsed["perturbation"] = canonical_perturbations(parsed["perturbation"])
        parsed["time"] = parse_time(self.time, n_cells=n_cells)
        parsed["experiments"] = dict(self.experiments)
        for name, value in parsed.items():
            object.__setattr__(self, name, value)
        if CONTROL not in self.conditions:
            seen = ", ".join(self.conditions[:3])
            raise TrainingDataError(
                "perturbation", f"no cells of {CONTROL!r}, which every response is measured from (has {seen})"
            )

    @classmethod
    def from_arrays(
        cls,
        counts: ArrayLike | csr_array,
        *,
        genes: ArrayLike,
        perturbation: ArrayLike,
        batch: ArrayLike | None = None,
        medium: ArrayLike | None = None,
        time: ArrayLike | None = None,
        arm: ArrayLike | None = None,
        experiments: Mapping[str, Experiment] | None = None,
        knowledge: Knowledge | None = None,
        drop_empty_cells: bool = False,
    ) -> Self:
        """Return training data of which all but counts and perturbations may be unknown.

        Then there is one batch, one medium, time 0, one arm without notes, and nothing known beside.

        `drop_empty_cells` leaves out cells without any count instead of refusing them.
        """
        from scipy.sparse import issparse

        table: Any = counts if issparse(counts) else np.asarray(counts)
        if table.ndim != 2:
            raise TrainingDataError("counts", f"has {table.ndim} dimensions, not 2 (cells, genes)")
        n_cells = table.shape[0]
        columns: dict[str, NDArray[Any]] = {
            "perturbation": np.asarray(perturbation),
            "batch": np.full(n_cells, "batch0") if batch is None else np.asarray(batch),
            "medium": np.full(n_cells, "medium0") if medium is None else np.asarray(medium),
            "time": np.zeros(n_cells) if time is None else np.asarray(time),
            "arm": np.full(n_cells, ONE_ARM) if arm is None else np.asarray(arm),
        }
        if drop_empty_cells:
            keep = np.flatnonzero(np.asarray(table.sum(axis=1)).ravel() != 0)  # NaN is kept, and refused later
            if keep.size < n_cells and all(column.shape == (n_cells,) for column in columns.values()):
                table = table.tocsr()[keep] if issparse(table) else table[keep]
                columns = {name: column[keep] for name, column in columns.items()}
        beside: dict[str, Any] = {"experiments": experiments or {}, "knowledge": knowledge or Knowledge()}
        return cls(genes=tuple(np.asarray(genes)), counts=table, **(columns | beside))

    def take(self, cells: NDArray[np.integer]) -> Self:
        """Return the chosen cells, in the order given; TrainingDataError if no control is among them."""
        columns = {name: getattr(self, name)[cells] for name in ("perturbation", "batch", "medium", "time", "arm")}
        return replace(self, counts=self.counts[cells], **columns)

    @property
    def n_cells(self) -> int:
        """Number of cells, N."""
        return len(self.perturbation)

    @property
    def n_genes(self) -> int:
        """Number of genes, G."""
        return len(self.genes)

    @cached_property
    def gene_index(self) -> dict[str, int]:
        """Column of each gene."""
        return {gene: column for column, gene in enumerate(self.genes)}

    @property
    def conditions(self) -> tuple[str, ...]:
        """All condition labels, sorted, "control" among them."""
        return self._codes[0]

    @property
    def perturbations(self) -> tuple[str, ...]:
        """All condition labels but "control", sorted."""
        return tuple(label for label in self.conditions if label != CONTROL)

    def targets(self, label: str) -> tuple[str, ...]:
        """Return the target genes of a condition, sorted; TrainingDataError if no training cell has it."""
        if label not in self.pseudobulk:
            raise TrainingDataError("perturbation", f"no cells of {label!r}{nearest(label, self.conditions)}")
        return perturbation_targets(label)

    @cached_property
    def perturbed_genes(self) -> frozenset[str]:
        """Genes that are targeted in some training cell, alone or in combination."""
        return frozenset(target for label in self.conditions for target in perturbation_targets(label))

    @cached_property
    def pseudobulk(self) -> Pseudobulk:
        """Pooled counts of every condition, over all batches, media and times; C rows as `conditions`."""
        labels, code = self._codes
        return pool(self.counts, code, labels=labels)

    @cached_property
    def control(self) -> NDArray[np.float64]:
        """(G,) log profile of the pooled control cells."""
        return self.pseudobulk.row(CONTROL)

    @cached_property
    def _codes(self) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        labels, code = np.unique(self.perturbation, return_inverse=True)
        return tuple(labels.tolist()), frozen(code)


def pool(counts: csr_array, group: NDArray[np.integer], *, labels: tuple[str, ...]) -> Pseudobulk:
    """Sum counts over groups of cells by one sparse product.

    Args:
        counts: (N, G) counts.
        group: (N,) index of each cell's group into `labels`.
        labels: C group labels.
    """
    from scipy.sparse import csr_array

    n_cells = counts.shape[0]
    membership = csr_array((np.ones(n_cells, np.int64), (group, np.arange(n_cells))), shape=(len(labels), n_cells))
    return Pseudobulk(
        labels=labels,
        total=frozen((membership @ counts).toarray()),
        n_cells=frozen(np.bincount(group, minlength=len(labels)).astype(np.int64)),
    )
