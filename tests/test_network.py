"""Networks: canonical order, validation, reachability, conversion."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcell.network import Network, NetworkError


@st.composite
def networks(draw: st.DrawFn) -> Network:
    n = draw(st.integers(1, 12))
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    edges = draw(st.lists(pair, min_size=1, max_size=25, unique=True))
    signs = draw(st.lists(st.sampled_from([-1, 1]), min_size=len(edges), max_size=len(edges)))
    groups = draw(st.none() | st.lists(st.integers(0, 3), min_size=n, max_size=n))
    regulator, target = np.array(edges).T
    group = None if groups is None else np.array(groups)
    return Network(tuple(f"g{i}" for i in range(n)), regulator, target, np.array(signs), group=group)


def assert_same(a: Network, b: Network) -> None:
    assert a.genes == b.genes
    for name in ("regulator", "target", "sign"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    if a.group is None or b.group is None:
        assert a.group is b.group
    else:
        np.testing.assert_array_equal(a.group, b.group)


def small(**changes: object) -> Network:
    fields: dict = {"genes": ("A", "B", "C", "D"), "regulator": [1, 0, 2], "target": [2, 1, 1], "sign": [1, -1, 1]}
    return Network(**(fields | changes))


def test_edges_are_sorted_typed_and_read_only() -> None:
    net = small(group=[0, 0, 1, 1])
    assert list(zip(net.target.tolist(), net.regulator.tolist(), net.sign.tolist(), strict=True)) == [
        (1, 0, -1),
        (1, 2, 1),
        (2, 1, 1),
    ]
    assert (net.regulator.dtype, net.target.dtype, net.sign.dtype) == (np.int32, np.int32, np.int8)
    for array in (net.regulator, net.target, net.sign, net.group, net.regulators):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(FrozenInstanceError):
        net.genes = ()  # type: ignore[misc]


def test_a_pickled_network_is_the_same_and_read_only() -> None:
    net = small(group=[0, 0, 1, 1], notes=("drawn",))
    again = pickle.loads(pickle.dumps(net))
    assert_same(net, again)
    assert again.notes == ("drawn",) and not again.sign.flags.writeable


def test_given_arrays_are_copied() -> None:
    regulator = np.array([0, 1], dtype=np.int32)
    net = Network(("A", "B"), regulator, np.array([1, 0], dtype=np.int32), np.array([1, 1], dtype=np.int8))
    regulator[:] = 1
    assert sorted(net.regulator.tolist()) == [0, 1]


@settings(deadline=None)
@given(networks(), st.randoms(use_true_random=False))
def test_order_of_edges_does_not_matter(net: Network, random) -> None:
    order = list(range(net.n_edges))
    random.shuffle(order)
    shuffled = Network(net.genes, net.regulator[order], net.target[order], net.sign[order], group=net.group)
    assert_same(net, shuffled)


@settings(deadline=None)
@given(networks())
def test_networkx_round_trip(net: Network) -> None:
    assert_same(net, Network.from_networkx(net.to_networkx()))


@settings(deadline=None)
@given(networks())
def test_reachability_and_degrees_agree_with_networkx(net: Network) -> None:
    graph = net.to_networkx()
    reach = nx.transitive_closure(graph, reflexive=False)
    for i, gene in enumerate(net.genes):
        assert {net.genes[j] for j in np.flatnonzero(net.descendants(i))} == set(reach.successors(gene))
    assert net.is_acyclic == nx.is_directed_acyclic_graph(graph)
    assert net.in_degree().tolist() == [graph.in_degree(g) for g in net.genes]
    assert net.out_degree().tolist() == [graph.out_degree(g) for g in net.genes]
    assert net.regulators.tolist() == [i for i, g in enumerate(net.genes) if graph.out_degree(g)]


def test_descendants_hold_the_gene_itself_only_on_a_cycle() -> None:
    net = small()
    assert net.descendants(0).tolist() == [False, True, True, False]
    assert net.descendants(1).tolist() == [False, True, True, False]
    assert not net.descendants(3).any()
    with pytest.raises(NetworkError, match="4 is not an index from 0 to 3"):
        net.descendants(4)


def test_frame_and_summary() -> None:
    frame = small().to_frame()
    assert frame.columns.tolist() == ["regulator", "target", "sign"]
    assert frame.values.tolist() == [["A", "B", -1], ["C", "B", 1], ["B", "C", 1]]
    summary = small().summary()
    assert (summary["genes"], summary["edges"], summary["regulators"]) == (4, 3, 3)
    assert summary["genes in the largest feedback component"] == 2
    assert summary["genes without a regulator"] == 2


def test_index_names_the_nearest_gene() -> None:
    net = Network(("GATA1", "SPI1"), [0], [1], [-1])
    assert net.index("SPI1") == 1
    with pytest.raises(NetworkError, match=r"gene: 'GATA2' is not in the network \(did you mean 'GATA1'\?\)"):
        net.index("GATA2")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"genes": ("A", "A", "C", "D")}, r"network\.genes\[1\]: 'A' is not unique"),
        ({"genes": ("A", "", "C", "D")}, r"network\.genes\[1\]: '' is not a gene name"),
        ({"genes": ("A", "B+C", "C", "D")}, r"'B\+C' is not a gene name without '\+'"),
        ({"genes": ("A", "B;C", "C", "D")}, "'B;C' is not a gene name without"),
        ({"genes": ("A", "control", "C", "D")}, "'control' is not a gene name"),
        ({"genes": ("A", " B", "C", "D")}, "' B' is not a gene name: printable"),
        ({"genes": ("A", 3, "C", "D")}, "3 is not a gene name"),
        ({"genes": "ABCD"}, "'ABCD' is not a sequence"),
        ({"regulator": [1, 0, 4]}, r"network\.regulator\[2\]: 4 is not from 0 to 3"),
        ({"target": [-1, 0, 1]}, r"network\.target\[0\]: -1 is not from 0 to 3"),
        ({"target": [0, 1]}, r"network\.target: '2 values' is not one per edge"),
        ({"sign": [1, 0, 1]}, r"network\.sign: 0 is not \+1"),
        ({"sign": [1, 2, 1]}, r"network\.sign\[1\]: 2 is not from -1 to 1"),
        ({"sign": [1.0, 1.0, 1.0]}, "array of float64' is not an array of integers"),
        ({"regulator": [0, 0, 0], "target": [1, 2, 1]}, "'A -> B' is not unique"),
        ({"regulator": [], "target": [], "sign": []}, "network: 'no edge' is not enough"),
        ({"group": [0, 1]}, r"network\.group: '2 values' is not one per gene"),
        ({"regulator": [[0]]}, "is not of one dimension"),
    ],
)
def test_bad_networks_are_refused(changes: dict, match: str) -> None:
    with pytest.raises(NetworkError, match=match):
        small(**changes)


@pytest.mark.parametrize("sign", ["+", "+1", 1, 1.0, np.int8(1)])
def test_signs_of_networkx_edges(sign: object) -> None:
    graph = nx.DiGraph()
    graph.add_edge("A", "B", sign=sign)
    assert Network.from_networkx(graph).sign.tolist() == [1]


@pytest.mark.parametrize("attributes", [{}, {"sign": 0}, {"sign": "x"}, {"sign": True}, {"sign": None}, {"weight": 1}])
def test_networkx_edges_without_a_sign_are_refused(attributes: dict) -> None:
    graph = nx.DiGraph()
    graph.add_edge("A", "B", **attributes)
    with pytest.raises(NetworkError, match=r"edge A -> B: sign: .* is not one of"):
        Network.from_networkx(graph)


@pytest.mark.parametrize("kind", [nx.Graph, nx.MultiDiGraph])
def test_other_kinds_of_graph_are_refused(kind: type) -> None:
    with pytest.raises(NetworkError, match=r"is not a networkx\.DiGraph"):
        Network.from_networkx(kind([("A", "B")]))


def test_groups_of_some_nodes_only_are_refused() -> None:
    graph = nx.DiGraph()
    graph.add_edge("A", "B", sign=1)
    graph.nodes["A"]["group"] = 1
    with pytest.raises(NetworkError, match="node B: group"):
        Network.from_networkx(graph)
