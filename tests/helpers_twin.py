"""A plain twin of the engines that count molecules: Gillespie's direct method, every reaction event by event.

In: a `CellModel`, where cells begin, one step-like guide. Out: molecules of each cell at some hours. It shares no code
with the kernels: rates are written out from the words of docs/model.md, and random numbers come from numpy.

Source: Gillespie, J. Phys. Chem. 81 (1977), doi:10.1021/j100540a008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simcell.cell import CellModel

FORMS = ("thermodynamic", "hill_sum", "logistic", "linear")
PROMOTERS = ("poisson", "bursty", "telegraph")
# places of the counts of a gene in one cell; proteins of regulators follow
ON, UNSPLICED, MRNA = 0, 1, 2


def simulate_twin(
    model: CellModel,
    *,
    hours: float,
    n_cells: int,
    rng: np.random.Generator,
    mrna: NDArray[Any],
    protein: NDArray[Any],
    guide: tuple[int, float, float, float] = (-1, 1.0, 1.0, 0.0),
) -> dict[str, NDArray[np.int64]]:
    """Return molecules by name, (n_cells, G) or (n_cells, R), after some hours.

    Args:
        mrna, protein: (G,), (R,) of every cell at the start; there are no unspliced transcripts, promoters are off.
        guide: gene, factors of transcription and of translation, hours at which both set in, at once.
    """
    network, edges = model.network, model.edges
    spliced = model.splicing_half_life is not None
    size = np.exp(model.size_sigma * rng.standard_normal(n_cells) - 0.5 * model.size_sigma**2)
    phase = rng.random(n_cells) * model.doubling_time if model.division else np.full(n_cells, np.inf)
    genes, proteins = _twin(
        rng,
        hours,
        size,
        phase,
        float(model.doubling_time),
        np.asarray(mrna),
        np.asarray(protein),
        FORMS.index(model.regulation.name),
        PROMOTERS.index(model.promoter),
        edges.pointer,
        edges.source,
        model.strength,
        edges.affinity,
        model.hill,
        model.basal,
        model.reference,
        network.regulators,
        1.0 / model.protein_mean,
        model.max_rate,
        model.burst_size,
        model.switching_rate if model.promoter == "telegraph" else np.zeros(network.n_genes),
        model.splicing_rate if spliced else np.zeros(network.n_genes),
        0.0 if model.division else model.growth,
        model.degradation if model.division else model.decay,
        model.translation_rate,
        model.protein_degradation if model.division else model.protein_decay,
        *guide,
    )
    return {
        "promoter": genes[:, :, ON],
        "unspliced": genes[:, :, UNSPLICED],
        "mrna": genes[:, :, MRNA],
        "protein": proteins,
    }


def standard_errors_apart(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Return by how many standard errors the means, variances and covariances of two samples (N, D) differ."""
    moments, squares = [], []
    first, second = np.triu_indices(one.shape[1])
    for sample in (one.astype(np.float64), other.astype(np.float64)):
        away = sample - sample.mean(axis=0)
        terms = np.concatenate([sample, away[:, first] * away[:, second]], axis=1)
        moments.append(terms.mean(axis=0))
        squares.append(terms.var(axis=0) / terms.shape[0])
    return np.abs(moments[0] - moments[1]) / np.sqrt(squares[0] + squares[1] + 1e-300)


@njit(cache=True)
def _activity(form, gene, pointer, source, strength, affinity, hill, basal, levels):
    edges = range(pointer[gene], pointer[gene + 1])
    if form == 0:
        odds = basal[gene]
        for e in edges:
            x = affinity[e] * levels[source[e]] ** hill[source[e]]
            odds *= (1.0 + strength[e] * x) / (1.0 + x)
        return odds / (1.0 + odds)
    total = basal[gene]
    for e in edges:
        if form == 1:
            x = affinity[e] * levels[source[e]] ** hill[source[e]]
            total += strength[e] * x / (1.0 + x) if strength[e] > 0.0 else -strength[e] / (1.0 + x)
        else:
            total += strength[e] * levels[source[e]]
    if form == 2:
        return 1.0 / (1.0 + np.exp(-total))
    return max(0.0, total) if form == 3 else total


