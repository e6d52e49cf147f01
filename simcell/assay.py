"""The measurement operator: mRNA molecules of a batch's cells in, UMI counts out, layer by layer.

Order: molecules in the cell -> size factor of the cell and efficiency of the gene in the batch -> binomial capture.
Each layer's truth is kept. Every draw is keyed by what it belongs to: a cell, or a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from simcell.kernels.counts import draw_captured
from simcell.kernels.streams import fill_uniforms
from simcell.random import Purpose, kernel_key, stream
from simcell.spec.measurement import AssaySpec


@dataclass(frozen=True, eq=False)
class Assay:
    """A measurement with its own batches.

    Attributes:
        spec: numbers of cells and batches, capture, spreads.
        efficiency: (B, G) capture of each gene in each batch over the mean capture; lognormal of mean 1.
        seed, replicate: of the cells' own draws; the batches are those of the seed alone, so that a replicate is a
            second sample of cells from the same batches.
    """

    spec: AssaySpec
    efficiency: NDArray[np.float64]
    seed: int
    replicate: int = 0

    @property
    def n_cells(self) -> int:
        """Number of cells in all batches."""
        return self.spec.batches * self.spec.cells_per_batch

    def batch_of(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the batch (N,) of each cell: the first `cells_per_batch` cells are batch 0, and so on."""
        return cells // self.spec.cells_per_batch

    def size_factor(self, cells: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the size factors (N,) of cells: lognormal of mean 1."""
        uniform = np.empty((cells.size, 2))
        fill_uniforms(uniform, kernel_key(self.seed, Purpose.SIZE_FACTOR, self.replicate), cells, 0)
        sigma = self.spec.size_factor_sigma
        return np.exp(sigma * ndtri(uniform[:, 0]) - 0.5 * sigma**2)

    @property
    def molecules_key(self) -> NDArray[np.uint32]:
        """The key (2,) of the streams that draw molecules, for engines that do not count them."""
        return kernel_key(self.seed, Purpose.MOLECULES, self.replicate)

    def measure(self, molecules: NDArray[np.int32], cells: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return UMI counts (N, G) of cells (N,) that have these molecules (N, G) of mRNA."""
        counts = np.empty(molecules.shape, np.int32)
        draw_captured(
            molecules,
            self.spec.capture * self.size_factor(cells),
            self.efficiency,
            self.batch_of(cells),
            kernel_key(self.seed, Purpose.CAPTURE, self.replicate),
            cells,
            counts,
        )
        return counts

    def through(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what ever more cells would show of mean expression (..., G): times the mean capture over all batches.

        The capture of a cell is min(1, a S) with a = capture * efficiency and a lognormal size factor S of mean 1, so
        its mean is a Phi(z - sigma) + Phi(-z), z = (sigma^2/2 - ln a)/sigma.
        """
        chance, sigma = self.spec.capture * self.efficiency, self.spec.size_factor_sigma
        if sigma == 0.0:
            return mean * np.minimum(chance, 1.0).mean(axis=0)
        z = (0.5 * sigma**2 - np.log(chance)) / sigma
        return mean * (chance * ndtr(z - sigma) + ndtr(-z)).mean(axis=0)


def draw_assay(spec: AssaySpec, *, n_genes: int, seed: int, replicate: int = 0) -> Assay:
    """Return an assay whose batch effects are drawn by seed."""
    sigma = spec.batch_sigma
    noise = [stream(seed, Purpose.BATCH, batch).standard_normal(n_genes) for batch in range(spec.batches)]
    return Assay(spec, np.exp(sigma * np.array(noise) - 0.5 * sigma**2), seed, replicate)
