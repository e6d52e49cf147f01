"""A guide library: guides, the constructs that carry them, and what they do to the cells that receive them.

In: targets, numbers of guides and combinations (from a specification or by hand). Out: a frozen `GuideLibrary`, which
says how often each construct is drawn, in which states a construct's cells can be, and the effects in given cells.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simcell.effects import NOTHING, CellEffects
from simcell.errors import SpecError
from simcell.labels import CONTROL, perturbation_label
from simcell.modalities import DEFAULT_FOLD, MODALITIES, GeneState, Modality
from simcell.network import Network
from simcell.random import Purpose, stream
from simcell.spec.library import Combinations, LibrarySpec, SampledTargets

NON_TARGETING = -1


@dataclass(frozen=True, eq=False)
class GuideLibrary:
    """N guides in C constructs.

    Attributes:
        names: (N,) of the guides. target: (N,) gene index, or -1. efficacy: (N,) in [0, 1]; 0 for non-targeting.
        constructs: the guides that each construct carries, as numbers; one construct's guides enter a cell together.
        weight: (C,) probability that a cell's construct is this one.
        fold: of CRISPRa at efficacy 1. lag_hours, time_constant_hours: onset after transduction.
    """

    genes: tuple[str, ...]
    modality: Modality
    names: tuple[str, ...]
    target: NDArray[np.int32]
    efficacy: NDArray[np.float64]
    constructs: tuple[tuple[int, ...], ...]
    weight: NDArray[np.float64]
    fold: float
    lag_hours: float
    time_constant_hours: float

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """(C,) the perturbation of each construct."""
        return tuple(self.label(construct) for construct in self.constructs)

    @cached_property
    def perturbations(self) -> tuple[str, ...]:
        """All planned perturbations, control first, then singles, doubles, ... in alphabetical order."""
        return tuple(sorted(set(self.labels), key=lambda label: (label != CONTROL, label.count("+"), label)))

    def label(self, guides: Sequence[int]) -> str:
        """Return the perturbation that a set of guides makes."""
        return perturbation_label(self.genes[self.target[guide]] for guide in guides if self.target[guide] >= 0)

    def states(self, guide: int) -> tuple[GeneState, ...]:
        """Return the states in which a cell with this guide can be."""
        return self.modality.states(float(self.efficacy[guide]), self.fold)

    def effects(self, guides: NDArray[np.int32], *, uniform: NDArray[np.float64], transduced_at: float) -> CellEffects:
        """Return what the guides do to cells.

        Args:
            guides: (N, K) guides of each cell, -1 where it has fewer.
            uniform: (N, K) in (0, 1), by which each guide's state is chosen.
            transduced_at: hours of the protocol.
        """
        states = [self.states(guide) for guide in range(len(self.names))]
        most = max(len(each) for each in states)
        # a guide with fewer states than another repeats its last one, which is then never passed
        padded = [each + (each[-1],) * (most - len(each)) for each in states]
        limit = np.cumsum([[state.probability for state in each] for each in padded], axis=1)
        transcription = np.array([[state.transcription for state in each] for each in padded])
        translation = np.array([[state.translation for state in each] for each in padded])
        which = (uniform[..., None] > limit[guides][..., :-1]).sum(axis=-1)
        gene = np.where(guides >= 0, self.target[guides], NOTHING).astype(np.int32)
        acts = gene >= 0
        start = np.full(gene.shape, transduced_at + self.lag_hours)
        return CellEffects(
            gene=gene,
            transcription=np.where(acts, transcription[guides, which], 1.0),
            translation=np.where(acts, translation[guides, which], 1.0),
            start=start,
            constant=np.full(gene.shape, self.time_constant_hours),
        )

    def combined_states(self, construct: int, *, transduced_at: float) -> tuple[NDArray[np.float64], CellEffects]:
        """Return the probabilities (M,) of all states of a construct's cells, and those states as M cells."""
        guides = [guide for guide in self.constructs[construct] if self.target[guide] >= 0]
        if not guides:
            return np.ones(1), CellEffects.none(1)
        options = list(itertools.product(*(self.states(guide) for guide in guides)))
        shape = (len(options), len(guides))
        return np.array([math.prod(state.probability for state in option) for option in options]), CellEffects(
            gene=np.tile(self.target[guides], (len(options), 1)),
            transcription=np.array([[state.transcription for state in option] for option in options]),
            translation=np.array([[state.translation for state in option] for option in options]),
            start=np.full(shape, transduced_at + self.lag_hours),
            constant=np.full(shape, self.time_constant_hours),
        )


