"""Laws of one gene's counts, against the master equation as a dense matrix, exponentiated by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad, solve_ivp
from scipy.linalg import expm, null_space
from scipy.special import gammaln, hyp1f1
from scipy.stats import beta, gamma, nbinom, poisson

from simcell import theory
from simcell.errors import SimcellError, SpecError
from simcell.theory.telegraph import beta_quadrature

DECAY, TARGET = 0.3, 6.0
MOST = 150  # molecules; the chance of more is below 1e-13 in all that is compared


def generator(burst: float, *, most: int = MOST) -> NDArray[np.float64]:
    """Return the rates of change (to, from) of the law of counts 0..most at constant production."""
    out = np.zeros((most + 1, most + 1))
    for n in range(most + 1):
        sizes = {1: 1.0} if burst == 0.0 else {k: burst**k / (1.0 + burst) ** (k + 1) for k in range(1, most - n + 1)}
        events = DECAY * TARGET / (burst or 1.0)
        for size, chance in sizes.items():
            if n + size <= most:
                out[n + size, n] += events * chance
        if n:
            out[n - 1, n] += DECAY * n
        out[n, n] -= out[:, n].sum()
    return out


@pytest.mark.parametrize("burst", [0.0, 0.5, 4.0])
@pytest.mark.parametrize("time", [0.0, 0.7, 5.0])
def test_transient_laws(burst: float, time: float) -> None:
    propagate = expm(generator(burst) * time)
    count = np.arange(MOST + 1)
    before = poisson(9.0) if burst == 0.0 else nbinom(9.0 / burst, 1.0 / (1.0 + burst))
    starts = {
        "start": (8, (count == 8).astype(float)),
        "start_intensity": (2.5, poisson(2.5).pmf(count)),
        "start_mean": (9.0, before.pmf(count)),
    }
    for name, (value, law) in starts.items():
        settings = {"target": TARGET, "burst": burst, "decay": DECAY}
        found = theory.transient_count_law(time, **settings, **{name: value})  # type: ignore[arg-type]
        np.testing.assert_allclose(found.pmf(count), propagate @ law, atol=1e-12)
        mean, spread = law @ count, law @ count**2 - (law @ count) ** 2
        assert found.mean() == pytest.approx(theory.intensity_mean(time, start=mean, target=TARGET, decay=DECAY))
        expected = theory.count_variance(time, start=mean, start_variance=spread, **settings)  # type: ignore[arg-type]
        assert found.var() == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_stationary_laws_are_poisson_and_negative_binomial() -> None:
    count = np.arange(200)
    for burst, law in ((0.0, poisson(TARGET)), (3.0, theory.count_law(TARGET, 3.0))):
        late = theory.transient_count_law(np.inf, target=TARGET, burst=burst, decay=DECAY, start=40)
        np.testing.assert_allclose(late.pmf(count), law.pmf(count), atol=1e-13)
        np.testing.assert_allclose(late.cdf(count), law.cdf(count), atol=1e-12)
        found = null_space(generator(burst))[:, 0]
        np.testing.assert_allclose(law.pmf(np.arange(MOST + 1)), found / found.sum(), atol=1e-10)


def test_a_law_of_many_molecules_keeps_its_tail() -> None:
    law = theory.transient_count_law(2.0, target=30_000.0, burst=300.0, decay=DECAY, start_mean=3000.0)
    p = np.exp(-2.0 * DECAY)
    assert law.mean() == pytest.approx(30_000.0 * (1 - p) + 3000.0 * p, rel=1e-9)
    assert law.var() == pytest.approx(law.mean() + 300.0 * (30_000.0 * (1 - p**2) + 3000.0 * p**2), rel=1e-6)


def test_intensity_variance_is_that_of_shot_noise() -> None:
    times, burst = np.array([0.0, 0.5, 3.0, 30.0]), 4.0
    found = theory.intensity_variance(times, target=TARGET, burst=burst, decay=DECAY, start_variance=7.0)
    solved = solve_ivp(
        lambda t, v: 2.0 * DECAY * (burst * TARGET - v), (0.0, 30.0), [7.0], t_eval=times, rtol=1e-10, atol=1e-10
    )
    np.testing.assert_allclose(found, solved.y[0], rtol=1e-7)
    # Campbell: bursts of mean square 2 b^2 at rate delta theta / b, each falling as e^(-delta t)
    campbell, _ = quad(lambda t: 2.0 * burst * DECAY * TARGET * np.exp(-2.0 * DECAY * t), 0.0, 3.0)
    assert theory.intensity_variance(3.0, target=TARGET, burst=burst, decay=DECAY) == pytest.approx(campbell)
    # counts of a known intensity: the variance of counts is the mean more
    law = theory.transient_count_law(3.0, target=TARGET, burst=burst, decay=DECAY, start_intensity=5.0)
    assert law.var() - law.mean() == pytest.approx(campbell)


def test_intensity_variance_of_a_guide_that_sets_in_gradually() -> None:
    times, constant, burst = np.array([0.0, 1.0, 6.0, 20.0]), 4.0, 2.0

    def slope(time: float, moments: NDArray[np.float64]) -> list[float]:
        target = TARGET * (0.2 + 0.8 * np.exp(-time / constant))
        return [DECAY * (target - moments[0]), 2.0 * DECAY * (burst * target - moments[1])]

    solved = solve_ivp(slope, (0.0, 20.0), [TARGET, burst * TARGET], t_eval=times, rtol=1e-10, atol=1e-10)
    settings = {"start": TARGET, "target": 0.2 * TARGET, "first": 1.0 / constant}
    np.testing.assert_allclose(theory.two_stage_relaxation(times, second=DECAY, **settings), solved.y[0], rtol=1e-7)
    variance = burst * theory.two_stage_relaxation(times, second=2.0 * DECAY, **settings)
    np.testing.assert_allclose(variance, solved.y[1], rtol=1e-7)


def test_intensity_shape() -> None:
    skewness, kurtosis = gamma.stats(TARGET / 4.0, scale=4.0, moments="sk")
    assert theory.intensity_skewness(mean=TARGET, burst=4.0) == pytest.approx(skewness)
    assert theory.intensity_kurtosis(mean=TARGET, burst=4.0) == pytest.approx(3.0 + kurtosis)


def test_autocorrelation_of_counts() -> None:
    burst, lag, count = 1.5, 2.0, np.arange(MOST + 1)
    law = theory.count_law(TARGET, burst).pmf(count)
    joint = expm(generator(burst) * lag) * law  # (later, earlier)
    variance = law @ count**2 - TARGET**2
    covariance = count @ joint @ count - TARGET**2
    same = theory.count_autocorrelation([0.0, lag], decay=DECAY, burst=burst)
    np.testing.assert_allclose(same, [1.0, covariance / variance], rtol=1e-9)
    # drawn anew from Gamma intensities, whose covariance is all that counts share
    anew = theory.count_autocorrelation([0.0, lag], decay=DECAY, burst=burst, same_molecules=False)
    intensity = theory.intensity_autocorrelation(lag, decay=DECAY)
    np.testing.assert_allclose(anew, [1.0, burst * TARGET * intensity / (TARGET * (1.0 + burst))])


TELEGRAPHS = {
    "two peaks": {"activity": 0.4, "switching_rate": 0.2, "production": 12.0, "decay": 0.3},
    "averaged": {"activity": 0.7, "switching_rate": 8.0, "production": 9.0, "decay": 0.3},
    "bursts": {"activity": 0.05, "switching_rate": 3.0, "production": 15.0, "decay": 0.3},
    "as fast as decay": {"activity": 0.5, "switching_rate": 0.3, "production": 6.0, "decay": 0.3},
    "mostly off": {"activity": 0.02, "switching_rate": 0.05, "production": 10.0, "decay": 0.5},
}


def telegraph_generator(
    *, activity: float, switching_rate: float, production: float, decay: float, most: int
) -> NDArray[np.float64]:
    """Return rates (to, from) over (off, 0..most), (on, 0..most)."""
    out, n = np.zeros((2 * (most + 1), 2 * (most + 1))), most + 1
    for count in range(n):
        out[n + count, count] += switching_rate * activity
        out[count, n + count] += switching_rate * (1.0 - activity)
        if count < most:
            out[n + count + 1, n + count] += production
        if count:
            out[count - 1, count] += decay * count
            out[n + count - 1, n + count] += decay * count
    return out - np.diag(out.sum(axis=0))


@pytest.mark.parametrize("name", TELEGRAPHS)
def test_telegraph_law(name: str) -> None:
    case = TELEGRAPHS[name]
    most = 110
    matrix = telegraph_generator(**case, most=most)
    settled = null_space(matrix, rcond=1e-13)[:, 0]
    settled = (settled / settled.sum()).reshape(2, -1)
    law, count = theory.telegraph_law(**case), np.arange(most + 1)
    np.testing.assert_allclose(law.pmf(count), settled.sum(axis=0), atol=1e-10)
    # the confluent hypergeometric form, by Kummer's transformation a sum of positive terms
    on, off = (case["switching_rate"] * x / case["decay"] for x in (case["activity"], 1.0 - case["activity"]))
    ceiling, few = case["production"] / case["decay"], np.arange(60)
    logarithm = few * np.log(ceiling) - ceiling - gammaln(few + 1.0)
    logarithm += gammaln(on + few) - gammaln(on) - gammaln(on + off + few) + gammaln(on + off)
    closed = np.exp(logarithm) * hyp1f1(off, on + off + few, ceiling)
    np.testing.assert_allclose(law.pmf(few), closed, rtol=1e-8, atol=1e-13)
    mean, variance = theory.telegraph_moments(**case)
    assert (law.mean(), law.var()) == pytest.approx((float(mean), float(variance)), rel=1e-9)
    # autocovariance, with the joint law of both times
    lags = np.array([0.0, 1.0, 7.0])
    both = np.tile(count, 2)
    found = [both @ expm(matrix * lag) @ (both * settled.ravel()) - mean**2 for lag in lags]
    np.testing.assert_allclose(theory.telegraph_autocovariance(lags, **case), found, rtol=1e-6)


def test_a_telegraph_promoter_that_is_rarely_on_makes_geometric_bursts() -> None:
    burst, mean, activity = 3.0, 6.0, 1e-3
    production = mean * DECAY / activity
    law = theory.telegraph_law(
        activity=activity, switching_rate=production / burst / (1.0 - activity), production=production, decay=DECAY
    )
    count = np.arange(100)
    np.testing.assert_allclose(law.pmf(count), theory.count_law(mean, burst).pmf(count), atol=1e-3)


@pytest.mark.parametrize(("first", "second"), [(0.01, 0.3), (0.5, 0.5), (1.0, 1.0), (0.02, 80.0), (700.0, 900.0)])
def test_beta_quadrature(first: float, second: float) -> None:
    node, weight = beta_quadrature(first, second, 60)
    assert weight.sum() == pytest.approx(1.0, rel=1e-12)
    for power in (1, 2, 7):
        assert weight @ node**power == pytest.approx(beta(first, second).moment(power), rel=1e-9)


def test_count_law_reads_like_a_law_of_scipy() -> None:
    law = theory.CountLaw(np.array([0.2, 0.5, 0.3]))
    np.testing.assert_allclose(law.pmf([-1, 0, 2, 3]), [0.0, 0.2, 0.3, 0.0])
    np.testing.assert_allclose(law.cdf([-1, 0, 0.5, 1, 9]), [0.0, 0.2, 0.2, 0.7, 1.0])
    np.testing.assert_allclose(law.sf([-1, 0, 0.5, 1, 9]), [1.0, 0.8, 0.8, 0.3, 0.0])
    assert (law.mean(), law.var()) == pytest.approx((1.1, 0.49))


def test_refusals() -> None:
    with pytest.raises(SpecError, match=r"^time: -1.0 is not >= 0$"):
        theory.transient_count_law(-1.0, target=1.0, burst=1.0, decay=1.0)
    with pytest.raises(SpecError, match=r"^activity: 1.0 is not between 0 and 1$"):
        theory.telegraph_law(activity=1.0, switching_rate=1.0, production=1.0, decay=1.0)
    with pytest.raises(SpecError, match=r"^decay: 0.0 is not > 0$"):
        theory.telegraph_law(activity=0.5, switching_rate=1.0, production=1.0, decay=0.0)
    with pytest.raises(SpecError, match=r"^production: 1000000.0 is not at most 100000 times decay, 100000$"):
        theory.telegraph_law(activity=0.5, switching_rate=1.0, production=1e6, decay=1.0)
    with pytest.raises(SimcellError, match="beyond 4194304 molecules"):
        theory.transient_count_law(np.inf, target=1e7, burst=1e4, decay=1.0)
