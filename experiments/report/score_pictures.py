"""Pictures of scores: the anchored leaderboard as a dot plot, and predicted against true changes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.metrics import METRICS
from experiments.outputs import NPZ_ERRORS
from experiments.report.style import BLUE, CONTROL_INK, FAMILY_COLOURS, INK, MUTED, RULE, guide_lines, new_figure
from experiments.report.summary import NOTHING, Line, format_number, starts_family
from experiments.scoring import OK

WINDOW = (-0.6, 1.25)  # anchored scores outside it are drawn as a triangle at its edge, with their value
MAX_POINTS = 20_000
MANY = 7  # panels side by side
UNIT = "Δ log1p(counts per 10⁴)"


def anchored_picture(
    boards: Mapping[str, Sequence[Line]], metrics: Sequence[str], *, axis: str, width: float = 11.6
) -> Figure:
    """Return the dot plot of anchored scores: one row of panels per split, one panel per metric.

    Args:
        boards: title of each row -> its leaderboard, of which families stand together.
        metrics: names of the metrics, one column each.
        axis: what 0 and 1 are.
        width: inches.
    """
    kept = {title: [line for line in lines if line.status == OK] for title, lines in boards.items()}
    rows = [max(1, len(lines)) for lines in kept.values()]
    figure = new_figure(width, sum(0.27 * count + 0.5 for count in rows) + 0.45)
    grid = figure.subplots(len(kept), len(metrics), squeeze=False, height_ratios=[count + 1.2 for count in rows])
    for number, (title, lines) in enumerate(kept.items()):
        for column, metric in enumerate(metrics):
            axes = grid[number, column]
            _dots(axes, lines, metric)
            if len(metrics) > MANY:  # no room for more
                axes.set_xticks([0, 1], ["0", "1"])
            if number == 0:
                label = textwrap.fill(METRICS[metric].label, width=max(9, int(8.5 * width / len(metrics))))
                axes.set_title(label, fontsize=10, pad=22 if len(kept) > 1 else 8)
            if column == 0:
                axes.set_yticks(range(len(lines)), [line.fitter for line in lines])
                if len(kept) > 1:
                    axes.annotate(
                        title, (0, 1), (-4, 6), xycoords="axes fraction", textcoords="offset points", ha="right",
                        color=MUTED, fontweight="bold",
                    )  # fmt: skip
            else:
                axes.set_yticks(range(len(lines)), [])
            if column == len(metrics) - 1:
                _name_families(axes, lines)
    figure.supxlabel(axis, fontsize=9.5)
    return figure


def _name_families(axes: Axes, lines: Sequence[Line]) -> None:
    """Write the name of each family at the right of its first line, in its colour."""
    for y, (line, first) in enumerate(zip(lines, starts_family(lines), strict=True)):
        if first:
            colour = FAMILY_COLOURS.get(line.family, INK)
            axes.annotate(
                line.family, (1, y), (8, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center", fontsize=8.5, color=colour, annotation_clip=False,
            )  # fmt: skip


def _dots(axes: Axes, lines: Sequence[Line], metric: str) -> None:
    low, high = WINDOW
    guide_lines(axes, axis="x")
    for position in (0, 1):
        axes.axvline(position, color=MUTED, linewidth=0.9, zorder=1)
    n_controls = sum(line.is_control for line in lines)
    if 0 < n_controls < len(lines):
        axes.axhspan(len(lines) - n_controls - 0.5, len(lines) - 0.5, color="#f1f3f5", zorder=0)
    for y, first in enumerate(starts_family(lines)):
        if first and y:
            axes.axhline(y - 0.5, color=RULE, linewidth=0.9, zorder=1)
    for y, line in enumerate(lines):
        value = line.anchored.get(metric, NOTHING)
        if not math.isfinite(value.mean):
            continue
        colour = FAMILY_COLOURS.get(line.family, INK)
        ends = [min(max(end, low), high) for end in (value.low, value.high)]
        axes.plot(ends, [y, y], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2)
        if low <= value.mean <= high:
            for end, edge, head in ((value.low, low, "<"), (value.high, high, ">")):
                if not low <= end <= high:  # the interval goes on outside of the picture
                    axes.plot(edge, y, head, markersize=4, color=colour, clip_on=False, zorder=3)
            marker = "D" if line.is_control else "o"
            fill = "white" if line.is_control else colour
            look: dict[str, Any] = {"color": colour, "markerfacecolor": fill, "markersize": 5.5}
            axes.plot(value.mean, y, marker, zorder=3, clip_on=False, **look)
        else:
            left = value.mean < low
            edge = low if left else high
            axes.plot(edge, y, "<" if left else ">", markersize=6, color=colour, clip_on=False, zorder=3)
            axes.annotate(
                format_number(value.mean, 1), (edge, y), (6 if left else -6, 2.5),
                textcoords="offset points", va="bottom", ha="left" if left else "right", fontsize=8, color=colour,
            )  # fmt: skip
    axes.set_xlim(low, high)
    axes.set_xticks([-0.5, 0, 0.5, 1], ["−0.5", "0", "0.5", "1"])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def scatter_picture(predictions: Sequence[tuple[Line, Path]], *, columns: int = 4) -> Figure | None:
    """Return predicted against true changes, one panel per fitter, every held-out perturbation and gene a point.

    Args:
        predictions: each fitter with the npz file of its predictions under one seed.
        columns: panels per row.
    """
    panels = [(line, *changes) for line, path in predictions if (changes := _changes(path)) is not None]
    if not panels:
        return None
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(11.6, 2.75 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    limit = 1.05 * max(float(np.abs(true).max()) for _, true, _ in panels)
    for axes, (line, true, predicted) in zip(grid, panels, strict=False):
        colour = CONTROL_INK if line.is_control else BLUE
        axes.axhline(0, color=MUTED, linewidth=0.6)
        axes.axvline(0, color=MUTED, linewidth=0.6)
        axes.plot([-limit, limit], [-limit, limit], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        step = max(1, true.size // MAX_POINTS)
        inside = np.clip(predicted, -limit, limit)
        opacity = float(np.clip(1_500 / true.size, 0.2, 0.8))
        look: dict[str, Any] = {"color": colour, "alpha": opacity, "s": 6, "linewidths": 0}
        axes.scatter(true[::step], inside[::step], rasterized=True, zorder=3, **look)
        axes.set_title(line.fitter)
        axes.set_aspect("equal")
        axes.set_xlim(-limit, limit)
        axes.set_ylim(-limit, limit)
    for axes in grid[max(0, len(panels) - columns) : len(panels)]:
        axes.tick_params(labelbottom=True)  # the panel below it may not exist
    for axes in grid[len(panels) :]:
        axes.remove()
    figure.supxlabel(f"true change, {UNIT}", fontsize=9.5)
    figure.supylabel(f"predicted change, {UNIT}", fontsize=9.5)
    return figure


def _changes(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the true and the predicted changes of all held-out perturbations and genes, flat; None if unreadable."""
    try:
        with path.open("rb") as file, np.load(file) as stored:  # of a damaged file numpy would leave the path open
            question = stored["question"]
            true = stored["true"] - stored["true_control"][question]
            predicted = stored["predicted"] - stored["predicted_control"][question]
        answered = np.isfinite(predicted).all(axis=1)
        return true[answered].ravel(), predicted[answered].ravel()
    except NPZ_ERRORS:
        return None
