"""Leaderboards for the page: the scores of one screen and split in, a picture, a table and notes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from experiments.controls import FAMILY as CONTROL_FAMILY
from experiments.metrics import METRICS, Better, Judges, Metric
from experiments.outputs import slug
from experiments.report.score_pictures import anchored_picture
from experiments.report.style import FAMILY_COLOURS, INK, to_svg
from experiments.report.summary import (
    NOTHING,
    ROUNDING,
    Line,
    arrow,
    format_number,
    interval,
    leaderboard,
    number,
    starts_family,
)
from experiments.scoring import OK

NAMES = {Judges.PREDICTION: "", Judges.CELLS: ", cells", Judges.NETWORK: ", networks", Judges.KINETICS: ", kinetics"}
AXIS = {
    Judges.PREDICTION: "anchored score (0 = mean baseline, 1 = oracle)",
    Judges.CELLS: "anchored score (0 = control cells, 1 = replicate)",
    Judges.NETWORK: "anchored score (0 = chance, 1 = the true network)",
}


def boards(scores: pd.DataFrame, judges: Judges) -> list[dict[str, Any]]:
    """Return the leaderboards of all screens and splits by the metrics that judge one part of the answers.

    Those in which no fitter, controls aside, has a line are left out.
    """
    found = []
    chosen = scores[[METRICS[name].judges is judges for name in scores["metric"]]]
    for (screen, split), rows in chosen.groupby(["screen", "split"], sort=False):
        lines = leaderboard(rows, judges)
        if any(not line.is_control for line in lines):
            found.append(_board(f"{screen}, {split}", lines, rows, judges))
    return found


def _board(title: str, lines: list[Line], rows: pd.DataFrame, judges: Judges) -> dict[str, Any]:
    n_queries = rows.loc[rows["status"] == OK].groupby("seed")["n_queries"].max()
    seconds = rows[rows["status"] == OK].groupby("fitter")["seconds"].mean()
    metrics, notes = _scored(rows)
    best = {metric.name: _best(rows, metric) for metric in metrics}
    anchored = [metric.name for metric in metrics if any(metric.name in _finite(line.anchored) for line in lines)]
    asked = f"{n_queries.mean():.0f} held-out perturbations" if n_queries.any() else ""
    picture = ""
    if anchored and judges in AXIS:
        figure = anchored_picture({title: lines}, anchored, axis=AXIS[judges])
        name = f"Anchored scores{NAMES[judges]}, {title}"
        picture = Markup(to_svg(figure, name=slug("board", str(judges), title), description=name))
    return {
        "title": title,
        "caption": f"{asked}{' per seed' if rows['seed'].nunique() > 1 else ''}." if asked else "",
        "picture": picture,
        "notes": notes,
        "metrics": metrics,
        "anchored": bool(anchored),
        "arrows": {metric.name: arrow(metric.name) for metric in metrics},
        "rows": [
            _row(line, metrics, best, seconds) | {"first": first and place > 0}
            for place, (line, first) in enumerate(zip(lines, starts_family(lines), strict=True))
        ],
    }


def _scored(rows: pd.DataFrame) -> tuple[list[Metric], list[str]]:
    """Return the metrics by which anything has a score, and notes on those without, or without anchors."""
    metrics = [METRICS[name] for name in dict.fromkeys(rows["metric"])]
    missing = rows[(rows["value_note"] != "") & rows["value"].isna()]
    left = []
    unscored: dict[str, list[str]] = {}
    unanchored: dict[str, list[str]] = {}
    for metric in metrics:
        here = rows[rows["metric"] == metric.name]
        fitted = here[here["family"] != CONTROL_FAMILY]
        if metric.judges is not Judges.PREDICTION and not fitted["value"].notna().any():
            for reason in sorted(set(missing.loc[missing["metric"] == metric.name, "value_note"])):
                unscored.setdefault(reason, []).append(metric.label)
            continue
        left.append(metric)
        for reason in sorted(set(here.loc[here["anchor_note"] != "", "anchor_note"])) if metric.judges in AXIS else ():
            unanchored.setdefault(reason, []).append(metric.label)
    notes = [f"{_joined(labels)} no score: {reason}" for reason, labels in unscored.items()]
    return left, notes + [f"{_joined(labels, 'is', 'are')} not anchored: {why}" for why, labels in unanchored.items()]


def _joined(labels: Sequence[str], one: str = "has", more: str = "have") -> str:
    """Return "A, B and C have"."""
    text = " and ".join(part for part in (", ".join(labels[:-1]), labels[-1]) if part)
    return f"{text} {one if len(labels) == 1 else more}"


def _finite(values: dict[str, Any]) -> set[str]:
    return {name for name, value in values.items() if math.isfinite(value.mean)}


def _row(line: Line, metrics: Sequence[Metric], best: dict[str, set[str]], seconds: pd.Series) -> dict[str, Any]:
    cells = []
    for metric in metrics if line.status == OK else ():
        value, anchored = (table.get(metric.name, NOTHING) for table in (line.value, line.anchored))
        cells.append(
            {
                "value": number(value, digits=3 if metric.judges.by_query else 2),
                "anchored": number(anchored, digits=2),
                "key": key(-metric.merit(value.mean) if metric.better is Better.NEARER else value.mean),
                "best": line.fitter in best[metric.name],
            }
        )
    took = float(seconds.get(line.fitter, math.nan))
    return {
        "fitter": line.fitter,
        "family": line.family,
        "colour": FAMILY_COLOURS.get(line.family, INK),
        "is_control": line.is_control,
        "status": line.status,
        "note": line.note,
        "cells": cells,
        "seconds": in_seconds(took),
        "seconds_key": key(took),
    }


def _best(rows: pd.DataFrame, metric: Metric) -> set[str]:
    """Return the best fitter by a metric, controls aside, and all that seeds cannot tell from it.

    Those are the ones whose differences from the best within each seed have a mean whose 95% interval holds 0.
    """
    chosen = rows[(rows["metric"] == metric.name) & (rows["status"] == OK) & (rows["family"] != CONTROL_FAMILY)]
    table = metric.merit(chosen.pivot_table(index="seed", columns="fitter", values="value"))
    if table.empty:
        return set()
    leader = table[table.mean().idxmax()]
    gaps = {str(fitter): interval(leader - table[fitter]) for fitter in table}
    return {fitter for fitter, gap in gaps.items() if gap.n > 0 and gap.low <= ROUNDING}


def key(value: float) -> str:
    """Return what a number is sorted by; nothing for one that does not exist."""
    return repr(float(value)) if math.isfinite(value) else ""


def in_seconds(value: float) -> str:
    """Return a duration for reading."""
    if not math.isfinite(value):
        return "–"
    return format_number(value, 2) if value >= 0.01 else "< 0.01"
