"""The options that all trained fitters have in common, and their checks; trained fitters inherit `TrainedFitter`.

In: keyword arguments. Out: a frozen fitter whose options are sound, or a `FitterOptionError`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fitters.errors import FitterOptionError
from fitters.options import check_choice, check_flags, check_numbers, check_whole_numbers
from fitters.training.batches import BATCHING
from fitters.training.devices import DEVICES
from simcell.errors import nearest

OPTIMISERS = ("adam", "lbfgs")
SCHEDULES = ("constant", "cosine")
MOST_WEIGHT = 1e12  # of a term: beyond it sums of terms lose all the others to rounding
LEAST_RATE = 0.05  # what a cosine leaves of the learning rate in the last epoch


@dataclass(frozen=True, kw_only=True)
class TrainedFitter:
    """Options of the training loop.

    Args:
        epochs: most passes over the training rows.
        batch_size: rows of a mini-batch.
        batching: "random", "perturbation" (a mini-batch holds whole conditions) or "batch" (one experimental batch).
        learning_rate: of Adam, or of L-BFGS; null: the fitter's own for it, where it has one.
        schedule: "constant", or "cosine", by which the learning rate falls to a twentieth over the epochs.
        optimiser: "adam", or "lbfgs", which sees all rows at once, up to 20 times an epoch.
        gradient_clip: longest gradient of all parameters together; null: any. L-BFGS, which searches along lines, has
            no such limit.
        held_out: share of the perturbations by which training is stopped early; 0: none.
        patience: epochs without a lower error on them after which training stops. The best epoch's parameters are kept.
        losses: weight of each term of the loss that is not to have its default; 0 records a term without minimising it.
        device: "auto", "cpu" or "cuda".
        checkpoint: a file from which training goes on, and in which it is kept; null: none.
        checkpoint_every: epochs between two writings of it.
        progress: whether to show a bar.
    """

    epochs: int = 100
    batch_size: int = 256
    batching: str = "random"
    learning_rate: float | None = 1e-3
    schedule: str = "constant"
    optimiser: str = "adam"
    gradient_clip: float | None = 10.0
    held_out: float = 0.1
    patience: int = 20
    losses: Mapping[str, float] = field(default_factory=dict)
    device: str = "auto"
    # not in the repr, of which fingerprints are made: where a training is kept or shown is no part of what it is
    checkpoint: str | None = field(default=None, repr=False)
    checkpoint_every: int = field(default=10, repr=False)
    progress: bool = field(default=False, repr=False)

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    rates: ClassVar[Mapping[str, float]] = {}  # learning rates by optimiser where the option is null, if it may be
    terms: ClassVar[Mapping[str, float]]  # every term that the fitter can have, with its default weight

    def __post_init__(self) -> None:
        check_whole_numbers(self, "epochs", "batch_size", "patience", "checkpoint_every", at_least=1)
        check_choice(self, "batching", among=BATCHING)
        check_choice(self, "optimiser", among=OPTIMISERS)
        check_choice(self, "schedule", among=SCHEDULES)
        check_choice(self, "device", among=DEVICES)
        check_numbers(self, "learning_rate", above=0, or_none=bool(self.rates))
        check_numbers(self, "gradient_clip", above=0, or_none=True)
        check_numbers(self, "held_out", at_least=0, below=1)
        check_flags(self, "progress")
        if self.checkpoint is not None and not (isinstance(self.checkpoint, str) and self.checkpoint):
            raise FitterOptionError.value(self.name, "checkpoint", self.checkpoint, "null or the path of a file")
        check_losses(self.name, self.losses, self.terms)

    @property
    def rate(self) -> float:
        """The learning rate in use."""
        return self.rates[self.optimiser] if self.learning_rate is None else self.learning_rate

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every term that is minimised or recorded: those of default weight 0 only if they are named."""
        return {
            term: float(self.losses.get(term, weight))
            for term, weight in self.terms.items()
            if weight > 0 or term in self.losses
        }


def check_losses(fitter: str, losses: Any, terms: Mapping[str, float]) -> None:
    """Hold the option `losses` to terms that the fitter can have and to weights >= 0."""
    if not isinstance(losses, Mapping):
        raise FitterOptionError.value(fitter, "losses", losses, f"a mapping of {', '.join(terms)} to weights")
    for term, weight in losses.items():
        if term not in terms:
            allowed = f"a term of its loss{nearest(str(term), terms)}; those are {', '.join(terms)}"
            raise FitterOptionError.value(fitter, "losses", term, allowed)
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
            raise FitterOptionError.value(fitter, f"losses.{term}", weight, "a weight >= 0")
        if weight > MOST_WEIGHT:
            raise FitterOptionError.value(fitter, f"losses.{term}", weight, f"a weight <= {MOST_WEIGHT:g}")
