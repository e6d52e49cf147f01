"""The budget of false alarms adds up, is spent only as registered, and its comparisons have the rates they state."""

from __future__ import annotations

import re
from pathlib import Path

import budget
import numpy as np
import pytest
from budget import SHARES, SLOTS, TOTAL, Share, chi_square_chance, dkw_radius, level, z_threshold
from scipy.stats import kstest, norm


def test_shares_stay_within_the_budget() -> None:
    spent = sum(TOTAL / SLOTS * share.slots for share in SHARES.values())
    assert spent <= TOTAL * (1.0 + 1e-12)
    assert all(share.runs >= 1 and share.slots >= 1 for share in SHARES.values())


def test_every_share_is_used_by_exactly_one_file_and_every_law_has_a_planted_bug() -> None:
    texts = [file.read_text() for file in sorted(Path(__file__).parent.glob("test_*.py")) if file != Path(__file__)]
    users = {name: [text for text in texts if f'level("{name}")' in text] for name in SHARES}
    assert {name: len(found) for name, found in users.items()} == dict.fromkeys(SHARES, 1)
    used = {name for text in texts for name in re.findall(r'level\("([^"]+)"\)', text)}
    assert used == set(SHARES)
    for text in texts:
        if 'level("' in text:
            checks = set(re.findall(r"^def (check_\w+)", text, re.M))
            inside = "\n".join(re.findall(r"with caught\(.*\n((?: {8,}.*\n)+)", text))
            assert checks
            assert {check for check in checks if check not in inside} == set(), "a check without a planted bug"


def test_a_run_that_was_not_registered_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHARES, "a law", Share(runs=2, slots=3))
    assert level("a law") == pytest.approx(TOTAL / SLOTS * 1.5)
    level("a law")
    with pytest.raises(AssertionError, match="more than the 2 runs"):
        level("a law")
    with budget.caught("planted"):
        level("a law")  # not charged
        raise AssertionError("a planted bug")


def test_comparisons_have_their_stated_rates() -> None:
    rng = np.random.default_rng(1)
    assert z_threshold(0.05 * budget.SKEWED) == pytest.approx(1.96, abs=0.001)
    assert 3 * 2 * norm.sf(z_threshold(0.05, 3)) == pytest.approx(0.05 / budget.SKEWED)
    uniform = rng.random((2000, 400))
    distances = [kstest(row, "uniform").statistic for row in uniform]
    assert np.mean(np.array(distances) > dkw_radius(0.2, 400)) == pytest.approx(0.2, abs=0.04)
    rolls = rng.multinomial(6000, np.full(6, 1 / 6), size=2000)
    chances = [chi_square_chance(roll, np.full(6, 1000.0)) for roll in rolls]
    assert np.mean(np.array(chances) < 0.2) == pytest.approx(0.2, abs=0.04)


def test_checks_fail_where_they_should() -> None:
    rng = np.random.default_rng(2)
    sample = rng.gamma(0.5, 2.0, (100_000, 2))
    budget.assert_mean(sample, 1.0, 1e-8, what="x")
    budget.assert_variance(sample, 2.0, 1e-8, what="x", kurtosis=3.0 + 6.0 / 0.5)
    with pytest.raises(AssertionError, match="mean of x"):
        budget.assert_mean(sample, [1.0, 1.05], 1e-8, what="x")
    with pytest.raises(AssertionError, match="variance of x"):
        budget.assert_variance(sample, 2.3, 1e-8, what="x")
    with pytest.raises(AssertionError, match="correlation of x"):
        budget.assert_uncorrelated(sample, sample + 20.0 * sample[::-1], 1e-8, what="x")
