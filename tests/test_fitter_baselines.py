"""The built-in baselines against hand-made worlds, and what all built-in fitters keep: order-free, refusing."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fitters.base import (
    Claim,
    Fitter,
    FitterError,
    LossHistory,
    Query,
    RefusedQueryError,
    TrainingData,
    checked_fit,
    checked_predict,
)
from fitters.registry import BUILT_IN, describe, load

GENES = tuple(f"G{gene}" for gene in range(6))
LABELS = ("control", "control", "control", "G0", "G0", "G1", "G2", "G2", "G0+G1", "G1+G2")
QUERY = Query.of_labels(["G0", "G0+G1", "G0+G2", "G0+G1+G2", "control"])


def counts_of(seed: int) -> NDArray[np.int64]:
    """Return counts of ten cells and six genes, at different depths, none empty."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.poisson(rng.gamma(0.5, 40.0, (10, 6))) + (np.arange(6) == 5))


def data_of(
    counts: NDArray[np.int64], *, genes: tuple[str, ...] = GENES, labels: tuple[str, ...] = LABELS
) -> TrainingData:
    return TrainingData.from_arrays(counts, genes=genes, perturbation=labels)


def predict(fitter: Fitter, data: TrainingData, query: Query, *, seed: int = 0) -> NDArray[np.float64]:
    return checked_predict(checked_fit(fitter, data, seed=seed), query).profile


def profile(*totals: float) -> NDArray[np.float64]:
    total = np.array(totals, dtype=float)
    return np.asarray(np.log1p(1e4 * total / total.sum()))


def test_no_change_is_the_pooled_control() -> None:
    counts = counts_of(1)
    predicted = predict(load("no-change"), data_of(counts), QUERY)
    np.testing.assert_allclose(predicted, np.tile(profile(*counts[:3].sum(axis=0)), (5, 1)), rtol=1e-12)


def test_mean_weighs_perturbations_alike_and_leaves_controls_out() -> None:
    counts = counts_of(2)
    groups = ([3, 4], [5], [6, 7], [8], [9])
    expected = np.mean([profile(*counts[cells].sum(axis=0)) for cells in groups], axis=0)
    predicted = predict(load("mean"), data_of(counts), QUERY)
    np.testing.assert_allclose(predicted, np.tile(expected, (5, 1)), rtol=1e-12)


def test_additive_by_hand() -> None:
    data = TrainingData.from_arrays(
        [[6, 3, 1], [2, 7, 1], [5, 1, 4]], genes=("A", "B", "C"), perturbation=["control", "A", "B"]
    )
    control, a, b = profile(6, 3, 1), profile(2, 7, 1), profile(5, 1, 4)
    predicted = predict(load("additive"), data, Query.of_labels(["A+B", "A", "control"]))
    np.testing.assert_allclose(predicted, [a + b - control, a, control], rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(2, 4))
def test_additive_is_exact_where_effects_are_additive(seed: int, k: int) -> None:
    """In a world in which fold changes multiply on own genes, it predicts the unseen k-way combination.

    Each target moves counts between two genes of its own, so that the depth stays and log profiles add exactly.
    """
    rng = np.random.default_rng(seed)
    genes = tuple(f"G{gene}" for gene in range(2 * k + 1))
    control = rng.integers(50, 100, len(genes))

    def perturbed(targets: range) -> NDArray[np.int64]:
        counts = control.copy()
        for target in targets:
            counts[2 * target] -= 10 * (target + 1)
            counts[2 * target + 1] += 10 * (target + 1)
        return counts

    singles = [perturbed(range(target, target + 1)) for target in range(k)]
    labels = [genes[2 * target] for target in range(k)]
    data = TrainingData.from_arrays(np.array([control, *singles]), genes=genes, perturbation=["control", *labels])
    predicted = predict(load("additive"), data, Query((tuple(labels),)))
    np.testing.assert_allclose(predicted[0], profile(*perturbed(range(k))), rtol=1e-12)


