"""The loss of the models of states: pools of cells are its rows. For `train` alone, and only where torch is wanted.

In: a model, pools with their words. Out: the terms of the loss on some pools.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fitters import losses
from fitters.mechanistic.state_module import StateModel
from fitters.mechanistic.state_training import Prepared
from fitters.training.objective import Moment
from simcell.labels import perturbation_targets


class StateObjective(nn.Module):
    """Errors of predicted states, of which a subclass may have more terms.

    Args:
        model: what predicts.
        prepared: what was measured.
        rows: (R,) pools that are rows.
        terms: names of those that are wanted.
        dtype: of all tensors.
    """

    stopping = ("response",)
    pool_of_row: Tensor
    condition: Tensor
    context: Tensor
    batch: Tensor
    weight: Tensor
    state: Tensor
    matched: Tensor
    pooled: Tensor
    features: Tensor
    strengths: Tensor

    def __init__(
        self,
        model: StateModel,
        prepared: Prepared,
        *,
        rows: NDArray[np.intp],
        terms: Collection[str],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.model = model
        self.wanted = frozenset(terms)
        self.words = prepared.contexts.words
        self.media = tuple(context.medium for context in prepared.contexts.all)  # at the end of each word
        self.control_code = prepared.control
        pools, targets = prepared.pools, prepared.targets
        perturbations = [perturbation_targets(label) for label in prepared.table.conditions]
        weight = pools.n_cells / pools.n_cells.mean()
        arrays: dict[str, Any] = {
            "pool_of_row": rows,
            "condition": pools.condition,
            "context": pools.context,
            "batch": pools.batch,
            "weight": weight[:, None],
            "state": pools.state,
            "matched": pools.matched,
            "pooled": pools.pooled,
            "features": targets.features_of(perturbations),
            "strengths": targets.strengths_of(perturbations),
        }
        for name, value in arrays.items():
            tensor = torch.as_tensor(np.ascontiguousarray(value))
            self.register_buffer(name, tensor.to(dtype) if tensor.is_floating_point() else tensor, persistent=False)

    def terms(self, rows: Tensor, moment: Moment) -> dict[str, Tensor]:
        """Return the terms on some pools."""
        rows = self.pool_of_row[rows]
        predicted, control = self.predicted(rows)
        weight = self.weight[rows]
        found = {"response": self.response(rows, predicted)}
        if "contrast_matched" in self.wanted:
            zero = torch.zeros_like(control)
            found["contrast_matched"] = losses.contrast(predicted, control, self.matched[rows], zero, weight)
        if "contrast_pooled" in self.wanted:
            zero = torch.zeros_like(control)
            found["contrast_pooled"] = losses.contrast(predicted, control, self.pooled[rows], zero, weight)
        if "weight_decay" in self.wanted:
            found["weight_decay"] = self.model.decay()
        return found | self.steady_states(rows)

    def response(self, rows: Tensor, predicted: Tensor) -> Tensor:
        """Return the error of predicted states (n, D)."""
        return losses.squared_error(predicted, self.state[rows], self.weight[rows])

    def steady_states(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the terms of steady states; none unless a subclass has them."""
        return {}

    def embedded(self, condition: Tensor) -> Tensor:
        """Return (n, E) perturbations of conditions."""
        return self.model.perturbation(self.features[condition], self.strengths[condition])

    def predicted(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return (n, D) states predicted for pools, and those of control in the same contexts."""
        condition = torch.cat([self.condition[rows], torch.tensor([self.control_code], device=rows.device)])
        conditions, place = torch.unique(condition, return_inverse=True)
        contexts, where = torch.unique(self.context[rows], return_inverse=True)
        p = self.embedded(conditions)
        memo: dict[Any, Any] = {}
        table = torch.stack([self.model.at(self.words[k], p, memo=memo) for k in contexts.tolist()])
        return table[where, place[:-1]], table[where, place[-1].expand_as(where)]
