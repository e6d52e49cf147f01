"""How far the approximate engines may be from the exact laws, with the reason and the formula: one place for all laws.

In: an engine's name and a model or a gene. Out: an `Allowance`: a relative size and why. `ssa` is exact and has none;
`ode` has no noise and is held to its own tolerance. Nothing here is fitted to what an engine does: each formula is of
the scheme itself, at the step that the engine chooses, and a difference beyond it is a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_continuous_lyapunov

from simcell import CellModel, theory
from simcell.engines import ENGINES
from simcell.engines.langevin import make_plan
from simcell.engines.tau import EPSILON
from verification.count_laws import count_law
from verification.moments import MRNA, UNSPLICED, Gene
from verification.scheme import scheme_law

Array = NDArray[np.float64]
ODE_TOLERANCE = 1e-6
ODE_BECAUSE = "the solver's tolerance is 1e-8, results are kept in float32"


@dataclass(frozen=True)
class Allowance:
    """A relative difference that is allowed beside chance, and why."""

    relative: float
    because: str

    def of(self, scale: ArrayLike) -> dict[str, Any]:
        """Return the options of `compare` for quantities of this size."""
        if self.relative == 0.0:
            return {}
        return {"systematic": self.relative * np.abs(np.asarray(scale, np.float64)), "because": self.because}

    def __add__(self, other: Allowance) -> Allowance:
        """Return the allowance for both reasons."""
        reasons = "; ".join(each.because for each in (self, other) if each.relative > 0.0)
        return Allowance(self.relative + other.relative, reasons)


NONE = Allowance(0.0, "")


def step_of(engine: str, model: CellModel, gene: int | None = None) -> float:
    """Return the step in hours that an engine chooses for a model, or its stride for a gene; infinite without steps."""
    hours = float(ENGINES[engine](model).step_hours)
    if engine == "langevin" and gene is not None:
        hours *= int(make_plan(model, hours).stride[gene])
    return hours


def splitting(engine: str, model: CellModel, *, step: float | None = None) -> Allowance:
    """Return the relative error of proteins, of their mean after a step or of their variance.

    `langevin` moves proteins and mRNA by turns (Strang): (gamma + delta)^2 h^2/12, the leading term of the trapezoid
    rule that this is, for rates delta and gamma of mRNA and protein and a step of h.
    """
    if engine != "langevin":
        return NONE
    h = step_of(engine, model) if step is None else step
    rate = model.decay[model.network.regulators] + model.protein_decay
    return Allowance(float((rate.max() * h) ** 2 / 12.0), f"splitting of steps of {h:.2g} h: (δ + γ)² h²/12")


def moments_of(
    engine: str, model: CellModel, number: int, solve: Callable[[Gene], tuple[Array, Array]]
) -> tuple[Array, Array, Array]:
    """Return the exact mean and covariance of molecules of a gene, and by how much an engine's own covariance differs.

    `langevin` counts mRNA by Poisson draws of its intensity, and gives proteins white noise for what counting molecules
    adds to theirs: the moment equations of what it does are solved beside those of the reactions (`moments.py`).

    Args:
        solve: from the kinetics of a gene to its means (..., 4) and covariances (..., 4, 4).
    """
    mean, covariance = solve(Gene.of(model, number))
    if engine != "langevin":
        return mean, covariance, np.zeros_like(covariance)
    own_mean, own = solve(Gene.of(model, number, latent=True))
    for counted in (UNSPLICED, MRNA):
        own[..., counted, counted] += own_mean[..., counted]
    return mean, covariance, np.abs(own - covariance)


OWN_NOISE = "white noise of proteins in place of that of molecules: difference of both linear equations of moments"


def onset(engine: str, model: CellModel, *, fold: float, constant: float) -> Allowance:
    """Return the error, relative to the wild type, of a mean while a perturbation of `fold` sets in.

    `langevin` takes the mean of the perturbation over each step, whatever its course within: |fold - 1| h^2 (delta +
    1/constant)/(12 constant), the leading term.
    """
    if engine != "langevin":
        return NONE
    h = step_of(engine, model)
    error = abs(fold - 1.0) * h**2 * (float(model.decay.max()) + 1.0 / constant) / (12.0 * constant)
    return Allowance(error, f"a perturbation is averaged over steps of {h:.2g} h: |m - 1| (δ + 1/τ) h²/(12 τ)")


def spliced_share(engine: str, model: CellModel) -> Allowance:
    """Return the relative error of the covariances of unspliced transcripts and mRNA.

    `langevin` draws which share of a step's transcripts is still unspliced, without regard to when in the step they
    came: ((kappa + delta) h)^2/12, as for two stages that are moved by turns.
    """
    if engine != "langevin":
        return NONE
    h = step_of(engine, model)
    rate = float((model.splicing_rate + model.growth + model.decay).max())
    return Allowance((rate * h) ** 2 / 12.0, f"the unspliced share of a step of {h:.2g} h is drawn: ((κ + δ) h)²/12")


def spliced_law_error(engine: str, model: CellModel, gene: Gene) -> Allowance:
    """Return the distance of the law of unspliced transcripts or mRNA from the exact one.

    Of the two stages each has the error of `count_law_error`, and a variance that is off by a share e shifts a CDF by
    0.12 e, the largest value of z phi(z)/2.
    """
    if engine != "langevin" or gene.promoter != "bursty":
        return NONE
    step = step_of(engine, model)
    stages = [replace(gene, decay=decay, splicing=np.inf) for decay in (gene.decay, gene.splicing + gene.growth)]
    worst = max((count_law_error(engine, stage, step=step) for stage in stages), key=lambda each: each.relative)
    variance = spliced_share(engine, model)
    return worst + Allowance(0.12 * variance.relative, variance.because)


def count_law_error(
    engine: str, gene: Gene, *, step: float, factor: float = 1.0, since: float | None = None, empty: bool = False
) -> Allowance:
    """Return the distance of an engine's law of counts from the exact one.

    `langevin` draws what bursts bring to an intensity in a step from a law with the exact mean and variance but not the
    exact shape (Andersen 2008). That law is known, and so is that of the intensity, a sum over past steps: the distance
    is computed, not measured.

    Args:
        step: hours. factor: of transcription, for the last `since` hours. empty: whether cells had no mRNA before.
    """
    if engine != "langevin" or gene.promoter != "bursty":
        return NONE
    mean = gene.rate / gene.decay
    largest = int(mean + 60.0 * (1.0 + gene.burst) + 12.0 * np.sqrt(mean * (1.0 + gene.burst)))
    made = scheme_law(gene, step=step, largest=largest, factor=factor, since=since, empty=empty)
    exact = count_law(
        gene,
        largest=largest,
        transcription=lambda age: np.where(age < (since or np.inf), factor, 1.0),
        breaks=[since] if since else [],
        oldest=since if empty else None,
    )
    distance = float(np.abs(np.cumsum(made.chances) - np.cumsum(exact.chances)).max())
    return Allowance(distance, f"two moments of each step of {step:.2g} h are matched, not its law; distance computed")


def leaping(engine: str, model: CellModel) -> Allowance:
    """Return the relative error of means and variances where promoters sense proteins that change.

    `tau` holds activities in a step at the levels expected in its middle. What it leaves out is the scatter of a level
    around that, with a standard deviation of at most epsilon/sqrt(2) by the leap condition: (n epsilon)^2/4 of an
    activity that goes with the n-th power of a level, the second term of its Taylor series.
    """
    if engine != "tau":
        return NONE
    steepest = float(model.hill[: model.network.n_regulators].max())
    return Allowance((steepest * EPSILON) ** 2 / 4.0, f"levels are foreseen within ε = {EPSILON:g}: (n ε)²/4")


@dataclass(frozen=True)
class OwnNoise:
    """By how much mean (G,), variance (G,) and correlation (G, G) of an engine's mRNA differ for its kind of noise."""

    mean: Array
    variance: Array
    correlation: Array


