"""`operator`: words of steps, laws of their operators, and an order of steps that commuting operators cannot tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_arms import HELD_OUT, WORDS, two_arms
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fitters.checks import CheckedFit, checked_fit
from fitters.contract import Query
from fitters.errors import FitterOptionError, RefusedQueryError
from fitters.experiment import Step
from fitters.mechanistic.operator_word import Operator
from fitters.mechanistic.states import Contexts, Word

torch = pytest.importorskip("torch")

FloatArray = NDArray[np.float64]
TRANSDUCE = Step("transduce")
SMALL: dict[str, Any] = {
    "epochs": 100,
    "learning_rate": 1e-2,
    "held_out": 0.0,
    "dimensions": 8,
    "lift": 8,
    "embedding": 12,
    "losses": {"weight_decay": 0.03},
}


def culture(hours: float, medium: str = "base") -> Step:
    return Step("culture", medium, hours)


@pytest.fixture(scope="module")
def fits() -> dict[bool, CheckedFit]:
    """Return fits of both arms by `commute`."""
    return {
        commute: checked_fit(Operator(commute=commute, **SMALL), two_arms().data, seed=0) for commute in (False, True)
    }


def responses(fit: CheckedFit, arm: str) -> FloatArray:
    profile = fit.predict(Query.of_labels(("control", *HELD_OUT), arm=arm)).profile
    return profile[1:] - profile[0]


def explained(fit: CheckedFit) -> float:
    """Return how much of the true difference between orders is predicted, for held-out pairs and genes not targeted."""
    world = two_arms()
    true = np.stack([world.response("before", label) - world.response("after", label) for label in HELD_OUT])
    found = responses(fit, "before") - responses(fit, "after")
    others = np.array([[gene not in label.split("+") for gene in world.data.genes] for label in HELD_OUT])
    return 1.0 - float(((found - true)[others] ** 2).sum() / (true[others] ** 2).sum())


# order


def test_what_order_does_is_predicted_for_pairs_never_seen(
    fits: dict[bool, CheckedFit], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explained(fits[False]) > 0.8
    word = Contexts.word
    monkeypatch.setattr(  # a planted bug: steps are taken in the order of their names
        Contexts, "word", lambda self, context: tuple(sorted(word(self, context), key=lambda step: step.kind))
    )
    assert explained(checked_fit(Operator(**SMALL), two_arms().data, seed=0)) < 0.1


def test_commuting_operators_answer_the_same_for_both_orders(fits: dict[bool, CheckedFit]) -> None:
    """To the last bit, though the two arms have controls and cells of their own."""
    query = ("control", "R0", *HELD_OUT)
    found = [fits[True].predict(Query.of_labels(query, arm=arm)).profile for arm in WORDS]
    np.testing.assert_array_equal(*found)
    assert explained(fits[True]) == 0.0
    assert not np.array_equal(*[fits[False].predict(Query.of_labels(query, arm=arm)).profile for arm in WORDS])


def test_any_order_of_shifts_is_one_state(fits: dict[bool, CheckedFit]) -> None:
    word: Word = (TRANSDUCE, culture(0.1), culture(7.3, "stimulus"), culture(0.2), culture(33.0, "stimulus"))
    rng = np.random.default_rng(0)
    expected = fits[True].fit.states(word, [("R0",), ("R1", "R4")])
    assert np.abs(expected).max() > 0.1
    moved = 0
    for _ in range(10):
        other = tuple(word[place] for place in rng.permutation(len(word)))
        np.testing.assert_array_equal(fits[True].fit.states(other, [("R0",), ("R1", "R4")]), expected)
        moved += not np.allclose(fits[False].fit.states(other, [("R0",)]), fits[False].fit.states(word, [("R0",)]))
    assert moved > 5


# laws


@settings(max_examples=20, deadline=None)
@given(a=st.floats(0.01, 300.0), b=st.floats(0.01, 300.0), medium=st.sampled_from(["base", "stimulus"]))
def test_culture_adds_up(fits: dict[bool, CheckedFit], a: float, b: float, medium: str) -> None:
    for fit in fits.values():
        parts = (culture(5.0), TRANSDUCE, culture(a, medium), culture(b, medium))
        whole = (culture(5.0), TRANSDUCE, culture(a + b, medium))
        targets = [(), ("R0",), ("R2", "R3")]
        np.testing.assert_allclose(
            fit.fit.states(parts, targets), fit.fit.states(whole, targets), rtol=1e-9, atol=1e-11
        )


def test_a_flow_that_is_no_exponential_does_not_add_up(
    fits: dict[bool, CheckedFit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.linalg, "matrix_exp", lambda m: torch.eye(len(m), dtype=m.dtype) + m)
    states = fits[False].fit.states
    parts, whole = (TRANSDUCE, culture(10.0), culture(20.0)), (TRANSDUCE, culture(30.0))
    assert not np.allclose(states(parts, [("R0",)]), states(whole, [("R0",)]), atol=1e-3)


def test_a_perturbation_of_nothing_is_the_control(fits: dict[bool, CheckedFit]) -> None:
    word = (culture(12.0), TRANSDUCE, culture(30.0, "stimulus"))
    for fit in fits.values():
        untouched = word[:1] + word[2:]
        np.testing.assert_allclose(fit.fit.states(word, [()]), fit.fit.states(untouched, [()]), rtol=0, atol=1e-14)
        np.testing.assert_allclose(*fit.fit.states(word, [(), ()]), rtol=0, atol=1e-14)
        for arm in WORDS:
            control = fit.predict(Query.of_labels(["control"], arm=arm)).profile
            assert np.abs(control[0] - two_arms().truth[arm]["control"]).max() < 0.1
    before = fits[False].fit.states((culture(12.0), TRANSDUCE), [(), ("R0",)])
    np.testing.assert_allclose(*before, rtol=0, atol=1e-14)  # an effect needs time


def test_a_culture_is_what_the_differential_equation_says(fits: dict[bool, CheckedFit]) -> None:
    """Against the textbook's Runge-Kutta steps of the generator, 0.1 h each."""
    model = fits[False].fit.model()
    generator = model.generator("stimulus").detach().numpy()
    row = np.random.default_rng(2).normal(size=len(generator))
    expected = row.copy()
    for _ in range(200):
        k1 = expected @ generator
        k2 = (expected + 0.05 * k1) @ generator
        k3 = (expected + 0.05 * k2) @ generator
        k4 = (expected + 0.1 * k3) @ generator
        expected = expected + 0.1 * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    flow = torch.linalg.matrix_exp(20.0 * model.generator("stimulus")).detach().numpy()
    np.testing.assert_allclose(row @ flow, expected, rtol=1e-8)


