"""The page of the recovery study: a table with intervals over networks, a picture, and what the numbers say.

In: the study's rows. Out: recovery.md and recovery.png. Every sentence of the conclusion is computed from the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.outputs import write_whole
from experiments.report.style import CYCLE, drawing, guide_lines, new_figure, to_png
from experiments.report.summary import interval
from experiments.studies.recovery.settings import (
    BASE,
    CELLS,
    CONTROL_SHARES,
    EDGES_PER_GENE,
    GENES,
    NOISE_FREE,
    REGULATORS,
    STEADY_GENES,
)
from experiments.studies.recovery.world import AUPRC
from experiments.studies.tables import shown

RECOVERED = 0.95  # area under the precision-recall curve from which a network counts as found
SIGNS = "sign-accuracy"
MARKS = ("o", "s", "^", "D")  # of fitters of the same colour


def write_page(folder: Path, table: pd.DataFrame, made_by: dict[str, Any]) -> Path:
    """Write picture and page, and return the path of the page."""
    write_whole(folder / "recovery.png", picture(table))
    page = folder / "recovery.md"
    write_whole(page, "\n".join(_lines(table, made_by)) + "\n")
    return page


def summarise(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return one `Interval` over networks for every setting (rows, in order) and fitter (columns)."""
    chosen = table[table["metric"] == metric]
    names = chosen["knob"] + ", " + chosen["value"]
    rows = list(dict.fromkeys(names))
    fitters = list(dict.fromkeys(table["fitter"]))
    scores = chosen["score"].astype(float)
    found = {
        fitter: [interval(scores[(names == row) & (chosen["fitter"] == fitter)]) for row in rows] for fitter in fitters
    }
    return pd.DataFrame(found, index=rows)


def _lines(table: pd.DataFrame, made_by: dict[str, Any]) -> Iterator[str]:
    area, signs = summarise(table, AUPRC), summarise(table, SIGNS)
    n_networks = table["seed"].nunique()
    yield "# Which fitters recover the network, and what is left as screens become real"
    yield ""
    yield (
        f"`{made_by['command']}`, {made_by['date'][:10]}, {made_by['cores']} cores. {n_networks} networks of {GENES} "
        f"genes, of which up to {GENES * REGULATORS:g} regulate, {EDGES_PER_GENE:g} regulators per gene, beside "
        f"{STEADY_GENES} genes that nothing regulates. Regulation is linear, the form that `ridge-network`, "
        "`sparse-inverse` and the linear `scm` fitters assume: their own world. The knob `regulation` leaves it. In "
        f"the base every regulator is knocked down by 80%, in {CELLS} cells on average and {CONTROL_SHARES} times as "
        "many controls, captured at the default depth; one knob at a time leaves the base. In the noise-free worlds "
        "fitters see one cell per condition, the mean-field response itself: fitters that learn from what varies "
        "between cells (`co-expression`, `dagma`, `gies`, `sort-by-*`, in part `scm-nonlinear`) have nothing to learn "
        "from there."
    )
    yield ""
    yield (
        "Cells of the tables are means with 95% intervals (Student's t over networks). Candidates are all ordered "
        "pairs of different genes whose first was perturbed. Defaults of every fitter. Some defaults were chosen while "
        "looking at worlds of this generator, so that differences between the methods that are made here and the "
        "packages `gies` and `dagma` are in favour of the former."
    )
    yield from ("", "## Conclusion", "")
    yield from (f"- {sentence}" for sentence in conclusion(table))
    yield from ("", "![area under the precision-recall curve of every fitter along each knob](recovery.png)", "")
    yield from ("## Area under the precision-recall curve", "")
    yield from _table(area, chance=_base_rates(table))
    yield from ("", "## Share of true edges with the right sign (an edge without a score counts one half)", "")
    yield from _table(signs)
    problems = table[table["problem"].astype(str) != ""]
    if len(problems):
        yield from ("", "## What failed", "")
        for (fitter, problem), rows in problems.groupby(["fitter", "problem"], sort=False):
            yield f"- {fitter}, in {len(rows)} worlds: {problem}"
    yield from ("", "All scores of every network are in recovery.csv.")


def _table(summary: pd.DataFrame, *, chance: pd.Series | None = None) -> Iterator[str]:
    heads = list(summary.columns)
    yield f"| world | {' | '.join(heads)} |{' chance |' if chance is not None else ''}"
    yield f"|---|{'--:|' * len(heads)}{'--:|' if chance is not None else ''}"
    for name, row in summary.iterrows():
        cells = " | ".join(shown(row[fitter], digits=2) for fitter in heads)
        yield f"| {name} | {cells} |" + (f" {chance[name]:.2f} |" if chance is not None else "")


def _base_rates(table: pd.DataFrame) -> pd.Series:
    """Return the share of true edges among candidates, by setting: the area of scores that are all alike."""
    wide = table.pivot_table(index=["knob", "value", "seed", "fitter"], columns="metric", values="score", sort=False)
    rate = (wide[AUPRC] / wide["auprc-ratio"]).groupby(level=[0, 1], sort=False).mean()
    rate.index = [f"{knob}, {value}" for knob, value in rate.index]
    return rate


