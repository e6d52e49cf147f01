"""Cells of the tables of studies. In: means over networks with their intervals. Out: text, alike in every study."""

from __future__ import annotations

from experiments.report.summary import Interval


def shown(found: Interval, *, digits: int) -> str:
    """Return a mean with its half width, such as ``0.93 ± 0.02``, always to as many decimals; a dash for nothing."""
    if found.n == 0:
        return "–"
    mean = f"{found.mean:.{digits}f}"
    return f"{mean} ± {found.half_width:.{digits}f}" if found.n > 1 else mean
