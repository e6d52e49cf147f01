"""Which inputs each gene may have: all candidates where they are few, else the best of a sparse linear fit.

In: trajectories. Out: a `Layout`, and the inputs with their noise taken down. At rest, with the measured levels as
inputs, every gene is a regression of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.mechanistic.mechanistic_rows import Trajectories
from fitters.network_design import calibrated
from fitters.proximal import fista, largest_curvature

FloatArray = NDArray[np.float64]

STEPS = 200  # of the sparse linear fit
# An edge can be told if an effect of 1 (its weight) would be so many standard errors.
LEAST_INFORMATION = 1.0


@dataclass(frozen=True, eq=False)
class Layout:
    """Which inputs each gene may have: K slots for each of G genes.

    Args:
        source: (G, K) input, a regulator (0..R-1, in the order of `regulators`) or a signal (R..R+S-1).
        used: (G, K) whether the slot is in use.
        unit: (G, K) standard error of a weight that the data allow, by which weights are scaled.
        regulators: (R,) columns.
        reference: (R+S,) level of each input at control.
        inputs: (J, I, R) levels of the regulators with their noise taken down.
        identified: (R, G) whether the data can tell an edge.
    """

    source: NDArray[np.intp]
    used: NDArray[np.bool_]
    unit: FloatArray
    regulators: NDArray[np.intp]
    reference: FloatArray
    inputs: FloatArray
    identified: NDArray[np.bool_]


def layout_of(rows: Trajectories, *, regulation: str, slots: int) -> Layout:
    """Return the layout with at most `slots` inputs for each gene."""
    from fitters.mechanistic.regulation_relative import weight_information

    regulators = rows.regulators
    n_regulators, n_genes = regulators.size, len(rows.genes)
    acting = rows.knocked @ (rows.target[:, None] == np.arange(n_genes)) > 0  # (J, G)
    change = rows.level[:, :, regulators] - 1.0
    error = np.where(np.isfinite(rows.error), rows.error, 0.0)[:, :, regulators]
    flat = (-1, n_regulators)
    known = np.repeat(acting[:, None, regulators], rows.hours.size, axis=1) | rows.control[:, None, None]
    clean, _ = calibrated(change.reshape(flat), error.reshape(flat) ** 2, known=known.reshape(flat))
    inputs = 1.0 + clean.reshape(change.shape)
    reference = np.concatenate([np.ones(n_regulators), rows.media.levels(rows.media.reference)])
    level = np.concatenate([inputs, rows.signal], axis=2)
    precision = np.where(acting[:, None, :], 0.0, rows.error**-2.0)
    information = weight_information(regulation, level, reference, precision)  # (R+S, G)
    own = np.zeros(information.shape, dtype=bool)
    own[:n_regulators] = regulators[:, None] == np.arange(n_genes)
    allowed = (information >= LEAST_INFORMATION) & ~own & rows.measured
    chosen = allowed if reference.size <= slots else _best(rows, level - reference, precision, allowed, slots)
    width = max(1, int(chosen.sum(axis=0).max(initial=0)))
    source = np.argsort(~chosen.T, axis=1, kind="stable")[:, :width]
    used = np.take_along_axis(chosen.T, source, axis=1)
    found = np.take_along_axis(information.T, source, axis=1)
    unit = np.where(used, 1.0 / np.sqrt(np.where(used, found, 1.0)), 0.0)
    return Layout(source, used, unit, regulators, reference, inputs, allowed[:n_regulators])


def _best(
    rows: Trajectories, change: FloatArray, precision: FloatArray, allowed: NDArray[np.bool_], slots: int
) -> NDArray[np.bool_]:
    """Return (R+S, G) the `slots` inputs of each gene with the largest coefficients of a lasso, then correlations."""
    n_genes = precision.shape[2]
    z = change.reshape(-1, change.shape[2])
    weight = precision.reshape(-1, n_genes)
    y = np.where(weight > 0, rows.level.reshape(-1, n_genes) - 1.0, 0.0)
    size = np.sqrt((z**2).T @ weight)  # (R+S, G): coefficients times this are in standard errors
    scale = np.where(allowed & (size > 0), size, np.inf)

    def hessian(b: FloatArray) -> FloatArray:
        return np.asarray((z.T @ (weight * (z @ (b / scale)))) / scale)

    target = (z.T @ (weight * y)) / scale
    found = fista(
        lambda b: hessian(b) - target,
        np.zeros_like(size),
        penalty=np.where(np.isfinite(scale), np.sqrt(2.0 * np.log(max(size.shape[0], 2))), np.inf),
        curvature=largest_curvature(hessian, size.shape),
        epochs=STEPS,
    )
    # those with coefficients come first; what is left over goes to the nearest to having one
    rest = np.abs(target - hessian(found))
    rank = np.where(allowed, np.where(found != 0, 1e12 + np.abs(found), rest), -1.0)
    order = np.argsort(-rank, axis=0, kind="stable")[:slots]
    chosen = np.zeros_like(allowed)
    np.put_along_axis(chosen, order, True, axis=0)
    return chosen & allowed
