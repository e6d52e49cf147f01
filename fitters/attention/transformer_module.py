"""The network of `transformer` and its two objectives, as torch modules.

In: rows of expression (pools of cells, on the scale of tokens), responses of perturbed pools. Out: `GeneTransformer`,
from tokens to a vector for each gene; `MaskedExpression`, what it is pretrained by, and `Responses`, fine-tuned by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from fitters.losses import contrast, squared_error
from fitters.training.objective import Moment

SMALL = 0.1  # standard deviation of embeddings before anything is learned
RANK_WAVES = 8  # sines and cosines by which a rank is told


class Block(nn.Module):
    """Attention among the tokens of a row and a perceptron for each, both added to what comes in, normalised before."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (n, T, H) tokens that have seen each other."""
        n_rows, n_tokens, width = tokens.shape
        each = self.query_key_value(self.before(tokens)).view(n_rows, n_tokens, 3, self.heads, width // self.heads)
        query, key, value = each.permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(n_rows, n_tokens, width)
        tokens = tokens + self.out(seen)
        return tokens + self.perceptron(self.between(tokens))


class GeneHead(nn.Module):
    """One number for each gene's token: ``MLP(h_g) + <W h_g, e_g>``, e the gene's embedding."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.perceptron = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.match = nn.Linear(width, width, bias=False)

    def forward(self, found: Tensor, gene: Tensor) -> Tensor:
        """Return (...) numbers of tokens that became (..., H), of genes with embeddings (..., H)."""
        number: Tensor = self.perceptron(found)[..., 0] + (self.match(found) * gene).sum(dim=-1)
        return number


class GeneTransformer(nn.Module):
    """See `fitters.attention.transformer.Transformer` for its equations.

    Args:
        n_tokens: V genes that have a token.
        width: H. layers: number of blocks. heads: of attention.
        ranks: whether what is beside a token is a rank.
    """

    def __init__(self, n_tokens: int, *, width: int, layers: int, heads: int, ranks: bool) -> None:
        super().__init__()
        self.ranks = ranks
        self.gene = nn.Parameter(SMALL * torch.randn(n_tokens, width))
        self.gene_level = nn.Linear(width, width, bias=False)
        self.level = nn.Sequential(nn.Linear(2 * RANK_WAVES if ranks else 1, width), nn.GELU(), nn.Linear(width, width))
        self.masked = nn.Parameter(SMALL * torch.randn(width))
        self.flag = nn.Parameter(SMALL * torch.randn(width))
        self.gene_flag = nn.Linear(width, width, bias=False)
        self.blocks = nn.ModuleList(Block(width=width, heads=heads) for _ in range(layers))
        self.last = nn.LayerNorm(width)
        self.to_level = GeneHead(width=width)

    def forward(
        self, genes: Tensor, levels: Tensor, *, flags: Tensor | None = None, masked: Tensor | None = None
    ) -> Tensor:
        """Return (n, T, H) of n rows of T tokens.

        Args:
            genes: (T,) which genes. levels: (n, T) what is beside them.
            flags: (n, T) 1 where the gene is perturbed.
            masked: (n, T) where a level is hidden, or with ranks the gene.
        """
        gene = self.gene[genes]
        own, level = levels[..., None] * self.gene_level(gene), self._level(levels)
        if masked is None:
            tokens = gene + own + level
        elif self.ranks:
            tokens = level + torch.where(masked[..., None], self.masked, gene + own)
        else:
            tokens = gene + torch.where(masked[..., None], self.masked, own + level)
        if flags is not None:
            tokens = tokens + flags[..., None] * (self.flag + self.gene_flag(gene))
        for block in self.blocks:
            tokens = block(tokens)
        found: Tensor = self.last(tokens)
        return found

    def _level(self, levels: Tensor) -> Tensor:
        told = levels[..., None]
        if self.ranks:
            angle = 0.5 * math.pi * told * 2.0 ** torch.arange(RANK_WAVES, device=levels.device)
            told = torch.cat([angle.sin(), angle.cos()], dim=-1)
        embedded: Tensor = self.level(told)
        return embedded


class MaskedExpression(nn.Module):
    """The loss of pretraining: rows are pools of unperturbed cells, of which some tokens are hidden.

    Args:
        net: the network; it is trained in place.
        rows: (M, G) on the scale of tokens; the first G tokens are these genes.
        share: of the tokens that are hidden.
        genes_per_step: tokens that are drawn for a mini-batch.
    """

    def __init__(self, net: GeneTransformer, rows: NDArray[np.float32], *, share: float, genes_per_step: int) -> None:
        super().__init__()
        self.net, self.share, self.genes_per_step = net, share, genes_per_step
        self.rows: Tensor
        self.register_buffer("rows", torch.as_tensor(rows), persistent=False)

    def terms(self, rows: Tensor, moment: Moment) -> Mapping[str, Tensor]:
        """Return the error at the hidden tokens: 1 is that of who knows nothing of the row."""
        n_genes = self.rows.shape[1]
        genes = torch.randperm(n_genes, device=rows.device)[: self.genes_per_step]
        levels = self.rows[rows[:, None], genes]
        masked = torch.rand(levels.shape, device=rows.device) < self.share
        masked[:, 0] |= ~masked.any(dim=1)  # of every row something is asked
        found = self.net(genes, levels, masked=masked)[masked]
        if self.net.ranks:
            which = genes.expand_as(masked)[masked]
            error = cross_entropy(found @ self.net.gene[:n_genes].T, which) / math.log(max(n_genes, 2))
        else:
            gene = self.net.gene[genes].expand(*masked.shape, -1)[masked]
            error = squared_error(self.net.to_level(found, gene), levels[masked])
        return {"masked_expression": error}


class ResponseDecoder(nn.Module):
    """From the vector of a gene's token to the change of its log profile: ``b_g + head``, the head 0 at first."""

    def __init__(self, center: NDArray[np.float64], *, width: int) -> None:
        super().__init__()
        self.center = nn.Parameter(torch.as_tensor(center, dtype=torch.float32))
        self.head = GeneHead(width=width)
        for last in (self.head.perceptron[-1], self.head.match):
            for value in last.parameters():
                nn.init.zeros_(value)

    def forward(self, genes: Tensor, found: Tensor, gene: Tensor) -> Tensor:
        """Return (n, T) changes of genes (T,) with embeddings (T, H) whose tokens became (n, T, H)."""
        change: Tensor = self.center[genes] + self.head(found, gene)
        return change


class PerturbedTransformer(nn.Module):
    """The fine-tuned model: tokens of controls with flags on the targets in, changes of all measured genes out."""

    def __init__(self, net: GeneTransformer, decoder: ResponseDecoder) -> None:
        super().__init__()
        self.net, self.decoder = net, decoder

    def forward(self, genes: Tensor, levels: Tensor, flags: Tensor) -> Tensor:
        """Return (n, T) changes; the tokens of targets that are not measured have a level of 0 and change by 0."""
        n_measured = len(self.decoder.center)
        found = self.net(genes, levels, flags=flags)
        change = self.decoder(genes.clamp(max=n_measured - 1), found, self.net.gene[genes])
        return torch.where(genes < n_measured, change, 0.0)


class Responses(nn.Module):
    """The loss of fine-tuning: rows are pools of perturbed cells, each read from a pool of controls of its batch.

    Args:
        model: the model; it is trained in place.
        controls: (M, G) pools of controls, on the scale of tokens. control_batch: (M,) their batches.
        condition, batch: (P,) of the perturbed pools. design: (C, V) targets of every condition among all tokens.
        matched, pooled: (P, G) observed changes. measured: (G,) whether a gene has a change.
        genes_per_step: tokens that are drawn for a mini-batch, beside those of the targets.
    """

    stopping = ("response",)

    def __init__(
        self,
        model: PerturbedTransformer,
        *,
        controls: NDArray[np.float32],
        control_batch: NDArray[np.intp],
        condition: NDArray[np.intp],
        batch: NDArray[np.intp],
        design: NDArray[np.float32],
        matched: NDArray[np.float64],
        pooled: NDArray[np.float64],
        measured: NDArray[np.bool_],
        genes_per_step: int,
    ) -> None:
        super().__init__()
        self.model, self.genes_per_step = model, genes_per_step
        n_batches = int(max(batch.max(), control_batch.max())) + 1
        # which control pools a row may be read from: those of its batch, or all where it has none
        drawn = np.stack([control_batch == number for number in range(n_batches)])
        drawn[~drawn.any(axis=1)] = True
        self.controls: Tensor
        self.drawn: Tensor
        self.condition: Tensor
        self.batch: Tensor
        self.design: Tensor
        self.matched: Tensor
        self.pooled: Tensor
        self.measured: Tensor
        whole = np.zeros((len(controls), design.shape[1]), np.float32)
        whole[:, : controls.shape[1]] = controls
        for name, value in (
            ("controls", whole),
            ("drawn", drawn.astype(np.float32)),
            ("condition", condition),
            ("batch", batch),
            ("design", design.astype(np.float32)),
            ("matched", matched.astype(np.float32)),
            ("pooled", pooled.astype(np.float32)),
            ("measured", measured),
        ):
            self.register_buffer(name, torch.as_tensor(value), persistent=False)

    def terms(self, rows: Tensor, moment: Moment) -> Mapping[str, Tensor]:
        """Return every term on some pools, at genes drawn at random and at their targets."""
        flags = self.design[self.condition[rows]]
        n_measured = len(self.measured)
        chosen = flags.any(dim=0)
        order = torch.randperm(n_measured, device=rows.device)
        chosen[order[: self.genes_per_step]] = True
        chosen[order[self.measured[order]][:1]] = True  # or a step could ask for nothing where few are measured
        genes = chosen.nonzero()[:, 0]
        read = torch.multinomial(self.drawn[self.batch[rows]], 1)[:, 0]
        predicted = self.model(genes, self.controls[read[:, None], genes], flags[:, genes])
        kept = genes < n_measured
        kept = kept & self.measured[genes.clamp(max=n_measured - 1)]
        predicted, at = predicted[:, kept], genes[kept]
        matched, pooled = self.matched[rows[:, None], at], self.pooled[rows[:, None], at]
        none = torch.zeros((), device=predicted.device)
        return {
            "response": squared_error(predicted, matched),
            "contrast_matched": contrast(predicted, none, matched, none),
            "contrast_pooled": contrast(predicted, none, pooled, none),
        }
