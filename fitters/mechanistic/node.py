"""`node`: a neural differential equation of states, driven by perturbation and medium along the protocol.

In: training data with the notes of the experiment. Out: profiles at any time, in any medium, of any perturbation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fitters.checks import Scope
from fitters.contract import Assumption, Claim
from fitters.errors import FitterError
from fitters.mechanistic.state_fit import StateFit
from fitters.mechanistic.state_training import Prepared
from fitters.options import check_choice, check_flags, check_numbers, check_whole_numbers
from fitters.training.devices import one_thread, seeded
from fitters.training.loop import train
from fitters.training.options import TrainedFitter
from fitters.training_data import TrainingData

if TYPE_CHECKING:
    from torch import Tensor

    from fitters.mechanistic.node_module import NeuralField

FloatArray = NDArray[np.float64]
RESPONSES = ("mse", "moments", "mmd", "sliced-wasserstein")
SOLVERS = ("rk4", "dopri5")


@dataclass(frozen=True, kw_only=True)
class Node(TrainedFitter):
    """Neural ordinary differential equation on pools of cells, with a steady state of controls in its loss if wanted.

    Equations, for G genes in D dimensions, perturbations as vectors of E numbers:

    - state of a pool of cells: ``x = V'(log1p(1e4 f) - L_0) / unit``, (D,), f its fractions corrected by the controls
      of its batch, L_0 the log profile of the controls of the earliest context, V (G, D) the leading directions of mean
      changes. The condition's own targets are left out: they are measured.
    - ``dx/dt = rate (N(x, a, m) + B a - x)``, per hour; N has two hidden layers of tanh; rate (D,) in (0, 0.25)
    - ``a = p (1 - exp(-(t - t_p)/onset))`` after the transduction at t_p, 0 before; onset is learned
    - ``p = sum_g u_g (W'phi_g + r_g)`` over targets g: combinations add. u_g is the measured strength of a knock-down,
      phi_g the gene's pattern of expression, so that unseen genes have a vector, r_g a vector of its own for seen ones,
      left out at random in training
    - m: levels of signals in the medium by the notes, or else one feature per medium, relative to the first medium
    - x at the start of the protocol is 0; it is learned where controls were measured in several contexts, or changed
      medium before they were
    - flow along the steps of the protocol: fixed steps of fourth order, or Dormand-Prince, both of torchdiffeq

    Terms of the loss, weights in the option `losses`:

    - response (1): error of states after the flow, or a distance between pushed-forward control pools and the pools of
      a condition (option `response`; pools may then be small)
    - steady_state_controls (0): ``mean |f(x_c; none, m)|^2`` at control pools in their medium, f per day: the modified
      loss of Kovačević et al.
    - steady_state_settled (0): ``mean |f(x_p; p, m)|^2`` at pools of perturbed cells, `settled_after` hours and more
      after transduction
    - contrast_matched (0), contrast_pooled (0): error of predicted change from predicted control against the measured
      change from the controls of the pool's batch, or of all batches
    - weight_decay (0.1): mean squared weights of N, W and r.

    Source: L. Kovačević et al., "No foundations without foundations", arXiv:2501.19178 (2025), section on the steady
    state of controls; R. T. Q. Chen et al., "Neural ordinary differential equations", NeurIPS (2018).

    Differences: pools of cells in few dimensions rather than single cells; rates are bounded, so that fixed steps are
    stable; a prediction is what the model says of the change from control, added to the controls as measured.

    Args:
        dimensions: D, or null: each gene is a dimension.
        embedding: E.
        hidden: width of the hidden layers.
        cells_per_pool: most cells of a pool.
        response: "mse", "moments" (Gaussian), "mmd" or "sliced-wasserstein".
        settled_after: hours since transduction after which perturbed cells are taken to be settled.
        learn_controls: whether control pools are among those whose response is learnt.
        solver: "rk4" or "dopri5".
        step_hours: longest step of "rk4".
    """

    name: ClassVar[str] = "node"
    family: ClassVar[str] = "semi-mechanistic"
    packages: ClassVar[tuple[str, ...]] = ("torch", "torchdiffeq")
    claims: ClassVar[frozenset[Claim]] = frozenset(
        {Claim.MEAN, Claim.TIME, Claim.MEDIUM, Claim.COMBINATION, Claim.UNSEEN_GENE}
    )
    assumptions: ClassVar[frozenset[Assumption]] = frozenset({Assumption.LOW_RANK, Assumption.ADDITIVE})
    source: ClassVar[str] = "Kovačević et al., arXiv:2501.19178 (2025); Chen et al., NeurIPS (2018)"
    terms: ClassVar[dict[str, float]] = {
        "response": 1.0,
        "steady_state_controls": 0.0,
        "steady_state_settled": 0.0,
        "contrast_matched": 0.0,
        "contrast_pooled": 0.0,
        "weight_decay": 0.1,
    }

    epochs: int = 150
    learning_rate: float = 2e-3
    batching: str = "perturbation"
    dimensions: int | None = 30
    embedding: int = 16
    hidden: int = 64
    cells_per_pool: int = 32
    response: str = "mse"
    settled_after: float = 72.0
    learn_controls: bool = True
    solver: str = "rk4"
    step_hours: float = 8.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimensions is not None:
            check_whole_numbers(self, "dimensions", at_least=1)
        check_whole_numbers(self, "embedding", "hidden", "cells_per_pool", at_least=1)
        check_choice(self, "response", among=RESPONSES)
        check_choice(self, "solver", among=SOLVERS)
        check_numbers(self, "settled_after", at_least=0)
        check_numbers(self, "step_hours", above=0)
        check_flags(self, "learn_controls")

    def fit(self, data: TrainingData, *, seed: int) -> NodeFit:
        """Return the fit.

        Raises:
            FitterError: no perturbation; a context without controls; no cells that have settled where they are asked
                for; a training that diverges.
        """
        import torch

        from fitters.mechanistic.node_module import NeuralField, NodeObjective
        from fitters.mechanistic.state_module import Shape, state_arrays

        known = Prepared.of(data, dimensions=self.dimensions, cells_per_pool=self.cells_per_pool, fitter=self.name)
        settled = self._settled(known)
        shape = Shape(
            dimensions=known.pools.basis.dimensions,
            embedding=self.embedding,
            features=known.targets.n_features + 1,
            targets=len(known.targets.names),
            hidden=self.hidden,
            media=known.media,
            learn_start=known.contexts.drifting,
            options={"solver": self.solver, "step_hours": float(self.step_hours)},
        )
        rows, labels = known.rows(held_out=self.held_out, seed=seed, controls=self.learn_controls)
        with one_thread(), seeded(seed, 0):
            model = NeuralField(shape)
        objective = NodeObjective(
            model,
            known,
            rows=rows,
            terms=self.weights,
            response=self.response,
            settled=torch.as_tensor(settled),
        )
        fingerprint = known.fingerprint(repr(self), seed)
        history = train(objective, labels, self, weights=self.weights, seed=seed, fingerprint=fingerprint)
        return NodeFit(
            fitter=self.name,
            claims=self.claims,
            scope=Scope.of(data),
            control=data.control,
            notes=known.notes,
            history=history,
            measured=known.measured,
            targets=known.targets,
            shape=shape,
            arrays=state_arrays(model),
        )

    def _settled(self, known: Prepared) -> NDArray[np.bool_]:
        """Return (P,) which pools are of perturbed cells that are taken to be settled."""
        pools, hours = known.pools, known.contexts.hours
        settled: NDArray[np.bool_] = (pools.condition != known.control) & (hours[pools.context] >= self.settled_after)
        if "steady_state_settled" in self.weights and not settled.any():
            there = ", ".join(f"{time:g}" for time in np.unique(hours))
            problem = f"option settled_after: {self.settled_after:g} h is later than the data have perturbed cells"
            raise FitterError(self.name, f"{problem}: theirs are {there} h after transduction")
        return settled


@dataclass(frozen=True, eq=False, kw_only=True)
class NodeFit(StateFit):
    """A fitted field."""

    def model(self) -> NeuralField:
        """Return the torch model with the fitted parameters."""
        from fitters.mechanistic.node_module import NeuralField
        from fitters.mechanistic.state_module import with_arrays

        # in double precision, so that a row's answer does not depend on the rows that are asked with it
        return with_arrays(NeuralField(self.shape), self.arrays).double()

    def field(
        self,
        states: NDArray[np.float64],
        *,
        targets: tuple[str, ...] = (),
        medium: str | None = None,
        hours: float | None = None,
    ) -> FloatArray:
        """Return dx/dt (n, D), per hour, at states (n, D): a probe of the field.

        Args:
            states: relative to the controls of the earliest context, whose state is 0.
            targets: of the perturbation.
            medium: by default that of the earliest context.
            hours: since transduction; None: long ago.
        """
        import torch

        with one_thread(), torch.no_grad():
            x = torch.as_tensor(states, dtype=torch.float64)
            return np.asarray(self._field_of(targets, medium, hours)(x).numpy())

    def spectral_abscissa(self, *, medium: str | None = None) -> float:
        """Return the largest real part of the eigenvalues of the field's Jacobian at the control, per hour.

        Below 0, unperturbed cells return to their state after a small push, if the field is 0 there: it need not be
        where controls drift, or where their steady state was not asked for. It takes D^3 operations.
        """
        import torch
        from torch.func import jacrev

        with one_thread():
            point = torch.zeros(self.shape.dimensions, dtype=torch.float64)
            field = self._field_of((), medium, None)
            jacobian = jacrev(lambda x: field(x[None])[0])(point)
        return float(np.linalg.eigvals(jacobian.detach().numpy()).real.max())

    def _field_of(
        self, targets: tuple[str, ...], medium: str | None, hours: float | None
    ) -> Callable[[Tensor], Tensor]:
        """Return the field as a function of states (n, D)."""
        import torch

        from fitters.mechanistic.node_module import SETTLED

        model = self.model()
        features, strengths = self.targets.features_of([targets]), self.targets.strengths_of([targets])
        p = model.perturbation(torch.as_tensor(features).double(), torch.as_tensor(strengths).double())
        where = self.measured.contexts.all[0].medium if medium is None else medium
        field = model.field_under(p, where)
        return lambda x: field(x, torch.tensor(SETTLED if hours is None else hours, dtype=torch.float64))
