"""Circuits whose laws the theory has: a toggle that switches, a repressilator, a gene that represses itself.

In: changes of single settings, if any. Out: `CellModel`s, small enough to be solved and fast enough to be simulated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcell.calibration import calibrate
from simcell.cell import CellModel
from simcell.circuits import repressilator, toggle_switch
from simcell.network import REPRESSES, Network
from simcell.theory.state_space import Counts

# The states of `switching_toggle` that matter: what both genes have together is bounded, since one is always scarce.
TOGGLE_STATES: dict[str, Any] = {"mrna": 10, "protein": 38}


def keep_toggle(counts: Counts) -> NDArray[np.bool_]:
    """Return which states of `switching_toggle` to hold: at most 10 mRNA and 38 proteins of both genes together."""
    mrna = counts.of("mrna", 0) + counts.of("mrna", 1)
    protein = counts.of("protein", 0) + counts.of("protein", 1)
    return (mrna <= TOGGLE_STATES["mrna"]) & (protein <= TOGGLE_STATES["protein"])


def switching_toggle(**changes: Any) -> CellModel:
    """Return a toggle switch with few molecules, which stays in each of its two states for about 200 hours."""
    settings: dict[str, Any] = {
        "promoter": "poisson",
        "mean": 0.4,
        "half_life": 0.5,
        "burst_size": 1.0,
        "activity": 0.2,
        "fold": 1000.0,
        "half_response": 0.6,
        "hill": 3.0,
        "protein_half_life": 4.0,
        "proteins_per_mrna": 8.0,
        "doubling_time": None,
        "require_stable": False,
    }
    return calibrate(toggle_switch(), **settings | changes)


def oscillating_repressilator(**changes: Any) -> CellModel:
    """Return a repressilator well beyond the onset of oscillation, with enough molecules to keep its time."""
    settings: dict[str, Any] = {
        "promoter": "bursty",
        "mean": 60.0,
        "half_life": 2.0,
        "burst_size": 2.0,
        "activity": 0.1,
        "fold": 1000.0,
        "half_response": 0.5,
        "hill": 4.0,
        "protein_half_life": 2.0,
        "proteins_per_mrna": 10.0,
        "doubling_time": None,
        "require_stable": False,
    }
    return calibrate(repressilator(), **settings | changes)


def self_repressing_gene(**changes: Any) -> CellModel:
    """Return one gene whose few proteins repress it."""
    settings: dict[str, Any] = {
        "promoter": "bursty",
        "mean": 3.0,
        "half_life": 2.0,
        "burst_size": 2.0,
        "activity": 0.3,
        "fold": 30.0,
        "half_response": 1.0,
        "hill": 2.0,
        "protein_half_life": 5.0,
        "proteins_per_mrna": 6.0,
        "doubling_time": None,
    }
    return calibrate(Network(("A",), np.array([0]), np.array([0]), np.array([REPRESSES])), **settings | changes)