def test_additive_refuses_a_combination_without_its_singles() -> None:
    cells = [cell for cell, label in enumerate(LABELS) if label != "G1"]
    data = data_of(counts_of(3)[cells], labels=tuple(LABELS[cell] for cell in cells))
    fit = checked_fit(load("additive"), data, seed=0)
    with pytest.raises(
        RefusedQueryError, match=r"^fitter additive: query refused: 'G0\+G1': no training cell has G1 perturbed"
    ):
        fit.predict(Query.of_labels(["G0+G1"]))
    with pytest.raises(RefusedQueryError, match=r"'G0\+G3': G3 unseen in training, and it does not claim unseen genes"):
        fit.predict(Query.of_labels(["G0+G3"]))


def test_data_that_a_fitter_cannot_use_are_named() -> None:
    control_only = data_of(counts_of(4), labels=("control",) * 10)
    for name, message in (("mean", "no perturbation"), ("additive", "no single"), ("bilinear", "no perturbation")):
        with pytest.raises(FitterError, match=rf"^fitter {name}: the training data have {message}"):
            checked_fit(load(name), control_only, seed=0)


PREDICTORS = [
    name
    for name in BUILT_IN
    if (entry := describe(name)).claims.isdisjoint({Claim.NETWORK}) and "epochs" not in (entry.options or ())
]


@pytest.mark.parametrize("name", PREDICTORS)
class TestEveryClosedForm:
    """What holds for each registered fitter that predicts means and nothing else; others: test_contract_suite.py."""

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), column=st.permutations(range(6)), order=st.permutations(range(10)))
    def test_order_of_genes_and_cells_is_of_no_account(
        self, name: str, seed: int, column: list[int], order: list[int]
    ) -> None:
        counts = counts_of(seed)
        moved = data_of(
            counts[np.ix_(order, column)],
            genes=tuple(GENES[gene] for gene in column),
            labels=tuple(LABELS[cell] for cell in order),
        )
        expected = predict(load(name), data_of(counts), QUERY)[:, column]
        np.testing.assert_allclose(predict(load(name), moved, QUERY), expected, rtol=1e-9, atol=1e-9)

    def test_same_seed_same_answer(self, name: str) -> None:
        first, second = (predict(load(name), data_of(counts_of(5)), QUERY, seed=3) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_rows_answer_for_themselves(self, name: str) -> None:
        fit = checked_fit(load(name), data_of(counts_of(6)), seed=0)
        together = fit.predict(QUERY).profile
        alone = [fit.predict(Query((targets,))).profile[0] for targets in QUERY.perturbations]
        np.testing.assert_array_equal(together, alone)

    def test_a_fit_survives_pickling(self, name: str) -> None:
        fit = checked_fit(load(name), data_of(counts_of(7)), seed=0)
        np.testing.assert_array_equal(
            pickle.loads(pickle.dumps(fit)).predict(QUERY).profile, fit.predict(QUERY).profile
        )

    def test_an_unknown_gene_is_refused_also_without_the_runner(self, name: str) -> None:
        fit = load(name).fit(data_of(counts_of(8)), seed=0)
        with pytest.raises(RefusedQueryError, match=rf"^fitter {name}: query refused: 'X9': 'X9' is not a gene"):
            fit.predict(Query.of_labels(["X9"]))

    def test_a_closed_form_has_no_history_and_claims_no_network(self, name: str) -> None:
        fit = load(name).fit(data_of(counts_of(9)), seed=0)
        assert isinstance(fit.history, LossHistory) and fit.history.n_epochs == 0
        assert fit.network() is None and fit.kinetics() is None

    def test_one_perturbation_and_a_silent_gene_are_enough(self, name: str) -> None:
        counts = np.array([[5, 3, 0, 1], [2, 6, 0, 1]])
        data = TrainingData.from_arrays(counts, genes=("A", "B", "C", "D"), perturbation=["control", "A"])
        assert predict(load(name), data, Query.of_labels(["A"])).shape == (1, 4)
