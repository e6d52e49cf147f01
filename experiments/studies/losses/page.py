"""The page of the study of losses: verdicts on two claims, tables with intervals over networks, pictures.

In: the study's rows and curves. Out: losses.md, losses.png and curves.png. All sentences of the conclusion are
computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from experiments.outputs import write_whole
from experiments.report.summary import LEVEL, NOTHING, Interval, interval
from experiments.studies.losses.pictures import draw_curves, draw_errors
from experiments.studies.losses.settings import (
    BASE,
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
from experiments.studies.tables import shown

CLAIMS = {
    "error": "a lower test error",
    "spread of parameters": "steadier parameters",
    "spread of field": "a steadier field",
}
SHOWN = {
    "error": "True test error, over that of predicting no change",
    "spread of parameters": "Spread of parameters over restarts, over their size",
    "spread of field": "Spread of the learned field over restarts at the same states, over its size",
    "spectral abscissa": "Spectral abscissa of the learned field at the control state, per hour",
}


def write_page(folder: Path, table: pd.DataFrame, curves: Sequence[dict[str, Any]], made_by: dict[str, Any]) -> Path:
    """Write pictures and page, and return the path of the page."""
    wide = by_network(table)
    write_whole(folder / "losses.png", draw_errors(relative_error(wide)))
    write_whole(folder / "curves.png", draw_curves(curves))
    page = folder / "losses.md"
    write_whole(page, "\n".join(_lines(table, wide, made_by)) + "\n")
    return page


def by_network(table: pd.DataFrame) -> pd.DataFrame:
    """Return values by metric (columns) for each system, time, number of cells, fitter, weight and network (index)."""
    keys = ["controls", "hours", "cells", "fitter", "weight", "seed"]
    kept = table[table["value"].notna()].assign(weight=table["weight"].fillna(-1.0).astype(float))
    return kept.pivot_table(index=keys, columns="metric", values="value", sort=False)


def relative_error(wide: pd.DataFrame) -> pd.Series:
    """Return the error of every fit over that of predicting no change in the same network."""
    error = wide["error"]
    nothing = error.xs("no-change", level="fitter").droplevel("weight")
    fits = error.drop(index="no-change", level="fitter")
    keys = fits.index.droplevel(["fitter", "weight"])
    return fits / nothing.reindex(keys).to_numpy()


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
        "the start: that is what spreads are over. The field is per day and in units of the state in `node`, per "
        "lifetime of each mRNA and over the errors of measurement in `ode-mechanistic`: their weights do not compare."
    )
    yield ""
    yield (
        "The claims are those of Kovačević et al., *No Foundations without Foundations* (arXiv:2501.19178): with the "
        "steady-state loss a neural ordinary differential equation predicts better, and its parameters vary less."
    )
    yield from ("", "## Conclusion", "")
    yield from (f"- {sentence}" for sentence in conclusion(wide))
    yield ""
    yield "Intervals are of each ratio by itself; verdicts are at a false discovery rate of 5% among all of them."
    yield from ("", "## Test error, on over off, along time and cells", "")
    yield from _ratios(wide["error"])
    yield from ("", "![Error by weight of the steady-state loss](losses.png)", "")
    yield "![Terms of the loss, epoch by epoch](curves.png)"
    for metric, title in SHOWN.items():
        yield from ("", f"## {title}", "")
        values = relative_error(wide) if metric == "error" else wide[metric].drop(index="no-change", level="fitter")
        yield from _table(values.dropna(), digits=4 if metric == "spectral abscissa" else 2)
    problems = table[table["problem"].astype(str) != ""]
    if len(problems):
        yield from ("", "## What failed", "")
        for (fitter, problem), rows in problems.groupby(["fitter", "problem"], sort=False):
            yield f"- {fitter}, {len(rows)} times: {problem}"
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


def conclusion(wide: pd.DataFrame) -> Iterator[str]:
    """Yield a verdict on each claim for every fitter and system, from paired ratios of on to off over networks.

    There are many: a claim holds, or its contrary is seen, at a false discovery rate of 5% among all of them
    (Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995), 289-300).
    """
    at_base = wide.xs((BASE["hours"], int(BASE["cells"])), level=("hours", "cells"))
    fitters = [one for one in dict.fromkeys(at_base.index.get_level_values("fitter")) if one != "no-change"]
    there = set(at_base.index.droplevel(["weight", "seed"]))
    found = [
        (f"`{fitter}`, {controls} controls: {claim}", log_ratio(at_base[metric], controls, fitter))
        for fitter in fitters
        for controls in (STATIONARY, DRIFTING)
        for metric, claim in CLAIMS.items()
        if metric in at_base and (controls, fitter) in there
    ]
    found = [(claim, one) for claim, one in found if one.n]
    chances = false_discovery_control([_chance(one) for _, one in found]) if found else []
    for (claim, one), chance in zip(found, chances, strict=True):
        yield _verdict(claim, one, told=bool(chance < 1.0 - LEVEL))


def _chance(found: Interval) -> float:
    """Return the two-sided p value of a mean of 0, by Student's t; 1 for one network."""
    if found.n < 2:
        return 1.0
    error = found.half_width / student.ppf((1.0 + LEVEL) / 2.0, found.n - 1)
    return float(2.0 * student.sf(abs(found.mean) / max(error, 1e-300), found.n - 1))


def _ratios(error: pd.Series) -> Iterator[str]:
    """Yield a table of the ratios of error at weight `ON` to those at 0 in every setting, paired over networks."""
    yield "| controls | hours | cells | fitter | ratio on/off | 95% interval |"
    yield "|---|--:|--:|---|--:|--:|"
    fits = error.drop(index="no-change", level="fitter")
    for (controls, hours, cells, fitter), _ in fits.groupby(level=["controls", "hours", "cells", "fitter"], sort=False):
        found = log_ratio(fits.xs((hours, cells), level=("hours", "cells")), controls, fitter)
        if found.n > 1:
            ratio, low, high = np.exp([found.mean, found.low, found.high])
            shape = f"{ratio:.2f} | {low:.2f} to {high:.2f}"
            yield f"| {controls} | {hours:g} | {cells} | {fitter} | {shape} |"


def log_ratio(values: pd.Series, controls: str, fitter: str) -> Interval:
    """Return the interval over networks of ln(value at weight `ON` / value at weight 0)."""
    here = values.xs((controls, fitter), level=("controls", "fitter")).unstack("weight")
    if ON not in here or 0.0 not in here:
        return interval(pd.Series(dtype=float))
    return interval(np.log(here[ON] / here[0.0]))


def _verdict(claim: str, found: Interval, *, told: bool) -> str:
    ratio = f"ratio on/off {np.exp(found.mean):.2f}, 95% interval {np.exp(found.low):.2f} to {np.exp(found.high):.2f}"
    if found.n < 2:
        verdict = "one network tells nothing"
    elif not told:
        verdict = "is undecided"
    else:
        verdict = "holds" if found.mean < 0.0 else "does not hold: the contrary is seen"
    return f"{claim} **{verdict}** ({ratio}, n = {found.n})."
