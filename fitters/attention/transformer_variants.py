"""`rank-transformer` and `frozen-transformer`: the transformer with other tokens, and with another decoder.

In: training data and, if told beside them, an atlas. Out: profiles, beside which those of `transformer` can be held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from fitters.attention.transformer import Transformer
from fitters.contract import Assumption


@dataclass(frozen=True, eq=False, kw_only=True)
class RankTransformer(Transformer):
    """The transformer with tokens that tell the rank of a gene in its row instead of its level, as in Geneformer.

    Equations, terms, options and sources: `Transformer`, with tokens "ranks".
    """

    name: ClassVar[str] = "rank-transformer"
    source: ClassVar[str] = "Theodoris et al. (Geneformer), Nature 618 (2023), 616-624"
    tokens: str = field(default="ranks", init=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class FrozenTransformer(Transformer):
    """The transformer's gene embeddings as pretraining has left them, in a ridge on perturbed cells.

    Equations, terms, options and sources: `Transformer`, with decoding "frozen-ridge": "masked_expression" is the one
    term, and the option `losses` may name no other.
    """

    name: ClassVar[str] = "frozen-transformer"
    source: ClassVar[str] = "Ahlmann-Eltze, Huber & Anders (2025), Nature Methods, doi:10.1038/s41592-025-02772-6"
    assumptions: ClassVar[frozenset[Assumption]] = frozenset(
        {
            Assumption.LINEAR,
            Assumption.ADDITIVE,
            Assumption.LOW_RANK,
            Assumption.TIMELESS,
            Assumption.MEDIUM_FREE,
            Assumption.NO_BATCH_EFFECT,
        }
    )
    decoding: str = field(default="frozen-ridge", init=False)
