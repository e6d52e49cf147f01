"""Terms of losses: each a function of tensors that returns one number, unweighted, a mean over rows and genes.

In: predictions and observations on any device. Out: a scalar tensor with its gradient. Fitters name the terms that they
can have in `terms`; the same term has the same name in all of them (`TERMS` says what each means).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Names shared by fitters. Terms that one fitter alone has are named and explained there.
TERMS = {
    "response": "error of predicted responses, in the form of the option `response`",
    "steady_state_controls": "mean |f(x)|^2 of the field at unperturbed cells, in the fitter's own unit of f",
    "steady_state_settled": "the same at perturbed cells that have had time to settle",
    "sparsity": "absolute weights of edges, in the fitter's own unit",
    "contrast_matched": "error of the response against the same batch's own controls",
    "contrast_pooled": "error of the response against the controls of all batches together",
}


def squared_error(predicted: Tensor, observed: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean of weight (predicted - observed)^2 over rows and genes; shapes broadcast."""
    error = (predicted - observed) ** 2
    return (error if weight is None else weight * error).mean()


def negative_binomial(counts: Tensor, mean: Tensor, dispersion: Tensor, dropout: Tensor | None = None) -> Tensor:
    """Return minus the mean log likelihood of counts: NB of a mean and inverse dispersion theta, or ZINB.

    ``Var k = mean + mean^2 / theta``. With `dropout`, the logit of the chance of a zero that is none of the NB's.
    Source: Lopez et al. (scVI), Nature Methods 15 (2018), supplementary note 1. Tensors of 32 bits have a form of their
    own (`fitters.negative_binomial`), whose slope by theta holds up to the Poisson limit; the plain one does not.

    Args:
        counts: (n, G). mean: (n, G), > 0. dispersion: (G,) or (n, G) theta, > 0. dropout: (n, G) or (G,) logits.
    """
    import torch
    from torch.nn.functional import softplus

    if mean.dtype == torch.float64:
        log_likelihood = (
            torch.lgamma(counts + dispersion)
            - torch.lgamma(dispersion)
            - torch.lgamma(counts + 1.0)
            - (counts + dispersion) * torch.log1p(mean / dispersion)
            + counts * torch.log(mean / dispersion)
        )
    else:
        from fitters.negative_binomial import NegativeBinomial

        log_likelihood = NegativeBinomial.apply(counts, mean, dispersion)
    if dropout is not None:
        # log(pi + (1 - pi) NB(0)) = softplus(log NB(0) - dropout) - softplus(-dropout), with pi = sigmoid(dropout)
        zero = softplus(log_likelihood - dropout) - softplus(-dropout)
        log_likelihood = torch.where(counts == 0, zero, log_likelihood - softplus(dropout))
    return -log_likelihood.mean()


def gaussian_moments(
    predicted_mean: Tensor, predicted_variance: Tensor, mean: Tensor, variance: Tensor, *, floor: float = 1e-4
) -> Tensor:
    """Return the mean divergence KL(observed || predicted) of normal distributions with the same means and variances.

    ``(log(v'/v) + (v + (m - m')^2)/v' - 1)/2``: 0 exactly where both moments agree. Shapes (n, G); `floor` is added to
    all variances.
    """
    import torch

    ours, theirs = predicted_variance + floor, variance + floor
    return 0.5 * (torch.log(ours / theirs) + (theirs + (mean - predicted_mean) ** 2) / ours - 1.0).mean()


def maximum_mean_discrepancy(
    x: Tensor, y: Tensor, *, scales: tuple[float, ...] = (0.5, 1.0, 2.0), bandwidth: Tensor | float | None = None
) -> Tensor:
    """Return the unbiased estimate of MMD^2 between two samples, (n, d) and (m, d), n, m >= 2.

    Kernel: the mean of Gaussians exp(-r^2 / (2 s^2 h)) over `scales` s, with h the `bandwidth`, or else the median
    squared distance between all points of both samples, of which no gradient is taken. Source: Gretton et al., JMLR 13
    (2012), eq. 3. It may be below 0: its mean over samples of one distribution is 0.
    """
    import torch

    both = torch.cat([x, y])
    square = (both**2).sum(1)
    distance = (square[:, None] + square[None, :] - 2.0 * both @ both.T).clamp(min=0.0)
    n, m = len(x), len(y)
    if bandwidth is None:
        with torch.no_grad():
            bandwidth = distance[~torch.eye(n + m, dtype=torch.bool, device=x.device)].median().clamp(min=1e-12)
    kernel = sum(torch.exp(-distance / (2.0 * scale**2 * bandwidth)) for scale in scales) / len(scales)
    assert isinstance(kernel, torch.Tensor)
    xx, yy, xy = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
    within = (xx.sum() - xx.diagonal().sum()) / (n * (n - 1)) + (yy.sum() - yy.diagonal().sum()) / (m * (m - 1))
    return within - 2.0 * xy.mean()


def sliced_wasserstein(x: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """Return the mean squared 2-Wasserstein distance of projections of two samples, (n, d) and (m, d), on directions.

    Source: Bonneel et al., J. Math. Imaging Vis. 51 (2015). Samples of unlike size are compared at common quantiles.

    Args:
        directions: (k, d); they are brought to length 1.
    """
    import torch

    unit = directions / directions.norm(dim=1, keepdim=True)
    ours, theirs = (x @ unit.T).sort(dim=0).values, (y @ unit.T).sort(dim=0).values
    if len(x) != len(y):
        n = max(len(x), len(y))
        at = (torch.arange(n, device=x.device) + 0.5) / n
        ours, theirs = (side[(at * len(side)).long()] for side in (ours, theirs))
    return ((ours - theirs) ** 2).mean()


def steady_state(field: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean of |f(x)|^2 over states and genes: 0 exactly where every state stands still. Shape (n, G)."""
    return (field**2 if weight is None else weight * field**2).mean()


def sparsity(weights: Tensor) -> Tensor:
    """Return the mean absolute weight."""
    return weights.abs().mean()


def contrast(
    predicted: Tensor, predicted_control: Tensor, observed: Tensor, observed_control: Tensor,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the error of responses: (predicted - its control) against (observed - its control), shapes (n, G).

    With the controls of each row's own batch it is the batch-matched contrast, in which an effect of the batch that
    adds to both sides cancels; with the controls of all batches, the pooled one.
    """
    return squared_error(predicted - predicted_control, observed - observed_control, weight)
