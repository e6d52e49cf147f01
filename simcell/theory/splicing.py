"""Unspliced and spliced transcripts of a gene that nothing regulates: moments and the law of the spliced ones, exact.

Transcripts are begun at a constant rate, singly or in geometric bursts of mean b; unspliced ones are spliced at rate
kappa and lost at rate g (dilution by growth), spliced ones are lost at rate delta.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import roots_legendre

from simcell.theory.laws import CountLaw, invert_generating_function

Array = NDArray[np.float64]


def splicing_moments(
    *,
    production: ArrayLike,
    splicing_rate: ArrayLike,
    decay: ArrayLike,
    growth: ArrayLike = 0.0,
    burst: ArrayLike = 0.0,
    intensities: bool = False,
) -> tuple[Array, Array]:
    """Return mean (..., 2) and covariance (..., 2, 2) of stationary unspliced and spliced transcripts, molecules.

    Given their intensities the two are independent Poisson; the intensity of unspliced ones is shot noise of
    autocovariance b u e^(-(kappa + g) t), which that of the spliced filters.

    Args:
        production: transcripts per hour. splicing_rate: kappa. decay: delta of spliced ones. growth: g. All per hour.
        burst: mean transcripts of a burst; 0 where they are begun singly.
        intensities: of the intensities in place of the molecules.

    Source: Gorin & Pachter, Biophys. J. 121 (2022), doi:10.1016/j.bpj.2022.02.004.
    """
    kappa, burst, decay = (np.asarray(x, dtype=np.float64) for x in (splicing_rate, burst, decay))
    lost = kappa + np.asarray(growth)
    unspliced = np.asarray(production) / lost
    spliced = kappa * unspliced / decay
    between = kappa * burst * unspliced / (lost + decay)
    molecules = 0.0 if intensities else 1.0
    first = unspliced * (molecules + burst)
    second = molecules * spliced + kappa / decay * between
    entries = np.broadcast_arrays(first, between, between, second)
    covariance = np.stack(entries, axis=-1).reshape(*np.shape(entries[0]), 2, 2)
    return np.stack(np.broadcast_arrays(unspliced, spliced), axis=-1), covariance


def spliced_count_law(
    *, production: float, splicing_rate: float, decay: float, burst: float, growth: float = 0.0
) -> CountLaw:
    """Return the law of stationary spliced counts, which is not negative binomial where splicing takes its time.

    log E (1 - z)^S = -(production/b) integral over t > 0 of b h/(1 + b h), where h(t) z is the chance that a transcript
    begun t ago is now spliced. The integral is done piece by piece over 60 lifetimes of the slower stage. Arguments as
    in `splicing_moments`.

    Source: Gorin & Pachter (2022).
    """
    lost = splicing_rate + growth
    slow, fast = min(lost, decay), max(lost, decay)
    edges = np.concatenate([[0.0], np.geomspace(1e-3 / fast, 60.0 / slow, 60)])
    node, weight = roots_legendre(16)
    half = np.diff(edges)[:, None] / 2.0
    time = (edges[:-1, None] + half * (1.0 + node)).ravel()
    weights = (half * weight).ravel()
    gap = lost - decay
    # (e^(-delta t) - e^(-lost t))/(lost - delta), where the two may be equal
    ratio = time if abs(gap) < 1e-9 * lost else -np.expm1(-gap * time) / gap
    spliced = splicing_rate * np.exp(-decay * time) * ratio

    def function(w: NDArray[np.complex128]) -> NDArray:
        out = np.empty(w.size, complex)
        for begin in range(0, w.size, 1024):  # a bounded piece of memory
            z = (1.0 - w[begin : begin + 1024])[:, None] * spliced
            out[begin : begin + 1024] = np.exp(-production * ((z / (1.0 + burst * z)) @ weights))
        return out

    mean, covariance = splicing_moments(
        production=production, splicing_rate=splicing_rate, decay=decay, growth=growth, burst=burst
    )
    return invert_generating_function(function, scale=mean[1] + 12.0 * np.sqrt(covariance[1, 1]) + 20.0 * burst)
