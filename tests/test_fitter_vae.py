"""The variational auto-encoder in small worlds: what it finds again, what it samples, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_vae import World, world
from numpy.typing import NDArray

from fitters.base import Claim, FitterError, FitterOptionError, Query, RefusedQueryError, TrainingData
from fitters.registry import load
from fitters.vae import cells_and_doses
from fitters.vae.vae import Vae
from fitters.vae.vae_fit import VaeFit
from simcell.labels import CONTROL
from simcell.profiles import log_profile

pytest.importorskip("torch")

FloatArray = NDArray[np.float64]
SMALL: dict[str, Any] = {
    "epochs": 30, "batch_size": 64, "latent": 6, "hidden": 32, "decoder_hidden": 0, "learning_rate": 0.01,
    "warm_up": 3, "components": 3,
}  # fmt: skip


def fit(data: TrainingData, **options: Any) -> VaeFit:
    return Vae(**(SMALL | options)).fit(data, seed=0)


@cache
def plain() -> tuple[World, VaeFit]:
    made = world()
    return made, fit(made.data)


def agreement(found: World, fitted: VaeFit, *labels: str, among: slice = slice(10, None)) -> float:
    """Return the correlation of predicted and true changes of the genes that are no targets."""
    profile = fitted.predict(Query.of_labels(labels)).profile
    change = np.log(np.expm1(profile) / np.expm1(fitted.control))[:, among]
    truth = np.array([found.truth(label) for label in labels])[:, among]
    return float(np.corrcoef(change.ravel(), truth.ravel())[0, 1])


def test_it_is_registered_with_what_it_claims() -> None:
    fitter = load("vae", epochs=3)
    assert (fitter.name, fitter.family) == ("vae", "vae")  # type: ignore[attr-defined]
    assert {Claim.DISTRIBUTION, Claim.MEAN, Claim.COMBINATION, Claim.UNSEEN_GENE, Claim.BATCH} <= fitter.claims


# means


def test_no_perturbation_is_the_control_to_the_bit() -> None:
    made, fitted = plain()
    np.testing.assert_array_equal(fitted.predict(Query(((),))).profile[0], made.data.control)
    controls = np.flatnonzero((made.data.perturbation == CONTROL) & (made.data.batch == "b"))
    expected = log_profile(made.data.counts[controls].sum(axis=0))
    np.testing.assert_array_equal(fitted.predict(Query(((),), batch="b")).profile[0], expected)


def test_effects_of_seen_and_of_unseen_combinations_are_found_and_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    made, fitted = plain()
    unseen = [f"G{i:02d}+G{j:02d}" for i in range(8) for j in range(i) if (i - j) % 3]
    unseen = [label for label in Query.of_labels(unseen).labels if label not in made.data.conditions]
    assert len(unseen) > 5
    assert agreement(made, fitted, "G00", "G01", "G05") > 0.9
    assert agreement(made, fitted, *unseen) > 0.9
    whole = VaeFit.shift
    monkeypatch.setattr(VaeFit, "shift", lambda self, targets: whole(self, targets[:1]))  # planted: the first alone
    assert agreement(made, fitted, *unseen) < 0.8


def test_an_unseen_gene_follows_the_genes_that_respond_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets are given embeddings by their programme; a gene that was no target has that of its own."""
    made = world(singles=tuple(range(6)), doubles=())

    def by_programme(table: Any, **_: Any) -> FloatArray:
        return np.array([np.eye(3)[int(gene[1:]) % 3] for gene in table.genes])

    monkeypatch.setattr(cells_and_doses, "gene_embedding", by_programme)
    assert agreement(made, fit(made.data), "G06", "G07") > 0.7

    def by_another(table: Any, **_: Any) -> FloatArray:  # planted: unseen targets have the row of another gene
        return np.array([np.eye(3)[(int(gene[1:]) + (gene > "G05")) % 3] for gene in table.genes])

    monkeypatch.setattr(cells_and_doses, "gene_embedding", by_another)
    assert agreement(made, fit(made.data), "G06", "G07") < 0.4


def test_the_targets_own_level_is_as_measured() -> None:
    made, fitted = plain()
    profile = fitted.predict(Query.of_labels(["G03"])).profile[0]
    level = np.expm1(profile)[3] / np.expm1(made.data.control)[3]
    assert level == pytest.approx(np.exp(made.truth("G03")[3]), abs=0.06)
    alone = fit(made.data, own_target=False, epochs=1).predict(Query.of_labels(["G03"])).profile[0]
    assert np.expm1(alone)[3] / np.expm1(made.data.control)[3] > 0.5  # nothing learned yet, and nothing told


# batches, times and media


