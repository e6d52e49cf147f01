"""Training data: what is refused, what is kept, pooled profiles, and that nothing in it reaches a truth."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_array, csr_array, issparse

from fitters.base import Pseudobulk, TrainingData, TrainingDataError, pool
from fitters.experiment import Experiment, Step
from fitters.knowledge import Atlas, Knowledge, PriorGraph

GENES = ("A", "B", "C")
LABELS = ("control", "A", "control", "B+A", "A")
COUNTS = np.array([[1, 2, 3], [0, 0, 4], [5, 0, 0], [1, 1, 1], [7, 1, 0]])


def make(**changes: Any) -> TrainingData:
    """Return five cells of three genes, with changes."""
    arrays: dict[str, Any] = {"counts": COUNTS, "genes": GENES, "perturbation": LABELS} | changes
    return TrainingData.from_arrays(**arrays)


def test_pseudobulk_is_the_log_profile_of_pooled_counts() -> None:
    data = make()
    assert data.conditions == data.pseudobulk.labels == ("A", "A+B", "control")
    assert data.perturbations == ("A", "A+B")
    np.testing.assert_array_equal(data.pseudobulk.total, [[7, 1, 4], [1, 1, 1], [6, 2, 3]])
    np.testing.assert_array_equal(data.pseudobulk.n_cells, [2, 1, 2])
    np.testing.assert_allclose(data.control, np.log1p(1e4 * np.array([6, 2, 3]) / 11))
    np.testing.assert_allclose(data.pseudobulk.row("A"), np.log1p(1e4 * np.array([7, 1, 4]) / 12))
    assert "A" in data.pseudobulk and "B" not in data.pseudobulk


def test_labels_are_kept_with_sorted_targets() -> None:
    data = make()
    assert data.perturbation.tolist() == ["control", "A", "control", "A+B", "A"]
    assert data.targets("A+B") == ("A", "B")
    assert data.targets("control") == ()
    assert data.perturbed_genes == {"A", "B"}
    with pytest.raises(TrainingDataError, match=r"no cells of 'A\+C' \(did you mean 'A\+B'\?\)"):
        data.targets("A+C")


@pytest.mark.parametrize("kind", [np.asarray, csr_array, csc_array, coo_array])
@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.uint16])
def test_counts_of_any_kind_become_int32_rows(kind: Any, dtype: Any) -> None:
    data = make(counts=kind(COUNTS.astype(dtype)))
    assert isinstance(data.counts, csr_array) and data.counts.dtype == np.int32
    np.testing.assert_array_equal(data.counts.toarray(), COUNTS)


def test_duplicate_entries_are_summed_in_a_copy() -> None:
    counts = csr_array(
        (np.array([1, 2, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1]), np.arange(6 + 1)[[0, 2, 3, 4, 5, 6]])
    )
    counts.resize((5, 3))
    data = make(counts=counts)
    assert data.counts.toarray()[0].tolist() == [3, 0, 0]
    assert counts.nnz == 6


def test_a_pool_does_not_overflow() -> None:
    counts = np.full((4, 1), 2**31 - 1)
    data = TrainingData.from_arrays(counts, genes=("A",), perturbation=["control"] * 4)
    assert data.pseudobulk.total[0, 0] == 4 * (2**31 - 1)


def with_value(value: float) -> np.ndarray:
    counts = COUNTS.astype(float)
    counts[3, 1] = value
    return counts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"perturbation": ["A"] * 5}, r"perturbation: no cells of 'control'"),
        ({"counts": COUNTS[:, :2]}, r"counts: shape \(5, 2\) is not \(cells, 3 genes\)"),
        ({"counts": COUNTS[0]}, r"counts: has 1 dimensions"),
        ({"counts": np.empty((0, 3)), "perturbation": np.empty(0, str)}, r"counts: no cells"),
        ({"counts": with_value(np.nan)}, r"counts: nan is not a number \(cell 3, gene B; 1 such values\)"),
        ({"counts": with_value(-1)}, r"counts: -1.0 is negative \(cell 3, gene B"),
        ({"counts": with_value(0.5)}, r"counts: 0.5 is not a whole number \(cell 3, gene B"),
        ({"counts": with_value(np.inf)}, r"counts: inf is above the range of int32"),
        ({"counts": with_value(2.0**31)}, r"counts: 2147483648.0 is above the range of int32"),
        ({"counts": COUNTS.astype(str)}, r"counts: values of type <U21 are not numbers"),
        (
            {"counts": np.where(np.arange(5)[:, None] == 2, 0, COUNTS)},
            r"1 cells have no count at all \(first: cell 2\)",
        ),
        ({"genes": ("A", "B", "A")}, r"genes: 'A' stands there 2 times"),
        ({"genes": ("A", "B", "")}, r"genes: '' is not a gene name"),
        ({"genes": ("A", "B", "control")}, r"genes: 'control' is not a gene name"),
        ({"genes": ("A", "B", "C+D")}, r"genes: 'C\+D' is not a gene name"),
        ({"genes": (1, 2, 3)}, r"genes: is not a sequence of names"),
        ({"perturbation": LABELS[:4]}, r"perturbation: shape \(4,\) is not \(5,\)"),
        ({"perturbation": ("", *LABELS[1:])}, r"perturbation: 1 labels are empty \(first: cell 0\)"),
        (
            {"perturbation": np.array(["control", np.nan, "A", "A", "A"], object)},
            r"perturbation: cell 1 has nan, not a label",
        ),
        (
            {"perturbation": ("A++B", *LABELS[1:4], "control")},
            r"perturbation: 'A\+\+B' is not 'control' or different genes",
        ),
        ({"perturbation": ("A+control", *LABELS[1:4], "control")}, r"perturbation: 'A\+control' is not"),
        ({"perturbation": ("A+A", *LABELS[1:4], "control")}, r"perturbation: 'A\+A' is not"),
        ({"batch": ["x"] * 4}, r"batch: shape \(4,\) is not \(5,\)"),
        ({"medium": ["", *"abcd"]}, r"medium: 1 labels are empty"),
        ({"time": [0, 1, 2, 3, np.nan]}, r"time: has hours that are negative or not finite"),
        ({"time": [0, 1, 2, 3, -1]}, r"time: has hours that are negative or not finite"),
        ({"time": ["noon"] * 5}, r"time: is not an array of hours"),
    ],
)
def test_bad_data_are_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingDataError, match=message) as caught:
        make(**changes)
    assert "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_empty_cells_can_be_left_out() -> None:
    counts = np.where(np.arange(5)[:, None] == 2, 0, COUNTS)
    for table in (counts, csr_array(counts), coo_array(counts)):
        data = make(counts=table, drop_empty_cells=True, time=np.arange(5))
        assert data.perturbation.tolist() == ["control", "A", "A+B", "A"]
        assert data.time.tolist() == [0, 1, 3, 4]
        np.testing.assert_array_equal(data.counts.toarray(), counts[[0, 1, 3, 4]])
    with pytest.raises(TrainingDataError, match="nan is not a number"):
        make(counts=with_value(np.nan), drop_empty_cells=True)


def test_a_gene_that_is_never_expressed_is_welcome() -> None:
    data = make(counts=np.where(np.arange(3) == 1, 0, COUNTS))
    assert (data.pseudobulk.profile[:, 1] == 0).all()


def test_arrays_are_read_only_and_the_callers_stay_writeable() -> None:
    counts, label = csr_array(COUNTS), np.array(LABELS)
    data = make(counts=counts, perturbation=label)
    label[0] = "A"
    assert data.perturbation[0] == "control"
    for array in (data.counts.data, data.perturbation, data.time, data.control, data.pseudobulk.total):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]
    with pytest.raises(AttributeError):
        data.genes = ()  # type: ignore[misc]


@given(order=st.permutations(range(5)), column=st.permutations(range(3)))
def test_pools_depend_on_neither_order(order: list[int], column: list[int]) -> None:
    moved = make(
        counts=COUNTS[np.ix_(order, column)], genes=np.array(GENES)[column], perturbation=np.array(LABELS)[order]
    )
    assert moved.conditions == make().conditions
    np.testing.assert_array_equal(moved.pseudobulk.profile, make().pseudobulk.profile[:, column])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_pool_is_a_sum_over_groups(group: list[int], seed: int) -> None:
    counts = np.random.default_rng(seed).poisson(1.0, (len(group), 4)).astype(np.int32)
    pooled = pool(csr_array(counts), np.array(group), labels=("a", "b", "c", "d"))
    for code in range(4):
        cells = np.array(group) == code
        np.testing.assert_array_equal(pooled.total[code], counts[cells].sum(axis=0))
        assert pooled.n_cells[code] == cells.sum()


def reachable(thing: object, path: str, found: dict[int, tuple[str, object]]) -> dict[int, tuple[str, object]]:
    """Return everything that can be reached from an object by attributes, items and array bases, with how."""
    if id(thing) in found or isinstance(thing, (str, int, float, type, np.dtype, type(None))):
        return found
    found[id(thing)] = (path, thing)
    if isinstance(thing, (tuple, list, frozenset)):
        for item in thing:
            reachable(item, f"{path}[]", found)
    elif isinstance(thing, dict):
        for key, value in thing.items():
            reachable(value, f"{path}[{key!r}]", found)
    elif isinstance(thing, np.ndarray):
        reachable(thing.base, f"{path}.base", found)
    else:
        for name, value in getattr(thing, "__dict__", {}).items():
            reachable(value, f"{path}.{name}", found)
    return found


def allowed(thing: object, n_cells: int) -> bool:
    """Whether an object can hold no more than the training cells: no file, tree, module, or larger array."""
    if isinstance(thing, np.ndarray):
        return type(thing) is np.ndarray and thing.size <= n_cells * len(GENES) + 1
    plain = (TrainingData, Pseudobulk, Experiment, Step, Knowledge, PriorGraph, Atlas, tuple, list, dict, frozenset)
    return isinstance(thing, plain) or issparse(thing)


def everything(data: TrainingData) -> list[tuple[str, object]]:
    assert data.gene_index and data.perturbed_genes and data.control.size  # fill the caches, which are reachable too
    return list(reachable(data, "data", {}).values())


def test_training_data_reach_no_truth(tmp_path: Path) -> None:
    everyone = np.tile(COUNTS, (100, 1))  # the screen of which five cells are for training
    np.save(tmp_path / "counts.npy", everyone)
    mapped = np.load(tmp_path / "counts.npy", mmap_mode="r")
    label = np.tile(np.array(LABELS), 100)
    screen = csr_array(everyone)
    stored = int(screen.indptr[5])
    window = csr_array((screen.data[:stored], screen.indices[:stored], screen.indptr[:6]), shape=(5, 3))
    for table in (everyone[:5], mapped[:5], screen[:5], window):
        data = make(counts=table, perturbation=label[:5], batch=label[:5], time=np.arange(500)[:5])
        found = everything(data)
        assert len(found) > 20
        assert [path for path, thing in found if not allowed(thing, 5)] == []


def test_the_trap_catches_what_it_should() -> None:
    for leak in (Path("screen.zarr"), np.zeros((500, 3)), np.zeros((500, 3))[:5], ModuleType("truth")):
        data = make()
        object.__setattr__(data, "leak", leak)
        caught = [path for path, thing in everything(data) if not allowed(thing, 5)]
        assert caught and all(path.startswith("data.leak") for path in caught)


def test_fields_are_those_of_measured_cells() -> None:
    of_cells = {"genes", "counts", "perturbation", "batch", "medium", "time", "arm"}
    assert set(TrainingData.__dataclass_fields__) == of_cells | {"experiments", "knowledge"}
    nothing = make().knowledge
    assert nothing.atlas is None and not nothing.graphs  # what is told is told on purpose


def test_training_data_can_be_sent_to_a_worker() -> None:
    copy = pickle.loads(pickle.dumps(make()))
    np.testing.assert_array_equal(copy.pseudobulk.profile, make().pseudobulk.profile)
