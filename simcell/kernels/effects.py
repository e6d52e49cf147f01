"""How a perturbation sets in with time; shared by all engines.

In: entries of `Effects`; those of one row and lane stand next to each other. Kernels with cells in lanes multiply entry
by entry; kernels that go from cell to cell look up a row's entries from the first one on (-1: none).
"""

from __future__ import annotations

import math

import numpy as np

from simcell.kernels.jit import helper, subroutine

# Gauss-Legendre on [-1, 1] with 8 points: exact to rounding for exponentials over two of their time constants
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
PIECE = 2.0  # time constants in a piece
SETTLED = 40.0  # time constants after which a guide's onset is over, to rounding
SHORTEST = 1e-9  # hours; an onset that takes less is at once


@helper
def multiplier_at(time, effects, entry):
    """Return the multiplier of one entry of `Effects` at a time: 1 before its start, then 1 + (m - 1)(1 - e^(-s/c))."""
    elapsed = time - effects.start[entry]
    if elapsed <= 0.0:
        return 1.0
    constant = effects.constant[entry]
    share = 1.0 - math.exp(-elapsed / constant) if constant > 0.0 else 1.0
    return 1.0 + (effects.multiplier[entry] - 1.0) * share


@helper
def multiplier_over(time, hours, effects, entry):
    """Return the mean of the multiplier of one entry of `Effects` over the hours that begin at a time.

    A long step may then begin before the perturbation does.
    """
    constant = effects.constant[entry]
    end = time + hours - effects.start[entry]
    if end <= 0.0:
        return 1.0
    begin = max(time - effects.start[entry], 0.0)
    missing = max(effects.start[entry] - time, 0.0)  # hours of the step before the start
    if constant > 0.0:
        missing += constant * (math.exp(-begin / constant) - math.exp(-end / constant))
    return 1.0 + (effects.multiplier[entry] - 1.0) * (1.0 - missing / hours)


@helper
def entry_of(row, lane, effects, entry):
    """Return whether an entry exists and belongs to this row and lane."""
    return 0 <= entry < effects.row.size and effects.row[entry] == row and effects.lane[entry] == lane


@subroutine
def multiplier(row, lane, time, effects, first):
    """Return the product of the multipliers of one row and lane at a time."""
    product, entry = 1.0, first
    while entry_of(row, lane, effects, entry):
        product *= multiplier_at(time, effects, entry)
        entry += 1
    return product


@subroutine
def largest_multiplier(row, lane, effects, first):
    """Return a number that `multiplier` never exceeds, at least 1."""
    product, entry = 1.0, first
    while entry_of(row, lane, effects, entry):
        product *= max(1.0, effects.multiplier[entry])
        entry += 1
    return product


@subroutine
def exposure(row, lane, begin, end, loss, effects, first):
    """Return the integral of multiplier(s) e^(-loss (end - s)) over s from begin to end, in hours.

    It is cut where a guide begins, and into pieces in which no exponential falls by more than e^-2.
    """
    total = 0.0
    while begin < end:
        until, rate, entry = end, loss, first
        while entry_of(row, lane, effects, entry):
            elapsed, constant = begin - effects.start[entry], effects.constant[entry]
            if elapsed < 0.0:
                until = min(until, effects.start[entry])
            elif elapsed < SETTLED * constant and constant > SHORTEST:
                rate += 1.0 / constant
            entry += 1
        until = min(until, begin + PIECE / rate)
        half = 0.5 * (until - begin)
        for node in range(NODES.size):
            time = begin + half * (1.0 + NODES[node])
            value = multiplier(row, lane, time, effects, first) * math.exp(-loss * (end - time))
            total += half * WEIGHTS[node] * value
        begin = until
    return total


@helper
def mark_entries(lane, effects, rows):
    """Set the field `entry` of each row (N,) to its first entry in a lane, or -1."""
    for row in range(rows.size):
        rows[row].entry = -1
    for entry in range(effects.row.size - 1, -1, -1):
        if effects.lane[entry] == lane:
            rows[effects.row[entry]].entry = entry