def test_every_generator_is_stable(fits: dict[bool, CheckedFit]) -> None:
    assert fits[False].fit.spectral_abscissa() < 0
    assert fits[False].fit.spectral_abscissa(medium="stimulus") < 0
    assert fits[True].fit.spectral_abscissa() == 0.0


# what is asked


def test_terms_are_recorded_by_name() -> None:
    losses = {"steady_state_controls": 1.0, "contrast_matched": 0.5, "contrast_pooled": 0.0, "weight_decay": 0.0}
    for commute in (False, True):
        options = {**SMALL, "epochs": 2, "losses": losses, "commute": commute}
        history = checked_fit(Operator(**options), two_arms().data, seed=0).history
        assert set(history.terms) == {"response", *losses}
        assert (history.training[-1] > 0).all()  # shifts begin at 0, where controls stand still


def test_media_that_nobody_named_are_refused(fits: dict[bool, CheckedFit]) -> None:
    with pytest.raises(RefusedQueryError, match=r"^fitter operator: query refused: medium 'rich' is not known"):
        fits[False].fit.states((culture(3.0, "rich"),), [()])
    with pytest.raises(RefusedQueryError, match="arm 'elsewhere'"):
        fits[False].predict(Query.of_labels(["R0"], arm="elsewhere"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 0}, "option dimensions: 0 is not a whole number >= 1"),
        ({"lift": -1}, "option lift: -1 is not a whole number >= 0"),
        ({"commute": "yes"}, "option commute: 'yes' is not true or false"),
        ({"losses": {"sparsity": 1.0}}, "option losses: 'sparsity' is not a term of its loss"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FitterOptionError, match=f"^fitter operator: {message}"):
        Operator(**options)
