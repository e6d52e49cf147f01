"""The variational auto-encoder as a torch module with its data: rows in, terms of the loss out.

In: `CellsAndDoses` and the fitter's options. Out: `CountVae`, an objective of the training loop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, logsigmoid

from fitters.losses import contrast, negative_binomial
from fitters.training.objective import Moment
from fitters.vae.cells_and_doses import CellsAndDoses
from fitters.vae.disentangling import Reversal, conditional_discrepancy
from fitters.vae.latent_shift import LatentShift, positive
from simcell.profiles import SCALE

if TYPE_CHECKING:
    from fitters.vae.vae import Vae

# Means below this are taken for it: a likelihood of a mean of 0 has no gradient.
LEAST_MEAN = 1e-6
# Steps over which parameters are averaged: the last of them, and no more than about the last tenth of all.
AVERAGED_STEPS, AVERAGED_SHARE = 200, 0.1
# Dispersions, offsets, chances of zeros and effects of perturbations learn faster by this factor than the networks: the
# former have further to go, and where effects lag behind, z learns in their place what perturbations do.
FAST = 10.0


def buffer(module: nn.Module, name: str, values: Any, dtype: torch.dtype = torch.float32) -> None:
    """Keep data with a module, so that they move with it, and out of its checkpoints."""
    module.register_buffer(name, torch.as_tensor(np.ascontiguousarray(values)).to(dtype), persistent=False)


class Encoder(nn.Module):
    """(n, G) normalised counts and (n, L) shifts to mean and log sd of z, (n, L) each."""

    def __init__(self, *, genes: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.first = nn.Linear(genes + latent, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.mean = nn.Linear(hidden + latent, latent)
        self.log_sd = nn.Linear(hidden, latent)

    def forward(self, x: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log sd, the latter within bounds."""
        state = torch.relu(self.norm(self.first(torch.cat([x, shift], 1))))
        return self.mean(torch.cat([state, shift], 1)), self.log_sd(state).clamp(-5.0, 2.0)


