"""What the promoters of one cell sense, and how active they then are; for kernels that go from cell to cell.

In: a cell's proteins and the medium's signals. Out: levels, as in `circuit.py`, and the activity of a gene.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcell.kernels.circuit import Circuit
from simcell.kernels.elementary import power_of
from simcell.kernels.jit import helper
from simcell.kernels.regulation import HILL_SUM, THERMODYNAMIC, activity


class Levels(NamedTuple):
    """Inputs of one cell, in lanes of width 1 as `regulation.py` takes them."""

    circuit: Circuit
    level: NDArray[np.float64]  # (I, 1)
    power: NDArray[np.float64]  # (I, 1) level^hill, where the regulation function takes it
    activity: NDArray[np.float64]  # (1,) work space


@helper
def set_level(source, level, levels):
    """Set the level of an input."""
    levels.level[source, 0] = level
    if levels.circuit.regulation == THERMODYNAMIC or levels.circuit.regulation == HILL_SUM:
        levels.power[source, 0] = power_of(level, levels.circuit.hill[source])


@helper
def set_protein_level(regulator, protein, levels, cell, chemistry):
    """Set the level of a regulator to that of a number of proteins: per size of the cell, over the wild type's."""
    set_level(regulator, protein * chemistry.regulator[regulator].level_of_one / cell.size, levels)


@helper
def activity_of(gene, levels, cell):
    """Return the activity of a gene; if it is no finite number, 0, and the cell has a fault."""
    activity(gene, levels.circuit, levels.level, levels.power, levels.activity)
    if not 0.0 <= levels.activity[0] < math.inf:
        cell.fault[0] = gene
        return 0.0
    return levels.activity[0]
