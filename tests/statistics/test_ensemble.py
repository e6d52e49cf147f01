"""The truth's ensemble means: unbiased, and with a standard error that means what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from budget import assert_equal_within, caught, level
from numpy.typing import NDArray

from simcell.effects import CellEffects
from simcell.engines import Langevin
from simcell.random import Purpose, kernel_key
from simcell.screen import Screen, build_screen
from simcell.truth import true_response

EDGES = [["A", "B", 1], ["B", "C", -1], ["C", "A", -1], ["A", "D", 1], ["D", "D", -1], ["B", "E", 1]]
CELLS, N_SEEDS = 48, 600


def make_screen(modality: str, *, guides: int = 1) -> Screen:
    efficacy = {"mean": 0.6, "concentration": 4.0 if guides > 1 else None}
    return build_screen(
        {
            "name": "ensemble",
            "network": {"kind": "edges", "edges": EDGES},
            "cell": {"burst_size": {"median": 5.0, "sigma": 0.3}, "mrna_half_life": {"median": 4.0, "sigma": 0.2}},
            "library": {"modality": modality, "targets": ["A", "B"], "guides_per_target": guides, "efficacy": efficacy},
            "protocol": [{"step": "transduce"}, {"step": "culture", "hours": 48.0}, {"step": "harvest"}],
            "engine": {"step_hours": 2.0, "burn_in_hours": 40.0},
            "truth": {"cells_per_perturbation": CELLS},
        }
    )


def response(screen: Screen, seed: int, *, cells: int = CELLS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard error, (P, G), of one world under the noise of another seed."""
    truth = screen.spec.truth.model_copy(update={"cells_per_perturbation": cells})
    spec = screen.spec.model_copy(update={"seed": seed, "truth": truth})
    found = true_response(dataclasses.replace(screen, spec=spec), n_threads=1, progress=False)
    return found.ensemble_mean[0], found.ensemble_se[0]


def check_error_honest(
    means: NDArray[np.float64], errors: NDArray[np.float64], true: NDArray[np.float64], true_error: NDArray[np.float64]
) -> None:
    """Means and errors (seeds, K) of estimates of true (K,): the squared z has the mean that its law gives."""
    limit = level("ensemble error honest") / 2.0
    bias = (means.mean(axis=0) - true) / true_error
    error = np.sqrt(1.0 + means.var(axis=0) / means.shape[0] / true_error**2)
    assert_equal_within(bias, 0.0, error, limit, what="mean of ensemble means")
    z = (means - true) / np.sqrt(errors**2 + true_error**2)
    error = (z**2).std(axis=0) / np.sqrt(z.shape[0])
    # Student's t; the normal approximation of the mean of CELLS skewed draws is off by less than the 5 percent allowed
    expected = (CELLS - 1.0) / (CELLS - 3.0)
    assert_equal_within((z**2).mean(axis=0), expected, error, limit, what="squared z of ensemble means", allowed=0.05)


def check_same_mean(intensity: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    difference = intensity - expected
    error = difference.std(axis=0) / np.sqrt(difference.shape[0])
    assert_equal_within(
        difference.mean(axis=0), 0.0, error, level("ensemble mean"), what="mean of intensity less expected"
    )


@pytest.mark.statistical
@pytest.mark.parametrize(("modality", "guides"), [("crispri", 1), ("knockout", 1), ("crispri", 5)])
def test_standard_error_of_the_ensemble_mean_is_honest(modality: str, guides: int) -> None:
    # 48 cells do not divide evenly among 5 guides, which differ in efficacy: neither may show
    screen = make_screen(modality, guides=guides)
    found = [response(screen, seed) for seed in range(N_SEEDS)]
    means, errors = np.stack([mean for mean, _ in found]), np.stack([error for _, error in found])
    true, true_error = response(screen, 999, cells=20_000)
    varies = (true_error > 1e-9 * true).ravel()
    assert varies.sum() > 10
    means, errors = means.reshape(N_SEEDS, -1)[:, varies], errors.reshape(N_SEEDS, -1)[:, varies]
    true, true_error = true.ravel()[varies], true_error.ravel()[varies]
    check_error_honest(means, errors, true, true_error)
    with caught("squared z of ensemble means"):  # every cell counted twice
        check_error_honest(means, errors / np.sqrt(2.0), true, true_error)
    with caught("mean of ensemble means"):  # a mean that is off by one percent
        check_error_honest(1.01 * means, errors, true, true_error)


@pytest.mark.statistical
@pytest.mark.parametrize("layers", [{}, {"splicing_half_life": 0.4, "size_sigma": 0.3}], ids=["plain", "layers"])
def test_averaging_out_a_genes_own_noise_leaves_its_mean(layers: dict[str, float]) -> None:
    screen = make_screen("crispri")
    model = screen.model
    if layers:
        model = dataclasses.replace(
            model,
            splicing_half_life=np.full(model.mean.size, layers["splicing_half_life"]),
            size_sigma=layers["size_sigma"],
        )
    engine, n_cells = Langevin(model, step_hours=2.0), 100_000
    cells, key = np.arange(n_cells, dtype=np.int64), kernel_key(61, Purpose.TRUTH)

    def run(effects: CellEffects) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        state = engine.start(cells, key=key, expected=True)
        engine.advance(state, effects, signals=np.zeros(0), time=0.0, hours=60.0, key=key, cells=cells)
        return engine.observe(state).intensity.astype(np.float64), engine.expectation(state).astype(np.float64)

    guided, expected = run(CellEffects.of(0, 0.4, n_cells=n_cells))
    check_same_mean(guided, expected)
    # what it is for; cells of several sizes go on differing by them
    assert (expected.var(axis=0) < (0.9 if layers else 0.7) * guided.var(axis=0)).all()
    with caught("mean of intensity less expected"):  # production of the wild type, whatever the guide
        check_same_mean(guided, run(CellEffects.none(n_cells))[1])
    with caught("mean of intensity less expected"):  # the mean field in place of the mean: noise shifts it
        check_same_mean(guided, np.broadcast_to(screen.model.mean, guided.shape))