def test_batches_have_their_own_profiles_and_common_effects() -> None:
    made = world(batch_sd=0.6, cells=40)
    kept = np.flatnonzero((made.data.batch == "a") | (made.data.perturbation != CONTROL))  # "b" has no controls
    data = made.data.take(kept)
    fitted = fit(data)
    assert agreement(made, fitted, "G00", "G01", "G05") > 0.85
    here = np.flatnonzero((data.perturbation == "G01") & (data.batch == "b"))
    seen = log_profile(data.counts[here].sum(axis=0))
    own, other = (fitted.predict(Query.of_labels(["G01"], batch=batch)).profile[0] for batch in "ba")
    assert np.sqrt(((own - seen) ** 2).mean()) < 0.5 * np.sqrt(((other - seen) ** 2).mean())


def test_times_and_media_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects are three times as strong late as early, and controls differ too."""
    made = world(late_gain=3.0, doubles=(), cells=80)
    labels = ["G00", "G01", "G02", "G03"]

    def responses(fitted: VaeFit, time: float) -> FloatArray:
        control = fitted.predict(Query(((),), time=time)).profile[0]
        return (fitted.predict(Query.of_labels(labels, time=time)).profile - control)[:, 10:]

    fitted = fit(made.data)
    late = np.flatnonzero((made.data.perturbation == CONTROL) & (made.data.time == 48.0))
    expected = log_profile(made.data.counts[late].sum(axis=0))
    np.testing.assert_array_equal(fitted.predict(Query(((),), medium="late")).profile[0], expected)
    assert np.abs(responses(fitted, 48.0)).mean() > 1.8 * np.abs(responses(fitted, 24.0)).mean()
    same = replace(fitted, decoder=replace(fitted.decoder, context_gain=np.ones(2)))  # planted: contexts are pooled
    assert np.abs(responses(same, 48.0)).mean() < 1.4 * np.abs(responses(same, 24.0)).mean()
    with pytest.raises(RefusedQueryError, match=r"time 30.0, .* the training data have 24 h in early \(arm0\); 48 h"):
        fitted.predict(Query.of_labels(labels, time=30.0))
    with pytest.raises(RefusedQueryError, match=r"time 24\.0, medium late"):
        fitted.predict(Query.of_labels(labels, time=24.0, medium="late"))


# cells


def gaps(counts: NDArray[np.integer], sampled: NDArray[np.integer]) -> tuple[float, float, float, float]:
    """Return median errors of mean, variance and zeros of genes, and that of the variance of UMIs."""
    mean, variance = counts.mean(axis=0), counts.var(axis=0)
    depth, sampled_depth = counts.sum(axis=1), sampled.sum(axis=1)
    return (
        float(np.median(np.abs(sampled.mean(axis=0) / mean - 1.0))),
        float(np.abs(np.median(sampled.var(axis=0) / variance) - 1.0)),
        float(np.median(np.abs((sampled == 0).mean(axis=0) - (counts == 0).mean(axis=0)))),
        float(np.abs(sampled_depth.var() / depth.var() - 1.0)),
    )


@pytest.mark.parametrize("likelihood", ["nb", "zinb"])
def test_sampled_controls_have_mean_variance_zeros_and_depth_of_the_data(
    likelihood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, fitted = plain() if likelihood == "nb" else (world(), fit(world().data, likelihood="zinb"))
    counts = made.data.counts[np.flatnonzero(made.data.perturbation == CONTROL)].toarray()
    query = Query(((),), cells=4000, seed=1)
    mean, variance, zeros, depth = gaps(counts, fitted.predict(query).cells[0])  # type: ignore[index]
    assert mean < 0.05 and variance < 0.15 and zeros < 0.01 and depth < 0.15
    whole = VaeFit._sampled

    def without_size(self: VaeFit, targets: Any, n: int, controls: Any, *rest: Any) -> Any:
        flat = replace(controls, depth=np.full_like(controls.depth, controls.depth.mean()))
        return whole(self, targets, n, flat, *rest)

    monkeypatch.setattr(VaeFit, "_sampled", without_size)  # planted: every cell has the mean number of UMIs
    _, variance, _, depth = gaps(counts, fitted.predict(query).cells[0])  # type: ignore[index]
    assert variance > 0.3 and depth > 0.5


ZEROS, THETA = 0.3, 2.0


@cache
def zero_inflated() -> TrainingData:
    """Return cells of 20 genes with theta 2, without anything that z could explain, of which 30% of counts are lost."""
    rng = np.random.default_rng(0)
    fraction = rng.lognormal(0.0, 0.7, 20)
    depth = 250.0 * rng.lognormal(0.0, 0.3, 3000)[:, None]
    counts = rng.poisson(depth * fraction / fraction.sum() * rng.gamma(THETA, 1.0 / THETA, (3000, 20)))
    counts[rng.random(counts.shape) < ZEROS] = 0
    genes = [f"G{gene:02d}" for gene in range(20)]
    return TrainingData.from_arrays(counts, genes=genes, perturbation=["control"] * 2700 + ["G00"] * 300)


def test_chances_of_zeros_and_dispersions_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from fitters.vae.vae_module import CountVae

    def zeros_and_theta() -> tuple[float, float, VaeFit]:
        small = {"latent": 1, "hidden": 8, "components": 1, "batch_size": 256, "epochs": 20}
        fitted = fit(zero_inflated(), likelihood="zinb", **small)
        chance = 1.0 - fitted.decoder.kept(fitted.controls.z)
        return float(np.median(chance)), float(np.median(fitted.decoder.theta)), fitted

    chance, theta, fitted = zeros_and_theta()
    assert abs(chance - ZEROS) < 0.025 and abs(theta - THETA) < 0.25
    found = fitted.predict(Query(((),), cells=4000, seed=1)).cells
    counts = zero_inflated().counts[:2700].toarray()
    mean, variance, zeros, _ = gaps(counts, found[0])  # type: ignore[index]
    assert mean < 0.05 and variance < 0.15 and zeros < 0.015
    # planted: the mean is s rho, as if the UMIs s had been counted before the zeros
    monkeypatch.setattr(CountVae, "log_mean", lambda self, log_fraction, dropout: log_fraction)
    chance, theta, _ = zeros_and_theta()
    assert chance < ZEROS - 0.035 and theta < THETA - 0.4


def test_sampled_cells_have_their_umis_on_average_and_not_each() -> None:
    """As the docstring says: the noise of the likelihood comes on top of the spread of the controls' UMIs."""
    fitted = plain()[1]
    one_depth = replace(fitted, controls=replace(fitted.controls, depth=np.full_like(fitted.controls.depth, 600.0)))
    found = one_depth.predict(Query(((),), cells=4000, seed=1)).cells
    total = found[0].sum(axis=1)  # type: ignore[index]
    assert abs(total.mean() - 600.0) < 4.0 * total.std() / np.sqrt(4000)
    assert 600.0 < total.var() < 60.0**2  # more than Poisson


