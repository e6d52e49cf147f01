"""Graphs to tell a fitter beforehand, made from the true network of a data set: as it is, or corrupted on purpose.

In: a data set, the fraction of edges that are to be wrong, a seed. Out: a `PriorGraph`. The same names and seed give
the same graph, and what is wrong at one fraction is wrong at every larger one.
"""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from fitters.knowledge import PriorGraph
from fitters.name_keys import pair_uniforms
from simcell.errors import SpecError
from simcell.schema import get_array, get_group


def prior_graph(tree: xr.DataTree, *, corrupted: float, seed: int) -> PriorGraph:
    """Return the true network, each edge of which is replaced with probability `corrupted` by a pair that is no edge.

    The regulator keeps its number of targets: what is wrong is whom it regulates, not how many. Its new target is drawn
    evenly from the genes, itself apart, that it does not regulate; an edge of a regulator that has no such gene left is
    left out. All draws belong to the names of the pair and to the seed, so that order is of no account. A pair's draw
    decides whether it is replaced, if it is an edge, and otherwise when it is chosen in place of one.

    Args:
        tree: a data set with ``truth/network``.
        corrupted: between 0, the true network, and 1, of which no edge is true.
        seed: at least 0.

    Returns:
        Edges sorted by regulator and target, and a description that says how many are true.

    Raises:
        SpecError: a fraction or a seed out of range.
        DataError: a data set without its truth.
    """
    if isinstance(corrupted, bool) or not isinstance(corrupted, (int, float)) or not 0 <= corrupted <= 1:
        raise SpecError("corrupted", corrupted, "a number between 0 and 1")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise SpecError("seed", seed, "a whole number >= 0")
    network = get_group(tree, "truth/network")
    genes = sorted(get_array(tree, "counts/gene").values.tolist())
    true = {(str(r), str(t)) for r, t in zip(network["regulator"].values, network["target"].values, strict=True)}
    targets_of: dict[str, set[str]] = {}
    for regulator, target in true:
        targets_of.setdefault(regulator, set()).add(target)

    columns = np.arange(len(genes))
    edges: list[tuple[str, str]] = []
    for regulator, targets in sorted(targets_of.items()):
        row = np.full(len(genes), genes.index(regulator))
        draw = pair_uniforms(genes, row, columns, seed=seed)
        is_target = np.array([gene in targets for gene in genes])
        kept = np.flatnonzero(is_target & (draw >= corrupted))
        free = np.flatnonzero(~is_target & (columns != row[0]))
        chosen = free[np.argsort(draw[free], kind="stable")][: len(targets) - kept.size]
        edges += [(regulator, genes[column]) for column in sorted((*kept.tolist(), *chosen.tolist()))]
    return PriorGraph(tuple(edges), _description(edges, true, corrupted))


def _description(edges: list[tuple[str, str]], true: set[tuple[str, str]], corrupted: float) -> str:
    if not corrupted:
        return f"the true network, {len(edges)} edges"
    right = sum(edge in true for edge in edges)
    share = 1.0 - right / len(edges) if edges else math.nan
    return f"the true network with {share:.0%} of its {len(edges)} edges replaced, targets per regulator kept"
