"""The contract enforced: queries refused, and whatever a user's fitter does wrong named in one line."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fitters.base import (
    Assumption,
    Claim,
    EdgeScores,
    Estimate,
    FitterError,
    KineticsEstimate,
    LossHistory,
    Prediction,
    Query,
    RefusedQueryError,
    TrainingData,
    checked_fit,
    checked_predict,
)
from simcell.errors import SpecError

DATA = TrainingData.from_arrays(
    [[4, 1], [2, 2], [1, 3], [3, 3]],
    genes=("A", "B"),
    perturbation=["control", "A", "A+B", "control"],
    batch=["x", "x", "y", "y"],
    medium=["rich", "rich", "poor", "poor"],
    time=[24.0, 24.0, 48.0, 48.0],
)
ONE_CONTEXT = TrainingData.from_arrays(
    [[4, 1], [2, 2]],
    genes=("A", "B"),
    perturbation=["control", "A"],
    batch=["x"] * 2,
    medium=["rich"] * 2,
    time=[24.0] * 2,
)


@dataclass
class Users:
    """A user's fitter that answers with whatever it was given."""

    answer: Any
    claims: Any = frozenset({"mean", "combination", "unseen-gene"})
    name: str = "users"
    assumptions: Any = frozenset()

    def fit(self, data: TrainingData, *, seed: int) -> Any:
        def reply(method: str) -> Any:
            answer = self.answer[method] if isinstance(self.answer, dict) else self.answer
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return SimpleNamespace(
            predict=lambda query: reply("predict"),
            network=lambda: reply("network"),
            kinetics=lambda: reply("kinetics"),
        )


