"""Small circuits with few molecules, for the tests of the engines that count them, and their comparison with the twin.

In: the name of a case. Out: a model, a guide, and samples of the engine and of the plain twin of `helpers_twin.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from helpers_core import make_model, make_network
from helpers_twin import simulate_twin, standard_errors_apart
from numpy.typing import NDArray

from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.run import run_cells

HOURS = 8.0
# of a fixed seed; of 30 statistics per case, none of the right law is as far off but once in 10^6 times
LIMIT = 6.0
NO_GUIDE = (-1, 1.0, 1.0, 0.0)
KINETICS: dict[str, Any] = {
    "mean": [6.0, 4.0],
    "half_life": [1.0, 2.0],
    "burst_size": [2.0, 1.5],
    "activity": [0.3, 0.4],
    "fold": [8.0, 5.0, 4.0],
    "hill": [2.0, 1.5],
    "protein_half_life": [3.0, 2.0],
    "proteins_per_mrna": [4.0, 3.0],
    "require_stable": False,
}


@dataclass(frozen=True)
class Case:
    """Two genes that regulate each other, of which A represses itself, with other layers and a guide in each case.

    Attributes:
        guide: gene, factors of its transcription and translation, hours from which on.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    guide: tuple[int, float, float, float] = NO_GUIDE

    @property
    def model(self) -> CellModel:
        return make_model(make_network([(0, 0, -1), (0, 1, 1), (1, 0, 1)]), **KINETICS | self.changes)


CASES = {
    "bursts": Case(),
    "single transcripts, activated": Case({"promoter": "poisson"}, (0, 4.0, 1.0, 3.0)),
    "telegraph, splicing, repressed": Case(
        {"promoter": "telegraph", "splicing_half_life": 0.7, "doubling_time": 10.0}, (0, 0.2, 1.0, 3.0)
    ),
    "splicing, division, knocked out": Case(
        {"splicing_half_life": 0.7, "doubling_time": 5.0, "division": True}, (1, 0.5, 0.1, 4.0)
    ),
    "telegraph, sizes, activated": Case({"promoter": "telegraph", "size_sigma": 0.4}, (1, 3.0, 1.0, 2.0)),
    "Hill sum, sizes": Case({"regulation": "hill_sum", "promoter": "poisson", "size_sigma": 0.4}),
    "logistic, repressed": Case({"regulation": "logistic"}, (0, 0.1, 1.0, 2.0)),
    "linear, activated": Case({"regulation": "linear"}, (0, 8.0, 1.0, 2.0)),
}


def distances(case: Case, *, engine: str, n_cells: int, twin: Case | None = None, seed: int = 1) -> NDArray[np.float64]:
    """Return how far the engine's cells are from the twin's, in standard errors, after the same beginning.

    Args:
        twin: what the twin simulates, if not the same.
    """
    model, (gene, transcription, translation, start) = case.model, case.guide
    other = case if twin is None else twin
    mrna, protein = np.array([6, 1]), np.array([20, 3])
    found = run_cells(
        model,
        engine=engine,
        times=[HOURS],
        n_cells=n_cells,
        guides=None
        if gene < 0
        else CellEffects.of(gene, transcription, n_cells=n_cells, translation=translation, start=start),
        initial={"mrna": mrna, "protein": protein} | _nothing(model),
        seed=seed,
        progress=False,
    )
    plain = simulate_twin(
        other.model,
        hours=HOURS,
        n_cells=n_cells,
        rng=np.random.default_rng(seed),
        mrna=mrna,
        protein=protein,
        guide=other.guide,
    )
    names = [name for name in plain if name in found]
    return standard_errors_apart(
        np.concatenate([found[name].values[0] for name in names], axis=1),
        np.concatenate([plain[name] for name in names], axis=1),
    )


def _nothing(model: CellModel) -> dict[str, NDArray[np.float64]]:
    """Return what else there is in a cell: none of it."""
    layers = {"unspliced": model.splicing_half_life is not None, "promoter": model.promoter == "telegraph"}
    return {name: np.zeros(2) for name, there in layers.items() if there}
