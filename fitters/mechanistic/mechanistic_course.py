"""Time courses: a field integrated from one hour to the next by torchdiffeq, signals constant in between.

In: a field and a start. Out: the states at the hours asked for, with gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

SOLVERS = ("rk4", "dopri5")
TOLERANCES = {"rtol": 1e-4, "atol": 1e-5}


def integrate(
    field: Callable[[Tensor, Tensor, Tensor], Tensor],
    start: Tensor,
    *,
    begin: float,
    hours: list[float],
    signal: Tensor,
    step: float,
    solver: str,
) -> Tensor:
    """Return (n, I, D) states at ascending hours; before `begin` they are as at the start.

    Args:
        field: (hour, states (n, D), signals (n, S)) to d states/dt, per hour.
        start: (n, D) at the hour `begin`. signal: (n, I, S) in the interval that ends at each hour.
        step: longest step of "rk4", hours.
        solver: "rk4" (fixed steps) or "dopri5" (adaptive), of torchdiffeq (Chen, 2018).
    """
    from torchdiffeq import odeint

    found, state, hour = [], start, begin
    for number, end in enumerate(hours):
        if end > hour:
            now = signal[:, number]
            span = torch.tensor([hour, end], dtype=start.dtype, device=start.device)
            if solver == "rk4":
                options = {"step_size": (end - hour) / math.ceil((end - hour) / step)}
                path = odeint(lambda t, x, now=now: field(t, x, now), state, span, method="rk4", options=options)
            else:
                path = odeint(lambda t, x, now=now: field(t, x, now), state, span, method=solver, **TOLERANCES)
            state, hour = path[-1], end
        found.append(state)
    return torch.stack(found, 1)
