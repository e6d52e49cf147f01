"""Mini-batches: every row once in an epoch, and each strategy's groups kept together."""

from __future__ import annotations

import numpy as np
import pytest

from fitters.training import batches
from fitters.training.batches import BATCHING, RowLabels, Rows, epoch_batches

RNG = np.random.default_rng(0)
# conditions of 1 to 300 rows, three experimental batches, some rows held out
CONDITION = RNG.permutation(np.repeat(np.arange(9), [1, 2, 3, 5, 20, 31, 64, 150, 300]))
LABELS = RowLabels(CONDITION, RNG.integers(0, 3, CONDITION.size), np.isin(CONDITION, [2, 5]))


def drawn(batching: str, *, size: int = 64, seed: int = 0) -> list[Rows]:
    return epoch_batches(LABELS.training, LABELS, batching=batching, size=size, generator=np.random.default_rng(seed))


@pytest.mark.parametrize("batching", BATCHING)
@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_every_training_row_is_seen_once_and_no_mini_batch_is_too_large(batching: str, size: int) -> None:
    found = drawn(batching, size=size)
    assert np.array_equal(np.sort(np.concatenate(found)), LABELS.training)
    assert all(0 < part.size <= size for part in found)


@pytest.mark.parametrize("batching", BATCHING)
def test_the_generator_decides(batching: str) -> None:
    def order(seed: int) -> list[int]:
        return np.concatenate(drawn(batching, seed=seed)).tolist()

    assert order(0) == order(0) != order(1)


def split_conditions() -> list[int]:
    """Return conditions that share a mini-batch with others although they do not fit into one."""
    found = []
    for part in drawn("perturbation"):
        held = np.unique(CONDITION[part])
        found += [
            int(code)
            for code in held
            if held.size > 1 and part_of(code, part) < part_of(code, np.arange(CONDITION.size))
        ]
    return found


def part_of(code: int, part: Rows) -> int:
    return int((CONDITION[part] == code).sum())


def test_conditions_stay_together() -> None:
    assert split_conditions() == []
    shares = [np.unique(CONDITION[part]).size for part in drawn("perturbation")]
    assert max(shares) > 1  # conditions of few rows share
    large = [part for part in drawn("perturbation") if (CONDITION[part] == 8).any()]
    assert len(large) == 5 and all((CONDITION[part] == 8).all() and part.size == 60 for part in large)


def test_experimental_batches_share_no_mini_batch() -> None:
    found = drawn("batch")
    assert all(np.unique(LABELS.batch[part]).size == 1 for part in found)
    assert len({int(LABELS.batch[part[0]]) for part in found}) == 3
    in_order = [int(LABELS.batch[part[0]]) for part in found]
    assert in_order != sorted(in_order)  # else each epoch would end with the same batch


def test_a_strategy_that_deals_at_random_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: whatever the strategy, rows are dealt at random."""
    monkeypatch.setattr(batches, "_together", lambda groups, size, generator: [np.concatenate(groups)])
    assert split_conditions() != []


def test_rows_of_one_condition_alone_are_dealt() -> None:
    one = RowLabels(np.zeros(10, np.intp), np.zeros(10, np.intp), np.zeros(10, bool))
    for batching in BATCHING:
        found = epoch_batches(one.training, one, batching=batching, size=4, generator=np.random.default_rng(0))
        assert sorted(part.size for part in found) == [3, 3, 4]
    assert one.stopping.size == 0
