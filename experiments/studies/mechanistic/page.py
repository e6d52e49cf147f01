"""The page of the mechanistic study: tables of truth by assumption with intervals over networks, and a picture.

In: the study's rows. Out: mechanistic.md and mechanistic.png. Every sentence of the conclusion comes from the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.outputs import write_whole
from experiments.report.style import CYCLE, drawing, guide_lines, new_figure, to_png
from experiments.report.summary import Interval, interval
from experiments.studies.mechanistic.world import (
    AUPRC,
    COVERAGE,
    EDGES_PER_GENE,
    ERROR,
    GENES,
    HELD_OUT,
    KINETICS,
    REGULATIONS,
    SCORES,
    SIGNS,
    STEADY_GENES,
)
from experiments.studies.tables import shown, told

TITLES = {
    AUPRC: "Area under the precision-recall curve",
    SIGNS: "Share of true edges with the right sign (an edge without a score counts one half)",
    KINETICS: "Identified kinetics: median of |ln(estimate / truth)|",
    COVERAGE: "Share of 95% intervals of identified kinetics that hold the truth",
    ERROR: "Squared error of pairs that were not fitted, over that of no change (0 is perfect)",
}
DRAWN = {AUPRC: "precision-recall area", SIGNS: "right signs", ERROR: "prediction error"}
BETTER = {AUPRC: 1.0, SIGNS: 1.0, KINETICS: -1.0, ERROR: -1.0}  # whether more is better


def write_page(folder: Path, table: pd.DataFrame, made_by: dict[str, Any]) -> Path:
    """Write picture and page, and return the path of the page."""
    write_whole(folder / "mechanistic.png", picture(table))
    page = folder / "mechanistic.md"
    write_whole(page, "\n".join(_lines(table, made_by)) + "\n")
    return page


def summarise(table: pd.DataFrame, metric: str) -> dict[tuple[str, str], Interval]:
    """Return one `Interval` over networks for every true and assumed function."""
    chosen = table[table["metric"] == metric]
    return {
        (truth, fitted): interval(
            chosen.loc[(chosen["truth"] == truth) & (chosen["fitted"] == fitted), "score"].astype(float)
        )
        for truth in REGULATIONS
        for fitted in REGULATIONS
    }


def _lines(table: pd.DataFrame, made_by: dict[str, Any]) -> Iterator[str]:
    yield "# What a wrong regulation function costs"
    yield ""
    yield (
        f"`{made_by['command']}`, {made_by['date'][:10]}, {made_by['cores']} cores. {table['seed'].nunique()} networks "
        f"of {GENES} genes, {EDGES_PER_GENE:g} regulators per gene on average, beside {STEADY_GENES} genes that "
        "nothing regulates. Every regulator and every pair of them is knocked down; `ode-mechanistic` sees the "
        f"noise-free levels at rest of all but every {HELD_OUT}rd pair, which it predicts. Rows are the function of "
        "the world, columns the one that is fitted. Cells are means with 95% intervals (Student's t over networks). A "
        "cost is told from none at a false discovery rate of 5% among all wrong functions."
    )
    yield from ("", "## Conclusion", "")
    yield from (f"- {sentence}" for sentence in conclusion(table))
    yield from ("", "![scores of every fitted function in the world of every other](mechanistic.png)", "")
    for metric in SCORES:
        found = summarise(table, metric)
        yield from (f"## {TITLES[metric]}", "", f"| world | {' | '.join(REGULATIONS)} |", f"|---|{'--:|' * 4}")
        for truth in REGULATIONS:
            yield f"| {truth} | {' | '.join(shown(found[truth, fitted], digits=3) for fitted in REGULATIONS)} |"
        yield ""
    problems = table[table["problem"].astype(str) != ""]
    if len(problems):
        yield from ("## What failed", "")
        for (truth, fitted, problem), rows in problems.groupby(["truth", "fitted", "problem"], sort=False):
            yield f"- {fitted} in a world of {truth}, {rows['seed'].nunique()} networks: {problem}"
        yield ""
    yield "All scores of every network are in mechanistic.csv."


def conclusion(table: pd.DataFrame) -> Iterator[str]:
    """Yield what the right function reaches, and what the wrong ones cost on the same networks.

    Whether a cost is told from none is judged among all wrong functions of all worlds together.
    """
    for metric, better in BETTER.items():
        wide = table[table["metric"] == metric].assign(score=lambda rows: rows["score"].astype(float))
        wide = wide.pivot_table(index=["truth", "seed"], columns="fitted", values="score", sort=False)
        right = pd.Series({key: wide.at[key, key[0]] for key in wide.index})
        right.index = pd.MultiIndex.from_tuples(right.index, names=["truth", "seed"])
        wrong = {
            (truth, fitted): interval(better * (wide.loc[truth, fitted] - right.loc[truth]))
            for truth in REGULATIONS
            for fitted in REGULATIONS
            if fitted != truth and truth in wide.index.get_level_values("truth") and fitted in wide
        }
        wrong = {key: cost for key, cost in wrong.items() if cost.n}
        costs = dict(zip(wrong, told(list(wrong.values())), strict=True))
        if not wrong:
            continue
        truth, fitted = min(wrong, key=lambda key: wrong[key].mean)
        by_network = right.groupby("seed").mean()  # worlds of one seed have one network
        reached = f"{TITLES[metric].split(' (')[0]}: {shown(interval(by_network), digits=3)} with the right function"
        most = f"{fitted} in a world of {truth} ({shown(wrong[truth, fitted], digits=3)} on the same networks)"
        told_from_none = f"{sum(costs.values())} of {len(costs)} wrong functions cost something that is told from none"
        yield f"{reached}; most is lost by {most}; {told_from_none}."


def picture(table: pd.DataFrame) -> bytes:
    """Return the PNG: one panel per score, a group for each world, a mark for each fitted function."""
    with drawing():
        figure = new_figure(11.0, 3.6)
        panels = figure.subplots(1, len(DRAWN))
        for axes, (metric, title) in zip(panels, DRAWN.items(), strict=True):
            found = summarise(table, metric)
            for number, fitted in enumerate(REGULATIONS):
                cells = [found[truth, fitted] for truth in REGULATIONS]
                axes.errorbar(
                    np.arange(4) + 0.15 * (number - 1.5),
                    [one.mean for one in cells],
                    yerr=[[one.mean - one.low for one in cells], [one.high - one.mean for one in cells]],
                    fmt="o",
                    color=CYCLE[number],
                    markersize=4.5,
                    label=f"fitted: {fitted}",
                )
            axes.set_xticks(range(4), REGULATIONS, rotation=18, ha="right", rotation_mode="anchor")
            axes.set_title(title)
            guide_lines(axes, axis="y")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        return to_png(figure)
