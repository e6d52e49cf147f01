"""What the benchmarks compute rather than measure: reactions, their number, moments, errors, straight lines."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fitters, gpu
from benchmarks._fitting import Taken
from benchmarks._hill_network import count_events, events_per_hour, hill_network, initial_amounts, reactions
from benchmarks._moments import moments, relative_errors, z_limit, z_scores
from benchmarks._report import Figure
from benchmarks._timing import fastest
from benchmarks.scaling import above_line
from simcell import CellModel

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def model() -> CellModel:
    return hill_network()


def rates_at(model: CellModel, mrna: np.ndarray, protein: np.ndarray) -> dict[str, float]:
    """Return the rate of each reaction by its name, from its text."""
    names = {f"m{i}": x for i, x in enumerate(mrna)} | {f"p{i}": x for i, x in enumerate(protein)}
    return {reaction.name: eval(reaction.rate, {"pow": pow}, names) for reaction in reactions(model)}


@pytest.mark.parametrize("hill", [2.0, 1.7])
def test_written_rates_are_those_of_the_model(model: CellModel, hill: float) -> None:
    hills = np.full(model.network.n_regulators, hill)
    affinity = np.random.default_rng(0).uniform(0.5, 2.0, model.network.n_edges)
    model = replace(model, hill=hills, edges=replace(model.edges, hill=hills, affinity=affinity))
    level = np.random.default_rng(1).uniform(0.0, 3.0, model.network.n_regulators)
    level[0] = 0.0
    rate = rates_at(model, 3.0 * model.mean, level * model.protein_mean)
    active = model.regulation.activity(model.basal, model.strength, model.edges, level)
    for gene in range(model.network.n_genes):
        assert rate[f"transcription{gene}"] == pytest.approx(model.max_rate[gene] * active[gene], rel=1e-12)
        assert rate[f"decay{gene}"] == pytest.approx(3.0 * model.decay[gene] * model.mean[gene], rel=1e-12)
    for number, gene in enumerate(model.network.regulators):
        made = 3.0 * model.translation_rate[number] * model.mean[gene]
        assert rate[f"translation{number}"] == pytest.approx(made, rel=1e-12)
        lost = model.protein_decay[number] * level[number] * model.protein_mean[number]
        assert rate[f"loss{number}"] == pytest.approx(lost, rel=1e-12)


def test_at_the_means_as_much_is_made_as_lost_and_all_that_is_counted(model: CellModel) -> None:
    rate = rates_at(model, model.mean, model.protein_mean)
    balance = dict.fromkeys(initial_amounts(model), 0.0)
    for reaction in reactions(model):
        balance[reaction.species] += reaction.change * rate[reaction.name]
    assert np.allclose(list(balance.values()), 0.0, atol=1e-10)
    assert sum(rate.values()) == pytest.approx(events_per_hour(model), rel=1e-12)


def test_events_are_as_many_as_computed(model: CellModel) -> None:
    events, amounts = count_events(model, hours=8.0)
    expected = 8.0 * events_per_hour(model)
    # Poisson, nearly: rates vary a little with the amounts
    assert abs(events - expected) < 6.0 * np.sqrt(expected)
    assert amounts.keys() == initial_amounts(model).keys() and min(amounts.values()) >= 0


def test_only_what_is_the_same_elsewhere_is_written_as_reactions(model: CellModel) -> None:
    with pytest.raises(ValueError, match="promoter poisson"):
        reactions(replace(model, promoter="bursty"))


def test_moments_of_a_sample() -> None:
    found = moments(np.array([[1.0], [2.0], [6.0]]))
    assert found.mean == pytest.approx([3.0]) and found.variance == pytest.approx([7.0])
    assert found.mean_error == pytest.approx([np.sqrt(14.0 / 3.0 / 3.0)])
    # fourth moment (16 + 1 + 81)/3 about the mean, variance 14/3
    assert found.variance_error == pytest.approx([np.sqrt((98.0 / 3.0 - (14.0 / 3.0) ** 2) / 3.0)])


def test_z_scores_are_standard_and_see_a_difference() -> None:
    rng = np.random.default_rng(0)
    first, second, third = (moments(rng.normal(scale=scale, size=(4000, 200))) for scale in (1.0, 1.0, 1.2))
    same, other = z_scores(first, second), z_scores(first, third)
    assert np.sqrt((same**2).mean(axis=1)) == pytest.approx([1.0, 1.0], abs=0.2)
    assert np.abs(same).max() < z_limit(same.size) < np.abs(other[1]).min()
    assert np.abs(other[0]).max() < z_limit(same.size)
    assert z_limit(1, chance=0.05) == pytest.approx(1.96, abs=0.001)


def test_relative_errors_are_found_with_their_standard_errors() -> None:
    rng = np.random.default_rng(0)
    exact = rng.normal(10.0, 1.0, size=(50_000, 20))
    shared = rng.normal(size=(20_000, 1))  # what quantities of a cell have in common makes errors larger
    sample = 10.2 + 1.1 * (0.6 * shared + 0.8 * rng.normal(size=(20_000, 20)))
    mean, variance = relative_errors(sample, exact)
    assert abs(mean.value - 0.02) < 5.0 * mean.error < 0.005
    assert abs(variance.value - 0.21) < 5.0 * variance.error < 0.05
    unshared, _ = relative_errors(10.2 + 1.1 * rng.normal(size=(20_000, 20)), exact)
    assert mean.error > 1.5 * unshared.error
    assert variance.above(mean) > 5.0 > -5.0 > mean.above(variance)
    assert str(mean).startswith("+") and str(mean).endswith("%")


def test_a_straight_line_is_straight() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert above_line(x, 3.0 + 2.0 * x) == pytest.approx(1.0)
    assert above_line(x, 5.0 * np.ones(4)) == pytest.approx(1.0)
    assert above_line(x, x**2) > 1.5


def test_processor_time_counts_processes_that_were_started() -> None:
    script = "import time\nx = 0\nfor i in range(3_000_000): x += i\nprint(time.process_time())"
    used = []

    def busy() -> None:
        used.append(float(subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE).stdout))

    # the clock of a child ticks in hundredths of a second
    assert fastest({"busy": lambda: busy}, repeats=1)["busy"].cpu > 0.5 * used[0]


def test_a_figure_says_whether_it_meets_its_target() -> None:
    assert Figure("speed", 12.0, "×", 10.0, at_least=True).verdict == "met"
    assert Figure("time", 12.0, "s", 10.0).verdict == "NOT MET"
    assert Figure("time", 12.0, "s").verdict == ""


@pytest.mark.parametrize("name", ["ssa", "tau"])
def test_without_a_compiler_a_benchmark_is_skipped_in_one_line(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", name, "--quick"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith(f"{name}: skipped: ")]
    assert "Traceback" not in done.stderr


def test_without_a_gpu_the_comparison_is_skipped_and_its_command_said() -> None:
    command = [sys.executable, "-m", "benchmarks", "gpu"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    skipped = [line for line in done.stdout.splitlines() if line.startswith("gpu: skipped: ")]
    assert len(skipped) == 1
    assert "no GPU here; on a machine with one: python -m benchmarks gpu" in skipped[0] or "torch is not" in skipped[0]


def test_a_gpu_is_compared_in_the_same_training(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fit(folder: Path, name: str, *, options: dict, told: bool, threads: int) -> Taken:
        asked.append((name, options, told, threads))
        training = 2.0 if options["device"] == "cuda" else 30.0
        return (
            Taken(problem="too large") if name == "node" else Taken(training + 5.0, training, 10**9, options["device"])
        )

    monkeypatch.setattr(gpu, "_require_gpu", lambda: None)
    monkeypatch.setattr(gpu, "_gpu_name", lambda: "a GPU")
    monkeypatch.setattr(gpu, "simulate_screen", lambda folder, size: None)
    monkeypatch.setattr(gpu, "fit_in_a_process", fit)
    monkeypatch.setattr(gpu, "FITTERS", gpu.FITTERS | {"nobody": {}})
    result = gpu.measure()
    assert [figure.value for figure in result.figures if "vae" in figure.name] == [15.0]
    assert not any("node" in figure.name for figure in result.figures)
    assert result.figures[0].verdict == "met"
    assert ("nobody", "-", "-", "-", "-", "no such fitter") in result.rows
    by_device = {device: [one for one in asked if one[1]["device"] == device] for device in ("cuda", "cpu")}
    for on_gpu, on_cores in zip(by_device["cuda"], by_device["cpu"], strict=True):
        assert on_gpu[0] == on_cores[0] and on_gpu[1] | {"device": "cpu"} == on_cores[1]
        assert (on_gpu[3], on_cores[3]) == (0, 2)


def test_the_time_of_all_fitters_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(folder: Path, name: str, *, told: bool) -> Taken:
        return Taken(problem="no luck") if name == "bilinear" else Taken(2.0, 0.0, 10**9)

    monkeypatch.setattr(fitters, "simulate_screen", lambda folder, size: None)
    monkeypatch.setattr(fitters, "fit_in_a_process", fit)
    monkeypatch.setattr(fitters, "_metrics", lambda genes: 0.1)
    result = fitters.measure()
    rows = {row[0]: row for row in result.rows}
    fitted = [name for name, row in rows.items() if not row[5]]
    assert rows["bilinear"][5] == "no luck" and {"mean", "control-cells"} <= set(fitted)
    figures = {figure.name: figure for figure in result.figures}
    assert figures["all that were fitted, one after the other"].value == 2.0 * len(fitted)
    assert figures["mean, fit and predictions"].target == 5.0
    trained = [name for name, row in rows.items() if row[1] not in ("baseline", "linear") and name in fitted]
    assert trained and {figures[f"{name}, fit and predictions"].target for name in trained} == {180.0}
