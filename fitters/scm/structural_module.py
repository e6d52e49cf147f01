"""Neural structural equations as a torch module with its terms, and the optimiser that makes edges exactly zero.

In: pools of cells. Out: `StructuralModule`, an objective of the training loop. It imports torch: only `fit` imports it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fitters.name_keys import keyed_normals
from fitters.scm.cycle_breaking import break_cycles
from fitters.scm.pools import Pools
from fitters.scm.structural_equations import Equations
from fitters.training.objective import Moment

FloatArray = NDArray[np.float64]

LEAST_RANGE = 0.1  # of a hidden unit: below, the network could bend within the noise of one pool
BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-12


class StructuralModule(torch.nn.Module):
    """The weights of all equations, in double precision, and what they cost on some pools.

    Its terms are the likelihood, the structure (feedback), the sparsity, which `GroupedProximalAdam` minimises, and the
    error by which training is stopped.

    Args:
        pools: P pools of M genes.
        weight: (P,) of each pool in the likelihood.
        learnt: (P,) whether a pool is learnt from: prices and first variances are from these alone.
        hidden_units, penalty, unperturbed_penalty, acyclic: as the fitter's options.
        seed: of the initial weights, which are drawn per gene name.
        n_epochs: of the training.
        progress: where on the schedule of the penalty all of the training stands, in [0, 1]; None: it passes along it.
    """

    x: Tensor
    y: Tensor
    noise: Tensor
    held: Tensor
    weight: Tensor
    threshold: Tensor
    first_variance: Tensor
    not_own: Tensor
    price: Tensor
    stopping = {"error": 1.0}  # noqa: RUF012 - read by the training loop only

    def __init__(
        self,
        pools: Pools,
        *,
        weight: FloatArray,
        learnt: NDArray[np.bool_],
        hidden_units: int,
        penalty: float,
        unperturbed_penalty: float,
        acyclic: bool,
        seed: int,
        n_epochs: int,
        progress: float | None = None,
    ) -> None:
        super().__init__()
        self.acyclic, self.n_epochs, self.fixed_progress = acyclic, n_epochs, progress
        self.structure_name = "acyclicity" if acyclic else "log_determinant"
        rest = pools.take(np.flatnonzero(learnt))
        expected = np.empty_like(pools.change)  # each side's from its own pools: the other's noise is none of theirs
        for side in (learnt, ~learnt):
            if side.any():
                expected[side] = pools.take(np.flatnonzero(side)).expected_change
        n_genes = len(pools.genes)
        drawn = keyed_normals(pools.genes, 2 * hidden_units, seed=seed, stream="scm-nonlinear")
        excess = ((rest.change**2 - rest.variance) * ~rest.held).mean(axis=0)
        unexplained = np.log(np.maximum(excess, 0.1 * rest.variance.mean(axis=0)))
        self.paths = torch.nn.Parameter(torch.zeros(n_genes, n_genes, hidden_units, dtype=torch.float64))
        self.offset = torch.nn.Parameter(torch.tensor(0.5 * drawn[:, :hidden_units]))
        self.log_span = torch.nn.Parameter(torch.tensor(0.3 * drawn[:, hidden_units:]))
        # logarithm of the variance that neither noise nor regulators explain
        self.log_variance = torch.nn.Parameter(torch.tensor(unexplained))
        # noise of the gradient of an edge: the level below which a slope is no evidence (universal threshold)
        universal = math.sqrt(2 * math.log(max(n_genes, 2)))
        factor = np.where(rest.held.any(axis=0), 1.0, unperturbed_penalty)
        held_by_size = _by_size(pools.held)
        kept: dict[str, Tensor] = {}
        for number, (rows, targets) in enumerate(held_by_size):
            kept |= {f"held_rows_{number}": torch.tensor(rows), f"held_targets_{number}": torch.tensor(targets)}
        kept |= {
            "x": torch.tensor(expected),
            "y": torch.tensor(pools.change),
            "noise": torch.tensor(pools.variance),
            "held": torch.tensor(pools.held),
            "weight": torch.tensor(np.asarray(weight, dtype=np.float64)),
            "first_variance": torch.tensor(unexplained).exp(),
            "threshold": torch.tensor(penalty * universal * factor)[:, None],
            "not_own": ~torch.eye(n_genes, dtype=torch.bool),
            "price": torch.zeros(n_genes, n_genes, dtype=torch.float64),
        }
        for name, value in kept.items():
            self.register_buffer(name, value, persistent=False)
        self.n_sizes = len(held_by_size)
        self.first_penalty = 1.0
        if progress is None:
            self.first_penalty = self._least_empty(torch.tensor(np.flatnonzero(learnt)))

    def make_optimiser(self, learning_rate: float) -> GroupedProximalAdam:
        """Return the optimiser; the paths of an edge are a group."""
        return GroupedProximalAdam(
            self.paths,
            [self.offset, self.log_span, self.log_variance],
            learning_rate=learning_rate,
            price=lambda: self.price,
            allowed=self._inside if self.acyclic else None,
        )

    def terms(self, rows: Tensor, moment: Moment) -> dict[str, Tensor]:
        """Return the terms on some pools; in training, the price of every edge is brought up to date as well."""
        progress = self.progress(moment.epoch)
        share = self._share(rows)
        squares = (self.y[rows] - self._predicted(self.x[rows])) ** 2
        likelihood = self._likelihood(rows, share, squares)
        with torch.no_grad():
            # over the variance that was there before training: that of the likelihood shrinks as effects are explained,
            # which would count against an epoch that others' unseen effects are larger
            error = (share * squares / (self.noise[rows] + self.first_variance)).sum() / len(self.paths)
            if self.training:
                self.price = self._prices(rows, share) * self.first_penalty ** max(1.0 - 2.0 * progress, 0.0)
            sparsity = (self.price * self.paths.norm(dim=2)).sum()
        structure = self._structure(rows, progress)
        return {"likelihood": likelihood, self.structure_name: structure, "sparsity": sparsity, "error": error}

    def progress(self, epoch: int) -> float:
        """Return where on the schedule of the penalty an epoch, counted from 0, stands, in [0, 1]."""
        return epoch / max(self.n_epochs - 1, 1) if self.fixed_progress is None else self.fixed_progress

    def equations(self) -> Equations:
        """Return the equations as arrays, the weakest edges of what cycles remain taken out if they are acyclic."""
        from scipy.sparse import csr_array

        paths: Any = self.paths.detach().numpy().copy()
        if self.acyclic:
            paths *= break_cycles(np.sqrt((paths**2).sum(axis=2)))[:, :, None]
        values = [self._span.detach().numpy().copy(), self.offset.detach().numpy().copy()]
        return Equations(csr_array(paths.reshape(len(paths), -1)), *values)

    @property
    def _span(self) -> Tensor:
        return LEAST_RANGE + self.log_span.exp()

    def _share(self, rows: Tensor) -> Tensor:
        """Return (n, M) weights that add up to 1 per gene; its own equation has none where a gene is held."""
        share = self.weight[rows][:, None] * ~self.held[rows]
        return share / share.sum(dim=0).clamp(min=1e-300)

    def _predicted(self, x: Tensor) -> Tensor:
        span = self._span
        hidden = (x @ self.paths.flatten(1)).unflatten(1, span.shape)
        return (span * ((hidden / span + self.offset).tanh() - self.offset.tanh())).sum(dim=2)

    def _likelihood(self, rows: Tensor, share: Tensor, squares: Tensor) -> Tensor:
        """Minus log density of the levels given those of all other genes, mean over pools and genes."""
        variance = self.noise[rows] + self.log_variance.exp()
        return (share * 0.5 * (squares / variance + variance.log())).sum() / len(self.paths)

    def _structure(self, rows: Tensor, progress: float) -> Tensor:
        """The term of feedback: minus log-determinant per gene, or the acyclicity penalty per gene times its weight."""
        identity = torch.eye(len(self.paths), dtype=torch.float64)
        if self.acyclic:
            penalty = -torch.linalg.slogdet(identity - (self.paths**2).sum(dim=2))[1]
            return 10.0 ** (4.0 * progress - 2.0) * penalty / len(self.paths)
        slope = (self.paths * (1.0 - self.offset.tanh() ** 2)).sum(dim=2)
        remaining = identity - slope
        log_det = torch.linalg.slogdet(remaining)[1]
        total = torch.linalg.inv(remaining)
        share = torch.zeros_like(self.weight)
        share[rows] = self.weight[rows] / self.weight[rows].sum()
        for number in range(self.n_sizes):  # Jacobi: the minor without the targets is det times a block
            of = share[self.get_buffer(f"held_rows_{number}")]
            targets = self.get_buffer(f"held_targets_{number}")[of > 0]
            block = total[targets[:, :, None], targets[:, None, :]]
            log_det = log_det + (of[of > 0] * torch.linalg.slogdet(block)[1]).sum()
        return -log_det / len(self.paths)

    def _prices(self, rows: Tensor, share: Tensor) -> Tensor:
        """(M, M) threshold of each edge's path norm, from the present variance of its gene."""
        precision = share**2 / (self.noise[rows] + self.log_variance.exp())
        gain = (1.0 - self.offset.tanh() ** 2).norm(dim=1)  # of the H paths of an edge together
        worth = ((self.y[rows] ** 2).T @ precision).sqrt()
        return self.threshold * worth * gain / len(self.paths)

    def _least_empty(self, rows: Tensor) -> float:
        """The factor on all penalties, at least 1, above which no edge enters."""
        share = self._share(rows)
        squares = (self.y[rows] - self._predicted(self.x[rows])) ** 2
        (gradient,) = torch.autograd.grad(self._likelihood(rows, share, squares), [self.paths])
        with torch.no_grad():
            worth = gradient.norm(dim=2) / self._prices(rows, share).clamp(min=1e-300)
            return max(float(worth[self.not_own].max()), 1.0) if len(self.paths) > 1 else 1.0

    def _inside(self, paths: Tensor) -> bool:
        """Whether paths are in the domain of the penalty, where I - A is an M-matrix (inverse not negative)."""
        remaining = torch.eye(len(paths), dtype=torch.float64) - (paths**2).sum(dim=2)
        inverse, info = torch.linalg.inv_ex(remaining)
        return not bool(info) and not bool((inverse < -1e-12).any())


