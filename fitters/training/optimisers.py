"""Optimisers of the training loop: Adam, L-BFGS or one that the model brings, and how fast they learn at each epoch.

In: a module and the options of a trained fitter. Out: `Steps`, which takes one step after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fitters.errors import FitterError
from fitters.training.options import LEAST_RATE, TrainedFitter

if TYPE_CHECKING:
    from torch import Tensor


class Steps:
    """An optimiser with its schedule and its limit on gradients."""

    def __init__(self, module: Any, options: TrainedFitter, *, n_epochs: int) -> None:
        self.module, self.options, self.n_epochs = module, options, n_epochs
        self.trained = [value for value in module.parameters() if value.requires_grad]
        if not self.trained:
            raise FitterError(options.name, "the model has no parameter to train")
        self.optimiser = self._optimiser()
        self.rates = [group["lr"] for group in self.optimiser.param_groups]

    @property
    def whole(self) -> bool:
        """Whether a step needs all rows at once."""
        return self.options.optimiser == "lbfgs" and not hasattr(self.module, "make_optimiser")

    def _optimiser(self) -> Any:
        import torch

        rate = self.options.rate
        if hasattr(self.module, "make_optimiser"):
            return self.module.make_optimiser(rate)
        groups = getattr(self.module, "parameter_groups", None)
        parameters = groups() if groups else self.trained
        if self.options.optimiser == "lbfgs":
            return torch.optim.LBFGS(self.trained, lr=rate, max_iter=20, line_search_fn="strong_wolfe")
        return torch.optim.Adam(parameters, lr=rate, fused=True)  # one kernel: three times as fast on one core

    def begin(self, epoch: int) -> None:
        """Set the learning rates of an epoch, counted from 0."""
        self.factor = 1.0
        if self.options.schedule == "cosine":
            passed = epoch / max(self.n_epochs - 1, 1)
            self.factor = LEAST_RATE + (1.0 - LEAST_RATE) * 0.5 * (1.0 + math.cos(math.pi * passed))
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = self.factor * rate

    def take(self, loss: Callable[[], Tensor]) -> None:
        """Take one step down a loss, which may be asked several times, and the model's own step after it."""
        import torch

        clip = None if self.whole else self.options.gradient_clip

        def closure() -> Tensor:
            self.optimiser.zero_grad(set_to_none=True)
            value = loss()
            if not value.requires_grad:
                raise FitterError(self.options.name, "no term of the loss depends on a parameter of the model")
            value.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(self.trained, clip)
            return value

        self.optimiser.step(closure)
        after = getattr(self.module, "after_step", None)
        if after is not None:
            with torch.no_grad():
                after(self.factor * self.options.rate)

    def not_finite(self) -> str | None:
        """Return the name of a parameter with a value that is NaN or infinite, or None."""
        for name, value in self.module.named_parameters():
            if not bool(value.detach().isfinite().all()):
                return str(name)
        return None