class Decoder(nn.Module):
    """(n, L) latent states to (n, G) log ratios of fractions: a linear map, and one hidden layer if there is one."""

    def __init__(self, *, genes: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(latent, genes, bias=False)
        nn.init.normal_(self.linear.weight, std=0.1 / math.sqrt(latent))
        self.hidden = hidden
        if hidden:
            self.first = nn.Linear(latent, hidden)
            self.norm = nn.LayerNorm(hidden)
            self.last = nn.Linear(hidden, genes, bias=False)
            nn.init.zeros_(self.last.weight)

    def forward(self, state: Tensor) -> Tensor:
        """Return the log ratios."""
        ratio: Tensor = self.linear(state)
        if self.hidden:
            ratio = ratio + self.last(torch.relu(self.norm(self.first(state))))
        return ratio


class CountVae(nn.Module):
    """See `fitters.vae.vae.Vae` for the equations.

    Args:
        data: the cells.
        options: the fitter.
    """

    counts: Tensor  # (N, G)
    depth: Tensor  # (N,)
    condition: Tensor  # (N,) codes, as are batch and context
    batch: Tensor
    context: Tensor
    dose: Tensor  # (C, T)
    own: Tensor  # (C, G)
    centre: Tensor  # (B, G)
    spread: Tensor  # (G,)
    base: Tensor  # (G,)
    group: Tensor  # (N,) batch and context together
    partner: Tensor  # controls, group by group, with the first and the number of each group's
    partner_start: Tensor
    partner_size: Tensor
    pool: Tensor  # (N,) condition and group together
    pool_profile: Tensor  # (pools, G) observed log profiles, and of the controls of each pool's group
    own_control: Tensor
    all_controls: Tensor  # (1, G)
    steps: Tensor

    def __init__(self, data: CellsAndDoses, options: Vae) -> None:
        super().__init__()
        table = data.table
        n_genes, n_contexts = len(table.genes), len(data.contexts)
        self.options, self.n_cells, self.n_genes, self.size = options, table.n_cells, n_genes, data.size
        self.stopping = ("reconstruction", "kl")  # the bound on the likelihood of what is held out
        self.wanted = frozenset(options.weights)
        buffer(self, "counts", table.dense())
        buffer(self, "depth", table.depth)
        for name, values in (("condition", table.condition), ("batch", table.batch), ("context", data.context)):
            buffer(self, name, values, torch.int64)
        for name in ("dose", "own", "centre", "spread", "base"):
            buffer(self, name, getattr(data, name))
        self._pair(data)
        rows = {gene: row for row, gene in enumerate(table.genes)}
        embedding = np.zeros((len(table.targets), data.embedding.shape[1]))
        for row, target in enumerate(table.targets):
            if target in rows:
                embedding[row] = data.embedding[rows[target]]
        self.shift = LatentShift(
            torch.as_tensor(embedding, dtype=torch.float32),
            latent=options.latent,
            sparse=options.sparse_shift,
            scale=options.effect_scale,
            mask_prior=options.mask_prior,
        )
        self.encoder = Encoder(genes=n_genes, hidden=max(options.hidden, 1), latent=options.latent)
        self.decoder = Decoder(genes=n_genes, hidden=options.decoder_hidden, latent=options.latent)
        self.gene_offset = nn.Parameter(torch.zeros(n_genes))
        self.batch_offset = nn.Parameter(torch.as_tensor(data.batch_offset, dtype=torch.float32))
        self.context_offset = nn.Parameter(torch.as_tensor(data.context_offset, dtype=torch.float32))
        self.context_gain = nn.Parameter(torch.zeros(n_contexts), requires_grad=n_contexts > 1)
        self.log_theta = nn.Parameter(torch.as_tensor(np.log(data.theta), dtype=torch.float32))
        if options.likelihood == "zinb":
            self.dropout = nn.Linear(options.latent, n_genes)
            nn.init.zeros_(self.dropout.weight)
            nn.init.constant_(self.dropout.bias, -4.0)
        if options.disentangling == "adversarial":
            self.adversary = nn.Sequential(
                nn.Linear(options.latent, 64), nn.ReLU(), nn.Linear(64, len(table.conditions))
            )

        self.averaged = nn.ParameterDict(
            {
                name.replace(".", "/"): nn.Parameter(value.detach().clone(), requires_grad=False)
                for name, value in self.named_parameters()
            }
        )
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # kept in checkpoints, as the averages are

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the parameters with the learning rate of each."""
        fast = [self.log_theta, self.gene_offset, self.shift.free, self.shift.map]
        fast += [self.dropout.bias] if self.options.likelihood == "zinb" else []
        known = {id(value) for value in fast}
        slow = [value for value in self.parameters() if value.requires_grad and id(value) not in known]
        return [{"params": slow}, {"params": fast, "lr": FAST * self.options.rate}]

    def weight_now(self, term: str, moment: Moment) -> float:
        """Return what the weight of a term is multiplied by: that of "kl" grows from 0 over the warm-up."""
        warms = term == "kl" and moment.epoch < self.options.warm_up
        return moment.epoch / self.options.warm_up if warms else 1.0

    def after_step(self, learning_rate: float) -> None:
        """Average the parameters over steps, as Polyak & Juditsky, SIAM J. Control Optim. 30 (1992), 838-855."""
        del learning_rate
        self.steps.add_(1)
        weight = 1.0 / max(1.0, min(AVERAGED_STEPS, AVERAGED_SHARE * float(self.steps)))
        for name, value in self.named_parameters():
            if not name.startswith("averaged."):
                self.averaged[name.replace(".", "/")].lerp_(value, weight)

    def use_average(self) -> None:
        """Put the averages in the place of the parameters."""
        with torch.no_grad():
            for name, value in self.named_parameters():
                if not name.startswith("averaged."):
                    value.copy_(self.averaged[name.replace(".", "/")])

    def _pair(self, data: CellsAndDoses) -> None:
        """Note which controls are of each cell's batch and context; all, where it has none."""
        table = data.table
        group = table.batch * len(data.contexts) + data.context
        n_groups = len(table.batches) * len(data.contexts)
        controls = [np.flatnonzero(table.control & (group == number)) for number in range(n_groups)]
        every = np.flatnonzero(table.control)
        controls = [cells if cells.size else every for cells in controls]
        size = np.array([cells.size for cells in controls])
        buffer(self, "group", group, torch.int64)
        buffer(self, "partner", np.concatenate(controls), torch.int64)
        buffer(self, "partner_start", np.cumsum(size) - size, torch.int64)
        buffer(self, "partner_size", size, torch.int64)
        if not {"contrast_matched", "contrast_pooled", "response"} & self.wanted:
            return
        # observed log profiles of conditions by group, of all controls, and of each group's own
        code = table.condition * n_groups + group
        pooled, place = np.unique(code, return_inverse=True)
        total = np.zeros((pooled.size, len(table.genes)))
        counts = table.counts
        for row in range(pooled.size):
            total[row] = np.asarray(counts[np.flatnonzero(place == row)].sum(axis=0), dtype=np.float64)
        own = np.array([np.asarray(counts[cells].sum(axis=0), dtype=np.float64) for cells in controls])
        buffer(self, "pool", place, torch.int64)
        buffer(self, "pool_profile", _log_profiles(total))
        buffer(self, "own_control", _log_profiles(own)[pooled % n_groups])
        buffer(self, "all_controls", _log_profiles(np.asarray(counts[every].sum(axis=0))[None]))

    # the model

    def shifts(self, rows: Tensor) -> Tensor:
        """Return (n, L) shifts of the cells' perturbations in their contexts."""
        all_shifts: Tensor = self.dose @ self.shift.effects()
        return all_shifts[self.condition[rows]] * positive(self.context_gain)[self.context[rows]][:, None]

    def encode(self, rows: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log sd of z of some cells, (n, L) each, given their shifts."""
        counts, depth = self.counts[rows], self.depth[rows][:, None]
        x = (torch.log1p(self.size / depth * counts) - self.centre[self.batch[rows]]) / self.spread
        found: tuple[Tensor, Tensor] = self.encoder(x, shift)
        return found

    def log_fraction(self, state: Tensor, batch: Tensor, context: Tensor, own: Tensor) -> Tensor:
        """Return (n, G) logarithms of the fractions of a cell's mRNA, given latent states and covariates."""
        offset = self.base + self.gene_offset + self.batch_offset[batch] + self.context_offset[context]
        return torch.log_softmax(offset + own + self.decoder(state), dim=1)

    def log_mean(self, log_fraction: Tensor, dropout: Tensor | None) -> Tensor:
        """Return (n, G) logarithms of the NB's means over the UMIs of cells, given the logits of zeros, if any.

        UMIs are counted when the zeros are there already. Their sum is what is expected of them after these: with
        fractions rho and shares kept 1 - pi, ``rho / sum(rho (1 - pi))``, in training as in sampling.
        """
        if dropout is None:
            return log_fraction
        return log_fraction - torch.logsumexp(log_fraction + logsigmoid(-dropout), dim=1, keepdim=True)

    def logits_of_zeros(self, state: Tensor) -> Tensor | None:
        """Return (n, G) logits of the chances of zeros that are none of the NB's; None where there are none."""
        return self.dropout(state) if self.options.likelihood == "zinb" else None

    # the loss

    def terms(self, rows: Tensor, moment: Moment) -> Mapping[str, Tensor]:
        """Return the unweighted terms; all are per cell and gene, but for those of the latents of one mini-batch."""
        shift = self.shifts(rows)
        mean, log_sd = self.encode(rows, shift)
        z = mean + log_sd.exp() * torch.randn_like(mean)
        batch, context = self.batch[rows], self.context[rows]
        own = self.own[self.condition[rows]]
        dropout = self.logits_of_zeros(z + shift)
        fraction = self.log_mean(self.log_fraction(z + shift, batch, context, own), dropout).exp()
        expected = (self.depth[rows][:, None] * fraction).clamp(min=LEAST_MEAN)
        divergence = 0.5 * (mean**2 + torch.exp(2.0 * log_sd) - 2.0 * log_sd - 1.0).sum(1).mean()
        per_gene = 1.0 / self.n_genes
        found = {
            "reconstruction": negative_binomial(self.counts[rows], expected, self.theta(), dropout),
            "kl": divergence * per_gene,
            "effect_prior": self.shift.prior() * (per_gene / self.n_cells),
        }
        if "mechanism_sparsity" in self.wanted:
            found["mechanism_sparsity"] = self.shift.mask_divergence() * (per_gene / self.n_cells)
        if "disentangling" in self.wanted:
            found["disentangling"] = self._disentangling(rows, z)
        if {"response", "contrast_matched", "contrast_pooled"} & self.wanted:
            found |= self._responses(rows, shift, own)
        return found

    def theta(self) -> Tensor:
        """Return (G,) inverse dispersions."""
        return self.log_theta.clamp(-7.0, 10.0).exp()

    def partners(self, rows: Tensor) -> Tensor:
        """Return one control cell of each cell's batch and context, drawn anew."""
        group = self.group[rows]
        place = (torch.rand(len(rows), device=rows.device) * self.partner_size[group]).long()
        return self.partner[self.partner_start[group] + place]

    def _disentangling(self, rows: Tensor, z: Tensor) -> Tensor:
        if self.options.disentangling == "adversarial":
            return cross_entropy(self.adversary(Reversal.apply(z)), self.condition[rows]) / self.n_genes
        partners = self.partners(rows)
        mean, log_sd = self.encode(partners, self.shifts(partners))
        control = mean + log_sd.exp() * torch.randn_like(mean)
        changed = self.dose[self.condition[rows]].any(dim=1)
        return conditional_discrepancy(z[changed], self.condition[rows][changed], control)

    def _responses(self, rows: Tensor, shift: Tensor, own: Tensor) -> dict[str, Tensor]:
        """Return errors of what the decoder makes of control cells that are shifted: mean profiles of conditions."""
        partners = self.partners(rows)
        with torch.no_grad():
            mean, log_sd = self.encode(partners, torch.zeros_like(shift))
            z = mean + log_sd.exp() * torch.randn_like(mean)
        batch, context = self.batch[rows], self.context[rows]
        pools, place = torch.unique(self.pool[rows], return_inverse=True)
        n = torch.bincount(place).to(z.dtype)[:, None]
        weight = n / n.mean()

        def profile(state: Tensor, offset: Tensor) -> Tensor:
            dropout = self.logits_of_zeros(state)
            log_share = self.log_mean(self.log_fraction(state, batch, context, offset), dropout)
            fraction = (log_share if dropout is None else log_share + logsigmoid(-dropout)).exp()  # of the UMIs
            return torch.log1p(SCALE * torch.zeros(len(pools), self.n_genes).to(z).index_add(0, place, fraction) / n)

        predicted, control = profile(z + shift, own), profile(z, torch.zeros_like(own))
        observed, own_control = self.pool_profile[pools], self.own_control[pools]
        return {
            "response": contrast(predicted, torch.zeros(()).to(z), observed, torch.zeros(()).to(z), weight),
            "contrast_matched": contrast(predicted, control, observed, own_control, weight),
            "contrast_pooled": contrast(predicted, control, observed, self.all_controls, weight),
        }


def _log_profiles(total: Any) -> Any:
    return np.log1p(SCALE * total / np.maximum(total.sum(axis=1, keepdims=True), 1.0))
