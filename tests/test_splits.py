"""Splits: nothing of the test side reaches the training side, whatever perturbations there are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from helpers_dataset import make_example_tree
from hypothesis import given
from hypothesis import strategies as st

from experiments.splits import Split, SplitError, unseen_double, unseen_k, unseen_single
from experiments.training import conditions, examine
from fitters.contract import Claim
from simcell.labels import CONTROL, perturbation_label, perturbation_targets
from simcell.profiles import log_profile

GENES = [f"G{number}" for number in range(6)]
POSSIBLE = [perturbation_label(genes) for order in (1, 2, 3) for genes in combinations(GENES, order)]
label_sets = st.sets(st.sampled_from(POSSIBLE), min_size=1).map(lambda labels: [CONTROL, *sorted(labels)])


def genes_of(labels: tuple[str, ...]) -> set[str]:
    """Return all genes that are targeted by some perturbation."""
    return {gene for label in labels for gene in perturbation_targets(label)}


def check_sound(split: Split, labels: list[str]) -> None:
    """Check what holds for every split."""
    assert set(split.train) | set(split.test) <= set(labels)
    assert not set(split.train) & set(split.test)
    assert CONTROL in split.train
    assert CONTROL not in split.test
    assert len(split.train) > 1
    assert split.test
    for held in split.test:
        for seen in split.train:
            assert not set(perturbation_targets(held)) <= set(perturbation_targets(seen)), "held out, yet a part"


@given(label_sets, st.integers(0, 10), st.floats(0.05, 0.95))
def test_no_held_out_gene_is_perturbed_in_training(labels: list[str], seed: int, fraction: float) -> None:
    singles = [label for label in labels if len(perturbation_targets(label)) == 1]
    if len(singles) < 2:
        with pytest.raises(SplitError, match="needs at least 2 single perturbations"):
            unseen_single(labels, seed=seed, test_fraction=fraction)
        return
    split = unseen_single(labels, seed=seed, test_fraction=fraction)
    check_sound(split, labels)
    assert set(split.test) <= set(singles)
    assert not genes_of(split.test) & genes_of(split.train)
    assert abs(len(split.test) - fraction * len(singles)) <= 1
    assert split.needs == {Claim.MEAN, Claim.UNSEEN_GENE}


@given(label_sets, st.integers(0, 10), st.floats(0.05, 1.0))
def test_both_singles_of_a_held_out_double_are_known(labels: list[str], seed: int, fraction: float) -> None:
    singles = {label for label in labels if len(perturbation_targets(label)) == 1}
    doubles = [label for label in labels if len(perturbation_targets(label)) == 2]
    if not any(singles.issuperset(perturbation_targets(label)) for label in doubles):
        with pytest.raises(SplitError, match="both single perturbations in the data"):
            unseen_double(labels, seed=seed, test_fraction=fraction)
        return
    split = unseen_double(labels, seed=seed, test_fraction=fraction)
    check_sound(split, labels)
    assert set(split.test) <= set(doubles)
    assert singles <= set(split.train)
    assert genes_of(split.test) <= singles
    assert split.needs == {Claim.MEAN, Claim.COMBINATION}


@given(label_sets, st.sampled_from([2, 3]))
def test_unseen_k_trains_on_lower_orders_only(labels: list[str], order: int) -> None:
    singles = {label for label in labels if len(perturbation_targets(label)) == 1}
    possible = [label for label in labels if len(perturbation_targets(label)) == order]
    if not any(singles.issuperset(perturbation_targets(label)) for label in possible):
        with pytest.raises(SplitError, match=f"no combination of {order} genes"):
            unseen_k(labels, order=order)
        return
    split = unseen_k(labels, order=order)
    check_sound(split, labels)
    assert set(split.test) == {label for label in possible if singles.issuperset(perturbation_targets(label))}
    assert all(len(perturbation_targets(label)) == order for label in split.test)
    assert all(len(perturbation_targets(label)) < order for label in split.train)
    assert split.name == f"unseen-{order}"


def test_a_split_depends_on_the_seed_and_on_nothing_else() -> None:
    labels = [CONTROL, *POSSIBLE]
    assert unseen_single(labels, seed=3) == unseen_single(list(reversed(labels)), seed=3)
    assert len({unseen_single(labels, seed=seed).test for seed in range(20)}) > 1
    assert unseen_double(labels, seed=3).test == unseen_double([*labels, *labels], seed=3).test


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["A", "B", "C"], "no control cells"),
        ([CONTROL, "A"], "at least 2 single perturbations, the data have 1"),
    ],
)
def test_impossible_splits_say_why(labels: list[str], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        unseen_single(labels, seed=0)


def test_impossible_combinations_say_why() -> None:
    with pytest.raises(SplitError, match="'unseen-double': there are no doubles"):
        unseen_double([CONTROL, "A", "B"], seed=0)
    with pytest.raises(SplitError, match="order 1 is not 2 or more"):
        unseen_k([CONTROL, "A", "B"], order=1)
    with pytest.raises(SplitError, match="no combination of 3 genes"):
        unseen_k([CONTROL, "A", "B", "C", "A+B"], order=3)


def test_the_test_side_gives_training_nothing_at_all() -> None:
    """Whatever is done to the cells of the test side, training data and the choice of genes stay bit for bit."""
    tree = make_example_tree(1, n_doubles=6)
    split = unseen_double(conditions(tree), seed=0)
    before = examine(tree, split)
    label = np.array(tree["cells/perturbation"].values.tolist())
    counts = tree["counts/umis"].values.copy()
    counts[np.isin(label, split.test)] = 7
    tree["counts"] = tree["counts"].to_dataset().assign(umis=(("cell", "gene"), counts))
    after = examine(tree, split)
    assert not set(before.training.conditions) & set(split.test)
    assert (before.training.counts != after.training.counts).nnz == 0
    np.testing.assert_array_equal(before.questions[0].measured.control, after.questions[0].measured.control)
    np.testing.assert_array_equal(before.questions[0].measured.control, before.training.control)
    assert not np.array_equal(before.questions[0].measured.profile, after.questions[0].measured.profile)


def test_questions_hold_pooled_counts_of_held_out_cells_and_the_truth() -> None:
    tree = make_example_tree(2)
    examination = examine(tree, unseen_single(conditions(tree), seed=1))
    question, first = examination.questions[0], examination.labels[0]
    label = np.array(tree["cells/perturbation"].values.tolist())
    pooled = tree["counts/umis"].values[label == first].sum(axis=0)
    np.testing.assert_allclose(question.measured.profile[0], log_profile(pooled))
    true = tree["truth/response"].to_dataset()["log_profile"].values[0]
    position = tree["truth/response/perturbation"].values.tolist().index(first)
    np.testing.assert_array_equal(question.truth.profile[0], true[position])
    np.testing.assert_array_equal(question.truth.control, true[0])


def test_cells_that_were_not_planned_or_are_empty_are_left_out() -> None:
    tree = make_example_tree(2)
    label = np.array(tree["cells/perturbation"].values.tolist())
    planned = label != "G001"
    n_umis = tree["cells/n_umis"].values.copy()
    n_umis[label == "G002"] = 0
    cells = tree["cells"].to_dataset().assign(planned=("cell", planned), n_umis=("cell", n_umis))
    tree["cells"] = cells
    assert not {"G001", "G002"} & set(conditions(tree))
    examination = examine(tree, unseen_single(conditions(tree), seed=1))
    assert not {"G001", "G002"} & set(examination.training.conditions)


def test_every_time_is_a_question_of_its_own_with_its_own_control() -> None:
    tree = make_example_tree(2, times=(24.0, 96.0))
    examination = examine(tree, unseen_single(conditions(tree), seed=1))
    assert [question.query.time for question in examination.questions] == [24.0, 96.0]
    early, late = examination.questions
    assert not np.array_equal(early.measured.control, late.measured.control)
    assert early.query_for(frozenset({Claim.MEAN})).time is None
    assert early.query_for(frozenset({Claim.MEAN, Claim.TIME})).time == 24.0
