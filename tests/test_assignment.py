"""Who received which construct: exactly one or Poisson, by cell and not by order, with states to match."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_core import make_network
from hypothesis import given, settings
from hypothesis import strategies as st

from simcell.assignment import NONE, Assignment, assign
from simcell.guides import GuideLibrary, draw_library
from simcell.spec.library import LibrarySpec

NETWORK = make_network([(0, 1, 1), (1, 2, -1), (2, 3, 1)])


def make_library(**spec: object) -> GuideLibrary:
    spec = {"combinations": [{"order": 2, "count": 3}], "non_targeting": 3, "control_fraction": 0.25} | spec
    return draw_library(NETWORK, LibrarySpec.model_validate(spec), seed=1)


LIBRARY = make_library()
KNOCKOUTS = make_library(modality="knockout", efficacy={"mean": 0.5})


def received(
    cells: object = 500, *, library: GuideLibrary = LIBRARY, moi: float | None = None, seed: int = 2, replicate: int = 0
) -> Assignment:
    numbers = np.arange(cells, dtype=np.int64) if isinstance(cells, int) else np.asarray(cells, np.int64)
    return assign(library, numbers, moi=moi, transduced_at=5.0, seed=seed, replicate=replicate)


def columns(assignment: Assignment) -> list[np.ndarray]:
    effects = assignment.effects
    return [assignment.construct, assignment.guides, *(getattr(effects, name) for name in effects.__dataclass_fields__)]


def test_without_moi_every_cell_has_one_construct_and_its_guides() -> None:
    got = received()
    assert got.construct.shape == (500, 1)
    assert ((got.construct >= 0) & (got.construct < len(LIBRARY.constructs))).all()
    for construct, guides in zip(got.construct[:, 0], got.guides, strict=True):
        assert tuple(guides[guides >= 0]) == LIBRARY.constructs[construct]


def test_shares_follow_the_weights() -> None:
    n = 20_000
    got = received(n)
    shares = np.bincount(got.construct[:, 0], minlength=LIBRARY.weight.size) / n
    error = np.sqrt(LIBRARY.weight * (1 - LIBRARY.weight) / n)
    assert (np.abs(shares - LIBRARY.weight) < 6.5 * error).all()
    controls = np.array(LIBRARY.labels)[got.construct[:, 0]] == "control"
    assert abs(controls.mean() - 0.25) < 6.5 * np.sqrt(0.25 * 0.75 / n)


@pytest.mark.parametrize("moi", [1e-17, 1e-9, 0.3, 2.0, 30.0])
def test_number_of_constructs_is_poisson_given_one(moi: float) -> None:
    n = 4_000
    got = received(n, moi=moi)
    number = (got.construct >= 0).sum(axis=1)
    assert number.min() >= 1
    mean = 1.0 if moi < 1e-8 else moi / -np.expm1(-moi)
    variance = mean * (1 + moi - mean)
    assert abs(number.mean() - mean) <= 6.5 * np.sqrt(variance / n)
    # constructs are listed from the front, and guides are those of the constructs in order, each once
    for constructs, guides in zip(got.construct[:200], got.guides[:200], strict=True):
        present = constructs[constructs >= 0]
        assert (constructs[: present.size] == present).all()
        assert guides[guides >= 0].tolist() == list(dict.fromkeys(g for c in present for g in LIBRARY.constructs[c]))


@pytest.mark.parametrize("moi", [None, 1.5])
@settings(max_examples=20)
@given(cells=st.lists(st.integers(0, 2**40), min_size=1, max_size=20, unique=True), data=st.data())
def test_a_cell_receives_the_same_in_any_company_and_order(
    moi: float | None, cells: list[int], data: st.DataObject
) -> None:
    order = np.array(data.draw(st.permutations(range(len(cells)))))
    library = KNOCKOUTS  # whose cells draw states as well
    together = columns(received(cells, library=library, moi=moi))
    mixed = columns(received(np.array(cells)[order], library=library, moi=moi))
    alone = columns(received(cells[:1], library=library, moi=moi))
    for whole, permuted, single in zip(together, mixed, alone, strict=True):
        np.testing.assert_array_equal(whole[order], permuted)
        np.testing.assert_array_equal(whole[:1], single)


def test_seeds_and_replicates_are_other_draws() -> None:
    first = received().construct
    assert (first == received().construct).all()
    for other in (received(seed=3), received(replicate=1)):
        assert 0.5 < (first != other.construct).mean() < 1.0


def test_states_of_knock_outs_are_drawn_by_cell() -> None:
    library = make_library(modality="knockout", efficacy={"mean": 0.7}, combinations=[])
    n = 10_000
    effects = received(n, library=library).effects
    targeted = effects.gene[:, 0] >= 0
    share = (effects.translation[targeted, 0] == 0.0).mean()
    assert abs(share - 0.49) < 6.5 * np.sqrt(0.25 / targeted.sum())
    assert (effects.start[targeted] == 5.0 + library.lag_hours).all()


def test_the_two_guides_of_a_cell_are_edited_independently() -> None:
    library = make_library(
        modality="knockout", efficacy={"mean": 0.7}, combinations=[{"order": 2}], singles=False, control_fraction=0.01
    )
    effects = received(10_000, library=library).effects
    both = effects.translation[(effects.gene >= 0).all(axis=1)]
    null = both == 0.0
    assert abs(np.corrcoef(null.T)[0, 1]) < 6.5 / np.sqrt(null.shape[0])


def test_fewer_are_marked() -> None:
    got = received(moi=2.0)
    assert (got.construct == NONE).any()
    assert ((got.effects.gene == -1) | (got.guides >= 0)).all()
    nothing = got.guides < 0
    assert (got.effects.transcription[nothing] == 1.0).all()
    assert (got.effects.translation[nothing] == 1.0).all()