def draw_library(network: Network, spec: LibrarySpec | None = None, *, seed: int = 0) -> GuideLibrary:
    """Return a guide library on the genes of a network, its targets, efficacies and combinations drawn by seed.

    Raises:
        SpecError: a target that is not in the network, more targets or combinations than there are.
    """
    spec = spec or LibrarySpec()
    targets = _targets(network, spec, seed)
    modality = MODALITIES[spec.modality]
    mean = modality.efficacy if spec.efficacy is None else spec.efficacy.mean
    concentration = modality.concentration if spec.efficacy is None else spec.efficacy.concentration
    combinations = [_combine(network, targets, number, one, seed) for number, one in enumerate(spec.combinations)]
    sets: list[tuple[int, ...]] = [(gene,) for gene in targets] if spec.singles else []
    # two entries may name the same combination; it is made once
    sets += list(dict.fromkeys(genes for one in combinations for genes in one))
    guided = sorted({gene for genes in sets for gene in genes})
    each = spec.guides_per_target
    target = np.concatenate([np.repeat(guided, each), np.full(spec.non_targeting, NON_TARGETING)]).astype(np.int32)
    names = [f"{network.genes[gene]}_g{number + 1}" for gene in guided for number in range(each)]
    names += [f"nt_g{number + 1}" for number in range(spec.non_targeting)]
    efficacy = np.zeros(target.size)
    n_targeting = len(guided) * each
    if concentration is None or mean in (0.0, 1.0):
        efficacy[:n_targeting] = mean
    else:
        generator = stream(seed, Purpose.GUIDES, 1)
        efficacy[:n_targeting] = generator.beta(mean * concentration, (1.0 - mean) * concentration, n_targeting)
    first = {gene: number * each for number, gene in enumerate(guided)}
    # the k-th construct of a combination carries the k-th guide of every gene in it
    constructs = [tuple(first[gene] + number for gene in genes) for genes in sets for number in range(each)]
    constructs += [(guide,) for guide in range(n_targeting, target.size)]
    share = (1.0 - spec.control_fraction) / (len(sets) * each)
    weight = np.full(len(constructs), share)
    weight[-spec.non_targeting :] = spec.control_fraction / spec.non_targeting
    return GuideLibrary(
        genes=network.genes,
        modality=modality,
        names=tuple(names),
        target=target,
        efficacy=efficacy,
        constructs=tuple(constructs),
        weight=weight,
        fold=DEFAULT_FOLD if spec.fold is None else spec.fold,
        lag_hours=modality.lag_hours if spec.onset is None else spec.onset.lag_hours,
        time_constant_hours=modality.time_constant_hours if spec.onset is None else spec.onset.time_constant_hours,
    )


def _targets(network: Network, spec: LibrarySpec, seed: int) -> list[int]:
    """Return the gene numbers of the library's targets, in the order of the network."""
    choice = spec.targets
    if choice == "all":
        return list(range(network.n_genes))
    if choice == "regulators":
        return network.regulators.tolist()
    if isinstance(choice, SampledTargets):
        pool = network.regulators if choice.among == "regulators" else np.arange(network.n_genes)
        if choice.count > pool.size:
            raise SpecError("library.targets.count", choice.count, f"<= {pool.size}, the genes to choose from")
        return sorted(stream(seed, Purpose.GUIDES, 0).choice(pool, choice.count, replace=False).tolist())
    return sorted(_gene(network, name, f"library.targets[{number}]") for number, name in enumerate(choice))


def _gene(network: Network, name: str, field: str) -> int:
    """Return the number of a gene; where it is not in the network, say which field named it."""
    try:
        return network.index(name)
    except SpecError as error:
        raise SpecError(field, name, error.allowed) from None


def _combine(network: Network, targets: list[int], number: int, spec: Combinations, seed: int) -> list[tuple[int, ...]]:
    """Return the gene sets of one combination entry, all or a sample, each sorted."""
    field = f"library.combinations[{number}]"
    pool = targets
    if not isinstance(spec.among, str):
        pool = sorted({_gene(network, name, f"{field}.among[{i}]") for i, name in enumerate(spec.among)})
    possible = math.comb(len(pool), spec.order)
    if spec.count == "all":
        if possible == 0:
            raise SpecError(f"{field}.order", spec.order, f"<= {len(pool)}, the genes to combine")
        if possible > 1_000_000:
            raise SpecError(f"{field}.count", "all", f"few enough: {possible} combinations; give a number")
        return list(itertools.combinations(pool, spec.order))
    if spec.count > possible:
        raise SpecError(f"{field}.count", spec.count, f"<= {possible}, the combinations that there are")
    generator = stream(seed, Purpose.GUIDES, 2, number)
    if possible <= 4 * spec.count:
        every = list(itertools.combinations(pool, spec.order))
        return [every[i] for i in sorted(generator.choice(possible, spec.count, replace=False).tolist())]
    found: set[tuple[int, ...]] = set()
    while len(found) < spec.count:
        found.add(tuple(sorted(generator.choice(pool, spec.order, replace=False).tolist())))
    return sorted(found)
