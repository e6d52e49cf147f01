"""What a benchmark hands back and how it is printed: figures with targets, detail rows, and the machine they are from.

In: `Result`s made by the benchmarks. Out: plain text, or Markdown for a README.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Rows = Sequence[Sequence[str]]


class Skipped(Exception):
    """A benchmark that cannot run on this machine; the message is the reason, in one line."""


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        target: the bound to be kept, None where there is none. at_least: whether it is a lower bound.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """Whether the target is met; empty without one."""
        if self.target is None:
            return ""
        met = self.value >= self.target if self.at_least else self.value <= self.target
        return "met" if met else "NOT MET"

    def cells(self) -> tuple[str, str, str, str]:
        """Return name, value, target and verdict as text."""
        bound = "" if self.target is None else f"{'≥' if self.at_least else '≤'} {number(self.target)} {self.unit}"
        return self.name, f"{number(self.value)} {self.unit}".rstrip(), bound.rstrip(), self.verdict


@dataclass(frozen=True)
class Result:
    """What one benchmark found: its figures, and if need be a table of details and notes on how to read it."""

    title: str
    figures: tuple[Figure, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


FIGURE_COLUMNS = ("figure", "measured", "target", "")


def number(value: float) -> str:
    """Return a number with three significant digits, thousands apart, without an exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(columns: Sequence[str], rows: Rows, *, markdown: bool) -> str:
    """Return a table as text: the first column to the left, the others to the right."""
    everything = [list(columns), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in everything) for column in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |" if markdown else "  ".join(cells).rstrip()

    if markdown:
        rule = "|" + "|".join("-" * (width + 2) if column == 0 else "-" * (width + 1) + ":"
                              for column, width in enumerate(widths)) + "|"  # fmt: skip
    else:
        rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(columns), rule, *[line(row) for row in rows]])


def render(result: Result, *, markdown: bool) -> str:
    """Return a result as text: heading, details, figures, notes."""
    parts = [f"### {result.title}" if markdown else f"{result.title}\n{'=' * len(result.title)}"]
    if result.rows:
        parts.append(table(result.columns, result.rows, markdown=markdown))
    if result.figures:
        parts.append(table(FIGURE_COLUMNS, [figure.cells() for figure in result.figures], markdown=markdown))
    if result.notes:
        parts.append("\n".join(f"- {note}" for note in result.notes))
    return "\n\n".join(parts) + "\n"


def summary(results: Sequence[Result], *, markdown: bool) -> str:
    """Return all figures that have a target, in one table."""
    rows = [figure.cells() for result in results for figure in result.figures if figure.target is not None]
    return render(Result("Summary", (), FIGURE_COLUMNS, tuple(rows)), markdown=markdown)


def machine(command: str) -> str:
    """Return the line that says where and when the figures are from."""
    busy = f", load average {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    today = datetime.date.today().isoformat()
    return f"`{command}`, {today}, {n_cores()} cores of {_cpu_model()}, Python {platform.python_version()}{busy}"


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
