"""Levels over time: contexts compared by their controls, whatever batches do, with errors that are honest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fitters import course_levels as module
from fitters.course_levels import CourseLevels, course_levels
from fitters.errors import TrainingDataError
from fitters.measurement import Levels, relative_levels
from fitters.training_data import TrainingData

N_GENES, MEAN = 40, np.random.default_rng(99).uniform(1.0, 3.0, 40)
TIMES = (24.0, 48.0)
# what time does to controls, and perturbations to their context
DRIFT = np.where(np.arange(N_GENES) < 8, np.random.default_rng(98).permutation(np.geomspace(0.4, 2.5, N_GENES)), 1.0)
RESPONSE = {"control": np.ones(N_GENES), "A": np.ones(N_GENES), "B": np.ones(N_GENES)}
RESPONSE["A"][[0, 5, 6]] = 0.3, 1.8, 0.6
RESPONSE["B"][1] = 0.2


def truth(found: CourseLevels) -> NDArray[np.float64]:
    """Return (R, G) the levels that the cells were drawn from, but for the gene that is all the rest."""
    return np.array(
        [
            RESPONSE[label] * (DRIFT if time > TIMES[0] else 1.0)
            for label, time in zip(found.label, found.time, strict=True)
        ]
    )


def screen(
    seed: int,
    *,
    controls: int = 60,
    cells: int = 30,
    shared: bool = True,
    uneven: bool = False,
    batch_sigma: float = 0.0,
) -> TrainingData:
    """Return cells of two conditions and controls at two times, in two batches.

    Args:
        seed: of all but the truth. controls, cells: of each condition and time.
        shared: whether both times have the same batches, else two of their own.
        uneven: whether most cells of a time and condition are in one of its batches.
        batch_sigma: of what batches do to the logarithm of counts.
    """
    rng = np.random.default_rng(seed)
    factor = np.exp(batch_sigma * rng.normal(size=(4, N_GENES)))
    counts, labels, batches, times = [], [], [], []
    for number, time in enumerate(TIMES):
        for label, response in RESPONSE.items():
            n = controls if label == "control" else cells
            batch = np.arange(n) % 2
            if uneven:
                batch = (rng.random(n) < (0.8 if (number + (label == "A")) % 2 else 0.2)).astype(int)
            batch = batch + (0 if shared else 2 * number)
            level = MEAN * response * (DRIFT if number else 1.0) * rng.gamma(9.0, 1 / 9.0, (n, N_GENES)) * factor[batch]
            level = np.concatenate([level, np.full((n, 1), 300.0)], axis=1)
            depth = rng.lognormal(np.log(3000.0), 0.3, (n, 1))
            counts.append(rng.poisson(depth * level / level.sum(axis=1, keepdims=True)))
            labels += [label] * n
            batches += [f"b{code}" for code in batch]
            times += [time] * n
    genes = [*(f"G{number:02d}" for number in range(N_GENES)), "REST"]
    return TrainingData.from_arrays(np.concatenate(counts), genes=genes, perturbation=labels, batch=batches, time=times)


def deviations(*, seeds: int = 25, **how: Any) -> NDArray[np.float64]:
    """Return (R - 1,) standard deviations over data sets and genes of (found - true) / error, by row but the first."""
    z = []
    for seed in range(seeds):
        found = course_levels(screen(seed, **how))
        assert found.label == ("control", "A", "B") * 2 and found.context.tolist() == [0, 0, 0, 1, 1, 1]
        z.append(
            (
                (found.ratio[:, :-1] - truth(found))
                / np.where(found.standard_error > 0, found.standard_error, 1)[:, :-1]
            )[1:]
        )
    return np.array(z).std(axis=(0, 2))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"controls": 40, "cells": 120},
        {"uneven": True},
        {"uneven": True, "batch_sigma": 0.4},
        {"shared": False},
    ],
)
def test_levels_are_the_truth_and_their_errors_are_honest(how: dict[str, Any]) -> None:
    np.testing.assert_allclose(deviations(**how), 1.0, atol=0.15)


def test_contexts_compared_without_their_batches_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: controls of two times are compared as if all were of one batch."""
    original = module.relative_levels

    def pooled(data: TrainingData) -> Levels:
        between = "context1" in data.perturbations
        return original(replace(data, batch=np.full(data.n_cells, "one")) if between else data)

    monkeypatch.setattr(module, "relative_levels", pooled)
    assert deviations(uneven=True, batch_sigma=0.4)[2:].min() > 1.5


