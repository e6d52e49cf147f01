"""Terms of losses: gradients against finite differences, zeros where theory has them, laws against scipy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers_core import make_model, make_network
from numpy.typing import NDArray
from scipy import stats
from scipy.special import digamma

torch = pytest.importorskip("torch")

from fitters import losses  # noqa: E402
from fitters.losses import (  # noqa: E402
    contrast,
    gaussian_moments,
    maximum_mean_discrepancy,
    negative_binomial,
    sliced_wasserstein,
    sparsity,
    squared_error,
    steady_state,
)
from simcell.cell import CellModel  # noqa: E402
from simcell.regulation import REGULATIONS  # noqa: E402

Loss = Callable[..., Any]


def normal(*shape: int, seed: int = 0) -> Any:
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


def positive(*shape: int, seed: int = 0) -> Any:
    return torch.tensor(np.random.default_rng(seed).uniform(0.5, 4.0, size=shape))


COUNTS = torch.tensor(np.random.default_rng(5).poisson(1.0, (4, 3)).astype(float))  # some are 0

# a loss, and what it is a function of: everything that it has a gradient by
CASES: dict[str, tuple[Loss, tuple[Any, ...]]] = {
    "squared_error": (squared_error, (normal(4, 3), normal(4, 3, seed=1), positive(4, 1))),
    "negative_binomial": (lambda *args: negative_binomial(COUNTS, *args), (positive(4, 3), positive(3, seed=1))),
    "negative_binomial with dropout": (
        lambda *args: negative_binomial(COUNTS, *args), (positive(4, 3), positive(4, 3, seed=1), normal(3)),
    ),
    "gaussian_moments": (
        gaussian_moments, (normal(4, 3), positive(4, 3), normal(4, 3, seed=1), positive(4, 3, seed=1)),
    ),
    "maximum_mean_discrepancy": (
        lambda x, y: maximum_mean_discrepancy(x, y, bandwidth=3.0), (normal(5, 3), normal(4, 3, seed=1)),
    ),
    "sliced_wasserstein": (
        lambda x, y: sliced_wasserstein(x, y, normal(6, 3, seed=9)), (normal(5, 3), normal(5, 3, seed=1)),
    ),
    "sliced_wasserstein of unlike sizes": (
        lambda x, y: sliced_wasserstein(x, y, normal(6, 3, seed=9)), (normal(5, 3), normal(3, 3, seed=1)),
    ),
    "steady_state": (steady_state, (normal(4, 3), positive(4, 1))),
    "sparsity": (sparsity, (normal(4, 3),)),
    "contrast": (contrast, tuple(normal(4, 3, seed=seed) for seed in range(4))),
}  # fmt: skip


def check_gradient(loss: Loss, inputs: tuple[Any, ...]) -> None:
    """Hold the gradient by every input to central differences."""
    variables = [value.clone().requires_grad_() for value in inputs]
    loss(*variables).backward()
    for number, variable in enumerate(variables):
        expected = torch.zeros_like(variable)
        for position in np.ndindex(*variable.shape):
            sides = []
            for step in (1e-5, -1e-5):
                moved = [value.clone() for value in inputs]
                moved[number][position] += step
                sides.append(float(loss(*moved)))
            expected[position] = (sides[0] - sides[1]) / 2e-5
        assert variable.grad is not None and bool((expected.abs() > 1e-6).any())
        np.testing.assert_allclose(variable.grad, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_finite_differences(case: str) -> None:
    check_gradient(*CASES[case])


def test_every_term_has_its_gradient_checked() -> None:
    terms = {name for name, found in vars(losses).items() if inspect.isfunction(found)}
    assert terms == {case.split()[0] for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_a_lost_gradient_would_be_seen(case: str) -> None:
    """The planted bug: one part of the loss is detached."""
    loss, inputs = CASES[case]

    def detached(first: Any, *others: Any) -> Any:
        return 0.5 * loss(first, *others) + 0.5 * loss(first.detach(), *others)

    with pytest.raises((AssertionError, RuntimeError)):
        check_gradient(detached, inputs)


def check_likelihood(loss: Loss) -> None:
    """Hold the loss to scipy's law, whose chance of success is theta / (theta + mean)."""
    counts, mean, theta = np.arange(30.0).reshape(10, 3), positive(10, 3).numpy() * 3, positive(3, seed=1).numpy()
    law = stats.nbinom(theta, theta / (theta + mean))
    found = loss(*map(torch.tensor, (counts, mean, theta)))
    np.testing.assert_allclose(float(found), -law.logpmf(counts).mean(), rtol=1e-12)
    counts[::2] = 0.0
    logit = np.array([-1.0, 0.0, 2.0])
    share = 1.0 / (1.0 + np.exp(-logit))
    chance = (1.0 - share) * law.pmf(counts) + share * (counts == 0)
    found = loss(*map(torch.tensor, (counts, mean, theta, logit)))
    np.testing.assert_allclose(float(found), -np.log(chance).mean(), rtol=1e-12)


