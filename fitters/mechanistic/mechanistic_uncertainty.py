"""How well the parameters of a mechanistic field are known, gene by gene, and which rates can be told at all.

In: a fitted field and its data. Out: errors of elasticities, and estimates of rates with intervals. The equation of
each gene is taken by itself, with the predicted levels of its inputs: errors given the parameters of all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fitters.mechanistic.mechanistic_module import MechanisticField
from fitters.mechanistic.mechanistic_parameters import ACTIVITY, HALF_LIFE, HALF_RESPONSE
from fitters.mechanistic.mechanistic_rows import Trajectories
from fitters.mechanistic.regulation_relative import SATURATING, basal_share
from fitters.results import Estimate

FloatArray = NDArray[np.float64]

STEP = 1e-4  # of central differences, in units of each parameter
LEVEL, NORMAL = 0.95, 1.959963984540054
DROPPED = 1e12  # precision of a weight that is held at 0
# A quantity is told if the data alone, without what is taken for usual, leave it a factor within this standard error.
MOST_ERROR = 0.5


@dataclass(frozen=True, eq=False)
class Told(Estimate):
    """An estimate of which some genes can be picked."""

    def take(self, columns: NDArray[np.intp]) -> Estimate:
        """Return the estimate of genes in another order."""
        return Estimate(
            self.value[columns], self.lower[columns], self.upper[columns], self.identified[columns], self.level
        )


@dataclass(frozen=True, eq=False)
class Precision:
    """Of each gene: names of its D parameters, their covariance with and without what is taken for usual.

    Args:
        names: D names: "weight k", "affinity k" of slots, "activity", "half_life", "protein".
        posterior: (G, D, D) covariance. data: (G, D) standard errors by the data alone; infinite where they tell none.
        elasticity: (G, K) standard errors of elasticities.
    """

    names: tuple[str, ...]
    posterior: FloatArray
    data: FloatArray
    elasticity: FloatArray


def precision_of(field: MechanisticField, rows: Trajectories) -> Precision:
    """Return the precision of a field's parameters (Laplace's approximation, Gauss-Newton curvature)."""
    every = torch.arange(len(rows.label))
    kept_level, kept_inputs = field.level, field.inputs
    with torch.no_grad():
        states = field.states(every)
        try:
            field.level, field.inputs = states, states[:, :, field.regulators]
            slopes, names, prior = _slopes(field, every)
        finally:
            field.level, field.inputs = kept_level, kept_inputs
        by_parameter = _elasticity_slopes(field, names)
    weight = np.where(np.isfinite(rows.error), rows.error**-2.0, 0.0).reshape(-1, len(rows.genes))
    row, hour = rows.origin
    missed = (rows.level - (states / states[row, hour].clamp(min=1e-3)).numpy()).reshape(weight.shape)
    weight = weight / _excess(weight, missed, field.kept.numpy().sum(axis=1) + len(names) - field.unit.shape[1])
    jacobian = np.stack(slopes, axis=-1).reshape(weight.shape[0], len(rows.genes), len(names))
    curvature = np.einsum("ngd,ng,nge->gde", jacobian, weight, jacobian)
    informative = np.tile(np.array(prior), (len(rows.genes), 1))
    n_slots = field.unit.shape[1]
    informative[:, :n_slots] = np.where(field.kept.numpy() > 0, 0.0, DROPPED)  # held at 0 by choice
    posterior = _inverse(curvature + informative[:, :, None] * np.eye(len(names)))
    variance = np.maximum(np.diagonal(posterior, axis1=1, axis2=2), 1e-300)
    with np.errstate(divide="ignore"):
        left = 1.0 / variance - informative
        alone = np.where(left > 1e-9 * np.maximum(informative, 1e-9), 1.0 / np.sqrt(np.maximum(left, 1e-300)), np.inf)
    spread = np.sqrt(np.maximum(np.einsum("gkd,gde,gke->gk", by_parameter, posterior, by_parameter), 0.0))
    # an edge that was dropped is known no better than the data allowed at first
    allowed = np.abs(np.stack([by_parameter[:, slot, slot] for slot in range(n_slots)], 1)) * field.standard
    return Precision(tuple(names), posterior, alone, np.where(field.kept.numpy() > 0, spread, allowed))


def _excess(weight: FloatArray, missed: FloatArray, parameters: FloatArray) -> FloatArray:
    """Return (G,) by how much each gene is missed by more than its errors: its chi square over its freedom, or 1.

    A model that is wrong for a gene knows its parameters less well than the errors of measurement alone would say
    (R. T. Birge, Phys. Rev. 40 (1932), 207-227).
    """
    freedom = np.maximum((weight > 0).sum(axis=0) - parameters, 1.0)
    return np.maximum((weight * missed**2).sum(axis=0) / freedom, 1.0)


def kinetics_of(
    field: MechanisticField, rows: Trajectories, precision: Precision, *, doubling_time: float | None
) -> dict[str, Told]:
    """Return estimates by the names of the truth: see `OdeMechanistic`."""
    growth = 0.0 if doubling_time is None else math.log(2.0) / doubling_time
    moved = rows.measured
    found: dict[str, Told] = {}
    with torch.no_grad():
        if field.log_half_life is not None:
            error = _error(precision, "half_life")
            # where noise hides it, the delay by a protein that the model lacks passes for another half-life
            known = moved & (rows.precise or field.log_protein is not None)
            found["half_life"] = _half_life(field.log_half_life, field.step_limit, error, growth, known)
        else:
            found["half_life"] = _untold(len(rows.genes))
        if field.log_protein is not None:
            error = np.full(len(rows.genes), np.inf)
            error[rows.regulators] = _protein_error(field, rows)
            value = torch.zeros(len(rows.genes), dtype=torch.float64)
            value[rows.regulators] = field.log_protein
            found["protein_half_life"] = _half_life(value, field.step_limit, error, growth, moved)
        precise = moved & rows.precise
        if field.form.regulation in SATURATING:
            assert field.logit_activity is not None
            logit = field.logit_activity.numpy()
            found["activity"] = _estimate(_share, logit, _error(precision, "activity"), precise, most=MOST_ERROR)
        else:
            found["basal/activity"] = _basal(field, precision, precise)
    return found


def _slopes(field: MechanisticField, rows: Tensor) -> tuple[list[FloatArray], list[str], list[float]]:
    """Return derivatives (J, I, G) of each gene's equation by its own parameters, their names and prior precisions."""
    slopes: list[FloatArray] = []
    names: list[str] = []
    prior: list[float] = []

    def add(name: str, parameter: Tensor, column: int | None, precision: float, size: float) -> None:
        target = parameter if column is None else parameter[:, column]
        before = target.clone()
        target.copy_(before + size)
        up = field.equations_solved(rows)
        target.copy_(before - size)
        down = field.equations_solved(rows)
        target.copy_(before)
        slopes.append(((up - down) / (2.0 * size)).numpy())
        names.append(name)
        prior.append(precision)

    for slot in range(field.unit.shape[1]):
        add(f"weight {slot}", field.weight_scaled, slot, 0.0, STEP)
    if field.affinity is not None:
        for slot in range(field.unit.shape[1]):
            add(f"affinity {slot}", field.affinity, slot, HALF_RESPONSE[1] ** -2, STEP)
    if field.logit_activity is not None:
        add("activity", field.logit_activity, None, ACTIVITY[1] ** -2, STEP)
    if field.log_half_life is not None:
        add("half_life", field.log_half_life, None, HALF_LIFE[1] ** -2, STEP)
    return slopes, names, prior