class GroupedProximalAdam(torch.optim.Optimizer):
    """Adam, and for one parameter the proximal map of the group lasso after it, by which groups become exactly zero.

    ``u <- u' max(0, 1 - s l / |u'|)`` with u' where Adam takes the vector u of a group, s the length of its step, which
    the members of a group share since they share their second moment, and l the group's price.

    Args:
        grouped: (K, M, H): K M groups of H members each; those on the diagonal stay at 0.
        others: parameters that plain Adam takes.
        learning_rate: of both.
        price: returns the (K, M) prices.
        allowed: returns whether a new value of `grouped` is allowed; where not, the old one stays, and all steps are
            half as long from then on. None: all are.
    """

    def __init__(
        self,
        grouped: Tensor,
        others: list[Tensor],
        *,
        learning_rate: float,
        price: Callable[[], Tensor],
        allowed: Callable[[Tensor], bool] | None = None,
    ) -> None:
        super().__init__(
            [{"params": others, "grouped": False}, {"params": [grouped], "grouped": True}],
            {"lr": learning_rate, "slowed": 1.0},
        )
        self.price, self.allowed = price, allowed

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """Take one step from the gradient that `closure` computes; return its loss."""
        with torch.enable_grad():
            loss = closure()
        price = self.price()
        for group in self.param_groups:
            rate = group["slowed"] * group["lr"]
            for value in group["params"]:
                gradient = value.grad
                if not group["grouped"]:
                    direction, scale = self._moments(value, gradient**2)
                    value -= rate * direction / scale
                    continue
                direction, scale = self._moments(value, (gradient**2).mean(dim=2))
                step = rate / scale
                moved = value - step[:, :, None] * direction
                norm = moved.norm(dim=2).clamp(min=1e-300)
                moved *= (1.0 - step * price / norm).clamp(min=0.0)[:, :, None]
                moved.diagonal().zero_()
                if self.allowed is not None and not self.allowed(moved):
                    for other in self.param_groups:
                        other["slowed"] *= 0.5
                else:
                    value.copy_(moved)
        return loss

    def _moments(self, value: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
        state = self.state[value]
        if not state:
            state |= {"step": 0, "first": torch.zeros_like(value), "second": torch.zeros_like(square)}
        state["step"] += 1
        assert value.grad is not None
        state["first"].mul_(BETA_1).add_(value.grad, alpha=1 - BETA_1)
        state["second"].mul_(BETA_2).add_(square, alpha=1 - BETA_2)
        first = state["first"] / (1 - BETA_1 ** state["step"])
        return first, (state["second"] / (1 - BETA_2 ** state["step"])).sqrt() + EPSILON


def _by_size(held: NDArray[np.bool_]) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return, for every number n of genes held, the pools with so many, (m,), and the genes that they hold, (m, n)."""
    number = held.sum(axis=1)
    found = []
    for size in sorted(set(number.tolist()) - {0}):
        rows = np.flatnonzero(number == size)
        found.append((rows, np.array([np.flatnonzero(held[row]) for row in rows])))
    return found
