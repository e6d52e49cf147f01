"""What the training loop trains: a torch module that turns rows into the terms of its loss, and what else it may say.

In: rows of data, and where the training stands. Out: terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Moment:
    """Where a training stands: epoch from 0, and the share of the most epochs that have passed, in [0, 1)."""

    epoch: int
    share: float


class Objective(Protocol):
    """A torch.nn.Module with its data, which turns rows into terms.

    It may also have

    - `stopping`: names of terms whose weighted sum is held against what is held out (by default the first term that is
      minimised; those of weight 0 do not count), or a mapping of terms to weights of its own for that
    - `after_step(learning_rate)`, called without gradients after each step (a proximal map)
    - `parameter_groups()`, as torch's optimisers take them
    - `weight_now(term, moment)`, what the weight of a term is multiplied by at a moment of the training (a warm-up);
      what is recorded, and what is held out, stays as it is
    - `least_gain`, how much less the loss has to become in an epoch of L-BFGS for the training to go on
    - `make_optimiser(learning_rate)`, a torch.optim.Optimizer in place of those of the options
    """

    def terms(self, rows: Tensor, moment: Moment) -> Mapping[str, Tensor]:
        """Return the unweighted value of every term on some rows, each a mean over rows so that batches compare."""
