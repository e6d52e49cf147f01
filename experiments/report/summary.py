"""The table of scores, condensed over seeds: means with 95% intervals, in leaderboards by family."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from experiments.controls import FAMILY as CONTROL_FAMILY
from experiments.metrics import METRICS, Against, Better, Judges
from experiments.scoring import FAILED, NOT_CLAIMED, OK, not_claimed
from fitters.contract import FAMILIES

LEVEL = 0.95
ROUNDING = 1e-9  # what is smaller is rounding of sums, and shown as 0


@dataclass(frozen=True)
class Interval:
    """A mean over n seeds with its Student t interval; the half width is NaN where n < 2."""

    mean: float
    half_width: float
    n: int

    @property
    def low(self) -> float:
        """Lower end; the mean itself where there is no interval."""
        return self.mean - (self.half_width if self.n > 1 else 0.0)

    @property
    def high(self) -> float:
        """Upper end; the mean itself where there is no interval."""
        return self.mean + (self.half_width if self.n > 1 else 0.0)


NOTHING = Interval(math.nan, math.nan, 0)  # no seed has a score


def interval(values: pd.Series) -> Interval:
    """Return the mean of the finite values and its 95% interval by Student's t."""
    finite = values[np.isfinite(values)].to_numpy(dtype=float)
    n = len(finite)
    if n == 0:
        return NOTHING
    if n == 1:
        return Interval(float(finite[0]), math.nan, 1)
    half_width = student.ppf((1 + LEVEL) / 2, n - 1) * finite.std(ddof=1) / math.sqrt(n)
    return Interval(float(finite.mean()), float(half_width), n)


@dataclass(frozen=True)
class Line:
    """One fitter in a leaderboard.

    Attributes:
        fitter: name.
        family: family; "control" for oracle and replicate.
        status: "ok" if any seed succeeded, else what became of it.
        note: why not ok, or how many seeds failed.
        value: metric -> mean over seeds.
        anchored: metric -> mean over seeds of the anchored score.
    """

    fitter: str
    family: str
    status: str
    note: str
    value: dict[str, Interval]
    anchored: dict[str, Interval]

    @property
    def is_control(self) -> bool:
        """Whether it saw the truth or did the experiment again."""
        return self.family == CONTROL_FAMILY


def leaderboard(scores: pd.DataFrame, judges: Judges = Judges.PREDICTION) -> list[Line]:
    """Return the lines of one screen and split: families in their order, controls last; in each, from best to worst.

    The order within a family is that of the mean anchored score over the metrics held against truth (over all, if there
    are none); seeds that miss the best score on either side do not cancel in it. Then come those without a score. A
    fitter that does not claim the kind of answer at all has no line.

    Args:
        scores: rows of one screen and split.
        judges: what the metrics judge by which lines are made.
    """
    rows = scores[[METRICS[name].judges is judges for name in scores["metric"]]]
    lines = [_line(str(fitter), found) for fitter, found in rows.groupby("fitter", sort=False)]
    lines = [line for line in lines if line.note != not_claimed(line.fitter, [judges.claim])]
    return sorted(lines, key=lambda line: (family_rank(line.family), line.status != OK, -_rank(line), line.fitter))


def family_rank(family: str) -> tuple[bool, int, str]:
    """Return where a family stands among others: as in `FAMILIES`, unknown ones after them, controls last."""
    place = FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)
    return family == CONTROL_FAMILY, place, family


def starts_family(lines: Sequence[Line]) -> list[bool]:
    """Return for each line whether it is the first of its family."""
    return [number == 0 or lines[number - 1].family != line.family for number, line in enumerate(lines)]


def _line(fitter: str, rows: pd.DataFrame) -> Line:
    statuses = rows.groupby("seed")["status"].first()
    status = OK if (statuses == OK).any() else (FAILED if (statuses == FAILED).any() else NOT_CLAIMED)
    if status == OK:
        failed = int((statuses != OK).sum())
        note = f"{failed} of {len(statuses)} seeds without a score" if failed else ""
    else:
        note = str(rows.loc[rows["status"] == status, "message"].iloc[0])
    by_metric = rows[rows["status"] == OK].groupby("metric", sort=False)
    families = [str(family) for family in rows["family"] if isinstance(family, str) and family]
    return Line(
        fitter=fitter,
        family=families[0] if families else "",
        status=status,
        note=note,
        value={str(metric): interval(group["value"]) for metric, group in by_metric},
        anchored={str(metric): interval(group["anchored"]) for metric, group in by_metric},
    )


def _rank(line: Line) -> float:
    """Return the mean anchored score over the metrics against truth, for the order of lines only."""
    means = [line.anchored[name].mean for name in against_truth(line.anchored)]
    finite = [mean for mean in means if math.isfinite(mean)]
    return float(np.mean(finite)) if finite else -math.inf


def against_truth(metrics: Iterable[str]) -> list[str]:
    """Return the names of the metrics held against truth, by which fitters are compared; all, if there are none."""
    metrics = list(metrics)
    return [name for name in metrics if METRICS[name].against is Against.TRUTH] or metrics


def arrow(metric: str) -> str:
    """Return the sign that says which way a metric improves."""
    return {Better.HIGHER: "↑", Better.LOWER: "↓", Better.NEARER: f"→ {METRICS[metric].best:g}"}[METRICS[metric].better]


def number(value: Interval, *, digits: int = 3) -> str:
    """Return a mean with its half width, both to as many decimals; a dash where there is none."""
    if not math.isfinite(value.mean):
        return "–"
    if value.n < 2:
        return format_number(value.mean, digits)
    size = max(abs(value.mean), value.half_width)
    if ROUNDING <= size < 10 ** (1 - digits):
        digits = math.ceil(-math.log10(size)) + 1  # two digits of the larger of the two
    parts = (round(part, digits) + 0.0 for part in (value.mean, value.half_width))  # + 0.0: no minus before a zero
    return " ± ".join(f"{part:.{digits}f}".replace("-", "−") for part in parts)


def format_number(value: float, digits: int = 3) -> str:
    """Return a number with `digits` decimals, or as many significant digits where it is small, in plain characters."""
    if abs(value) < ROUNDING:
        value = 0.0
    if value != 0 and abs(value) < 10**-digits:
        return f"{value:.{digits - 1}g}".replace("-", "−")
    return f"{value:.{digits}f}".replace("-", "−")
