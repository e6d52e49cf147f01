"""`operator`: a learned operator for every step of the protocol, applied in the order in which the steps were taken.

In: training data with the notes of the experiment. Out: profiles at any time, in any medium and arm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fitters.checks import Scope
from fitters.contract import Assumption, Claim
from fitters.mechanistic.state_fit import StateFit
from fitters.mechanistic.state_training import Prepared
from fitters.mechanistic.states import Word
from fitters.options import check_flags, check_whole_numbers
from fitters.training.devices import one_thread, seeded
from fitters.training.loop import train
from fitters.training.options import TrainedFitter
from fitters.training_data import TrainingData

if TYPE_CHECKING:
    from fitters.mechanistic.operator_module import WordOfOperators, WordOfShifts


FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Operator(TrainedFitter):
    """The protocol as a word in learned operators, which do or do not commute.

    Equations, with states x (D,) of pools of cells and perturbations p (E,) as in `node`:

    - the lifted state of cells is (z, w, q): z (D + K,), of which x is read as ``z_1..D + N(z)``, N one hidden layer;
      q (E,) the constructs that cells carry, w (E,) their effect, which sets in
    - transduce: ``q = p (1 + G z)``: what a perturbation does may depend on the state that it meets
    - culture in medium m: ``dz/dt = A_m z + B_m w + c_m``, ``dw/dt = (q - w)/onset``, ``dq/dt = 0``, per day, solved by
      the matrix exponential of the generator: culture for a and then b hours is culture for a + b hours.
      ``A_m = S_m - S_m' - R_m R_m' - e I``, stable for any S, R; S, R, B, c are linear in the signals of the medium
    - a prediction applies the operators of the arm's steps one after the other.

    With `commute`, every step is a shift of z: ``z = z_0 + [transduced] B p + sum_m hours_m c_m``, read as above. Order
    is then of no account, and neither is when cells were transduced: what an autoencoder with latent z + e_p assumes.

    Terms of the loss, weights in the option `losses`:

    - response (1): error of states at the end of the word
    - steady_state_controls (0): ``mean |dz/dt|^2``, per day, of control at the end of its word
    - contrast_matched (0), contrast_pooled (0): as in `node`
    - weight_decay (0.1): mean squared weights of N, G, W and r, and of what differs between media.

    Source: L. Kovačević et al., "No foundations without foundations", arXiv:2501.19178 (2025), for experiments as
    operators that do not commute; lifted linear dynamics: S. L. Brunton et al., "Modern Koopman theory for dynamical
    systems", SIAM Review 64 (2022), doi:10.1137/21M1401243; M. Lotfollahi et al., Molecular Systems Biology 19 (2023),
    for latent shifts (CPA).

    Differences: the first names the operators and learns none of them; here each is affine in a lifted state, and the
    only nonlinear map is the readout. The last has an autoencoder of single cells around the shifts.

    Args:
        dimensions: D, or null: each gene is a dimension.
        lift: K, latent dimensions beside.
        embedding: E.
        hidden: width of N.
        cells_per_pool: most cells of a pool.
        commute: whether all steps are shifts.
    """

    name: ClassVar[str] = "operator"
    family: ClassVar[str] = "semi-mechanistic"
    claims: ClassVar[frozenset[Claim]] = frozenset(
        {Claim.MEAN, Claim.TIME, Claim.MEDIUM, Claim.ARM, Claim.COMBINATION, Claim.UNSEEN_GENE}
    )
    assumptions: ClassVar[frozenset[Assumption]] = frozenset({Assumption.LOW_RANK, Assumption.ADDITIVE})
    source: ClassVar[str] = "Kovačević et al., arXiv:2501.19178 (2025); Brunton et al., SIAM Review 64 (2022)"
    terms: ClassVar[dict[str, float]] = {
        "response": 1.0,
        "steady_state_controls": 0.0,
        "contrast_matched": 0.0,
        "contrast_pooled": 0.0,
        "weight_decay": 0.1,
    }

    # where few perturbations are known, the one that is held out decides when training stops, and answers jump with it
    held_out: float = 0.0
    epochs: int = 100
    learning_rate: float = 2e-3
    batching: str = "perturbation"
    dimensions: int | None = 30
    lift: int = 8
    embedding: int = 16
    hidden: int = 32
    cells_per_pool: int = 32
    commute: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimensions is not None:
            check_whole_numbers(self, "dimensions", at_least=1)
        check_whole_numbers(self, "embedding", "hidden", "cells_per_pool", at_least=1)
        check_whole_numbers(self, "lift", at_least=0)
        check_flags(self, "commute")

    def fit(self, data: TrainingData, *, seed: int) -> OperatorFit:
        """Return the fit.

        Raises:
            FitterError: no perturbation; a context without controls; a training that diverges.
        """
        import torch

        from fitters.mechanistic.operator_module import OperatorObjective, model_of
        from fitters.mechanistic.state_module import Shape, state_arrays

        known = Prepared.of(data, dimensions=self.dimensions, cells_per_pool=self.cells_per_pool, fitter=self.name)
        shape = Shape(
            dimensions=known.pools.basis.dimensions,
            embedding=self.embedding,
            features=known.targets.n_features + 1,
            targets=len(known.targets.names),
            hidden=self.hidden,
            media=known.media,
            learn_start=known.contexts.drifting,
            options={"lift": self.lift, "commute": self.commute},
        )
        rows, labels = known.rows(held_out=self.held_out, seed=seed)
        with one_thread(), seeded(seed, 0):
            model = model_of(shape)
        objective = OperatorObjective(model, known, rows=rows, terms=self.weights, dtype=torch.float64)
        fingerprint = known.fingerprint(repr(self), seed)
        history = train(objective, labels, self, weights=self.weights, seed=seed, fingerprint=fingerprint)
        return OperatorFit(
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


@dataclass(frozen=True, eq=False, kw_only=True)
class OperatorFit(StateFit):
    """Fitted operators."""

    def model(self) -> WordOfOperators | WordOfShifts:
        """Return the torch model with the fitted parameters."""
        from fitters.mechanistic.operator_module import model_of
        from fitters.mechanistic.state_module import with_arrays

        return with_arrays(model_of(self.shape), self.arrays)

    def own_hours(self, word: Word) -> float | None:
        """Return the hours after transduction; where steps commute, the hours before it count as much: None, or 0."""
        if not self.shape.options["commute"]:
            return super().own_hours(word)
        return None if any(step.kind == "transduce" for step in word) else 0.0

    def shared(self, missed: FloatArray) -> FloatArray:
        """Return what is missed of controls; where steps commute, contexts of the same steps have one control."""
        if not self.shape.options["commute"]:
            return missed
        found = np.empty_like(missed)
        amounts = [_amount(word) for word in self.measured.contexts.words]
        for amount in amounts:
            rows = [row for row, other in enumerate(amounts) if other == amount]
            found[rows] = np.average(missed[rows], axis=0, weights=self.measured.n_controls[rows])
        return found

    def spectral_abscissa(self, *, medium: str | None = None) -> float:
        """Return the largest real part of the eigenvalues of a medium's A, per hour; 0 for shifts.

        Below 0 by construction: how slowly the slowest part of the state is forgotten.

        Args:
            medium: by default that of the earliest context.
        """
        import torch

        from fitters.mechanistic.operator_module import WordOfShifts

        if self.shape.options["commute"]:
            return 0.0
        where = self.measured.contexts.all[0].medium if medium is None else medium
        n = self.shape.dimensions + self.shape.options["lift"]
        with one_thread(), torch.no_grad():
            model = self.model()
            assert not isinstance(model, WordOfShifts)
            generator = model.generator(where).numpy()
        return float(np.linalg.eigvals(generator[:n, :n]).real.max())


def _amount(word: Word) -> tuple[bool, tuple[tuple[str, float], ...]]:
    """Return what is left of a word without its order: whether cells were transduced, and hours by medium."""
    cultures = [step for step in word if step.kind == "culture"]
    hours = {medium: math.fsum(step.hours for step in cultures if step.medium == medium)
             for medium in sorted({step.medium for step in cultures})}  # fmt: skip
    return len(cultures) < len(word), tuple(hours.items())
