"""Protocols: steps write the timeline in order; culture adds up and does not commute with transduction; media act."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers_core import make_spec
from hypothesis import given
from hypothesis import strategies as st

from simcell.counterfactual import counterfactual_pairs
from simcell.dataset import load
from simcell.errors import SpecError
from simcell.protocol import Segment, Timeline, apply_step, timeline_of
from simcell.screen import Screen, build_screen, simulate
from simcell.spec.protocol_steps import CultureStep, HarvestStep, TransduceStep
from simcell.truth import true_response

HARVEST = HarvestStep(step="harvest")


def culture(hours: float, medium: str = "base") -> CultureStep:
    return CultureStep(step="culture", medium=medium, hours=hours)


def transduce(moi: float | None = None) -> TransduceStep:
    return TransduceStep(step="transduce", moi=moi)


def screen(*steps: dict[str, object], **changes: object) -> Screen:
    return build_screen(make_spec(protocol=[*steps, {"step": "harvest"}], **changes))


def step(name: str, **fields: object) -> dict[str, object]:
    return {"step": name, **fields}


def test_steps_write_the_timeline() -> None:
    line = timeline_of([culture(24.0), transduce(0.4), culture(10.0, "rich"), culture(6.0), HARVEST])
    assert line.segments == (
        Segment("base", 0.0, 24.0),
        Segment("rich", 24.0, 34.0),
        Segment("base", 34.0, 40.0),
    )
    assert line.transduced_at == 24.0
    assert line.moi == 0.4
    assert line.sampled_at == (40.0,)
    assert line.now == 40.0
    assert [line.medium_at(t) for t in (0.0, 24.0, 24.5, 34.0, 40.0)] == ["base", "base", "rich", "rich", "base"]
    assert timeline_of([transduce(), HARVEST]) == Timeline((), 0.0, None, (0.0,))
    assert timeline_of([]).now == 0.0


def test_a_step_leaves_the_timeline_it_was_given() -> None:
    before = timeline_of([culture(3.0)])
    apply_step(culture(2.0), before)
    assert before == timeline_of([culture(3.0)])


def test_what_is_no_step_is_refused() -> None:
    with pytest.raises(TypeError, match="str is not a step of a protocol"):
        apply_step("culture", Timeline())


@given(
    st.lists(st.floats(0.1, 50.0), min_size=1, max_size=5),
    st.lists(st.floats(0.01, 300.0), max_size=6),
)
def test_stretches_cover_the_segments_and_end_at_every_sample(hours: list[float], sampled: list[float]) -> None:
    whole = timeline_of([culture(h) for h in hours])
    inside = tuple(sorted({t for t in sampled if t <= whole.now}))
    line = Timeline(whole.segments, 0.0, None, inside)
    stretches = list(line.stretches())
    assert stretches[0][0].start == 0.0
    assert stretches[-1][0].end == whole.now
    for (early, _), (late, _) in pairwise(stretches):
        assert early.end == late.start
        assert early.start < early.end
    assert tuple(stretch.end for stretch, measured in stretches if measured) == inside
    assert len(stretches) <= len(inside) + 1  # all in one medium: cut where cells are measured alone


def test_stretches_are_cut_where_the_medium_changes() -> None:
    line = timeline_of([culture(3.0), culture(2.0), culture(4.0, "rich"), culture(1.0, "rich"), culture(5.0), HARVEST])
    expected = [Segment("base", 0.0, 5.0), Segment("rich", 5.0, 10.0), Segment("base", 10.0, 15.0)]
    assert list(line.stretches()) == [(expected[0], False), (expected[1], False), (expected[2], True)]


@given(st.floats(0.01, 500.0), st.floats(0.01, 500.0))
def test_culture_adds_up(a: float, b: float) -> None:
    two, one = timeline_of([culture(a), culture(b)]), timeline_of([culture(a + b)])
    assert two.now == one.now
    assert two.segments[0].end == two.segments[1].start


def test_culture_in_two_parts_gives_the_same_cells() -> None:
    parts = screen(step("transduce"), step("culture", hours=12.0), step("culture", hours=18.0))
    whole = screen(step("transduce"), step("culture", hours=30.0))
    pairs = [counterfactual_pairs(each, list(range(9))) for each in (parts, whole)]
    assert pairs[0].intensity.values.tobytes() == pairs[1].intensity.values.tobytes()
    odd = screen(step("transduce"), step("culture", hours=7.3), step("culture", hours=22.7), engine={"name": "ode"})
    even = screen(step("transduce"), step("culture", hours=30.0), engine={"name": "ode"})
    pairs = [counterfactual_pairs(each, list(range(9))) for each in (odd, even)]
    np.testing.assert_allclose(pairs[0].intensity, pairs[1].intensity, rtol=1e-6)


def test_culture_does_not_commute_with_transduction() -> None:
    ode = {"engine": {"name": "ode"}}
    before = true_response(screen(step("culture", hours=30.0), step("transduce"), **ode), progress=False)
    after = true_response(screen(step("transduce"), step("culture", hours=30.0), **ode), progress=False)
    np.testing.assert_allclose(before.mean_field, np.broadcast_to(before.mean_field[:, :1], before.mean_field.shape))
    target = after.perturbations.index("A")
    assert after.mean_field[0, target, 0] < 0.5 * before.mean_field[0, target, 0]
    np.testing.assert_allclose(after.mean_field[:, 0], before.mean_field[:, 0], rtol=1e-7)  # but it does for controls


def test_transduction_counts_the_onset_from_itself() -> None:
    late = screen(step("culture", hours=20.0), step("transduce"), step("culture", hours=30.0), engine={"name": "ode"})
    early = screen(step("transduce"), step("culture", hours=30.0), engine={"name": "ode"})
    one, other = (true_response(each, progress=False).mean_field for each in (late, early))
    np.testing.assert_allclose(one, other, rtol=1e-6)
    assert late.transduced_at == 20.0


def test_media_change_responses_and_their_order_matters() -> None:
    common = {
        "signals": {"heat": [{"target": "A", "sign": 1, "strength": 5.0}, {"target": "E", "sign": -1}]},
        "media": {"base": {}, "hot": {"heat": 4.0}},
        "engine": {"name": "ode"},
    }
    words = {
        "base": [("base", 20.0), ("base", 20.0)],
        "hot first": [("hot", 20.0), ("base", 20.0)],
        "hot last": [("base", 20.0), ("hot", 20.0)],
    }
    found = {}
    for name, word in words.items():
        steps = [step("culture", medium=medium, hours=hours) for medium, hours in word]
        made = screen(step("transduce"), *steps, **common)
        found[name] = true_response(made, progress=False).mean_field[0, 0]
    names = build_screen(make_spec(**common)).model.network.genes
    a, e = names.index("A"), names.index("E")
    assert found["base"][a] < found["hot first"][a] < found["hot last"][a]
    assert found["base"][e] > found["hot first"][e] > found["hot last"][e]
    reference = build_screen(make_spec(**common)).model.mean
    np.testing.assert_allclose(found["base"], reference, rtol=1e-7)


def test_the_wild_type_is_that_of_the_first_medium() -> None:
    """Cells that never leave the first medium stay, whatever its signals; before the protocol they are in it."""
    signals = {"heat": [{"target": "A", "sign": 1, "strength": 5.0}]}
    made = screen(
        step("transduce"),
        step("culture", medium="warm", hours=50.0),
        signals=signals,
        media={"warm": {"heat": 0.7}, "cold": {}},
        engine={"name": "ode"},
    )
    response = true_response(made, progress=False)
    np.testing.assert_allclose(response.mean_field[0, 0], made.model.mean, rtol=1e-7)
    assert response.settled[0, 0]
    left = screen(
        step("transduce"),
        step("culture", medium="cold", hours=50.0),
        signals=signals,
        media={"warm": {"heat": 0.7}, "cold": {}},
        engine={"name": "ode"},
    )
    changed = true_response(left, progress=False)
    assert changed.mean_field[0, 0, 0] < 0.95 * left.model.mean[0]


def test_an_unknown_medium_is_named() -> None:
    with pytest.raises(SpecError, match=r"protocol\[1\].medium: 'bas' is not .*did you mean 'base'"):
        screen(step("transduce"), step("culture", medium="bas", hours=1.0))


COURSE = (step("transduce"), step("culture", medium="base", hours=20.0))
LATER = (step("culture", medium="base", hours=50.0),)


def test_samples_share_the_cells_of_every_batch(tmp_path: Path) -> None:
    tree = load(simulate(screen(*COURSE, step("sample"), *LATER), tmp_path / "x.zarr", progress=False))
    cells = tree["cells"].to_dataset()
    for batch in sorted(set(cells["batch"].values.tolist())):
        here = cells["batch"].values == batch
        times, counts = np.unique(cells["time"].values[here], return_counts=True)
        assert times.tolist() == [20.0, 70.0]
        assert abs(counts[0] - counts[1]) <= 1
    assert set(zip(cells["time"].values.tolist(), cells["sample"].values.tolist(), strict=True)) == {
        (20.0, "sample0"),
        (70.0, "harvest"),
    }


def test_a_sampled_cell_is_the_cell_of_a_protocol_that_ends_there(tmp_path: Path) -> None:
    protocols = {"early": COURSE, "late": (*COURSE, *LATER), "both": (*COURSE, step("sample"), *LATER)}
    early, late, both = (
        load(simulate(screen(*steps, output={"latent": True}), tmp_path / f"{name}.zarr", progress=False))
        for name, steps in protocols.items()
    )
    taken = both["cells/time"].values
    for tree, time in ((early, 20.0), (late, 70.0)):
        rows = np.flatnonzero(taken == time)
        assert rows.size
        for name in ("latent/intensity", "counts/umis"):
            np.testing.assert_array_equal(both[name].values[rows], tree[name].values[rows])
    response = both["truth/response/mean_field"].values
    np.testing.assert_allclose(response[0], early["truth/response/mean_field"].values[0], rtol=1e-4)
    np.testing.assert_allclose(response[1], late["truth/response/mean_field"].values[0], rtol=1e-4)
    pairs = counterfactual_pairs(screen(*COURSE, step("sample"), *LATER), cells=[0, 1, 2])
    np.testing.assert_array_equal(pairs["intensity"].values, both["latent/intensity"].values[:3])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([step("culture", hours=3.0), step("sample"), step("transduce")], "nothing is perturbed before"),
        ([step("transduce"), step("sample"), step("culture", hours=3.0)], "after a culture step"),
        ([step("transduce"), step("culture", hours=3.0), step("sample")], "same hour"),
    ],
)
def test_samples_that_make_no_sense_are_refused(steps: list[dict[str, object]], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        screen(*steps)