def test_sampled_perturbed_cells_have_the_predicted_mean_and_depend_on_the_seed_alone() -> None:
    made, fitted = plain()
    answer = fitted.predict(Query.of_labels(["G01", "G00+G04"], cells=3000, seed=5))
    assert answer.cells is not None and all(cells.dtype == np.int32 for cells in answer.cells)
    for cells, profile in zip(answer.cells, answer.profile, strict=True):
        assert np.abs(log_profile(cells.sum(axis=0)) - profile).max() < 0.12
    again = fitted.predict(Query.of_labels(["G01", "G00+G04"], cells=3000, seed=5)).cells
    other = fitted.predict(Query.of_labels(["G01", "G00+G04"], cells=3000, seed=6)).cells
    assert again is not None and other is not None
    np.testing.assert_array_equal(again[1], answer.cells[1])
    assert (other[1] != answer.cells[1]).any()
    alone = fitted.predict(Query.of_labels(["G00+G04"], cells=3000, seed=5)).cells
    assert alone is not None
    np.testing.assert_array_equal(alone[0], answer.cells[1])  # whatever else is asked
    seen = log_profile(made.data.counts[np.flatnonzero(made.data.perturbation == "G01")].sum(axis=0))
    assert np.abs(log_profile(answer.cells[0].sum(axis=0)) - seen).mean() < 0.1


# training


@pytest.mark.parametrize(
    "options",
    [
        {"disentangling": "adversarial"},
        {"disentangling": "mmd"},
        {"sparse_shift": True},
        {"losses": {"response": 0.1, "contrast_matched": 0.1, "contrast_pooled": 0.0}},
        {"likelihood": "zinb", "decoder_hidden": 8, "dose": "one"},
        {"held_out": 0.3, "batching": "perturbation"},
    ],
)
def test_every_option_trains_and_records_its_terms(options: dict[str, Any]) -> None:
    made = world(cells=20)
    fitted = fit(made.data, **(options | {"epochs": 4}))
    terms = {"reconstruction", "kl", "effect_prior", *options.get("losses", {})}
    terms |= {"disentangling"} if "disentangling" in options else set()
    terms |= {"mechanism_sparsity"} if "sparse_shift" in options else set()
    assert set(fitted.history.terms) == terms and fitted.history.n_epochs == 4
    assert np.isfinite(fitted.history.training).all()
    assert (fitted.history.held_out is not None) == ("held_out" in options)
    first, last = fitted.history.training[[0, -1], 0]
    assert last < first


