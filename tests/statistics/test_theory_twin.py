"""Theory against Gillespie's direct method, written plainly: laws of a circuit, first passage, a lineage that divides.

In: final states of a few thousand cells of `helpers_theory.gillespie`, which knows the words of docs/model.md alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from budget import assert_counts_follow, assert_mean, assert_variance, caught, level
from helpers_theory import Plain, gillespie, plain
from numpy.typing import NDArray

from simcell import theory
from simcell.calibration import calibrate
from simcell.cell import CellModel
from simcell.circuits import toggle_switch
from simcell.network import Network
from simcell.theory.examples import switching_toggle


def circuit(promoter: str, **changes: Any) -> CellModel:
    """Return two genes that repress each other, of few molecules."""
    settings: dict[str, Any] = {
        "mean": np.array([1.0, 0.7]),
        "half_life": 1.5,
        "burst_size": 1.0,
        "activity": 0.3,
        "fold": 20.0,
        "hill": 2.0,
        "protein_half_life": 3.0,
        "proteins_per_mrna": 3.0,
        "doubling_time": 30.0,
    }
    return calibrate(toggle_switch(), promoter=promoter, **settings | changes)


def final_states(cell: Plain, start: list[int], hours: float, n_cells: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    return np.array([gillespie(cell, start, hours, rng)[0] for _ in range(n_cells)])


def check_law(
    found: NDArray[np.int64], model: CellModel, start: dict[tuple[str, int], int], hours: float, *, guide: float
) -> None:
    most = {"mrna": [14, 14] if model.promoter == "bursty" else 8, "protein": [13, 20]}
    space = theory.state_space(model, **most, transcription=np.array([guide, 1.0]))
    law = np.zeros(space.n_states)
    law[space.index(start)] = 1.0
    laws, missing = theory.transient(space, law, [hours])
    assert missing[0] < 0.02, "states"  # of which the sample sees little, as both are compared where they are held
    allowed = level("theory law") / 2.0
    for kind, gene in (("protein", 0), ("mrna", 1)):
        exact = theory.count_marginal(space, laws[0] / laws[0].sum(), kind, gene)
        column = found[:, plain(model).at(kind, gene)]
        column = column[column < exact.chance.size]
        assert_counts_follow(column, exact, allowed, what=f"{kind} {gene}, {model.promoter} promoters")


@pytest.mark.statistical
@pytest.mark.parametrize("promoter", ["poisson", "bursty", "telegraph"])
def test_laws_of_two_genes_after_a_guide(promoter: str) -> None:
    model, hours = circuit(promoter), 4.0
    cell = plain(model, transcription=0.3)
    start = {("mrna", 0): 2, ("protein", 0): 4, ("mrna", 1): 1, ("protein", 1): 1}
    begin = [start.get(amount, 0) for amount in cell.amounts]
    found = final_states(cell, begin, hours, 4000, 51)
    check_law(found, model, start, hours, guide=0.3)
    with caught("protein 0"):  # a guide without effect
        check_law(found, model, start, hours, guide=1.0)
    if promoter == "bursty":
        with caught("mrna 1"):  # a burst size that is off by one
            check_law(found, circuit(promoter, burst_size=2.0), start, hours, guide=0.3)


def check_passage(hours: NDArray[np.float64], model: CellModel) -> None:
    space = theory.state_space(model, mrna=[6, 6], protein=[14, 3])
    passage = theory.first_passage(space, space.counts.of("protein", 1) >= 3)
    at = space.index({("mrna", 0): 1, ("protein", 0): 5})
    assert passage.leaving[at] < 0.001
    expected, allowed = passage.hours[at], level("theory passage")
    assert_mean(hours[:, None], expected, allowed, what="first passage")


@pytest.mark.statistical
def test_mean_first_passage() -> None:
    settings = {"proteins_per_mrna": 4.0, "mean": 0.2, "half_response": 1.0, "protein_half_life": 3.0}
    model = switching_toggle(**settings)
    cell, rng = plain(model), np.random.default_rng(52)
    goal = cell.at("protein", 1)
    begin = [{("mrna", 0): 1, ("protein", 0): 5}.get(amount, 0) for amount in cell.amounts]
    hours = np.array([gillespie(cell, begin, np.inf, rng, stop=lambda s: s[goal] >= 3)[1] for _ in range(2000)])
    check_passage(hours, model)
    with caught("mean of first passage"):  # a half-life of protein that is off by a quarter
        check_passage(hours, switching_toggle(**settings | {"protein_half_life": 3.75}))


def dividing_gene(**changes: Any) -> CellModel:
    settings: dict[str, Any] = {
        "promoter": "poisson",
        "mean": 3.0,
        "half_life": 5.0,
        "burst_size": 1.5,
        "activity": 0.3,
        "fold": 1.0,
        "protein_half_life": 8.0,
        "proteins_per_mrna": 2.0,
        "doubling_time": 6.0,
        "division": True,
    }
    return calibrate(Network(("A",), np.array([0]), np.array([0]), np.array([1])), **settings | changes)


def check_lineage(found: NDArray[np.int64], model: CellModel, age: float) -> None:
    exact = theory.lineage(model, 0, ages=[age])
    limit = level("theory lineage") / 2.0
    variance = np.diag(exact.covariance[0])
    assert_mean(found, exact.mean[0], limit, what="a lineage", variance=variance)
    assert_variance(found, variance, limit, what="a lineage")


def divided_cells(model: CellModel, age: float, n_cells: int, *, drawn: bool = True) -> NDArray[np.int64]:
    """Return mRNA and protein (N, 2) at an age, of cells that halve by draws, or exactly."""
    rng, cell, found = np.random.default_rng(53), plain(model), []
    for _ in range(n_cells):
        state = [4, 8]
        for _ in range(5):  # what is left of the start is a few thousandths of its difference from the mean
            state, _ = gillespie(cell, state, model.doubling_time, rng)
            state = [int(rng.binomial(count, 0.5) if drawn else (count + rng.integers(2)) // 2) for count in state]
        found.append(gillespie(cell, state, age, rng)[0])
    return np.array(found)


@pytest.mark.statistical
def test_a_lineage_that_divides() -> None:
    model, age = dividing_gene(), 0.5
    check_lineage(divided_cells(model, age, 3000), model, age)
    with caught("variance of a lineage"):  # halves that are exact, not drawn
        check_lineage(divided_cells(model, age, 1500, drawn=False), model, age)
    with caught("mean of a lineage"):  # dilution that goes on where cells divide
        check_lineage(divided_cells(replace(model, division=False), age, 500), model, age)
