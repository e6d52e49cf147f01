"""The metrics: one file per family, and here the table of all. A new family is a file and a line in `_FAMILIES`."""

from __future__ import annotations

from collections.abc import Iterable

from experiments.metrics import (
    correlation,
    discrimination,
    distance,
    distribution,
    effects,
    graph,
    kinetics,
    network,
    others,
)
from experiments.metrics.base import Against, Better, Comparison, Judges, Metric, NoScoreError, Reference
from experiments.metrics.cells import CellComparison, CellSpace
from experiments.metrics.estimates import KineticsComparison, NetworkComparison, World
from simcell.errors import SpecError, nearest

_FAMILIES = (others, distance, correlation, discrimination, distribution, network, effects, graph, kinetics)

METRICS: dict[str, Metric] = {metric.name: metric for family in _FAMILIES for metric in family.METRICS}


def select_metrics(names: Iterable[str] | None = None, *, field: str = "metrics") -> tuple[Metric, ...]:
    """Return the metrics of the given names, or all; raise `SpecError` at the first name that is unknown."""
    if names is None:
        return tuple(METRICS.values())
    chosen = []
    for position, name in enumerate(names):
        if name not in METRICS:
            allowed = f"a metric{nearest(name, METRICS)}; known: {', '.join(METRICS)}"
            raise SpecError(f"{field}[{position}]", name, allowed)
        chosen.append(METRICS[name])
    return tuple(chosen)


__all__ = [
    "METRICS",
    "Against",
    "Better",
    "CellComparison",
    "CellSpace",
    "Comparison",
    "Judges",
    "KineticsComparison",
    "Metric",
    "NetworkComparison",
    "NoScoreError",
    "Reference",
    "World",
    "select_metrics",
]
