"""What is known of targets: how far each is taken by its own perturbation, and a vector that unseen ones have too.

In: pools of cells. Out: `Targets`: for any perturbation, its features and strengths, and the levels of its own targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitters.mechanistic.state_pools import StatePools
from fitters.mechanistic.states import Contexts
from fitters.training.cells import CellTable
from simcell.labels import CONTROL, perturbation_targets

FloatArray = NDArray[np.float64]

# Directions of responses by which a gene is known, and the weight of how much of it there is, over the first of them.
RESPONSES, LEVEL = 10, 0.3
# A strength is measured with noise: relative to the median one, it counts within these bounds.
LEAST_STRENGTH, MOST_STRENGTH = 0.25, 2.0


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets by name; T of them were seen.

    Args:
        names: T names of seen targets, sorted.
        feature: gene -> (F,) its pattern of expression: what it does under other perturbations, and how much of it
            there is; 0 for targets that are no genes of the data.
        strength: seen target -> its knock-down over the median one, within bounds.
        hours: (J,) hours since transduction, ascending, at which own levels were measured.
        own: target -> (J,) change of the log profile of a target under its own perturbation; "" is any other's.
    """

    names: tuple[str, ...]
    feature: Mapping[str, FloatArray]
    strength: Mapping[str, float]
    hours: FloatArray
    own: Mapping[str, FloatArray]

    @classmethod
    def of(cls, table: CellTable, contexts: Contexts, pools: StatePools) -> Targets:
        """Return the targets of a screen."""
        hours, own = _own_levels(table, contexts, pools)
        last = {name: float(levels[-1]) for name, levels in own.items()}
        usual = last[""]
        strength = {
            name: float(np.clip(last[name] / usual, LEAST_STRENGTH, MOST_STRENGTH))
            if name in own and abs(usual) > 1e-6
            else 1.0
            for name in table.targets
        }
        features = _features(table, pools)
        return cls(table.targets, dict(zip(table.genes, features, strict=True)), strength, hours, own)

    @property
    def n_features(self) -> int:
        """F."""
        return len(next(iter(self.feature.values())))

    def features_of(self, perturbations: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Return (Q, F + 1): summed over targets, strength times (feature, 1). Combinations add."""
        found = np.zeros((len(perturbations), self.n_features + 1))
        nothing = np.zeros(self.n_features)
        for row, targets in enumerate(perturbations):
            for target in sorted(targets):
                vector = np.append(self.feature.get(target, nothing), 1.0)
                found[row] += self.strength.get(target, 1.0) * vector
        return found.astype(np.float32)

    def strengths_of(self, perturbations: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Return (Q, T) strengths of seen targets."""
        found = np.zeros((len(perturbations), len(self.names)))
        column = {name: number for number, name in enumerate(self.names)}
        for row, targets in enumerate(perturbations):
            for target in targets:
                if target in column:
                    found[row, column[target]] = self.strength[target]
        return found.astype(np.float32)

    def own_change(self, target: str, hours: float | None) -> float:
        """Return the change of a target's log profile some hours after transduction: 0 at 0, linear between times.

        None: the mean over the times at which it was measured.
        """
        levels = self.own.get(target, self.own[""])
        if hours is None:
            return float(levels.mean())
        if hours <= 0:
            return 0.0
        at, value = np.append(0.0, self.hours), np.append(0.0, levels)
        return float(np.interp(hours, at, value))


def _own_levels(table: CellTable, contexts: Contexts, pools: StatePools) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return the hours and, by target, the changes of targets perturbed alone, or else in combination; medians last."""
    column = {gene: number for number, gene in enumerate(table.genes)}
    hours = np.unique(contexts.hours[contexts.hours > 0])
    if not hours.size:
        hours = np.array([1.0])
    found: dict[str, list[list[float]]] = {}
    for alone in (False, True):  # what is known of a target alone takes the place of what combinations say
        for row, label in enumerate(table.conditions):
            targets = perturbation_targets(label)
            if (len(targets) == 1) is not alone:
                continue
            for target in targets:
                if target not in column:
                    continue
                levels: list[list[float]] = [[] for _ in hours]
                for k, since in enumerate(contexts.hours):
                    change = pools.mean[k, row, column[target]] - (pools.control[k] - pools.reference)[column[target]]
                    if since > 0 and np.isfinite(change):
                        levels[int(np.searchsorted(hours, since))].append(float(change))
                before = found.get(target)
                if alone or before is None:
                    found[target] = levels
                else:
                    found[target] = [old + new for old, new in zip(before, levels, strict=True)]
    means = {
        target: np.array([np.mean(at) if at else np.nan for at in levels]) for target, levels in sorted(found.items())
    }
    known = np.array(list(means.values())).reshape(len(means), hours.size)
    usual = np.array([np.median(at[np.isfinite(at)]) if np.isfinite(at).any() else np.nan for at in known.T])
    usual = _filled(usual, 0.0 * usual)
    return hours, {"": usual, **{target: _filled(value, usual) for target, value in means.items()}}


def _filled(values: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Return values with what is missing interpolated from the others; `otherwise` where nothing is known."""
    there = np.isfinite(values)
    if not there.any():
        return np.nan_to_num(otherwise)
    places = np.arange(values.size)
    return np.interp(places, places[there], values[there])


def _features(table: CellTable, pools: StatePools) -> FloatArray:
    """Return (G, F) patterns of expression: scores on the leading directions of responses, and the log level."""
    is_control = table.conditions.index(CONTROL)
    targets = np.array(
        [[gene in perturbation_targets(label) for gene in table.genes] for label in table.conditions], dtype=bool
    )
    responses = pools.mean - (pools.control - pools.reference)[:, None]
    responses = np.where(targets[None] | ~np.isfinite(responses), 0.0, responses)
    responses = np.delete(responses, is_control, axis=1).reshape(-1, len(table.genes))
    level = pools.reference - pools.reference.mean()
    level_score = LEVEL * level / max(float(level.std()), 1e-9)
    return np.column_stack([_scores(responses, RESPONSES), level_score])


def _scores(rows: FloatArray, components: int) -> FloatArray:
    """Return the (G, k) loadings of genes on the leading directions of rows (n, G), in units of the first one's."""
    if not rows.size or not rows.any():
        return np.zeros((rows.shape[1], 1))
    _, s, v = np.linalg.svd(rows, full_matrices=False)
    k = min(components, len(s))
    loadings: FloatArray = v[:k].T * s[:k]
    return loadings / float(np.sqrt((loadings[:, 0] ** 2).mean()))
