"""The network on which single molecules are simulated: 20 genes, Hill sums, and its reactions as plain text.

In: how many molecules there are. Out: the cell model, its reactions as any simulator of chemistry takes them, and how
many of them fire per hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simcell import CellModel, calibrate, run_cells
from simcell.generators import erdos_renyi

if TYPE_CHECKING:
    import xarray as xr

GENES, REGULATORS, EDGES_PER_GENE = 20, 0.5, 2
HALF_LIFE, PROTEIN_HALF_LIFE, HILL = 4.0, 24.0, 2.0  # hours, hours
FOLDS = (2.0, 6.0)


@dataclass(frozen=True)
class Reaction:
    """One reaction: what it makes one more (+1) or one less (-1) of, and its rate per hour, of the amounts by name."""

    name: str
    species: str
    change: int
    rate: str


def hill_network(*, mean: float = 20.0, proteins_per_mrna: float = 50.0, seed: int = 0) -> CellModel:
    """Return the cell model: 20 genes, 10 of them regulators, 40 edges; transcripts are made one at a time.

    Args:
        mean: wild-type molecules of each mRNA per cell. proteins_per_mrna: of regulators.
    """
    network = erdos_renyi(GENES, edges_per_gene=EDGES_PER_GENE, regulators=REGULATORS, seed=seed)
    return calibrate(
        network,
        regulation="hill_sum",
        promoter="poisson",
        mean=mean,
        half_life=HALF_LIFE,
        burst_size=1.0,  # of no effect under this promoter
        activity=0.3,  # set by the Hill sums themselves
        fold=np.random.default_rng(seed).uniform(*FOLDS, network.n_edges),
        hill=HILL,
        protein_half_life=PROTEIN_HALF_LIFE,
        proteins_per_mrna=proteins_per_mrna,
    )


def initial_amounts(model: CellModel) -> dict[str, int]:
    """Return wild-type means in whole molecules: mRNA m0, m1, ... of genes, protein p0, p1, ... of regulators."""
    amounts = {f"m{gene}": round(float(mean)) for gene, mean in enumerate(model.mean)}
    return amounts | {f"p{number}": round(float(mean)) for number, mean in enumerate(model.protein_mean)}


def simulate(
    model: CellModel, *, engine: str, cells: int, hours: float, records: int, threads: int, seed: int = 1
) -> xr.Dataset:
    """Return cells that begin with the wild type's means in whole molecules, at `records` even times up to `hours`."""
    mrna, protein = np.split(np.array(list(initial_amounts(model).values())), [model.network.n_genes])
    return run_cells(
        model,
        engine=engine,
        times=np.linspace(0.0, hours, records + 1)[1:].tolist(),
        n_cells=cells,
        initial={"mrna": mrna, "protein": protein},
        seed=seed,
        n_threads=threads,
        progress=False,
    )


def amounts_at_end(data: xr.Dataset) -> NDArray[np.float64]:
    """Return (cells, species) at the last time, species as in `initial_amounts`."""
    last = data.isel(time=-1)
    return np.concatenate([last["mrna"].values, last["protein"].values], axis=1).astype(np.float64)


def reactions(model: CellModel) -> list[Reaction]:
    """Return all reactions of a cell with Hill sums and the promoter `poisson`, without signals, splicing, division."""
    if model.regulation.name != "hill_sum" or model.promoter != "poisson" or model.signals or model.division:
        raise ValueError("only Hill sums, the promoter poisson, no signals and no division are written as reactions")
    found = []
    for gene, decay in enumerate(model.decay):
        mrna = f"m{gene}"
        found.append(Reaction(f"transcription{gene}", mrna, 1, _transcription(model, gene)))
        found.append(Reaction(f"decay{gene}", mrna, -1, f"{_number(decay)}*{mrna}"))
    for number, gene in enumerate(model.network.regulators):
        protein, made = f"p{number}", model.translation_rate[number]
        found.append(Reaction(f"translation{number}", protein, 1, f"{_number(made)}*m{gene}"))
        found.append(Reaction(f"loss{number}", protein, -1, f"{_number(model.protein_decay[number])}*{protein}"))
    return found


def _transcription(model: CellModel, gene: int) -> str:
    """Return max_rate * (basal + sum of k x/(1 + x) or k/(1 + x)), x = affinity (protein/mean)^hill."""
    maximum, edges = model.max_rate[gene], model.edges
    constant, terms = model.basal[gene], []
    for edge in range(edges.pointer[gene], edges.pointer[gene + 1]):
        source, strength = edges.source[edge], model.strength[edge]
        hill = float(model.hill[source])
        # k x/(1 + x) = k - k/(1 + x): one form for both signs, without a division by an amount that may be 0
        constant += max(strength, 0.0)
        scaled = f"({_number(edges.affinity[edge] ** (1.0 / hill) / model.protein_mean[source])}*p{source})"
        power = f"{scaled}*{scaled}" if hill == 2.0 else f"pow({scaled},{_number(hill)})"
        terms.append(f"{'-' if strength > 0 else '+'}{_number(abs(strength) * maximum)}/(1.0+{power})")
    return _number(constant * maximum) + "".join(terms)


def _number(value: float) -> str:
    """Return a number in digits that are read back as the same, without an exponent's sign that a parser may split."""
    return np.format_float_positional(value, unique=True, trim="0")


def events_per_hour(model: CellModel) -> float:
    """Return how many reactions of a cell fire per hour at the wild type's means: each molecule is made and lost."""
    return 2.0 * float((model.decay * model.mean).sum() + (model.protein_decay * model.protein_mean).sum())


def count_events(model: CellModel, *, hours: float, seed: int = 0) -> tuple[int, dict[str, int]]:
    """Return the number of events of one cell, and its amounts, by Gillespie's direct method in a few plain lines.

    Source: Gillespie, J. Phys. Chem. 81 (1977), doi:10.1021/j100540a008.
    """
    generator = np.random.default_rng(seed)
    amounts, everything = initial_amounts(model), reactions(model)
    rates: Callable[..., list[float]] = eval(  # the text is made above, of numbers and names of species
        f"lambda {', '.join(amounts)}: [{', '.join(reaction.rate for reaction in everything)}]", {"pow": math.pow}
    )
    time, events = 0.0, 0
    while True:
        cumulative = np.cumsum(rates(**amounts))
        time += generator.exponential(1.0 / cumulative[-1])
        if time > hours:
            return events, amounts
        fired = everything[int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))]
        amounts[fired.species] += fired.change
        events += 1
