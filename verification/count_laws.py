"""Exact laws of the transcripts of one unregulated gene at one time, from their generating function.

In: when transcripts were made, with which chance they are still there, how large bursts are. Out: a law with `pmf` and
`cdf`, for unspliced transcripts or mRNA, in transients, with division and with size factors.

Transcripts that are made at different times do not know of each other. Bursts at rate(u) with the generating function B
of their sizes, each molecule of which is there at age a with chance S(a), give (a marked Poisson process)

    log E z^n = integral over ages of rate(t - a) [B(1 - (1 - z) S(a)) - 1] da,

B(z) = 1/(1 + b (1 - z)) for geometric bursts from 0 of mean b, B(z) = z for single transcripts. Counts of dividing
cells, whose phase differs, and of cells of different size are mixtures: their generating functions are averaged. The
chances are read off the unit circle by a Fourier transform.

Source: the shot-noise representation, e.g. Jahnke & Huisinga, J. Math. Biol. 54 (2007), for birth and death.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import roots_jacobi
from scipy.stats import poisson

from verification.moments import Gene

Array = NDArray[np.float64]
NODES = 60  # of Gauss-Legendre in each piece
LIFETIMES = 45.0
SMOOTH = 3.0  # lifetimes of a piece


@dataclass(frozen=True, eq=False)
class CountLaw:
    """A law on 0, 1, ..., K-1."""

    chances: Array

    def pmf(self, counts: ArrayLike) -> Array:
        """Return the chance of each count."""
        counts = np.asarray(counts)
        inside = (counts >= 0) & (counts < self.chances.size)
        return np.where(inside, self.chances[np.clip(counts, 0, self.chances.size - 1)], 0.0)

    def cdf(self, counts: ArrayLike) -> Array:
        """Return the chance of at most each count."""
        counts = np.asarray(counts)
        reached = np.cumsum(self.chances)
        return np.where(counts >= 0, reached[np.clip(counts, 0, reached.size - 1)], 0.0)


def mrna_left(gene: Gene) -> Callable[[Array], Array]:
    """Return the chance that a transcript of an age is mRNA, spliced where there is splicing."""
    if not gene.spliced:
        return lambda age: np.exp(-gene.decay * age)
    leaving = gene.splicing + gene.growth
    gain = gene.splicing / (leaving - gene.decay)
    return lambda age: gain * (np.exp(-gene.decay * age) - np.exp(-leaving * age))


def unspliced_left(gene: Gene) -> Callable[[Array], Array]:
    """Return the chance that a transcript of an age is still unspliced."""
    return lambda age: np.exp(-(gene.splicing + gene.growth) * age)


def count_law(
    gene: Gene,
    *,
    largest: int,
    left: Callable[[Array], Array] | None = None,
    transcription: Callable[[Array], Array] | None = None,
    breaks: Sequence[float] = (),
    oldest: float | None = None,
    sizes: tuple[Array, Array] | None = None,
) -> CountLaw:
    """Return the law of the transcripts of a gene.

    Args:
        largest: count above which hardly anything is.
        left: chance to be counted by age; mRNA by default.
        transcription: factor of the rate by age (hours before now); 1 by default. breaks: ages where it jumps.
        oldest: age of the oldest transcripts, of cells that began without any.
        sizes: factors of the rate and their chances, of cells that differ in size.
    """
    return invert(
        lambda missing: _mixed(_exponent(gene, missing, left or mrna_left(gene), transcription, breaks, oldest), sizes),
        largest,
    )


def dividing_law(gene: Gene, doubling_time: float, *, largest: int, phases: int = 200) -> CountLaw:
    """Return the law of mRNA in dividing cells of uniform phase; every molecule stays with chance 1/2 at a division."""

    def mixture(missing: NDArray[np.complex128]) -> NDArray[np.complex128]:
        total = np.zeros_like(missing)
        for phase in (np.arange(phases) + 0.5) / phases * doubling_time:

            def left(age: Array, phase: float = phase) -> Array:
                return np.exp(-gene.decay * age) * 0.5 ** np.ceil((age - phase) / doubling_time).clip(min=0.0)

            last = LIFETIMES / (gene.decay + np.log(2.0) / doubling_time)
            divisions = phase + doubling_time * np.arange(int(last / doubling_time) + 1)
            total += np.exp(_exponent(gene, missing, left, None, divisions.tolist(), last)) / phases
        return total

    return invert(mixture, largest)


def lognormal_sizes(sigma: float, *, nodes: int = 60) -> tuple[Array, Array]:
    """Return size factors of mean 1 and their chances, by Gauss-Hermite quadrature."""
    x, weight = np.polynomial.hermite_e.hermegauss(nodes)
    return np.exp(sigma * x - 0.5 * sigma**2), weight / weight.sum()


def invert(generating: Callable[[NDArray[np.complex128]], NDArray[np.complex128]], largest: int) -> CountLaw:
    """Return the law of a generating function of (1 - z) on the unit circle; hardly anything is above `largest`."""
    size = 1 << max(int(np.ceil(np.log2(largest + 1))), 6)
    circle = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    chances = np.fft.irfft(generating(1.0 - circle), size)
    return CountLaw(np.maximum(chances, 0.0))


def telegraph_law(gene: Gene, *, largest: int, nodes: int = 200) -> CountLaw:
    """Return the stationary law of mRNA under a telegraph promoter: Poisson, its mean v/decay times a Beta variable.

    Source: Peccoud & Ycart, Theor. Popul. Biol. 48 (1995); the Beta law is that of the promoter's recent history.
    """
    on, off = (gene.switching / gene.decay * share for share in (gene.activity, 1.0 - gene.activity))
    x, weight = roots_jacobi(nodes, off - 1.0, on - 1.0)
    means = gene.rate / gene.activity / gene.decay * (1.0 + x) / 2.0
    chances = poisson.pmf(np.arange(largest + 1)[:, None], means) @ (weight / weight.sum())
    return CountLaw(np.asarray(chances))


def _mixed(exponent: NDArray[np.complex128], sizes: tuple[Array, Array] | None) -> NDArray[np.complex128]:
    if sizes is None:
        return np.asarray(np.exp(exponent))
    return np.asarray(sum(chance * np.exp(size * exponent) for size, chance in zip(*sizes, strict=True)))


def _exponent(
    gene: Gene,
    missing: NDArray[np.complex128],
    left: Callable[[Array], Array],
    transcription: Callable[[Array], Array] | None,
    breaks: Sequence[float],
    oldest: float | None,
) -> NDArray[np.complex128]:
    """Return the logarithm (Z,) of the generating function at z = 1 - missing."""
    slowest = gene.decay if not gene.spliced else min(gene.decay, gene.splicing + gene.growth)
    last = LIFETIMES / slowest if oldest is None else oldest
    inner = np.arange(0.0, last, SMOOTH / slowest)
    cuts = np.unique(np.concatenate([inner, [each for each in breaks if 0.0 < each < last], [last]]))
    x, weight = np.polynomial.legendre.leggauss(NODES)
    middle, half = (cuts[1:] + cuts[:-1]) / 2.0, (cuts[1:] - cuts[:-1]) / 2.0
    age, weight = (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * weight).ravel()
    rate = gene.rate * (np.ones_like(age) if transcription is None else transcription(age)) * weight
    seen = missing[:, None] * left(age)
    if gene.promoter == "poisson":
        return np.asarray(-seen @ rate)
    # rate / b bursts an hour, and 1/(1 + b x) - 1 = -b x/(1 + b x)
    return np.asarray(-(seen / (1.0 + gene.burst * seen)) @ rate)
