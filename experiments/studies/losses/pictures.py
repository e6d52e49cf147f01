"""Pictures of the study of losses: error by weight in every system, and every term epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.report.style import CYCLE, drawing, guide_lines, new_figure, to_png
from experiments.report.summary import interval
from experiments.studies.losses.settings import BASE, Setting


def draw_errors(relative: pd.Series) -> bytes:
    """Return the PNG: a panel per fitter and system, a line per time and number of cells, with intervals."""
    fitters = list(dict.fromkeys(relative.index.get_level_values("fitter")))
    systems = list(dict.fromkeys(relative.index.get_level_values("controls")))
    weights = sorted(set(relative.index.get_level_values("weight")))
    knobs = sorted(set(relative.index.droplevel(["controls", "fitter", "weight", "seed"])))
    from matplotlib.ticker import LogLocator, NullFormatter

    with drawing():
        figure = new_figure(4.6 * len(systems), 3.0 * len(fitters) + 0.6)
        grid = figure.subplots(len(fitters), len(systems), sharey="row", squeeze=False)
        for row, fitter in enumerate(fitters):
            for column, controls in enumerate(systems):
                axes = grid[row, column]
                here = relative.xs((controls, fitter), level=("controls", "fitter"))
                for (hours, cells), values in here.groupby(level=["hours", "cells"]):
                    number = knobs.index((hours, cells))
                    own = [weight for weight in weights if weight in values.index.get_level_values("weight")]
                    found = [interval(values.xs(weight, level="weight")) for weight in own]
                    axes.errorbar(
                        np.array([weights.index(weight) for weight in own]) + 0.06 * (number - 2),
                        [one.mean for one in found],
                        yerr=[0.0 if one.n < 2 else one.half_width for one in found],
                        color=CYCLE[number % len(CYCLE)],
                        marker="o",
                        markersize=3.5,
                        linewidth=1.1,
                        label=f"{hours:g} h, {cells} cells",
                    )
                axes.axhline(1.0, color="0.6", linewidth=0.8, linestyle=":")
                axes.set_title(f"{fitter}, {controls} controls")
                axes.set_xticks(range(len(weights)), ["off" if weight == 0 else f"{weight:g}" for weight in weights])
                axes.set_yscale("log")
                axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))  # labels also within one decade
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_formatter(NullFormatter())
                guide_lines(axes, axis="y")
                if row == len(fitters) - 1:
                    axes.set_xlabel("weight of the steady state of controls")
                if column == 0:
                    axes.set_ylabel("error over no change")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5)
        return to_png(figure)


def draw_curves(curves: Sequence[dict[str, Any]]) -> bytes:
    """Return the PNG: a panel per fitter and system at the base, terms by colour, weights by line.

    Lines are geometric means over networks, as far as all of them were trained.
    """
    panels: dict[tuple[str, str], dict[tuple[str, float], list[np.ndarray]]] = {}
    for controls in dict.fromkeys(curve["setting"].split(",")[0] for curve in curves):
        base = Setting(controls, BASE["hours"], int(BASE["cells"])).name
        for curve in (one for one in curves if one["setting"] == base):
            panel = panels.setdefault((curve["fitter"], controls), {})
            values = np.array(curve["training"])
            for number, term in enumerate(curve["terms"]):
                panel.setdefault((term, curve["weight"]), []).append(values[:, number])
    keys = sorted(panels)
    columns = max(1, len({controls for _, controls in keys}))
    rows = max(1, -(-len(keys) // columns))
    terms = list(dict.fromkeys(term for panel in panels.values() for term, _ in panel))
    with drawing():
        figure = new_figure(4.6 * columns, 3.0 * rows + 0.6)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, key in zip(grid.ravel(), keys, strict=False):
            for (term, weight), runs in panels[key].items():
                shortest = min(map(len, runs))  # beyond it the mean would be of other networks
                together = np.array([run[:shortest] for run in runs])
                mean = np.exp(np.log(np.maximum(together, np.finfo(float).tiny)).mean(axis=0))
                style = {0.0: ":", 0.1: "-.", 1.0: "-", 10.0: "--"}.get(weight, "-")
                color = CYCLE[terms.index(term) % len(CYCLE)]
                label = f"{term}, {'off' if weight == 0 else f'{weight:g}'}"
                axes.plot(np.arange(1, shortest + 1), mean, color=color, linestyle=style, linewidth=1.1, label=label)
            axes.set_yscale("log")
            axes.set_title(f"{key[0]}, {key[1]} controls")
            axes.set_xlabel("epoch")
            guide_lines(axes, axis="y")
        handles: dict[str, Any] = {}
        for axes in grid.ravel():
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, fontsize=7)
        return to_png(figure)
