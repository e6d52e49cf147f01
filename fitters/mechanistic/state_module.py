"""What the torch models of states share: embedded perturbations, media, and a word of steps applied to a state.

In: features of perturbations, words. Out: states (n, D). Imported inside `fit` only, for it needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fitters.experiment import Step
from fitters.mechanistic.states import Word

ModelT = TypeVar("ModelT", bound=nn.Module)

# Chance that a target's own vector is left out of a step of training, so that its pattern of expression must do.
LEFT_OUT = 0.5


@dataclass(frozen=True)
class Shape:
    """Sizes of a model.

    Args:
        dimensions: D of the state. embedding: E of a perturbation. features: F + 1 of targets. targets: T seen ones.
        hidden: width of hidden layers.
        media: medium -> its features.
        learn_start: whether the state at the start is learned; it is the control's, 0, otherwise.
        options: what one model alone has.
    """

    dimensions: int
    embedding: int
    features: int
    targets: int
    hidden: int
    media: Mapping[str, tuple[float, ...]]
    learn_start: bool
    options: Mapping[str, Any]

    @property
    def n_signals(self) -> int:
        """Features of a medium."""
        return len(next(iter(self.media.values())))


class StateModel(nn.Module):
    """A model that takes states through a word, step by step; a subclass says what each step does."""

    start_state: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        spread = 1.0 / np.sqrt(shape.features)
        self.of_features = nn.Parameter(spread * torch.randn(shape.features, shape.embedding))
        self.of_target = nn.Parameter(torch.zeros(shape.targets, shape.embedding))
        start = torch.zeros(shape.dimensions)
        if shape.learn_start:
            self.start_state = nn.Parameter(start)
        else:
            self.register_buffer("start_state", start)

    def perturbation(self, features: Tensor, strengths: Tensor) -> Tensor:
        """Return (n, E) vectors: ``sum_g u_g (W' phi_g + r_g)``, u strengths, phi features, r the target's own vector.

        They add over targets, and are exactly 0 for no target. In training, r_g is left out at times.
        """
        own = strengths
        if self.training:
            own = own * (torch.rand(own.shape[1], device=own.device) >= LEFT_OUT).to(own.dtype)
        return features @ self.of_features + own @ self.of_target

    def signals(self, medium: str, like: Tensor) -> Tensor:
        """Return the (S,) features of a medium."""
        return torch.tensor(self.shape.media[medium], dtype=like.dtype, device=like.device)

    def at(self, word: Word, p: Tensor, *, start: Tensor | None = None, memo: dict[Any, Any] | None = None) -> Tensor:
        """Return the (n, D) states of perturbations p (n, E) after a word.

        Args:
            start: (n, D) states at the start, in place of the model's own.
            memo: what words are known to lead to, filled for all beginnings of this one, and what steps may keep.
        """
        memo = {} if memo is None else memo
        state = self.begin(p, start)
        for length in range(1, len(word) + 1):
            if word[:length] not in memo:
                memo[word[:length]] = self.apply_step(word[length - 1], state, p, memo)
            state = memo[word[:length]]
        return self.read(state)

    def begin(self, p: Tensor, start: Tensor | None) -> Any:
        """Return the state before the first step, of as many rows as p."""
        raise NotImplementedError

    def apply_step(self, step: Step, state: Any, p: Tensor, memo: dict[Any, Any]) -> Any:
        """Return what a "transduce" or a "culture" step makes of a state."""
        raise NotImplementedError

    def read(self, state: Any) -> Tensor:
        """Return the (n, D) part of a state that can be measured."""
        raise NotImplementedError

    def decay(self) -> Tensor:
        """Return the mean squares of r_g and W, summed over E and over F + 1: a prior that perturbations do little."""
        own = (self.of_target**2).sum(0).mean() / max(len(self.of_target), 1)
        return self.shape.embedding * own + (self.of_features**2).sum(0).mean()


def state_arrays(model: nn.Module) -> dict[str, NDArray[Any]]:
    """Return the parameters of a model as arrays."""
    return {name: value.detach().cpu().numpy().copy() for name, value in model.state_dict().items()}


def with_arrays(model: ModelT, arrays: Mapping[str, NDArray[Any]]) -> ModelT:
    """Return the model with these parameters, for prediction."""
    model.load_state_dict({name: torch.as_tensor(value) for name, value in arrays.items()})
    return model.eval()
