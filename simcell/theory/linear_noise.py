"""The linear noise approximation: stationary and time-lagged covariance of any network, all layers together.

In: a `CellModel`. Out: `LinearNoise`. Exact where rates are linear in amounts (genes that nothing regulates; linear
regulation whose activity stays above 0); elsewhere the leading order for many molecules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm, solve_continuous_lyapunov

from simcell.cell import CellModel
from simcell.errors import SpecError
from simcell.theory.mean_field import mean_field

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearNoise:
    """Mean and covariance of the n amounts of a cell, molecules; make it with `linear_noise`.

    Attributes:
        kind: (n,) `promoter`, `unspliced`, `mrna` or `protein`. gene: (n,) index of the gene.
        mean: (n,) the fixed point, in a cell of size 1. jacobian: (n, n) of the rate equations there, per hour.
        molecular: (n, n) covariance that the noise of single molecules and bursts makes, in a cell of size 1.
        switching: (n, n) covariance that promoters make which go on and off; 0 unless they are telegraphs.
        size_sigma: standard deviation of the log size of cells.
    """

    kind: NDArray[np.str_]
    gene: NDArray[np.int64]
    mean: Array
    jacobian: Array
    molecular: Array
    switching: Array
    size_sigma: float

    @property
    def covariance(self) -> Array:
        """(n, n) stationary covariance in cells of size 1."""
        return self.molecular + self.switching

    @property
    def population(self) -> Array:
        """(n, n) stationary covariance over cells whose sizes differ, see `over_sizes`."""
        return self.over_sizes(self.molecular, self.switching)

    def lagged(self, hours: float, *, population: bool = False) -> Array:
        """Return Cov(x(t + hours), x(t)), (n, n): rows are the later amounts; over cells of all sizes, or of size 1."""
        left = expm(self.jacobian * hours)
        if population:
            return self.over_sizes(left @ self.molecular, left @ self.switching)
        return left @ self.covariance

    def over_sizes(self, molecular: Array, switching: Array) -> Array:
        """Return a covariance (n, n) over cells of lognormal size s, of mean 1, from its two parts in cells of size 1.

        Amounts scale with s, promoters stay two-state, and the noise of molecules falls with 1/s relative to the
        amounts: s C_molecular + s^2 C_switching + m m' Var s for amounts, by total covariance.

        Source: Hilfinger & Paulsson, Proc. Natl. Acad. Sci. 108 (2011), doi:10.1073/pnas.1018832108.
        """
        square = math.exp(self.size_sigma**2)  # E s^2, and also E 1/s, of a lognormal of mean 1
        promoter = self.kind == "promoter"
        both, mixed = np.outer(promoter, promoter), np.not_equal.outer(promoter, promoter)
        scale_molecular = np.where(both, square, 1.0)
        scale_switching = np.where(both | mixed, 1.0, square)
        amount = np.where(promoter, 0.0, self.mean)
        return scale_molecular * molecular + scale_switching * switching + (square - 1.0) * np.outer(amount, amount)

    def index(self, kind: str, genes: ArrayLike | None = None) -> NDArray[np.intp]:
        """Return where the amounts of one kind stand, of all genes that have it or of some, in their order."""
        found = np.flatnonzero(self.kind == kind)
        if genes is None:
            return found
        position = {int(gene): int(at) for gene, at in zip(self.gene[found], found, strict=True)}
        wanted = [int(gene) for gene in np.atleast_1d(np.asarray(genes))]
        for gene in wanted:
            if gene not in position:
                raise SpecError("genes", gene, f"a gene with an amount of kind {kind!r} here")
        return np.array([position[gene] for gene in wanted], dtype=np.intp)


def linear_noise(
    model: CellModel,
    *,
    intensities: bool = False,
    genes: ArrayLike | None = None,
    transcription: ArrayLike = 1.0,
    translation: ArrayLike = 1.0,
    medium: Mapping[str, float] | None = None,
) -> LinearNoise:
    """Return the linear noise approximation at the fixed point that the wild type reaches.

    A C + C A' + D = 0, with A the Jacobian and D the noise per hour. Dense: about half a minute for 2,500 amounts.

    Args:
        intensities: of the engine langevin, where intensities drive proteins, in place of all molecules of the
            reactions. Counts that are drawn from intensities have their means more on the diagonal.
        genes, transcription, translation, medium: as in `mean_field`; constant in time.

    Raises:
        SpecError: where cells divide (`division.py` has that), for telegraph promoters with `intensities`, and where
            the fixed point is not stable.

    Source: van Kampen, Stochastic Processes in Physics and Chemistry, chapter X; Elf & Ehrenberg, Genome Res. 13
    (2003), doi:10.1101/gr.1196503.
    """
    if model.division:
        raise SpecError("cell.division", True, "allowed here: amounts of cells that divide are not stationary")
    if intensities and model.promoter == "telegraph":
        raise SpecError("cell.promoter", model.promoter, "'bursty' or 'poisson', of which alone there are intensities")
    field = mean_field(model, genes=genes, transcription=transcription, translation=translation, medium=medium)
    x = field.fixed_point()
    jacobian = field.jacobian(x)
    # genes that regulate nothing only follow, each at its own negative rates
    core = np.flatnonzero(np.isin(field.gene, model.network.regulators))
    abscissa = float(np.linalg.eigvals(jacobian[np.ix_(core, core)]).real.max())
    if abscissa >= 0.0:
        raise SpecError("cell", f"with a fixed point that grows at {abscissa:.3g} per hour", "stable, as it must be")
    molecular, switching = field.diffusion(x, intensities=intensities)
    return LinearNoise(
        kind=field.kind,
        gene=field.gene,
        mean=x,
        jacobian=jacobian,
        molecular=_lyapunov(jacobian, molecular),
        switching=_lyapunov(jacobian, switching),
        size_sigma=model.size_sigma,
    )


def linear_covariance(model: CellModel) -> Array:
    """Return the stationary covariance (2R, 2R) of the regulators' mRNA intensity over its mean, then protein levels.

    What `linear_noise` has of the engine langevin, for regulators alone and relative to the wild type.
    """
    noise = linear_noise(model, intensities=True, genes=model.network.regulators)
    kept = np.concatenate([noise.index("mrna"), noise.index("protein")])
    scale = np.concatenate([model.mean[model.network.regulators], model.protein_mean])
    return noise.covariance[np.ix_(kept, kept)] / np.outer(scale, scale)


def _lyapunov(jacobian: Array, diffusion: Array) -> Array:
    if not diffusion.any():
        return np.zeros_like(diffusion)
    covariance = solve_continuous_lyapunov(jacobian, -diffusion)
    return 0.5 * (covariance + covariance.T)
