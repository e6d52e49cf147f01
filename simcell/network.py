"""A regulatory network: genes, and signed edges from regulators to targets.

In: edge arrays (from a generator, an edge list or networkx). Out: a validated, read-only `Network` whose edges stand in
one canonical order, so that equal networks are equal arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from simcell.errors import SpecError, nearest
from simcell.labels import CONTROL, SEPARATOR

if TYPE_CHECKING:
    import networkx
    import pandas

ACTIVATES, REPRESSES = 1, -1
_SIGNS: dict[object, int] = {"+": ACTIVATES, "-": REPRESSES, "+1": ACTIVATES, "1": ACTIVATES, "-1": REPRESSES}


class NetworkError(SpecError):
    """A network that is not well formed, or a gene that is not in it."""


def gene_name_rule(name: object) -> str | None:
    """Return what `name` would have to be to name a gene, or None if it may.

    Names are joined by "+" and ";" in the labels of cells, where "control" means no target at all.
    """
    if not isinstance(name, str) or not name:
        return "a gene name (text that is not empty)"
    if SEPARATOR in name or ";" in name:
        return "a gene name without '+' and ';', which join genes and guides in labels"
    if name == CONTROL:
        return "a gene name: it labels cells without a target"
    if name != name.strip() or not name.isprintable() or name.startswith("#"):
        return "a gene name: printable, without spaces around it, not beginning with '#'"
    return None


def numbered_genes(n_genes: int) -> tuple[str, ...]:
    """Return names that sort in their order: G01, G02, ... for n_genes = 20."""
    width = len(str(n_genes))
    return tuple(f"G{number:0{width}d}" for number in range(1, n_genes + 1))


@dataclass(frozen=True, eq=False)
class Network:
    """Genes and the signed edges between them; self-loops and cycles are welcome.

    Edges may be given in any order and are kept sorted by (target, regulator), each pair at most once. All arrays are
    copied and made read-only.

    Args:
        genes: (G,) names, unique.
        regulator: (E,) index into `genes` of the gene whose product acts; at least one edge.
        target: (E,) index into `genes` of the gene acted upon.
        sign: (E,) +1 where the regulator activates, -1 where it represses.
        group: (G,) the module of each gene, from 0; None where the network has no modules.
        notes: what a reader of the network should know, such as signs that were drawn at random.

    Raises:
        NetworkError: naming the field, the value and what is allowed.
    """

    genes: tuple[str, ...]
    regulator: NDArray[np.int32]
    target: NDArray[np.int32]
    sign: NDArray[np.int8]
    group: NDArray[np.int32] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        genes = _parse_genes(self.genes)
        regulator = _parse_integers("network.regulator", self.regulator, low=0, high=len(genes) - 1)
        target = _parse_integers("network.target", self.target, low=0, high=len(genes) - 1)
        sign = _parse_integers("network.sign", self.sign, low=-1, high=1)
        if np.any(sign == 0):
            raise NetworkError("network.sign", 0, "+1 (activates) or -1 (represses)")
        for field, array in (("network.target", target), ("network.sign", sign)):
            if array.size != regulator.size:
                raise NetworkError(field, f"{array.size} values", f"one per edge: there are {regulator.size} edges")
        if regulator.size == 0:
            raise NetworkError("network", "no edge", "enough: at least one gene must regulate another or itself")
        order = np.lexsort((regulator, target))
        regulator, target, sign = regulator[order], target[order], sign[order]
        repeated = np.flatnonzero((np.diff(target) == 0) & (np.diff(regulator) == 0))
        if repeated.size:
            edge = f"{genes[regulator[repeated[0]]]} -> {genes[target[repeated[0]]]}"
            raise NetworkError("network.edges", edge, "unique: each pair of genes has at most one edge")
        self._freeze("genes", genes)
        self._freeze("regulator", regulator.astype(np.int32))
        self._freeze("target", target.astype(np.int32))
        self._freeze("sign", sign.astype(np.int8))
        if self.group is not None:
            group = _parse_integers("network.group", self.group, low=0, high=np.iinfo(np.int32).max)
            if group.size != len(genes):
                raise NetworkError("network.group", f"{group.size} values", f"one per gene: there are {len(genes)}")
            self._freeze("group", group.astype(np.int32))
        self._freeze("notes", tuple(self.notes))

    def _freeze(self, name: str, value: Any) -> None:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[type[Network], tuple[Any, ...]]:
        # A pickled array forgets that it is read-only; building the network anew in the other process restores it.
        return Network, (self.genes, self.regulator, self.target, self.sign, self.group, self.notes)

    @property
    def n_genes(self) -> int:
        return len(self.genes)

    @property
    def n_edges(self) -> int:
        return int(self.regulator.size)

    @cached_property
    def regulators(self) -> NDArray[np.int32]:
        """(R,) indices of the genes that regulate at least one gene, ascending."""
        regulators = np.unique(self.regulator)
        regulators.setflags(write=False)
        return regulators

    @property
    def n_regulators(self) -> int:
        return int(self.regulators.size)

    def in_degree(self) -> NDArray[np.int64]:
        """(G,) number of regulators of each gene."""
        return np.bincount(self.target, minlength=self.n_genes)

    def out_degree(self) -> NDArray[np.int64]:
        """(G,) number of targets of each gene."""
        return np.bincount(self.regulator, minlength=self.n_genes)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {gene: i for i, gene in enumerate(self.genes)}

    def index(self, gene: str) -> int:
        """Return the position of a gene; a NetworkError names the nearest gene if it is not in the network."""
        try:
            return self._index[gene]
        except (KeyError, TypeError):
            hint = nearest(gene, self.genes) if isinstance(gene, str) else ""
            raise NetworkError("gene", gene, f"in the network{hint}") from None

    def descendants(self, gene: int) -> NDArray[np.bool_]:
        """(G,) True for the genes reachable from `gene` along edges; itself only where it is on a cycle."""
        if not 0 <= gene < self.n_genes:
            raise NetworkError("gene", gene, f"an index from 0 to {self.n_genes - 1}")
        reached = np.zeros(self.n_genes, dtype=bool)
        frontier = np.zeros(self.n_genes, dtype=bool)
        frontier[gene] = True
        while frontier.any():
            following = np.zeros(self.n_genes, dtype=bool)
            following[self.target[frontier[self.regulator]]] = True
            frontier = following & ~reached
            reached |= frontier
        return reached

    @cached_property
    def _component(self) -> NDArray[np.int32]:
        """(G,) label of the strongly connected component of each gene: two genes share one iff on a common cycle."""
        ones = np.ones(self.n_edges, dtype=np.int8)
        graph = csr_array((ones, (self.regulator, self.target)), shape=(self.n_genes, self.n_genes))
        return connected_components(graph, directed=True, connection="strong")[1]

    @property
    def is_acyclic(self) -> bool:
        """Whether no gene reaches itself; a self-loop is a cycle."""
        return bool(not np.any(self.regulator == self.target) and np.bincount(self._component).max() == 1)

    def summary(self) -> dict[str, int | float | bool]:
        """Return the figures by which a report describes the network, in reading order."""
        largest = 0 if self.is_acyclic else int(np.bincount(self._component).max())
        return {
            "genes": self.n_genes,
            "regulators": self.n_regulators,
            "edges": self.n_edges,
            "edges per gene": self.n_edges / self.n_genes,
            "activating fraction": float(np.mean(self.sign == ACTIVATES)),
            "self-loops": int(np.sum(self.regulator == self.target)),
            "genes without a regulator": int(np.sum(self.in_degree() == 0)),
            "largest in-degree": int(self.in_degree().max()),
            "largest out-degree": int(self.out_degree().max()),
            "acyclic": self.is_acyclic,
            "genes in the largest feedback component": largest,
            "groups": 0 if self.group is None else int(np.unique(self.group).size),
        }

    def to_frame(self) -> pandas.DataFrame:
        """Return one row per edge, in canonical order: columns regulator, target (names), sign (+1, -1)."""
        import pandas as pd

        names = np.asarray(self.genes, dtype=object)
        return pd.DataFrame({"regulator": names[self.regulator], "target": names[self.target], "sign": self.sign})

    def to_networkx(self) -> networkx.DiGraph:
        """Return a directed graph: nodes in the order of `genes`, with attribute group if any; edges with sign."""
        import networkx as nx

        graph = nx.DiGraph()
        for i, gene in enumerate(self.genes):
            graph.add_node(gene, **({} if self.group is None else {"group": int(self.group[i])}))
        for r, t, s in zip(self.regulator.tolist(), self.target.tolist(), self.sign.tolist(), strict=True):
            graph.add_edge(self.genes[r], self.genes[t], sign=s)
        return graph

    @classmethod
    def from_networkx(cls, graph: networkx.DiGraph, *, notes: Sequence[str] = ()) -> Network:
        """Build a network from a directed graph.

        Args:
            graph: nodes are genes, in this order (named by ``str(node)``); every edge has an attribute ``sign``, one of
                +1, -1, "+", "-". A node attribute ``group`` (int) is kept if every node has it.
            notes: carried along.

        Raises:
            NetworkError: for an undirected graph or a multigraph, and for an edge whose sign is missing or wrong.
        """
        if not graph.is_directed() or graph.is_multigraph():
            raise NetworkError("graph", type(graph).__name__, "a networkx.DiGraph: directed, each edge at most once")
        position = {node: i for i, node in enumerate(graph.nodes)}
        regulator, target, sign = [], [], []
        for source, destination, data in graph.edges(data=True):
            regulator.append(position[source])
            target.append(position[destination])
            sign.append(_parse_sign(f"edge {source} -> {destination}: sign", data.get("sign")))
        groups = [data.get("group") for _, data in graph.nodes(data=True)]
        absent = [node for node, group in zip(graph.nodes, groups, strict=True) if group is None]
        if absent and len(absent) < len(groups):
            raise NetworkError(f"node {absent[0]}: group", None, "a number, though other nodes have one")
        return cls(
            genes=tuple(str(node) for node in graph.nodes),
            regulator=np.array(regulator, dtype=np.int32),
            target=np.array(target, dtype=np.int32),
            sign=np.array(sign, dtype=np.int8),
            group=None if absent or not groups else np.array(groups),
            notes=tuple(notes),
        )


def _parse_genes(genes: Sequence[str]) -> tuple[str, ...]:
    if isinstance(genes, str):
        raise NetworkError("network.genes", genes, "a sequence of gene names")
    seen: set[str] = set()
    for i, gene in enumerate(genes):
        if rule := gene_name_rule(gene):
            raise NetworkError(f"network.genes[{i}]", gene, rule)
        if gene in seen:
            raise NetworkError(f"network.genes[{i}]", gene, "unique: another gene has this name")
        seen.add(gene)
    return tuple(str(gene) for gene in genes)


def _parse_integers(field: str, values: ArrayLike, *, low: int, high: int) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise NetworkError(field, f"an array of shape {array.shape}", "of one dimension")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise NetworkError(field, f"an array of {array.dtype}", "an array of integers")
    outside = np.flatnonzero((array < low) | (array > high))
    if outside.size:
        raise NetworkError(f"{field}[{outside[0]}]", int(array[outside[0]]), f"from {low} to {high}")
    return array.astype(np.int64)


def _parse_sign(field: str, value: object) -> int:
    if isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_)) and value in (1, -1):
        return int(value)
    if isinstance(value, str) and value in _SIGNS:
        return _SIGNS[value]
    raise NetworkError(field, value, "one of +1, -1, '+', '-'")
