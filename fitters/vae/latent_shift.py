"""How far perturbations shift the latent state: a map of gene embeddings and a free part, with a mask if wanted.

In: embeddings and doses. Out: (C, L) shifts of conditions, and the terms of the loss that are about them alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

# Temperature of the relaxed Bernoulli distribution (Maddison, Mnih & Teh, ICLR (2017), who tried 0.5 to 1).
TEMPERATURE = 0.66
# Points of the midpoint rule for the mean of such a variable, good to 1e-4.
POINTS = 256


class LatentShift(nn.Module):
    """``e_t = m_t * (W h_t + f_t)`` of T targets, in L dimensions, and ``D_p = sum_t dose_pt e_t`` of C conditions.

    Args:
        embedding: (T, D) h; 0 for targets that are not among the measured genes.
        latent: L.
        sparse: whether there are masks m, relaxed Bernoulli variables.
        scale: sd of the prior of f, in units of the sd of z.
        mask_prior: (a, b) of the Beta distribution of the share of targets that shift a latent dimension.
    """

    embedding: Tensor

    def __init__(
        self, embedding: Tensor, *, latent: int, sparse: bool, scale: float, mask_prior: tuple[float, float]
    ) -> None:
        super().__init__()
        n_targets, components = embedding.shape
        self.register_buffer("embedding", embedding, persistent=False)
        self.map = nn.Parameter(torch.randn(components, latent) * (0.01 / math.sqrt(max(components, 1))))
        self.free = nn.Parameter(0.01 * torch.randn(n_targets, latent))
        self.scale, self.sparse, self.mask_prior = scale, sparse, mask_prior
        if sparse:
            self.mask_logit = nn.Parameter(torch.full((n_targets, latent), 1.0))
            self.share_logit = nn.Parameter(torch.zeros(latent))

    def effects(self) -> Tensor:
        """Return (T, L) e; masks are drawn anew in training, and are the means of such draws otherwise."""
        effects: Tensor = self.embedding @ self.map + self.free
        if not self.sparse:
            return effects
        if not self.training:
            return mean_of_masks(self.mask_logit) * effects
        return relaxed(self.mask_logit, torch.rand_like(self.mask_logit)) * effects

    def prior(self) -> Tensor:
        """Return minus the log density of the free parts and of W, but for a constant: those of normal priors."""
        return 0.5 * ((self.free / self.scale) ** 2).sum() + 0.5 * ((self.map / self.scale) ** 2).sum()

    def mask_divergence(self) -> Tensor:
        """Return ``sum_tl KL(Bernoulli(m_tl) || Bernoulli(s_l)) - sum_l log Beta(s_l; a, b)``, s_l the shares."""
        a, b = self.mask_prior
        on, off = logsigmoid(self.mask_logit), logsigmoid(-self.mask_logit)
        share_on, share_off = logsigmoid(self.share_logit), logsigmoid(-self.share_logit)
        chance = on.exp()
        divergence = (chance * (on - share_on) + (1.0 - chance) * (off - share_off)).sum()
        constant = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
        return divergence + (constant - (a - 1.0) * share_on - (b - 1.0) * share_off).sum()


def relaxed(logit: Tensor, uniform: Tensor) -> Tensor:
    """Return masks between 0 and 1, given logits of their chances and draws between 0 and 1."""
    return torch.sigmoid((logit + torch.logit(uniform, eps=1e-6)) / TEMPERATURE)


def mean_of_masks(logit: Tensor) -> Tensor:
    """Return the means of relaxed masks: 0.08 where the chance is 0.05, since what is off is not quite off there."""
    uniform = (torch.arange(POINTS, dtype=logit.dtype, device=logit.device) + 0.5) / POINTS
    return relaxed(logit[..., None], uniform).mean(dim=-1)


def positive(logit: Tensor) -> Tensor:
    """Return a number above 0; 1 at 0."""
    return softplus(logit + math.log(math.expm1(1.0)))
