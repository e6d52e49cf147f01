"""The four regulation functions in units of the control: production over its control value, 1 where all inputs are.

In: levels of each gene's inputs and their values at control, torch tensors. Out: relative production, exactly 1 at
control. They are written anew, apart from those of the simulator, whose parameters they only know relatively.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

REGULATIONS = ("thermodynamic", "hill_sum", "logistic", "linear")
SATURATING = ("thermodynamic", "logistic")  # those with a maximal rate, so that the activity at control matters
WITH_HALF_RESPONSE = ("thermodynamic", "hill_sum")  # those with a half-response and a Hill coefficient
LEAST_LEVEL = 1e-6
# What activity at control and cooperativity are taken to be where the data do not say.
USUAL_ACTIVITY, USUAL_HILL = 0.3, 2.0


def relative_rate(
    regulation: str,
    level: Tensor,
    reference: Tensor,
    *,
    weight: Tensor,
    affinity: Tensor,
    hill: Tensor,
    activity: Tensor,
) -> Tensor:
    """Return production over that at control, (..., G), exactly 1 where `level` is `reference`.

    With q the level of input k of gene g, q0 its value at control, ``l = affinity + hill ln q`` the log of its
    occupancy and a the promoter activity at control:

    - thermodynamic: ``e^L / (1 - a + a e^L)``, ``L = sum_k F(q) - F(q0)``, ``F = ln (1 + e^(weight + l))/(1 + e^l)``;
      this is P/P(control) for ``P = o/(1 + o)``, ``o`` proportional to ``e^L``, and o/(1 + o) = a at control
    - hill_sum: ``max(0, 1 + sum_k weight (h(q) - h(q0)))``, ``h = 1/(1 + e^-l)``
    - logistic: as thermodynamic with ``L = sum_k weight (q - q0)``
    - linear: ``max(0, 1 + sum_k weight (q - q0))``

    Args:
        regulation: one of REGULATIONS.
        level: (..., G, K), >= 0. reference: (G, K).
        weight: (G, K) strength, signed; 0 is no edge. affinity: (G, K) l at level 1. hill: (G, K) > 0.
        activity: (G,) in (0, 1).
    """
    if regulation in WITH_HALF_RESPONSE:
        now = affinity + hill * level.clamp(min=LEAST_LEVEL).log()
        then = affinity + hill * reference.clamp(min=LEAST_LEVEL).log()
        if regulation == "hill_sum":
            return (1.0 + (weight * (torch.sigmoid(now) - torch.sigmoid(then))).sum(-1)).clamp(min=0.0)
        folds = softplus(weight + now) - softplus(now) - (softplus(weight + then) - softplus(then))
    else:
        folds = weight * (level - reference)
        if regulation == "linear":
            return (1.0 + folds.sum(-1)).clamp(min=0.0)
    odds = folds.sum(-1)
    # e^L/(1 - a + a e^L), written so that neither end overflows
    return 1.0 / (activity + (1.0 - activity) * torch.exp(-odds.clamp(-60.0, 60.0)))


def weight_information(
    regulation: str, level: NDArray[np.float64], reference: NDArray[np.float64], precision: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (I, G) what observations tell of each weight at 0, the others of its gene known: 1 / its variance.

    Args:
        level: (..., I) of all inputs. reference: (I,). precision: (..., G) of the observations.
    """
    change = level - reference
    if regulation in WITH_HALF_RESPONSE:
        change = _occupied(level) - _occupied(reference)
    if regulation in SATURATING:
        change = change * (1.0 - USUAL_ACTIVITY)
    found: NDArray[np.float64] = change.reshape(-1, reference.size).T ** 2 @ precision.reshape(-1, precision.shape[-1])
    return found


def _occupied(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the occupancy at the usual Hill coefficient and a half-response of 1."""
    power = np.maximum(level, LEAST_LEVEL) ** USUAL_HILL
    return np.asarray(power / (1.0 + power))


def elasticity(
    regulation: str, reference: Tensor, *, weight: Tensor, affinity: Tensor, hill: Tensor, activity: Tensor
) -> Tensor:
    """Return (G, K) d ln production / d ln level at control, by the chain rule; arguments as above."""
    level = reference.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        rate = relative_rate(
            regulation,
            level,
            reference.detach(),
            weight=weight.detach(),
            affinity=affinity.detach(),
            hill=hill.detach(),
            activity=activity.detach(),
        )
        (slope,) = torch.autograd.grad(rate.sum(), level)
    return slope * reference


def basal_share(regulation: str, reference: Tensor, *, weight: Tensor, affinity: Tensor, hill: Tensor) -> Tensor:
    """Return (G,) the basal term over the activity at control, of the functions that add: hill_sum and linear.

    hill_sum: ``1 - sum_activators weight h(q0) - sum_repressors |weight| (1 - h(q0))``; linear: ``1 - sum weight q0``.
    """
    if regulation == "linear":
        return 1.0 - (weight * reference).sum(-1)
    occupied = torch.sigmoid(affinity + hill * reference.clamp(min=LEAST_LEVEL).log())
    return 1.0 - torch.where(weight > 0, weight * occupied, -weight * (1.0 - occupied)).sum(-1)
