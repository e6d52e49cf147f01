"""What every fitter of states does before and around its training: measure, label rows, note what was assumed.

In: training data and options. Out: `Prepared`, labels of the pools that are rows, notes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.errors import FitterError
from fitters.mechanistic.state_fit import Measured
from fitters.mechanistic.state_pools import StatePools
from fitters.mechanistic.state_targets import Targets
from fitters.mechanistic.states import HOURS_UNKNOWN, Contexts, Media
from fitters.training.batches import RowLabels
from fitters.training.cells import CellTable
from fitters.training.checkpoint import fingerprint_of
from fitters.training_data import TrainingData
from simcell.labels import CONTROL


@dataclass(frozen=True, eq=False)
class Prepared:
    """What was measured, genes sorted by name.

    Args:
        table: of cells.
        contexts: arms, times and media, with their words.
        pools: states.
        targets: what is known of targets.
        media: medium -> features.
        notes: what was assumed or reduced.
        fingerprint: of the data and the notes of the experiment.
    """

    table: CellTable
    contexts: Contexts
    pools: StatePools
    targets: Targets
    media: dict[str, tuple[float, ...]]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, data: TrainingData, *, dimensions: int | None, cells_per_pool: int, fitter: str) -> Prepared:
        """Return training data as states.

        Raises:
            FitterError: no perturbation; a context without controls.
        """
        if not data.perturbations:
            raise FitterError(fitter, "the training data have no perturbation")
        table = CellTable.of(data)
        contexts = Contexts.of(table, data.experiments)
        pools = StatePools.of(table, contexts, dimensions=dimensions, cells_per_pool=cells_per_pool, fitter=fitter)
        media = Media.of(contexts, data)
        notes = []
        if contexts.untimed:
            notes.append(f"no times, no protocol: perturbed for {HOURS_UNKNOWN:g} h is taken for granted")
        else:
            last = max(context.time for context in contexts.all)
            notes.append(f"what is said of hours after {last:g} is extrapolated")
        if dimensions is not None and pools.basis.dimensions < dimensions:
            notes.append(f"dimensions reduced from {dimensions} to {pools.basis.dimensions}")
        return cls(
            table=table,
            contexts=contexts,
            pools=pools,
            targets=Targets.of(table, contexts, pools),
            media={name: tuple(feature.tolist()) for name, feature in media.feature.items()},
            notes=tuple(notes),
        )

    @property
    def control(self) -> int:
        """Code of the control condition."""
        return self.table.conditions.index(CONTROL)

    @property
    def measured(self) -> Measured:
        """What a fit keeps of the controls."""
        pools = self.pools
        return Measured(
            genes=self.table.genes,
            column=self.table.column,
            contexts=self.contexts.without_cells,
            n_controls=pools.n_controls,
            reference=pools.reference,
            control=pools.control,
            basis=pools.basis,
        )

    def fingerprint(self, *what: object) -> str:
        """Return a digest of the cells, the words and of what else is named."""
        return fingerprint_of(self.table, self.contexts.words, sorted(self.media.items()), *what)

    def rows(self, *, held_out: float, seed: int, controls: bool = True) -> tuple[NDArray[np.intp], RowLabels]:
        """Return the pools that are rows of the training, and their labels."""
        pools = self.pools
        kept = np.flatnonzero(controls | (pools.condition != self.control))
        held = self.table.held_out(held_out, seed=seed)
        return kept, RowLabels(
            condition=pools.condition[kept], batch=pools.batch[kept], held_out=held[pools.condition[kept]]
        )
