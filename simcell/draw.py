"""Drawing a cell model: a network and distributions in, a calibrated `CellModel` out, by seed.

The defaults of the distributions, with unit and citation, are in `sources.py` and in the schema of specifications.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from simcell.calibration import SignalEdge, calibrate
from simcell.cell import CellModel
from simcell.errors import SpecError
from simcell.network import Network
from simcell.random import Purpose, stream
from simcell.spec.base import FoldRange, LogNormal
from simcell.spec.cell import CellSpec
from simcell.spec.screen import SignalTarget


class Quantity(IntEnum):
    """What is drawn for a cell model; numbers name streams: append, never renumber."""

    MEAN = 0
    HALF_LIFE = 1
    BURST_SIZE = 2
    PROTEIN_HALF_LIFE = 3
    PROTEINS_PER_MRNA = 4
    ACTIVITY = 5
    FOLD = 6
    HALF_RESPONSE = 7
    HILL = 8
    SIGNAL_FOLD = 9
    SPLICING_HALF_LIFE = 10


def _generator(seed: int, quantity: Quantity) -> np.random.Generator:
    return stream(seed, Purpose.CELL_MODEL, quantity)


def _folds(generator: np.random.Generator, law: FoldRange, size: int) -> NDArray[np.float64]:
    """Return folds (size,), log-uniform in their range."""
    return np.exp(generator.uniform(np.log(law.low), np.log(law.high), size))


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

    def lognormal(quantity: Quantity, law: LogNormal, size: int) -> NDArray[np.float64]:
        return law.median * np.exp(law.sigma * _generator(seed, quantity).standard_normal(size))

    low, high = cell.activity.low, cell.activity.high
    deviation = _generator(seed, Quantity.HALF_RESPONSE).standard_normal(n_edges)
    return calibrate(
        network,
        regulation=cell.regulation,
        mean=lognormal(Quantity.MEAN, cell.mean_mrna, n_genes),
        half_life=lognormal(Quantity.HALF_LIFE, cell.mrna_half_life, n_genes),
        burst_size=lognormal(Quantity.BURST_SIZE, cell.burst_size, n_genes),
        protein_half_life=lognormal(Quantity.PROTEIN_HALF_LIFE, cell.protein_half_life, n_regulators),
        proteins_per_mrna=lognormal(Quantity.PROTEINS_PER_MRNA, cell.proteins_per_mrna, n_regulators),
        activity=_generator(seed, Quantity.ACTIVITY).uniform(low, high, n_genes),
        fold=_folds(_generator(seed, Quantity.FOLD), cell.strength, n_edges),
        half_response=np.exp(cell.half_response.sigma * deviation),
        hill=_generator(seed, Quantity.HILL).uniform(cell.hill.low, cell.hill.high, n_regulators),
        doubling_time=cell.doubling_time,
        signal_edges=signal_edges,
        signals=signals,
        reference_medium=reference_medium,
        require_stable=cell.require_stable,
        promoter=cell.promoter,
        splicing_half_life=None
        if cell.splicing_half_life is None
        else lognormal(Quantity.SPLICING_HALF_LIFE, cell.splicing_half_life, n_genes),
        division=cell.division,
        size_sigma=cell.size_sigma,
    )


def draw_signal_edges(
    signals: Mapping[str, Sequence[SignalTarget]], network: Network, *, cell: CellSpec, seed: int
) -> list[SignalEdge]:
    """Return the edges of signals; a strength that is left open is drawn like that of any edge.

    Raises:
        SpecError: a target that is not a gene of the network.
    """
    generator, edges = _generator(seed, Quantity.SIGNAL_FOLD), []
    for signal, targets in signals.items():
        drawn = _folds(generator, cell.strength, len(targets))
        for number, (edge, fold) in enumerate(zip(targets, drawn, strict=True)):
            try:
                network.index(edge.target)
            except SpecError as error:
                raise SpecError(f"signals.{signal}[{number}].target", edge.target, error.allowed) from None
            edges.append(SignalEdge(signal, edge.target, edge.sign, edge.strength or float(fold)))
    return edges
