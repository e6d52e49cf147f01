"""Keeping perturbations out of the basal state: a reversed gradient, and a discrepancy between conditions and controls.

In: latents and conditions of a mini-batch. Out: a tensor with its gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Reversal(torch.autograd.Function):
    """The identity, whose gradient has the opposite sign (Ganin & Lempitsky, ICML (2015))."""

    @staticmethod
    def forward(context: object, value: Tensor) -> Tensor:
        """Return the value."""
        del context
        return value.view_as(value)

    @staticmethod
    def backward(context: object, *gradients: Tensor) -> Tensor:
        """Return minus the gradient."""
        del context
        return -gradients[0]


def conditional_discrepancy(z: Tensor, condition: Tensor, control: Tensor) -> Tensor:
    """Return MMD^2 between the latents of each condition and those of controls, averaged over cells.

    The unbiased estimate with three Gaussian kernels around the median distance, as
    `fitters.losses.maximum_mean_discrepancy`, which it equals where there is one condition.

    Args:
        z: (n, L) latents of perturbed cells. condition: (n,) codes. control: (m, L) latents of controls, m >= 2.

    Conditions with one cell in the mini-batch are left out; 0 where none is left.
    """
    _, code, size = torch.unique(condition, return_inverse=True, return_counts=True)
    kept = size[code] >= 2
    if not bool(kept.any()):
        return z.sum() * 0.0
    z, code = z[kept], code[kept]
    both = torch.cat([z, control])
    square = (both**2).sum(1)
    distance = (square[:, None] + square[None, :] - 2.0 * both @ both.T).clamp(min=0.0)
    n, m = len(z), len(control)
    with torch.no_grad():
        median = distance[~torch.eye(n + m, dtype=torch.bool, device=z.device)].median().clamp(min=1e-12)
    kernel = torch.stack([torch.exp(-distance / (2.0 * scale**2 * median)) for scale in (0.5, 1.0, 2.0)]).mean(0)
    same = (code[:, None] == code[None, :]) & ~torch.eye(n, dtype=torch.bool, device=z.device)
    each = size[code].to(z.dtype)
    within = (kernel[:n, :n] * same / (each - 1.0)[:, None]).sum() / n  # a condition weighs as many cells as it has
    theirs = kernel[n:, n:]
    return within + (theirs.sum() - theirs.diagonal().sum()) / (m * (m - 1)) - 2.0 * kernel[:n, n:].mean()
