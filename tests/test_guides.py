"""Guide libraries: numbers of guides and constructs, weights, combinations, modalities, labels, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers_core import make_network
from hypothesis import given
from hypothesis import strategies as st

from simcell.effects import CellEffects
from simcell.errors import SpecError
from simcell.guides import NON_TARGETING, GuideLibrary, draw_library
from simcell.labels import CONTROL, perturbation_label, perturbation_targets
from simcell.modalities import ALLELES, DEFAULT_FOLD, MODALITIES
from simcell.network import Network
from simcell.sources import SOURCES
from simcell.spec.library import LibrarySpec

NETWORK = make_network([(0, 1, 1), (1, 2, -1), (2, 3, 1), (5, 4, 1)], genes=8)  # regulators A, B, C, F


def library(network: Network = NETWORK, *, seed: int = 0, **spec: object) -> GuideLibrary:
    return draw_library(network, LibrarySpec.model_validate(spec), seed=seed)


@given(
    targets=st.sampled_from(["all", "regulators", ("B",), ("C", "A", "H"), {"count": 5}]),
    each=st.integers(1, 4),
    non_targeting=st.integers(1, 5),
    control=st.floats(0.01, 0.99),
    singles=st.booleans(),
    seed=st.integers(0, 5),
)
def test_numbers_and_weights(
    targets: object, each: int, non_targeting: int, control: float, singles: bool, seed: int
) -> None:
    pairs = [] if targets == ("B",) else [{"order": 2}]
    singles |= not pairs
    made = library(
        seed=seed,
        targets=targets,
        guides_per_target=each,
        non_targeting=non_targeting,
        control_fraction=control,
        combinations=pairs,
        singles=singles,
    )
    n_targets = (
        {"all": 8, "regulators": 4}[targets]
        if isinstance(targets, str)
        else 5
        if isinstance(targets, dict)
        else len(targets)
    )  # type: ignore[arg-type]
    n_sets = singles * n_targets + bool(pairs) * math.comb(n_targets, 2)
    assert len(made.names) == len(set(made.names)) == n_targets * each + non_targeting
    assert made.target.size == made.efficacy.size == len(made.names)
    assert len(made.constructs) == made.weight.size == n_sets * each + non_targeting
    assert len(set(made.constructs)) == len(made.constructs)
    assert made.weight.sum() == pytest.approx(1.0, rel=1e-12)
    is_control = np.array(made.labels) == CONTROL
    assert is_control.sum() == non_targeting
    assert made.weight[is_control].sum() == pytest.approx(control, rel=1e-12)
    assert np.ptp(made.weight[~is_control]) == 0.0
    assert (made.efficacy[made.target == NON_TARGETING] == 0.0).all()
    assert ((made.efficacy >= 0) & (made.efficacy <= 1)).all()
    assert made.perturbations[0] == CONTROL
    assert len(set(made.perturbations)) == len(made.perturbations) == n_sets + 1
    for label in made.perturbations:
        assert list(made.labels).count(label) == (non_targeting if label == CONTROL else each)


def test_every_construct_is_labelled_by_what_its_guides_target() -> None:
    made = library(targets=["C", "A"], combinations=[{"order": 2}], guides_per_target=2, non_targeting=1)
    for construct, label in zip(made.constructs, made.labels, strict=True):
        genes = {made.names[guide].rsplit("_g", 1)[0] for guide in construct if made.target[guide] >= 0}
        assert set(perturbation_targets(label)) == genes
        for guide in construct:
            if made.target[guide] >= 0:
                assert NETWORK.genes[made.target[guide]] == made.names[guide].rsplit("_g", 1)[0]
    assert made.perturbations == ("control", "A", "C", "A+C")
    # the k-th construct of a pair carries the k-th guide of both
    pairs = [
        sorted(made.names[g] for g in c) for c, label in zip(made.constructs, made.labels, strict=True) if "+" in label
    ]
    assert pairs == [["A_g1", "C_g1"], ["A_g2", "C_g2"]]


@pytest.mark.parametrize("targets", ["all", ("H", "C", "A", "F", "B"), {"count": 6}])
@pytest.mark.parametrize(("order", "count"), [(2, "all"), (3, "all"), (2, 1), (2, 4), (2, 9), (3, 10), (4, 2)])
def test_combinations_are_distinct_and_sorted(targets: object, order: int, count: int | str) -> None:
    combination = {"order": order, "count": count}
    made = library(targets=targets, combinations=[combination], singles=False, guides_per_target=1, non_targeting=1)
    sets = [tuple(int(made.target[guide]) for guide in construct) for construct in made.constructs[:-1]]
    n_targets = len(set(made.target.tolist()) - {NON_TARGETING})
    assert len(sets) == (math.comb(n_targets, order) if count == "all" else count)
    assert len(set(sets)) == len(sets)
    assert all(len(genes) == order and genes == tuple(sorted(set(genes))) for genes in sets)
    assert sets == sorted(sets)


def test_a_large_sample_of_combinations_is_drawn_without_listing_all() -> None:
    network = make_network([(r, r + 1, 1) for r in range(299)])
    made = library(network, combinations=[{"order": 3, "count": 50}], singles=False, guides_per_target=1)
    sets = [tuple(int(made.target[g]) for g in construct) for construct in made.constructs if len(construct) == 3]
    assert len(set(sets)) == len(sets) == 50
    assert all(genes == tuple(sorted(set(genes))) for genes in sets)
    with pytest.raises(SpecError, match=r"library.combinations\[0\].count: 'all' is not few enough"):
        library(network, combinations=[{"order": 3}])


def test_a_combination_that_two_entries_name_is_made_once() -> None:
    made = library(
        targets=["A", "B", "C"],
        combinations=[{"order": 2}, {"order": 2, "among": ["A", "B"]}, {"order": 2, "among": ["C", "H"]}],
        guides_per_target=1,
    )
    assert len(set(made.constructs)) == len(made.constructs)
    assert [label for label in made.perturbations if "+" in label] == ["A+B", "A+C", "B+C", "C+H"]
    assert "H" not in made.perturbations  # named in a combination only: it has guides, but is no single
    assert "H_g1" in made.names


def test_targets_by_name_number_and_kind() -> None:
    assert set(library(targets="regulators").perturbations[1:]) == {"A", "B", "C", "F"}
    assert set(library(targets="all").perturbations[1:]) == set(NETWORK.genes)
    for seed in range(5):
        drawn = library(seed=seed, targets={"count": 3, "among": "regulators"}).perturbations[1:]
        assert len(drawn) == 3
        assert set(drawn) <= {"A", "B", "C", "F"}
    draws = {library(seed=seed, targets={"count": 3}).perturbations for seed in range(20)}
    assert len(draws) > 5
    assert library(seed=3, targets={"count": 3}).perturbations == library(seed=3, targets={"count": 3}).perturbations


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"targets": ["A", "Aa"]}, r"library.targets\[1\]: 'Aa' is not in the network \(did you mean 'A'\?\)"),
        ({"targets": ["nothing"]}, r"library.targets\[0\]: 'nothing' is not in the network"),
        ({"targets": {"count": 9}}, "library.targets.count: 9 is not <= 8, the genes to choose from"),
        (
            {"targets": {"count": 5, "among": "regulators"}},
            "library.targets.count: 5 is not <= 4, the genes to choose from",
        ),
        (
            {"combinations": [{"order": 2, "among": ["A", "Zz"]}]},
            r"library.combinations\[0\].among\[1\]: 'Zz' is not in the network",
        ),
        (
            {"combinations": [{"order": 2}, {"order": 2, "count": 29}]},
            r"library.combinations\[1\].count: 29 is not <= 28, the combinations that there are",
        ),
        (
            {"combinations": [{"order": 9}]},
            r"library.combinations\[0\].order: 9 is not <= 8, the genes to combine",
        ),
    ],
)
def test_what_is_not_allowed_is_named(spec: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        library(**spec)


@given(st.sampled_from(sorted(MODALITIES)), st.floats(0, 1), st.floats(1.01, 100))
def test_states_of_every_modality(name: str, efficacy: float, fold: float) -> None:
    states = MODALITIES[name].states(efficacy, fold)
    assert sum(state.probability for state in states) == pytest.approx(1.0, rel=1e-12)
    assert all(state.probability > 0 for state in states)
    assert all(state.transcription >= 0 and state.translation >= 0 for state in states)
    if name != "knockout":
        assert len(states) == 1
        assert states[0].translation == 1.0
    expected = {"crispri": 1 - efficacy, "crispra": 1 + (fold - 1) * efficacy, "knockout": 1 - efficacy}[name]
    protein = sum(state.probability * state.transcription * state.translation for state in states)
    assert protein == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_states_of_a_knock_out() -> None:
    left = SOURCES["nonsense_mediated_decay_remaining"].value
    wild, half, null = MODALITIES["knockout"].states(0.7, 1.0)
    assert [s.probability for s in (wild, half, null)] == pytest.approx([0.09, 0.42, 0.49])
    assert (wild.transcription, wild.translation) == (1.0, 1.0)
    assert half.transcription == pytest.approx((1 + left) / 2)
    assert half.transcription * half.translation == pytest.approx(0.5)
    assert null.transcription == pytest.approx(left)
    assert null.translation == 0.0
    assert [(s.probability, s.translation) for s in MODALITIES["knockout"].states(1.0, 1.0)] == [(1.0, 0.0)]
    (none,) = MODALITIES["knockout"].states(0.0, 1.0)
    assert (none.probability, none.transcription, none.translation) == (1.0, 1.0, 1.0)
    assert ALLELES == 2


@pytest.mark.parametrize("efficacy", [0.0, 1.0])
def test_efficacy_without_doubt(efficacy: float) -> None:
    made = library(efficacy={"mean": efficacy, "concentration": 3.0})
    assert (made.efficacy[made.target >= 0] == efficacy).all()


def test_efficacies_follow_their_distribution() -> None:
    network = make_network([(r, r + 1, 1) for r in range(199)])
    alike = library(network, efficacy={"mean": 0.6})
    assert set(alike.efficacy[alike.target >= 0]) == {0.6}
    spread = library(network, efficacy={"mean": 0.6, "concentration": 4.0}, guides_per_target=5)
    drawn = spread.efficacy[spread.target >= 0]
    # six standard errors, of a beta distribution with variance m (1 - m)/(c + 1)
    assert abs(drawn.mean() - 0.6) < 6 * math.sqrt(0.24 / 5 / 1000)
    assert abs(drawn.var() / (0.24 / 5) - 1) < 0.3
    default = library(network, modality="knockout")
    assert abs(default.efficacy[default.target >= 0].mean() - MODALITIES["knockout"].efficacy) < 0.1


def test_onset_and_fold_default_to_the_modality() -> None:
    for name, modality in MODALITIES.items():
        made = library(modality=name)
        assert (made.lag_hours, made.time_constant_hours) == (modality.lag_hours, modality.time_constant_hours)
        assert made.fold == DEFAULT_FOLD
    made = library(modality="crispra", fold=7.0, onset={"lag_hours": 1.0, "time_constant_hours": 0.0})
    assert (made.fold, made.lag_hours, made.time_constant_hours) == (7.0, 1.0, 0.0)


def rows(effects: CellEffects) -> list[list[float]]:
    return [[round(x, 12) for x in row] for row in (effects.transcription * (effects.gene >= 0)).tolist()]


def test_effects_of_cells() -> None:
    made = library(
        targets=["C"],
        guides_per_target=1,
        non_targeting=1,
        efficacy={"mean": 0.75},
        onset={"lag_hours": 3.0, "time_constant_hours": 5.0},
    )
    guides = np.array([[0, -1], [1, -1], [0, 1], [-1, -1]], np.int32)
    effects = made.effects(guides, uniform=np.full((4, 2), 0.5), transduced_at=10.0)
    assert effects.gene.tolist() == [[2, -1], [-1, -1], [2, -1], [-1, -1]]
    assert effects.transcription.tolist() == [[0.25, 1.0], [1.0, 1.0], [0.25, 1.0], [1.0, 1.0]]
    assert set(effects.start.ravel()) == {13.0}
    assert set(effects.constant.ravel()) == {5.0}


def test_alleles_are_drawn_by_the_uniforms_and_agree_with_the_states() -> None:
    made = library(
        modality="knockout", targets=["A", "B"], guides_per_target=1, non_targeting=1, efficacy={"mean": 0.7}
    )
    uniform = np.array([[0.05], [0.0901], [0.5], [0.52], [0.999]])
    effects = made.effects(np.zeros((5, 1), np.int32), uniform=uniform, transduced_at=0.0)
    states = made.states(0)
    assert effects.transcription[:, 0].tolist() == [states[i].transcription for i in (0, 1, 1, 2, 2)]
    assert effects.translation[:, 0].tolist() == [states[i].translation for i in (0, 1, 1, 2, 2)]
    grid = (np.arange(20_000) + 0.5)[:, None] / 20_000
    drawn = made.effects(np.ones((20_000, 1), np.int32), uniform=grid, transduced_at=0.0)
    for state in made.states(1):
        share = (drawn.translation[:, 0] == state.translation).mean()
        assert share == pytest.approx(state.probability, abs=1e-4)


def test_combined_states_are_all_of_a_constructs_cells() -> None:
    made = library(modality="knockout", targets=["A", "B"], combinations=[{"order": 2}], guides_per_target=1)
    for number, label in enumerate(made.labels):
        probability, effects = made.combined_states(number, transduced_at=4.0)
        order = len(perturbation_targets(label))
        assert probability.sum() == pytest.approx(1.0, rel=1e-12)
        assert probability.size == effects.n_cells == 3**order
        assert effects.gene.shape[1] == order
        if order:
            assert {NETWORK.genes[g] for g in effects.gene[0]} == set(perturbation_targets(label))
            assert set(effects.start.ravel()) == {4.0 + made.lag_hours}
        if order == 2:
            both = effects.translation == 0
            efficacy = made.efficacy[list(made.constructs[number])]
            assert probability[both.all(axis=1)].sum() == pytest.approx(np.prod(efficacy**2))


def test_labels() -> None:
    assert perturbation_label([]) == CONTROL
    assert perturbation_label(["B", "A", "B"]) == "A+B"
    made = library(targets=["A", "B"], combinations=[{"order": 2}], guides_per_target=1, non_targeting=1)
    assert made.label([2]) == CONTROL
    assert made.label([1, 2, 0, 0]) == "A+B"
