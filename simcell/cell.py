"""A cell model: regulation and kinetics on a network, calibrated so that the wild type is an exact fixed point.

In: a network, wild-type levels, half-lives, burst sizes, and folds, half-responses and cooperativities of its edges.
Out: a frozen `CellModel`, from which kernels get their arrays (`circuit`) and everyone else the kinetics.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcell.errors import SpecError, nearest
from simcell.kernels.circuit import Circuit
from simcell.network import Network
from simcell.regulation import REGULATIONS, Edges, Regulation

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


@dataclass(frozen=True, eq=False)
class CellModel:
    """A calibrated cell; make it with `calibrate` or `draw_cell_model`. G genes, R regulators, S signals, E edges.

    Inputs of promoters are the R regulators in the order of `network.regulators`, then the S signals.

    Attributes:
        mean: (G,) wild-type mRNA, molecules per cell. half_life: (G,) of mRNA, hours, without dilution.
        burst_size: (G,) mean molecules of a burst. activity: (G,) wild-type promoter activity.
        basal: (G,), strength: (E,) parameters of the regulation function, see `regulation.py`.
        half_response: (E,) over the regulator's wild-type level, or in the signal's own unit. hill: (R+S,).
        protein_half_life: (R,) hours, without dilution. protein_mean: (R,) wild-type molecules per cell.
        doubling_time: hours in which a growing cell doubles; infinite without growth.
        signals: names of the S signals. reference: (S,) their levels in the medium of the wild type.
        edges: source and target of each edge, network and signal edges together, sorted by target.
        attenuation: power to which all folds were raised to make the wild type stable; 1 where it was.
    """

    network: Network
    regulation: Regulation
    mean: Array
    half_life: Array
    burst_size: Array
    activity: Array
    basal: Array
    strength: Array
    half_response: Array
    hill: Array
    protein_half_life: Array
    protein_mean: Array
    doubling_time: float
    signals: tuple[str, ...]
    reference: Array
    edges: Edges
    attenuation: float = 1.0

    @property
    def growth(self) -> float:
        """Rate of dilution by growth, per hour."""
        return math.log(2.0) / self.doubling_time

    @property
    def decay(self) -> Array:
        """(G,) rate of loss of mRNA, per hour, dilution included."""
        return math.log(2.0) / self.half_life + self.growth

    @property
    def protein_decay(self) -> Array:
        """(R,) rate of loss of protein, per hour, dilution included."""
        return math.log(2.0) / self.protein_half_life + self.growth

    @property
    def max_rate(self) -> Array:
        """(G,) transcription at full activity, molecules per hour."""
        return self.decay * self.ceiling

    @property
    def ceiling(self) -> Array:
        """(G,) mean mRNA at full activity, molecules per cell."""
        return self.mean / self.activity

    @property
    def translation_rate(self) -> Array:
        """(R,) proteins per mRNA molecule per hour."""
        return self.protein_decay * self.protein_mean / self.mean[self.network.regulators]

    @property
    def reference_levels(self) -> Array:
        """(R+S,) levels of all inputs in the wild type: 1 for regulators, the reference medium for signals."""
        return np.concatenate([np.ones(self.network.n_regulators), self.reference])

    @property
    def network_edges(self) -> NDArray[np.bool_]:
        """(E,) which edges are the network's own, in its order; the others come from signals."""
        return self.edges.source < self.network.n_regulators

    def circuit(self, dtype: type[np.floating] = np.float64) -> Circuit:
        """Return the model as the arrays that kernels read, in one floating type."""

        def real(values: ArrayLike) -> NDArray[np.floating]:
            return np.ascontiguousarray(values, dtype=dtype)

        compiled = self.regulation.compiled(self.basal, self.strength, self.edges, self.reference_levels)
        return Circuit(
            regulation=self.regulation.code,
            pointer=self.edges.pointer,
            source=self.edges.source,
            affinity=real(self.edges.affinity),
            offset=real(compiled.offset),
            strength=real(compiled.strength),
            basal=real(compiled.basal),
            ceiling=real(self.ceiling),
            decay=real(self.decay),
            burst=real(self.burst_size),
            regulator=self.network.regulators.astype(np.int32),
            protein_decay=real(self.protein_decay),
            mean=real(self.mean[self.network.regulators]),
            hill=real(self.hill),
        )

    def signal_levels(self, medium: Mapping[str, float] | None) -> Array:
        """Return (S,) levels of the signals in a medium; signals it does not name are at 0; None is the reference."""
        if medium is None:
            return self.reference.copy()
        for name in medium:
            if name not in self.signals:
                raise SpecError("medium", name, f"a signal of this model{nearest(name, self.signals)}")
        return np.array([float(medium.get(name, 0.0)) for name in self.signals])

    def drift(self) -> Array:
        """Return the time derivative (G,) of mRNA at the wild type, molecules per hour; 0 if calibrated."""
        active = self.regulation.activity(self.basal, self.strength, self.edges, self.reference_levels)
        return self.decay * (self.ceiling * active - self.mean)

    def jacobian(self, levels: Array | None = None) -> Array:
        """Return the Jacobian (2R, 2R) of the regulators' mRNA (over its wild-type mean) and protein levels.

        Genes that regulate nothing only follow, each with its own -decay, and are left out.

        Args:
            levels: (R+S,) levels of the inputs; the wild type by default.
        """
        # a slope by the logarithm is 0 where there is nothing, so that one by the level needs a little of it
        levels = np.maximum(self.reference_levels if levels is None else levels, 1e-9)
        regulators, n = self.network.regulators, self.network.n_regulators
        slope = self.regulation.slope(self.basal, self.strength, self.edges, levels)
        row = np.full(self.network.n_genes, -1)
        row[regulators] = np.arange(n)
        kept = (self.edges.source < n) & (row[self.edges.target] >= 0)
        source, target = self.edges.source[kept], self.edges.target[kept]
        gain = (self.decay / self.activity)[target] * slope[kept] / levels[source]
        out = np.zeros((2 * n, 2 * n))
        out[row[target], n + source] = gain
        out[np.arange(n), np.arange(n)] = -self.decay[regulators]
        out[np.arange(n) + n, np.arange(n)] = self.protein_decay
        out[np.arange(n) + n, np.arange(n) + n] = -self.protein_decay
        return out

    @cached_property
    def spectral_abscissa(self) -> float:
        """The largest real part of the wild type's Jacobian, per hour; negative where the wild type is stable."""
        return float(np.linalg.eigvals(self.jacobian()).real.max())

    @property
    def stable(self) -> bool:
        """Whether the wild type attracts its neighbourhood."""
        return self.spectral_abscissa < 0.0

    @property
    def slowest_rate(self) -> float:
        """The rate at which the wild type is approached in the end, per hour: of inputs or of the slowest mRNA."""
        return min(float(self.decay.min()), -self.spectral_abscissa) if self.stable else float(self.protein_decay.min())


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
    growth = math.inf if doubling_time is None else float(_column("doubling_time", doubling_time, 1)[0])
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


def without_noise(model: CellModel) -> CellModel:
    """Return the model with bursts so small that intensities are deterministic."""
    return dataclasses.replace(model, burst_size=np.full_like(model.burst_size, 1e-9))