def network_noise(engine: str, model: CellModel) -> OwnNoise:
    """Return by how much moments of a network differ for the noise that an engine has; 0 but for `langevin`.

    Covariances: the linear noise approximation of the reactions, and that with the noise of `langevin` (`moments_of`).
    Means: the shift that the difference in variance makes through the curvature of the rate equations f, solving
    J shift = - sum of (second derivative of f) * dC / 2.
    """
    n_genes = model.network.n_genes
    if engine != "langevin":
        return OwnNoise(np.zeros(n_genes), np.zeros(n_genes), np.zeros((n_genes, n_genes)))
    full, field = theory.linear_noise(model), theory.mean_field(model)
    x, mrna, protein = full.mean, full.index("mrna"), full.index("protein")
    regulators = model.network.regulators
    noise = np.zeros_like(full.covariance)
    noise[mrna, mrna] = 2.0 * model.decay * model.burst_size * model.mean if model.promoter == "bursty" else 0.0
    gamma, delta = model.protein_decay, model.decay[regulators]
    counting = 1.0 + model.translation_rate / (gamma + delta)
    noise[protein, protein] = 2.0 * gamma * counting * model.protein_mean
    own = solve_continuous_lyapunov(full.jacobian, -noise)
    exact = full.covariance[np.ix_(mrna, mrna)]
    drawn = own[np.ix_(mrna, mrna)] + np.diag(x[mrna])
    values, vectors = np.linalg.eigh((full.covariance - own)[np.ix_(protein, protein)])
    bend = np.zeros_like(x)
    for value, vector in zip(values, vectors.T, strict=True):
        step = np.zeros_like(x)
        step[protein] = 1e-3 * x[protein].min() * vector
        bend += value * (field.drift(x + step) - 2.0 * field.drift(x) + field.drift(x - step)) / (step @ step)
    shift = np.linalg.solve(full.jacobian, -0.5 * bend)[mrna]
    return OwnNoise(np.abs(shift), np.abs(np.diag(drawn - exact)), np.abs(_correlation(drawn) - _correlation(exact)))


def _correlation(covariance: Array) -> Array:
    spread = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(spread, spread))