class TestQuery:
    """What may be asked."""

    def test_targets_are_sorted_and_labels_come_back(self) -> None:
        query = Query((("B", "A"), ("A",), ()))
        assert query.labels == ("A+B", "A", "control") and len(query) == 3
        assert query == Query.of_labels(["A+B", "A", "control"])

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"perturbations": ("A", "B")}, r"query.perturbations\[0\]: 'A' is not a tuple of gene names"),
            (
                {"perturbations": (("A",), ("A", "A"))},
                r"query.perturbations\[1\]: .* is not a tuple of different genes",
            ),
            ({"perturbations": (("A", ""),)}, r"query.perturbations\[0\]: .* is not a tuple of gene names"),
            ({"perturbations": ()}, "query.perturbations: .* is not at least one perturbation"),
            ({"time": -1.0}, "query.time: -1.0 is not a number of hours >= 0"),
            ({"time": float("nan")}, "query.time: nan is not a number of hours >= 0"),
            ({"cells": -1}, "query.cells: -1 is not a number of cells >= 0"),
            ({"cells": 2.5}, "query.cells: 2.5 is not a number of cells >= 0"),
            ({"cells": True}, "query.cells: True is not a number of cells >= 0"),
            ({"time": True}, "query.time: True is not a number of hours >= 0"),
            ({"time": "24"}, "query.time: '24' is not a number of hours >= 0"),
            ({"time": 10**400}, "query.time: 10+ is not a number of hours >= 0"),
            ({"medium": 3}, "query.medium: 3 is not a name, or None"),
            ({"batch": ["x"]}, r"query.batch: \['x'\] is not a name, or None"),
            ({"arm": False}, "query.arm: False is not a name, or None"),
            ({"seed": -1}, "query.seed: -1 is not a whole number >= 0"),
            ({"seed": None}, "query.seed: None is not a whole number >= 0"),
            ({"seed": 1.0}, "query.seed: 1.0 is not a whole number >= 0"),
            ({"perturbations": None}, "query.perturbations: None is not a sequence of tuples of gene names"),
            ({"perturbations": "AB"}, "query.perturbations: 'AB' is not a sequence of tuples of gene names"),
            ({"perturbations": (("A",), 5)}, r"query.perturbations\[1\]: 5 is not a tuple of gene names"),
            ({"perturbations": ((1,),)}, r"query.perturbations\[0\]: \(1,\) is not a tuple of gene names"),
        ],
    )
    def test_a_bad_one_is_refused(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(SpecError, match=message):
            Query(**{"perturbations": (("A",),)} | values)

    @pytest.mark.parametrize("labels", ["A+B", None, ["A", 3]])
    def test_labels_are_strings_in_a_sequence(self, labels: Any) -> None:
        with pytest.raises(SpecError, match=r"^labels of a query: .* is not a sequence of labels$"):
            Query.of_labels(labels)

    def test_numbers_of_numpy_are_numbers(self) -> None:
        query = Query.of_labels(
            ["A"], time=np.float32(24), cells=np.int64(3), seed=np.uint32(7), medium=np.str_("rich")
        )
        assert (query.time, query.cells, query.seed, query.medium) == (24.0, 3, 7, "rich")


class TestRefusal:
    """A query outside the claims, or outside the data, never reaches the fit."""

    @pytest.mark.parametrize(
        ("claims", "query", "message"),
        [
            ({"network"}, {}, "it predicts no profiles"),
            ({"mean"}, {"perturbations": (("B",), ("C",))}, "'C': 'C' is not a gene of the training data"),
            ({"mean"}, {"cells": 5}, "it samples no cells, and 5 per perturbation were asked for"),
            (
                {"mean"},
                {"time": 24.0},
                "time 24 h: the training data are of 24, 48 h, and it does not tell times apart",
            ),
            ({"mean"}, {"medium": "richt"}, r"medium 'richt' is not in the training data \(did you mean 'rich'\?\)"),
            ({"mean", "medium"}, {"medium": "none"}, "medium 'none' is not in the training data"),
            ({"mean"}, {"medium": "rich"}, "medium 'rich': the training data have 2, which it does not tell apart"),
            ({"mean"}, {"batch": "z"}, "batch 'z' is not in the training data"),
            ({"mean", "medium"}, {"batch": "x"}, "batch 'x': the training data have 2, which it does not tell apart"),
        ],
    )
    def test_refused(self, claims: set[str], query: dict[str, Any], message: str) -> None:
        untouched = Users(AssertionError("the fit was asked"), claims)
        with pytest.raises(RefusedQueryError, match=f"^fitter users: query refused: {message}"):
            checked_fit(untouched, DATA, seed=0).predict(Query(**{"perturbations": (("A",),)} | query))

    def test_unseen_genes_and_combinations_need_a_claim(self) -> None:
        query = Query((("A", "B"),))
        for claims, message in (
            ({"mean", "combination"}, "B unseen in training"),
            ({"mean", "unseen-gene"}, "combinations"),
        ):
            with pytest.raises(RefusedQueryError, match=message):
                checked_fit(Users([[0, 0]], claims), ONE_CONTEXT, seed=0).predict(query)
        both = checked_fit(Users([[0, 0]], {"mean", "unseen-gene", "combination"}), ONE_CONTEXT, seed=0)
        assert both.predict(query).profile.shape == (1, 2)

    def test_what_was_trained_on_needs_no_claim(self) -> None:
        fit = checked_fit(Users([[0, 0]], {"mean"}), DATA, seed=0)
        assert fit.predict(Query((("A", "B"),))).profile.shape == (1, 2)

    def test_the_only_context_of_the_data_may_be_named(self) -> None:
        fit = checked_fit(Users([[0, 0]], {"mean"}), ONE_CONTEXT, seed=0)
        assert fit.predict(Query((("A",),), time=24.0, medium="rich", batch="x")).profile.shape == (1, 2)
        with pytest.raises(RefusedQueryError, match="time 25 h: the training data are of 24 h"):
            fit.predict(Query((("A",),), time=25.0))

    def test_claimed_contexts_are_answered(self) -> None:
        fit = checked_fit(Users([[0, 0]], {"mean", "time", "medium", "batch"}), DATA, seed=0)
        assert fit.predict(Query((("A",),), time=30.0, medium="poor", batch="y")).profile.shape == (1, 2)


class TestAnswers:
    """Predictions of the wrong shape, not finite or not numbers, and code that raises."""

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            ([[1, np.nan], [1, 2]], r"predicted profile: nan \(perturbation A, gene B; 1 values are not finite\)"),
            ([[1, 2], [-np.inf, np.nan]], r"predicted profile: -inf \(perturbation A\+B, gene A; 2 values"),
            ([[1, 2]], r"predicted profile: shape \(1, 2\) is not \(2, 2\) \(perturbations, genes\)"),
            (Prediction(np.zeros((2, 3))), r"predicted profile: shape \(2, 3\) is not \(2, 2\)"),
            ([[1, 2], [1]], "predicted profile: list is not an array of numbers"),
            ("no idea", "predicted profile: str is not an array of numbers"),
            (None, r"predicted profile: shape \(\) is not \(2, 2\)"),
            (KeyError("A"), "predict failed: KeyError: 'A'"),
            (ValueError("two\nlines"), "predict failed: ValueError: two lines"),
        ],
    )
    def test_wrong_ones_name_the_fitter(self, answer: Any, message: str) -> None:
        fit = checked_fit(Users(answer), DATA, seed=0)
        with pytest.raises(FitterError, match=f"^fitter users: {message}") as caught:
            checked_predict(fit, Query((("A",), ("A", "B"))))
        assert not isinstance(caught.value, RefusedQueryError) and "\n" not in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)

    def test_an_array_is_as_good_as_a_prediction_and_is_copied(self) -> None:
        mine = np.array([[1, 2]])
        profile = checked_fit(Users(mine), DATA, seed=0).predict(Query((("A",),))).profile
        assert profile.dtype == np.float64 and not np.shares_memory(profile, mine)

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            (None, "was asked for cells of 1 perturbations and returned none"),
            ((np.zeros((3, 2)), np.zeros((3, 2))), "was asked for cells of 1 perturbations and returned those of 2"),
            ((np.zeros((4, 2)),), r"predicted cells: shape \(4, 2\) is not \(3, 2\) \(cells, genes\)"),
            ((np.full((3, 2), 0.5),), "predicted cells: values that are not counts"),
            ((np.full((3, 2), -1),), "predicted cells: values that are not counts"),
        ],
    )
    def test_sampled_cells_are_counts(self, cells: Any, message: str) -> None:
        fitter = Users(Prediction(np.zeros((1, 2)), cells), {"mean", "distribution"})
        with pytest.raises(FitterError, match=f"^fitter users: {message}"):
            checked_fit(fitter, DATA, seed=0).predict(Query((("A",),), cells=3))
        good = Users(Prediction(np.zeros((1, 2)), (np.full((3, 2), 7.0),)), {"mean", "distribution"})
        sampled = checked_fit(good, DATA, seed=0).predict(Query((("A",),), cells=3)).cells
        assert sampled is not None and sampled[0].dtype == np.int32 and sampled[0].tolist() == [[7, 7]] * 3