def _elasticity_slopes(field: MechanisticField, names: list[str]) -> FloatArray:
    """Return (G, K, D) derivatives of elasticities by the parameters of their gene."""
    n_genes, n_slots = field.unit.shape
    found = np.zeros((n_genes, n_slots, len(names)))
    kept = field.kept.clone()
    field.kept.copy_(field.used)  # what dropped edges would do, too
    columns = {"activity": field.logit_activity}
    for number, name in enumerate(names):
        kind, _, slot = name.partition(" ")
        parameter = {"weight": field.weight_scaled, "affinity": field.affinity}.get(kind, columns.get(kind))
        if parameter is None:
            continue
        target = parameter[:, int(slot)] if slot else parameter
        before = target.clone()
        target.copy_(before + STEP)
        up = field.elasticities()
        target.copy_(before - STEP)
        found[:, :, number] = ((up - field.elasticities()) / (2.0 * STEP)).numpy()
        target.copy_(before)
    field.kept.copy_(kept)
    return found


def _inverse(curvature: FloatArray) -> FloatArray:
    """Return the inverses of (G, D, D), scaled first; a direction of which nothing is known has a large variance."""
    size = np.sqrt(np.maximum(np.diagonal(curvature, axis1=1, axis2=2), 1e-12))
    scaled = curvature / size[:, :, None] / size[:, None, :] + 1e-10 * np.eye(curvature.shape[1])
    return np.linalg.inv(scaled) / size[:, :, None] / size[:, None, :]


