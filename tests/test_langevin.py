"""The engine `langevin` beside its law: strides, the step it chooses, pools of splicing, promoters that are silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_core import make_model, make_network, models, without_noise
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.engines import Langevin
from simcell.engines.langevin import (
    LONGEST_STEP,
    LONGEST_STRIDE,
    STEP_ERROR,
    STRIDE_LIFETIMES,
    carried,
    choose_step,
    make_plan,
)
from simcell.kernels.langevin import group_size
from simcell.random import Purpose, kernel_key
from simcell.run import run_cells

KEY = kernel_key(0, Purpose.DYNAMICS)
# Of followers' means, over the wild type's, after a guide against their regulator that moves it tenfold: how far the
# step and the strides that the engine chooses are from continuous time. Measured: 0.007 after a knock-down at once.
RESPONSE_ERROR = 0.01


# ---------------------------------------------------------------------------------------------------------------------
# strides


@given(st.integers(1, 400), st.sampled_from(range(1, 20, 2)))
def test_strides_cover_every_step_once(n_steps: int, stride: int) -> None:
    sizes = [group_size.py_func(step, n_steps, stride) for step in range(n_steps)]
    covered = [k for step, size in enumerate(sizes) if size for k in range(step - size // 2, step + size // 2 + 1)]
    assert covered == list(range(n_steps))
    taken = [size for size in sizes if size]
    assert all(size % 2 == 1 and size <= stride for size in taken)
    # whole strides up to the last step; at most two cut ones before them
    cut = len([size for size in taken if size < stride])
    assert cut <= 2
    assert taken[cut:] == [stride] * (n_steps // stride)


@settings(max_examples=30)
@given(models(layers=True), st.floats(0.02, 5.0))
def test_a_plan_strides_over_half_a_lifetime_at_most(model: CellModel, step: float) -> None:
    plan, regulators = make_plan(model, step), model.network.regulators
    assert sorted(plan.order) == list(range(model.network.n_genes))
    assert (plan.stride % 2 == 1).all()
    assert (plan.stride[regulators] == 1).all()
    longer = plan.stride > 1
    assert (plan.stride[longer] * step * model.decay[longer] <= STRIDE_LIFETIMES * (1 + 1e-9)).all()
    assert plan.stride.max() <= LONGEST_STRIDE
    if model.splicing_half_life is None:  # and no shorter than they need to be
        follower = np.setdiff1d(np.arange(model.network.n_genes), regulators)
        more = (plan.stride[follower] + 2) * step * model.decay[follower] > STRIDE_LIFETIMES
        assert (more | (plan.stride[follower] == LONGEST_STRIDE)).all()
    # what is left after a stride of 2 j + 1 steps, and what comes in it
    j = np.arange(plan.remaining.shape[1])
    np.testing.assert_allclose(
        plan.remaining[: model.network.n_genes], np.exp(-np.outer(model.decay, step * (2 * j + 1))), rtol=1e-6
    )
    assert ((plan.remaining > 0.0) | (plan.arrived > 0.0)).all()


FAN = make_network([(0, gene, (-1) ** gene) for gene in range(1, 9)])
HALF_LIVES = np.array([6.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 40.0, 100.0])


@pytest.mark.parametrize("splicing", [None, 0.1])
@pytest.mark.parametrize(
    "guide", [{"transcription": 0.0}, {"transcription": 0.1, "constant": 6.0}, {"translation": 0.0}]
)
def test_followers_respond_as_in_continuous_time(guide: dict[str, float], splicing: float | None) -> None:
    model = without_noise(
        make_model(
            FAN,
            half_life=HALF_LIVES,
            fold=20.0,
            protein_half_life=8.0,
            doubling_time=None,
            splicing_half_life=None if splicing is None else splicing * HALF_LIVES,
        )
    )
    guides = CellEffects.of(0, **{"transcription": 1.0} | guide)
    times = [2.0, 5.0, 11.0, 24.0, 48.0, 100.0]

    def far(**changes: Any) -> NDArray[np.float64]:
        """Return by how much followers are off at each time, over the wild type."""
        found = run_cells(model, times=times, n_cells=1, guides=guides, **changes).intensity
        return np.abs(found - exact).values[:, 0, 1:] / model.mean[1:]

    exact = run_cells(model, engine="ode", times=times, n_cells=1, guides=guides).intensity
    assert np.abs(exact[-1, 0] / model.mean - 1.0)[1:].min() > 0.25  # there is something to get wrong
    assert make_plan(model, choose_step(model)).stride.max() >= 5
    assert far().max() < RESPONSE_ERROR
    assert far(step_hours=0.5).max() < RESPONSE_ERROR
    # looked at once: they sleep until six lifetimes before, and wake as their promoter then is
    late = run_cells(model, times=times[-1:], n_cells=1, guides=guides).intensity
    assert (np.abs(late - exact[-1]).values[0, 0] / model.mean).max() < RESPONSE_ERROR


# ---------------------------------------------------------------------------------------------------------------------
# steps


def protein_variances(decay: float, protein_decay: float, step: float) -> tuple[float, float]:
    """Return the variance of a lone protein over that of its mRNA, in the middle and at the end of steps.

    By going through steps until nothing changes: proteins to the middle of the step, mRNA, proteins to its end.
    """
    left, half = np.exp(-decay * step), np.exp(-0.5 * protein_decay * step)
    follow, burst = np.array([[1.0, 0.0], [1.0 - half, half]]), np.diag([left, 1.0])
    covariance, before = np.diag([1.0, 0.0]), np.zeros((2, 2))
    while np.abs(covariance - before).max() > 1e-14:
        before = covariance
        middle = follow @ covariance @ follow.T
        fresh = np.diag([1.0 - left**2, 0.0])
        covariance = follow @ (burst @ middle @ burst + fresh) @ follow.T
    return middle[1, 1], covariance[1, 1]


@settings(max_examples=30)
@given(
    half_life=st.lists(st.floats(0.1, 60.0), min_size=2, max_size=2),
    protein_half_life=st.lists(st.floats(0.1, 60.0), min_size=2, max_size=2),
    doubling_time=st.sampled_from([None, 24.0]),
)
def test_the_step_is_as_long_as_the_noise_of_proteins_allows(
    half_life: list[float], protein_half_life: list[float], doubling_time: float | None
) -> None:
    model = make_model(
        make_network([(0, 1, 1), (1, 0, -1)]),
        half_life=half_life,
        protein_half_life=protein_half_life,
        doubling_time=doubling_time,
    )

    def worst(step: float, *, recorded: bool = False) -> float:
        """Return the largest relative error of a protein's variance, as promoters sense it or as it is recorded."""
        found = [
            protein_variances(delta, gamma, step)[recorded] * (gamma + delta) / gamma - 1.0
            for delta, gamma in zip(model.decay, model.protein_decay, strict=True)
        ]
        return float(np.abs(found).max())

    step = choose_step(model)
    assert 0.0 < step <= LONGEST_STEP
    assert worst(step) <= 1.001 * STEP_ERROR
    assert worst(step, recorded=True) <= worst(step) + 1e-9
    if step < LONGEST_STEP:
        assert worst(1.01 * step) > STEP_ERROR


