"""Two arms of one world: perturbed before its medium changes, or after.

Out: training data, whose counts are Poisson draws of noise-free cells, and true responses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fitters.experiment import Experiment, Step
from fitters.training_data import TrainingData
from simcell.profiles import log_profile
from simcell.screen import build_screen
from simcell.truth import true_response

REGULATORS = tuple(f"R{number}" for number in range(6))
TRANSDUCE, HARVEST = Step("transduce"), Step("harvest")
BASE, STIMULUS = Step("culture", "base", 48.0), Step("culture", "stimulus", 48.0)
# the same steps in both: only their order differs
WORDS = {"before": (TRANSDUCE, BASE, STIMULUS, STIMULUS), "after": (BASE, STIMULUS, TRANSDUCE, STIMULUS)}
MEDIA = {"base": {}, "stimulus": {"S": 4.0}}
HELD_OUT = ("R0+R3", "R1+R4", "R2+R5", "R0+R5", "R2+R3")


@dataclass(frozen=True, eq=False)
class Arms:
    """Training cells of both arms without the held-out pairs, and true log profiles by arm and label."""

    data: TrainingData
    truth: dict[str, dict[str, NDArray[np.float64]]]

    def response(self, arm: str, label: str) -> NDArray[np.float64]:
        """Return the (G,) true change of the log profile from control."""
        return self.truth[arm][label] - self.truth[arm]["control"]


@cache
def two_arms(cells: int = 60, depth: float = 4000.0) -> Arms:
    """Return the arms of a world in which a signal, once there, drives three of six regulators."""
    edges = [["R0", "R1", 1], ["R1", "R2", -1], ["R3", "R4", -1], ["R4", "R5", 1], ["R2", "R3", 1], ["R5", "R0", -1]]
    edges += [[f"R{number % 6}", f"T{number:02}", 1 if number % 3 else -1] for number in range(14)]
    edges += [
        [f"R{(5 * number + 2) % 6}", f"T{number:02}", 1] for number in range(14) if (5 * number + 2) % 6 != number % 6
    ]
    spec = {
        "name": "arms",
        "seed": 5,
        "network": {"kind": "edges", "edges": edges},
        "signals": {"S": [{"target": gene, "sign": 1, "strength": 6.0} for gene in ("R0", "R2", "R4")]},
        "media": MEDIA,
        "library": {"targets": list(REGULATORS), "combinations": [{"order": 2}], "guides_per_target": 1},
        "engine": {"name": "ode"},
        "truth": {"cells_per_perturbation": 2},
    }
    labels = ("control", *REGULATORS, *("+".join(pair) for pair in combinations(REGULATORS, 2)))
    rng = np.random.default_rng(1)
    truth, parts = {}, []
    for arm, word in WORDS.items():
        protocol = [
            {"step": step.kind, **({"medium": step.medium, "hours": step.hours} if step.hours else {})}
            for step in (*word, HARVEST)
        ]
        found = true_response(build_screen({**spec, "protocol": protocol}), progress=False)
        level = {label: found.mean_field[0, found.perturbations.index(label)] for label in labels}
        truth[arm] = {label: log_profile(mean) for label, mean in level.items()}
        for label in labels:
            if label not in HELD_OUT:
                n = 4 * cells if label == "control" else cells
                parts.append(
                    (arm, label, rng.poisson(depth * level[label] / level[label].sum(), (n, level[label].size)))
                )
    genes = build_screen({**spec, "protocol": protocol}).model.network.genes
    each = [len(counts) for _, _, counts in parts]
    data = TrainingData.from_arrays(
        np.concatenate([counts for _, _, counts in parts]),
        genes=genes,
        perturbation=np.repeat([label for _, label, _ in parts], each),
        arm=np.repeat([arm for arm, _, _ in parts], each),
        medium=np.full(sum(each), "stimulus"),
        time=np.full(sum(each), 144.0),
        experiments={arm: Experiment((*word, HARVEST), MEDIA) for arm, word in WORDS.items()},
    )
    return Arms(data, truth)
