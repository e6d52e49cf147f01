"""How a specification describes a cell: regulation function, kinetics, and the draws of strengths and half-responses.

All draws are per gene or per edge, from the seed of the screen. Hours, molecules per cell. The defaults are those of
`simcell.sources`, with their citations.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from simcell.sources import SOURCES
from simcell.spec.base import (
    Flag,
    FoldRange,
    LogNormal,
    OpenUnitRange,
    Positive,
    PositiveRange,
    Sigma,
    SpecModel,
    Spread,
)


def _lognormal(name: str) -> LogNormal:
    source = SOURCES[name]
    return LogNormal(median=source.value, sigma=source.spread or 0.0)


def _ends(name: str) -> dict[str, float]:
    source = SOURCES[name]
    width = source.spread or 0.0
    # rounded, for 0.3 - 0.25 is 0.04999999999999999
    return {"low": round(source.value - width, 12), "high": round(source.value + width, 12)}


def _fold_ends(name: str) -> dict[str, float]:
    source = SOURCES[name]
    factor = math.exp(source.spread or 0.0)
    return {"low": round(source.value / factor, 2), "high": round(source.value * factor, 2)}


class CellSpec(SpecModel):
    """The cell model: how promoters respond, and the distributions that the numbers of each gene are drawn from."""

    regulation: Literal["thermodynamic", "hill_sum", "logistic", "linear"] = Field(
        "thermodynamic", description="the regulation function: promoter activity as a function of regulator levels"
    )
    mean_mrna: LogNormal = Field(_lognormal("mrna_mean"), description="wild-type mean of each mRNA, molecules per cell")
    mrna_half_life: LogNormal = Field(
        _lognormal("mrna_half_life"), description="half-life of each mRNA, hours, without dilution by growth"
    )
    protein_half_life: LogNormal = Field(
        _lognormal("regulator_half_life"),
        description="half-life of each regulator's protein, hours, without dilution by growth",
    )
    proteins_per_mrna: LogNormal = Field(
        _lognormal("proteins_per_mrna"), description="ratio of the wild-type means of protein and mRNA, of regulators"
    )
    burst_size: LogNormal = Field(_lognormal("burst_size"), description="mean number of mRNA molecules made per burst")
    doubling_time: Positive | None = Field(
        SOURCES["doubling_time"].value, description="hours in which a cell doubles; null: no growth, no dilution"
    )
    activity: OpenUnitRange = Field(
        OpenUnitRange(**_ends("promoter_activity")),
        description="wild-type promoter activity, drawn uniformly, inside (0, 1)",
    )
    strength: FoldRange = Field(
        FoldRange(**_fold_ends("regulatory_fold")),
        description="fold change of an edge at saturation, drawn log-uniformly, > 1 (`regulatory_fold` in the sources)",
    )
    half_response: Spread = Field(
        Spread(sigma=SOURCES["half_response"].spread or 0.0),
        description="half-response of an edge over the regulator's own wild-type level; its median is 1",
    )
    hill: PositiveRange = Field(
        PositiveRange(**_ends("hill_coefficient")),
        description="Hill coefficient of each regulator, drawn uniformly, > 0",
    )
    promoter: Literal["bursty", "poisson", "telegraph"] = Field(
        "bursty",
        description="how transcripts begin: in bursts of geometric size, one at a time, or while the promoter is on "
        "(telegraph, for the engines ssa and tau)",
    )
    splicing_half_life: LogNormal | None = Field(
        None, description="hours in which half of the transcripts are spliced; null: transcripts are mRNA at once"
    )
    division: Flag = Field(
        False,
        description="cells divide every doubling_time, each molecule staying with chance 1/2 (for the engines ssa and "
        "tau); false: growth dilutes all molecules steadily",
    )
    size_sigma: Sigma = Field(
        0.0, description="standard deviation of the log size of cells, to which all their molecules are proportional"
    )
    require_stable: Flag = Field(
        True, description="weaken the edges until the wild type is stable; false: let several attractors be"
    )
