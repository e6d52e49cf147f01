"""The leaderboards as plain text for a terminal: the table of scores in, lines out."""

from __future__ import annotations

import pandas as pd

from experiments.controls import ORACLE
from experiments.metrics import METRICS, Judges
from experiments.report.summary import NOTHING, Line, against_truth, arrow, leaderboard, number, starts_family
from experiments.scoring import BASELINE, CONTROL_CELLS, FAILED, OK, ONE

SHORT = ("auprc-ratio", "auprc-ratio-signed", "sign-accuracy", "total-effect-distance")  # of the metrics of networks
SHOWN_ZERO = {Judges.PREDICTION: BASELINE, Judges.CELLS: CONTROL_CELLS, Judges.NETWORK: "chance"}


def leaderboard_text(scores: pd.DataFrame) -> str:
    """Return the leaderboards of all screens and splits as plain text, by family.

    First come those of predictions, then those of sampled cells, of networks and of kinetics. Shown are the metrics
    held against truth (all, if there are none), and some of those of networks. Values are means over seeds, with the
    half width of the 95% interval where there are two seeds or more; the last column is the anchored score of the
    first metric.
    """
    blocks = []
    for judges in Judges:
        judged = scores[[METRICS[name].judges is judges for name in scores["metric"]]]
        for (screen, split), rows in judged.groupby(["screen", "split"], sort=False):
            what = "" if judges is Judges.PREDICTION else f", {judges}"
            blocks.append(_block(f"{screen} / {split}{what}", rows, judges))
    return "\n\n".join(block for block in blocks if block)


def _block(title: str, rows: pd.DataFrame, judges: Judges) -> str:
    """Return one leaderboard; nothing where no fitter has a line."""
    metrics = against_truth(dict.fromkeys(rows["metric"]))
    if judges is Judges.NETWORK:
        metrics = [name for name in SHORT if name in metrics] or metrics
    lines = leaderboard(rows, judges)
    if all(line.is_control for line in lines):
        return ""
    n_seeds = rows["seed"].nunique()
    headline = metrics[0]
    anchored = ["anchored*"] if judges in SHOWN_ZERO else []
    head = ["fitter", *(f"{METRICS[name].label} {arrow(name)}" for name in metrics), *anchored]
    body = [_text_row(line, metrics, headline if anchored else None) for line in lines]
    full = [row for row in [head, *body] if len(row) == len(head)]
    widths = [max(len(row[column]) for row in full) for column in range(len(head))]
    widths[0] = max(len(row[0]) for row in [head, *body])
    rule = "-" * len(_align(head, widths))
    text = [f"{title} (n = {n_seeds} seed{'s' if n_seeds > 1 else ''})", _align(head, widths)]
    for line, row, first in zip(lines, body, starts_family(lines), strict=True):
        text += ([rule] if first and (line.is_control or line is lines[0]) else []) + ([line.family] if first else [])
        text.append(_align(row, widths))
    if anchored:
        text.append(f"* {METRICS[headline].label}: 0 = {SHOWN_ZERO[judges]}, 1 = {ONE.get(judges, ORACLE)}")
    return "\n".join(text)


def _text_row(line: Line, metrics: list[str], headline: str | None) -> list[str]:
    name = f"  {line.fitter}"
    if line.status != OK:
        return [name, f"{line.status}: {line.note}" if line.status == FAILED else line.status]
    values = [number(line.value.get(metric, NOTHING)) for metric in metrics]
    return [name, *values, *([number(line.anchored.get(headline, NOTHING), digits=2)] if headline else [])]


def _align(row: list[str], widths: list[int]) -> str:
    first = row[0].ljust(widths[0])
    if len(row) < len(widths):
        return f"{first}  {row[1]}"
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
