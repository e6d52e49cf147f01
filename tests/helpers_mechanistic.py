"""Small worlds of every regulation function, noise-free and counted deeply, from steady states or over time.

In: a regulation function and a seed. Out: training data of mean-field levels, and the truth that they are made of.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from helpers_core import solve
from numpy.typing import NDArray

from fitters.experiment import Experiment, Step
from fitters.results import EdgeScores
from fitters.training_data import TrainingData
from simcell.calibration import calibrate
from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.network import Network
from simcell.truth import direct_effects

FloatArray = NDArray[np.float64]

DEPTH = 1e8
LAG, TIME_CONSTANT = 2.0, 4.0
STEADY = 16  # genes that nothing regulates, by which composition is told from response
ARMS = {"weak": 0.5, "strong": 0.15}  # what a knock-down leaves of production, by arm
MEDIUM = "base"


@dataclass(frozen=True, eq=False)
class MeanField:
    """Noise-free training data and the model that they are of."""

    data: TrainingData
    model: CellModel

    @property
    def direct(self) -> FloatArray:
        """(G, G) true elasticities, rows regulators."""
        out = np.zeros((self.model.network.n_genes,) * 2)
        out[self.model.network.regulators] = direct_effects(self.model)
        return out


def model_of(
    regulation: str, *, seed: int, regulators: int = 4, others: int = 8, protein_half_life: float = 0.05
) -> CellModel:
    """Return a stable cell without growth: two regulators for every gene, no self-regulation, cycles allowed."""
    rng = np.random.default_rng([seed, 17])
    n = regulators + others
    names = [f"G{number:02d}" for number in rng.permutation(n)] + [f"S{number:02d}" for number in range(STEADY)]
    edges = [
        (source, gene, 1 if rng.random() < 0.5 else -1)
        for gene in range(n)
        for source in rng.choice([one for one in range(regulators) if one != gene], 2, replace=False)
    ]
    source, target, sign = np.array(edges, dtype=np.int32).T
    network = Network(tuple(names), source, target, sign.astype(np.int8))
    return calibrate(
        network,
        regulation=regulation,
        mean=rng.lognormal(3.0, 0.3, len(names)),
        half_life=rng.uniform(3.0, 8.0, len(names)),
        burst_size=1.0,
        activity=rng.uniform(0.2, 0.5, len(names)),
        fold=rng.uniform(3.0, 6.0, network.n_edges) if regulation != "linear" else 5.0,
        half_response=np.exp(rng.normal(0.0, 0.3, network.n_edges)),
        hill=rng.uniform(1.5, 2.5, network.n_regulators),
        protein_half_life=protein_half_life,
        doubling_time=None,
    )


def targets_of(model: CellModel, *, doubles: bool = True) -> list[tuple[int, ...]]:
    """Return no target, every regulator, and every pair of them."""
    regulators = [int(gene) for gene in model.network.regulators]
    singles: list[tuple[int, ...]] = [(gene,) for gene in regulators]
    return [(), *singles, *(itertools.combinations(regulators, 2) if doubles else ())]


def steady_world(regulation: str, *, seed: int, arms: Sequence[str] = tuple(ARMS)) -> MeanField:
    """Return levels at rest: every regulator and every pair of them, at a strength for each arm."""
    model = model_of(regulation, seed=seed)
    return MeanField(_data(model, arms=arms, hours=(2000.0,), sample_at=(400.0,), doubles=True), model)


def course_world(regulation: str, *, seed: int, hours: Sequence[float], protein_half_life: float = 0.05) -> MeanField:
    """Return levels over time, hours since transduction."""
    model = model_of(regulation, seed=seed, protein_half_life=protein_half_life)
    return MeanField(_data(model, arms=("strong", "weak"), hours=hours, sample_at=hours, doubles=False), model)


def _data(
    model: CellModel, *, arms: Sequence[str], hours: Sequence[float], sample_at: Sequence[float], doubles: bool
) -> TrainingData:
    genes = model.network.genes
    counts, labels, times, groups = [], [], [], []
    for arm in arms:
        for targets in targets_of(model, doubles=doubles):
            label = "+".join(sorted(genes[gene] for gene in targets)) or "control"
            for hour, said in zip(hours, sample_at, strict=True):
                effects = (
                    CellEffects.of(list(targets), ARMS[arm], start=LAG, constant=TIME_CONSTANT)
                    if targets
                    else CellEffects.none(1)
                )
                found = solve(model, effects, hours=hour, tolerance=1e-8)
                level = found.intensity[:, 0]
                counts.append(np.rint(DEPTH * level / level.sum()))
                labels.append(label)
                times.append(said)
                groups.append(arm)
    steps = (Step("transduce"), Step("culture", MEDIUM, float(max(sample_at))), Step("harvest"))
    return TrainingData.from_arrays(
        np.array(counts),
        genes=np.array(genes),
        perturbation=np.array(labels),
        time=np.array(times),
        medium=np.full(len(labels), MEDIUM),
        arm=np.array(groups),
        experiments={arm: Experiment(steps) for arm in arms},
    )


def average_precision(scores: EdgeScores, made: MeanField) -> float:
    """Return the area under the precision-recall curve of |score| over pairs of a regulator and another gene."""
    score, truth = _pairs(scores, made)
    hit = truth[np.argsort(-np.abs(score), kind="stable")] != 0
    return float((np.cumsum(hit) / np.arange(1, hit.size + 1))[hit].mean())


def sign_accuracy(scores: EdgeScores, made: MeanField) -> float:
    """Return the share of true edges whose score has the true sign."""
    score, truth = _pairs(scores, made)
    return float((np.sign(score) == np.sign(truth))[truth != 0].mean())


def elasticity_error(scores: EdgeScores, made: MeanField) -> float:
    """Return the median over true edges of |estimate / truth - 1|."""
    score, truth = _pairs(scores, made)
    true = truth != 0
    return float(np.median(np.abs(score[true] / truth[true] - 1.0)))


def _pairs(scores: EdgeScores, made: MeanField) -> tuple[FloatArray, FloatArray]:
    row = {gene: number for number, gene in enumerate(made.model.network.genes)}
    rows = [row[gene] for gene in scores.regulators]
    columns = [row[gene] for gene in scores.genes]
    truth = made.direct[np.ix_(rows, columns)]
    other = np.array(rows)[:, None] != np.array(columns)[None, :]
    return scores.score[other], truth[other]
