"""Neural structural equations of all genes at once: one small network per gene, trained by interventional likelihood.

In: pools of cells. Out: `Equations` (sparse weights as numpy arrays) and the loss of every epoch. Torch is imported
when training begins; nothing global is changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fitters.name_keys import keyed_normals
from fitters.scm.cycle_breaking import break_cycles
from fitters.scm.pools import Pools
from fitters.scm.structural_equations import Equations

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.float64]

LEAST_RANGE = 0.1  # of a hidden unit: below, the network could bend within the noise of one pool
BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-12


@dataclass(frozen=True)
class Training:
    """How equations are trained; the fields are those of the fitter's options of the same names."""

    hidden_units: int
    penalty: float
    unperturbed_penalty: float
    acyclic: bool
    epochs: int
    learning_rate: float
    patience: int


@dataclass(frozen=True, eq=False)
class Trained:
    """What training leaves.

    Args:
        equations: of the last epoch, or of the best where pools were held out.
        state: the weights behind them, from which further training may start.
        progress: where on the schedule they stood, in [0, 1].
        training: (epochs, 3) likelihood, structure and sparsity.
        held_out: (epochs, 3) the same on the pools held out, or None.
        best_epoch: the epoch of the equations, from 1.
    """

    equations: Equations
    state: list[Tensor]
    progress: float
    training: FloatArray
    held_out: FloatArray | None
    best_epoch: int


