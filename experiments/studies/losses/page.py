"""The page of the study of losses: verdicts on two claims, tables with intervals over networks, pictures.

In: the study's rows and curves. Out: losses.md, losses.png and curves.png. All sentences of the conclusion are
computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.outputs import write_whole
from experiments.report.summary import NOTHING, interval
from experiments.studies.losses.pictures import draw_curves, draw_errors
from experiments.studies.losses.settings import (
    DRIFTING,
    FIRST_SAMPLE,
    GENES,
    ON,
    RESTARTS,
    STATIONARY,
    STEADY_GENES,
    TERM,
    VARIANTS,
)
from experiments.studies.losses.verdicts import CLAIMS, Verdict, by_network, conclusion, relative_error, verdicts
from experiments.studies.tables import shown

SHOWN = {
    "error": "True test error, over that of predicting no change",
    "spread of parameters": "Spread of parameters over restarts, over their size, where parameters have a meaning",
    "spread of field": "Spread of the learned field over restarts at the same states, over its size",
    "spectral abscissa": "Spectral abscissa of the learned field at the control state, per hour",
    "field at control": "The learned field at the control state, over its size at measured states",
}


def write_page(folder: Path, table: pd.DataFrame, curves: Sequence[dict[str, Any]], made_by: dict[str, Any]) -> Path:
    """Write pictures and page, and return the path of the page."""
    wide = by_network(table)
    write_whole(folder / "losses.png", draw_errors(relative_error(wide)))
    write_whole(folder / "curves.png", draw_curves(curves))
    page = folder / "losses.md"
    write_whole(page, "\n".join(_lines(table, wide, made_by)) + "\n")
    return page


def _lines(table: pd.DataFrame, wide: pd.DataFrame, made_by: dict[str, Any]) -> Iterator[str]:
    yield "# Should controls be asked to stand still? The steady-state loss, off, on, and its weight"
    yield ""
    yield (
        f"`{made_by['command']}`, {made_by['date'][:10]}, {made_by['cores']} cores. {table['seed'].nunique()} networks "
        f"of {GENES} genes beside {STEADY_GENES} that nothing regulates; all regulators knocked down alone and in "
        "pairs, of which half are held out. Cells are taken at three times: "
        f"{FIRST_SAMPLE:g} h after transduction, before guides act, half way, and at the end. In the system "
        f'"{STATIONARY}" cells stay in the medium in which they were at rest; in "{DRIFTING}" they are moved to '
        f"another one as they are transduced, so that controls change too. The term `{TERM}` adds `weight` times the "
        "mean square of the learned field at control cells to the loss of each fitter. Errors are of predicted changes "
        "against the true ones at infinite depth, over genes that are not targets, at the times at which guides act. "
        + " ".join(
            f"`{fitter}` has the options {_options(variant.options)}."
            for fitter, variant in VARIANTS.items()
            if fitter in set(table["fitter"])
        )
        + f" Each is fitted with {RESTARTS} seeds, which choose the perturbations held out to stop by and, for `node`, "
        "the start: that is what spreads are over. The units of a network may change places, so that parameters of "
        "`node` are not compared, but its field. Controls come back after a push if the spectral abscissa is below 0, "
        "as far as the field is 0 there. The field is per day and in units of the state in `node`, per "
        "lifetime of each mRNA and over the errors of measurement in `ode-mechanistic`: their weights do not compare."
    )
    yield ""
    yield (
        "The claims are those of Kovačević et al., *No Foundations without Foundations* (arXiv:2501.19178): with the "
        "steady-state loss a neural ordinary differential equation predicts better, and its parameters vary less."
    )
    yield from ("", "## Conclusion", "")
    found = verdicts(wide)
    yield from (f"- {sentence}" for sentence in conclusion(found))
    yield from ("", "## Ratio on/off of every claim in every setting", "")
    yield (
        f"A ratio is the value at weight {ON:g} over that at 0 in the same network, with its own 95% interval. What is "
        f"bold, or decided above, differs from 1 at a false discovery rate of 5% among all {len(found)} ratios."
    )
    yield ""
    yield from _ratios(found)
    yield from ("", "![Error by weight of the steady-state loss](losses.png)", "")
    yield "![Terms of the loss, epoch by epoch](curves.png)"
    for metric, title in SHOWN.items():
        if metric not in wide:
            continue
        yield from ("", f"## {title}", "")
        values = relative_error(wide) if metric == "error" else wide[metric].drop(index="no-change", level="fitter")
        yield from _table(values.dropna(), digits=4 if metric == "spectral abscissa" else 2)
    problems = table[table["problem"].astype(str) != ""]
    if len(problems):
        yield from ("", "## What failed", "")
        for (fitter, problem), rows in problems.groupby(["fitter", "problem"], sort=False):
            yield f"- {fitter}, {'once' if len(rows) == 1 else f'{len(rows)} times'}: {problem}"
    yield from ("", "Means with 95% intervals (Student's t over networks). Every value is in losses.csv.")


def _options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {str(value).lower()}" for name, value in options.items())


def _table(values: pd.Series, *, digits: int) -> Iterator[str]:
    weights = sorted(set(values.index.get_level_values("weight")))
    yield "| controls | hours | cells | fitter | " + " | ".join(f"weight {weight:g}" for weight in weights) + " |"
    yield "|---|--:|--:|---|" + "--:|" * len(weights)
    for (controls, hours, cells, fitter), rows in values.groupby(level=[0, 1, 2, 3], sort=False):
        given = rows.index.get_level_values("weight")
        found = [interval(rows.xs(weight, level="weight")) if weight in given else NOTHING for weight in weights]
        means = " | ".join(shown(one, digits=digits) for one in found)
        yield f"| {controls} | {hours:g} | {cells} | {fitter} | {means} |"


def _ratios(found: Sequence[Verdict]) -> Iterator[str]:
    """Yield a table of the ratios of every setting; those that are told from 1 are bold."""
    yield f"| controls | hours | cells | fitter | {' | '.join(CLAIMS)} |"
    yield "|---|--:|--:|---|" + "--:|" * len(CLAIMS)
    cells: dict[tuple[str, float, int, str], dict[str, str]] = {}
    for one in found:
        said = f"**{one.ratio}**" if one.told else one.ratio
        cells.setdefault((one.controls, one.hours, one.cells, one.fitter), {})[one.metric] = said
    for (controls, hours, n_cells, fitter), said_of in cells.items():
        ratios = " | ".join(said_of.get(metric, "–") for metric in CLAIMS)
        yield f"| {controls} | {hours:g} | {n_cells} | {fitter} | {ratios} |"
