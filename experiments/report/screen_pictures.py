"""Pictures of a data set: its network, the counts of its cells, and how well its guides worked."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from experiments.report.style import BLUE, CYCLE, GREEN, INK, MUTED, RULE, VERMILLION, guide_lines, new_figure
from simcell.dataset import iter_counts
from simcell.labels import CONTROL
from simcell.schema import get_array, get_group

ACHIEVED = {"crispri": "Knockdown achieved", "crispra": "Activation achieved"}
OTHERWISE = "Change of the target achieved"
MAX_DRAWN_GENES = 60  # beyond, a picture of edges is a hairball and degrees say more


def network_picture(tree: xr.DataTree) -> Figure:
    """Return the true network: drawn if it is small, its distributions of degrees if it is large."""
    genes = get_array(tree, "counts/gene").values.tolist()
    network = get_group(tree, "truth/network")
    edges = list(zip(*(network[name].values.tolist() for name in ("regulator", "target", "sign")), strict=True))
    return _drawn(genes, edges) if len(genes) <= MAX_DRAWN_GENES else _degrees(genes, edges)


def _drawn(genes: list[str], edges: list[tuple[str, str, int]]) -> Figure:
    figure = new_figure(5.6, 5.0)
    axes = figure.subplots()
    drawn = [gene for gene in genes if any(gene in edge[:2] and edge[0] != edge[1] for edge in edges)]
    graph = nx.Graph()
    graph.add_nodes_from(drawn)
    graph.add_edges_from((regulator, target) for regulator, target, _ in edges if regulator != target)
    place = nx.kamada_kawai_layout(graph) if len(drawn) > 2 else nx.circular_layout(graph)
    regulators = {regulator for regulator, _, _ in edges}
    for regulator, target, sign in edges:
        if regulator == target:
            continue  # a self-loop is stated in the legend, not drawn
        axes.annotate(
            "", place[target], place[regulator],
            arrowprops={
                "arrowstyle": "-|>" if sign > 0 else "|-|,widthA=0,widthB=0.25",
                "color": BLUE if sign > 0 else VERMILLION,
                "linewidth": 0.8, "alpha": 0.65, "shrinkA": 5, "shrinkB": 6, "connectionstyle": "arc3,rad=0.08",
            },
        )  # fmt: skip
    for gene in drawn:
        regulates = gene in regulators
        axes.plot(*place[gene], "o", markersize=8 if regulates else 5, color=INK if regulates else MUTED)
        if regulates or len(genes) <= 20:
            axes.annotate(gene, place[gene], (5, 5), textcoords="offset points", fontsize=7.5)
    axes.set_axis_off()
    axes.margins(0.08)
    loops = sum(regulator == target for regulator, target, _ in edges)
    handles = [
        Line2D([], [], color=BLUE, label="activates"),
        Line2D([], [], color=VERMILLION, label="represses"),
        Line2D([], [], color=INK, marker="o", linestyle="", label="regulator"),
        Line2D([], [], color=MUTED, marker="o", markersize=4, linestyle="", label="other gene"),
    ]
    left_out = [(loops, "self-loops"), (len(genes) - len(drawn), "genes without an edge")]
    title = ", ".join(f"{count} {what}" for count, what in left_out if count)
    title = f"not drawn: {title}" if title else ""
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, 0.02), ncols=4, title=title, columnspacing=1.2)
    return figure


def _degrees(genes: list[str], edges: list[tuple[str, str, int]]) -> Figure:
    figure = new_figure(5.6, 3.6)
    axes = figure.subplots()
    position = {gene: index for index, gene in enumerate(genes)}
    columns = (("out-degree (targets per gene)", 0, BLUE), ("in-degree (regulators per gene)", 1, GREEN))
    for label, column, colour in columns:
        degree = np.bincount([position[str(edge[column])] for edge in edges], minlength=len(genes))
        positive = np.unique(degree[degree > 0])
        share = [(degree >= value).mean() for value in positive]
        axes.plot(positive, share, "o-", markersize=3.5, linewidth=1.2, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("degree k")
    axes.set_ylabel("fraction of genes with degree ≥ k")
    guide_lines(axes, axis="both")
    axes.legend()
    return figure


def count_pictures(tree: xr.DataTree) -> Figure:
    """Return the quality of the counts: UMIs per cell in every batch, and the expression left of each target."""
    figure = new_figure(11.6, 3.8)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    _umis(left, tree)
    _targets(right, tree)
    return figure


def _umis(axes: Axes, tree: xr.DataTree) -> None:
    n_umis = get_array(tree, "cells/n_umis").values
    batch = np.array(get_array(tree, "cells/batch").values.tolist())
    positive = n_umis[n_umis > 0]
    bins = np.geomspace(max(1, positive.min()), positive.max() + 1, 40).tolist()
    names = np.unique(batch)
    for number, name in enumerate(names):
        label = f"{name}, median {np.median(n_umis[batch == name]):,.0f}" if len(names) <= 8 else None
        style = "-" if number < len(CYCLE) else "--"
        colour = CYCLE[number % len(CYCLE)]
        look: dict[str, Any] = {"histtype": "step", "linewidth": 1.5, "linestyle": style, "color": colour}
        axes.hist(n_umis[batch == name], bins=bins, label=label, **look)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:,.0f}" if str(value)[0] in "25" else "")
    axes.set_xlabel("UMIs per cell")
    axes.set_ylabel("cells")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("Depth, by batch")
    guide_lines(axes, axis="y")
    if len(names) <= 8:
        axes.legend()


def expression_left(tree: xr.DataTree) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return the targets perturbed singly, and the expression of each relative to control: intended, true, measured.

    Intended is 1 minus the mean efficacy of the target's guides, which is what a repressing guide leaves of its
    target's transcription; it is NaN for other modalities. True and measured are fractions of all molecules, relative
    to the same in control, pooled over times.
    """
    label = np.array(get_array(tree, "cells/perturbation").values.tolist())
    genes = get_array(tree, "counts/gene").values.tolist()
    present = set(np.unique(label[get_array(tree, "cells/planned").values]).tolist())
    targets = [gene for gene in genes if gene in present]
    column = {gene: index for index, gene in enumerate(genes)}
    at = np.array([column[gene] for gene in targets], dtype=int)
    row = {name: index for index, name in enumerate([CONTROL, *targets])}
    code = np.array([row.get(name, -1) for name in label])
    total = np.zeros((len(row), len(genes)))
    for start, counts in iter_counts(tree):
        group = code[start : start + len(counts)]
        for index in np.unique(group[group >= 0]):
            total[index] += counts[group == index].sum(axis=0)
    measured = _ratio(total, at)
    response = get_group(tree, "truth/response")
    known = {str(name): index for index, name in enumerate(response["perturbation"].values.tolist())}
    mean = response["ensemble_mean"].values.mean(axis=0)[[known[name] for name in row]]
    return targets, _intended(tree, targets), _ratio(mean, at), measured


