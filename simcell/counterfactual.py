"""Counterfactual pairs: the same cells of a screen with and without their guides, which nobody can measure.

In: a screen and numbers of its cells. Out: an `xarray.Dataset` of both members of each pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simcell.course import Course
from simcell.effects import CellEffects
from simcell.errors import SpecError
from simcell.random import Purpose, kernel_key
from simcell.screen import Screen, build_screen
from simcell.spec import ScreenSpec
from simcell.threads import block_slices, map_threads

if TYPE_CHECKING:
    import xarray as xr


def counterfactual_pairs(
    screen: Screen | ScreenSpec | Mapping[str, object] | str,
    cells: NDArray[np.int64] | list[int],
    *,
    replicate: int = 0,
) -> xr.Dataset:
    """Return the same cells with and without their guides: what nobody can measure.

    Both members of a pair have the same noise, so that genes which the guides cannot reach are bit-identical (under the
    engine `ode`, which adapts its steps to each cell, identical to its tolerance; under `ssa` and `tau` see there).

    Args:
        screen: as in `simulate`.
        cells: numbers of cells of the screen.

    Returns:
        Dataset with dims (cell, gene): `intensity` as in the screen (molecules under engines that count them), and
        `without_guide`, molecules per cell; by cell, `perturbation`.
    """
    import xarray as xr

    screen = screen if isinstance(screen, Screen) else build_screen(screen)
    given = np.atleast_1d(np.asarray(cells))
    n_cells = screen.spec.assay.batches * screen.spec.assay.cells_per_batch
    if given.size == 0 or given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= n_cells:
        raise SpecError("cells", given.tolist(), f"a list of cell numbers from 0 to {n_cells - 1}")
    if replicate < 0:
        raise SpecError("replicate", replicate, ">= 0")
    chosen = given.astype(np.int64)
    plans, sample = screen.courses(), screen.timeline.sample_of(chosen)
    key = kernel_key(screen.spec.seed, Purpose.DYNAMICS, replicate)
    assignment = screen.assign(chosen, replicate=replicate)
    labels = [screen.library.label([g for g in guides if g >= 0]) for guides in assignment.guides]

    def run(effects: CellEffects) -> NDArray[np.float32]:
        found = np.empty((chosen.size, screen.model.network.n_genes), np.float32)
        for number, plan in enumerate(plans):
            taken = np.flatnonzero(sample == number)

            def finish(block: slice, plan: Course = plan, taken: NDArray[np.intp] = taken) -> None:
                rows = taken[block]
                found[rows] = plan.finish(effects.take(rows), cells=chosen[rows], key=key).expected_mrna

            map_threads(finish, block_slices(taken.size, lanes=plan.engine.lanes))
        return found

    with_guide, without = run(assignment.effects), run(CellEffects.none(chosen.size))
    attributes = {"unit": "molecules"}
    return xr.Dataset(
        {
            "intensity": (("cell", "gene"), with_guide, attributes),
            "without_guide": (("cell", "gene"), without, attributes),
            "perturbation": ("cell", labels),
        },
        coords={"cell": chosen, "gene": list(screen.model.network.genes)},
    )
