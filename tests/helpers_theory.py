"""A plain twin of the reactions of a cell model: loops over genes and states, from the words of docs/model.md alone.

In: a `CellModel`, of which only what calibration was given is read (means, half-lives, regulation), no derived rate.
Out: rates at a state, a dense generator over all states of a small box, exact moments where rates are linear, and
Gillespie's direct method.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

from simcell.cell import CellModel

Array = NDArray[np.float64]
State = Sequence[float]


@dataclass(frozen=True)
class Reaction:
    """A rate of the state, the amounts that it changes, and the mean of a geometric burst (0: one at a time)."""

    rate: Callable[[State], float]
    change: dict[int, int]
    burst: float = 0.0

    def outcomes(self, most: int) -> list[tuple[float, dict[int, int]]]:
        """Return the chances of all changes of up to `most` molecules; of burst sizes, from 0."""
        if self.burst == 0.0:
            return [(1.0, self.change)]
        chance = 1.0 / (1.0 + self.burst)
        return [(chance * (1.0 - chance) ** k, {at: k for at in self.change}) for k in range(most + 1)]


@dataclass(frozen=True)
class Plain:
    """The amounts of a cell, (kind, gene) each, and its reactions."""

    amounts: list[tuple[str, int]]
    reactions: list[Reaction]

    def at(self, kind: str, gene: int = 0) -> int:
        return self.amounts.index((kind, gene))


def plain_activity(model: CellModel, gene: int, levels: State) -> float:
    """Return the activity of one promoter, thermodynamic or linear, edge by edge."""
    network, regulators = model.network, model.network.regulators.tolist()
    own = [
        (model.strength[e], model.half_response[e], levels[regulators.index(r)], model.hill[regulators.index(r)])
        for e, (r, t) in enumerate(zip(network.regulator.tolist(), network.target.tolist(), strict=True))
        if t == gene
    ]
    if model.regulation.name == "linear":
        return max(0.0, float(model.basal[gene] + sum(beta * q for beta, _, q, _ in own)))
    odds = float(model.basal[gene])
    for weight, half, q, power in own:
        x = (q / half) ** power
        odds *= (1.0 + weight * x) / (1.0 + x)
    return odds / (1.0 + odds)


def plain(model: CellModel, *, transcription: float = 1.0, translation: float = 1.0, size: float = 1.0) -> Plain:
    """Return the reactions of a model without signals; the factors act on gene 0 (regulator 0) alone."""
    growth = math.log(2.0) / model.doubling_time
    dilution = 0.0 if model.division else growth
    regulators = model.network.regulators.tolist()
    spliced = model.splicing_half_life is not None
    amounts: list[tuple[str, int]] = []
    for gene in range(model.network.n_genes):
        amounts += [("promoter", gene)] if model.promoter == "telegraph" else []
        amounts += [("unspliced", gene)] if spliced else []
        amounts += [("mrna", gene)] + ([("protein", gene)] if gene in regulators else [])
    place = {amount: at for at, amount in enumerate(amounts)}

    def levels(state: State) -> list[float]:
        return [state[place["protein", r]] / (size * float(model.protein_mean[i])) for i, r in enumerate(regulators)]

    reactions: list[Reaction] = []
    for gene in range(model.network.n_genes):
        factor = transcription if gene == 0 else 1.0
        mean, wild_type, burst = (float(x[gene]) for x in (model.mean, model.activity, model.burst_size))
        diluted_decay = math.log(2.0) / float(model.half_life[gene]) + growth
        decay = math.log(2.0) / float(model.half_life[gene]) + dilution
        full = mean * diluted_decay / wild_type
        kappa = 0.0
        if model.splicing_half_life is not None:
            kappa = math.log(2.0) / float(model.splicing_half_life[gene])
            full *= (kappa + growth) / kappa  # what growth dilutes before it is spliced is made in addition
        mrna = place["mrna", gene]
        first = place["unspliced", gene] if spliced else mrna

        def active(state: State, gene: int = gene) -> float:
            return plain_activity(model, gene, levels(state))

        made = size * full * factor
        if model.promoter == "poisson":
            reactions.append(Reaction(lambda s, a=active, v=made: v * a(s), {first: 1}))
        elif model.promoter == "bursty":
            reactions.append(Reaction(lambda s, a=active, v=made / burst: v * a(s), {first: 1}, burst))
        else:
            switching, on = full / burst / (1.0 - wild_type), place["promoter", gene]
            reactions += [
                Reaction(lambda s, a=active, k=switching, o=on: k * a(s) * (1 - s[o]), {on: 1}),
                Reaction(lambda s, a=active, k=switching, o=on: k * (1.0 - a(s)) * s[o], {on: -1}),
                Reaction(lambda s, v=made, o=on: v * s[o], {first: 1}),
            ]
        if spliced:
            reactions.append(Reaction(lambda s, k=kappa, u=first: k * s[u], {first: -1, mrna: 1}))
            reactions.append(Reaction(lambda s, k=dilution, u=first: k * s[u], {first: -1}))
        reactions.append(Reaction(lambda s, d=decay, m=mrna: d * s[m], {mrna: -1}))
        if gene in regulators:
            number, protein = regulators.index(gene), place["protein", gene]
            half_life, protein_mean = float(model.protein_half_life[number]), float(model.protein_mean[number])
            translated = (math.log(2.0) / half_life + growth) * protein_mean / mean
            translated *= translation if number == 0 else 1.0
            lost = math.log(2.0) / half_life + dilution
            reactions.append(Reaction(lambda s, t=translated, m=mrna: t * s[m], {protein: 1}))
            reactions.append(Reaction(lambda s, g=lost, p=protein: g * s[p], {protein: -1}))
    return Plain(amounts, reactions)


def dense_generator(cell: Plain, most: Sequence[int]) -> tuple[list[tuple[int, ...]], Array, Array]:
    """Return the states of a box, the rates from row to column, and the rate of leaving the box from each."""
    states = list(itertools.product(*(range(extent + 1) for extent in most)))
    number = {state: row for row, state in enumerate(states)}
    rate, leaving = np.zeros((len(states), len(states))), np.zeros(len(states))
    for state in states:
        for reaction in cell.reactions:
            total, within = reaction.rate(state), 0.0
            for chance, change in reaction.outcomes(max(most)):
                after = tuple(count + change.get(at, 0) for at, count in enumerate(state))
                within += chance if after in number else 0.0
                if after in number and after != state:
                    rate[number[state], number[after]] += chance * total
            leaving[number[state]] += total * (1.0 - within)
    return states, rate, leaving


def linear_rates(cell: Plain) -> tuple[Array, Array, Array, Array]:
    """Return A, c, B, d of x' = A x + c and of the noise B x + d (n, n) of linear reactions, by their words."""
    n = len(cell.amounts)
    slope, constant = np.zeros((n, n)), np.zeros(n)
    noise_slope, noise = np.zeros((n, n, n)), np.zeros((n, n))
    for reaction in cell.reactions:
        change = np.zeros(n)
        for at, step in reaction.change.items():
            change[at] = step
        first, second = (reaction.burst, reaction.burst + 2.0 * reaction.burst**2) if reaction.burst else (1.0, 1.0)
        floor = reaction.rate(np.zeros(n))
        weights = np.array([reaction.rate(unit) - floor for unit in np.eye(n)])
        constant += first * change * floor
        slope += first * np.outer(change, weights)
        noise += second * np.outer(change, change) * floor
        noise_slope += second * np.multiply.outer(np.outer(change, change), weights)
    return slope, constant, noise_slope, noise


