"""`transformer`: attention over gene tokens, pretrained to fill in hidden expression, then shown perturbations.

In: training data and, if told beside them, an atlas of unperturbed cells. Out: profiles of seen and unseen genes and
combinations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fitters.attention.expression_rows import pooled_fractions, without_batches
from fitters.attention.frozen import frozen_ridge
from fitters.attention.pretraining import Pretrained, pretrained
from fitters.checks import Scope
from fitters.contract import Assumption, Claim
from fitters.errors import FitterError, FitterOptionError
from fitters.options import check_choice, check_flags, check_numbers, check_whole_numbers
from fitters.pooled_responses import PooledResponses, pooled_responses
from fitters.profile_fit import ProfileFit
from fitters.training.batches import RowLabels
from fitters.training.cells import CellTable
from fitters.training.checkpoint import fingerprint_of
from fitters.training.devices import one_thread, seeded
from fitters.training.loop import train
from fitters.training.options import TrainedFitter
from fitters.training_data import TrainingData

if TYPE_CHECKING:
    from fitters.attention.transformer_module import PerturbedTransformer

PRETRAINING = ("auto", "atlas", "controls", "none")
TOKENS = ("values", "ranks")
DECODING = ("fine-tuned", "frozen-ridge")
FROZEN = ("perturbations", "genes", "both")


@dataclass(frozen=True, eq=False, kw_only=True)
class Transformer(TrainedFitter):
    """Attention over gene tokens: pretrained to fill in hidden expression, then shown perturbations, as in scGPT.

    Equations, for G measured genes, width H; a row is a small pool of cells, read as one token per gene:

    - x_g, what stands beside a token: "values", ``(L_g - m_g) / s_g``, L the log profile of the row, m and s its mean
      and standard deviation over the rows of pretraining; or "ranks", from -1 to 1 by ``L_g - m_g`` within the row
    - token ``t_g = e_g + x_g A e_g + level(x_g) + [g perturbed] (f + F e_g)``; e (V, H) embeddings of genes, level an
      MLP (of ranks: of sines and cosines of them), f a flag; targets that are not measured have a token with x = 0
    - `layers` blocks, normalised before: ``t <- t + attention(t)``, ``t <- t + MLP(t)``; then h = LayerNorm(t), (G, H)
    - head: ``head(h_g) = MLP(h_g) + <W h_g, e_g>``
    - pretraining, of rows of unperturbed cells of one tissue (of controls: of one batch), with a share of the tokens
      hidden: of "values" the level is hidden, and ``head(h_g)`` is to be x_g; of "ranks" the gene is hidden, and
      ``softmax over g' of <h_g, e_g'>`` is to tell which gene has that rank
    - fine-tuning, of pools of perturbed cells, each read from a pool of control cells of its batch that is drawn at
      every step: ``d_g = b_g + head'(h_g)`` is the change of its log profile (see `pooled_responses`); head' begins at
      0 and b at the mean of the training changes
    - prediction: control's log profile + d, read from the mean of the control pools, not below 0; genes that the
      controls have too few counts of do not change
    - with decoding "frozen-ridge" there is no fine-tuning: the first `components` principal components of e are P, G or
      both in the bilinear map of `Bilinear`, W there a ridge regression with `penalty`

    At every step `genes_per_step` tokens are drawn at random (and those of the targets): attention is among these.

    Terms of the loss:

    - "masked_expression" (stage pretraining): at hidden tokens, the mean squared error of x, so that 1 is that of the
      gene's mean; of ranks the cross-entropy over log G, so that 1 is that of a guess
    - "response": mean squared error of d against the change from the controls of the same batch
    - "contrast_matched", "contrast_pooled": the same error under the name that other fitters have for it, and the error
      against the change from the controls of all batches; not in use unless the option `losses` names them

    Source: H. Cui et al., "scGPT: toward building a foundation model for single-cell multi-omics using generative AI",
    Nature Methods 21 (2024), 1470-1480. Ranks: C. V. Theodoris et al., "Transfer learning enables predictions in
    network biology" (Geneformer), Nature 618 (2023), 616-624. Frozen embeddings in a linear model: C. Ahlmann-Eltze,
    W. Huber, S. Anders, Nature Methods (2025), doi:10.1038/s41592-025-02772-6.

    Differences: two layers of width 32 where scGPT has twelve of 512; rows are pools, not cells; values are
    standardised by gene, not binned by cell; a level also enters as a multiple of the gene's embedding and leaves by an
    inner product with it (as in scGPT's objective from the cell's embedding), without which so small a model learns
    little; flags know the gene; embeddings may stay as pretraining left them; tokens are hidden at random, with full
    attention, not generated in order. A change is predicted, not a level, and begins at the mean of all; rows of
    controls are rid of what their batch does to a gene. Ranks are of levels over their mean, not over their median
    where they are not 0, and all genes have one. The linear models there map embeddings of scGPT's and scFoundation's
    genes, or embeddings of cells (scBERT, Geneformer, UCE) after a perturbation in silico; here, those of genes alone.

    Args:
        pretraining: "atlas", the one that the data come with; "controls", the training data's own; "none"; or "auto",
            an atlas if there is one, else controls.
        tokens: "values" or "ranks".
        decoding: "fine-tuned" or "frozen-ridge".
        frozen: what the embeddings are in the bilinear map: "perturbations" (P), "genes" (G) or "both".
        width: H, a multiple of heads.
        layers: number of blocks.
        heads: of attention.
        masked_share: share of the tokens that are hidden, above 0 and below 1.
        genes_per_step: tokens drawn for a mini-batch.
        pretraining_epochs: most passes over the rows of pretraining; a tenth of these is held out to stop by.
        pretraining_pool: cells of a row of pretraining; 1: single cells.
        cells_per_pool: cells of a pool of fine-tuning.
        keep_embeddings: whether fine-tuning leaves e as pretraining has made it.
        components: of a frozen embedding, at least 1; reduced where there are fewer.
        penalty: of the bilinear map, above 0.

    The others are those of `TrainedFitter`; `epochs` are those of fine-tuning.

    Raises:
        FitterOptionError: an option out of range, or a stage without a term of the loss to minimise.
    """

    name: ClassVar[str] = "transformer"
    family: ClassVar[str] = "attention"
    claims: ClassVar[frozenset[Claim]] = frozenset({Claim.MEAN, Claim.UNSEEN_GENE, Claim.COMBINATION})
    assumptions: ClassVar[frozenset[Assumption]] = frozenset({Assumption.TIMELESS, Assumption.MEDIUM_FREE})
    source: ClassVar[str] = "Cui et al. (scGPT), Nature Methods 21 (2024), 1470-1480"
    terms: ClassVar[Mapping[str, float]] = {
        "masked_expression": 1.0,
        "response": 1.0,
        "contrast_matched": 0.0,
        "contrast_pooled": 0.0,
    }

    pretraining: str = "auto"
    tokens: str = "values"
    decoding: str = "fine-tuned"
    frozen: str = "perturbations"
    width: int = 32
    layers: int = 2
    heads: int = 4
    masked_share: float = 0.25
    genes_per_step: int = 128
    pretraining_epochs: int = 15
    pretraining_pool: int = 10
    cells_per_pool: int = 50
    keep_embeddings: bool = True
    components: int = 10
    penalty: float = 0.1
    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 2e-3
    gradient_clip: float | None = 1.0
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "pretraining", among=PRETRAINING)
        check_choice(self, "tokens", among=TOKENS)
        check_choice(self, "decoding", among=DECODING)
        check_choice(self, "frozen", among=FROZEN)
        check_whole_numbers(
            self, "width", "layers", "heads", "genes_per_step", "pretraining_epochs", "pretraining_pool",
            "cells_per_pool", "components", at_least=1,
        )  # fmt: skip
        check_flags(self, "keep_embeddings")
        check_numbers(self, "masked_share", above=0, below=1)
        check_numbers(self, "penalty", above=0)
        if self.width % self.heads:
            raise FitterOptionError.value(self.name, "width", self.width, f"a multiple of heads ({self.heads})")
        if self.pretraining != "none" and "masked_expression" not in self._minimised():
            allowed = "above 0: pretraining minimises it; with pretraining none it is not asked for"
            raise FitterOptionError.value(self.name, "losses.masked_expression", 0, allowed)
        if self.decoding == "frozen-ridge":
            for term in self.losses:
                if term != "masked_expression":
                    allowed = "a term of its loss with decoding frozen-ridge; that is masked_expression"
                    raise FitterOptionError.value(self.name, "losses", term, allowed)
        elif not self._minimised() - {"masked_expression"}:
            allowed = "a mapping that leaves fine-tuning a weight above 0, of a term that is not masked_expression"
            raise FitterOptionError.value(self.name, "losses", dict(self.losses), allowed)

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every term that is minimised or recorded; without fine-tuning, those of pretraining."""
        tuned = self.decoding == "fine-tuned"
        return {term: weight for term, weight in super().weights.items() if tuned or term == "masked_expression"}

    def _minimised(self) -> set[str]:
        return {term for term, weight in self.weights.items() if weight > 0}

    def fit(self, data: TrainingData, *, seed: int) -> ProfileFit:
        """Return the fit.

        Raises:
            FitterError: controls only; controls with too few counts of every gene, for fine-tuning; pretraining on an
                atlas that the data do not come with; a training that diverges.
            TrainingDataError: an atlas that lacks a gene of the data.
        """
        if not data.perturbations:
            raise FitterError(self.name, "the training data have no perturbation")
        if self.pretraining == "atlas" and data.knowledge.atlas is None:
            told = "the data come with no atlas (the section knowledge of a benchmark tells one)"
            raise FitterError(self.name, f"option pretraining: 'atlas', but {told}")
        table = CellTable.of(data)
        if self.decoding == "frozen-ridge":
            return frozen_ridge(self, data, pretrained(self, data, table, seed=seed), seed=seed)
        observed = pooled_responses(table, cells_per_pool=self.cells_per_pool)
        observed.check_measured(fitter=self.name)
        model = pretrained(self, data, table, seed=seed)
        return self._fine_tuned(data, table, observed, model, seed=seed)

    def _fine_tuned(
        self, data: TrainingData, table: CellTable, observed: PooledResponses, model: Pretrained, *, seed: int
    ) -> TransformerFit:
        from fitters.attention.transformer_module import PerturbedTransformer, ResponseDecoder, Responses

        held_out = table.held_out(self.held_out, seed=seed)[observed.condition]
        controls = np.flatnonzero(table.control)
        pools, control_batch = pooled_fractions(
            table.counts[controls], table.batch[controls], cells_per_pool=self.cells_per_pool
        )
        pools = without_batches(pools, control_batch)
        design = np.zeros((len(table.conditions), len(model.tokens)), np.float32)
        design[:, [model.row[target] for target in table.targets]] = table.design
        with seeded(seed, 2):
            decoder = ResponseDecoder(observed.matched[~held_out].mean(axis=0), width=self.width)
        if self.keep_embeddings and model.history.n_epochs:
            model.net.gene.requires_grad_(False)
        whole = PerturbedTransformer(model.net, decoder)
        objective = Responses(
            whole,
            controls=model.scale(pools),
            control_batch=control_batch,
            condition=observed.condition,
            batch=observed.batch,
            design=design,
            matched=observed.matched,
            pooled=observed.pooled,
            measured=observed.measured,
            genes_per_step=self.genes_per_step,
        )
        weights = {term: weight for term, weight in self.weights.items() if term != "masked_expression"}
        history = train(
            objective,
            RowLabels(observed.condition, observed.batch, held_out),
            self,
            weights=weights,
            seed=seed,
            fingerprint=fingerprint_of(table, repr(self), seed, model.digest),
        )
        earlier = (model.history,) if model.history.n_epochs else ()
        return TransformerFit(
            fitter=self.name,
            claims=self.claims,
            scope=Scope.of(data),
            control=data.control,
            notes=(*model.notes, observed.note("perturbed cells")),
            history=replace(history, earlier=earlier),
            model=whole.to("cpu").eval(),
            row=model.row,
            column=table.column,
            levels=model.scale(pools.mean(axis=0, keepdims=True))[0],
            measured=observed.measured,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class TransformerFit(ProfileFit):
    """A fine-tuned transformer.

    Args:
        model: the network, on the CPU.
        row: token of each gene; those of the G measured genes, sorted by name, come first.
        column: (G,) their columns in the training data.
        levels: (G,) what is beside the tokens of controls.
        measured: (G,) whether each may change.
    """

    model: PerturbedTransformer
    row: Mapping[str, int]
    column: NDArray[np.intp]
    levels: NDArray[np.float32]
    measured: NDArray[np.bool_]

    def profile(self, targets: tuple[str, ...]) -> NDArray[np.float64]:
        """Return the control's log profile and the predicted change, shape (G,), not below 0."""
        import torch

        if not targets:
            return self.control
        n_genes = len(self.levels)
        tokens = [self.row[target] for target in targets]
        genes = [*range(n_genes), *(token for token in tokens if token >= n_genes)]
        levels, flags = torch.zeros(1, len(genes)), torch.zeros(1, len(genes))
        levels[0, :n_genes] = torch.as_tensor(self.levels)
        flags[0, [genes.index(token) for token in tokens]] = 1.0
        with torch.no_grad(), one_thread():
            change = self.model(torch.tensor(genes), levels, flags)[0, :n_genes].numpy().astype(np.float64)
        profile = self.control.copy()
        profile[self.column] += np.where(self.measured, change, 0.0)
        return np.maximum(profile, 0.0)
