"""A small model for the training loop: a linear map learnt from rows, with dropout if asked for. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fitters.results import LossHistory
from fitters.training.batches import RowLabels
from fitters.training.devices import seeded
from fitters.training.loop import train
from fitters.training.objective import Moment
from fitters.training.options import TrainedFitter

N_ROWS, N_CONDITIONS = 120, 12


@dataclass(frozen=True, kw_only=True)
class Toy(TrainedFitter):
    """A fitter of nothing but options."""

    epochs: int = 12
    batch_size: int = 32
    learning_rate: float = 0.05
    name: ClassVar[str] = "toy"
    terms: ClassVar[Mapping[str, float]] = {"response": 1.0, "sparsity": 0.0}


class Linear(torch.nn.Module):
    """y = W x, W of 3 weights; rows of conditions that are held out follow another law if `drifting`."""

    def __init__(self, *, dropout: float = 0.0, drifting: bool = False) -> None:
        super().__init__()
        self.map = torch.nn.Linear(3, 1)
        self.dropout = torch.nn.Dropout(dropout)
        rng = np.random.default_rng(0)
        x = torch.tensor(rng.normal(size=(N_ROWS, 3)), dtype=torch.float32)
        y = x.sum(1, keepdim=True)
        if drifting:
            y[labels().held_out] *= 0.3
        self.register_buffer("x", x, persistent=False)
        self.register_buffer("y", y, persistent=False)
        self.seen: list[tuple[bool, list[int]]] = []

    def terms(self, rows: Tensor, moment: Moment) -> dict[str, Tensor]:
        self.seen.append((self.training, rows.tolist()))
        error = ((self.map(self.dropout(self.x[rows])) - self.y[rows]) ** 2).mean()
        return {"response": error, "sparsity": self.map.weight.abs().mean()}


class Recording(Linear):
    """Keeps its parameters as they are at the start of every evaluation, and the learning rates told to it."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.evaluated: list[dict[str, Any]] = []
        self.rates: list[float] = []

    def terms(self, rows: Any, moment: Moment) -> dict[str, Any]:
        if not self.training:
            self.evaluated.append(parameters_of(self))
        return super().terms(rows, moment)

    def after_step(self, learning_rate: float) -> None:
        self.rates.append(learning_rate)


class Breaking(Linear):
    """Turns bad at an epoch: the term itself, or a parameter after the step."""

    def __init__(self, *, term_at: int = 99, parameter_at: int = 99, held_out_at: int = 99) -> None:
        super().__init__()
        self.term_at, self.parameter_at, self.held_out_at, self.epoch = term_at, parameter_at, held_out_at, 0

    def terms(self, rows: Any, moment: Moment) -> dict[str, Any]:
        self.epoch = moment.epoch
        found = super().terms(rows, moment)
        if moment.epoch == (self.term_at if self.training else self.held_out_at):
            found["sparsity"] = found["sparsity"] * float("nan")
        return found

    def after_step(self, learning_rate: float) -> None:
        if self.epoch == self.parameter_at:
            self.map.bias += float("inf")


def labels(*, n_held: int = 3) -> RowLabels:
    """Return the labels of the rows: conditions in turn, two batches, the last conditions held out."""
    condition = np.arange(N_ROWS) % N_CONDITIONS
    return RowLabels(condition, np.arange(N_ROWS) // 20 % 2, condition >= N_CONDITIONS - n_held)


def built(seed: int = 0, **how: Any) -> Linear:
    """Return the model with its first weights."""
    with seeded(seed, 0):
        return Linear(**how)


def trained(
    model: Any = None,
    *,
    seed: int = 0,
    rows: RowLabels | None = None,
    fingerprint: str = "",
    stage: str = "",
    **options: Any,
) -> tuple[LossHistory, Any]:
    """Train a model and return the history and the model."""
    fitter = Toy(**options)
    model = built(seed) if model is None else model
    history = train(
        model,
        labels() if rows is None else rows,
        fitter,
        weights=fitter.weights,
        seed=seed,
        fingerprint=fingerprint,
        stage=stage,
    )
    return history, model


def parameters_of(model: Any) -> dict[str, Tensor]:
    """Return copies of all parameters."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def same(first: Any, second: Any) -> bool:
    """Whether two models have the same parameters, bit by bit."""
    one, two = parameters_of(first), parameters_of(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def recording(**how: Any) -> Recording:
    with seeded(0, 0):
        return Recording(**how)
