"""`scm-nonlinear`: sparse neural structural equations, fitted by interventional likelihood on pools of cells.

In: training data. Out: profiles of seen and unseen genes and combinations, and signed edges with their uncertainty.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fitters.checks import Scope
from fitters.contract import Assumption, Claim
from fitters.errors import FitterError, FitterOptionError, not_installed
from fitters.knock_down import KnockDown
from fitters.measurement import relative_levels
from fitters.name_keys import keyed_normals
from fitters.options import check_choice, check_flags, check_numbers, check_whole_numbers
from fitters.results import LossHistory
from fitters.scm.pools import Pools, make_pools
from fitters.scm.structural_equations import Equations
from fitters.scm.structural_fit import StructuralFit
from fitters.scm.structural_training import Trained, Training, train
from fitters.training.devices import one_thread
from fitters.training_data import TrainingData
from simcell.labels import CONTROL

FloatArray = NDArray[np.float64]

# Fewer perturbations are too few to hold some out: all epochs are then run.
LEAST_PERTURBATIONS = 5


@dataclass(frozen=True, kw_only=True)
class ScmNonlinear:
    """Each gene a small neural network of all others, cut off from them where it is perturbed.

    Measurement step: cells of one condition and batch are dealt into P pools; z_pg is the level of gene g in pool p
    over its level in the controls of that batch, less 1, and s_pg its known variance: Poisson noise and biological
    noise between cells, over the pool (`fitters.scm.pools`). Levels enter as regressors with it taken off: x_pg.

    Equations, for G genes and H hidden units:

    - ``z_g = f_g(z) + e_g``, ``f_g(z) = sum_h V_gh (tanh(sum_r U_rgh z_r / V_gh + c_gh) - tanh(c_gh))``, U_ggh = 0:
      control is a steady state by construction, U_rgh is the weight of a path, V_gh the range of a unit
    - ``-ln p(z_pg | z) = (z_pg - f_g(x_p))^2 / 2 (s_pg + k_g) + ln(s_pg + k_g) / 2``, with k_g the variance of e_g. A
      target has no such term in its own pools: it is held (do), at the level that was measured
    - cycles: plus ``-ln |det (I - J_p)|`` per pool with J the derivative of f and the targets' equations left out, as
      the density of z given e has it. Here J is that of the control state, by which one determinant and one inverse
      serve all pools (Jacobi's identity for minors); it is exact where f is linear
    - without cycles (``acyclic``): plus ``-ln det (I - A)``, ``A_rg = sum_h U_rgh^2``, with a weight that rises from
      0.01 to 100 (DAGMA); the weakest edges of what cycles remain are taken out
    - sparsity: plus ``l_rg |U_rg|`` on the path norm over H (group lasso), with l_rg = `penalty` times ``sqrt(2 ln
      G)`` times the standard deviation of the likelihood's derivative when r does not act on g, at the present
      variances: the universal threshold of Donoho & Johnstone (1994) in the scaled lasso of Sun & Zhang (2012). Edges
      from regulators that no perturbation holds cost `unperturbed_penalty` times as much: what such a gene and its
      siblings do under the perturbation of their common regulator looks like an edge between them

    The loss is minimised on all pools at once by proximal Adam in double precision, in which an edge becomes exactly
    zero. The penalty falls from the level at which the graph is empty. Some pools (or perturbations) are held out; the
    epoch with the least error on them is taken, and training goes on from there on all pools for a quarter of the
    epochs. Standard errors of edges are those over `resamples` short trainings more, from the same start with random
    weights of the pools (the Bayesian bootstrap of Rubin 1981). A score is the derivative of f_g by z_r, averaged over
    the training pools in which g is not held. `history` has the terms, per gene, of that first training; there the term
    of feedback includes its weight.

    A perturbation is predicted as the fixed point with its targets held at their measured level, or at the median
    knock-down of other targets for an unseen one. Genes hardly counted in the controls have no equation: not
    identified, and predicted as in the controls.

    Sources: DCDI, Brouillard, Lachapelle, Lacoste, Lacoste-Julien & Drouin, NeurIPS (2020), arXiv:2007.01754 (neural
    equations, interventional likelihood); NODAGS-Flow, Sethuraman, Lopez, Mohan, Fekri, Biancalani &
    Hütter, AISTATS (2023), arXiv:2301.01849 (cycles); DAGMA, Bello, Aragam & Ravikumar, NeurIPS (2022),
    arXiv:2209.08037.

    Differences: pools with known measurement noise instead of log-normalised cells; a group lasso instead of Gumbel
    masks; levels of regulators with their noise taken off, so that the terms are a pseudo-likelihood; the determinant
    at the control state instead of a power series at every sample, and no Lipschitz bound; one variance per gene, no
    flow of the noise; a soft knock-down holds its target where it was measured.

    Args:
        hidden_units: H, at least 1.
        penalty: of the group lasso, at least 0; 1 is the universal threshold.
        unperturbed_penalty: factor on it for regulators that no perturbation holds, at least 0.
        acyclic: whether feedback is penalised away.
        cells_per_pool: cells pooled to one draw, at least 1.
        epochs: at most so many, at least 1.
        learning_rate: of Adam, above 0; it falls to a twentieth by a cosine.
        patience: epochs without a lower error on what is held out before stopping, at least 1.
        held_out: share held out, at least 0 and below 1; 0 runs all epochs.
        hold_out: "pools" of every condition that has several, or whole "perturbations". Of a perturbation held out most
            of the effect cannot be learned where its target is perturbed nowhere else. Perturbations are held out, too,
            where fewer than five have several pools.
        resamples: of the bootstrap, 0 (no standard errors) or at least 2.

    Raises:
        FitterOptionError: an option out of range.
    """

    name = "scm-nonlinear"
    family = "scm"
    claims = frozenset({Claim.MEAN, Claim.NETWORK, Claim.COMBINATION, Claim.UNSEEN_GENE})
    assumptions = frozenset(
        {
            Assumption.ALL_REGULATORS_SEEN,
            Assumption.PERFECT_INTERVENTION,
            Assumption.STATIONARY_CONTROLS,
            Assumption.SETTLED,
            Assumption.TIMELESS,
            Assumption.MEDIUM_FREE,
        }
    )
    packages = ("torch",)
    source = "Brouillard et al. (2020), NeurIPS, arXiv:2007.01754; Sethuraman et al. (2023), AISTATS, arXiv:2301.01849"

    hidden_units: int = 2
    penalty: float = 0.5
    unperturbed_penalty: float = 3.0
    acyclic: bool = False
    cells_per_pool: int = 100
    epochs: int = 200
    learning_rate: float = 0.02
    patience: int = 40
    held_out: float = 0.15
    hold_out: Literal["pools", "perturbations"] = "pools"
    resamples: int = 3

    def __post_init__(self) -> None:
        check_whole_numbers(self, "hidden_units", "cells_per_pool", "epochs", "patience", at_least=1)
        check_whole_numbers(self, "resamples", at_least=0)
        if self.resamples == 1:
            raise FitterOptionError.value(self.name, "resamples", 1, "0 or a whole number >= 2")
        check_numbers(self, "penalty", "unperturbed_penalty", at_least=0)
        check_numbers(self, "learning_rate", above=0)
        check_numbers(self, "held_out", at_least=0, below=1)
        check_choice(self, "hold_out", among=("pools", "perturbations"))
        check_flags(self, "acyclic")
        if self.acyclic:
            object.__setattr__(self, "assumptions", type(self).assumptions | {Assumption.ACYCLIC})

    def fit(self, data: TrainingData, *, seed: int) -> StructuralFit:
        """Return the fit; `seed` deals the pools and draws what is held out, their weights and those of networks.

        Raises:
            FitterError: torch is missing; no perturbation; no gene counted often enough in the controls; divergence.
        """
        try:
            import torch  # noqa: F401 - asked for here, so that its absence has one place and one line
        except ImportError:
            raise not_installed(self.name, "torch", extra="fit") from None
        if not data.perturbations:
            raise FitterError(self.name, "the training data have no perturbation")
        pools = make_pools(data, cells_per_pool=self.cells_per_pool, seed=seed)
        if not pools.genes:
            raise FitterError(self.name, "no gene has counts enough in the control cells to be compared with them")
        weight = np.where(pools.held, 0.0, 1.0)
        with one_thread():  # the loop does so, too; here for the weights that are made before it
            equations, resampled, history, notes = self._train(pools, seed=seed)
        derivatives = [other.mean_derivative(pools.expected_change, weight) for other in resampled]
        return StructuralFit(
            fitter=self.name,
            claims=self.claims,
            scope=Scope.of(data),
            control=data.control,
            notes=tuple(notes),
            history=history,
            genes=data.genes,
            columns=np.array([data.gene_index[gene] for gene in pools.genes]),
            equations=equations,
            derivative=equations.mean_derivative(pools.expected_change, weight),
            derivative_error=np.std(derivatives, axis=0, ddof=1) if derivatives else None,
            fraction=relative_levels(data).fraction,
            knock_down=KnockDown.of(data),
        )

    def _train(self, pools: Pools, *, seed: int) -> tuple[Equations, list[Equations], LossHistory, list[str]]:
        """Return the equations, those of the bootstrap, the losses and notes."""
        options: dict[str, Any] = {name: getattr(self, name) for name in Training.__dataclass_fields__}
        how, notes = Training(**options), []
        first: Trained | None = None
        chosen = self._held_out(pools, seed=seed)
        if chosen.size:
            held_out = np.zeros(len(pools), dtype=bool)
            held_out[chosen] = True
            first = train(pools, how, seed=seed, held_out=held_out)
            notes.append(
                f"stopped at epoch {first.history.best_epoch}, by {chosen.size} of {len(pools)} pools held out"
            )
        elif self.held_out:
            notes.append(f"too few perturbations to hold some out: all {self.epochs} epochs run")
        final = train(pools, how, seed=seed, start=first)
        resampled = []
        for number in range(self.resamples):
            weight = _bootstrap(pools, seed=seed, number=number)
            resampled.append(train(pools, how, seed=seed, weight=weight, start=final).equations)
        return final.equations, resampled, (first or final).history, notes

    def _held_out(self, pools: Pools, *, seed: int) -> NDArray[np.intp]:
        """Return the rows of the pools held out: drawn by names, so that the order of cells is of no account."""

        def draw(name: str) -> bytes:
            return hashlib.blake2b(f"{seed}\0{name}".encode()).digest()

        of: dict[str, list[int]] = {label: [] for label in sorted(set(pools.label))}
        for row in sorted(range(len(pools)), key=lambda row: draw(pools.key[row])):
            of[pools.label[row]].append(row)
        perturbations = sorted(of.keys() - {CONTROL}, key=draw)
        if self.held_out == 0 or len(perturbations) < LEAST_PERTURBATIONS:
            return np.empty(0, np.intp)
        several = sum(len(of[label]) > 1 for label in perturbations) >= LEAST_PERTURBATIONS
        if self.hold_out == "pools" and several:
            numbers = {label: min(math.ceil(self.held_out * len(rows)), len(rows) - 1) for label, rows in of.items()}
        else:
            n_chosen = min(math.ceil(self.held_out * len(perturbations)), len(perturbations) - 1)
            numbers = {label: len(of[label]) for label in perturbations[:n_chosen]}
        return np.array(sorted(row for label, number in numbers.items() for row in of[label][:number]), dtype=np.intp)


def _bootstrap(pools: Pools, *, seed: int, number: int) -> FloatArray:
    """Return (P,) weights of mean 1, each exponential and keyed by its pool: half a sum of two squared normals."""
    drawn = keyed_normals(pools.key, 2, seed=seed, stream=f"pool weights {number}")
    weight = (drawn**2).sum(axis=1) / 2
    return weight / weight.mean()