def test_counts_have_the_likelihood_of_scipy() -> None:
    check_likelihood(negative_binomial)
    with pytest.raises(AssertionError):  # the planted bug: the dispersion, where its inverse is meant
        check_likelihood(lambda counts, mean, theta, *dropout: negative_binomial(counts, mean, 1.0 / theta, *dropout))


THETAS = np.exp(np.array([-7.0, -3.0, 0.0, 2.0, 4.0, 5.7, 7.0, 8.5, 10.0]))  # the bounds of `vae`, and between


def float32_errors(loss: Loss, mean: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return errors of the loss of 400 counts and of its slope by log theta in 32 bits, one for each theta.

    Errors of values are absolute, from scipy's; those of slopes, from the exact ones, are in units of their root mean
    square over counts. Counts are Poisson, where theta has least to say.
    """
    counts = np.random.default_rng(int(mean) + 1).poisson(mean, 400)[:, None]
    values, slopes = [], []
    for theta in THETAS.astype(np.float32).astype(float):
        log_theta = torch.tensor([np.log(theta)], dtype=torch.float32, requires_grad=True)
        tensors = (torch.tensor(counts, dtype=torch.float32), torch.full((400, 1), mean))
        value = loss(*tensors, log_theta.exp())
        value.backward()
        theta = float(log_theta.detach().exp())
        each = theta * (
            digamma(counts + theta) - digamma(theta) - np.log1p(mean / theta) - (counts - mean) / (mean + theta)
        )
        values.append(float(value.detach()) + stats.nbinom(theta, theta / (theta + mean)).logpmf(counts).mean())
        slopes.append((float(log_theta.grad[0]) + each.mean()) / np.sqrt((each**2).mean()))
    return np.abs(values), np.abs(slopes)


def plainly(counts: Any, mean: Any, theta: Any) -> Any:
    """The planted bug: the formula as it stands, in numbers of 32 bits."""
    both = torch.log(theta + mean)
    rise = torch.lgamma(counts + theta) - torch.lgamma(theta) - torch.lgamma(counts + 1.0)
    return -(rise + theta * (torch.log(theta) - both) + counts * (torch.log(mean) - both)).mean()


@pytest.mark.parametrize("mean", [0.5, 3.0, 40.0])
def test_likelihoods_of_32_bits_are_exact_up_to_the_poisson_limit(mean: float) -> None:
    values, slopes = float32_errors(negative_binomial, mean)
    assert values.max() < 2e-5 and slopes.max() < 1e-5
    values, slopes = float32_errors(plainly, mean)
    assert values.max() > 1e-3 and slopes.max() > 1.0  # of the slope of a single count


def test_slopes_of_32_bits_have_the_right_sign_at_every_theta() -> None:
    """Counts that are less dispersed than the law, whose theta is to grow: the plain formula makes it shrink."""
    counts, mean = torch.full((50, 1), 3.0), torch.full((50, 1), 3.0)

    def signs(loss: Loss) -> list[float]:
        found = []
        for theta in THETAS:
            log_theta = torch.tensor([np.log(theta)], dtype=torch.float32, requires_grad=True)
            loss(counts, mean, log_theta.exp()).backward()
            found.append(float(log_theta.grad.sign()))
        return found

    assert signs(negative_binomial) == [-1.0] * len(THETAS)
    assert signs(plainly) != [-1.0] * len(THETAS)


def test_both_forms_of_the_likelihood_agree_with_zeros_and_any_shape_of_theta() -> None:
    """Of 32 bits and of 64, on more counts than are worked on at a time; and the gradients by all parameters."""
    rng = np.random.default_rng(3)
    n_genes = 70
    counts, mean = rng.poisson(rng.gamma(1.0, 20.0, (600, n_genes))), rng.gamma(2.0, 5.0, (600, n_genes))
    for shape in ((n_genes,), (600, 1), (600, n_genes)):
        theta, logit = np.exp(rng.uniform(-5, 10, shape)), rng.normal(size=n_genes)
        found = []
        for dtype in (torch.float32, torch.float64):
            inputs = [torch.tensor(value, dtype=dtype, requires_grad=True) for value in (mean, theta, logit)]
            value = negative_binomial(torch.tensor(counts, dtype=dtype), *inputs)
            value.backward()
            found.append((float(value.detach()), *(tensor.grad.double().numpy() for tensor in inputs)))
        assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
        for single, double in zip(found[0][1:], found[1][1:], strict=True):
            assert single.shape == double.shape
            np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-6 * np.abs(double).max())


def test_likelihoods_of_extreme_parameters_are_finite() -> None:
    counts = torch.tensor([[0.0, 1.0, 5e4]])
    for mean in (1e-6, 1e5):
        for theta in (1e-3, 1e4):
            for logit in (-50.0, 50.0):
                tensors = [torch.full((1, 3), value, requires_grad=True) for value in (mean, theta, logit)]
                value = negative_binomial(counts, *tensors)
                value.backward()
                assert bool(value.isfinite()) and all(bool(tensor.grad.isfinite().all()) for tensor in tensors)


def test_moments_that_agree_cost_nothing_and_others_what_normal_laws_do() -> None:
    mean, variance = normal(4, 3), positive(4, 3)
    assert float(gaussian_moments(mean, variance, mean, variance)) == 0.0
    assert float(gaussian_moments(mean, 0 * variance, mean, 0 * variance)) == 0.0  # of one cell, say
    for changed in ((mean + 0.1, variance), (mean, 1.1 * variance), (mean, variance / 1.1)):
        assert float(gaussian_moments(*changed, mean, variance)) > 1e-3
    # the divergence of N(0, 1) from N(1, 4), by quadrature
    grid = np.linspace(-12, 12, 200_001)
    density = stats.norm.pdf(grid)
    expected = np.sum(density * (stats.norm.logpdf(grid) - stats.norm.logpdf(grid, 1, 2))) * (grid[1] - grid[0])
    found = gaussian_moments(*(torch.tensor([[value]]).double() for value in (1.0, 4.0, 0.0, 1.0)), floor=0.0)
    assert float(found) == pytest.approx(expected, rel=1e-8)
    backwards = gaussian_moments(*(torch.tensor([[value]]).double() for value in (0.0, 1.0, 1.0, 4.0)), floor=0.0)
    assert abs(float(backwards) - expected) > 0.1  # the planted bug, which the quadrature would see


def discrepancies(loss: Loss, *, shift: float = 0.0, widening: float = 1.0) -> NDArray[np.float64]:
    """Return the loss over 400 pairs of samples of 12 and 9 points, the second shifted and widened."""
    return np.array(
        [
            float(loss(normal(12, 2, seed=2 * seed), shift + widening * normal(9, 2, seed=2 * seed + 1)))
            for seed in range(400)
        ]
    )


def standard_errors_from_0(sample: NDArray[np.float64]) -> float:
    return float(sample.mean() / (sample.std(ddof=1) / np.sqrt(sample.size)))


def biased(x: Any, y: Any) -> Any:
    """The planted bug: the diagonal, each point with itself, is counted."""
    own = (len(x) - 1) / len(x), (len(y) - 1) / len(y)
    kept = maximum_mean_discrepancy(x, y)
    return kept + (1.0 - own[0]) + (1.0 - own[1])


def test_the_discrepancy_of_one_law_is_0_on_average() -> None:
    null = discrepancies(maximum_mean_discrepancy)
    assert abs(standard_errors_from_0(null)) < 4.0 and (null < 0).any()
    assert standard_errors_from_0(discrepancies(maximum_mean_discrepancy, shift=0.7)) > 10.0
    assert standard_errors_from_0(discrepancies(maximum_mean_discrepancy, widening=2.0)) > 10.0
    assert standard_errors_from_0(discrepancies(biased)) > 10.0


def test_the_discrepancy_is_the_double_sum_of_its_formula() -> None:
    x, y, h = normal(5, 3), normal(4, 3, seed=1), 2.5

    def kernel(a: Any, b: Any) -> float:
        square = float(((a - b) ** 2).sum())
        return float(np.mean([np.exp(-square / (2 * scale**2 * h)) for scale in (0.5, 1.0, 2.0)]))

    within = [
        np.mean([kernel(a, b) for i, a in enumerate(side) for j, b in enumerate(side) if i != j]) for side in (x, y)
    ]
    between = np.mean([kernel(a, b) for a in x for b in y])
    found = maximum_mean_discrepancy(x, y, bandwidth=h)
    assert float(found) == pytest.approx(sum(within) - 2 * between, rel=1e-12)
    points = torch.cat([x, y])
    squares = sorted(float(((a - b) ** 2).sum()) for i, a in enumerate(points) for b in points[:i])
    by_median = maximum_mean_discrepancy(x, y, bandwidth=squares[(len(squares) - 1) // 2])
    assert float(maximum_mean_discrepancy(x, y)) == pytest.approx(float(by_median), rel=1e-12)


def test_samples_that_are_all_one_point_do_no_harm() -> None:
    x = torch.ones(4, 3, requires_grad=True)
    value = maximum_mean_discrepancy(x, torch.ones(5, 3))
    value.backward()
    assert float(value.detach()) == pytest.approx(0.0, abs=1e-6) and bool(x.grad.isfinite().all())


def check_shift(loss: Loss) -> None:
    """Hold the distance of a sample from itself, shuffled and shifted by d, to the mean of (u d)^2 over directions."""
    x, shift, directions = normal(50, 4), torch.tensor([1.0, -2.0, 0.5, 0.0]).double(), 3.0 * normal(2000, 4, seed=1)
    shuffled = x[np.random.default_rng(2).permutation(50)]
    assert float(loss(x, shuffled, directions)) < 1e-28
    unit = directions / directions.norm(dim=1, keepdim=True)
    found = float(loss(x, shuffled + shift, directions))
    assert found == pytest.approx(float(((unit @ shift) ** 2).mean()), rel=1e-10)
    assert found == pytest.approx(float((shift**2).sum()) / 4, rel=0.1)  # over all directions
    # a sample against every point of it three times over, which is the same distribution
    assert float(loss(x.repeat(3, 1) + shift, x, directions)) == pytest.approx(found, rel=1e-10)


def test_sliced_wasserstein_of_shifted_samples() -> None:
    check_shift(sliced_wasserstein)

    def unsorted(x: Any, y: Any, directions: Any) -> Any:
        unit = directions / directions.norm(dim=1, keepdim=True)
        return ((x @ unit.T - y @ unit.T) ** 2).mean()

    def long(x: Any, y: Any, directions: Any) -> Any:
        return sliced_wasserstein(x, y, directions) * (directions**2).sum(1).mean()

    for bug in (unsorted, long):
        with pytest.raises(AssertionError):
            check_shift(bug)


def test_sliced_wasserstein_of_normal_laws() -> None:
    """W2^2 between N(0, 1) and N(1, 4) is 1 + (2 - 1)^2 (Dowson & Landau 1982)."""
    x, y = normal(20_000, 1), 1.0 + 2.0 * normal(15_000, 1, seed=1)
    assert float(sliced_wasserstein(x, y, torch.ones(1, 1).double())) == pytest.approx(2.0, rel=0.05)


EDGES = [(0, 1, 1), (1, 2, -1), (0, 3, 1), (2, 3, -1)]  # without cycles, so that the fixed point is found exactly


def field(
    model: CellModel, x: NDArray[np.float64], *, production: NDArray[np.float64] | None = None, lost: float = 1.0
) -> Any:
    """Return the true field dx/dt (n, G) at mRNA x (n, G), regulators' proteins settled; `lost` scales the decay."""
    made = np.ones(x.shape[1]) if production is None else production
    level = x[:, model.network.regulators] / model.mean[model.network.regulators]
    active = np.array([model.regulation.activity(model.basal, model.strength, model.edges, row) for row in level])
    return torch.tensor(model.decay * (made * model.ceiling * active - lost * x) / model.mean)


def settled(model: CellModel, production: NDArray[np.float64]) -> NDArray[np.float64]:
    x = model.mean.copy()[None]
    for _ in range(x.size + 1):
        x = x + field(model, x, production=production).numpy() * model.mean / model.decay
    return x


@pytest.mark.parametrize("regulation", sorted(REGULATIONS))
def test_the_true_field_stands_still_at_its_steady_states_alone(regulation: str) -> None:
    """Of controls and of settled perturbed cells, each under its own production; |f| < 1e-12 of the turnover."""
    model = make_model(
        make_network(EDGES), regulation=regulation, mean=np.array([20.0, 5.0, 40.0, 10.0]),
        half_life=np.array([4.0, 6.0, 2.0, 9.0]),
    )  # fmt: skip
    wild_type, knock_down = model.mean[None], np.array([0.3, 1.0, 1.0, 1.0])
    perturbed = settled(model, knock_down)
    assert np.abs(perturbed / model.mean - 1.0)[0, 1:].max() > 0.02
    for state, production in ((wild_type, np.ones(4)), (perturbed, knock_down)):
        assert float(steady_state(field(model, state, production=production))) < 1e-24
        bug = field(model, state, production=production, lost=1.0 + 1e-6)  # the planted bug: decay is off by 1e-6
        assert float(steady_state(bug)) > 1e-16
    elsewhere = [
        (wild_type, knock_down),  # perturbed cells are not where controls stand still
        (perturbed, np.ones(4)),
        (1.01 * wild_type, np.ones(4)),
    ]
    for state, production in elsewhere:
        assert float(steady_state(field(model, state, production=production))) > 1e-8


def test_steady_states_may_be_weighted() -> None:
    f = normal(4, 3)
    assert float(steady_state(f)) == pytest.approx(float((f**2).mean()))
    settled_rows = torch.tensor([[1.0], [0.0], [0.0], [1.0]]).double()
    assert float(steady_state(f, settled_rows)) == pytest.approx(float((f[[0, 3]] ** 2).sum() / 12))


def test_what_costs_nothing() -> None:
    x = normal(4, 3)
    assert float(squared_error(x, x)) == 0.0 == float(squared_error(x, x + 1.0, 0 * x))
    assert float(sparsity(0 * x)) == 0.0 < float(sparsity(x))
    assert float(contrast(x + 3.0, x, x - 2.0, x - 5.0)) == pytest.approx(0.0, abs=1e-28)
    assert float(contrast(x + 3.0, x, x - 2.0, x - 5.1)) > 1e-3


def contrasts(*, batch_effect: float) -> tuple[float, float]:
    """Return the batch-matched and the pooled contrast of a true prediction, conditions and batches confounded."""
    rng = np.random.default_rng(0)
    batch = np.array([0, 0, 0, 1, 1, 1])
    effect = batch_effect * rng.normal(size=(2, 5))  # of log levels: adds to all cells of a batch
    control, response = rng.normal(size=5), rng.normal(size=(6, 5))
    observed, controls = control + response + effect[batch], control + effect
    of_batch, of_all = (torch.tensor(value) for value in (controls[batch], np.tile(controls.mean(axis=0), (6, 1))))
    predicted = [torch.tensor(value) for value in (control + response, np.tile(control, (6, 1)))]
    found = [float(contrast(*predicted, torch.tensor(observed), own)) for own in (of_batch, of_all)]
    return found[0], found[1]


def test_an_additive_batch_effect_is_lost_on_the_matched_contrast_alone() -> None:
    assert contrasts(batch_effect=0.0) == pytest.approx((0.0, 0.0), abs=1e-28)
    matched, pooled = contrasts(batch_effect=1.0)
    assert matched == pytest.approx(0.0, abs=1e-28)
    assert pooled > 0.1  # which is what matching by mistake with all batches would cost


def test_terms_are_named_and_explained() -> None:
    assert len(losses.TERMS) == 6 and all(name.replace("_", "").isalpha() for name in losses.TERMS)
    assert all(len(text) > 20 for text in losses.TERMS.values())