def test_controls_counted_twice_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: the error of the controls between is in both factors, as if they were not the same cells."""
    original = module._levels_of_controls

    def twice(data: TrainingData, cells: Any) -> Levels:
        found = original(data, cells)
        return replace(found, own_error=np.zeros_like(found.own_error))

    monkeypatch.setattr(module, "_levels_of_controls", twice)
    assert deviations(controls=40, cells=120)[3:].max() < 0.8


def test_borrowed_controls_are_one_error_not_several() -> None:
    """Where no batch is shared, all cells are compared with the same controls, and each batch lends no error anew."""
    data = screen(0, shared=False)
    found = course_levels(data)
    one = course_levels(replace(data, batch=np.where(data.time > TIMES[0], "late", "early")))
    np.testing.assert_allclose(found.standard_error[3], one.standard_error[3], rtol=0.05)


def test_the_reference_is_the_earliest_context_and_arms_are_contexts() -> None:
    data = screen(0, controls=400, cells=200)
    arm = np.where(np.arange(data.n_cells) % 2 == 0, "x", "a")
    medium = np.where(data.time > TIMES[0], "rich", "poor")
    found = course_levels(replace(data, arm=arm, medium=medium))
    contexts = list(zip(found.time.tolist(), found.arm, found.medium, found.label, strict=True))
    expected = [(24.0, "poor"), (48.0, "rich")]
    assert contexts == [
        (time, name, medium, label)
        for time, medium in expected
        for name in ("a", "x")
        for label in ("control", "A", "B")
    ]
    assert found.context.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert (found.ratio[0] == 1.0).all() and (found.standard_error[0] == 0.0).all()
    assert found.control.tolist() == [True, False, False] * 4
    z = (found.ratio[1:, :-1] - truth(found)[1:]) / found.standard_error[1:, :-1]
    assert np.abs(z).max() < 5.0
    counts = [((data.time == time) & (arm == name)).sum() for time, _ in expected for name in ("a", "x")]
    assert [found.n_cells[found.context == context].sum() for context in range(4)] == counts


def test_one_context_is_as_relative_levels_has_it() -> None:
    data = screen(0)
    data = data.take(np.flatnonzero(data.time == TIMES[0]))
    found, expected = course_levels(data), relative_levels(data)
    np.testing.assert_array_equal(found.ratio, expected.ratio)
    np.testing.assert_allclose(found.standard_error, expected.standard_error, rtol=1e-12)
    np.testing.assert_array_equal(found.fraction, expected.fraction)
    assert found.label == expected.conditions and (found.measured == expected.measured).all()


def test_the_order_of_cells_and_genes_is_of_no_account() -> None:
    data = screen(0, uneven=True)
    rng = np.random.default_rng(1)
    cells, genes = rng.permutation(data.n_cells), rng.permutation(data.n_genes)
    other = replace(
        data.take(cells), genes=tuple(data.genes[gene] for gene in genes), counts=data.counts[cells][:, genes]
    )
    one, two = course_levels(data), course_levels(other)
    np.testing.assert_allclose(two.ratio, one.ratio[:, genes], rtol=1e-10)
    np.testing.assert_allclose(two.standard_error, one.standard_error[:, genes], rtol=1e-8)
    assert two.label == one.label


def test_a_gene_that_some_context_does_not_show_is_not_measured() -> None:
    data = screen(0)
    counts = data.counts.toarray()
    counts[data.time > TIMES[0], 3] = 0
    found = course_levels(replace(data, counts=counts))
    assert not found.measured[3] and found.measured[[0, 1, 2, 4]].all()
    assert (found.ratio[:, 3] == 1.0).all() and (found.standard_error[:, 3] == 0.0).all()
    assert np.isfinite(found.ratio).all() and np.isfinite(found.standard_error).all()


def test_a_context_without_controls_is_named() -> None:
    data = screen(0)
    lacking = data.take(np.flatnonzero((data.time == TIMES[0]) | (data.perturbation != "control")))
    with pytest.raises(TrainingDataError, match=r"perturbation: no controls at 48 h in medium 'medium0' of 'arm0'$"):
        course_levels(lacking)


def test_own_errors_are_the_conditions_part() -> None:
    """With ever more controls, errors are the condition's own."""
    few, many = (relative_levels(screen(0, controls=controls)) for controls in (40, 4000))
    part = [levels.own_error[1, :-1] / levels.standard_error[1, :-1] for levels in (few, many)]
    assert (part[0] < 0.95).all() and (part[1] > 0.95).all() and (part[1] <= 1.0).all()
