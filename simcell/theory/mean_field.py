"""The reactions of a cell model as rate equations: drift, Jacobian, noise and fixed points.

In: a `CellModel`, and what a guide and a medium change. Out: functions of x, the amounts in a cell of size 1: promoter
states (telegraph), unspliced transcripts (splicing), mRNA, protein, one after another. Written from the model's
parameters alone, apart from every engine and kernel, which are held to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import root

from simcell.cell import CellModel
from simcell.errors import SimcellError, SpecError

Array = NDArray[np.float64]
# Amounts of a gene, in the order in which they stand.
KINDS = ("promoter", "unspliced", "mrna", "protein")
# A slope by the logarithm of a level is 0 at level 0; one by the level needs a little of it.
LEAST_LEVEL = 1e-9


@dataclass(frozen=True, eq=False)
class MeanField:
    """The rate equations of some genes; make it with `mean_field`. n variables, G genes, R regulators, S signals.

    Attributes:
        model: the cell model. genes: (g,) the genes whose amounts are variables, all regulators among them.
        transcription: (G,) factor of transcription. translation: (R,) factor of translation. signals: (S,) levels.
        kind: (n,) `promoter`, `unspliced`, `mrna` or `protein`. gene: (n,) index of the gene of each variable.
    """

    model: CellModel
    genes: NDArray[np.int64]
    transcription: Array
    translation: Array
    signals: Array
    kind: NDArray[np.str_]
    gene: NDArray[np.int64]

    @property
    def n_variables(self) -> int:
        """Number of variables, n."""
        return self.kind.size

    def at(self, kind: str) -> slice:
        """Return where the variables of one kind stand; empty where the model has none."""
        return self._place[kind]

    @cached_property
    def _place(self) -> dict[str, slice]:
        ends = np.cumsum([np.sum(self.kind == kind) for kind in KINDS]).tolist()
        return {kind: slice(begin, end) for kind, begin, end in zip(KINDS, [0, *ends[:-1]], ends, strict=True)}

    @property
    def unspliced_loss(self) -> Array:
        """(g,) rate of loss of unspliced transcripts by dilution, per hour; 0 where cells divide."""
        return np.full(self.genes.size, 0.0 if self.model.division else self.model.growth)

    @property
    def mrna_loss(self) -> Array:
        """(g,) rate of loss of mRNA, per hour; without dilution where cells divide."""
        return (self.model.degradation if self.model.division else self.model.decay)[self.genes]

    @property
    def protein_loss(self) -> Array:
        """(R,) rate of loss of protein, per hour; without dilution where cells divide."""
        return self.model.protein_degradation if self.model.division else self.model.protein_decay

    @cached_property
    def _own(self) -> NDArray[np.intp]:
        """(R,) position of each regulator among `genes`."""
        return np.searchsorted(self.genes, self.model.network.regulators)

    def activity(self, levels: Array) -> Array:
        """Return the activity (g,) of promoters at levels (R,) of the regulators."""
        model = self.model
        inputs = np.concatenate([np.maximum(levels, 0.0), self.signals])
        return model.regulation.activity(model.basal, model.strength, model.edges, inputs)[self.genes]

    def gain(self, levels: Array) -> Array:
        """Return the derivative (g, R) of activities by levels (R,)."""
        model, n_regulators = self.model, self.model.network.n_regulators
        inputs = np.concatenate([np.maximum(levels, LEAST_LEVEL), self.signals])
        slope = model.regulation.slope(model.basal, model.strength, model.edges, inputs)
        kept = model.edges.source < n_regulators
        source, target = model.edges.source[kept], model.edges.target[kept]
        out = np.zeros((model.network.n_genes, n_regulators))
        out[target, source] = slope[kept] / inputs[source]
        return out[self.genes]

    def _parts(self, x: Array) -> tuple[Array | None, Array | None, Array, Array, Array]:
        """Return promoter states, unspliced, mRNA, levels of protein and transcripts made per hour, at x."""
        promoter = x[self.at("promoter")] if self.model.promoter == "telegraph" else None
        unspliced = x[self.at("unspliced")] if self.model.splicing_half_life is not None else None
        levels = x[self.at("protein")] / self.model.protein_mean
        active = self.activity(levels) if promoter is None else promoter
        made = (self.model.max_rate * self.transcription)[self.genes] * active
        return promoter, unspliced, x[self.at("mrna")], levels, made

    def drift(self, x: Array) -> Array:
        """Return dx/dt (n,), molecules per hour, at amounts x (n,)."""
        model = self.model
        promoter, unspliced, mrna, levels, made = self._parts(x)
        out = np.empty(self.n_variables)
        if promoter is not None:
            out[self.at("promoter")] = model.switching_rate[self.genes] * (self.activity(levels) - promoter)
        if unspliced is not None:
            spliced = model.splicing_rate[self.genes] * unspliced
            out[self.at("unspliced")] = made - spliced - self.unspliced_loss * unspliced
            made = spliced
        out[self.at("mrna")] = made - self.mrna_loss * mrna
        translated = model.translation_rate * self.translation * mrna[self._own]
        out[self.at("protein")] = translated - self.protein_loss * x[self.at("protein")]
        return out

    def jacobian(self, x: Array) -> Array:
        """Return the derivative (n, n) of `drift` at x (n,), per hour."""
        model, n_genes = self.model, self.genes.size
        promoter, unspliced, _, levels, _ = self._parts(x)
        out = np.zeros((self.n_variables, self.n_variables))
        blocks = {kind: out[self.at(kind)] for kind in KINDS}
        diagonal = np.arange(n_genes)
        by_protein = self.gain(levels) / model.protein_mean
        produced = (model.max_rate * self.transcription)[self.genes]
        made = blocks["mrna"] if unspliced is None else blocks["unspliced"]
        if promoter is None:
            made[:, self.at("protein")] = produced[:, None] * by_protein
        else:
            switching = model.switching_rate[self.genes]
            blocks["promoter"][:, self.at("protein")] = switching[:, None] * by_protein
            blocks["promoter"][:, self.at("promoter")][diagonal, diagonal] = -switching
            made[:, self.at("promoter")][diagonal, diagonal] = produced
        if unspliced is not None:
            spliced = model.splicing_rate[self.genes]
            made[:, self.at("unspliced")][diagonal, diagonal] = -spliced - self.unspliced_loss
            blocks["mrna"][:, self.at("unspliced")][diagonal, diagonal] = spliced
        blocks["mrna"][:, self.at("mrna")][diagonal, diagonal] = -self.mrna_loss
        protein = np.arange(self._own.size)
        blocks["protein"][:, self.at("mrna")][protein, self._own] = model.translation_rate * self.translation
        blocks["protein"][:, self.at("protein")][protein, protein] = -self.protein_loss
        return out

    def diffusion(self, x: Array, *, intensities: bool = False) -> tuple[Array, Array]:
        """Return the noise (n, n) of molecules, and that of promoter states, at x (n,); per hour.

        The sum over reactions of rate times change times change'. A geometric burst (from 0) of mean b has mean square
        b + 2 b^2, one of the intensity 2 b^2.

        Args:
            x: amounts. intensities: of the engine langevin, which has the noise of bursts, and of protein as much white
                noise as an unregulated one lacks of its variance, Paulsson's 1/n + (1/m) gamma/(gamma + delta).
        """
        model = self.model
        promoter, unspliced, mrna, levels, made = self._parts(x)
        burst = model.burst_size[self.genes] if model.promoter == "bursty" else np.zeros(self.genes.size)
        molecules = np.zeros((self.n_variables, self.n_variables))
        switching = np.zeros_like(molecules)
        first = self.at("mrna" if unspliced is None else "unspliced")
        single = 0.0 if intensities else 1.0
        _diagonal(molecules, first, made * (single + 2.0 * burst))
        if intensities:
            gamma = model.protein_decay
            averaged = gamma / (gamma + model.decay[model.network.regulators])
            missing = 1.0 / model.protein_mean + averaged / model.mean[model.network.regulators]
            _diagonal(molecules, self.at("protein"), 2.0 * gamma * missing * model.protein_mean * x[self.at("protein")])
        else:
            if unspliced is not None:
                spliced = model.splicing_rate[self.genes] * unspliced
                _diagonal(molecules, first, spliced + self.unspliced_loss * unspliced)
                _diagonal(molecules, self.at("mrna"), spliced)
                rows, columns = np.arange(first.start, first.stop), np.arange(x.size)[self.at("mrna")]
                molecules[rows, columns] = molecules[columns, rows] = -spliced
            _diagonal(molecules, self.at("mrna"), self.mrna_loss * mrna)
            translated = model.translation_rate * self.translation * mrna[self._own]
            _diagonal(molecules, self.at("protein"), translated + self.protein_loss * x[self.at("protein")])
        if promoter is not None:
            active, rate = self.activity(levels), model.switching_rate[self.genes]
            _diagonal(switching, self.at("promoter"), rate * (active * (1.0 - promoter) + (1.0 - active) * promoter))
        return molecules, switching

    def amounts(self, levels: Array) -> Array:
        """Return x (n,) of a cell whose promoters, transcripts and mRNA have settled at levels (R,) of protein."""
        active = self.activity(levels)
        parts = {"promoter": active} if self.model.promoter == "telegraph" else {}
        made = (self.model.max_rate * self.transcription)[self.genes] * active
        if self.model.splicing_half_life is not None:
            spliced = self.model.splicing_rate[self.genes]
            parts["unspliced"] = made / (spliced + self.unspliced_loss)
            made = parts["unspliced"] * spliced
        parts["mrna"] = made / self.mrna_loss
        parts["protein"] = np.asarray(levels) * self.model.protein_mean
        out = np.empty(self.n_variables)
        for kind, values in parts.items():
            out[self.at(kind)] = values
        return out

    def settled_levels(self, levels: Array) -> Array:
        """Return the levels (R,) to which proteins tend while their own levels, as promoters see them, are held."""
        translated = self.model.translation_rate * self.translation * self.amounts(levels)[self.at("mrna")][self._own]
        return translated / self.protein_loss / self.model.protein_mean

    def fixed_point(self, start: ArrayLike = 1.0) -> Array:
        """Return a fixed point x (n,), sought from levels `start` (R,) or one number.

        Raises:
            SimcellError: if none is found from there.
        """
        n_regulators = self.model.network.n_regulators
        levels = np.broadcast_to(np.asarray(start, dtype=np.float64), (n_regulators,))

        def excess(logarithm: Array) -> Array:
            return np.log(np.maximum(self.settled_levels(np.exp(logarithm)), 1e-12)) - logarithm

        logarithm = np.log(np.maximum(levels, 1e-12))
        if np.abs(excess(logarithm)).max() > 1e-12:  # the wild type is one already
            logarithm = root(excess, logarithm, method="hybr", tol=1e-13).x
        if np.abs(excess(logarithm)).max() > 1e-8:
            raise SimcellError(f"no fixed point was found from levels {levels.tolist()}")
        return self.amounts(np.exp(logarithm))


def mean_field(
    model: CellModel,
    *,
    genes: ArrayLike | None = None,
    transcription: ArrayLike = 1.0,
    translation: ArrayLike = 1.0,
    medium: Mapping[str, float] | None = None,
) -> MeanField:
    """Return the rate equations of a cell model.

    Args:
        genes: indices of the genes to follow, all regulators among them; None: all genes.
        transcription: (G,) or one number, a guide's factor of transcription.
        translation: (R,) or one number, a guide's factor of translation.
        medium: levels of signals; None is the medium of the wild type.

    Raises:
        SpecError: for genes without some regulator, and a medium with an unknown signal.
    """
    n_genes, n_regulators = model.network.n_genes, model.network.n_regulators
    followed = np.arange(n_genes) if genes is None else np.unique(np.asarray(genes, dtype=np.int64))
    if not np.isin(model.network.regulators, followed).all():
        raise SpecError("genes", followed.tolist(), "all regulators and possibly more")
    sizes = {
        "promoter": followed if model.promoter == "telegraph" else followed[:0],
        "unspliced": followed if model.splicing_half_life is not None else followed[:0],
        "mrna": followed,
        "protein": model.network.regulators.astype(np.int64),
    }
    return MeanField(
        model=model,
        genes=followed,
        transcription=np.array(np.broadcast_to(np.asarray(transcription, dtype=np.float64), (n_genes,))),
        translation=np.array(np.broadcast_to(np.asarray(translation, dtype=np.float64), (n_regulators,))),
        signals=model.signal_levels(medium),
        kind=np.concatenate([np.full(which.size, kind) for kind, which in sizes.items()]),
        gene=np.concatenate(list(sizes.values())),
    )


def _diagonal(matrix: Array, where: slice, values: Array) -> None:
    """Add values to the diagonal of a block."""
    rows = np.arange(matrix.shape[0])[where]
    matrix[rows, rows] += values
