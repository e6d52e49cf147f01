"""The toggle switch's modes and switching times, the repressilator's period, and the worked circuits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from simcell import theory
from simcell.cell import CellModel
from simcell.errors import SimcellError, SpecError
from simcell.theory.examples import (
    TOGGLE_STATES,
    keep_toggle,
    oscillating_repressilator,
    self_repressing_gene,
    switching_toggle,
)


def mutual_repression(model: CellModel, q: float) -> float:
    """Return the level of one protein of a symmetric toggle where the other's is held at q, by its formula."""
    half, weight, hill = model.half_response[0], model.strength[0], model.hill[0]
    x = (q / half) ** hill
    odds = model.basal[0] * (1.0 + weight * x) / (1.0 + x)
    return float(odds / (1.0 + odds) / model.activity[0])


def test_fixed_points_of_a_toggle() -> None:
    model = switching_toggle()
    points = theory.fixed_points(model)
    assert [point.stable for point in points] == [True, False, True]

    def excess(q: float) -> float:
        return mutual_repression(model, mutual_repression(model, q)) - q

    low, high = brentq(excess, 1e-3, 0.5), brentq(excess, 1.5, 4.9)
    np.testing.assert_allclose(points[0].levels, [low, high], rtol=1e-7)
    np.testing.assert_allclose(points[1].levels, [1.0, 1.0], rtol=1e-7)
    np.testing.assert_allclose(points[2].levels, [high, low], rtol=1e-7)
    np.testing.assert_allclose(points[2].amounts, [0.4 * high, 0.4 * low, 3.2 * high, 3.2 * low], rtol=1e-7)
    # the rate equations do go there
    field = theory.mean_field(model)
    begin = field.amounts(np.array([1.2, 0.9]))
    path = solve_ivp(lambda t, x: field.drift(x), (0.0, 400.0), begin, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(path.y[:, -1], points[2].amounts, rtol=1e-5)


def test_a_guide_leaves_a_toggle_one_state() -> None:
    points = theory.fixed_points(switching_toggle(), transcription=np.array([0.2, 1.0]))
    assert [point.stable for point in points] == [True]
    assert points[0].levels[1] > 2.0


def small_toggle(model: CellModel) -> theory.Toggle:
    """Return a toggle of half the proteins and fewer states."""

    def keep(counts: theory.Counts) -> NDArray[np.bool_]:
        mrna = counts.of("mrna", 0) + counts.of("mrna", 1)
        return (mrna <= 9) & (counts.of("protein", 0) + counts.of("protein", 1) <= 26)

    return theory.toggle(model, mrna=9, protein=26, keep=keep)


def test_modes_and_switching_of_a_toggle() -> None:
    found = small_toggle(switching_toggle(proteins_per_mrna=4.0, half_response=0.5))
    space, law = found.space, found.law
    (a, b), second = found.peaks
    assert second == (b, a)
    assert {a, b} == {0, max(a, b)}
    assert found.peak_chance[0] == pytest.approx(found.peak_chance[1], rel=1e-6)
    there, back = found.switching_hours
    assert there == pytest.approx(back, rel=1e-6)
    # two states that are kept for long: the law relaxes from the one mode at twice the rate of switching
    first, other = (space.counts.of("protein", gene) for gene in (0, 1))
    start = np.zeros(space.n_states)
    start[found.start_first] = 1.0
    times = np.array([30.0, 60.0, 120.0])
    laws, missing = theory.transient(space, start, list(times))
    assert missing[-1] < 5e-3
    ahead = laws[:, first > other].sum(axis=1) - laws[:, other > first].sum(axis=1)
    np.testing.assert_allclose(np.log(ahead[1:] / ahead[:-1]), -np.diff(times) / law.relaxation, rtol=0.02)
    assert 0.5 < 2.0 * law.relaxation / there < 1.0  # to cross the middle takes less than to reach the other mode
    assert found.to_second.leaving[found.start_first] < 0.02


def test_a_lopsided_toggle_stays_longer_where_it_is_likelier() -> None:
    settings: dict[str, Any] = {"proteins_per_mrna": 4.0, "half_response": np.array([0.5, 0.55])}
    found = small_toggle(switching_toggle(**settings))
    first, other = (found.space.counts.of("protein", gene) for gene in (0, 1))
    chance = found.law.chance
    odds = chance[first > other].sum() / chance[other > first].sum()
    there, back = found.switching_hours
    assert odds > 1.1 or odds < 0.9
    assert there / back == pytest.approx(odds, rel=0.1)


def test_what_is_no_toggle() -> None:
    with pytest.raises(SpecError, match=r"^network: '1 regulators' is not two genes, both of them regulators$"):
        theory.toggle(self_repressing_gene(), mrna=5, protein=5)
    with pytest.raises(SpecError, match=r"^cell: 'with 1 peaks of its stationary law' is not a toggle switch"):
        theory.toggle(switching_toggle(fold=1.5), mrna=4, protein=10)


def ring(model: CellModel, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the drift of three genes that repress each other in a ring, by the words of docs/model.md."""
    mrna, protein = x[:3], x[3:]
    level = protein / (20.0 * 60.0)
    out = np.empty(6)
    decay = np.log(2.0) / 2.0
    for gene in range(3):
        occupied = (level[gene - 1] / 0.5) ** 4
        odds = model.basal[gene] * (1.0 + occupied / 1000.0) / (1.0 + occupied)
        out[gene] = decay * (60.0 / 0.1 * odds / (1.0 + odds) - mrna[gene])
        out[3 + gene] = decay * (20.0 * mrna[gene] - protein[gene])
    return out


def test_period_of_the_repressilator() -> None:
    model = oscillating_repressilator(proteins_per_mrna=20.0)
    cycle = theory.limit_cycle(model)
    times = np.arange(600.0, 1200.0, 0.01)
    begin = np.array([60.0, 90.0, 40.0, 1200.0, 900.0, 1500.0])
    path = solve_ivp(lambda t, x: ring(model, x), (0, 1200), begin, method="LSODA", t_eval=times, rtol=1e-9, atol=1e-9)
    first = path.y[3] - 1200.0
    up = np.flatnonzero((first[:-1] < 0.0) & (first[1:] >= 0.0))
    crossing = times[up] - 0.01 * first[up] / (first[up + 1] - first[up])
    np.testing.assert_allclose(np.diff(crossing), cycle.period, rtol=1e-5)
    np.testing.assert_allclose(cycle.high, path.y.max(axis=1), rtol=1e-3)
    np.testing.assert_allclose(cycle.low, path.y.min(axis=1), rtol=1e-2)
    # a third of a period later, another gene is where this one was
    points = cycle.at([0.0, cycle.period / 3.0, 2.0 * cycle.period / 3.0, cycle.period])
    np.testing.assert_allclose(points[0], points[3], rtol=1e-5)
    np.testing.assert_allclose(np.sort(points[0, 3:]), np.sort(points[1, 3:]), rtol=1e-5)
    assert np.argmax(points[0, 3:]) != np.argmax(points[1, 3:])


def test_hopf_period_is_that_of_a_cycle_just_born() -> None:
    model = oscillating_repressilator(fold=1000.0, hill=1.93)
    field = theory.mean_field(model)
    decay = np.log(2.0) / 2.0
    # (lambda + decay)^2 = decay^2 g e^(+-i pi/3) for a ring of three, g the fall of activity by its logarithm
    gain = -field.gain(np.ones(3))[1, 0] / model.activity[1]
    value = -decay + decay * np.sqrt(gain) * np.exp(1j * np.pi / 6.0)
    wanted = np.linalg.eigvals(field.jacobian(field.fixed_point()))
    assert np.abs(wanted - value).min() < 1e-9
    assert 0.0 < value.real < 0.1 * value.imag
    assert theory.hopf_period(model) == pytest.approx(2.0 * np.pi / value.imag)
    cycle = theory.limit_cycle(model, tolerance=1e-6)
    assert cycle.period == pytest.approx(theory.hopf_period(model), rel=0.03)
    far = oscillating_repressilator()
    assert theory.limit_cycle(far).period > 1.5 * theory.hopf_period(far)


def test_more_steps_take_longer() -> None:
    plain = theory.limit_cycle(oscillating_repressilator()).period
    spliced = theory.limit_cycle(oscillating_repressilator(splicing_half_life=0.5)).period
    switched = theory.limit_cycle(oscillating_repressilator(promoter="telegraph")).period
    assert spliced > plain + 1.0
    assert plain < switched < plain + 1.0  # promoters that go off within minutes


def test_what_does_not_oscillate() -> None:
    with pytest.raises(SimcellError, match=r"^cell: its fixed point is stable"):
        theory.limit_cycle(self_repressing_gene())
    with pytest.raises(SimcellError, match=r"^cell: its first regulator does not come back"):
        theory.limit_cycle(switching_toggle())
    with pytest.raises(SimcellError, match=r"^cell: no limit cycle was reached in 2 rounds$"):
        theory.limit_cycle(oscillating_repressilator(), most_cycles=2)
    assert theory.hopf_period(switching_toggle()) == np.inf


@pytest.mark.slow
def test_the_worked_toggle_stays_about_200_hours() -> None:
    found = theory.toggle(switching_toggle(), **TOGGLE_STATES, keep=keep_toggle)
    assert set(found.peaks) == {(0, 8), (8, 0)}
    assert found.switching_hours == pytest.approx((187.5, 187.5), rel=1e-3)
    assert found.law.truncation < 2e-3


def test_the_worked_gene_is_solved_in_few_states() -> None:
    model = self_repressing_gene()
    assert model.attenuation == 1.0
    law = theory.stationary(theory.state_space(model, mrna=45, protein=100))
    assert law.truncation < 1e-4
