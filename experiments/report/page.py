"""From the folder of a benchmark to `report.html` and `leaderboard.png`; everything is read back from the folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from experiments.benchmark_spec import BenchmarkSpec
from experiments.controls import CONTROLS
from experiments.metrics import METRICS, Judges, Metric
from experiments.outputs import Folder, read_json, slug, task_id, write_whole
from experiments.report.boards import AXIS, boards, in_seconds, key
from experiments.report.data_sections import facts_section, screen_section
from experiments.report.network_pictures import curves_picture
from experiments.report.score_pictures import anchored_picture, scatter_picture
from experiments.report.style import drawing, to_png, to_svg
from experiments.report.summary import Interval, Line, against_truth, arrow, family_rank, leaderboard, number
from experiments.report.training_sections import knowledge_section, losses_section
from experiments.scoring import FAILED, OK
from experiments.world import true_world
from fitters.registry import describe
from simcell.dataset import load as load_data
from simcell.errors import SimcellError
from simcell.spec import parse_spec

CONTROL_SUMMARIES = {
    "oracle": "Predicts the true responses at infinite depth; no fitter can know them.",
    "replicate": "Predicts the pseudobulks, and the cells, of a second draw of the same screen: what doing it again "
    "would give.",
}


def write_report(folder: str | Path) -> Path:
    """Draw the report of a benchmark that has been run; return its path.

    Args:
        folder: of the benchmark, with ``scores.csv``, ``benchmark.yaml``, predictions and data.
    """
    home = Folder(Path(folder))
    scores = _read_scores(home.scores)
    spec = parse_spec(home.spec.read_text(), model=BenchmarkSpec)
    metrics = [METRICS[name] for name in dict.fromkeys(scores["metric"])]
    with drawing():
        write_whole(home.picture, _leaderboard_png(scores, metrics))
        page = _template().render(
            title=spec.name,
            lead=_lead(scores),
            css=Markup(_text("page.css")),
            script=Markup(_text("page.js")),
            n_seeds=scores["seed"].nunique(),
            metrics=metrics,
            arrows={metric.name: arrow(metric.name) for metric in metrics},
            bests={
                metric.name: f", perfect is {_bound(metric.best)}" if math.isfinite(metric.best) else ""
                for metric in metrics
            },
            ranges={metric.name: " to ".join(_bound(end) for end in metric.range) for metric in metrics},
            boards=boards(scores, Judges.PREDICTION),
            cell_boards=boards(scores, Judges.CELLS),
            network_boards=boards(scores, Judges.NETWORK),
            kinetics_boards=boards(scores, Judges.KINETICS),
            scatters=_scatters(home, scores),
            curves=_curves(home, scores),
            screens=[screen_section(home, str(name), rows) for name, rows in scores.groupby("screen", sort=False)],
            facts=facts_section(home),
            losses=losses_section(home, scores),
            told=knowledge_section(home),
            failures=_failures(scores),
            notes=_notes(scores),
            fitters=_fitters(spec, scores),
            tasks=_tasks(scores, metrics),
            provenance=_provenance(read_json(home.provenance)),
            specification=home.spec.read_text(),
        )
    write_whole(home.report, page)
    return home.report


def _read_scores(path: Path) -> pd.DataFrame:
    """Read the table of scores; what is a name stays text, be it ``007`` or ``NA``."""
    texts = dict.fromkeys(
        ("screen", "split", "fitter", "family", "status", "message", "value_note", "anchor_note"), str
    )
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


def _leaderboard_png(scores: pd.DataFrame, metrics: Sequence[Metric]) -> bytes:
    """Return the picture for a README: the first screen, all splits, the metrics of predictions against truth."""
    first = scores[scores["screen"] == scores["screen"].iloc[0]]
    judges = Judges.PREDICTION if any(metric.judges is Judges.PREDICTION for metric in metrics) else metrics[0].judges
    chosen = against_truth(metric.name for metric in metrics if metric.judges is judges)
    rows = {str(split): leaderboard(rows, judges) for split, rows in first.groupby("split", sort=False)}
    return to_png(anchored_picture(rows, chosen, axis=AXIS.get(judges, ""), width=9.0))


def _lines(scores: pd.DataFrame, judges: Judges) -> list[tuple[str, str, int, list[tuple[Line, str]]]]:
    """Return each screen and split with its first seed, and the lines that have scores with the ids of their tasks."""
    found = []
    for (screen, split), rows in scores.groupby(["screen", "split"], sort=False):
        seed = int(scores.loc[scores["screen"] == screen, "seed"].iloc[0])
        done = [line for line in leaderboard(rows, judges) if line.status == OK]
        found.append((screen, split, seed, [(line, task_id(screen, seed, split, line.fitter)) for line in done]))
    return found


def _curves(home: Folder, scores: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    for screen, split, seed, done in _lines(scores, Judges.NETWORK):
        paths = [(line, home.estimate(task)) for line, task in done if not line.is_control]
        try:
            figure = curves_picture(paths, true_world(load_data(home.data(screen, seed)))) if paths else None
        except SimcellError:
            continue  # the data are gone, as the section on screens says
        if figure is not None:
            name = f"Precision and recall of edges, {screen}, {split}"
            svg = to_svg(figure, name=slug("curves", screen, split), description=name)
            found.append({"title": f"{screen}, {split}, seed {seed}", "picture": Markup(svg)})
    return found


def _scatters(home: Folder, scores: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    for screen, split, seed, done in _lines(scores, Judges.PREDICTION):
        figure = scatter_picture([(line, home.prediction(task)) for line, task in done])
        if figure is not None:
            name = f"Predicted against true changes, {screen}, {split}"
            svg = to_svg(figure, name=slug("scatter", screen, split), description=name)
            found.append({"title": f"{screen}, {split}, seed {seed}", "picture": Markup(svg)})
    return found


def _failures(scores: pd.DataFrame) -> list[dict[str, str]]:
    failed = scores[scores["status"] == FAILED].drop_duplicates(["screen", "seed", "split", "fitter"])
    keys = ["screen", "split", "fitter", "message"]
    return [
        dict(zip(keys, map(str, key), strict=True)) | {"seeds": ", ".join(map(str, rows["seed"]))}
        for key, rows in failed.groupby(keys, sort=False)
    ]


def _notes(scores: pd.DataFrame) -> list[dict[str, str]]:
    """Return what fits that succeeded want a reader to know, of the first seed of each screen."""
    said = scores[(scores["status"] == OK) & (scores["message"] != "")]
    keys = ["screen", "split", "fitter"]
    return [
        {key: str(row[key]) for key in (*keys, "message")}
        for _, row in said.drop_duplicates(keys).sort_values("fitter", kind="stable").iterrows()
    ]


def _fitters(spec: BenchmarkSpec, scores: pd.DataFrame) -> list[dict[str, str]]:
    names = {fitter.title: fitter.name for fitter in spec.fitters}
    options = {fitter.title: _options(fitter.options) for fitter in spec.fitters}
    families = scores.groupby("fitter")["family"].max()
    found = []
    for title in sorted(dict.fromkeys(scores["fitter"]), key=lambda title: family_rank(str(families[title]))):
        if title in CONTROLS:
            entry = {"summary": CONTROL_SUMMARIES[title], "source": "", "claims": "", "assumptions": ""}
        else:
            entry = _described(names.get(title, title))
        given = {"options": options.get(title, "")}
        found.append({"name": title, "family": str(families[title])} | entry | given)
    return found


def _options(given: dict[str, Any]) -> str:
    """Return options of a fitter that were not left to their defaults, for reading."""
    return ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in given.items())


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
                    {"value": number(Interval(values[metric.name], math.nan, 1)), "key": key(values[metric.name])}
                    for metric in metrics
                ],
                "n_queries": int(rows["n_queries"].max()),
                "seconds": in_seconds(took),
                "seconds_key": key(took),
                "status": OK if (rows["status"] == OK).any() else rows["status"].iloc[0],
            }
        )
    return found


def _provenance(stored: dict[str, Any]) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in stored.get("versions", {}).items())
    fields = [(name, str(stored.get(name, ""))) for name in ("command", "date", "machine", "cores", "fingerprint")]
    return [*fields, ("versions", versions)]


def _bound(value: float) -> str:
    return "∞" if value == math.inf else f"{value:g}".replace("-", "−")
