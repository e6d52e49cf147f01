"""The master equation by finite state projection, against plain loops over states, dense algebra and closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from helpers_theory import dense_generator, plain
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.stats import nbinom, poisson

from simcell import theory
from simcell.calibration import SignalEdge, calibrate
from simcell.cell import CellModel
from simcell.circuits import cascade, toggle_switch
from simcell.errors import SpecError
from simcell.network import Network
from simcell.theory import master_equation
from simcell.theory.examples import self_repressing_gene

FEW: dict[str, Any] = {
    "half_life": 2.0,
    "burst_size": 1.5,
    "activity": 0.3,
    "fold": 5.0,
    "hill": 2.0,
    "protein_half_life": 4.0,
    "proteins_per_mrna": 2.0,
    "doubling_time": 20.0,
}


def one_gene(**changes: Any) -> CellModel:
    network = Network(("A",), np.array([0]), np.array([0]), np.array([-1]))
    return calibrate(network, **{"mean": 1.2} | FEW | changes)


def two_genes(**changes: Any) -> CellModel:
    settings = {"mean": np.array([1.0, 0.7]), "half_life": np.array([2.0, 3.0])}
    return calibrate(toggle_switch(), **FEW | settings | changes)


def follower(**changes: Any) -> CellModel:
    """Return a regulator and its target, which has no protein."""
    return calibrate(cascade(2), **FEW | {"mean": np.array([1.0, 0.7])} | changes)


CASES: dict[str, tuple[CellModel, dict[str, Any]]] = {
    "poisson": (one_gene(promoter="poisson"), {"mrna": 5, "protein": 7}),
    "bursty": (one_gene(), {"mrna": 6, "protein": 7}),
    "telegraph": (one_gene(promoter="telegraph"), {"mrna": 5, "protein": 6}),
    "telegraph, spliced": (
        one_gene(promoter="telegraph", splicing_half_life=0.5),
        {"mrna": 4, "protein": 4, "unspliced": 3},
    ),
    "bursty, spliced": (one_gene(splicing_half_life=0.5), {"mrna": 4, "protein": 4, "unspliced": 5}),
    "two genes": (two_genes(), {"mrna": [3, 4], "protein": [4, 3]}),
    "two telegraphs": (two_genes(promoter="telegraph"), {"mrna": 2, "protein": [2, 3]}),
    "follower": (follower(promoter="poisson"), {"mrna": [3, 4], "protein": 4}),
}


def box(space: theory.StateSpace) -> list[int]:
    return [extent - 1 for extent in space.shape]


@pytest.mark.parametrize("name", CASES)
def test_rates_are_those_of_the_reactions(name: str) -> None:
    model, bounds = CASES[name]
    settings = {"transcription": 0.6, "translation": 1.7, "size": 1.3}
    factors = {
        key: np.append(settings[key], np.ones(n - 1))
        for key, n in (("transcription", model.network.n_genes), ("translation", model.network.n_regulators))
    }
    space = theory.state_space(model, **bounds, size=1.3, **factors)
    cell = plain(model, **settings)
    assert list(zip(space.counts.kind, space.counts.gene, strict=True)) == cell.amounts
    states, rate, leaving = dense_generator(cell, box(space))
    assert [tuple(column) for column in space.counts.value.T.tolist()] == states
    np.testing.assert_allclose(space.rate.toarray(), rate, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(space.leak, leaving, rtol=1e-9, atol=1e-12)


def test_states_that_are_kept() -> None:
    model = two_genes()
    whole = theory.state_space(model, mrna=3, protein=3)

    def keep(counts: theory.Counts) -> NDArray[np.bool_]:
        return counts.of("protein", 0) + counts.of("protein", 1) <= 4

    part = theory.state_space(model, mrna=3, protein=3, keep=keep)
    kept = keep(whole.counts)
    np.testing.assert_array_equal(part.counts.value, whole.counts.value[:, kept])
    np.testing.assert_allclose(part.rate.toarray(), whole.rate.toarray()[np.ix_(kept, kept)])
    np.testing.assert_allclose(part.exit, whole.exit[kept], rtol=1e-12)
    state = {("mrna", 0): 2, ("protein", 1): 3}
    assert part.counts.value[:, part.index(state)].tolist() == [2, 0, 0, 3]
    with pytest.raises(SpecError, match=r"^state: .* is not one that is kept$"):
        part.index({("protein", 0): 2, ("protein", 1): 3})
    with pytest.raises(SpecError, match=r"^protein 1: 4 is not from 0 to 3$"):
        part.index({("protein", 1): 4})
    with pytest.raises(
        SpecError, match=r"^amount: 'unspliced 0' is not one of this circuit: mrna 0, protein 0, mrna 1"
    ):
        part.counts.of("unspliced")


def test_transient_laws_and_their_truncation() -> None:
    model = one_gene(promoter="poisson")
    space = theory.state_space(model, mrna=6, protein=9)
    _, rate, leaving = dense_generator(plain(model), box(space))
    change = rate.T - np.diag(rate.sum(axis=1) + leaving)
    start = np.zeros(space.n_states)
    start[space.index({("mrna", 0): 2, ("protein", 0): 3})] = 1.0
    times = [0.0, 0.5, 0.5, 9.0]
    found, missing = theory.transient(space, start, times)
    for time, law in zip(times, found, strict=True):
        np.testing.assert_allclose(law, expm(change * time) @ start, atol=1e-12)
    # the error is what the law in a larger box has more, state by state and in sum
    large = theory.state_space(model, mrna=24, protein=40)
    begin = np.zeros(large.n_states)
    begin[large.index({("mrna", 0): 2, ("protein", 0): 3})] = 1.0
    truth, none = theory.transient(large, begin, times)
    inside = np.all(large.counts.value <= np.array([[6], [9]]), axis=0)
    more = truth[:, inside] - found
    assert none.max() < 1e-12
    assert more.min() > -1e-12
    assert missing[-1] > 0.01
    np.testing.assert_allclose(more.sum(axis=1) + truth[:, ~inside].sum(axis=1), missing, atol=1e-10)


def test_long_times_and_times_out_of_order() -> None:
    space = theory.state_space(one_gene(), mrna=40, protein=40)
    start = np.zeros(space.n_states)
    start[0] = 1.0
    late, _ = theory.transient(space, start, [300.0])
    law = theory.stationary(space)
    np.testing.assert_allclose(late[0], law.chance, atol=1e-6)
    with pytest.raises(SpecError, match=r"^times: \[2.0, 1.0\] is not ascending from 0$"):
        theory.transient(space, start, [2.0, 1.0])
    with pytest.raises(SpecError, match=r"^start: 'of shape \(3,\)' is not a chance for each of 1681 states$"):
        theory.transient(space, np.ones(3), [1.0])


@pytest.mark.parametrize("promoter", ["poisson", "bursty", "telegraph"])
@pytest.mark.parametrize("size", [1.0, 0.6])
def test_stationary_law_of_a_lone_gene(promoter: str, size: float) -> None:
    model = one_gene(promoter=promoter, fold=1.0)
    space = theory.state_space(model, mrna=34 if promoter == "bursty" else 20, protein=60, size=size)
    law = theory.stationary(space)
    assert law.chance.sum() == pytest.approx(1.0)
    assert law.truncation < 1e-5
    count = np.arange(20)
    mean, decay = size * 1.2, model.decay[0]
    on = {"activity": 0.3, "switching_rate": model.switching_rate[0], "production": size * model.max_rate[0]}
    expected = {
        "poisson": lambda: poisson(mean).pmf(count),
        "bursty": lambda: nbinom(mean / 1.5, 1.0 / 2.5).pmf(count),
        "telegraph": lambda: theory.telegraph_law(**on, decay=decay).pmf(count),
    }[promoter]()
    found = theory.count_marginal(space, law.chance, "mrna")
    np.testing.assert_allclose(found.pmf(count), expected, atol=1e-6)
    _, covariance = theory.count_moments(space, law.chance)
    kept = [space.counts.axis("mrna"), space.counts.axis("protein")]
    rates = {"mean": mean, "protein_mean": 2.0 * mean, "decay": decay, "protein_decay": model.protein_decay[0]}
    if promoter == "telegraph":
        exact = theory.telegraph_two_stage_covariance(**rates, activity=0.3, switching_rate=on["switching_rate"])
    else:
        exact = theory.two_stage_covariance(**rates, burst=1.5 if promoter == "bursty" else 0.0)
    np.testing.assert_allclose(covariance[np.ix_(kept, kept)], exact, rtol=1e-4)


def test_truncation_of_a_stationary_law_is_about_its_error() -> None:
    model = self_repressing_gene()
    large = theory.state_space(model, mrna=60, protein=110)
    truth = theory.stationary(large)
    assert truth.truncation < 1e-5
    for mrna, protein in ((16, 110), (60, 45), (12, 40)):
        space = theory.state_space(model, mrna=mrna, protein=protein)
        law = theory.stationary(space)
        inside = np.all(large.counts.value <= np.array([[mrna], [protein]]), axis=0)
        error = np.abs(truth.chance[inside] - law.chance).sum() + truth.chance[~inside].sum()
        assert 0.01 * law.truncation < error < law.truncation


def test_relaxation_is_the_slowest_mode() -> None:
    # a pair of complex rates, one real rate, and two that are nearly equal
    for changes in ({}, {"fold": 1.0}, {"fold": 1.0, "half_life": 4.0, "promoter": "poisson"}):
        model = one_gene(**changes)
        space = theory.state_space(model, mrna=12, protein=16)
        _, rate, _ = dense_generator(plain(model), box(space))
        values = np.sort(np.linalg.eigvals(rate.T - np.diag(rate.sum(axis=1))).real)
        assert theory.stationary(space).relaxation == pytest.approx(-1.0 / values[-2], rel=0.01)


def test_after_a_guide() -> None:
    # a lone gene after a knock-down: from its stationary law, by the closed form
    model = one_gene(fold=1.0)
    space = theory.state_space(model, mrna=34, protein=1)
    settled = theory.stationary(space).chance
    down = theory.state_space(model, mrna=34, protein=1, transcription=0.25)
    found, _ = theory.transient(down, settled, [3.0])
    law = theory.count_marginal(down, found[0], "mrna")
    exact = theory.transient_count_law(3.0, target=0.3, burst=1.5, decay=model.decay[0], start_mean=1.2)
    # a protein too many leaves the box, so that what is left is compared with its sum
    np.testing.assert_array_less(law.chance, exact.pmf(np.arange(35)) + 1e-9)
    wide = theory.state_space(model, mrna=34, protein=60, transcription=0.25)
    before = theory.stationary(theory.state_space(model, mrna=34, protein=60)).chance
    found, missing = theory.transient(wide, before, [3.0])
    law = theory.count_marginal(wide, found[0], "mrna")
    assert missing[0] < 1e-6
    np.testing.assert_allclose(law.chance, exact.pmf(np.arange(35)), atol=1e-6)


def test_a_medium_changes_rates() -> None:
    heated = {"signals": ("heat",), "signal_edges": [SignalEdge("heat", "A", 1, 4.0)]}
    model = one_gene(**heated)
    field = theory.mean_field(model, medium={"heat": 3.0})
    space = theory.state_space(model, mrna=4, protein=4, medium={"heat": 3.0})
    here, there = ({("mrna", 0): m, ("protein", 0): 2} for m in (1, 2))
    rate = space.rate[space.index(here), space.index(there)]
    activity = field.activity(np.array([2.0 / model.protein_mean[0]]))[0]
    assert rate == pytest.approx(model.max_rate[0] * activity / 1.5 * (1.0 / 2.5) * (1.5 / 2.5))
    assert activity > theory.mean_field(model).activity(np.array([2.0 / model.protein_mean[0]]))[0]


def birth_death_passage(birth: float, death: float, start: int, goal: int) -> float:
    """Return the mean time from `start` up to `goal`, by the sums of van Kampen, section XII.2."""
    law = poisson(birth / death)
    return float(sum(law.cdf(n) / (birth * law.pmf(n)) for n in range(start, goal)))


def test_first_passage_up_a_birth_death_chain() -> None:
    model = one_gene(promoter="poisson", fold=1.0, proteins_per_mrna=1e-6)
    space = theory.state_space(model, mrna=9, protein=3)
    found = theory.first_passage(space, space.counts.of("mrna") >= 5)
    birth, death = 1.2 * model.decay[0], model.decay[0]
    for start in range(5):
        expected = birth_death_passage(birth, death, start, 5)
        assert found.hours[space.index({("mrna", 0): start})] == pytest.approx(expected, rel=1e-5)
    assert found.hours[space.index({("mrna", 0): 6})] == 0.0
    assert found.leaving.max() < 1e-3


def test_first_passage_and_what_truncation_does_to_it() -> None:
    model = two_genes()
    space = theory.state_space(model, mrna=[3, 4], protein=[5, 4])
    _, rate, leaving = dense_generator(plain(model), box(space))
    region = space.counts.of("protein", 1) >= 3
    outside = np.flatnonzero(~region)
    matrix = np.diag((rate.sum(axis=1) + leaving)[outside]) - rate[np.ix_(outside, outside)]
    found = theory.first_passage(space, region)
    np.testing.assert_allclose(found.hours[outside], np.linalg.solve(matrix, np.ones(outside.size)), rtol=1e-9)
    np.testing.assert_allclose(found.leaving[outside], np.linalg.solve(matrix, leaving[outside]), rtol=1e-8)
    among = (space.counts.of("protein", 0) == 2) & (space.counts.of("protein", 1) == 0)
    assert found.of(among / 7.0) == pytest.approx(found.hours[among].mean())
    # a bound from below, that tightens as states are added
    state, model = {("mrna", 0): 1, ("protein", 0): 2}, two_genes(promoter="poisson")
    hours, chances = [], []
    for mrna, protein in (([3, 4], [5, 4]), ([5, 6], [8, 4]), ([8, 8], [13, 4])):
        space = theory.state_space(model, mrna=mrna, protein=protein)
        passage = theory.first_passage(space, space.counts.of("protein", 1) >= 3)
        hours.append(passage.hours[space.index(state)])
        chances.append(passage.leaving[space.index(state)])
    assert hours[0] < hours[1] < hours[2]
    assert chances[0] > 0.2 > chances[1] > 0.01 > chances[2]
    with pytest.raises(SpecError, match=r"^region: '0 states' is not some but not all$"):
        theory.first_passage(space, np.zeros(space.n_states, bool))


def test_elimination_and_iteration_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    space = theory.state_space(two_genes(), mrna=6, protein=9)
    region = space.counts.of("protein", 1) >= 5
    exact, passage = theory.stationary(space), theory.first_passage(space, region)
    monkeypatch.setattr(master_equation, "MOST_ELIMINATED", 10)
    found, again = theory.stationary(space), theory.first_passage(space, region)
    np.testing.assert_allclose(found.chance, exact.chance, atol=1e-10)
    assert found.relaxation == pytest.approx(exact.relaxation, rel=1e-3)
    np.testing.assert_allclose(again.hours, passage.hours, rtol=1e-6)


def refusals() -> Sequence[tuple[str, CellModel, dict[str, Any]]]:
    small = {"mrna": 5, "protein": 5}
    return [
        (r"^network: '3 genes' is not a circuit of at most 2", calibrate(cascade(3), mean=2.0, **FEW), small),
        (r"^states: 2500050000 is not at most 400000", one_gene(), {"mrna": 49_999, "protein": 50_000}),
        (r"^cell.division: True is not allowed here", one_gene(division=True), small),
        (r"^unspliced: 3 is not given exactly where", one_gene(), small | {"unspliced": 3}),
        (r"^unspliced: None is not given exactly where", one_gene(splicing_half_life=0.5), small),
        (r"^mrna: 0 is not a whole number >= 1", one_gene(), {"mrna": 0, "protein": 5}),
        (
            r"^states: 0 is not from 1 to 400000; keep others",
            one_gene(),
            small | {"keep": lambda counts: counts.of("mrna") > 9},
        ),
    ]


@pytest.mark.parametrize(("match", "model", "settings"), refusals())
def test_refusals(match: str, model: CellModel, settings: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=match):
        theory.state_space(model, **settings)
