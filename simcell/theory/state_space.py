"""The states of a one- or two-gene circuit and the rates between them: what the master equation is made of.

In: a `CellModel` and the largest numbers of molecules to be held. Out: `StateSpace`: one column of counts per state,
and the sparse matrix of rates. Reactions are written out here from the model's parameters, apart from every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array

from simcell.cell import CellModel
from simcell.errors import SpecError

Array = NDArray[np.float64]
MOST_GENES = 2
MOST_STATES = 400_000
LARGEST_BOX = 20_000_000  # states of which `keep` may choose


@dataclass(frozen=True, eq=False)
class Counts:
    """The numbers of molecules, and promoter states, of N states; D amounts.

    Attributes:
        kind: (D,) `promoter`, `unspliced`, `mrna` or `protein`. gene: (D,) index of its gene. value: (D, N).
    """

    kind: tuple[str, ...]
    gene: tuple[int, ...]
    value: NDArray[np.int64]

    def of(self, kind: str, gene: int = 0) -> NDArray[np.int64]:
        """Return one amount (N,) of all states.

        Raises:
            SpecError: if the circuit has no such amount.
        """
        return self.value[self.axis(kind, gene)]

    def axis(self, kind: str, gene: int = 0) -> int:
        """Return the row of one amount."""
        for axis, found in enumerate(zip(self.kind, self.gene, strict=True)):
            if found == (kind, gene):
                return axis
        known = ", ".join(f"{k} {g}" for k, g in zip(self.kind, self.gene, strict=True))
        raise SpecError("amount", f"{kind} {gene}", f"one of this circuit: {known}")


@dataclass(frozen=True, eq=False)
class StateSpace:
    """States that are held, and rates between them; make it with `state_space`. N states, D amounts.

    Attributes:
        counts: of the N states. shape: (D,) states of each amount in the box that holds all of them.
        row: (product of shape,) the number of the state at each place of the box, -1 where none is held.
        rate: (N, N) sparse, per hour: from the state of the row to that of the column.
        leak: (N,) rate at which each state is left for one that is not held, per hour.
    """

    counts: Counts
    shape: tuple[int, ...]
    row: NDArray[np.int32]
    rate: csr_array
    leak: Array

    @property
    def n_states(self) -> int:
        """Number of states, N."""
        return self.leak.size

    @cached_property
    def exit(self) -> Array:
        """(N,) rate at which each state is left, per hour."""
        return np.asarray(self.rate.sum(axis=1)).ravel() + self.leak

    def index(self, counts: Mapping[tuple[str, int], int]) -> int:
        """Return the number of the state with these amounts, 0 where not named.

        Raises:
            SpecError: if it is not held.
        """
        place = np.zeros(len(self.shape), np.int64)
        for (kind, gene), value in counts.items():
            axis = self.counts.axis(kind, gene)
            if not 0 <= value < self.shape[axis]:
                raise SpecError(f"{kind} {gene}", value, f"from 0 to {self.shape[axis] - 1}")
            place[axis] = value
        found = int(self.row[np.ravel_multi_index(tuple(place), self.shape)])
        if found < 0:
            raise SpecError("state", dict(counts), "one that is kept")
        return found


def state_space(
    model: CellModel,
    *,
    mrna: ArrayLike,
    protein: ArrayLike,
    unspliced: ArrayLike | None = None,
    keep: Callable[[Counts], NDArray[np.bool_]] | None = None,
    transcription: ArrayLike = 1.0,
    translation: ArrayLike = 1.0,
    medium: Mapping[str, float] | None = None,
    size: float = 1.0,
) -> StateSpace:
    """Return the states and rates of a circuit of one or two genes.

    Per gene: a promoter that is off or on (telegraph), unspliced transcripts (splicing), mRNA, and protein if it
    regulates a gene. Rates, with activity P at levels q = protein/(size * wild-type mean) and a guide's factors m, n:
    +1 transcript at size v P m (poisson); a burst of k with chance (1 - x) x^k, x = b/(1 + b), at size v P m/b
    (bursty); state drawn anew at k, on with chance P, and +1 at size v m while on (telegraph); first-order splicing
    and loss; +1 protein at translation rate n times mRNA.

    Args:
        mrna: (G,) or one number, most mRNA molecules held. protein: (R,), likewise. unspliced: (G,), with splicing.
        keep: takes the counts (D, N) of all states in the box, returns which to hold; all by default.
        transcription: (G,), translation: (R,) factors of a guide. medium: levels of signals.
        size: the cell's size factor, to which production is proportional.

    Raises:
        SpecError: for more than two genes, more than `MOST_STATES` states, or cells that divide.

    Source: reactions as in docs/model.md; Munsky & Khammash, J. Chem. Phys. 124 (2006), doi:10.1063/1.2145882.
    """
    n_genes, regulators = model.network.n_genes, model.network.regulators.tolist()
    if n_genes > MOST_GENES:
        raise SpecError(
            "network", f"{n_genes} genes", f"a circuit of at most {MOST_GENES}, as states are all written out"
        )
    if model.division:
        raise SpecError("cell.division", True, "allowed here: rates must be constant in time")
    if (unspliced is None) != (model.splicing_half_life is None):
        raise SpecError("unspliced", unspliced, "given exactly where the model has splicing")
    most = {"promoter": np.ones(n_genes), "mrna": mrna, "protein": protein, "unspliced": unspliced}
    axes: list[tuple[str, int, int]] = []
    for gene in range(n_genes):
        for kind in ("promoter", "unspliced", "mrna", "protein"):
            absent = {"promoter": model.promoter != "telegraph", "unspliced": unspliced is None}
            absent["protein"] = gene not in regulators
            if not absent.get(kind, False):
                owners = regulators if kind == "protein" else list(range(n_genes))
                held = np.broadcast_to(np.asarray(most[kind]), (len(owners),))[owners.index(gene)]
                if held < 1:
                    raise SpecError(kind, int(held), "a whole number >= 1")
                axes.append((kind, gene, int(held) + 1))
    kinds, genes, shape = (tuple(part) for part in zip(*axes, strict=True))
    box = int(np.prod([float(extent) for extent in shape]))
    if box > (MOST_STATES if keep is None else LARGEST_BOX):
        allowed = f"at most {MOST_STATES if keep is None else LARGEST_BOX}; lower mrna or protein"
        raise SpecError("states", box, allowed + ("" if keep else f", or keep at most {MOST_STATES} of them"))
    value = np.stack(np.unravel_index(np.arange(box), shape))
    kept = np.ones(box, bool) if keep is None else np.asarray(keep(Counts(kinds, genes, value)), bool)
    if not 0 < kept.sum() <= MOST_STATES:
        raise SpecError("states", int(kept.sum()), f"from 1 to {MOST_STATES}; keep others")
    row = np.full(box, -1, np.int32)
    row[kept] = np.arange(kept.sum())
    counts = Counts(kinds, genes, value[:, kept])
    collected = _Rates(counts.value, shape, row)
    _reactions(
        model,
        counts,
        collected,
        transcription=np.broadcast_to(np.asarray(transcription, float), (n_genes,)),
        translation=np.broadcast_to(np.asarray(translation, float), (len(regulators),)),
        signals=model.signal_levels(medium),
        size=size,
    )
    return StateSpace(counts, shape, row, collected.matrix(), collected.leak)


class _Rates:
    """Collects reactions as entries of a sparse matrix."""

    def __init__(self, value: NDArray[np.int64], shape: tuple[int, ...], row: NDArray[np.int32]) -> None:
        self.value, self.shape, self.row = value, shape, row
        self.leak = np.zeros(value.shape[1])
        self.parts: list[tuple[NDArray, NDArray, Array]] = []

    def add(self, rate: Array, change: Mapping[int, int]) -> None:
        """Add a reaction with a rate (N,) in each state that changes the amounts of some axes."""
        begun = np.flatnonzero(rate > 0.0)
        place = self.value[:, begun].copy()
        for axis, step in change.items():
            place[axis] += step
        inside = np.all([place[axis] < self.shape[axis] for axis in change], axis=0)
        ended = np.full(begun.size, -1, np.int32)
        ended[inside] = self.row[np.ravel_multi_index(tuple(place[:, inside]), self.shape)]
        held = ended >= 0
        self.parts.append((begun[held], ended[held], rate[begun[held]]))
        self.leak[begun[~held]] += rate[begun[~held]]

    def matrix(self) -> csr_array:
        begun, ended, rate = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        n_states = self.leak.size
        return coo_array((rate, (begun, ended)), shape=(n_states, n_states)).tocsr()


def _reactions(
    model: CellModel,
    counts: Counts,
    rates: _Rates,
    *,
    transcription: Array,
    translation: Array,
    signals: Array,
    size: float,
) -> None:
    activity = _activity(model, counts, signals, size)
    regulators = model.network.regulators.tolist()
    for gene in range(model.network.n_genes):
        mrna = counts.axis("mrna", gene)
        spliced = model.splicing_half_life is not None
        first = counts.axis("unspliced", gene) if spliced else mrna
        full = size * float(model.max_rate[gene] * transcription[gene])
        if model.promoter == "telegraph":
            axis, switching = counts.axis("promoter", gene), float(model.switching_rate[gene])
            on = counts.value[axis] == 1
            rates.add(np.where(on, 0.0, switching * activity[gene]), {axis: 1})
            rates.add(np.where(on, switching * (1.0 - activity[gene]), 0.0), {axis: -1})
            rates.add(np.where(on, full, 0.0), {first: 1})
        elif model.promoter == "poisson":
            rates.add(full * activity[gene], {first: 1})
        else:
            burst = float(model.burst_size[gene])
            bursts, more = full * activity[gene] / burst, burst / (1.0 + burst)
            room = rates.shape[first] - 1
            for made in range(1, room + 1):
                rates.add(bursts * (1.0 - more) * more**made, {first: made})
            rates.leak += bursts * more ** (room + 1)  # of all bursts that no state has room for
        if spliced:
            waiting = counts.value[first]
            rates.add(float(model.splicing_rate[gene]) * waiting, {first: -1, mrna: 1})
            rates.add(model.growth * waiting, {first: -1})
        rates.add(float(model.decay[gene]) * counts.value[mrna], {mrna: -1})
        if gene in regulators:
            protein, r = counts.axis("protein", gene), regulators.index(gene)
            made_per_mrna = float(model.translation_rate[r] * translation[r])
            rates.add(made_per_mrna * counts.value[mrna], {protein: 1})
            rates.add(float(model.protein_decay[r]) * counts.value[protein], {protein: -1})


def _activity(model: CellModel, counts: Counts, signals: Array, size: float) -> Array:
    """Return the activity (G, N) of promoters, worked out once for each set of protein numbers."""
    regulators = model.network.regulators.tolist()
    proteins = counts.value[[counts.axis("protein", gene) for gene in regulators]]
    distinct, which = np.unique(proteins, axis=1, return_inverse=True)
    levels = distinct / (size * model.protein_mean[:, None])
    found = [
        model.regulation.activity(model.basal, model.strength, model.edges, np.concatenate([level, signals]))
        for level in levels.T
    ]
    return np.stack(found, axis=1)[:, which.reshape(-1)]