class TestFitting:
    """Objects that are no fitters, and fits that fail."""

    @pytest.mark.parametrize("seed", [-1, 1.0, None, True, "0"])
    def test_a_seed_is_a_whole_number(self, seed: Any) -> None:
        fitter = SimpleNamespace(name="n", claims={"mean"}, fit=lambda data, seed: pytest.fail("it was fitted"))
        with pytest.raises(FitterError, match=f"^fitter n: seed: {seed!r} is not a whole number >= 0$"):
            checked_fit(fitter, DATA, seed=seed)

    @pytest.mark.parametrize(
        ("fitter", "message"),
        [
            (SimpleNamespace(claims=set(), fit=print), "fitter SimpleNamespace: has no name"),
            (SimpleNamespace(name=3, claims=set(), fit=print), "fitter SimpleNamespace: has no name: 3 is not"),
            (SimpleNamespace(name="n", fit=print), "fitter n: has no claims"),
            (SimpleNamespace(name="n", claims="mean", fit=print), "fitter n: has no claims"),
            (
                SimpleNamespace(name="n", claims={"means"}, fit=print),
                r"does not exist, 'means' \(did you mean 'mean'\?\)",
            ),
            (SimpleNamespace(name="n", claims={"mean"}), r"fitter n: has no method fit\(data, \*, seed\)"),
            (
                SimpleNamespace(name="n", claims={"mean"}, fit=lambda data, seed: 1 / 0),
                "fitter n: fit failed: ZeroDivisionError: division by zero",
            ),
            (
                SimpleNamespace(name="n", claims={"mean"}, fit=lambda data: data),
                r"fitter n: fit failed: TypeError: .*unexpected keyword argument 'seed'",
            ),
            (
                SimpleNamespace(name="n", claims={"mean"}, fit=lambda data, seed: None),
                r"fitter n: claims mean, but fit returned NoneType without predict\(\)",
            ),
            (
                SimpleNamespace(name="n", claims={"network"}, fit=lambda data, seed: None),
                r"fitter n: claims network, but fit returned NoneType without network\(\)",
            ),
            (
                SimpleNamespace(name="n", claims={"mean"}, fit=lambda data, seed: data.counts.data.fill(0)),
                "fitter n: fit failed: ValueError: assignment destination is read-only",
            ),
        ],
    )
    def test_what_is_wrong_is_named(self, fitter: Any, message: str) -> None:
        with pytest.raises(FitterError, match=message):
            checked_fit(fitter, DATA, seed=0)

    def test_an_interrupt_is_not_swallowed(self) -> None:
        with pytest.raises(KeyboardInterrupt):
            checked_fit(Users(KeyboardInterrupt()), DATA, seed=0).predict(Query((("A",),)))

    def test_what_a_users_fit_lacks_is_absent(self) -> None:
        fitter: Any = SimpleNamespace(name="n", claims={"mean"}, fit=lambda data, seed: SimpleNamespace(predict=print))
        fit = checked_fit(fitter, DATA, seed=0)
        assert fit.network() is None and fit.kinetics() is None
        assert fit.history.terms == () and fit.notes == ()