def _protein_error(field: MechanisticField, rows: Trajectories) -> FloatArray:
    """Return (R,) standard errors of the log half-lives of proteins, from all equations that they enter."""
    assert field.log_protein is not None
    every = torch.arange(len(rows.label))
    weight = np.where(np.isfinite(rows.error), rows.error**-2.0, 0.0)
    found = np.zeros(field.n_regulators)
    for number in range(field.n_regulators):
        before = field.log_protein[number].clone()
        field.log_protein[number] = before + STEP
        up = field.equations_solved(every)
        field.log_protein[number] = before - STEP
        slope = ((up - field.equations_solved(every)) / (2.0 * STEP)).numpy()
        field.log_protein[number] = before
        found[number] = (weight * slope**2).sum()
    return 1.0 / np.sqrt(np.maximum(found, 1e-300))


def _error(precision: Precision, name: str) -> FloatArray:
    return precision.data[:, precision.names.index(name)]


def _half_life(log_half_life: Tensor, limit: float, error: FloatArray, growth: float, known: NDArray[np.bool_]) -> Told:
    """Return half-lives without dilution; one that dilution alone would explain is not told."""

    def of(log: FloatArray) -> FloatArray:
        rate = math.log(2.0) * np.exp(-log)
        left = rate / (1.0 + rate / limit) - growth
        return np.where(left > 0, math.log(2.0) / np.where(left > 0, left, 1.0), np.inf)

    return _estimate(of, log_half_life.detach().numpy(), error, known, most=MOST_ERROR)


def _share(logit: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def _estimate(
    of: Callable[[FloatArray], FloatArray], at: FloatArray, error: FloatArray, known: NDArray[np.bool_], *, most: float
) -> Told:
    """Return an estimate of a monotone function of normal parameters; one less well known than `most` is not told."""
    value = of(at)
    told = known & (error < most) & np.isfinite(value)
    spread = np.where(told, error, 0.0)
    ends = np.stack([of(at - NORMAL * spread), of(at + NORMAL * spread)])
    return _told(value, ends.min(axis=0), ends.max(axis=0), told)


def _told(value: FloatArray, lower: FloatArray, upper: FloatArray, told: NDArray[np.bool_]) -> Told:
    blank = np.where(told, 0.0, np.nan)
    return Told(value + blank, lower + blank, upper + blank, told, LEVEL)


def _untold(n_genes: int) -> Told:
    nothing = np.full(n_genes, np.nan)
    return Told(nothing, nothing.copy(), nothing.copy(), np.zeros(n_genes, dtype=bool), LEVEL)


def _basal(field: MechanisticField, precision: Precision, known: NDArray[np.bool_]) -> Told:
    """Return the basal term over activity at control; 1 for a gene without inputs."""
    weight = field.weight.detach().clone().requires_grad_(True)
    affinity = torch.zeros_like(field.unit) if field.affinity is None else field.affinity.detach().clone()
    affinity.requires_grad_(True)
    with torch.enable_grad():
        share = basal_share(
            field.form.regulation,
            field.reference[field.source],
            weight=weight * field.used,
            affinity=affinity,
            hill=field.hill.detach(),
        )
        by_weight, by_affinity = torch.autograd.grad(share.sum(), (weight, affinity), allow_unused=True)
    n_slots = field.unit.shape[1]
    slope = np.zeros((field.unit.shape[0], len(precision.names)))
    slope[:, :n_slots] = (by_weight * field.unit).numpy()
    if field.affinity is not None and by_affinity is not None:
        slope[:, n_slots : 2 * n_slots] = by_affinity.numpy()
    variance = np.einsum("gd,gde,ge->g", slope, precision.posterior, slope)
    value, error = share.detach().numpy(), np.sqrt(np.maximum(variance, 0.0))
    told = known & (value > 0) & (error < MOST_ERROR * np.abs(value))
    return _told(value, value - NORMAL * error, value + NORMAL * error, told)
