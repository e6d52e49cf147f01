"""Graphs made from a true network: what is kept of it and how much is replaced, decided by names and seed alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import experiments.prior_graphs as module
from experiments.prior_graphs import prior_graph
from simcell.errors import DataError, SpecError

GENES = [f"G{number:02}" for number in range(40)]


def edges_of(seed: int = 0, *, per_regulator: int = 6) -> list[tuple[str, str]]:
    """Return 10 regulators' edges, each to other genes, in random order; one regulates itself."""
    rng = np.random.default_rng(seed)
    edges = [
        (GENES[regulator], GENES[target])
        for regulator in range(10)
        for target in rng.choice(np.delete(np.arange(40), regulator), per_regulator, replace=False)
    ]
    edges.append(("G03", "G03"))
    return [edges[row] for row in rng.permutation(len(edges))]


def tree_of(edges: list[tuple[str, str]], *, genes: list[str] | None = None) -> xr.DataTree:
    network = xr.Dataset({name: ("edge", [edge[side] for edge in edges]) for side, name in enumerate(_SIDES)})
    counts = xr.Dataset(coords={"gene": genes or GENES})
    return xr.DataTree.from_dict({"/counts": counts, "/truth/network": network})


_SIDES = ("regulator", "target")


def test_the_true_graph_is_the_network() -> None:
    edges = edges_of()
    found = prior_graph(tree_of(edges), corrupted=0.0, seed=5)
    assert found.edges == tuple(sorted(edges))
    assert found.description == "the true network, 61 edges"


def test_a_graph_that_is_all_corrupted_has_no_true_edge() -> None:
    edges = edges_of()
    found = prior_graph(tree_of(edges), corrupted=1.0, seed=5)
    assert not set(found.edges) & set(edges)
    assert found.description.startswith("the true network with 100% of its 61 edges replaced")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), corrupted=st.floats(0.0, 1.0))
def test_replaced_edges_are_none_and_regulators_keep_their_number(seed: int, corrupted: float) -> None:
    edges = edges_of(seed)
    found = prior_graph(tree_of(edges), corrupted=corrupted, seed=seed).edges
    assert len(set(found)) == len(found) == len(edges)
    assert list(found) == sorted(found)
    for regulator in GENES:
        assert sum(edge[0] == regulator for edge in found) == sum(edge[0] == regulator for edge in edges)
    assert all(one != other for one, other in set(found) - set(edges))


def test_order_of_edges_and_genes_is_of_no_account_and_the_seed_is() -> None:
    edges = edges_of()
    found = prior_graph(tree_of(edges), corrupted=0.5, seed=1)
    assert prior_graph(tree_of(edges[::-1], genes=GENES[::-1]), corrupted=0.5, seed=1) == found
    assert prior_graph(tree_of(edges), corrupted=0.5, seed=2) != found


def test_what_is_wrong_stays_wrong_as_more_is() -> None:
    edges = set(edges_of())
    wrong = [set(prior_graph(tree_of(list(edges)), corrupted=c, seed=3).edges) - edges for c in (0.2, 0.5, 0.8, 1.0)]
    assert all(fewer < more for fewer, more in pairwise(wrong))


def replaced_share(corrupted: float) -> tuple[float, float]:
    """Return the share of edges replaced over many networks, and the standard error that it should have."""
    replaced, total = 0, 0
    for seed in range(40):
        edges = set(edges_of(seed))
        replaced += len(edges - set(prior_graph(tree_of(sorted(edges)), corrupted=corrupted, seed=seed).edges))
        total += len(edges)
    return replaced / total, float(np.sqrt(corrupted * (1 - corrupted) / total))


@pytest.mark.parametrize("corrupted", [0.1, 0.5, 0.9])
def test_the_share_replaced_is_the_fraction_asked_for(corrupted: float, monkeypatch: pytest.MonkeyPatch) -> None:
    share, error = replaced_share(corrupted)
    assert abs(share - corrupted) < 5 * error  # false alarm: 6e-7
    uniforms: Any = module.pair_uniforms
    monkeypatch.setattr(module, "pair_uniforms", lambda *args, **kwargs: uniforms(*args, **kwargs) ** 2)  # planted
    share, _ = replaced_share(corrupted)
    assert abs(share - corrupted) > 5 * error


def test_new_targets_are_drawn_evenly() -> None:
    """One regulator of one target, over many seeds: each of the 38 other genes as often, by chi-square."""
    tree = tree_of([("G00", "G01")])
    chosen = [prior_graph(tree, corrupted=1.0, seed=seed).edges[0][1] for seed in range(2000)]
    count = np.array([chosen.count(gene) for gene in GENES[2:]])
    assert count.sum() == 2000
    expected = 2000 / 38
    assert ((count - expected) ** 2 / expected).sum() < 37 + 5.5 * np.sqrt(2 * 37)


def test_a_regulator_of_all_genes_loses_what_cannot_be_replaced() -> None:
    tree = tree_of([("A", "B"), ("A", "C"), ("B", "A")], genes=["A", "B", "C"])
    assert prior_graph(tree, corrupted=1.0, seed=0).edges == (("B", "C"),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corrupted": -0.1, "seed": 0}, "corrupted: -0.1 is not a number between 0 and 1"),
        ({"corrupted": 1.5, "seed": 0}, "corrupted: 1.5 is not a number between 0 and 1"),
        ({"corrupted": float("nan"), "seed": 0}, "corrupted: nan is not a number between 0 and 1"),
        ({"corrupted": True, "seed": 0}, "corrupted: True is not a number between 0 and 1"),
        ({"corrupted": 0.5, "seed": -1}, "seed: -1 is not a whole number >= 0"),
    ],
)
def test_what_is_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        prior_graph(tree_of(edges_of()), **options)
    assert str(error.value) == message


def test_a_data_set_without_its_truth_is_refused() -> None:
    tree = xr.DataTree.from_dict({"/counts": xr.Dataset(coords={"gene": GENES})})
    with pytest.raises(DataError, match="truth/network: missing group"):
        prior_graph(tree, corrupted=0.5, seed=0)