def linear_moments(cell: Plain) -> tuple[Array, Array]:
    """Return the exact stationary mean and covariance where all rates are linear."""
    slope, constant, noise_slope, noise = linear_rates(cell)
    n = constant.size
    mean = solve(slope, -constant)
    both = np.kron(slope, np.eye(n)) + np.kron(np.eye(n), slope)
    return mean, solve(both, -(noise_slope @ mean + noise).ravel()).reshape(n, n)


def gillespie(
    cell: Plain,
    start: Sequence[int],
    hours: float,
    rng: np.random.Generator,
    *,
    stop: Callable[[State], bool] | None = None,
) -> tuple[list[int], float]:
    """Return the state after so many hours, or when `stop` is first true, and the time; the direct method, plainly."""
    state, time = list(start), 0.0
    while not (stop is not None and stop(state)):
        rates = [reaction.rate(state) for reaction in cell.reactions]
        time += rng.exponential(1.0 / sum(rates))
        if time > hours:
            return state, hours
        chosen = cell.reactions[int(np.searchsorted(np.cumsum(rates), rng.random() * sum(rates), side="right"))]
        size = rng.geometric(1.0 / (1.0 + chosen.burst)) - 1 if chosen.burst else 1
        for at, step in chosen.change.items():
            state[at] += step * size
    return state, time
