"""Who gets what: constructs per cell, the weights of constructs, null alleles, and the efficacy of guides."""

from __future__ import annotations

import numpy as np
import pytest
from budget import caught, chi_square_chance, dkw_radius, level
from numpy.typing import NDArray
from scipy.stats import beta, ks_1samp

from simcell import theory
from simcell.assignment import assign
from simcell.guides import GuideLibrary, draw_library
from simcell.modalities import ALLELES
from simcell.network import Network
from simcell.sources import SOURCES
from simcell.spec.library import LibrarySpec

N = 200_000
CELLS = np.arange(N, dtype=np.int64)


def make_library(*, genes: int = 8, **spec: object) -> GuideLibrary:
    network = Network(tuple(f"G{gene}" for gene in range(genes)), np.array([0]), np.array([1]), np.array([1]))
    return draw_library(network, LibrarySpec.model_validate(spec), seed=51)


def constructs(library: GuideLibrary, moi: float | None) -> NDArray[np.int32]:
    return assign(library, CELLS, moi=moi, transduced_at=0.0, seed=52).construct


def check_numbers(numbers: NDArray[np.integer], moi: float) -> None:
    value, chance = theory.truncated_poisson(moi)
    observed = np.bincount(numbers, minlength=value.size + 1)
    assert observed[0] == 0
    found = chi_square_chance(observed[1 : value.size + 1], chance * numbers.size)
    limit = level("constructs per cell")
    assert found >= limit, f"constructs per cell at {moi:g}: so poor a fit has chance {found:.1e}"


def check_weights(drawn: NDArray[np.int32], weight: NDArray[np.float64]) -> None:
    drawn = drawn[drawn >= 0]
    found = chi_square_chance(np.bincount(drawn, minlength=weight.size), weight * drawn.size)
    limit = level("construct weights")
    assert found >= limit, f"weights of constructs: so poor a fit has chance {found:.1e}"


def check_alleles(null: NDArray[np.integer], efficacy: float) -> None:
    observed = np.bincount(null, minlength=ALLELES + 1)
    found = chi_square_chance(observed, theory.null_alleles(efficacy) * null.size)
    limit = level("null alleles")
    assert found >= limit, f"null alleles: so poor a fit has chance {found:.1e}"


def check_efficacy(efficacy: NDArray[np.float64], mean: float, concentration: float) -> None:
    law = beta(mean * concentration, (1.0 - mean) * concentration)
    distance, radius = ks_1samp(efficacy, law.cdf).statistic, dkw_radius(level("guide efficacy"), efficacy.size)
    assert distance <= radius, f"efficacy of guides: CDF is off by {distance:.3f} (limit {radius:.3f})"


@pytest.mark.statistical
@pytest.mark.parametrize("moi", [0.3, 4.0])
def test_constructs_per_cell_are_poisson_given_at_least_one(moi: float) -> None:
    check_numbers((constructs(make_library(), moi) >= 0).sum(axis=1), moi)
    with caught("constructs per cell"):  # cells without a construct given one, in place of being selected away
        check_numbers(np.random.default_rng(1).poisson(moi, N).clip(1), moi)


@pytest.mark.statistical
def test_constructs_are_drawn_by_weight() -> None:
    library = make_library(control_fraction=0.3, non_targeting=3)
    check_weights(constructs(library, 2.0), library.weight)
    assert (constructs(library, None).shape[1]) == 1
    with caught("weights of constructs"):  # all constructs alike
        check_weights(constructs(make_library(control_fraction=3 / 19, non_targeting=3), 2.0), library.weight)


@pytest.mark.statistical
def test_alleles_are_knocked_out_one_by_one() -> None:
    efficacy, left = 0.7, SOURCES["nonsense_mediated_decay_remaining"].value
    library = make_library(modality="knockout", efficacy={"mean": efficacy}, control_fraction=0.01, non_targeting=1)
    effects = assign(library, CELLS, moi=None, transduced_at=0.0, seed=53).effects
    hit = effects.gene[:, 0] >= 0
    transcribed, functional = effects.transcription[hit, 0], (effects.transcription * effects.translation)[hit, 0]
    null = np.rint(ALLELES * (1.0 - functional)).astype(int)
    np.testing.assert_allclose(transcribed, 1.0 - null / ALLELES * (1.0 - left))
    check_alleles(null, efficacy)
    with caught("null alleles"):  # both alleles of a cell cut or not
        check_alleles(ALLELES * (np.random.default_rng(1).random(null.size) < efficacy), efficacy)


@pytest.mark.statistical
def test_efficacy_of_guides_is_beta() -> None:
    library = make_library(genes=3000, guides_per_target=3, efficacy={"mean": 0.8, "concentration": 6.0})
    check_efficacy(library.efficacy[library.target >= 0], 0.8, 6.0)
    with caught("efficacy of guides"):  # the right mean and variance, normal, clipped
        spread = np.sqrt(0.8 * 0.2 / 7.0)
        check_efficacy(np.random.default_rng(1).normal(0.8, spread, 9000).clip(0.0, 1.0), 0.8, 6.0)
