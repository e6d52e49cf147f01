"""The verdicts of the study of losses: on each claim for every fitter in every setting, judged together.

In: the study's rows. Out: values by network, ratios of on to off paired over networks, sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from experiments.report.summary import Interval, interval
from experiments.studies.losses.settings import BASE, ON
from experiments.studies.tables import told

CLAIMS = {
    "error": "a lower test error",
    "spread of parameters": "steadier parameters",
    "spread of field": "a steadier field",
}
SETTING = ["controls", "hours", "cells", "fitter"]


@dataclass(frozen=True)
class Verdict:
    """A ratio of on to off in one setting, as the interval of its logarithm over networks.

    Args:
        controls, hours, cells, fitter: the setting.
        metric: one of `CLAIMS`.
        log_ratio: of the value at weight `ON` over that at 0.
        told: whether it differs from 1, among all verdicts.
    """

    controls: str
    hours: float
    cells: int
    fitter: str
    metric: str
    log_ratio: Interval
    told: bool

    @property
    def is_base(self) -> bool:
        """Whether no knob is turned."""
        return (self.hours, self.cells) == (BASE["hours"], BASE["cells"])

    @property
    def ratio(self) -> str:
        """The ratio with its interval."""
        ratio, low, high = np.exp([self.log_ratio.mean, self.log_ratio.low, self.log_ratio.high])
        return f"{ratio:.2f}" if self.log_ratio.n < 2 else f"{ratio:.2f} ({low:.2f} to {high:.2f})"

    @property
    def sentence(self) -> str:
        """The verdict on the claim."""
        found = self.log_ratio
        if found.n < 2:
            said = "one network tells nothing"
        elif not self.told:
            said = "is undecided"
        else:
            said = "holds" if found.mean < 0.0 else "does not hold: the contrary is seen"
        where = f"`{self.fitter}`, {self.controls} controls, {self.hours:g} h, {self.cells} cells"
        return f"{where}: {CLAIMS[self.metric]} **{said}** (ratio on/off {self.ratio}, n = {found.n})."


def by_network(table: pd.DataFrame) -> pd.DataFrame:
    """Return values by metric (columns) for each system, time, number of cells, fitter, weight and network (index)."""
    keys = [*SETTING, "weight", "seed"]
    kept = table[table["value"].notna()].assign(weight=table["weight"].fillna(-1.0).astype(float))
    return kept.pivot_table(index=keys, columns="metric", values="value", sort=False)


def relative_error(wide: pd.DataFrame) -> pd.Series:
    """Return the error of every fit over that of predicting no change in the same network."""
    error = wide["error"]
    nothing = error.xs("no-change", level="fitter").droplevel("weight")
    fits = error.drop(index="no-change", level="fitter")
    keys = fits.index.droplevel(["fitter", "weight"])
    return fits / nothing.reindex(keys).to_numpy()


def verdicts(wide: pd.DataFrame) -> list[Verdict]:
    """Return the verdict on every claim of every fitter in every setting of which there are values on and off."""
    found = [
        (setting, metric, log_ratio)
        for setting, metric in _asked(wide)
        if (log_ratio := _log_ratio(wide[metric].xs(setting, level=SETTING))).n
    ]
    differs = told([log_ratio for _, _, log_ratio in found])
    return [
        Verdict(*setting, metric=metric, log_ratio=log_ratio, told=one)
        for (setting, metric, log_ratio), one in zip(found, differs, strict=True)
    ]


def conclusion(found: list[Verdict]) -> Iterator[str]:
    """Yield all verdicts of the base, and of the other settings those that are decided."""
    yield from (one.sentence for one in found if one.is_base)
    yield from (one.sentence for one in found if one.told and not one.is_base)


def _asked(wide: pd.DataFrame) -> Iterator[tuple[tuple[str, float, int, str], str]]:
    settings = list(dict.fromkeys(wide.index.droplevel(["weight", "seed"])))
    for fitter in dict.fromkeys(setting[3] for setting in settings):
        for setting in settings:
            if setting[3] == fitter != "no-change":
                yield from ((setting, metric) for metric in CLAIMS if metric in wide)


def _log_ratio(values: pd.Series) -> Interval:
    """Return the interval over networks of ln(value at weight `ON` / value at weight 0)."""
    here = values.unstack("weight")
    if ON not in here or 0.0 not in here:
        return interval(pd.Series(dtype=float))
    return interval(np.log(here[ON] / here[0.0]))
