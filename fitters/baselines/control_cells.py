"""`control-cells` and `scaled-control-cells`: measured control cells stand for cells of any perturbation.

In: training data. Out: samples of control cells, as they are or with each gene scaled as the mean perturbation scales
it, and their mean profiles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fitters.cell_hashes import cell_hashes
from fitters.checks import Scope, check_query
from fitters.contract import Assumption, Claim, Prediction, Query
from fitters.errors import FitterError
from fitters.name_keys import keyed_generator
from fitters.results import EdgeScores, KineticsEstimate, LossHistory
from fitters.training_data import TrainingData
from simcell.labels import CONTROL
from simcell.profiles import SCALE, log_profile

if TYPE_CHECKING:  # scipy is imported where it is used, so that listing the fitters stays quick
    from scipy.sparse import csr_array

_CONTEXT = ("batch", "time", "medium", "arm")
_CLAIMS = frozenset(
    {
        Claim.MEAN,
        Claim.DISTRIBUTION,
        Claim.UNSEEN_GENE,
        Claim.COMBINATION,
        Claim.BATCH,
        Claim.TIME,
        Claim.MEDIUM,
        Claim.ARM,
    }
)


@dataclass(frozen=True)
class ControlCells:
    """Cells of a perturbation are control cells, unchanged.

    Equation: a sample is drawn from the (N0, G) counts of the training controls, each cell as often as any other and
    none again before all have been drawn; the mean profile is that of their pool. Asked for a batch, time, medium or
    arm it takes the controls of that context; where there are none, all of them.

    Source: the "no change" baseline of Ahlmann-Eltze, Huber & Anders (2025), for cells instead of means. It has the
    noise, the library sizes and the correlations of measured cells and nothing of the perturbation: what a model of
    distributions is to be compared with.
    """

    name = "control-cells"
    family = "baseline"
    claims = _CLAIMS
    assumptions = frozenset({Assumption.NO_EFFECT})
    source = "no change of Ahlmann-Eltze, Huber & Anders (2025), Nature Methods, doi:10.1038/s41592-025-02772-6"

    def fit(self, data: TrainingData, *, seed: int) -> ControlCellsFit:
        """Return the fit; `seed` is not used, as queries have their own."""
        return _fit_of(data, fitter=self.name, ratio=np.ones(data.n_genes), added=np.zeros(data.n_genes))


@dataclass(frozen=True)
class ScaledControlCells:
    """Cells of a perturbation are control cells with each gene scaled as the mean perturbation scales it.

    Equation: a gene of count c in a control cell has the count ``floor(r) c + Binomial(c, r - floor(r))``, of mean
    ``r c``: for r < 1 the molecules that are left when each is kept with chance r. ``r = expm1(m) / expm1(y0)`` is the
    gene's ratio between the profile m of the `mean` baseline and that of the pooled training controls, y0. A gene
    without counts in the controls has Poisson counts instead, of mean ``expm1(m) / 10^4`` times the cell's depth. Cells
    are drawn as `control-cells` does; the mean profile is that of the pool of all controls, scaled.

    Source: the "mean" baseline of Ahlmann-Eltze, Huber & Anders (2025), for cells instead of means.
    """

    name = "scaled-control-cells"
    family = "baseline"
    claims = _CLAIMS
    assumptions = frozenset({Assumption.COMMON_EFFECT, Assumption.NO_BATCH_EFFECT})
    source = "mean of Ahlmann-Eltze, Huber & Anders (2025), Nature Methods, doi:10.1038/s41592-025-02772-6"

    def fit(self, data: TrainingData, *, seed: int) -> ControlCellsFit:
        """Return the fit; `seed` is not used. FitterError where the data hold controls only."""
        if not data.perturbations:
            raise FitterError(self.name, "the training data have no perturbation to take the mean of")
        mean = np.expm1(np.mean([data.pseudobulk.row(label) for label in data.perturbations], axis=0))
        control = np.expm1(data.control)
        silent = control == 0
        ratio = np.where(silent, 1.0, mean / np.where(silent, 1.0, control))
        return _fit_of(data, fitter=self.name, ratio=ratio, added=np.where(silent, mean / SCALE, 0.0))


@dataclass(frozen=True, eq=False, kw_only=True)
class ControlCellsFit:
    """The control cells of the training data, G genes by name, in an order that is not that of the data.

    Args:
        fitter: the fitter's name.
        claims: the fitter's claims.
        scope: what it was trained on.
        column: (G,) column of each gene in the training data.
        counts: (N0, G) counts.
        context: for batch, time, medium and arm the (N0,) labels.
        ratio: (G,) by which each count is scaled under any perturbation.
        added: (G,) fraction of a cell's depth that is added, where there is nothing to scale.
    """

    fitter: str
    claims: frozenset[Claim]
    scope: Scope
    column: NDArray[np.intp]
    counts: csr_array
    context: dict[str, NDArray[np.generic]]
    ratio: NDArray[np.float64]
    added: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    history: LossHistory = field(default_factory=LossHistory)

    def predict(self, query: Query) -> Prediction:
        """Return (Q, G) log profiles, and cells where they are asked for; RefusedQueryError outside the claims."""
        check_query(query, fitter=self.fitter, claims=self.claims, scope=self.scope)
        counts = self.counts[self._of(query)]
        profile = np.stack([self._profile(counts, targets) for targets in query.perturbations])
        cells = None
        if query.cells:
            cells = tuple(self._sample(counts, targets, query) for targets in query.perturbations)
        return Prediction(profile=profile, cells=cells)

    def network(self) -> EdgeScores | None:
        """Nothing: cells say nothing of edges here."""
        return None

    def kinetics(self) -> KineticsEstimate | None:
        """Nothing: cells say nothing of rates here."""
        return None

    def _of(self, query: Query) -> NDArray[np.intp]:
        """Return the cells of the context of a query; all, where it has none."""
        here = np.ones(self.counts.shape[0], dtype=bool)
        for name, labels in self.context.items():
            asked = getattr(query, name)
            if asked is not None:
                here &= labels == asked
        return np.flatnonzero(here if here.any() else ~here)

    def _profile(self, counts: csr_array, targets: tuple[str, ...]) -> NDArray[np.float64]:
        total = np.asarray(counts.sum(axis=0), dtype=np.float64)
        if targets:
            total = total * self.ratio + self.added * total.sum()
        return self._in_data_order(log_profile(total))

    def _sample(self, counts: csr_array, targets: tuple[str, ...], query: Query) -> NDArray[np.int32]:
        rng = keyed_generator("+".join(targets), seed=query.seed, stream="cells")
        rounds = -(-query.cells // counts.shape[0])
        drawn = np.concatenate([rng.permutation(counts.shape[0]) for _ in range(rounds)])[: query.cells]
        cells = counts[drawn].toarray().astype(np.int64)
        if targets and not (np.all(self.ratio == 1.0) and np.all(self.added == 0.0)):
            depth = cells.sum(axis=1, keepdims=True)
            whole = np.floor(self.ratio)
            cells = cells * whole.astype(np.int64) + rng.binomial(cells, self.ratio - whole)
            cells += rng.poisson(depth * self.added)
        return self._in_data_order(np.minimum(cells, np.iinfo(np.int32).max).astype(np.int32))

    def _in_data_order(self, values: NDArray) -> NDArray:
        found = np.empty_like(values)
        found[..., self.column] = values
        return found


def _fit_of(
    data: TrainingData, *, fitter: str, ratio: NDArray[np.float64], added: NDArray[np.float64]
) -> ControlCellsFit:
    """Return the fit of data; `ratio` and `added` are (G,) in their order of genes."""
    controls = np.flatnonzero(data.perturbation == CONTROL)
    keys = [getattr(data, name)[controls] for name in _CONTEXT]
    controls = controls[np.lexsort((cell_hashes(data.take(controls), seed=0), *keys))]
    column = np.array(sorted(range(data.n_genes), key=data.genes.__getitem__), dtype=np.intp)
    return ControlCellsFit(
        fitter=fitter,
        claims=_CLAIMS,
        scope=Scope.of(data),
        column=column,
        counts=data.counts[controls][:, column],
        context={name: getattr(data, name)[controls] for name in _CONTEXT},
        ratio=ratio[column],
        added=added[column],
    )
