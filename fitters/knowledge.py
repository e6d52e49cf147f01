"""What a fitter may be told beside the training cells: graphs from elsewhere, and an atlas of unperturbed cells.

All of it is given on purpose, by whoever asks the question, and named in the report: a graph may be the true one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fitters.errors import TrainingDataError
from fitters.training_parsing import frozen, parse_counts, parse_genes, parse_labels

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class PriorGraph:
    """Edges that somebody claims: E (regulator, target) pairs of gene names.

    Args:
        edges: pairs of names; genes that the training data lack are left out by who uses it.
        description: where it is from, one line for reports.
    """

    edges: tuple[tuple[str, str], ...]
    description: str = ""


@dataclass(frozen=True, eq=False)
class Atlas:
    """Unperturbed cells of the same world: M cells, G genes.

    Args:
        genes: G names, in any order; those of the training data are among them.
        counts: (M, G) UMI counts, sparse or dense; kept as a csr_array of int32.
        tissue: (M,) labels of what the cells are.

    Raises:
        TrainingDataError: as for training data; the field is "knowledge.atlas.counts" or the like.
    """

    genes: tuple[str, ...]
    counts: csr_array
    tissue: NDArray[np.str_]

    def __post_init__(self) -> None:
        try:
            genes = parse_genes(self.genes)
            counts = parse_counts(self.counts, genes)
            tissue = parse_labels(self.tissue, field="tissue", n_cells=counts.shape[0])
        except TrainingDataError as error:
            raise TrainingDataError(f"knowledge.atlas.{error.field}", error.problem) from None
        object.__setattr__(self, "genes", genes)
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "tissue", frozen(tissue))

    def counts_of(self, genes: tuple[str, ...]) -> csr_array:
        """Return (M, len(genes)) counts of some genes, in their order; TrainingDataError if it lacks one."""
        column = {gene: number for number, gene in enumerate(self.genes)}
        missing = [gene for gene in genes if gene not in column]
        if missing:
            raise TrainingDataError("knowledge.atlas", f"it has no gene {missing[0]!r}, which the training data have")
        return self.counts[:, [column[gene] for gene in genes]]


@dataclass(frozen=True, eq=False)
class Knowledge:
    """All that is told beside the cells: graphs by name, and an atlas or none."""

    graphs: Mapping[str, PriorGraph] = field(default_factory=dict)
    atlas: Atlas | None = None
