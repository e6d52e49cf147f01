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