def test_a_resumed_training_ends_as_one_that_never_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fitters.vae.vae_module import CountVae

    data = world(cells=10).data
    options: dict[str, Any] = {"epochs": 4, "checkpoint_every": 1}
    through = fit(data, **options, checkpoint=str(tmp_path / "through")).predict(Query.of_labels(["G01"])).profile
    whole = CountVae.terms

    def stops(self: CountVae, rows: Any, moment: Any) -> Any:
        if moment.epoch == 2:
            raise KeyboardInterrupt
        return whole(self, rows, moment)

    options["checkpoint"] = str(tmp_path / "stopped")
    monkeypatch.setattr(CountVae, "terms", stops)
    with pytest.raises(KeyboardInterrupt):
        fit(data, **options)
    monkeypatch.setattr(CountVae, "terms", whole)
    np.testing.assert_array_equal(fit(data, **options).predict(Query.of_labels(["G01"])).profile, through)


def test_the_warm_up_weighs_the_divergence_and_is_not_recorded() -> None:
    data = world(cells=10).data
    warm, cold = (fit(data, epochs=4, warm_up=epochs).history for epochs in (3, 0))
    at = warm.terms.index("kl")
    assert warm.training[0, at] > 0  # where its weight is 0 still
    assert warm.training[0, at] > cold.training[0, at]  # for there it is minimised
    assert warm.weight.tolist() == cold.weight.tolist()
    assert not np.array_equal(warm.training[1, 0], cold.training[1, 0])


# contexts without controls


def test_contexts_that_borrow_their_controls_are_named_and_answered() -> None:
    data = world(cells=20, late_gain=1.0).data
    kept = np.flatnonzero((data.perturbation != CONTROL) | (data.time < 48))
    some = TrainingData.from_arrays(
        data.counts[kept], genes=data.genes, perturbation=data.perturbation[kept], batch=data.batch[kept],
        medium=data.medium[kept], time=data.time[kept],
    )  # fmt: skip
    fitted, whole = fit(some, epochs=15), fit(data, epochs=15)
    arm = str(some.arm[0])
    borrows = f"no controls, those of other contexts are borrowed: 48 h in medium 'late' ({arm})"
    assert borrows in fitted.notes and not any("borrowed" in note for note in whole.notes)
    late, early = (fitted.predict(Query(((),), time=time)).profile[0] for time in (48.0, 24.0))
    truth = data.counts[np.flatnonzero((data.perturbation == CONTROL) & (data.time == 48))].sum(axis=0)
    error = [float(np.square(found - log_profile(truth)).mean()) for found in (late, early)]
    assert error[0] < 0.5 * error[1]  # what is borrowed is moved towards the controls that it stands for


# bad input


def test_controls_only_are_refused_by_name() -> None:
    data = TrainingData.from_arrays([[4, 1]], genes=("A", "B"), perturbation=["control"])
    with pytest.raises(FitterError, match=r"^fitter vae: the training data have no perturbation"):
        fit(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likelihood": "poisson"}, "option likelihood: 'poisson' is not one of nb, zinb"),
        ({"disentangling": "gan"}, "option disentangling: 'gan' is not one of none, adversarial, mmd"),
        ({"optimiser": "lbfgs"}, "option optimiser: 'lbfgs' is not adam"),
        ({"dose": "half"}, "option dose: 'half' is not one of measured, one"),
        ({"latent": 0}, "option latent: 0 is not a whole number >= 1"),
        ({"hidden": 0}, "option hidden: 0 is not a whole number >= 1"),
        ({"decoder_hidden": -1}, "option decoder_hidden: -1 is not a whole number >= 0"),
        ({"components": 1.5}, "option components: 1.5 is not a whole number >= 1"),
        ({"warm_up": -1}, "option warm_up: -1 is not a whole number >= 0"),
        ({"control_cells": 0}, "option control_cells: 0 is not a whole number >= 1"),
        ({"own_target": 1}, "option own_target: 1 is not true or false"),
        ({"sparse_shift": "yes"}, "option sparse_shift: 'yes' is not true or false"),
        ({"effect_scale": 0.0}, "option effect_scale: 0.0 is not a number > 0"),
        ({"mask_prior": (1.0,)}, r"option mask_prior: \(1.0,\) is not two numbers > 0"),
        ({"mask_prior": (1.0, -2.0)}, r"option mask_prior: \(1.0, -2.0\) is not two numbers > 0"),
        ({"losses": {"kl": -1.0}}, "option losses.kl: -1.0 is not a weight >= 0"),
        ({"losses": {"kld": 1.0}}, "option losses: 'kld' is not a term of its loss"),
        ({"losses": {"disentangling": 1.0}}, "option losses: 'disentangling' is not a term of its loss without the"),
        ({"losses": {"mechanism_sparsity": 1.0}}, "option losses: 'mechanism_sparsity' is not a term of its loss wi"),
    ],
)
def test_bad_options_are_refused_before_any_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FitterOptionError, match=f"^fitter vae: {message}"):
        Vae(**options)