def conclusion(table: pd.DataFrame) -> Iterator[str]:
    """Yield sentences on who recovers the network and what costs most, computed from the rows of the study.

    Fitters are compared on the same networks, by paired differences. Settings are compared by skill, the area above
    chance over that of a perfect ranking above chance, since chance differs between them.
    """
    area, signs = summarise(table, AUPRC), summarise(table, SIGNS)
    for name in (row for row in area.index if row.startswith(NOISE_FREE)):
        found = [fitter for fitter in area if area.at[name, fitter].low >= RECOVERED]
        kinds = name.removeprefix(f"{NOISE_FREE}, ")
        who = ", ".join(f"{fitter} (signs {signs.at[name, fitter].mean:.2f})" for fitter in found) or "nobody"
        yield (
            f"Without noise, in networks with {kinds}, the network is recovered (the interval of the area lies above "
            f"{RECOVERED}) by {who}."
        )
    base = f"{BASE}, cycles"
    if base not in area.index:
        return
    mean = area.map(lambda found: found.mean)
    best = str(mean.loc[base].idxmax())
    near = [fitter for fitter in area if fitter != best and not _ahead(table, base, best, fitter)]
    alike = f"not told apart from {', '.join(near)}" if near else "ahead of all others"
    reached = shown(area.at[base, best], digits=2)
    yield f"In the base screen {best} comes first with {reached}, {alike} (paired over networks)."
    skill = _skill(table)[best]
    knobs = [row for row in area.index if not row.startswith((NOISE_FREE, BASE))]
    if knobs:
        worst, easiest = skill[knobs].idxmin(), skill[knobs].idxmax()
        yield (
            f"Of the skill of {best} in the base ({skill[base]:.2f} of the way from chance to perfect), most is lost "
            f"with {worst} ({skill[worst]:.2f} left); it is best with {easiest} ({skill[easiest]:.2f})."
        )
        ahead = [
            f"{row} ({leader})"
            for row in knobs
            if (leader := str(mean.loc[row].idxmax())) != best and _ahead(table, row, leader, best)
        ]
        if ahead:
            yield f"Another fitter is ahead (paired over networks) at: {'; '.join(ahead)}."
        else:
            yield f"At no setting is another fitter ahead of {best} (paired over networks)."


def _by_network(table: pd.DataFrame) -> pd.DataFrame:
    """Return areas, networks and settings as rows, fitters as columns."""
    chosen = table[table["metric"] == AUPRC]
    names = chosen["knob"] + ", " + chosen["value"]
    return chosen.assign(name=names, score=chosen["score"].astype(float)).pivot_table(
        index=["name", "seed"], columns="fitter", values="score", sort=False
    )


def _ahead(table: pd.DataFrame, name: str, leader: str, other: str) -> bool:
    """Return whether one fitter's area is above another's, by the interval of their differences over networks."""
    areas = _by_network(table).loc[name]
    if other not in areas or areas[other].isna().all():
        return True  # it was not run
    return interval(areas[leader] - areas[other]).low > 0.0


def _skill(table: pd.DataFrame) -> pd.DataFrame:
    """Return (area - chance)/(1 - chance), settings as rows, fitters as columns."""
    area = summarise(table, AUPRC).map(lambda found: found.mean)
    chance = _base_rates(table).reindex(area.index)
    return area.sub(chance, axis=0).div(1.0 - chance, axis=0)


def picture(table: pd.DataFrame) -> bytes:
    """Return the PNG: one panel per knob, one line per fitter, with intervals over networks."""
    area = summarise(table, AUPRC)
    knobs = list(dict.fromkeys(name.split(", ")[0] for name in area.index))
    panels = [knob for knob in knobs if knob != BASE]
    columns = 3
    rows = -(-len(panels) // columns)
    with drawing():
        figure = new_figure(11.0, 2.9 * rows + 0.5)
        grid = np.atleast_1d(figure.subplots(rows, columns, sharey=True, squeeze=False)).ravel()
        for axes, knob in zip(grid, panels, strict=False):
            names = [name for name in area.index if name.startswith(f"{knob}, ")]
            ticks = [name.removeprefix(f"{knob}, ") for name in names]
            if knob != NOISE_FREE:
                names, ticks = [f"{BASE}, cycles", *names], ["base", *ticks]
            for number, fitter in enumerate(area):
                found = [area.at[name, fitter] for name in names]
                shift = (number / max(len(area.columns) - 1, 1) - 0.5) * 0.5
                axes.errorbar(
                    np.arange(len(names)) + shift,
                    [one.mean for one in found],
                    yerr=[[one.mean - one.low for one in found], [one.high - one.mean for one in found]],
                    fmt=MARKS[number // len(CYCLE) % len(MARKS)],
                    color=CYCLE[number % len(CYCLE)],
                    markersize=4.5,
                    linewidth=1.1,
                    label=fitter,
                )
            axes.set_title(knob)
            axes.set_xticks(range(len(names)), ticks, rotation=18, ha="right", rotation_mode="anchor")
            axes.set_ylim(0.0, 1.03)
            guide_lines(axes, axis="y")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[::columns]:
            axes.set_ylabel("area under precision-recall")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5)
        return to_png(figure)