def test_genes_that_regulate_nothing_do_not_shorten_the_step() -> None:
    chain = make_network([(0, 1, 1)], genes=3)
    slow, fast = (make_model(chain, half_life=[6.0, 6.0, last]) for last in (6.0, 2.0))
    assert choose_step(slow) == pytest.approx(choose_step(fast))
    assert choose_step(make_model(chain, half_life=[2.0, 6.0, 6.0])) < choose_step(slow)
    assert choose_step(make_model(chain, protein_half_life=2.0)) < choose_step(slow)


def test_the_engine_takes_the_step_it_is_given_or_else_its_own() -> None:
    model = make_model(make_network([(0, 1, 1)]))
    assert Langevin(model).step_hours == choose_step(model)
    assert Langevin(model, step_hours=0.3).step_hours == 0.3


# ---------------------------------------------------------------------------------------------------------------------
# pools


@settings(max_examples=25)
@given(models(layers=True), st.floats(0.05, 4.0))
def test_no_cell_has_more_unspliced_transcripts_than_its_pool_stands_for(model: CellModel, step: float) -> None:
    """So that what is left of the pool, the mRNA, is never cut at 0 but for rounding."""
    if model.splicing_half_life is None:
        return
    engine, cells = Langevin(model, step_hours=step), np.arange(50, dtype=np.int64)
    state = engine.start(cells, key=KEY, expected=True)
    guide = CellEffects.of(0, 0.0, n_cells=50)
    engine.advance(state, guide, signals=model.signal_levels(None), time=0.0, hours=40.0, key=KEY, cells=cells)
    n_genes = model.network.n_genes
    for pools in (state.pools, state.expected):
        rest = pools[:n_genes] - carried(model).astype(np.float32)[:, None] * pools[n_genes:]
        assert (rest >= -1e-5 * pools[:n_genes]).all()


@pytest.mark.parametrize("splicing_half_life", [None, 0.5])
@pytest.mark.parametrize("promoter", ["bursty", "poisson"])
def test_a_promoter_that_is_silenced_makes_nothing(promoter: str, splicing_half_life: float | None) -> None:
    network = make_network([(0, 1, 1), (1, 2, 1)])
    model = make_model(network, promoter=promoter, splicing_half_life=splicing_half_life, doubling_time=None)
    guides = CellEffects.of([0, 2], 0.0, n_cells=40)
    data = run_cells(model, times=[0.0, 6.0, 200.0], n_cells=40, guides=guides)
    silenced = data.intensity.values[:, :, [0, 2]]
    if splicing_half_life is None:
        np.testing.assert_allclose(silenced[1], 0.5 * silenced[0], rtol=1e-4, atol=1e-4)
    assert silenced[2].max() < 1e-6
    assert (data.mrna.values[2][:, [0, 2]] == 0).all()
    assert (data.intensity.values[2, :, 1] > 0.0).any()
