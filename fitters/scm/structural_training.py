"""Neural structural equations of all genes at once: one small network per gene, trained by interventional likelihood.

In: pools of cells. Out: `Equations` (sparse weights as numpy arrays) and the loss of every epoch. Torch is imported
when training begins; nothing global is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fitters.results import LossHistory
from fitters.scm.pools import Pools
from fitters.scm.structural_equations import Equations
from fitters.training.batches import RowLabels
from fitters.training.loop import train as train_by_epochs
from fitters.training.options import TrainedFitter

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.float64]


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
        history: likelihood, structure and sparsity at every epoch.
    """

    equations: Equations
    state: dict[str, Tensor]
    progress: float
    history: LossHistory


@dataclass(frozen=True, kw_only=True)
class _FullBatch(TrainedFitter):
    """The options of the training loop, of which the fitter has some."""

    schedule: str = "cosine"
    gradient_clip: float | None = None
    device: str = "cpu"
    name: ClassVar[str] = "scm-nonlinear"
    terms: ClassVar[Mapping[str, float]] = {}


def train(
    pools: Pools,
    how: Training,
    *,
    seed: int,
    held_out: NDArray[np.bool_] | None = None,
    weight: FloatArray | None = None,
    start: Trained | None = None,
) -> Trained:
    """Train by full-batch proximal Adam.

    From scratch, the penalty falls in the first half of `how.epochs` from the level at which no edge is worth its price
    to that asked for, so that edges enter one after the other, and not all at once; the learning rate falls by a
    cosine. From a start, its schedule stands still, and a quarter of the epochs is taken.

    Args:
        pools: P pools to learn from, and to stop by.
        how: options.
        seed: of the initial weights, which are drawn per gene name.
        held_out: (P,) pools to stop by, after `how.patience` epochs without a lower error on them; None for none.
        weight: (P,) of each pool in the likelihood; None for equal weights.
        start: what an earlier training left.

    Raises:
        FitterError: divergence.
    """
    from fitters.scm.structural_module import StructuralModule

    n_pools = len(pools)
    out = np.zeros(n_pools, dtype=bool) if held_out is None else held_out
    n_epochs = how.epochs if start is None else max(how.epochs // 4, 1)
    module = StructuralModule(
        pools,
        weight=np.ones(n_pools) if weight is None else weight,
        learnt=~out,
        hidden_units=how.hidden_units,
        penalty=how.penalty,
        unperturbed_penalty=how.unperturbed_penalty,
        acyclic=how.acyclic,
        seed=seed,
        n_epochs=n_epochs,
        progress=None if start is None else start.progress,
    )
    if start is not None:
        module.load_state_dict(start.state)
    options = _FullBatch(epochs=n_epochs, batch_size=n_pools, learning_rate=how.learning_rate, patience=how.patience)
    of_one_kind = np.zeros(n_pools, dtype=np.intp)
    history = train_by_epochs(
        module,
        RowLabels(of_one_kind, of_one_kind, out),
        options,
        # the optimiser takes the sparsity down, by its proximal map; the error is what is stopped by
        weights={"likelihood": 1.0, module.structure_name: 1.0, "sparsity": 0.0, "error": 0.0},
        seed=seed,
    )
    progress = module.progress((history.best_epoch or history.n_epochs) - 1)
    return Trained(module.equations(), module.state_dict(), progress, _as_minimised(history))


def _as_minimised(history: LossHistory) -> LossHistory:
    """Return the history of the three terms that are minimised."""
    return replace(
        history,
        terms=history.terms[:3],
        weight=np.ones(3),
        training=history.training[:, :3],
        held_out=None if history.held_out is None else history.held_out[:, :3],
    )
