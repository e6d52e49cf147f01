"""The table of training cells: the same whatever the order of the data, and back; what is held out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers_counts import LABELS, counted, reordered

from fitters.training import cells
from fitters.training.cells import CellTable
from fitters.training.checkpoint import fingerprint_of
from fitters.training_data import TrainingData

ARRAYS = ("condition", "batch", "medium", "arm", "time", "design", "depth", "control")
NAMES = ("genes", "conditions", "batches", "media", "arms", "targets")


def differs(one: CellTable, two: CellTable) -> list[str]:
    found = [name for name in NAMES if getattr(one, name) != getattr(two, name)]
    found += [name for name in ARRAYS if not np.array_equal(getattr(one, name), getattr(two, name))]
    return found + ["counts"] * (not np.array_equal(one.dense(), two.dense()))


def test_the_order_of_cells_and_genes_is_of_no_account() -> None:
    first = CellTable.of(counted())
    for seed in range(3):
        other = CellTable.of(reordered(counted(), seed))
        assert differs(first, other) == []
        assert fingerprint_of(first) == fingerprint_of(other)
    assert "counts" in differs(first, CellTable.of(counted(seed=1)))


def test_an_order_by_labels_alone_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: cells of the same labels stay in the data's order."""
    monkeypatch.setattr(cells, "cell_hashes", lambda data, seed: np.zeros(data.n_cells, np.uint64))
    assert "counts" in differs(CellTable.of(counted()), CellTable.of(reordered(counted(), 0)))


def test_every_cell_keeps_its_labels_and_every_gene_its_counts() -> None:
    data = counted()
    table = CellTable.of(data)

    def rows(source: TrainingData | CellTable) -> list[tuple[object, ...]]:
        if isinstance(source, TrainingData):
            order = np.argsort(source.genes)
            labels = zip(source.perturbation, source.batch, source.medium, source.time, source.arm, strict=True)
            counts = source.counts.toarray()[:, order]
        else:
            named = [
                np.array(getattr(source, names))[getattr(source, code)]
                for names, code in (("conditions", "condition"), ("batches", "batch"), ("media", "medium"))
            ]
            labels = zip(*named, source.time, np.array(source.arms)[source.arm], strict=True)
            counts = source.dense()
        return sorted((*map(str, label), *map(int, count)) for label, count in zip(labels, counts, strict=True))

    assert rows(data) == rows(table)
    assert table.n_cells == data.n_cells and (table.depth == table.dense().sum(axis=1)).all()
    assert table.dense(np.array([3, 1])).dtype == np.float32


def test_answers_come_back_in_the_order_of_the_data() -> None:
    for data in (counted(), reordered(counted(), 2)):
        table = CellTable.of(data)
        total = table.dense().sum(axis=0)
        assert (table.in_data_order(total) == data.counts.sum(axis=0)).all()
        stacked = np.stack([total, 2 * total])
        assert (table.in_data_order(stacked)[1] == 2 * data.counts.sum(axis=0)).all()


def test_the_design_holds_the_targets_of_each_condition() -> None:
    table = CellTable.of(counted())
    assert table.conditions == tuple(sorted(LABELS)) and table.targets == tuple("ABCDE")
    found = {
        label: {target for target, on in zip(table.targets, row, strict=True) if on}
        for label, row in zip(table.conditions, table.design, strict=True)
    }
    assert found == {label: set() if label == "control" else set(label.split("+")) for label in LABELS}
    assert (table.control == (np.array(table.conditions)[table.condition] == "control")).all()


def test_controls_alone_are_a_table_too() -> None:
    data = counted()
    table = CellTable.of(data.take(np.flatnonzero(data.perturbation == "control")))
    assert table.design.shape == (1, 0) and table.control.all()
    assert not table.held_out(0.5, seed=0).any()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_a_share_of_the_perturbations_is_held_out(share: float) -> None:
    table = CellTable.of(counted())
    chosen = {tuple(table.held_out(share, seed=seed)) for seed in range(30)}
    n_held = max(1, round(5 * share))
    assert all(sum(held) == n_held and not held[table.conditions.index("control")] for held in chosen)
    assert len(chosen) > 2  # the seed decides
    assert (table.held_out(share, seed=3) == CellTable.of(reordered(counted(), 1)).held_out(share, seed=3)).all()


def test_a_share_never_takes_all_and_few_are_all_learnt_from() -> None:
    table = CellTable.of(counted())
    assert table.held_out(0.99, seed=0).sum() == 4
    assert not table.held_out(0.0, seed=0).any()
    few = replace(table, conditions=("A", "B", "C", "control"))
    assert not few.held_out(0.5, seed=0).any()
