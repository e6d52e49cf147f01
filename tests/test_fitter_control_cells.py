"""Control cells in the place of perturbed ones: which are drawn, how they are scaled, and that their mean is said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fitters.base import FitterError, Query, TrainingData, checked_fit
from fitters.registry import load
from simcell.profiles import log_profile

GENES = ("B", "A", "D", "C")
LABELS = np.array(["control"] * 6 + ["A"] * 2 + ["B"] * 2)
BATCHES = np.array(["x", "x", "x", "y", "y", "y", "x", "y", "x", "y"])
CONTROLS = np.array([[10, 1, 0, 5], [20, 2, 0, 6], [30, 3, 0, 7], [40, 4, 0, 8], [50, 5, 0, 9], [60, 6, 0, 1]])
PERTURBED = np.array([[40, 0, 4, 20], [80, 0, 4, 16], [50, 1, 0, 40], [90, 1, 0, 30]])


def data_of(order: NDArray[np.integer] | None = None, *, controls: NDArray[np.integer] = CONTROLS) -> TrainingData:
    cells = np.arange(10) if order is None else order
    counts = np.concatenate([controls, PERTURBED])[cells]
    return TrainingData.from_arrays(counts, genes=GENES, perturbation=LABELS[cells], batch=BATCHES[cells])


def sample(name: str, data: TrainingData, **query: object) -> NDArray[np.int32]:
    fit = checked_fit(load(name), data, seed=0)
    cells = fit.predict(Query.of_labels(["A"], **query)).cells
    assert cells is not None
    return cells[0]


def rows(cells: NDArray[np.integer]) -> list[tuple[int, ...]]:
    return sorted(map(tuple, cells.tolist()))


def test_cells_are_controls_and_none_comes_again_before_all_have_come() -> None:
    assert rows(sample("control-cells", data_of(), cells=6)) == rows(CONTROLS)
    twice = sample("control-cells", data_of(), cells=12, seed=3)
    assert rows(twice) == rows(np.concatenate([CONTROLS, CONTROLS]))
    few = rows(sample("control-cells", data_of(), cells=4))
    assert set(few) < set(rows(CONTROLS)) and len(set(few)) == 4


def test_cells_and_means_are_of_the_context_that_is_asked_for() -> None:
    assert rows(sample("control-cells", data_of(), cells=3, batch="y")) == rows(CONTROLS[3:])
    fit = checked_fit(load("control-cells"), data_of(), seed=0)
    found = fit.predict(Query.of_labels(["A", "control"], batch="y")).profile
    np.testing.assert_allclose(found, np.tile(log_profile(CONTROLS[3:].sum(axis=0)), (2, 1)))
    pooled = fit.predict(Query.of_labels(["A"])).profile[0]
    np.testing.assert_allclose(pooled, log_profile(CONTROLS.sum(axis=0)))
    assert rows(sample("control-cells", data_of(), cells=6, time=99.0)) == rows(CONTROLS), "no controls of this time"


@pytest.mark.parametrize("name", ["control-cells", "scaled-control-cells"])
def test_samples_depend_on_seed_and_perturbation_and_not_on_the_order_of_data_or_query(name: str) -> None:
    rng = np.random.default_rng(0)
    data, moved = data_of(), data_of(rng.permutation(10))
    first = sample(name, data, cells=5, seed=1)
    np.testing.assert_array_equal(sample(name, moved, cells=5, seed=1), first)
    assert (sample(name, data, cells=5, seed=2) != first).any()
    both = checked_fit(load(name), data, seed=0).predict(Query.of_labels(["B", "A"], cells=5, seed=1)).cells
    assert both is not None
    np.testing.assert_array_equal(both[1], first)
    assert (both[0] != first).any()
    genes = rng.permutation(4)
    other = TrainingData.from_arrays(
        data.counts[:, genes], genes=np.array(GENES)[genes], perturbation=LABELS, batch=BATCHES
    )
    np.testing.assert_array_equal(sample(name, other, cells=5, seed=1), first[:, genes])


def test_scaled_cells_have_the_mean_of_the_mean_baseline() -> None:
    """Of many control cells of one kind, so that the mean of a sample is that of its law."""
    controls = np.tile([100, 10, 0, 40], (6, 1))
    data = data_of(controls=controls)
    mean = np.expm1(checked_fit(load("mean"), data, seed=0).predict(Query.of_labels(["A"])).profile[0]) / 1e4
    expected = mean * 150

    def check(name: str) -> None:
        cells = sample(name, data, cells=4_000)
        spread = np.sqrt(np.maximum(expected, 1.0) / 4_000)
        assert (np.abs(cells.mean(axis=0) - expected) < 5 * spread).all()
        assert expected[2] > 0.2 and cells[:, 2].max() > 1, "a gene that controls lack is there"

    check("scaled-control-cells")
    with pytest.raises(AssertionError):
        check("control-cells")
    profile = checked_fit(load("scaled-control-cells"), data, seed=0).predict(Query.of_labels(["A", "control"])).profile
    np.testing.assert_allclose(profile[0], log_profile(mean))
    np.testing.assert_allclose(profile[1], data.control)


def test_a_count_is_scaled_without_noise_where_the_ratio_is_whole() -> None:
    controls = np.tile([10, 10, 10, 10], (6, 1))
    counts = np.concatenate([controls, np.tile([20, 10, 5, 5], (4, 1))])
    data = TrainingData.from_arrays(counts, genes=GENES, perturbation=LABELS)
    cells = sample("scaled-control-cells", data, cells=600)
    assert (cells[:, 0] == 20).all() and (cells[:, 1] == 10).all()
    assert cells[:, 2].mean() == pytest.approx(5.0, abs=0.4) and 1.5 < cells[:, 2].var() < 3.5, "kept by chance 1/2"


def test_unperturbed_cells_are_not_scaled() -> None:
    fit = checked_fit(load("scaled-control-cells"), data_of(), seed=0)
    cells = fit.predict(Query.of_labels(["control"], cells=6)).cells
    assert cells is not None and rows(cells[0]) == rows(CONTROLS)
    assert fit.network() is None and fit.kinetics() is None


def test_there_must_be_a_perturbation_to_scale_by() -> None:
    only = TrainingData.from_arrays(CONTROLS, genes=GENES, perturbation=LABELS[:6])
    with pytest.raises(FitterError, match="scaled-control-cells: the training data have no perturbation"):
        checked_fit(load("scaled-control-cells"), only, seed=0)
    assert rows(sample("control-cells", only, cells=6)) == rows(CONTROLS)
