"""Memory: the autocorrelation of mRNA of a cell at two times, which falls with decay and with the promoter's state."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from verification.comparison import Comparison, Curve, compare
from verification.law import STOCHASTIC, Law, promoters
from verification.moment_checks import correlation
from verification.moments import MRNA, Gene
from verification.worlds import forgotten, lone_genes, simulate

LAGS = np.array([1.0, 3.0, 6.0, 12.0, 24.0])
MEANS = np.array([10.0, 40.0])


def check(engine: str, cells: int, seed: int) -> Iterator[Comparison]:
    for promoter in promoters(engine):
        if promoter == "poisson" and engine == "langevin":
            continue  # an intensity without noise has no correlation
        # a telegraph that switches slowly (bursts of 40) is remembered for longer than its mRNA lives
        burst = {"telegraph": 40.0}.get(promoter, 4.0)
        model = lone_genes(mean=MEANS, promoter=promoter, burst_size=burst, activity=0.5, proteins_per_mrna=0.01)
        times = [0.0, *LAGS.tolist()]
        sample = simulate(model, engine, cells=cells, seed=seed, times=times, burn_in_hours=forgotten(model))
        genes = [Gene.of(model, number, latent=engine == "langevin") for number in range(MEANS.size)]
        covariance = np.stack([gene.autocovariance(LAGS)[:, MRNA, MRNA] for gene in genes], axis=1)
        expected = covariance / np.array([gene.stationary()[1][MRNA, MRNA] for gene in genes])
        found, error = (
            np.stack(rows)
            for rows in zip(*(correlation(sample.latent[0], later) for later in sample.latent[1:]), strict=True)
        )
        what = "intensity" if engine == "langevin" else "mRNA"
        title = f"autocorrelation, {promoter}, mean {MEANS[0]:g}"
        yield compare(
            f"autocorrelation of {what}",
            parameter=f"{promoter} promoters" + f", burst {burst:g}" * (promoter != "poisson"),
            expected=expected,
            measured=found,
            error=error,
            cells=sample.cells,
            names=[[f"mean {mean:g}, lag {lag:g} h" for mean in MEANS] for lag in LAGS],
            curve=Curve(title, LAGS, expected[:, 0], found[:, 0], "lag, hours", "correlation"),
        )


LAW = Law(
    name="autocorrelation",
    statement="mRNA forgets at the rate at which it decays, exp(-δ lag); under a promoter that goes on and off it also "
    "remembers the promoter's state, which is forgotten at the rate of switching.",
    source="the regression theorem: Gardiner, Handbook of Stochastic Methods (1985), section 4.4.4",
    engines=STOCHASTIC,
    check=check,
    cells=50_000,
)