def _ratio(total: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return each target's share of the molecules of its own perturbation, relative to its share in control (row 0)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = total / total.sum(axis=1, keepdims=True)
        return share[np.arange(1, len(at) + 1), at] / share[0, at]


def _intended(tree: xr.DataTree, targets: list[str]) -> np.ndarray:
    guides = get_group(tree, "truth/guides")
    target = np.array(guides["target"].values.tolist())
    represses = np.array([name.lower() == "crispri" for name in guides["modality"].values.tolist()])
    efficacy = np.where(represses, guides["efficacy"].values, np.nan)
    return np.array([1 - efficacy[target == gene].mean() if (target == gene).any() else np.nan for gene in targets])


def achieved(tree: xr.DataTree) -> str:
    """Return what the guides of a screen are to achieve, by their modality."""
    modalities = {str(name).lower() for name in get_array(tree, "truth/guides/modality").values.tolist()}
    return ACHIEVED.get(modalities.pop(), OTHERWISE) if len(modalities) == 1 else OTHERWISE


def _targets(axes: Axes, tree: xr.DataTree) -> None:
    _, intended, true, measured = expression_left(tree)
    if np.isfinite(intended).any():
        x, label = intended, "intended: 1 − mean efficacy of the guides"
        axes.plot(x, true, "o", markersize=6, markerfacecolor="none", color=MUTED, label="true (network responds)")
    else:
        x, label = true, "true expression of the target, relative to control"
    axes.plot(x, measured, "o", markersize=3.5, color=BLUE, label="measured", alpha=0.85)
    shown = np.concatenate([x[np.isfinite(x)], true[np.isfinite(true)], measured[np.isfinite(measured)], [0.0]])
    top = 1.08 * max(float(shown.max()), 0.1)
    axes.plot([0, top], [0, top], color=RULE, linewidth=1.2, zorder=0)
    axes.set_xlim(0, max(1.08 * float(np.nanmax(x)), 0.1) if np.isfinite(x).any() else 1)
    axes.set_ylim(0, top)
    axes.set_xlabel(label)
    axes.set_ylabel("expression of the target,\nrelative to control")
    axes.set_title(f"{achieved(tree)}, one point per target")
    axes.legend()
