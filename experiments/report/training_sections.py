"""What the page says of trainings: curves of every loss, what each training took, and what fitters were told."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from experiments.outputs import Folder, slug
from experiments.report.loss_pictures import losses_picture
from experiments.report.style import to_svg
from experiments.report.summary import family_rank

_NAMES = ("screen", "split", "fitter", "stage", "term", "device", "name", "kind", "description")


def losses_section(home: Folder, scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the loss curves of each screen and split, and what its trainings took; none where nothing was trained."""
    losses, trainings = _read(home.losses), _read(home.trainings)
    families = scores.groupby("fitter")["family"].max().to_dict()
    found = []
    for (screen, split), rows in losses.groupby(["screen", "split"], sort=False):
        fitters = sorted(dict.fromkeys(rows["fitter"]), key=lambda fitter: family_rank(str(families.get(fitter, ""))))
        took = trainings[(trainings["screen"] == screen) & (trainings["split"] == split)]
        svg = to_svg(
            losses_picture(rows, fitters),
            name=slug("losses", screen, split),
            description=f"Loss terms by epoch, {screen}, {split}",
        )
        table = [line for fitter in fitters for line in _took(took[took["fitter"] == fitter])]
        found.append({"title": f"{screen}, {split}", "picture": Markup(svg), "trainings": table})
    return found


def knowledge_section(home: Folder) -> list[dict[str, str]]:
    """Return what fitters were told beside the cells, under the first seed of each screen; none where nothing."""
    told = _read(home.knowledge)
    if told.empty:
        return []
    first = told.groupby("screen", sort=False)["seed"].transform("first")
    keys = ("screen", "name", "kind", "description")
    return [{key: str(row[key]) for key in keys} for row in told[told["seed"] == first].to_dict("records")]


def _read(path: Path) -> pd.DataFrame:
    """Return a table of the folder, of which names stay text; an empty one where there is none."""
    if not path.is_file():
        return pd.DataFrame(columns=["screen", "split", "fitter"])
    missing = dict.fromkeys(("training", "held_out", "weight", "seconds"), "")
    return pd.read_csv(path, dtype=dict.fromkeys(_NAMES, str), na_values=missing, keep_default_na=False)


def _took(rows: pd.DataFrame) -> list[dict[str, str]]:
    """Return a line for each stage of a fitter, with means over seeds."""
    return [
        {
            "fitter": str(each["fitter"].iloc[0]),
            "stage": str(stage) or "–",
            "epochs": _mean(each["epochs"]),
            "kept": _mean(each.loc[each["best_epoch"] > 0, "best_epoch"]) if (each["best_epoch"] > 0).any() else "last",
            "seconds": _seconds(each["seconds"]),
            "memory": _memory(each["peak_memory"]),
            "device": ", ".join(sorted(set(each["device"]) - {""})) or "–",
        }
        for stage, each in rows.groupby("stage", sort=False)
    ]


def _mean(values: pd.Series) -> str:
    return f"{values.mean():,.0f}"


def _seconds(values: pd.Series) -> str:
    mean = float(values.mean())
    return "–" if not mean else f"{mean:.2f}" if mean < 10 else f"{mean:,.0f}"


def _memory(values: pd.Series) -> str:
    most = float(values.max())
    return f"{most / 1e9:.2f} GB" if most and math.isfinite(most) else "–"
