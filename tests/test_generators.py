"""Generators: exact counts, structure in the direction each parameter promises, determinism by seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcell.errors import SpecError
from simcell.generators import (
    GENERATORS,
    cascade,
    erdos_renyi,
    feed_forward_loop,
    grouped_scale_free,
    repressilator,
    toggle_switch,
)
from simcell.network import Network

RANDOM = {"grouped-scale-free": grouped_scale_free, "erdos-renyi": erdos_renyi}


def edges(net: Network) -> list[tuple[int, int, int]]:
    return list(zip(net.regulator.tolist(), net.target.tolist(), net.sign.tolist(), strict=True))


@pytest.mark.parametrize("generate", RANDOM.values(), ids=RANDOM)
def test_seed_decides_everything(generate) -> None:
    assert edges(generate(60, seed=3)) == edges(generate(60, seed=3))
    assert edges(generate(60, seed=3)) != edges(generate(60, seed=4))


@settings(max_examples=60, deadline=None)
@given(
    genes=st.integers(2, 40),
    density=st.floats(0, 1),
    groups=st.integers(1, 6),
    affinity=st.floats(1, 100),
    in_bias=st.sampled_from([0.0, 0.3, 100.0]),
    out_bias=st.floats(0.01, 50),
    regulators=st.none() | st.floats(0.01, 1),
    seed=st.integers(0, 2**32),
)
def test_scale_free_counts_hold_for_any_parameters(
    genes, density, groups, affinity, in_bias, out_bias, regulators, seed
) -> None:
    allowed = genes if regulators is None else max(1, round(genes * regulators))
    most = allowed * (genes - 1)
    if most < genes:  # a single permitted regulator cannot reach one edge per gene
        return
    n_edges = round(genes + density * (most - genes))
    net = grouped_scale_free(
        genes,
        edges_per_gene=n_edges / genes,
        groups=min(groups, genes),
        within_group_affinity=affinity,
        in_degree_bias=in_bias,
        out_degree_bias=out_bias,
        regulators=regulators,
        seed=seed,
    )
    assert (net.n_genes, net.n_edges) == (genes, n_edges)
    assert net.n_regulators <= allowed
    assert not np.any(net.regulator == net.target)
    assert net.in_degree().min() >= 1
    assert net.group is not None and net.group.max() < groups
    assert list(net.genes) == sorted(net.genes)


@settings(max_examples=30, deadline=None)
@given(genes=st.integers(2, 40), density=st.floats(0, 1), fraction=st.floats(0.01, 1), seed=st.integers(0, 2**32))
def test_erdos_renyi_counts(genes, density, fraction, seed) -> None:
    allowed = max(1, round(genes * fraction))
    n_edges = max(1, round(density * allowed * (genes - 1)))
    net = erdos_renyi(genes, edges_per_gene=n_edges / genes, regulators=fraction, seed=seed)
    assert net.n_edges == n_edges
    assert net.n_regulators <= allowed
    assert not np.any(net.regulator == net.target)


def test_scale_free_has_hubs_modules_and_cycles() -> None:
    net = grouped_scale_free(1000, seed=1)
    plain = erdos_renyi(1000, seed=1)
    assert net.out_degree().max() > 5 * plain.out_degree().max()
    assert net.in_degree().max() < 5 * plain.in_degree().max()
    assert not net.is_acyclic

    def within(affinity: float) -> float:
        modular = grouped_scale_free(1000, groups=10, within_group_affinity=affinity, seed=1)
        return float(np.mean(modular.group[modular.regulator] == modular.group[modular.target]))

    assert within(1.0) < 0.2 < 0.4 < within(10.0) < within(100.0)


def test_names_do_not_tell_degree() -> None:
    hubs = [int(np.argmax(grouped_scale_free(200, seed=seed).out_degree())) for seed in range(20)]
    assert max(hubs) > 100 and len(set(hubs)) > 10


def test_degree_biases_flatten_degrees() -> None:
    def largest(**bias: float) -> tuple[int, int]:
        net = grouped_scale_free(1000, groups=1, seed=2, **bias)
        return int(net.in_degree().max()), int(net.out_degree().max())

    assert largest(in_degree_bias=1.0)[0] > 2 * largest(in_degree_bias=100.0)[0]
    assert largest(out_degree_bias=1.0)[1] > 2 * largest(out_degree_bias=100.0)[1]


@pytest.mark.parametrize("generate", RANDOM.values(), ids=RANDOM)
def test_signs(generate) -> None:
    assert set(generate(50, activator_fraction=1.0).sign.tolist()) == {1}
    assert set(generate(50, activator_fraction=0.0).sign.tolist()) == {-1}
    # 6,000 signs: 0.05 is nearly eight standard errors.
    assert abs(np.mean(generate(2000, activator_fraction=0.7).sign == 1) - 0.7) < 0.05


@pytest.mark.parametrize("generate", RANDOM.values(), ids=RANDOM)
def test_few_regulators(generate) -> None:
    net = generate(500, regulators=0.1)
    assert net.n_regulators <= 50
    assert net.n_regulators > 25


def test_circuits() -> None:
    assert edges(cascade(4)) == [(0, 1, 1), (1, 2, 1), (2, 3, 1)]
    assert edges(cascade(2, activating=False)) == [(0, 1, -1)]
    assert edges(feed_forward_loop()) == [(0, 1, 1), (0, 2, 1), (1, 2, 1)]
    assert edges(feed_forward_loop(coherent=False)) == [(0, 1, 1), (0, 2, 1), (1, 2, -1)]
    assert edges(toggle_switch()) == [(1, 0, -1), (0, 1, -1)]
    assert edges(repressilator()) == [(2, 0, -1), (0, 1, -1), (1, 2, -1)]
    assert not toggle_switch().is_acyclic and not repressilator().is_acyclic
    assert cascade(12).genes[0] == "G01"


def test_registry_makes_networks_by_name() -> None:
    arguments = {"grouped-scale-free": (20,), "erdos-renyi": (20,)}
    for name, generate in GENERATORS.items():
        assert generate(*arguments.get(name, ()), seed=5).n_edges >= 2


@pytest.mark.parametrize(
    ("generate", "arguments", "match"),
    [
        (grouped_scale_free, {"genes": 1}, "genes: 1 is not a whole number >= 2"),
        (grouped_scale_free, {"genes": 10.5}, "genes: 10.5 is not a whole number"),
        (grouped_scale_free, {"genes": True}, "genes: True is not a whole number"),
        (grouped_scale_free, {"genes": 50, "edges_per_gene": 0.5}, "edges_per_gene: 0.5 is not a number >= 1"),
        (grouped_scale_free, {"genes": 50, "edges_per_gene": float("nan")}, "edges_per_gene: nan is not a number"),
        (grouped_scale_free, {"genes": 50, "edges_per_gene": 50}, "edges_per_gene: 50 is not <= 49"),
        (grouped_scale_free, {"genes": 50, "regulators": 0.02}, "edges_per_gene: 3.0 is not <= 0.98"),
        (grouped_scale_free, {"genes": 50, "groups": 51}, "groups: 51 is not a whole number from 1 to 50"),
        (grouped_scale_free, {"genes": 50, "groups": 0}, "groups: 0 is not"),
        (grouped_scale_free, {"genes": 50, "within_group_affinity": 0.5}, "within_group_affinity: 0.5 is not .* >= 1"),
        (grouped_scale_free, {"genes": 50, "in_degree_bias": -1}, "in_degree_bias: -1 is not a number >= 0"),
        (grouped_scale_free, {"genes": 50, "out_degree_bias": 0}, "out_degree_bias: 0 is not a number > 0"),
        (grouped_scale_free, {"genes": 50, "regulators": 0}, "regulators: 0 is not a number > 0 and <= 1"),
        (grouped_scale_free, {"genes": 50, "regulators": 1.5}, "regulators: 1.5 is not"),
        (grouped_scale_free, {"genes": 50, "activator_fraction": 1.1}, "activator_fraction: 1.1 is not .*<= 1"),
        (grouped_scale_free, {"genes": 50, "activator_fraction": "half"}, "activator_fraction: 'half' is not"),
        (erdos_renyi, {"genes": 0}, "genes: 0 is not"),
        (erdos_renyi, {"genes": 50, "edges_per_gene": 0}, "edges_per_gene: 0 is not a number > 0"),
        (erdos_renyi, {"genes": 50, "edges_per_gene": 49.1}, "edges_per_gene: 49.1 is not <= 49"),
        (cascade, {"length": 1}, "length: 1 is not a whole number >= 2"),
    ],
)
def test_bad_parameters_are_refused(generate, arguments: dict, match: str) -> None:
    with pytest.raises(SpecError, match=match):
        generate(**arguments)
