"""Calibration in closed form: wild-type levels and edges in, the `CellModel` of which they are a fixed point out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcell.cell import PROMOTERS, CellModel
from simcell.errors import SpecError, nearest
from simcell.network import Network
from simcell.regulation import REGULATIONS, Edges

Array = NDArray[np.float64]
# The slowest mode of a wild type that must be stable may relax at this fraction of the rate of its slowest molecule:
# nearer to the brink, small fluctuations grow large and slow, and an unbounded (linear) cell runs away.
STABILITY_MARGIN = 0.25


@dataclass(frozen=True)
class SignalEdge:
    """An edge from a signal of the medium to a gene: sign +1 or -1, fold >= 1."""

    signal: str
    target: str
    sign: int
    fold: float


def calibrate(
    network: Network,
    *,
    regulation: str = "thermodynamic",
    mean: ArrayLike,
    half_life: ArrayLike,
    burst_size: ArrayLike,
    activity: ArrayLike,
    fold: ArrayLike,
    half_response: ArrayLike = 1.0,
    hill: ArrayLike = 2.0,
    protein_half_life: ArrayLike = 24.0,
    proteins_per_mrna: ArrayLike = 1000.0,
    doubling_time: float | None = 24.0,
    signal_edges: Sequence[SignalEdge] = (),
    signals: Sequence[str] = (),
    reference_medium: Mapping[str, float] | None = None,
    require_stable: bool = True,
    promoter: str = "bursty",
    splicing_half_life: ArrayLike | None = None,
    division: bool = False,
    size_sigma: float = 0.0,
) -> CellModel:
    """Return the cell model whose wild type has the given levels, in closed form; single numbers hold for all.

    Args:
        regulation: one of `REGULATIONS`.
        mean: (G,) wild-type mRNA, molecules per cell, > 0. half_life: (G,) hours, > 0. burst_size: (G,), > 0.
        activity: (G,) wild-type promoter activity in (0, 1); `hill_sum` sets its own.
        fold: (E,) strength of each network edge, >= 1. half_response: (E,) over the regulator's wild-type level.
        hill: (R,) cooperativity of each regulator; signals have 1.
        protein_half_life: (R,) hours. proteins_per_mrna: (R,) ratio of wild-type means.
        doubling_time: hours; None is no growth.
        signal_edges: edges from signals; their half-response is level 1. signals: all signals, acting or not.
        reference_medium: levels of signals in the wild type; 0 where not named.
        require_stable: weaken all folds by one common power until the wild type is stable, by `STABILITY_MARGIN`.
        promoter: `poisson`, `bursty` or `telegraph`. splicing_half_life: (G,) hours; None is no splicing.
        division: whether cells divide, in place of steady dilution. size_sigma: of the log size of cells.

    Raises:
        SpecError: a parameter outside of what it may be, named with its value.
    """
    if regulation not in REGULATIONS:
        known = ", ".join(REGULATIONS)
        raise SpecError("cell.regulation", regulation, f"one of {known}{nearest(regulation, REGULATIONS)}")
    n_genes, n_regulators = network.n_genes, network.n_regulators
    columns = {
        "mean": _column("mean", mean, n_genes),
        "half_life": _column("half_life", half_life, n_genes),
        "burst_size": _column("burst_size", burst_size, n_genes),
        "protein_half_life": _column("protein_half_life", protein_half_life, n_regulators),
    }
    wanted = _column("activity", activity, n_genes)
    if (wanted >= 1.0).any():
        raise SpecError("cell.activity", float(wanted.max()), "below 1")
    spliced = None if splicing_half_life is None else _column("splicing_half_life", splicing_half_life, n_genes)
    growth = math.inf if doubling_time is None else float(_column("doubling_time", doubling_time, 1)[0])
    _layers(regulation, promoter, division=division, growing=doubling_time is not None, size_sigma=size_sigma)
    names = tuple(signals)
    for name in reference_medium or {}:
        if name not in names:
            raise SpecError("reference_medium", name, f"a signal of this model{nearest(name, names)}")
    reference = np.array([float((reference_medium or {}).get(name, 0.0)) for name in names])
    folds, signs, responses, shape = _edges(network, signal_edges, names, fold, half_response, hill)
    levels = np.concatenate([np.ones(n_regulators), reference])

    def at(attenuation: float) -> CellModel:
        found = REGULATIONS[regulation].calibrate(wanted, signs, folds**attenuation, shape, levels)
        return CellModel(
            network=network,
            regulation=REGULATIONS[regulation],
            activity=found.activity,
            basal=found.basal,
            strength=found.strength,
            half_response=responses,
            hill=shape.hill,
            protein_mean=_column("proteins_per_mrna", proteins_per_mrna, n_regulators)
            * columns["mean"][network.regulators],
            doubling_time=growth,
            signals=names,
            reference=reference,
            edges=shape,
            attenuation=attenuation,
            promoter=promoter,
            splicing_half_life=spliced,
            division=division,
            size_sigma=float(size_sigma),
            **columns,
        )

    model = at(1.0)
    slowest = min(model.decay[network.regulators].min(), model.protein_decay.min())
    while require_stable and model.spectral_abscissa > -STABILITY_MARGIN * slowest:
        if model.attenuation < 1e-3:
            raise SpecError("cell.strength", float(folds.max()), "weak enough for the wild type to be stable")
        model = at(model.attenuation * 0.8)
    return model


def _column(name: str, values: ArrayLike, size: int) -> Array:
    """Return values as (size,), a single number standing for all; refuse what is not a positive finite number."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 0 and array.shape != (size,):
        raise SpecError(f"cell.{name}", f"of shape {array.shape}", f"one number or of shape ({size},)")
    bad = ~(np.isfinite(array) & (array > 0.0))
    if bad.any():
        raise SpecError(f"cell.{name}", float(array[bad].flat[0]), "a finite number > 0")
    return np.array(np.broadcast_to(array, (size,)))