def train(
    pools: Pools,
    how: Training,
    *,
    seed: int,
    held_out: Pools | None = None,
    weight: FloatArray | None = None,
    start: Trained | None = None,
) -> Trained:
    """Train by full-batch proximal Adam.

    From scratch, the penalty falls in the first half of `how.epochs` from the level at which no edge is worth its price
    to that asked for, so that edges enter one after the other, and not all at once; the learning rate falls by a
    cosine. From a start, its schedule stands still, and a quarter of the epochs is taken.

    Args:
        pools: P pools to learn from.
        how: options.
        seed: of the initial weights, which are drawn per gene name.
        held_out: pools to stop by, after `how.patience` epochs without a lower error on them.
        weight: (P,) of each pool in the likelihood; None for equal weights.
        start: what an earlier training left.
    """
    weight = np.ones(len(pools)) if weight is None else weight
    model = _Model(pools, weight, how, seed=seed, start=start)
    stopping = _Data(held_out, np.ones(len(held_out))) if held_out is not None else None
    rows: list[list[float]] = []
    stopping_rows: list[list[float]] = []
    n_epochs = how.epochs if start is None else max(how.epochs // 4, 1)
    best, best_epoch, state, progress = math.inf, n_epochs, model.state(), 0.0
    for epoch in range(n_epochs):
        elapsed = epoch / max(n_epochs - 1, 1)
        now = elapsed if start is None else start.progress
        rows.append(model.step(now, rate=(0.05 + 0.475 * (1 + math.cos(math.pi * elapsed))) * how.learning_rate))
        if stopping is None:
            progress = now
            continue
        error, *stopping_terms = model.evaluate(stopping, now)
        stopping_rows.append([*stopping_terms, rows[-1][2]])
        if error < best:
            best, best_epoch, state, progress = error, epoch + 1, model.state(), now
        elif epoch + 1 - best_epoch >= how.patience:
            break
    if stopping is not None:
        model.restore(state)
    tables = np.array(rows), np.array(stopping_rows) if stopping is not None else None
    return Trained(model.equations(), model.state(), progress, *tables, best_epoch=best_epoch)


class _Data:
    """Pools as tensors; a gene's own equation has no weight where the gene is held."""

    def __init__(self, pools: Pools, weight: Sequence[float] | FloatArray) -> None:
        import torch

        self.x = torch.tensor(pools.expected_change)
        self.y = torch.tensor(pools.change)
        self.noise = torch.tensor(pools.variance)
        self.share = torch.tensor(np.where(pools.held, 0.0, np.asarray(weight)[:, None]))
        self.share /= self.share.sum(dim=0).clamp(min=1e-300)
        targets = [tuple(np.flatnonzero(row).tolist()) for row in pools.held]
        share = np.asarray(weight) / np.sum(weight)
        self.held_sets = []  # targets of the pools with n targets, (m, n), and their share of all pools, (m,)
        for size in sorted({len(held) for held in targets} - {0}):
            rows = [row for row, held in enumerate(targets) if len(held) == size]
            self.held_sets.append((torch.tensor([targets[row] for row in rows]), torch.tensor(share[rows])))


class _Model:
    """Weights, their moments, and one step of training."""

    def __init__(self, pools: Pools, weight: FloatArray, how: Training, *, seed: int, start: Trained | None) -> None:
        import torch

        self.how, self.data = how, _Data(pools, weight)
        n_genes, n_hidden = len(pools.genes), how.hidden_units
        drawn = keyed_normals(pools.genes, 2 * n_hidden, seed=seed, stream="scm-nonlinear")
        excess = ((pools.change**2 - pools.variance) * ~pools.held).mean(axis=0)
        unexplained = np.log(np.maximum(excess, 0.1 * pools.variance.mean(axis=0)))
        self.first_variance = torch.tensor(unexplained).exp()
        self.paths = torch.zeros(n_genes, n_genes, n_hidden, dtype=torch.float64)
        others = [
            torch.tensor(0.5 * drawn[:, :n_hidden]),  # offsets
            torch.tensor(0.3 * drawn[:, n_hidden:]),  # logarithms of spans
            torch.tensor(unexplained),  # logarithm of the variance that neither noise nor regulators explain
        ]
        self.others = [value.clone().requires_grad_() for value in others]
        self.paths.requires_grad_()
        self.moments = [(torch.zeros_like(value), torch.zeros_like(value)) for value in self.others]
        self.path_moments = (torch.zeros_like(self.paths), torch.zeros(n_genes, n_genes, dtype=torch.float64))
        self.not_own = ~torch.eye(n_genes, dtype=torch.bool)
        self.steps, self.slowed, self.first_penalty = 0, 1.0, 1.0
        if start is not None:
            self.restore(start.state)
        # noise of the gradient of an edge: the level below which a slope is no evidence (universal threshold)
        universal = math.sqrt(2 * math.log(max(n_genes, 2)))
        factor = np.where(pools.held.any(axis=0), 1.0, how.unperturbed_penalty)
        self.threshold = torch.tensor(how.penalty * universal * factor)[:, None]
        self.squares = self.data.y**2
        if start is None:
            self.first_penalty = self._least_empty()

    def state(self) -> list[Tensor]:
        """Return a copy of all weights."""
        return [value.detach().clone() for value in (self.paths, *self.others)]

    def restore(self, state: list[Tensor]) -> None:
        """Put weights back; the moments of the optimiser stay."""
        import torch

        with torch.no_grad():
            for value, kept in zip((self.paths, *self.others), state, strict=True):
                value.copy_(kept)

    def _least_empty(self) -> float:
        """The factor on all penalties, at least 1, above which no edge enters."""
        import torch

        (gradient,) = torch.autograd.grad(self.likelihood(self.data), [self.paths])
        with torch.no_grad():
            worth = (gradient.norm(dim=2) * self.not_own) / self.penalties().clamp(min=1e-300)
            return max(float(worth[self.not_own].max()), 1.0) if len(self.paths) > 1 else 1.0

    @property
    def span(self) -> Tensor:
        return LEAST_RANGE + self.others[1].exp()

    def predicted(self, x: Tensor) -> Tensor:
        offset, span = self.others[0], self.span
        hidden = (x @ self.paths.flatten(1)).unflatten(1, span.shape)
        return (span * ((hidden / span + offset).tanh() - offset.tanh())).sum(dim=2)

    def likelihood(self, data: _Data) -> Tensor:
        """Minus log density of the levels given those of all other genes, mean over pools and genes."""
        variance = data.noise + self.others[2].exp()
        loss = 0.5 * ((data.y - self.predicted(data.x)) ** 2 / variance + variance.log())
        return (data.share * loss).sum() / len(self.paths)

    def structure(self, data: _Data, progress: float) -> Tensor:
        """The term of feedback: minus log-determinant per gene, or the acyclicity penalty per gene times its weight."""
        import torch

        identity = torch.eye(len(self.paths), dtype=torch.float64)
        if self.how.acyclic:
            penalty = -torch.linalg.slogdet(identity - (self.paths**2).sum(dim=2))[1]
            return 10.0 ** (4.0 * progress - 2.0) * penalty / len(self.paths)
        slope = (self.paths * (1.0 - self.others[0].tanh() ** 2)).sum(dim=2)
        remaining = identity - slope
        log_det = torch.linalg.slogdet(remaining)[1]
        total = torch.linalg.inv(remaining)
        for held, share in data.held_sets:  # Jacobi: the minor without the targets is det times a block
            block = total[held[:, :, None], held[:, None, :]]
            log_det = log_det + (share * torch.linalg.slogdet(block)[1]).sum()
        return -log_det / len(self.paths)

    def penalties(self) -> Tensor:
        """(G, G) threshold of each edge's path norm, from the present variance of its gene."""
        data = self.data
        precision = data.share**2 / (data.noise + self.others[2].exp())
        gain = (1.0 - self.others[0].tanh() ** 2).norm(dim=1)  # of the H paths of an edge together
        return self.threshold * (self.squares.T @ precision).sqrt() * gain / len(self.paths)

    def evaluate(self, data: _Data, progress: float) -> tuple[float, float, float]:
        """Return the error, the likelihood and the structure on other pools.

        The error is squared and over the variance that was there before training: that of the likelihood shrinks as
        effects are explained, which would count against an epoch that others' unseen effects are larger.
        """
        import torch

        with torch.no_grad():
            squares = (data.y - self.predicted(data.x)) ** 2 / (data.noise + self.first_variance)
            error = (data.share * squares).sum() / len(self.paths)
            return error.item(), self.likelihood(data).item(), self.structure(data, progress).item()

    def step(self, progress: float, *, rate: float) -> list[float]:
        """Take one step of proximal Adam and return likelihood, structure and sparsity before it."""
        import torch

        likelihood, structure = self.likelihood(self.data), self.structure(self.data, progress)
        gradients = torch.autograd.grad(likelihood + structure, [self.paths, *self.others])
        with torch.no_grad():
            penalties = self.penalties() * self.first_penalty ** max(1.0 - 2.0 * progress, 0.0)
            sparsity = float((penalties * self.paths.norm(dim=2)).sum())
            self.steps += 1
            rate *= self.slowed
            for value, gradient, moment in zip(self.others, gradients[1:], self.moments, strict=True):
                direction, scale = self._moments(gradient, gradient**2, moment)
                value -= rate * direction / scale
            # the second moment is shared by the paths of an edge, so that the proximal map is that of the group lasso
            direction, scale = self._moments(gradients[0], (gradients[0] ** 2).mean(dim=2), self.path_moments)
            step = rate / scale
            moved = self.paths - step[:, :, None] * direction
            norm = moved.norm(dim=2).clamp(min=1e-300)
            moved *= ((1.0 - step * penalties / norm).clamp(min=0.0) * self.not_own)[:, :, None]
            if self.how.acyclic and self._outside(moved):
                self.slowed *= 0.5
            else:
                self.paths.copy_(moved)
        return [likelihood.item(), structure.item(), sparsity]

    def _moments(self, gradient: Tensor, square: Tensor, moment: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        first, second = moment
        first.mul_(BETA_1).add_(gradient, alpha=1 - BETA_1)
        second.mul_(BETA_2).add_(square, alpha=1 - BETA_2)
        return first / (1 - BETA_1**self.steps), (second / (1 - BETA_2**self.steps)).sqrt() + EPSILON

    def _outside(self, paths: Tensor) -> bool:
        """Whether paths have left the domain of the penalty, where I - A is an M-matrix (inverse not negative)."""
        import torch

        remaining = torch.eye(len(paths), dtype=torch.float64) - (paths**2).sum(dim=2)
        inverse, info = torch.linalg.inv_ex(remaining)
        return bool(info) or bool((inverse < -1e-12).any())

    def equations(self) -> Equations:
        from scipy.sparse import csr_array

        paths: Any = self.paths.detach().numpy().copy()
        if self.how.acyclic:
            paths *= break_cycles(np.sqrt((paths**2).sum(axis=2)))[:, :, None]
        values = [self.span.detach().numpy().copy(), self.others[0].detach().numpy().copy()]
        return Equations(csr_array(paths.reshape(len(paths), -1)), *values)
