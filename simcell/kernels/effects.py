"""How a perturbation sets in with time; shared by all engines."""

from __future__ import annotations

import math

from simcell.kernels.jit import helper


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
