"""Random networks and small textbook circuits: parameters and a seed in, a `Network` out.

`GENERATORS` is the registry by which a specification names them. All parameters are checked before any work.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simcell.circuits import cascade, feed_forward_loop, repressilator, toggle_switch
from simcell.errors import SpecError
from simcell.network import ACTIVATES, REPRESSES, Network, numbered_genes
from simcell.random import Purpose, stream

_FOUNDERS = 3
_REDRAWS = 20


class _Pool:
    """Genes to draw as one end of an edge, with weight (degree + bias), by group.

    A gene stands in `ends` once per edge that it already has, so a uniform draw from there is a draw by degree; a
    uniform draw from `members` is the bias. Either costs the same however many genes there are.
    """

    def __init__(self, groups: int, bias: float) -> None:
        self.bias = bias
        self.members: list[list[int]] = [[] for _ in range(groups)]
        self.ends: list[list[int]] = [[] for _ in range(groups)]
        self.mass = np.zeros(groups)

    def admit(self, gene: int, group: int) -> None:
        self.members[group].append(gene)
        self.mass[group] += self.bias

    def reinforce(self, gene: int, group: int) -> None:
        self.ends[group].append(gene)
        self.mass[group] += 1.0

    def draw(self, rng: np.random.Generator, *, favoured: int | None = None, affinity: float = 1.0) -> int:
        mass = self.mass
        if favoured is not None:
            mass = mass.copy()
            mass[favoured] *= affinity
        cumulative = np.cumsum(mass)
        group = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
        ends, members = self.ends[group], self.members[group]
        within = rng.random() * (len(ends) + self.bias * len(members))
        if within < len(ends):
            return ends[int(within)]
        return members[min(int((within - len(ends)) / self.bias), len(members) - 1)]


def grouped_scale_free(
    genes: int,
    *,
    edges_per_gene: float = 3.0,
    groups: int = 8,
    within_group_affinity: float = 10.0,
    in_degree_bias: float = 100.0,
    out_degree_bias: float = 1.0,
    regulators: float | None = None,
    activator_fraction: float = 0.5,
    seed: int = 0,
) -> Network:
    """Grow a directed scale-free network with modules and cycles.

    The process of Aguirre, Spence, Sella & Pritchard (PLoS Comput Biol 2025, doi 10.1371/journal.pcbi.1013387), which
    is the directed scale-free graph of Bollobas, Borgs, Chayes & Riordan (SODA 2003) with groups:

    1. Begin with a ring of three genes. Each gene, then and later, belongs to one of `groups` groups at random.
    2. With probability 1/`edges_per_gene`, add a gene, and one edge to it from a regulator drawn with weight
       (out-degree + `out_degree_bias`), times `within_group_affinity` if it is of the new gene's group.
    3. Otherwise add an edge between genes at hand: its regulator drawn with weight (out-degree + `out_degree_bias`),
       its target with weight (in-degree + `in_degree_bias`), times `within_group_affinity` if of the regulator's group.

    Out-degrees are heavy-tailed (more so the smaller their bias), in-degrees nearly even when their bias is large.

    Where this differs: the number of edges is exact, ``round(genes * edges_per_gene)``. Repeated edges and self-loops
    count towards degrees as the network grows, as in the original, and are then dropped; step 3 goes on until the
    number is reached. Step 2 of the original may, with a negligible probability, make the new gene a regulator instead;
    here it does not. The order of the genes is shuffled at the end, so that a name does not tell age, hence degree. The
    original has no limit on regulators, and draws signed weights; here an edge has a sign, and strengths belong to the
    cell model.

    Args:
        genes: number of genes, at least 2.
        edges_per_gene: mean in-degree, at least 1. Every gene has a regulator.
        groups: number of modules, 1 to `genes`.
        within_group_affinity: at least 1 (no modularity).
        in_degree_bias: at least 0.
        out_degree_bias: above 0, lest the first genes regulate all others.
        regulators: the largest fraction of genes that may regulate, in (0, 1]; None for no limit. Genes that may, but
            got no target, are not regulators, so the number of regulators is at most ``round(genes * regulators)``.
        activator_fraction: probability that an edge activates.
        seed: root seed; the stream is `Purpose.NETWORK`.

    Returns:
        A network without self-loops, named G1.. (zero-padded), with `group`.

    Raises:
        SpecError: for a parameter that is not allowed.
    """
    _check_integer("genes", genes, low=2)
    _check_number("edges_per_gene", edges_per_gene, at_least=1.0)
    _check_integer("groups", groups, low=1, high=genes)
    _check_number("within_group_affinity", within_group_affinity, at_least=1.0)
    _check_number("in_degree_bias", in_degree_bias, at_least=0.0)
    _check_number("out_degree_bias", out_degree_bias, above=0.0)
    _check_number("activator_fraction", activator_fraction, at_least=0.0, at_most=1.0)
    n_regulators = _parse_regulators(regulators, genes)
    n_edges = _parse_edges(edges_per_gene, genes, n_regulators)

    rng = stream(seed, Purpose.NETWORK)
    founders = min(_FOUNDERS, n_regulators)
    group = rng.integers(groups, size=genes)
    group[:founders] = np.arange(founders) % groups
    may_regulate = np.zeros(genes, dtype=bool)
    may_regulate[:founders] = True
    may_regulate[founders + rng.choice(genes - founders, size=n_regulators - founders, replace=False)] = True

    sources, targets = _Pool(groups, out_degree_bias), _Pool(groups, in_degree_bias)
    edges: dict[tuple[int, int], None] = {}

    def admit(gene: int) -> None:
        targets.admit(gene, group[gene])
        if may_regulate[gene]:
            sources.admit(gene, group[gene])

    def connect(regulator: int, target: int) -> None:
        sources.reinforce(regulator, group[regulator])
        targets.reinforce(target, group[target])
        if regulator != target:
            edges[regulator, target] = None

    def draw_edge() -> tuple[int, int]:
        regulator = sources.draw(rng)
        return regulator, targets.draw(rng, favoured=group[regulator], affinity=within_group_affinity)

    for gene in range(founders):
        admit(gene)
    for gene in range(founders if founders > 1 else 0):
        connect(gene, (gene + 1) % founders)
    # The steps of the original are independent coin flips; to fix their numbers is to shuffle them.
    is_new_gene = np.zeros(max(n_edges - founders, genes - founders), dtype=bool)
    is_new_gene[: genes - founders] = True
    rng.shuffle(is_new_gene)
    newest = founders
    for new_gene in is_new_gene.tolist():
        if new_gene:
            regulator = sources.draw(rng, favoured=group[newest], affinity=within_group_affinity)
            admit(newest)
            connect(regulator, newest)
            newest += 1
        elif targets.mass.sum() > 0:
            connect(*draw_edge())
    for _ in range(_REDRAWS * n_edges):
        if len(edges) >= n_edges:
            break
        regulator, target = draw_edge()
        if (regulator, target) not in edges:
            connect(regulator, target)
    if len(edges) < n_edges:
        _fill(edges, n_edges, sources, targets, group, within_group_affinity, rng)

    return _assemble(np.array(list(edges)), genes, activator_fraction, rng, group=group)


def _fill(
    edges: dict[tuple[int, int], None],
    n_edges: int,
    sources: _Pool,
    targets: _Pool,
    group: NDArray[np.int64],
    affinity: float,
    rng: np.random.Generator,
) -> None:
    """Add the edges still wanting in a network so dense that most draws repeat: a weighted draw without repeats."""
    # A gene of weight zero (no edge, no bias) comes last, but it does come.
    out_weight, in_weight = np.zeros(group.size), np.full(group.size, 1e-9)
    for pool, weight in ((sources, out_weight), (targets, in_weight)):
        np.add.at(weight, [g for members in pool.members for g in members], pool.bias)
        np.add.at(weight, [g for ends in pool.ends for g in ends], 1.0)
    weight = out_weight[:, None] * in_weight[None, :] * np.where(group[:, None] == group[None, :], affinity, 1.0)
    np.fill_diagonal(weight, 0.0)
    taken = np.array(list(edges))
    weight[taken[:, 0], taken[:, 1]] = 0.0
    regulator, target = np.nonzero(weight)
    # The first arrivals of exponential clocks are a weighted sample without replacement (Efraimidis & Spirakis 2006).
    arrival = rng.standard_exponential(regulator.size) / weight[regulator, target]
    for i in np.argsort(arrival, kind="stable")[: n_edges - len(edges)]:
        edges[int(regulator[i]), int(target[i])] = None


def erdos_renyi(
    genes: int,
    *,
    edges_per_gene: float = 3.0,
    regulators: float | None = None,
    activator_fraction: float = 0.5,
    seed: int = 0,
) -> Network:
    """Draw ``round(genes * edges_per_gene)`` edges uniformly from all pairs (Erdos & Renyi's G(n, M), directed).

    Args:
        genes: number of genes, at least 2.
        edges_per_gene: mean in-degree, above 0. A gene may have no regulator.
        regulators: the largest fraction of genes that may regulate, in (0, 1]; None for no limit.
        activator_fraction: probability that an edge activates.
        seed: root seed; the stream is `Purpose.NETWORK`.

    Returns:
        A network without self-loops.

    Raises:
        SpecError: for a parameter that is not allowed.
    """
    _check_integer("genes", genes, low=2)
    _check_number("edges_per_gene", edges_per_gene, above=0.0)
    _check_number("activator_fraction", activator_fraction, at_least=0.0, at_most=1.0)
    n_regulators = _parse_regulators(regulators, genes)
    n_edges = _parse_edges(edges_per_gene, genes, n_regulators)
    rng = stream(seed, Purpose.NETWORK)
    pair = rng.choice(n_regulators * (genes - 1), size=n_edges, replace=False)
    regulator, other = np.divmod(pair, genes - 1)
    target = other + (other >= regulator)  # the numbering of the others skips the regulator itself
    return _assemble(np.column_stack((regulator, target)), genes, activator_fraction, rng)


def _assemble(
    edges: NDArray[np.int64],
    genes: int,
    activator_fraction: float,
    rng: np.random.Generator,
    *,
    group: NDArray[np.int64] | None = None,
) -> Network:
    """Draw signs, shuffle the genes, name them."""
    place = rng.permutation(genes)
    sign = np.where(rng.random(len(edges)) < activator_fraction, ACTIVATES, REPRESSES)
    placed = None
    if group is not None:
        placed = np.empty(genes, dtype=np.int32)
        placed[place] = group
    ends = place[edges].astype(np.int32)
    return Network(numbered_genes(genes), ends[:, 0], ends[:, 1], sign.astype(np.int8), group=placed)


GENERATORS: dict[str, Callable[..., Network]] = {
    "grouped-scale-free": grouped_scale_free,
    "erdos-renyi": erdos_renyi,
    "cascade": cascade,
    "feed-forward-loop": feed_forward_loop,
    "toggle-switch": toggle_switch,
    "repressilator": repressilator,
}


def _check_integer(field: str, value: object, *, low: int, high: int | None = None) -> None:
    allowed = f"a whole number >= {low}" if high is None else f"a whole number from {low} to {high}"
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not low <= int(value) <= (math.inf if high is None else high):  # type: ignore[call-overload]
        raise SpecError(field, value, allowed)


def _check_number(
    field: str, value: object, *, at_least: float = -math.inf, above: float = -math.inf, at_most: float = math.inf
) -> None:
    bounds = [f">= {at_least:g}"] * (at_least > -math.inf) + [f"> {above:g}"] * (above > -math.inf)
    bounds += [f"<= {at_most:g}"] * (at_most < math.inf)
    numeric = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    number = float(value) if numeric else math.nan  # type: ignore[arg-type]
    if not (math.isfinite(number) and at_least <= number <= at_most and number > above):
        raise SpecError(field, value, "a number " + " and ".join(bounds))


def _parse_regulators(fraction: float | None, genes: int) -> int:
    if fraction is None:
        return genes
    _check_number("regulators", fraction, above=0.0, at_most=1.0)
    return max(1, round(genes * fraction))


def _parse_edges(edges_per_gene: float, genes: int, n_regulators: int) -> int:
    most = n_regulators * (genes - 1)
    n_edges = max(1, round(genes * edges_per_gene))
    if n_edges > most:
        allowed = f"<= {most / genes:g}, all that {n_regulators} regulators of {genes} genes can have"
        raise SpecError("edges_per_gene", edges_per_gene, allowed)
    return n_edges
