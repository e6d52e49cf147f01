"""What holds for all tests: property tests draw the same examples each time, and nothing touches a global generator."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")  # no display

# No deadline: the first example may compile a kernel. `pytest --hypothesis-profile=explore` looks further.
settings.register_profile(
    "fixed", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _global_generators_untouched() -> Iterator[None]:
    """Fail a test in which anything draws from, or seeds, the generators that all of a process shares."""
    shared = random.getstate(), np.random.get_state(legacy=False)["state"]
    yield
    after = random.getstate(), np.random.get_state(legacy=False)["state"]
    assert after[0] == shared[0], "something used Python's global random generator"
    assert after[1]["pos"] == shared[1]["pos"], "something used numpy's global random generator"
    assert np.array_equal(after[1]["key"], shared[1]["key"]), "something used numpy's global random generator"
