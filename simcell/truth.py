"""What is true of a screen: responses of the mean field and of an ensemble, direct and total effects, steadiness.

In: a screen. Out: arrays by time, perturbation and gene, as they stand in the groups `/truth/*` of a data set.

All perturbations of the ensemble share the noise of their cells (common random numbers), and a gene's own noise is
averaged out in closed form; so a gene that a perturbation cannot reach has exactly the control's mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from simcell.cell import CellModel
from simcell.effects import NOTHING, CellEffects
from simcell.engines.ode import Ode, OdeState
from simcell.guides import GuideLibrary
from simcell.labels import CONTROL
from simcell.profiles import log_profile
from simcell.random import Purpose, kernel_key, stream
from simcell.threads import block_slices, map_threads

if TYPE_CHECKING:
    from simcell.screen import Screen

# A state is settled when no gene or protein is farther than this from its steady state, over its wild-type level; the
# steady state is where the noise-free cell is after so many lifetimes of the wild type's slowest mode more.
SETTLED = 0.02
LIFETIMES_TO_REST = 12.0


@dataclass(frozen=True, eq=False)
class Response:
    """True means, molecules per cell; T times, P perturbations (control first), G genes.

    Attributes:
        mean_field: (T, P, G) of the noise-free cell, averaged over the states of a perturbation's cells.
        ensemble_mean: (T, P, G), ensemble_se: (T, P, G) its standard error. log_profile: (T, P, G) at endless depth.
        settled: (T, P) whether every noise-free state had come to rest.
    """

    times: tuple[float, ...]
    perturbations: tuple[str, ...]
    mean_field: NDArray[np.float64]
    ensemble_mean: NDArray[np.float64]
    ensemble_se: NDArray[np.float64]
    log_profile: NDArray[np.float64]
    settled: NDArray[np.bool_]
    ensemble_cells: int


def true_response(screen: Screen, *, n_threads: int | None = None, progress: bool = True) -> Response:
    """Return the true response of a screen to every planned perturbation at every sampling time."""
    perturbations = screen.library.perturbations
    mean_field, settled = _mean_field(screen, n_threads=n_threads, progress="mean field" if progress else None)
    mean, error = _ensemble(screen, n_threads=n_threads, progress="true responses" if progress else None)
    return Response(
        times=screen.timeline.sampled_at,
        perturbations=perturbations,
        mean_field=mean_field,
        ensemble_mean=mean,
        ensemble_se=error,
        log_profile=log_profile(screen.assay.through(mean)),
        settled=settled,
        ensemble_cells=ensemble_size(screen),
    )


def direct_effects(model: CellModel) -> NDArray[np.float64]:
    """Return (R, G) elasticities at the wild type: d ln activity of each gene by d ln level of each regulator."""
    slope = model.regulation.slope(model.basal, model.strength, model.edges, model.reference_levels)
    own = model.network_edges
    out = np.zeros((model.network.n_regulators, model.network.n_genes))
    source, target = model.edges.source[own], model.edges.target[own]
    out[source, target] = slope[own] / model.activity[target]
    return out


def total_effects(model: CellModel) -> NDArray[np.float64]:
    """Return (R, G) d ln mean of each gene by d ln production of each regulator, at the wild type's steady state.

    With elasticities e (R, G), those among regulators E (R, R), and I the identity: every mean obeys
    d ln mean_g = d ln production_g + sum_r e_rg d ln mean_r, so regulators among themselves follow L = (I - E)^-1 and
    all genes follow I + L e. Source: the linear response of a steady state (Hofmeyr, Eur. J. Biochem. 186 (1989)).
    """
    direct = direct_effects(model)
    regulators = model.network.regulators
    among = direct[:, regulators]
    passed_on = np.linalg.solve(np.eye(regulators.size) - among, np.eye(regulators.size))
    own = np.zeros_like(direct)
    own[np.arange(regulators.size), regulators] = 1.0
    return own + passed_on @ direct


def _construct_groups(library: GuideLibrary) -> list[list[int]]:
    """Return the constructs of each planned perturbation."""
    row = {label: number for number, label in enumerate(library.perturbations)}
    groups: list[list[int]] = [[] for _ in row]
    for construct, label in enumerate(library.labels):
        groups[row[label]].append(construct)
    return groups


def _mean_field(
    screen: Screen, *, n_threads: int | None, progress: str | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the mean-field response (T, P, G) and whether it has settled (T, P)."""
    plan, model = screen.course(engine="ode"), screen.model
    engine = plan.engine
    assert isinstance(engine, Ode)
    n_arms = len(screen.library.perturbations)
    arm, weight, effects = _states(screen)
    key = kernel_key(screen.spec.seed, Purpose.TRUTH)  # not used without noise
    times = screen.timeline.sampled_at
    media = [screen.timeline.medium_at(time) or screen.spec.reference_medium for time in times]

    def respond(block: slice) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        cells = np.arange(block.start, block.stop, dtype=np.int64)
        start, here = plan.start(cells=cells, key=key), effects.take(block)
        seen = [now.copy() for now in plan.follow(start, here, cells=cells, key=key)]
        settled = np.empty((len(seen), cells.size), dtype=bool)
        for medium in dict.fromkeys(media):  # cells of a sample have settled if they would stay so in its medium
            taken = [number for number, name in enumerate(media) if name == medium]
            end = seen[taken[-1]].copy()
            engine.advance(
                end,
                here,
                signals=plan.media[medium],
                time=times[taken[-1]],
                hours=LIFETIMES_TO_REST / model.slowest_rate,
                key=key,
                cells=cells,
            )
            scale = _scale(model, end)
            # at rest: what is left of the slope would move an amount by a tenth of SETTLED in its own lifetime
            rests = (np.abs(engine.slope(end, here)) <= 0.1 * SETTLED * _speed(model, end) * scale).all(axis=0)
            for number in taken:
                near = np.abs(seen[number].amounts - end.amounts) <= SETTLED * scale
                settled[number] = rests & near.all(axis=0)
        return np.stack([now.amounts[: model.network.n_genes].T for now in seen]), settled

    # each lane takes its own number of steps: few should wait for one
    blocks = block_slices(arm.size, lanes=engine.lanes // 4)
    found = map_threads(respond, blocks, n_threads=n_threads, progress=progress)
    share = csr_array((weight, (arm, np.arange(arm.size))), shape=(n_arms, arm.size))
    every = np.concatenate([mean for mean, _ in found], axis=1)
    belongs = csr_array((np.ones(arm.size), (arm, np.arange(arm.size))), shape=share.shape)
    unsettled = np.stack([belongs @ ~rest for rest in np.concatenate([rest for _, rest in found], axis=1)])
    return np.stack([share @ mean for mean in every]), unsettled == 0


def _states(screen: Screen) -> tuple[NDArray[np.int64], NDArray[np.float64], CellEffects]:
    """Return all states of all constructs as N cells: the arm of each, its share of that arm, and its effects."""
    arms, weights, effects = [], [], []
    for number, constructs in enumerate(_construct_groups(screen.library)):
        # without noise, controls are all alike
        kept = constructs[:1] if screen.library.labels[constructs[0]] == CONTROL else constructs
        for construct in kept:
            probability, states = screen.library.combined_states(construct, transduced_at=screen.transduced_at)
            arms.append(np.full(probability.size, number))
            weights.append(probability / len(kept))
            effects.append(states)
    return np.concatenate(arms), np.concatenate(weights), CellEffects.join(effects)


def _scale(model: CellModel, state: OdeState) -> NDArray[np.float64]:
    """Return (N, 1) the wild type's amounts, in the order of a noise-free state."""
    parts = [model.mean, np.ones(model.network.n_regulators), model.unspliced_mean]
    return np.concatenate(parts)[: state.amounts.shape[0], None]


def _speed(model: CellModel, state: OdeState) -> NDArray[np.float64]:
    """Return (N, 1) the rates of loss per hour, in the same order."""
    parts = [model.decay, model.protein_decay, model.splicing_rate + model.growth]
    return np.concatenate(parts)[: state.amounts.shape[0], None]


def _ensemble(
    screen: Screen, *, n_threads: int | None, progress: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ensemble mean and its standard error, (T, P, G) each; every construct of an arm counts alike."""
    n_cells, groups = ensemble_size(screen), _construct_groups(screen.library)
    most = max(len(constructs) for constructs in groups[1:])
    plan = screen.course()
    blocks = block_slices(n_cells, lanes=plan.engine.lanes)
    key = kernel_key(screen.spec.seed, Purpose.TRUTH)
    numbers = np.arange(n_cells, dtype=np.int64)
    # before the perturbation all arms are the same cells, so that they are simulated once
    begun = map_threads(
        lambda block: plan.start(cells=numbers[block], key=key, expected=True),
        blocks,
        n_threads=n_threads,
    )

    def respond(arm: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        constructs = groups[arm]
        # the control has as many strata as others: what an arm does not reach then has the control's mean to the bit
        n_strata = most if screen.library.labels[constructs[0]] == CONTROL else len(constructs)
        effects = _arm(screen, constructs, arm, n_cells)
        stratum = np.eye(n_strata)[numbers % n_strata]
        sizes = stratum.sum(axis=0)
        shape = (len(screen.timeline.sampled_at), screen.model.network.n_genes, n_strata)
        total, square = np.zeros(shape), np.zeros(shape)
        for block, state in zip(blocks, begun, strict=True):
            follow = plan.follow(state.copy(), effects.take(block), cells=numbers[block], key=key)
            for number, now in enumerate(follow):
                expected = plan.engine.expectation(now).T.astype(np.float64)
                total[number] += expected @ stratum[block]
                square[number] += expected**2 @ stratum[block]
        variance = np.maximum(square / sizes - (total / sizes) ** 2, 0.0) * sizes / (sizes - 1)
        return total.sum(axis=-1) / n_cells, np.sqrt((variance / sizes).sum(axis=-1)) / n_strata

    found = map_threads(respond, range(len(groups)), n_threads=n_threads, progress=progress)
    return np.stack([mean for mean, _ in found], axis=1), np.stack([error for _, error in found], axis=1)


def ensemble_size(screen: Screen) -> int:
    """Return the number of cells of each arm: at least as the specification says, and whole turns of its constructs."""
    turn = math.lcm(*(len(constructs) for constructs in _construct_groups(screen.library)[1:]))
    return turn * max(2, math.ceil(screen.spec.truth.cells_per_perturbation / turn))


def _arm(screen: Screen, constructs: list[int], arm: int, n_cells: int) -> CellEffects:
    """Return the effects in the ensemble of one arm: its constructs in turn, their states drawn by chance."""
    carried = [screen.library.constructs[construct] for construct in constructs]
    table = np.full((len(carried), max(map(len, carried))), NOTHING, np.int32)
    for row, guides in enumerate(carried):
        table[row, : len(guides)] = guides
    every = table[np.arange(n_cells) % len(carried)]
    uniform = stream(screen.spec.seed, Purpose.TRUTH, arm).random(every.shape)
    return screen.library.effects(every, uniform=uniform, transduced_at=screen.transduced_at)
