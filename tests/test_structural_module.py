"""The optimiser of structural equations: the group lasso's closed form, and steps that leave what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers_structural import structural_world  # noqa: E402

from fitters.errors import FitterError  # noqa: E402
from fitters.scm.pools import make_pools  # noqa: E402
from fitters.scm.scm_nonlinear import ScmNonlinear  # noqa: E402
from fitters.scm.structural_module import GroupedProximalAdam, StructuralModule  # noqa: E402
from fitters.training.objective import Moment  # noqa: E402

WANTED = torch.tensor(np.random.default_rng(0).normal(size=(4, 4, 2)))
PRICE = torch.linspace(0.2, 2.0, 16).double().reshape(4, 4)


def minimised(
    *, price: Callable[[], Any] = lambda: PRICE, allowed: Callable[[Any], bool] | None = None, steps: int = 3000
) -> Any:
    """Return the minimum of |u - wanted|^2 / 2 + price |u| over groups as the optimiser finds it."""
    u, other = (torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 4, 2), (3,)))
    optimiser = GroupedProximalAdam(u, [other], learning_rate=0.05, price=price, allowed=allowed)

    def closure() -> Any:
        optimiser.zero_grad()
        loss = 0.5 * ((u - WANTED) ** 2).sum() + ((other - 1.5) ** 2).sum()
        loss.backward()
        return loss

    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 0.05 * (1 - step / steps)
        optimiser.step(closure)
    return u.detach(), other.detach(), optimiser


def check_group_lasso(found: Any) -> None:
    norm = WANTED.norm(dim=2)
    expected = WANTED * (1.0 - PRICE / norm).clamp(min=0.0)[:, :, None]
    expected[range(4), range(4)] = 0.0
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert ((found == 0.0) == (expected == 0.0)).all()  # exactly
    assert 6 <= int((expected.norm(dim=2) == 0).sum()) <= 12


def test_the_minimum_is_that_of_the_group_lasso() -> None:
    grouped, other, _ = minimised()
    check_group_lasso(grouped)
    np.testing.assert_allclose(other, 1.5, atol=1e-3)  # what has no price
    with pytest.raises(AssertionError):  # the planted bug: prices are not charged
        check_group_lasso(minimised(price=lambda: torch.zeros_like(PRICE))[0])


def test_what_is_not_allowed_is_not_entered_and_steps_get_shorter() -> None:
    found, _, optimiser = minimised(allowed=lambda u: bool(u.abs().max() < 0.5), steps=300)
    assert 0.4 < float(found.abs().max()) < 0.5
    assert {group["slowed"] for group in optimiser.param_groups} != {1.0}
    assert len({group["slowed"] for group in optimiser.param_groups}) == 1


def module(**changes: Any) -> StructuralModule:
    pools = make_pools(structural_world(1, genes=6, targets=4, cells=30).data, cells_per_pool=10, seed=0)
    options: dict[str, Any] = {
        "weight": np.ones(len(pools)), "learnt": np.ones(len(pools), dtype=bool), "hidden_units": 2, "penalty": 0.5,
        "unperturbed_penalty": 3.0, "acyclic": False, "seed": 0, "n_epochs": 10,
    }  # fmt: skip
    return StructuralModule(pools, **options | changes)


def with_paths(found: StructuralModule, size: float = 0.2) -> StructuralModule:
    rng = np.random.default_rng(3)
    with torch.no_grad():
        found.paths += torch.tensor(size * rng.normal(size=tuple(found.paths.shape))) * found.not_own[:, :, None]
    return found


@pytest.mark.parametrize("acyclic", [False, True])
def test_gradients_are_those_of_finite_differences(acyclic: bool) -> None:
    model = with_paths(module(acyclic=acyclic), 0.1)
    rows = torch.arange(7)

    def value() -> Any:
        found = model.terms(rows, Moment(5, 0.5))
        return found["likelihood"] + found[model.structure_name]

    value().backward()
    for parameter in model.parameters():
        flat, slope = parameter.detach().view(-1), parameter.grad.view(-1)
        for position in range(0, flat.numel(), 3):
            kept, sides = float(flat[position]), []
            for step in (1e-5, -1e-5):
                flat[position] = kept + step
                sides.append(float(value().detach()))
            flat[position] = kept
            assert float(slope[position]) == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5, abs=1e-8)


def test_the_determinant_is_that_of_each_pool_without_its_targets_equations() -> None:
    model = with_paths(module())
    rows = torch.arange(len(model.weight))
    slope = (model.paths * (1.0 - model.offset.tanh() ** 2)).sum(dim=2).detach().numpy()
    expected = []
    for held in model.held.numpy():
        own = slope.copy()
        own[:, held] = 0.0  # columns are the genes that equations are of
        expected.append(np.linalg.slogdet(np.eye(6) - own)[1])
    found = float(model.terms(rows, Moment(0, 0.0))["log_determinant"].detach())
    assert found == pytest.approx(-np.mean(expected) / 6, rel=1e-10)
    assert abs(np.mean(expected) - np.linalg.slogdet(np.eye(6) - slope)[1]) > 1e-3  # else it could not tell


def test_divergence_ends_by_name() -> None:
    data = structural_world(1, genes=6, targets=4, cells=30).data
    with pytest.raises(FitterError, match=r"^fitter scm-nonlinear: training diverged: .* at epoch \d+"):
        ScmNonlinear(learning_rate=1e200, epochs=20, resamples=0).fit(data, seed=0)
