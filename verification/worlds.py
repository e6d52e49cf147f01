"""The small worlds of the certificate, and cells of them: models made by hand, and samples through `simcell.run_cells`.

In: parameters in words of the model, an engine's name, a number of cells, a seed. Out: a `CellModel`, or a `Sample`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import simcell
from simcell import CellEffects, CellModel, Network
from simcell.circuits import numbered_genes
from verification.effective import Cells, measure

BURST = 4.0
HALF_LIFE = 5.0  # hours, of mRNA
PROTEIN_HALF_LIFE = 8.0
LIFETIMES = 8.0  # of the slowest molecule, after which the start of unregulated genes is forgotten to e^-8


@dataclass(frozen=True, eq=False)
class Sample:
    """Cells of one run: counts and, where the engine or the model has them, the other states.

    Attributes:
        times: (T,) hours. mrna: (T, N, G) molecules. protein: (T, N, R) molecules.
        intensity: (T, N, G), of `langevin` and `ode` only. unspliced: (T, N, G) molecules, with splicing only.
    """

    model: CellModel
    engine: str
    times: tuple[float, ...]
    mrna: NDArray[np.int32]
    protein: NDArray[np.float32]
    intensity: NDArray[np.float32] | None
    unspliced: NDArray[np.int32] | None

    @cached_property
    def cells(self) -> Cells:
        """How many independent cells these are worth, as measured from their last molecules."""
        return measure(self.latent[-1])

    @property
    def latent(self) -> NDArray[Any]:
        """The mRNA (T, N, G) with as little noise on top of the cells' own as the engine allows."""
        return self.mrna if self.intensity is None else self.intensity

    @property
    def counted(self) -> NDArray[Any]:
        """The mRNA (T, N, G) as molecules, or as it is without noise."""
        return self.mrna if self.engine != "ode" or self.intensity is None else self.intensity

    @property
    def levels(self) -> NDArray[np.float64]:
        """Proteins (T, N, R) over their wild-type means."""
        return self.protein / self.model.protein_mean


def lone_genes(*, mean: ArrayLike, regulators: int | None = None, **changes: Any) -> CellModel:
    """Return genes that nothing regulates: all that they do, each to itself, is of fold 1, which is nothing.

    Args:
        mean: (G,) mRNA molecules. changes: other arguments of `simcell.calibrate`.
        regulators: how many do even that, all by default; engines treat the others, which have no protein, otherwise.
    """
    mean = np.atleast_1d(np.asarray(mean, np.float64))
    genes = np.arange(mean.size if regulators is None else regulators, dtype=np.int32)
    settings: dict[str, Any] = {
        "half_life": HALF_LIFE,
        "burst_size": BURST,
        "activity": 0.3,
        "fold": 1.0,
        "protein_half_life": PROTEIN_HALF_LIFE,
        "proteins_per_mrna": 5.0,
        "doubling_time": None,
    }
    return simcell.calibrate(
        Network(numbered_genes(mean.size), genes, genes, np.ones(genes.size, np.int8)), mean=mean, **settings | changes
    )


def circuit(edges: Sequence[tuple[int, int, int]], *, genes: int | None = None, **settings: Any) -> CellModel:
    """Return a calibrated circuit of edges (regulator, target, sign) between numbered genes."""
    regulator, target, sign = np.array(edges, np.int32).T
    n_genes = int(max(regulator.max(), target.max())) + 1 if genes is None else genes
    defaults: dict[str, Any] = {
        "mean": 30.0,
        "half_life": HALF_LIFE,
        "burst_size": BURST,
        "activity": 0.3,
        "fold": 6.0,
        "protein_half_life": PROTEIN_HALF_LIFE,
        "proteins_per_mrna": 5.0,
        "doubling_time": None,
    }
    return simcell.calibrate(Network(numbered_genes(n_genes), regulator, target, sign), **defaults | settings)


def simulate(
    model: CellModel,
    engine: str,
    *,
    cells: int,
    seed: int,
    times: Sequence[float] = (0.0,),
    guide: CellEffects | None = None,
    **options: Any,
) -> Sample:
    """Return cells of a model under an engine.

    Args:
        guide: the perturbation of one cell, which all get, or one row for each cell.
        options: further arguments of `simcell.run_cells`.
    """
    if guide is not None and guide.n_cells == 1:
        guide = guide.take(np.zeros(cells, np.intp))
    data = simcell.run_cells(
        model, engine=engine, times=list(times), n_cells=cells, seed=seed, guides=guide, progress=False, **options
    )
    return Sample(
        model=model,
        engine=engine,
        times=tuple(times),
        mrna=data["mrna"].values,
        protein=data["protein"].values,
        intensity=data["intensity"].values if "intensity" in data else None,
        unspliced=data["unspliced"].values if "unspliced" in data else None,
    )


def forgotten(model: CellModel, *, proteins: bool = False) -> float:
    """Return hours after which unregulated genes, or their proteins too, have forgotten where they began."""
    slowest = min(model.decay.min(), model.splicing_rate.min() + model.growth)
    if proteins:
        slowest = min(slowest, model.protein_decay.min())
    return float(np.ceil(LIFETIMES / slowest))
