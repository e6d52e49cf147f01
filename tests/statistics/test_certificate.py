"""A part of the certificate with few cells and a fixed seed: each engine against theory, and one bug that is planted.

The whole of it, with more cells, all laws and all bugs, is `make verify`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import simcell
from verification.bugs import BUGS, Bug
from verification.laws import LAWS
from verification.planting import PACKAGE, catch_all
from verification.run import run

# the quickest laws that between them look at counts, proteins, guides, media, sizes, identity and known failures
QUICK = (
    "same bits",
    "stationary counts",
    "transient counts",
    "protein noise",
    "size of cells",
    "onset of a guide",
    "knock-out",
    "change of medium",
    "two-gene circuit",
    "targets of a knock-out",
    "half-response",
    "wild type untouched",
)


@pytest.mark.statistical
@pytest.mark.parametrize("law", QUICK)
def test_laws_hold(law: str) -> None:
    done = list(run([law], few=True, quiet=True))
    assert {each.engine for each in done} == set(LAWS[law].engines)
    failed = [str(row) for each in done for row in each.comparisons if not row.passed]
    assert not failed, failed[0]


@pytest.mark.slow
@pytest.mark.statistical
def test_a_planted_bug_is_caught() -> None:
    bug = next(bug for bug in BUGS if bug.name == "a factor of 2 missing in the noise")
    (catch,) = catch_all([bug])
    assert catch.clean
    assert catch.caught
    assert not catch.error


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_every_bug_can_be_planted(bug: Bug) -> None:
    text = (Path(simcell.__file__).parent / bug.file).read_text(encoding="utf-8")
    assert Path(simcell.__file__).parent == PACKAGE
    assert text.count(bug.old) == 1
    assert bug.law in LAWS
    assert bug.engine in LAWS[bug.law].engines
