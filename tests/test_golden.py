"""Results are those of the golden files; where a change of them is meant, see `golden_make.py`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from golden_make import FOLDER, GOLDEN, path_of


def test_every_golden_file_is_compared() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_results_are_the_golden_ones(name: str) -> None:
    kept, made = json.loads(path_of(name).read_text()), GOLDEN[name]()
    for topic, values in made.items():
        assert values == kept.get(topic), f"golden/{name}.json: {topic} has changed"
    assert set(kept) == set(made)


def test_golden_counts_hold_something() -> None:
    # as many zeros as there were if a store were read after it is gone would compare equal to themselves
    for screen in json.loads(path_of("screens").read_text()).values():
        counts, molecules = np.array(screen["counts"]), np.array(screen["molecules"])
        assert (counts <= molecules).all()
        assert counts.sum() > 0.2 * molecules.sum()
