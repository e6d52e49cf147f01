"""The theory against itself: each formula of `simcell.theory` against a derivation of its own in the certificate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simcell import theory
from simcell.theory.examples import self_repressing_gene
from verification.comparison import Comparison, compare_exactly
from verification.count_laws import count_law, dividing_law, telegraph_law
from verification.law import Law
from verification.laws.linear import lyapunov
from verification.laws.linear import make_world as linear_world
from verification.moments import MRNA, PROTEIN, UNSPLICED, Gene, after, dividing
from verification.worlds import lone_genes

TOLERANCE, BECAUSE = 1e-6, "numerical integration on both sides"
MEAN, BURST, LATER = 20.0, 6.0, 4.0
COUNTS = np.arange(200)
TRANSCRIPTS = [UNSPLICED, MRNA]
PRODUCTS = [MRNA, PROTEIN]


def check(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    yield from _counts()
    yield from _noise()
    yield from _layers()
    yield from _networks()


def _same(
    quantity: str, expected: ArrayLike, measured: ArrayLike, *, tolerance: float = TOLERANCE, because: str = BECAUSE
) -> Comparison:
    return compare_exactly(
        quantity,
        parameter="simcell.theory against the certificate's own derivation",
        expected=expected,
        measured=measured,
        tolerance=tolerance,
        because=because,
    )


def _counts() -> Iterator[Comparison]:
    """Laws of counts: chances of at most so many molecules."""
    for promoter in ("poisson", "bursty"):
        model = lone_genes(mean=MEAN, burst_size=BURST, promoter=promoter)
        gene, decay = Gene.of(model, 0), float(model.decay[0])
        burst = BURST if promoter == "bursty" else 0.0
        settings: dict[str, Any] = {"burst": burst, "decay": decay}
        found = theory.transient_count_law(np.inf, target=MEAN, **settings)
        yield _same(f"{promoter}: stationary counts", count_law(gene, largest=2000).cdf(COUNTS), found.cdf(COUNTS))
        later = count_law(gene, largest=2000, transcription=lambda age: np.where(age < LATER, 0.3, 1.0), breaks=[LATER])
        found = theory.transient_count_law(LATER, start_mean=MEAN, target=0.3 * MEAN, **settings)
        yield _same(f"{promoter}: counts after a step", later.cdf(COUNTS), found.cdf(COUNTS))
    model = lone_genes(mean=MEAN, burst_size=40.0, promoter="telegraph", activity=0.5)
    gene = Gene.of(model, 0)
    found = theory.telegraph_law(
        activity=gene.activity, switching_rate=gene.switching, production=gene.rate / gene.activity, decay=gene.decay
    )
    yield _same("telegraph: stationary counts", telegraph_law(gene, largest=600).cdf(COUNTS), found.cdf(COUNTS))


def _noise() -> Iterator[Comparison]:
    """Covariances and relaxation of mRNA and protein."""
    for promoter in ("poisson", "bursty", "telegraph"):
        model = lone_genes(mean=MEAN, burst_size=BURST, promoter=promoter)
        gene = Gene.of(model, 0)
        covariance = gene.stationary()[1][np.ix_(PRODUCTS, PRODUCTS)]
        settings: dict[str, Any] = {
            "mean": MEAN,
            "decay": gene.decay,
            "protein_mean": float(model.protein_mean[0]),
            "protein_decay": gene.protein_decay,
        }
        if promoter == "telegraph":
            switching = {"activity": gene.activity, "switching_rate": gene.switching}
            found = theory.telegraph_two_stage_covariance(**settings, **switching)
        else:
            found = theory.two_stage_covariance(**settings, burst=BURST if promoter == "bursty" else 0.0)
        yield _same(f"{promoter}: covariance of mRNA and protein", covariance, found)
    gene, times = Gene.of(lone_genes(mean=MEAN), 0), np.array([2.0, 10.0])
    protein = after(gene, times, transcription=lambda time: 0.2)[0][:, PROTEIN] / gene.stationary()[0][PROTEIN]
    found = theory.two_stage_relaxation(times, start=1.0, target=0.2, first=gene.decay, second=gene.protein_decay)
    yield _same("protein after a step of transcription", protein, found)


def _layers() -> Iterator[Comparison]:
    """Splicing and division."""
    model = lone_genes(mean=MEAN, burst_size=BURST, splicing_half_life=1.0, doubling_time=24.0)
    gene = Gene.of(model, 0)
    mean, covariance = theory.splicing_moments(
        production=gene.rate, splicing_rate=gene.splicing, decay=gene.decay, growth=gene.growth, burst=BURST
    )
    exact = gene.stationary()
    expected = np.concatenate([exact[0][TRANSCRIPTS], exact[1][np.ix_(TRANSCRIPTS, TRANSCRIPTS)].ravel()])
    yield _same("splicing: means and covariance", expected, np.concatenate([mean, covariance.ravel()]))
    found = theory.spliced_count_law(
        production=gene.rate, splicing_rate=gene.splicing, decay=gene.decay, growth=gene.growth, burst=BURST
    )
    yield _same("splicing: spliced counts", count_law(gene, largest=2000).cdf(COUNTS), found.cdf(COUNTS))
    model = lone_genes(mean=MEAN, burst_size=BURST, division=True, doubling_time=12.0)
    gene = Gene.of(model, 0, dividing=True)
    pooled, covariance, _, _ = dividing(gene, 12.0)
    lineage = theory.lineage(model, 0)
    expected = np.concatenate([pooled[PRODUCTS], covariance[np.ix_(PRODUCTS, PRODUCTS)].ravel()])
    measured = np.concatenate([lineage.phase_mean, lineage.phase_covariance.ravel()])
    phases: dict[str, Any] = {"tolerance": 1e-4, "because": "the certificate averages over 400 equal phases"}
    yield _same("division: means and covariance", expected, measured, **phases)
    law = theory.divided_count_law(production=gene.rate, degradation=gene.decay, interval=12.0, burst=BURST)
    own = dividing_law(gene, 12.0, largest=2000)
    yield _same("division: counts", own.cdf(COUNTS), law.cdf(COUNTS), **phases)


def _networks() -> Iterator[Comparison]:
    """The linear noise approximation and the master equation, where other ways lead to the same."""
    model = linear_world()
    noise = theory.linear_noise(model)
    kept = np.concatenate([noise.index("mrna"), noise.index("protein")])
    scale = np.concatenate([model.mean, model.protein_mean])
    measured = noise.covariance[np.ix_(kept, kept)] / np.outer(scale, scale)
    yield _same("covariance of a linear network", lyapunov(model, latent=False), measured)
    yield _same("the same of intensities", lyapunov(model, latent=True), theory.linear_covariance(model))
    lone = self_repressing_gene(fold=1.0)
    space = theory.state_space(lone, mrna=60, protein=160)
    mean, covariance = theory.count_moments(space, theory.stationary(space).chance)
    exact = Gene.of(lone, 0).stationary()
    expected = np.concatenate([exact[0][PRODUCTS], exact[1][np.ix_(PRODUCTS, PRODUCTS)].ravel()])
    measured = np.concatenate([mean, covariance.ravel()])
    yield _same(
        "moments by the master equation",
        expected,
        measured,
        tolerance=1e-4,
        because="states beyond the largest are missing",
    )


LAW = Law(
    name="theory",
    statement="Each formula that engines are held to is derived twice, in simcell.theory and in the certificate: from "
    "moment equations, generating functions, Lyapunov and master equations.",
    source="as named in simcell.theory",
    engines=("theory",),
    check=check,
    cells=1,
    few=1,
)