class TestEstimates:
    """Networks, kinetics and loss histories hold together."""

    def test_a_claimed_network_is_checked(self) -> None:
        scores = EdgeScores(regulators=("A",), genes=("A", "B"), score=np.array([[0.0, -1.0]]))
        claims = {"network"}
        assert checked_fit(Users({"network": scores}, claims), DATA, seed=0).network() is scores
        assert checked_fit(Users({"network": scores}, {"mean"}), DATA, seed=0).network() is None
        other = EdgeScores(regulators=("A",), genes=("B", "A"), score=np.zeros((1, 2)))
        for answer, message in (
            (None, r"claims network, but network\(\) returned NoneType, not EdgeScores"),
            (other, r"network\(\) has other genes than the training data, or in another order"),
            (ValueError("no"), "network failed: ValueError: no"),
        ):
            with pytest.raises(FitterError, match=f"^fitter users: {message}"):
                checked_fit(Users({"network": answer}, claims), DATA, seed=0).network()

    def test_edge_scores_have_one_shape_and_are_finite(self) -> None:
        with pytest.raises(ValueError, match=r"score: shape \(2, 1\) is not \(1, 2\)"):
            EdgeScores(regulators=("A",), genes=("A", "B"), score=np.zeros((2, 1)))
        with pytest.raises(ValueError, match="1 are not finite"):
            EdgeScores(regulators=("A",), genes=("A", "B"), score=np.array([[0, np.nan]]))

    def test_only_what_is_not_identified_may_be_nan(self) -> None:
        value, known = np.array([1.0, np.nan]), np.array([True, False])
        estimate = Estimate(value=value, lower=value, upper=value, identified=known)
        kinetics = KineticsEstimate(genes=("A", "B"), quantities={"half_life": estimate})
        assert checked_fit(Users({"kinetics": kinetics}, {"kinetics"}), DATA, seed=0).kinetics() is kinetics
        with pytest.raises(ValueError, match="said to be identified is not finite"):
            Estimate(value=value, lower=value, upper=value, identified=~known)
        with pytest.raises(ValueError, match=r"half_life: shape \(2,\) is not \(1,\)"):
            KineticsEstimate(genes=("A",), quantities={"half_life": estimate})

    def test_a_loss_history_adds_its_terms_by_weight(self) -> None:
        history = LossHistory(
            terms=("response", "steady_state"), weight=np.array([1.0, 0.5]), training=np.array([[2.0, 4.0], [1.0, 2.0]])
        )
        assert history.n_epochs == 2 and history.total.tolist() == [4.0, 2.0]
        with pytest.raises(ValueError, match="loss history of 1 terms"):
            LossHistory(terms=("response",), weight=np.ones(1), training=np.ones((2, 3)))


def test_every_claim_and_assumption_has_a_meaning_and_is_its_own_string() -> None:
    for member in (*Claim, *Assumption):
        assert member.meaning and str(member) == member.value
        assert pickle.loads(pickle.dumps(member)) is member
    assert Claim("unseen-gene") is Claim.UNSEEN_GENE
