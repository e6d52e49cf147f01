"""Graphs between genes as matrices: from what is told beside the cells, or from genes whose changes are correlated.

In: training data and pooled responses. Out: `GeneGraph`, a symmetric matrix of weights, and that matrix normalised for
message passing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.errors import FitterError
from fitters.knowledge import PriorGraph
from fitters.training_data import TrainingData
from simcell.errors import nearest

CO_EXPRESSION, NONE = "co-expression", "none"
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GeneGraph:
    """An undirected graph of n genes.

    Args:
        weight: (n, n) symmetric, not negative, 0 on the diagonal and where there is no edge.
        note: what it is, one line.
    """

    weight: FloatArray
    note: str

    @property
    def normalised(self) -> FloatArray:
        """(n, n) ``D^-1/2 (W + I) D^-1/2`` with D the row sums of W + I; a gene without an edge keeps what is its own.

        Source: Kipf & Welling, ICLR 2017, eq. 2.
        """
        with_self = self.weight + np.eye(len(self.weight))
        scale = 1.0 / np.sqrt(with_self.sum(axis=1))
        return with_self * np.outer(scale, scale)


def check_graph(name: str, *, option: str, data: TrainingData, fitter: str) -> None:
    """Refuse, by name, a graph that the training data lack."""
    graphs = data.knowledge.graphs
    if name in (CO_EXPRESSION, NONE) or name in graphs:
        return
    there = f"the training data have {', '.join(graphs)}" if graphs else "the training data have none"
    hint = nearest(name, (*graphs, CO_EXPRESSION, NONE))
    problem = f"option {option}: {name!r} is not {CO_EXPRESSION}, {NONE} or the name of a graph{hint}; {there}"
    raise FitterError(fitter, problem)


def gene_graph(
    name: str, genes: Sequence[str], *, option: str, data: TrainingData, correlated: FloatArray, fitter: str
) -> GeneGraph:
    """Return a graph by its name, over some genes.

    Args:
        name: "co-expression", "none", or one of the graphs of the training data.
        genes: n names.
        option: the option that named it.
        data: with its knowledge.
        correlated: (n, n) weights of the co-expression graph.
        fitter: its name.

    Raises:
        FitterError: the training data have no such graph, or it has no edge between two of the genes.
    """
    check_graph(name, option=option, data=data, fitter=fitter)
    if name == NONE:
        return GeneGraph(np.zeros((len(genes), len(genes))), f"{option} {NONE}: no gene has a neighbour")
    if name == CO_EXPRESSION:
        n_edges = int((correlated > 0).sum()) // 2
        return GeneGraph(correlated, f"{option} {CO_EXPRESSION}: {n_edges} edges of correlated genes")
    graph = data.knowledge.graphs[name]
    weight = told_weights(graph, genes)
    n_edges = int((weight > 0).sum()) // 2
    if not n_edges:
        raise FitterError(fitter, f"option {option}: no edge of graph {name!r} joins two genes of the training data")
    unknown = len({gene for edge in graph.edges for gene in edge} - set(genes))
    beside = f", {unknown} of its genes unknown to the data" if unknown else ""
    origin = f" ({graph.description})" if graph.description else ""
    return GeneGraph(weight, f"{option} {name!r}{origin}: {n_edges} undirected edges{beside}")


def told_weights(graph: PriorGraph, genes: Sequence[str]) -> FloatArray:
    """Return (n, n) weights: 1 in both directions for every edge between two different genes of those given, else 0."""
    row = {gene: number for number, gene in enumerate(genes)}
    weight = np.zeros((len(genes), len(genes)))
    for one, other in graph.edges:
        if one in row and other in row and one != other:
            weight[row[one], row[other]] = weight[row[other], row[one]] = 1.0
    return weight


def correlated_weights(changes: FloatArray, *, threshold: float, neighbours: int) -> FloatArray:
    """Return (G, G) absolute Pearson correlations over rows, of each gene's strongest partners only.

    A pair is kept if its correlation is above the threshold and either gene is among the strongest `neighbours` of the
    other (of equals, the first); a gene that does not vary has no partner.

    Args:
        changes: (P, G) changes of G genes in P pools.
    """
    centred = changes - changes.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    unit = centred / np.where(size > 1e-12, size, np.inf)
    strength = np.round(np.abs(unit.T @ unit), 9)  # what differs by the order of a sum only is equal
    np.fill_diagonal(strength, 0.0)
    order = np.argsort(-strength, axis=1, kind="stable")[:, :neighbours]
    among = np.zeros(strength.shape, dtype=bool)
    np.put_along_axis(among, order, True, axis=1)
    kept: FloatArray = np.where((among | among.T) & (strength > threshold), strength, 0.0)
    return kept
