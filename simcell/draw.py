"""Drawing a cell model: a network and distributions in, a calibrated `CellModel` out, by seed.

The defaults of the distributions, with unit and citation, are in `sources.py` and in the schema of specifications.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from simcell.cell import CellModel, SignalEdge, calibrate
from simcell.network import Network
from simcell.random import Purpose, stream
from simcell.spec.base import LogNormal
from simcell.spec.cell import CellSpec


def draw_cell_model(
    network: Network,
    *,
    cell: CellSpec | None = None,
    seed: int = 0,
    signal_edges: Sequence[SignalEdge] = (),
    signals: Sequence[str] = (),
    reference_medium: Mapping[str, float] | None = None,
) -> CellModel:
    """Return a cell model on a network, its numbers drawn from the distributions of a `CellSpec` (or the defaults).

    Each quantity has a stream of its own, so that changing one distribution leaves the others' draws as they were.
    """
    cell = cell or CellSpec()
    n_genes, n_regulators, n_edges = network.n_genes, network.n_regulators, network.n_edges

    def generator(quantity: int) -> np.random.Generator:
        return stream(seed, Purpose.CELL_MODEL, quantity)

    def lognormal(quantity: int, law: LogNormal, size: int) -> NDArray[np.float64]:
        return law.median * np.exp(law.sigma * generator(quantity).standard_normal(size))

    strength = cell.strength
    return calibrate(
        network,
        regulation=cell.regulation,
        mean=lognormal(0, cell.mean_mrna, n_genes),
        half_life=lognormal(1, cell.mrna_half_life, n_genes),
        burst_size=lognormal(2, cell.burst_size, n_genes),
        protein_half_life=lognormal(3, cell.protein_half_life, n_regulators),
        proteins_per_mrna=lognormal(4, cell.proteins_per_mrna, n_regulators),
        activity=generator(5).uniform(cell.activity.low, cell.activity.high, n_genes),
        fold=np.exp(generator(6).uniform(np.log(strength.low), np.log(strength.high), n_edges)),
        half_response=np.exp(cell.half_response.sigma * generator(7).standard_normal(n_edges)),
        hill=generator(8).uniform(cell.hill.low, cell.hill.high, n_regulators),
        doubling_time=cell.doubling_time,
        signal_edges=signal_edges,
        signals=signals,
        reference_medium=reference_medium,
        require_stable=cell.require_stable,
    )
