"""The steady state of a field, with its gradient by the implicit function theorem.

In: a map F of states whose fixed points are sought, and its Jacobian. Out: x = F(x), differentiable in all that F
depends on. The search keeps no graph, so that memory and time of the gradient do not grow with its length.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MOST_STEPS = 60
CHORD_STEPS = 8
TOLERANCE = 1e-10  # of |F(x) - x|, in levels relative to control
HIGHEST = 1e6

Step = Callable[[Tensor, Tensor], Tensor]


def find_fixed_point(step: Step, jacobian: Step, start: Tensor) -> Tensor:
    """Return x (N, R) with F(x) = x, without a graph: Newton steps where they help, damped iteration elsewhere.

    A state for which nothing is found within MOST_STEPS is returned as near as it came.

    Args:
        step: F of states >= 0, (n, R), and of the numbers (n,) of their rows, for every row may have a map of its own.
        jacobian: likewise dF/dx (n, R, R), rows outputs.
        start: (N, R).
    """
    with torch.no_grad():
        every = torch.arange(len(start), device=start.device)
        x = _chord(step, jacobian, start, every)
        value = step(x, every)
        error = (value - x).abs().amax(1)
        identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        damping = torch.ones_like(error)
        best, least = x.clone(), error.clone()
        for _ in range(MOST_STEPS):
            rows = every[error > TOLERANCE]
            if not len(rows):
                break
            at, made = x[rows], value[rows]
            newton = at + torch.linalg.solve_ex(identity - jacobian(at, rows), made - at)[0]
            new = torch.where(torch.isfinite(newton), newton, made).clamp(0.0, HIGHEST)
            made_new = step(new, rows)
            worse = ~((made_new - new).abs().amax(1) < error[rows])
            if bool(worse.any()):  # back to where it was, and a plain step, ever shorter
                back = rows[worse]
                plain = x[back] + damping[back][:, None] * (value[back] - x[back])
                damping[back] = (0.7 * damping[back]).clamp(min=0.1)
                new[worse] = plain.clamp(0.0, HIGHEST)
                made_new[worse] = step(new[worse], back)
            x[rows], value[rows] = new, made_new
            error[rows] = (made_new - new).abs().amax(1)
            nearer = error < least
            best[nearer], least[nearer] = x[nearer], error[nearer]
        return best


def _chord(step: Step, jacobian: Step, start: Tensor, every: Tensor) -> Tensor:
    """Return states nearer to rest: Newton steps that share one factorised Jacobian, as long as they help a state."""
    x = step(start, every).clamp(0.0, HIGHEST)
    value = step(x, every)
    error = (value - x).abs().amax(1)
    identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    factors, pivots, _ = torch.linalg.lu_factor_ex(identity - jacobian(x, every))
    for _ in range(CHORD_STEPS):
        if float(error.max()) <= TOLERANCE:
            break
        new = (x + torch.linalg.lu_solve(factors, pivots, (value - x)[:, :, None])[:, :, 0]).clamp(0.0, HIGHEST)
        made = step(new, every)
        moved = (made - new).abs().amax(1)
        better = (moved < error)[:, None]  # false where it is NaN
        x, value = torch.where(better, new, x), torch.where(better, made, value)
        error = torch.where(better[:, 0], moved, error)
    return x


def steady_state(step: Step, jacobian: Step, start: Tensor) -> Tensor:
    """Return the fixed point x (N, R) of F with its gradient; arguments as in `find_fixed_point`.

    From x = F(x, a) follows ``dx/da = (1 - dF/dx)^-1 dF/da``. So x is returned as ``x* + (1 - J)^-1 (F(x*, a) - x*)``
    with x* and J held constant: its value is x*, one Newton step refined, and its derivative is the one wanted, to be
    had by one linear solve with the transposed matrix when gradients are asked for. Source: the implicit function
    theorem, as in Bai, Kolter & Koltun (deep equilibrium models), NeurIPS 32 (2019).
    """
    found = find_fixed_point(step, jacobian, start)
    every = torch.arange(len(start), device=start.device)
    with torch.no_grad():
        matrix = torch.eye(found.shape[1], dtype=found.dtype, device=found.device) - jacobian(found, every)
    correction: Tensor = torch.linalg.solve_ex(matrix, step(found, every) - found)[0]
    return found + correction
