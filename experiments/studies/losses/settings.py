"""The worlds of the study of losses: controls that stand still or drift, and along the way time and numbers of cells.

In: nothing. Out: `Setting`s, each with the specification of a screen for every seed; and the weights that are tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simcell.generators import grouped_scale_free
from simcell.spec import ScreenSpec

GENES, REGULATORS, EDGES_PER_GENE = 30, 0.4, 2.0
STEADY_GENES = 20  # beside the network: what tells a change of composition from a change of all other genes
SIGNAL_TARGETS = 6  # genes that the other medium acts on
PAIRS = 24
FIRST_SAMPLE = 2.0  # hours after transduction, within the lag of the guides: where all cells begin
TERM = "steady_state_controls"
WEIGHTS = (0.0, 0.1, 1.0, 10.0)
ON = 1.0  # the weight that stands for "on" in the verdicts, chosen before any result was seen


@dataclass(frozen=True)
class Variant:
    """A fitter with its options beside the weight."""

    fitter: str
    options: Mapping[str, Any]


# Control pools are not among the responses that `node` learns, or its field would be tied to them anyway. With large
# pools there is one of each batch and sample, so that rest is asked for at states almost without noise.
# `ode-mechanistic` must not have rest built in, and is trained shortly.
VARIANTS = {
    "node": Variant("node", {"learn_controls": False}),
    "node, large pools": Variant("node", {"learn_controls": False, "cells_per_pool": 4000}),
    "ode-mechanistic": Variant(
        "ode-mechanistic",
        {
            "calibrated": False, "held_out": 0.15, "epochs": 3, "first_epochs": 3, "refit": False, "step_hours": 4.0,
        },
    ),
}  # fmt: skip
RESTARTS = 2
STATIONARY, DRIFTING = "stationary", "drifting"
BASE = {"hours": 72.0, "cells": 400}


@dataclass(frozen=True)
class Setting:
    """One world of the table.

    Attributes:
        controls: "stationary" (one medium throughout) or "drifting" (the medium changes as cells are transduced).
        hours: since transduction at which the last sample is taken; another is taken half way.
        cells: per perturbation, over all three samples; controls are ten times as many.
    """

    controls: str
    hours: float
    cells: int

    @property
    def is_base(self) -> bool:
        """Whether no knob is turned."""
        return (self.hours, self.cells) == (BASE["hours"], BASE["cells"])

    @property
    def weights(self) -> tuple[float, ...]:
        """Weights that are tried: all in the base, else off and on."""
        return WEIGHTS if self.is_base else (0.0, ON)

    @property
    def name(self) -> str:
        """Name in tables and of files."""
        return f"{self.controls}, {self.hours:g} h, {self.cells} cells"

    def screen(self, seed: int) -> ScreenSpec:
        """Return the screen under a seed, which draws network, kinetics and cells."""
        drawn = grouped_scale_free(
            GENES, edges_per_gene=EDGES_PER_GENE, groups=3, regulators=REGULATORS, out_degree_bias=4.0, seed=seed
        )
        edges = zip(drawn.regulator.tolist(), drawn.target.tolist(), drawn.sign.tolist(), strict=True)
        named = [(drawn.genes[regulator], drawn.genes[target], sign) for regulator, target, sign in edges]
        steady = [f"S{number:03d}" for number in range(STEADY_GENES)]
        regulators = [drawn.genes[row] for row in drawn.regulators]
        n_targets = len(regulators)
        n_pairs = min(PAIRS, n_targets * (n_targets - 1) // 2)
        medium = "base" if self.controls == STATIONARY else "other"
        acted_on = [regulators[number % n_targets] for number in range(SIGNAL_TARGETS)]
        groups = n_targets + n_pairs + 10
        return ScreenSpec.model_validate(
            {
                "name": "losses",
                "seed": seed,
                "network": {"kind": "edges", "edges": named, "genes": [*drawn.genes, *steady]},
                "signals": _signals(acted_on),
                "media": {"base": {}, "other": {"factor": 3.0}},
                "library": {
                    "modality": "crispri",
                    "targets": regulators,
                    "guides_per_target": 1,
                    "non_targeting": 1,
                    "control_fraction": 10.0 / groups,
                    "combinations": [{"order": 2, "count": n_pairs}],
                },
                "protocol": [
                    {"step": "transduce"},
                    {"step": "culture", "medium": medium, "hours": FIRST_SAMPLE},
                    {"step": "sample"},
                    {"step": "culture", "medium": medium, "hours": self.hours / 2 - FIRST_SAMPLE},
                    {"step": "sample"},
                    {"step": "culture", "medium": medium, "hours": self.hours / 2},
                    {"step": "harvest"},
                ],
                "assay": {"batches": 2, "cells_per_batch": self.cells * groups // 2},
                "truth": {"cells_per_perturbation": 64},
            }
        )


def _signals(targets: list[str]) -> Mapping[str, Any]:
    """Return one signal that raises every other of some genes and lowers the rest."""
    distinct = list(dict.fromkeys(targets))
    return {"factor": [{"target": gene, "sign": 1 if number % 2 else -1} for number, gene in enumerate(distinct)]}


def settings(*, quick: bool = False) -> tuple[Setting, ...]:
    """Return all settings: the base of both systems, then one knob at a time; `quick` leaves the knobs out."""
    hours, cells = BASE["hours"], int(BASE["cells"])
    found = []
    for controls in (STATIONARY, DRIFTING):
        found.append(Setting(controls, hours, cells))
        if not quick:
            found += [Setting(controls, other, cells) for other in (24.0, 240.0)]
            found += [Setting(controls, hours, 100)]
    return tuple(found)
