"""Frozen decoding of `transformer`: the embeddings of genes that pretraining has left, in a bilinear ridge.

In: training data and a pretrained network. Out: a fit whose network reads no perturbed cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fitters.attention.pretraining import Pretrained
from fitters.checks import Scope
from fitters.linear.bilinear import Bilinear, BilinearFit
from fitters.linear.embeddings import EmbeddingSource, principal_components
from fitters.profile_fit import ProfileFit
from fitters.training_data import TrainingData

if TYPE_CHECKING:
    from fitters.attention.transformer import Transformer


def frozen_ridge(options: Transformer, data: TrainingData, model: Pretrained, *, seed: int) -> FrozenTransformerFit:
    """Return the bilinear map with principal components of the network's embeddings as P, G or both; the rest as there.

    What is not swapped is of the training data, as in `Bilinear`.
    """
    embedding = model.embedding()
    scores = principal_components(embedding, components=min(options.components, *embedding.shape))
    vectors = dict(zip(model.tokens, scores, strict=True))
    of_genes: EmbeddingSource = vectors if options.frozen in ("genes", "both") else "training"
    of_perturbations: EmbeddingSource = vectors if options.frozen in ("perturbations", "both") else "training"
    linear = Bilinear(
        components=options.components,
        penalty=options.penalty,
        gene_embedding=of_genes,
        perturbation_embedding=of_perturbations,
    ).fit(data, seed=seed)
    return FrozenTransformerFit(
        fitter=options.name,
        claims=options.claims,
        scope=Scope.of(data),
        control=data.control,
        notes=(*model.notes, *linear.notes),
        history=model.history,
        linear=linear,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class FrozenTransformerFit(ProfileFit):
    """A ridge on frozen embeddings.

    Args:
        linear: the bilinear map.
    """

    linear: BilinearFit

    def profile(self, targets: tuple[str, ...]) -> NDArray[np.float64]:
        """Return the bilinear map's log profile, shape (G,), not below 0; of no target the control's."""
        return np.maximum(self.linear.profile(targets), 0.0) if targets else self.control
