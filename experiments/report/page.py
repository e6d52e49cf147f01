"""From the folder of a benchmark to `report.html` and `leaderboard.png`; everything is read back from the folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from experiments.benchmark_spec import BenchmarkSpec
from experiments.controls import CONTROLS
from experiments.controls import FAMILY as CONTROL_FAMILY
from experiments.metrics import METRICS, Better, Metric
from experiments.metrics.genes import N_TOP_GENES
from experiments.outputs import Folder, read_json, slug, task_id, write_whole
from experiments.report.score_pictures import anchored_picture, scatter_picture
from experiments.report.screen_pictures import MAX_DRAWN_GENES, count_pictures, network_picture
from experiments.report.style import FAMILY_COLOURS, INK, drawing, to_png, to_svg
from experiments.report.summary import (
    NOTHING,
    ROUNDING,
    Interval,
    Line,
    against_truth,
    arrow,
    format_number,
    interval,
    leaderboard,
    number,
)
from experiments.scoring import FAILED, OK
from fitters.registry import describe
from simcell.dataset import load as load_data
from simcell.errors import SimcellError
from simcell.schema import get_array
from simcell.spec import parse_spec

CONTROL_SUMMARIES = {
    "oracle": "Predicts the true responses at infinite depth; no fitter can know them.",
    "replicate": "Predicts the pseudobulks of a second draw of the same screen: what doing it again would give.",
}


def write_report(folder: str | Path) -> Path:
    """Draw the report of a benchmark that has been run; return its path.

    Args:
        folder: of the benchmark, with ``scores.csv``, ``benchmark.yaml``, predictions and data.
    """
    home = Folder(Path(folder))
    scores = _read_scores(home.scores)
    spec = parse_spec(home.spec.read_text(), model=BenchmarkSpec)
    boards = {key: leaderboard(rows) for key, rows in scores.groupby(["screen", "split"], sort=False)}
    metrics = [METRICS[name] for name in dict.fromkeys(scores["metric"])]
    with drawing():
        write_whole(home.picture, _leaderboard_png(boards, metrics))
        page = _template().render(
            title=spec.name,
            lead=_lead(scores),
            css=Markup(_text("page.css")),
            script=Markup(_text("page.js")),
            n_seeds=scores["seed"].nunique(),
            metrics=metrics,
            arrows={metric.name: arrow(metric.name) for metric in metrics},
            ranges={metric.name: " to ".join(_bound(end) for end in metric.range) for metric in metrics},
            boards=[_board(key, lines, scores, metrics) for key, lines in boards.items()],
            scatters=_scatters(home, boards, scores),
            screens=[_screen(home, str(name), rows) for name, rows in scores.groupby("screen", sort=False)],
            failures=_failures(scores),
            fitters=_fitters(spec, scores),
            tasks=_tasks(scores, metrics),
            provenance=_provenance(read_json(home.provenance)),
            specification=home.spec.read_text(),
        )
    write_whole(home.report, page)
    return home.report


def _read_scores(path: Path) -> pd.DataFrame:
    """Read the table of scores; what is a name stays text, be it ``007`` or ``NA``."""
    texts = dict.fromkeys(("screen", "split", "fitter", "family", "status", "message", "anchor_note"), str)
    missing = dict.fromkeys(("value", "anchored", "seconds"), "")
    return pd.read_csv(path, dtype=texts, na_values=missing, keep_default_na=False)


def _text(name: str) -> str:
    return files("experiments.report").joinpath(name).read_text(encoding="utf-8")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_text("page.html.j2"))


def _lead(scores: pd.DataFrame) -> str:
    fitters = scores[~scores["fitter"].isin(CONTROLS)]
    counts = [(fitters[column].nunique(), column) for column in ("screen", "seed", "split", "fitter")]
    words = [f"{count} {name}{'s' if count != 1 else ''}" for count, name in counts]
    return f"{', '.join(words[:-1])}; {words[-1]} and the controls {' and '.join(CONTROLS)}."


def _leaderboard_png(boards: dict[Any, list[Line]], metrics: Sequence[Metric]) -> bytes:
    """Return the picture for a README: the first screen, all splits, the metrics against truth."""
    first = next(iter(boards))[0]
    chosen = against_truth(metric.name for metric in metrics)
    rows = {split: lines for (screen, split), lines in boards.items() if screen == first}
    return to_png(anchored_picture(rows, chosen, width=9.0))


def _board(key: tuple[str, str], lines: list[Line], scores: pd.DataFrame, metrics: Sequence[Metric]) -> dict[str, Any]:
    screen, split = key
    rows = scores[(scores["screen"] == screen) & (scores["split"] == split)]
    n_queries = rows.loc[rows["status"] == OK].groupby("seed")["n_queries"].max()
    seconds = rows[rows["status"] == OK].groupby("fitter")["seconds"].mean()
    best = {metric.name: _best(rows, metric) for metric in metrics}
    noted = rows.loc[rows["anchor_note"] != "", ["metric", "anchor_note"]].drop_duplicates()
    notes = [f"{METRICS[name].label} is not anchored: {why}" for name, why in noted.itertuples(index=False)]
    figure = anchored_picture({split: lines}, [metric.name for metric in metrics])
    asked = f"{n_queries.mean():.0f} held-out perturbations" if len(n_queries) else "no scores"
    return {
        "title": f"{screen}, {split}",
        "caption": f"{asked}{' per seed' if rows['seed'].nunique() > 1 else ''}.",
        "picture": Markup(
            to_svg(figure, name=slug("board", screen, split), description=f"Anchored scores, {screen}, {split}")
        ),
        "notes": sorted(notes),
        "rows": [_row(line, metrics, best, seconds) for line in lines],
    }


def _row(line: Line, metrics: Sequence[Metric], best: dict[str, set[str]], seconds: pd.Series) -> dict[str, Any]:
    cells = []
    for metric in metrics if line.status == OK else ():
        value, anchored = (table.get(metric.name, NOTHING) for table in (line.value, line.anchored))
        cells.append(
            {
                "value": number(value),
                "anchored": number(anchored, digits=2),
                "key": _key(value.mean),
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
        "seconds": _seconds(took),
        "seconds_key": _key(took),
    }


def _best(rows: pd.DataFrame, metric: Metric) -> set[str]:
    """Return the best fitter by a metric, controls aside, and all that seeds cannot tell from it.

    Those are the ones whose differences from the best within each seed have a mean whose 95% interval holds 0.
    """
    sign = 1.0 if metric.better is Better.HIGHER else -1.0
    chosen = rows[(rows["metric"] == metric.name) & (rows["status"] == OK) & (rows["family"] != CONTROL_FAMILY)]
    table = sign * chosen.pivot_table(index="seed", columns="fitter", values="value")
    if table.empty:
        return set()
    leader = table[table.mean().idxmax()]
    gaps = {str(fitter): interval(leader - table[fitter]) for fitter in table}
    return {fitter for fitter, gap in gaps.items() if gap.n > 0 and gap.low <= ROUNDING}


def _scatters(home: Folder, boards: dict[Any, list[Line]], scores: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    for (screen, split), lines in boards.items():
        seed = scores.loc[scores["screen"] == screen, "seed"].iloc[0]
        done = [line for line in lines if line.status == OK]
        paths = [(line, home.prediction(task_id(screen, seed, split, line.fitter))) for line in done]
        figure = scatter_picture(paths)
        if figure is not None:
            name = f"Predicted against true changes, {screen}, {split}"
            svg = to_svg(figure, name=slug("scatter", screen, split), description=name)
            found.append({"title": f"{screen}, {split}, seed {seed}", "picture": Markup(svg)})
    return found


def _screen(home: Folder, name: str, rows: pd.DataFrame) -> dict[str, Any]:
    seed = int(rows["seed"].iloc[0])
    title = f"{name}, seed {seed}"
    try:
        tree = load_data(home.data(name, seed))
    except SimcellError as error:
        return {"title": title, "caption": f"No data: {error}", "counts": ""}
    cells, genes = tree["counts"].sizes["cell"], tree["counts"].sizes["gene"]
    labels = np.unique(get_array(tree, "cells/perturbation").values.tolist())
    order = get_array(tree, "cells/n_perturbations").values
    edges = tree["truth/network"].sizes["edge"]
    unplanned = int((~get_array(tree, "cells/planned").values).sum())
    aside = f"; {unplanned:,} cells with an unplanned combination of guides were left out" if unplanned else ""
    few = f" Metrics over the {N_TOP_GENES:,} genes highest in control take all {genes:,}." * (genes < N_TOP_GENES)
    drawn = "The true network" if genes <= MAX_DRAWN_GENES else "Degrees in the true network"
    return {
        "title": title,
        "caption": f"{cells:,} cells, {genes:,} genes, {len(labels) - 1:,} perturbations of up to {order.max()} "
        f"gene{'s' if order.max() > 1 else ''}, {(order == 0).sum():,} control cells{aside}.{few}",
        "counts": Markup(
            to_svg(
                count_pictures(tree),
                name=slug("counts", name),
                description=f"UMIs per cell and targets, {title}",
            )
        ),
        "network": Markup(to_svg(network_picture(tree), name=slug("network", name), description=f"{drawn}, {title}")),
        "network_caption": f"{drawn}: {genes:,} genes, {edges:,} edges.",
    }


def _failures(scores: pd.DataFrame) -> list[dict[str, str]]:
    failed = scores[scores["status"] == FAILED].drop_duplicates(["screen", "seed", "split", "fitter"])
    keys = ["screen", "split", "fitter", "message"]
    return [
        dict(zip(keys, map(str, key), strict=True)) | {"seeds": ", ".join(map(str, rows["seed"]))}
        for key, rows in failed.groupby(keys, sort=False)
    ]


def _fitters(spec: BenchmarkSpec, scores: pd.DataFrame) -> list[dict[str, str]]:
    names = {fitter.title: fitter.name for fitter in spec.fitters}
    families = scores.groupby("fitter")["family"].max()
    found = []
    for title in dict.fromkeys(scores["fitter"]):
        if title in CONTROLS:
            entry = {"summary": CONTROL_SUMMARIES[title], "source": "", "claims": "", "assumptions": ""}
        else:
            entry = _described(names.get(title, title))
        found.append({"name": title, "family": str(families[title])} | entry)
    return found


def _described(name: str) -> dict[str, str]:
    try:
        entry = describe(name)
    except SimcellError as error:
        return {"summary": str(error), "source": "", "claims": "", "assumptions": ""}
    summary = entry.summary.replace("`", "")
    sides = {"claims": entry.claims, "assumptions": entry.assumptions}
    return {"summary": summary, "source": entry.source} | {
        name: ", ".join(sorted(map(str, values))) for name, values in sides.items()
    }


def _tasks(scores: pd.DataFrame, metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    found = []
    for (screen, split, seed, fitter), rows in scores.groupby(["screen", "split", "seed", "fitter"], sort=False):
        values = dict(zip(rows["metric"], rows["value"], strict=True))
        took = float(rows["seconds"].iloc[0])
        found.append(
            {
                "screen": screen,
                "split": split,
                "seed": seed,
                "fitter": fitter,
                "is_control": fitter in CONTROLS,
                "cells": [
                    {"value": number(Interval(values[metric.name], math.nan, 1)), "key": _key(values[metric.name])}
                    for metric in metrics
                ],
                "n_queries": int(rows["n_queries"].max()),
                "seconds": _seconds(took),
                "seconds_key": _key(took),
                "status": rows["status"].iloc[0],
            }
        )
    return found


def _provenance(stored: dict[str, Any]) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in stored.get("versions", {}).items())
    fields = [(name, str(stored.get(name, ""))) for name in ("command", "date", "machine", "cores", "fingerprint")]
    return [*fields, ("versions", versions)]


def _key(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _seconds(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return format_number(value, 2) if value >= 0.01 else "< 0.01"


def _bound(value: float) -> str:
    return "∞" if value == math.inf else f"{value:g}".replace("-", "−")
