"""What the pages of studies share: means as text, and which of many differences are told from none.

In: means over networks with their intervals. Out: cells of tables, alike in every study; verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy.stats import false_discovery_control
from scipy.stats import t as student

from experiments.report.summary import LEVEL, Interval


def shown(found: Interval, *, digits: int) -> str:
    """Return a mean with its half width, such as ``0.93 ± 0.02``, always to as many decimals; a dash for nothing."""
    if found.n == 0:
        return "–"
    mean = f"{found.mean:.{digits}f}"
    return f"{mean} ± {found.half_width:.{digits}f}" if found.n > 1 else mean


def told(found: Sequence[Interval]) -> list[bool]:
    """Return which means differ from 0, at a false discovery rate of 5% among all of them.

    Two-sided Student's t over networks; Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995), 289-300. One network tells
    nothing.
    """
    if not found:
        return []
    return [bool(chance < 1.0 - LEVEL) for chance in false_discovery_control([_chance(one) for one in found])]


def _chance(found: Interval) -> float:
    """Return the p value of a mean of 0; 1 for one network."""
    if found.n < 2:
        return 1.0
    error = found.half_width / student.ppf((1.0 + LEVEL) / 2.0, found.n - 1)
    return float(2.0 * student.sf(abs(found.mean) / max(error, 1e-300), found.n - 1))
