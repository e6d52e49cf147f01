"""Which constructs each cell received: the operator Transduce, for given cells.

In: a library, the multiplicity of infection, cells by number. Out: their guides, constructs and states, by seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from simcell.effects import CellEffects
from simcell.guides import GuideLibrary
from simcell.kernels.streams import fill_uniforms
from simcell.random import Purpose, kernel_key

NONE = -1
NEGLIGIBLE = 1e-9  # chance of more constructs than are kept for any cell


@dataclass(frozen=True, eq=False)
class Assignment:
    """Constructs of cells; K is the largest number of constructs, M that of the guides which these can carry.

    Attributes:
        construct: (N, K) constructs of each cell, perhaps the same one twice, -1 where it has fewer.
        guides: (N, M) different guides of each cell, -1 where it has fewer.
        effects: what they do.
    """

    construct: NDArray[np.int32]
    guides: NDArray[np.int32]
    effects: CellEffects


def assign(
    library: GuideLibrary,
    cells: NDArray[np.int64],
    *,
    moi: float | None,
    transduced_at: float,
    seed: int,
    replicate: int = 0,
) -> Assignment:
    """Return what cells (N,) received.

    With a multiplicity of infection m, the number of constructs of a cell is Poisson(m) given that it is not 0, since
    cells without one are selected away; without, it is exactly 1. Each construct is drawn by its weight.
    """
    number = 1 if moi is None else max(1, int(poisson.ppf(1.0 - NEGLIGIBLE, moi)))
    uniform = np.empty((cells.size, 2 * ((number + 2) // 2)))
    fill_uniforms(uniform, kernel_key(seed, Purpose.ASSIGNMENT, replicate), cells, 0)
    edges = np.cumsum(library.weight)
    drawn = np.searchsorted(edges / edges[-1], uniform[:, 1 : number + 1]).astype(np.int32)
    received = np.ones(cells.size, np.int64)
    if moi is not None:
        absent = np.exp(-moi)
        received = poisson.ppf(absent + (1.0 - absent) * uniform[:, 0], moi).clip(1, number).astype(np.int64)
    construct = np.where(np.arange(number) < received[:, None], drawn, NONE).astype(np.int32)
    guides = _guides(library, construct)
    state = np.empty((cells.size, 2 * ((guides.shape[1] + 1) // 2)))
    fill_uniforms(state, kernel_key(seed, Purpose.EDITING, replicate), cells, 0)
    effects = library.effects(guides, uniform=state[:, : guides.shape[1]], transduced_at=transduced_at)
    return Assignment(construct, guides, effects)


def _guides(library: GuideLibrary, construct: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the guides (N, M) of constructs (N, K), -1 where there are fewer."""
    widest = max(len(guides) for guides in library.constructs)
    table = np.full((len(library.constructs) + 1, widest), NONE, np.int32)  # the last row is that of "no construct"
    for number, carried in enumerate(library.constructs):
        table[number, : len(carried)] = carried
    guides = table[construct].reshape(construct.shape[0], -1)
    for slot in range(1, guides.shape[1]):  # a guide that a cell received twice acts once
        guides[(guides[:, :slot] == guides[:, slot : slot + 1]).any(axis=1), slot] = NONE
    return guides