def _layers(regulation: str, promoter: str, *, division: bool, growing: bool, size_sigma: float) -> None:
    """Refuse layers of a cell that do not go together."""
    if promoter not in PROMOTERS:
        raise SpecError("cell.promoter", promoter, f"one of {', '.join(PROMOTERS)}{nearest(promoter, PROMOTERS)}")
    if promoter == "telegraph" and regulation == "linear":
        raise SpecError("cell.promoter", promoter, "allowed with linear regulation, whose activity may exceed 1")
    if division and not growing:
        raise SpecError("cell.division", division, "allowed without a doubling_time")
    if not 0.0 <= size_sigma < math.inf:
        raise SpecError("cell.size_sigma", size_sigma, "a finite number >= 0")


def _edges(
    network: Network,
    signal_edges: Sequence[SignalEdge],
    signals: tuple[str, ...],
    fold: ArrayLike,
    half_response: ArrayLike,
    hill: ArrayLike,
) -> tuple[Array, Array, Array, Edges]:
    """Return (folds, signs, half-responses, edges) of network and signal edges together, sorted by target."""
    n_regulators = network.n_regulators
    for edge in signal_edges:
        if edge.signal not in signals:
            raise SpecError("signals", edge.signal, f"a signal of a medium{nearest(edge.signal, signals)}")
    source = np.concatenate(
        [
            np.searchsorted(network.regulators, network.regulator),
            [n_regulators + signals.index(edge.signal) for edge in signal_edges],
        ]
    ).astype(np.int32)
    target = np.concatenate([network.target, [network.index(edge.target) for edge in signal_edges]]).astype(np.int32)
    sign = np.concatenate([network.sign, [edge.sign for edge in signal_edges]]).astype(np.float64)
    folds = np.concatenate([_column("fold", fold, network.n_edges), [edge.fold for edge in signal_edges]])
    if (folds < 1.0).any():
        raise SpecError("cell.fold", float(folds.min()), ">= 1")
    responses = np.concatenate([_column("half_response", half_response, network.n_edges), np.ones(len(signal_edges))])
    cooperativity = np.concatenate([_column("hill", hill, n_regulators), np.ones(len(signals))])
    order = np.lexsort((source, target))
    pointer = np.searchsorted(target[order], np.arange(network.n_genes + 1)).astype(np.int32)
    affinity = responses[order] ** -cooperativity[source[order]]
    shape = Edges(pointer, source[order], target[order], affinity, cooperativity)
    return folds[order], sign[order], responses[order], shape
