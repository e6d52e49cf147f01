"""Pictures of trainings: every term of every loss by epoch, one panel for each stage of each fitter.

In: the rows of ``losses.csv`` of one screen and split. Out: a figure, of a size that does not grow with epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from experiments.report.style import CYCLE, INK, MUTED, guide_lines, new_figure

MOST_POINTS, MOST_THIN = 70, 40  # of a thick and of a thin line; of more epochs as many are drawn, evenly chosen
MOST_SEEDS = 5  # that have thin lines of their own
COLUMNS = 3
LOG_FROM = 10  # largest over smallest value from which a logarithmic axis shows more than a linear one
MOST_DECADES = 8
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
DASHED = (0, (4, 2.5))
COLOURS = (*CYCLE, "#8a6d00", MUTED, INK)


def losses_picture(losses: pd.DataFrame, fitters: Sequence[str]) -> Figure:
    """Return the curves of all terms, unweighted: solid in training, dashed on what was held out to stop by.

    Thick lines are means over seeds, as far as all of them went; thin ones are single seeds. A triangle at the foot is
    the epoch whose parameters a seed kept. The stages of a fitter stand side by side.

    Args:
        losses: rows of one screen and split.
        fitters: those of them that have a panel, in this order.
    """
    panels = [_stages(losses[losses["fitter"] == fitter]) for fitter in fitters]
    rows = _rows(panels)
    figure = new_figure(11.6, 2.9 * len(rows) + 0.3)
    grid = figure.subplots(len(rows), COLUMNS, squeeze=False)
    colours = _colours([set(stage["term"]) for stages in panels for stage in stages])
    for axes_of_row, row in zip(grid, rows, strict=True):
        axes_of_row[0].set_ylabel("value, unweighted")
        for axes, stage in zip(axes_of_row, row, strict=False):
            _curves(axes, stage, colours)
        for axes in axes_of_row[len(row) :]:
            axes.remove()
    figure.supxlabel("epoch", fontsize=9.5)
    return figure


def _stages(losses: pd.DataFrame) -> list[pd.DataFrame]:
    return [rows for _, rows in losses.groupby("stage", sort=False)]


def _rows(panels: Sequence[list[pd.DataFrame]]) -> list[list[pd.DataFrame]]:
    """Return what stands in each row of panels: the stages of a fitter in one row, where they fit into one."""
    rows: list[list[pd.DataFrame]] = [[]]
    for stages in panels:
        if rows[-1] and len(rows[-1]) + len(stages) > COLUMNS:
            rows.append([])
        for stage in stages:
            if len(rows[-1]) == COLUMNS:
                rows.append([])
            rows[-1].append(stage)
    return rows


def _colours(panels: Sequence[set[str]]) -> dict[str, str]:
    """Return a colour for each term, the same in all panels, and different from others of a panel as far as there are.

    The terms of most panels choose first.
    """
    count = {term: sum(term in terms for terms in panels) for terms in panels for term in terms}
    found: dict[str, str] = {}
    for term in sorted(count, key=lambda term: (-count[term], term)):
        beside = {found[other] for terms in panels if term in terms for other in terms if other in found}
        found[term] = next((colour for colour in COLOURS if colour not in beside), COLOURS[-1])
    return found


def _curves(axes: Axes, stage: pd.DataFrame, colours: dict[str, str]) -> None:
    guide_lines(axes, axis="y")
    log = _is_logarithmic(stage)
    shown: list[float] = []
    for term, rows in stage.groupby("term", sort=False):
        look: dict[str, Any] = {"color": colours[str(term)]}
        label = _label(str(term), rows["weight"])
        for column, style in (("training", "-"), ("held_out", DASHED)):
            seeds = _by_seed(rows, column, log=log)
            if not seeds:
                continue
            mean = np.mean([values[: min(map(len, seeds))] for values in seeds], axis=0)
            for values in seeds[:MOST_SEEDS] if len(seeds) > 1 else ():
                axes.plot(*_thinned(values, MOST_THIN), linestyle=style, linewidth=0.7, alpha=0.35, zorder=2, **look)
            marker = "o" if len(mean) == 1 else ""
            thick: dict[str, Any] = {"linewidth": 1.7, "marker": marker, "markersize": 4, "zorder": 3}
            axes.plot(
                *_thinned(mean, MOST_POINTS),
                linestyle=style,
                label=label if column == "training" else "",
                **thick,
                **look,
            )
            shown += [value for values in seeds for value in (np.nanmin(values), np.nanmax(values))]
    for best in sorted(set(stage.loc[stage["best_epoch"] > 0, "best_epoch"])):
        axes.plot(best, 0, "^", color=INK, markersize=5, clip_on=False, transform=axes.get_xaxis_transform(), zorder=4)
    _scale(axes, shown, log=log)
    fitter, name = str(stage["fitter"].iloc[0]), str(stage["stage"].iloc[0])
    axes.set_title(f"{fitter}, {name}" if name else fitter, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.02, -0.13), ncols=2, fontsize=8, handlelength=1.3, columnspacing=1.2,
        borderaxespad=0, labelspacing=0.25,
    )  # fmt: skip


def _is_logarithmic(stage: pd.DataFrame) -> bool:
    """Whether no value is negative and the positive ones span a decade; zeros then have no place, and are left out."""
    values = stage[["training", "held_out"]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    positive = values[values > 0]
    return bool(positive.size and (values >= 0).all() and positive.max() > LOG_FROM * positive.min())


def _by_seed(rows: pd.DataFrame, column: str, *, log: bool) -> list[np.ndarray]:
    """Return one array of values by epoch for each seed that has any; NaN where they are not finite."""
    found = [each[column].to_numpy(dtype=float) for _, each in rows.groupby("seed", sort=False)]
    found = [np.where(np.isfinite(values) & ((values > 0) | (not log)), values, np.nan) for values in found]
    return [values for values in found if np.isfinite(values).any()]


def _thinned(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return epochs and values, the first and the last among them."""
    kept = np.unique(np.linspace(0, len(values) - 1, min(len(values), most)).round().astype(int))
    return kept + 1, values[kept]


def _label(term: str, weight: pd.Series) -> str:
    if weight.nunique() > 1:
        return f"{term} × {weight.min():.2g} to {weight.max():.2g}"
    return f"{term} × {weight.iloc[0]:.3g}" if weight.iloc[0] else f"{term} (recorded only)"


def _scale(axes: Axes, shown: Sequence[float], *, log: bool) -> None:
    if not log:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        return
    axes.set_yscale("log")
    high = max(shown)
    low = max(min(shown), high * 10**-MOST_DECADES)
    axes.set_ylim(low / 1.3, high * 1.3)
    decades = math.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0), numticks=7))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: _decimal(value))


def _decimal(value: float) -> str:
    """Return a number of a logarithmic axis: as it is where that is short, else as a power of ten."""
    if 1e-3 <= value < 1e4:
        return f"{value:g}"
    power = math.floor(math.log10(value) + 1e-9)
    times = f"{value / 10**power:.0f}·" if round(value / 10**power) != 1 else ""
    return f"{times}10{str(power).translate(SUPERSCRIPT)}"
