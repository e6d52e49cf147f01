"""The contract, enforced: fits and predictions of any fitter, built in or a user's, checked on the way in and out.

In: a fitter, data, queries. Out: `CheckedFit`, whose answers have the right shape and are finite. Whatever goes wrong
becomes a `FitterError` that names the fitter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fitters.contract import Claim, Fitter, Prediction, Query, is_whole
from fitters.errors import FitterError, RefusedQueryError, one_line
from fitters.results import EdgeScores, KineticsEstimate, LossHistory
from fitters.training_data import TrainingData
from simcell.errors import SimcellError, nearest

EstimateT = TypeVar("EstimateT", EdgeScores, KineticsEstimate)


@dataclass(frozen=True)
class Scope:
    """What the training data covered, so that a query can be told from a guess."""

    genes: frozenset[str]
    perturbed_genes: frozenset[str]
    conditions: frozenset[str]
    times: tuple[float, ...]
    media: tuple[str, ...]
    batches: tuple[str, ...]
    arms: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: TrainingData) -> Scope:
        """Return the scope of training data."""
        return cls(
            genes=frozenset(data.genes),
            perturbed_genes=data.perturbed_genes,
            conditions=frozenset(data.conditions),
            times=tuple(np.unique(data.time).tolist()),
            media=tuple(np.unique(data.medium).tolist()),
            batches=tuple(np.unique(data.batch).tolist()),
            arms=tuple(np.unique(data.arm).tolist()),
        )


def check_query(query: Query, *, fitter: str, claims: frozenset[Claim], scope: Scope) -> None:
    """Refuse a query outside a fitter's claims or outside the data that it was trained on.

    Raises:
        RefusedQueryError: no claim to means, or to sampling cells; a target that is neither a gene of the data nor
            perturbed in them; an unseen target without UNSEEN_GENE; an unseen combination without COMBINATION; an
            unknown medium, batch or arm; a time, medium, batch or arm told apart without TIME, MEDIUM, BATCH or ARM.
    """

    def refuse(problem: str) -> RefusedQueryError:
        return RefusedQueryError(fitter, f"query refused: {problem}")

    if Claim.MEAN not in claims:
        raise refuse(f"it predicts no profiles (claims: {_names(claims)})")
    if query.cells and Claim.DISTRIBUTION not in claims:
        raise refuse(f"it samples no cells, and {query.cells} per perturbation were asked for")
    for targets, label in zip(query.perturbations, query.labels, strict=True):
        unseen = [target for target in targets if target not in scope.perturbed_genes]
        for target in unseen:
            if target not in scope.genes:
                raise refuse(f"{label!r}: {target!r} is not a gene of the training data{nearest(target, scope.genes)}")
        if unseen and Claim.UNSEEN_GENE not in claims:
            raise refuse(f"{label!r}: {_names(unseen)} unseen in training, and it does not claim unseen genes")
        if len(targets) > 1 and label not in scope.conditions and Claim.COMBINATION not in claims:
            raise refuse(f"{label!r}: no training cell has this combination, and it does not claim combinations")
    if query.time is not None and Claim.TIME not in claims and scope.times != (query.time,):
        hours = ", ".join(f"{time:g}" for time in scope.times)
        raise refuse(f"time {query.time:g} h: the training data are of {hours} h, and it does not tell times apart")
    contexts = (
        ("medium", query.medium, scope.media, Claim.MEDIUM),
        ("batch", query.batch, scope.batches, Claim.BATCH),
        ("arm", query.arm, scope.arms, Claim.ARM),
    )
    for field, asked, known, claim in contexts:
        if asked is not None and asked not in known:
            raise refuse(f"{field} {asked!r} is not in the training data{nearest(asked, known)}")
        if asked is not None and len(known) > 1 and claim not in claims:
            raise refuse(f"{field} {asked!r}: the training data have {len(known)}, which it does not tell apart")


def check_fitter(fitter: Fitter) -> Fitter:
    """Return the object if it is a fitter: a name, claims that exist, a `fit`.

    Raises:
        FitterError: naming what it lacks.
    """
    name = getattr(fitter, "name", None)
    called = name if isinstance(name, str) and name else type(fitter).__name__
    if called != name:
        raise FitterError(called, f"has no name: {name!r} is not a string, or is empty")
    claims = getattr(fitter, "claims", None)
    if isinstance(claims, str) or not isinstance(claims, Iterable):
        raise FitterError(called, "has no claims (a set of fitters.base.Claim)")
    for claim in claims:
        if claim not in tuple(Claim):
            hint = f"{nearest(str(claim), [known.value for known in Claim])}; claims: {_names(Claim)}"
            raise FitterError(called, f"has a claim that does not exist, {claim!r}{hint}")
    if not callable(getattr(fitter, "fit", None)):
        raise FitterError(called, "has no method fit(data, *, seed)")
    return fitter


@dataclass(frozen=True, eq=False)
class CheckedFit:
    """A fit held to the contract; it is itself a `Fit`.

    Args:
        fitter: the fitter's name.
        claims: the fitter's claims.
        genes: G genes, the columns of every prediction.
        scope: what it was trained on.
        fit: what the fitter returned.
    """

    fitter: str
    claims: frozenset[Claim]
    genes: tuple[str, ...]
    scope: Scope
    fit: Any

    def predict(self, query: Query) -> Prediction:
        """Return a prediction of shape (Q, G) without NaN or inf; RefusedQueryError or FitterError otherwise."""
        check_query(query, fitter=self.fitter, claims=self.claims, scope=self.scope)
        answer = self._call("predict", query)
        if not isinstance(answer, Prediction):
            answer = Prediction(profile=answer)
        shape = (len(query), len(self.genes))
        profile = _numbers(answer.profile, fitter=self.fitter, shape=shape, what="profile")
        _refuse_not_finite(profile, fitter=self.fitter, query=query, genes=self.genes)
        if not query.cells:
            return Prediction(profile=profile)
        cells = answer.cells
        if cells is None or len(cells) != len(query):
            found = "none" if cells is None else f"those of {len(cells)}"
            raise FitterError(self.fitter, f"was asked for cells of {len(query)} perturbations and returned {found}")
        shape = (query.cells, len(self.genes))
        sampled = (_numbers(sample, fitter=self.fitter, shape=shape, what="cells") for sample in cells)
        return Prediction(profile=profile, cells=tuple(_counts(sample, fitter=self.fitter) for sample in sampled))

    def network(self) -> EdgeScores | None:
        """Return edge scores over the training genes; None where the network is not claimed."""
        scores = self._estimate("network", claim=Claim.NETWORK, kind=EdgeScores)
        if scores is not None:
            _check_regulators(scores.regulators, fitter=self.fitter, scope=self.scope)
        return scores

    def kinetics(self) -> KineticsEstimate | None:
        """Return kinetic estimates of the training genes; None where kinetics are not claimed."""
        return self._estimate("kinetics", claim=Claim.KINETICS, kind=KineticsEstimate)

    @property
    def history(self) -> LossHistory:
        """The fit's loss history; empty where it has none."""
        history = getattr(self.fit, "history", None)
        return history if isinstance(history, LossHistory) else LossHistory()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the fit wants a reader to know, such as an option that the data forced down."""
        return tuple(getattr(self.fit, "notes", ()))

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self.fit, method)(*arguments)
        except FitterError:
            raise
        except (Exception, SystemExit) as error:
            raise FitterError(self.fitter, f"{method} failed: {one_line(error)}") from error

    def _estimate(self, method: str, *, claim: Claim, kind: type[EstimateT]) -> EstimateT | None:
        if claim not in self.claims:
            return None
        answer = self._call(method)
        if not isinstance(answer, kind):
            raise FitterError(
                self.fitter, f"claims {claim}, but {method}() returned {_kind(answer)}, not {kind.__name__}"
            )
        if answer.genes != self.genes:
            raise FitterError(self.fitter, f"{method}() has other genes than the training data, or in another order")
        return answer


def checked_fit(fitter: Fitter, data: TrainingData, *, seed: int) -> CheckedFit:
    """Fit, and hold the result to the contract.

    Raises:
        FitterError: the object is not a fitter; the seed is not a whole number >= 0; its `fit` raised; what it returned
            lacks a method that it claims.
    """
    fitter = check_fitter(fitter)
    if not is_whole(seed):
        raise FitterError(fitter.name, f"seed: {seed!r} is not a whole number >= 0")
    claims = frozenset(Claim(claim) for claim in fitter.claims)
    try:
        fit = fitter.fit(data, seed=seed)
    except FitterError:
        raise
    except SimcellError as error:  # already one line about what the user can mend
        raise FitterError(fitter.name, str(error)) from error
    except (Exception, SystemExit) as error:
        raise FitterError(fitter.name, f"fit failed: {one_line(error)}") from error
    for claim, method in ((Claim.MEAN, "predict"), (Claim.NETWORK, "network"), (Claim.KINETICS, "kinetics")):
        if claim in claims and not callable(getattr(fit, method, None)):
            raise FitterError(fitter.name, f"claims {claim}, but fit returned {_kind(fit)} without {method}()")
    return CheckedFit(fitter=fitter.name, claims=claims, genes=data.genes, scope=Scope.of(data), fit=fit)


def checked_predict(fit: CheckedFit, query: Query) -> Prediction:
    """Return ``fit.predict(query)``: the name under which a runner finds the checked way."""
    return fit.predict(query)


def _numbers(values: Any, *, fitter: str, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise FitterError(fitter, f"predicted {what}: {_kind(values)} is not an array of numbers") from None
    if array.shape != shape:
        rows = "perturbations" if what == "profile" else "cells"
        raise FitterError(fitter, f"predicted {what}: shape {array.shape} is not {shape} ({rows}, genes)")
    return array


def _refuse_not_finite(profile: NDArray[np.float64], *, fitter: str, query: Query, genes: tuple[str, ...]) -> None:
    wrong = ~np.isfinite(profile)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        where = f"perturbation {query.labels[row]}, gene {genes[column]}"
        found = f"{profile[row, column]} ({where}; {int(wrong.sum())} values are not finite)"
        raise FitterError(fitter, f"predicted profile: {found}")


def _counts(sample: NDArray[np.float64], *, fitter: str) -> NDArray[np.int32]:
    if not ((sample >= 0) & (sample <= np.iinfo(np.int32).max) & (sample == np.floor(sample))).all():
        raise FitterError(fitter, "predicted cells: values that are not counts (whole numbers >= 0)")
    return sample.astype(np.int32)


def _check_regulators(regulators: tuple[str, ...], *, fitter: str, scope: Scope) -> None:
    unknown = [name for name in regulators if name not in scope.genes and name not in scope.perturbed_genes]
    if unknown:
        raise FitterError(
            fitter, f"network(): regulator {unknown[0]!r} is not a gene{nearest(unknown[0], scope.genes)}"
        )
    if len(set(regulators)) < len(regulators):
        raise FitterError(fitter, "network(): a regulator stands there twice")


def _kind(value: object) -> str:
    return type(value).__name__


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(str(name) for name in names)) or "none"
