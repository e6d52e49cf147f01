"""The first stage of `transformer`: a network that has learned to fill in what is hidden of unperturbed cells.

In: training data, perhaps an atlas, options. Out: `Pretrained`, the network with the scale of its tokens.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fitters.attention.expression_rows import FloatArray, Scale, pooled_fractions, without_batches
from fitters.knowledge import Atlas
from fitters.results import LossHistory
from fitters.training.batches import RowLabels
from fitters.training.cells import CellTable
from fitters.training.checkpoint import check_stages, fingerprint_of
from fitters.training.devices import seeded
from fitters.training.loop import train
from fitters.training_data import TrainingData

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from fitters.attention.transformer import Transformer
    from fitters.attention.transformer_module import GeneTransformer

STAGE = "pretraining"
SHARE_HELD_OUT = 0.1  # of the rows, by which pretraining is stopped


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A network and its tokens.

    Args:
        net: the network.
        tokens: V names: the measured genes, sorted, then targets that are not measured.
        scale: what turns fractions of counts into what stands beside the tokens.
        history: of the pretraining; empty where there was none.
        digest: of the rows that it was pretrained on.
        notes: what a reader should know.
    """

    net: GeneTransformer
    tokens: tuple[str, ...]
    scale: Scale
    history: LossHistory
    digest: str
    notes: tuple[str, ...]

    @cached_property
    def row(self) -> dict[str, int]:
        """Token of each gene."""
        return {gene: number for number, gene in enumerate(self.tokens)}

    def embedding(self) -> FloatArray:
        """Return (V, H) embeddings of genes, as they are before any cell is read."""
        found: FloatArray = self.net.gene.detach().cpu().numpy().astype(np.float64)
        return found


def pretrained(options: Transformer, data: TrainingData, table: CellTable, *, seed: int) -> Pretrained:
    """Return a network trained on hidden expression of an atlas or of controls, or not at all; see `Transformer`."""
    from fitters.attention.transformer_module import GeneTransformer, MaskedExpression

    atlas = data.knowledge.atlas if options.pretraining in ("auto", "atlas") else None
    if atlas is None:
        controls = np.flatnonzero(table.control)
        counts, group, what = table.counts[controls], table.batch[controls], "control cells"
    else:
        counts, group, what = atlas_cells(atlas, table.genes)
    fractions, of = pooled_fractions(counts, group, cells_per_pool=options.pretraining_pool)
    if atlas is None:
        fractions = without_batches(fractions, of)
    ranks = options.tokens == "ranks"
    scale = Scale.of(fractions, ranks=ranks)
    tokens = (*table.genes, *sorted(set(table.targets) - set(table.genes)))
    with seeded(seed, 1):
        net = GeneTransformer(len(tokens), width=options.width, layers=options.layers, heads=options.heads, ranks=ranks)
    digest = hashlib.blake2b(fractions.tobytes(), digest_size=16).hexdigest()
    if options.pretraining == "none":
        return Pretrained(net, tokens, scale, LossHistory(), digest, ("not pretrained",))
    objective = MaskedExpression(
        net, scale(fractions), share=options.masked_share, genes_per_step=options.genes_per_step
    )
    held_out = np.arange(len(fractions)) % round(1 / SHARE_HELD_OUT) == 1
    nothing = np.zeros(len(fractions), np.intp)
    fingerprint = fingerprint_of(table, repr(options), seed, digest)
    # that of fine-tuning is known already, and to be refused before hours of pretraining, not after
    check_stages(options, STAGE, *([""] if options.decoding == "fine-tuned" else []), fingerprint=fingerprint)
    history = train(
        objective,
        RowLabels(nothing, nothing, held_out),
        options,
        weights={"masked_expression": options.weights["masked_expression"]},
        seed=seed,
        fingerprint=fingerprint,
        stage=STAGE,
        epochs=options.pretraining_epochs,
    )
    each = f"of {counts.shape[0] / len(fractions):.3g} on average"
    note = f"pretrained on {counts.shape[0]} {what}, in {len(fractions)} rows {each}"
    return Pretrained(net, tokens, scale, history, digest, (note,))


def atlas_cells(atlas: Atlas, genes: tuple[str, ...]) -> tuple[csr_array, NDArray[np.intp], str]:
    """Return counts (M, G) of the atlas, the tissue of each cell, and what they are."""
    tissues, tissue = np.unique(atlas.tissue, return_inverse=True)
    return atlas.counts_of(genes), tissue, f"atlas cells of {len(tissues)} tissues"