@njit(cache=True)
def _twin(
    rng, hours, sizes, phases, cycle, mrna, protein, form, promoter, pointer, source, strength, affinity, hill, basal,
    reference, regulators, level_of_one, max_rate, burst, redraw, splicing, unspliced_loss, loss, translation,
    protein_loss, guided, transcription_factor, translation_factor, onset,
):  # fmt: skip
    n_genes, n_regulators, n_cells = mrna.size, protein.size, sizes.size
    genes = np.zeros((n_cells, n_genes, 3), np.int64)
    proteins = np.zeros((n_cells, n_regulators), np.int64)
    rate = np.zeros(6 * n_genes + 2 * n_regulators)
    levels = np.zeros(n_regulators + reference.size)
    levels[n_regulators:] = reference
    for cell in range(n_cells):
        count, number, size = genes[cell], proteins[cell], sizes[cell]
        count[:, MRNA], number[:] = mrna, protein
        time, division = 0.0, phases[cell]
        while time < hours:
            factor, factor_protein = np.ones(n_genes), np.ones(n_regulators)
            if guided >= 0 and time >= onset:
                factor[guided] = transcription_factor
                factor_protein[regulators == guided] = translation_factor
            for r in range(n_regulators):
                levels[r] = number[r] * level_of_one[r] / size
            for g in range(n_genes):
                active = _activity(form, g, pointer, source, strength, affinity, hill, basal, levels)
                made = size * max_rate[g] * factor[g]
                rate[6 * g] = made * active / burst[g] if promoter == 1 else 0.0
                rate[6 * g] = made * active if promoter == 0 else rate[6 * g]
                rate[6 * g + 1] = redraw[g] * active  # drawn anew, and on
                rate[6 * g + 2] = redraw[g] * (1.0 - active)
                rate[6 * g] = made * count[g, ON] if promoter == 2 else rate[6 * g]
                rate[6 * g + 3] = splicing[g] * count[g, UNSPLICED]
                rate[6 * g + 4] = unspliced_loss * count[g, UNSPLICED]
                rate[6 * g + 5] = loss[g] * count[g, MRNA]
            for r in range(n_regulators):
                rate[6 * n_genes + 2 * r] = translation[r] * factor_protein[r] * count[regulators[r], MRNA]
                rate[6 * n_genes + 2 * r + 1] = protein_loss[r] * number[r]
            total = rate.sum()
            next_time = time + rng.exponential() / total
            # rates change when the guide sets in: what was drawn for later is forgotten, and drawn anew from there
            stop = min(hours, division)
            if guided >= 0 and time < onset:
                stop = min(stop, onset)
            if next_time > stop:
                time = stop
                if time == division:
                    division += cycle
                    for g in range(n_genes):
                        count[g, UNSPLICED] = rng.binomial(count[g, UNSPLICED], 0.5)
                        count[g, MRNA] = rng.binomial(count[g, MRNA], 0.5)
                    for r in range(n_regulators):
                        number[r] = rng.binomial(number[r], 0.5)
                continue
            time = next_time
            mark, chosen = rng.random() * total, 0
            while mark >= rate[chosen]:
                mark -= rate[chosen]
                chosen += 1
            if chosen >= 6 * n_genes:
                r, down = divmod(chosen - 6 * n_genes, 2)
                number[r] += -1 if down else 1
                continue
            g, kind = divmod(chosen, 6)
            if kind == 0:
                new = rng.geometric(1.0 / (1.0 + burst[g])) - 1 if promoter == 1 else 1
                count[g, UNSPLICED if splicing[g] > 0.0 else MRNA] += new
            elif kind == 1 or kind == 2:
                count[g, ON] = 1 if kind == 1 else 0
            elif kind == 3:
                count[g, UNSPLICED] -= 1
                count[g, MRNA] += 1
            elif kind == 4:
                count[g, UNSPLICED] -= 1
            else:
                count[g, MRNA] -= 1
    return genes, proteins
