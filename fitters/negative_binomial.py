"""The negative binomial law in numbers of 32 bits, as exact in the Poisson limit as elsewhere: a torch function.

In: counts, means and inverse dispersions. Out: the log likelihood of every count, with its gradient by means and
inverse dispersions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Numbers that a CPU works on at a time: what is worked out in between stays in its cache.
BLOCK = 32768


class NegativeBinomial(torch.autograd.Function):
    """``lgamma(k + t) - lgamma(t) - lgamma(k + 1) - (k + t) log(1 + m/t) + k log(m/t)``, k counts, m mean, t > 0.

    Slopes: ``t e / m`` by the mean, and ``digamma(k + t) - digamma(t) - log(1 + m/t) - e`` by the inverse dispersion,
    with ``e = (k - m) / (m + t)``. Where t is large, the latter is a small difference of large numbers, about
    ``((k - m)^2 - k) / (2 t^2)``: as it stands, 32 bits leave noise of it from t = 100 on. Here the large parts are
    taken off by hand. With a = t + 4, b = k + t + 4, and ``1 + d = (b / a) / (1 + m/t)``,

    - ``lgamma(k + t) - lgamma(t) = lgamma(b) - lgamma(a) - sum over j = 0, 1, 2, 3 of log(1 + k / (t + j))``
    - ``lgamma(z) = (z - 1/2) log z - z + 1/(12 z) - 1/(360 z^3) + const`` (Stirling), as exact as 32 bits above 4,
      where a and b are; and its slope likewise
    - ``log(1 + d) - d``, in which all that is left of the logarithms comes together, by its own series where d is small
    """

    @staticmethod
    def forward(context: Any, counts: Tensor, mean: Tensor, dispersion: Tensor) -> Tensor:
        """Return the log likelihoods (n, G) of counts (n, G); means and inverse dispersions as broadcast to them."""
        context.shapes = mean.shape, dispersion.shape
        given = counts, mean.expand(counts.shape), dispersion
        found = [torch.empty_like(counts, memory_format=torch.contiguous_format) for _ in range(3)]
        on_cpu = counts.device.type == "cpu"
        rows = max(BLOCK // max(counts[:1].numel(), 1), 1) if on_cpu else max(len(counts), 1)
        for first in range(0, len(counts), rows):
            here = slice(first, first + rows)
            k, m, t = (x[here] if x.ndim == counts.ndim and len(x) == len(counts) else x for x in given)
            for whole, part in zip(found, value_and_slopes(k, m, t), strict=True):
                whole[here] = part
        context.save_for_backward(*found[1:])
        return found[0]

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:
        """Return the gradients by means and inverse dispersions, of their own shapes."""
        by_mean, by_dispersion = (
            (gradients[0] * slope).sum_to_size(shape)
            for slope, shape in zip(context.saved_tensors, context.shapes, strict=True)
        )
        return None, by_mean, by_dispersion


def value_and_slopes(k: Tensor, m: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the log likelihoods and their slopes by mean and inverse dispersion, all of one shape."""
    both, total = k + t, m + t
    to_a, to_b, to_total = 1.0 / (t + 4.0), 1.0 / (both + 4.0), 1.0 / total
    e = (k - m) * to_total
    lag = 4.0 * k * to_a * to_total
    log_ratio, rest = log_and_rest((both + 4.0) * to_a * (t * to_total), e - lag)
    # z (z + 1) (z + 2) (z + 3) = y (y + 2) with y = z (z + 3), at z = t and z = k + t
    y_t, y_both = t * (t + 3.0), both * (both + 3.0)
    steps = 2.0 * t * both + 3.0 * (t + both)
    square_a, square_b = to_a * to_a, to_b * to_b
    value = (
        (both + 3.5) * log_ratio
        - k
        - 3.5 * torch.log(t * to_total)
        + k * (torch.log1p(4.0 / t) + torch.log(m))
        - torch.log(y_both / y_t * ((y_both + 2.0) / (y_t + 2.0)))
        - torch.lgamma(k + 1.0)
        + to_b * (1.0 / 12.0 - square_b / 360.0)
        - to_a * (1.0 / 12.0 - square_a / 360.0)
    )
    slope = (
        rest
        - lag
        + k * ((steps + 9.0) / (y_t * y_both) + (steps + 5.0) / ((y_t + 2.0) * (y_both + 2.0)) + 0.5 * to_a * to_b)
        + square_a * (1.0 / 12.0 - square_a / 120.0)
        - square_b * (1.0 / 12.0 - square_b / 120.0)
    )
    return value, t * e / m, slope


def log_and_rest(ratio: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``log(1 + d)`` and ``log(1 + d) - d``, given 1 + d too, which is the more exact where it is near 0."""
    s = d / (2.0 + d)
    square = s * s  # log(1 + d) = 2 artanh(s), and d - 2 s = d s
    series = 2.0 * s * square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square / 9.0))) - d * s
    near = s.abs() < 0.2
    log = torch.where(near, series + d, ratio.log())
    return log, torch.where(near, series, log - d)
