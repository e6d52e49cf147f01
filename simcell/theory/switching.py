"""Circuits with several states: fixed points of a cell model, and the modes and switching times of a toggle switch.

In: a `CellModel`. Out: fixed points with their stability; for two genes, the peaks of the exact stationary law and the
mean time from one to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcell.cell import CellModel
from simcell.errors import SimcellError, SpecError
from simcell.theory.master_equation import FirstPassage, Stationary, first_passage, stationary
from simcell.theory.mean_field import mean_field
from simcell.theory.state_space import Counts, StateSpace, state_space

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """A fixed point of the rate equations. R regulators, n amounts.

    Attributes:
        levels: (R,) of proteins over their wild-type means. amounts: (n,) molecules, in the order of `MeanField.kind`.
        eigenvalues: (n,) of the Jacobian, per hour, the largest real part first.
    """

    levels: Array
    amounts: Array
    eigenvalues: NDArray[np.complex128]

    @property
    def stable(self) -> bool:
        """Whether the fixed point attracts its neighbourhood."""
        return bool(self.eigenvalues[0].real < 0.0)


def fixed_points(model: CellModel, *, n_starts: int = 200, **conditions: ArrayLike) -> tuple[FixedPoint, ...]:
    """Return the fixed points that are found from many starting levels, by ascending level of the first regulator.

    Args:
        n_starts: log-uniform starts from 0.001 to 100 times the wild-type level, besides the wild type itself; the same
            at every call. Many more starts than fixed points: one is missed only if few starts lead to it.
        conditions: transcription, translation, medium, as in `mean_field`.

    Source: Gardner, Cantor & Collins, Nature 403 (2000), doi:10.1038/35002131, for stability of a toggle switch.
    """
    field = mean_field(model, **conditions)  # type: ignore[arg-type]
    n_regulators = model.network.n_regulators
    starts = np.exp(np.random.default_rng(1).uniform(np.log(1e-3), np.log(100.0), (n_starts, n_regulators)))
    found: list[FixedPoint] = []
    for start in [np.ones(n_regulators), *starts]:
        try:
            x = field.fixed_point(start)
        except SimcellError:
            continue
        levels = x[field.at("protein")] / model.protein_mean
        if not any(np.allclose(levels, other.levels, rtol=1e-5, atol=1e-9) for other in found):
            values = np.linalg.eigvals(field.jacobian(x)).astype(np.complex128)
            found.append(FixedPoint(levels, x, values[np.argsort(-values.real)]))
    return tuple(sorted(found, key=lambda point: float(point.levels[0])))


@dataclass(frozen=True, eq=False)
class Toggle:
    """The modes of a toggle switch of two genes and how long it stays in them; make it with `toggle`.

    Attributes:
        space: the states. law: their stationary law.
        peaks: ((A, B), ...) protein numbers at the local maxima of the law of both proteins, largest first.
        peak_chance: chance of each peak's protein numbers.
        fixed_points: of the rate equations.
        to_second: mean first passage, from every state, to the peak with more of the second protein; to_first: back.
        start_first, start_second: numbers of the states at the two peaks, mRNA at its most likely there.
    """

    space: StateSpace
    law: Stationary
    peaks: tuple[tuple[int, int], ...]
    peak_chance: tuple[float, ...]
    fixed_points: tuple[FixedPoint, ...]
    to_second: FirstPassage
    to_first: FirstPassage
    start_first: int
    start_second: int

    @property
    def switching_hours(self) -> tuple[float, float]:
        """Mean hours from the peak with more of the first protein to the other peak's region, and back."""
        return float(self.to_second.hours[self.start_first]), float(self.to_first.hours[self.start_second])


def toggle(
    model: CellModel,
    *,
    mrna: ArrayLike,
    protein: ArrayLike,
    keep: Callable[[Counts], NDArray[np.bool_]] | None = None,
    unspliced: ArrayLike | None = None,
) -> Toggle:
    """Return the two modes of two regulators that repress each other, and the mean times between them.

    A mode's region is all states with at least as much of the peak's abundant protein, and at most as much of the
    scarce one, as at the peak.

    Args:
        mrna, protein, unspliced, keep: the states to hold, as in `state_space`.

    Raises:
        SpecError: for a model of other than two regulators, or whose stationary law has not just two peaks.

    Source: Gardner, Cantor & Collins (2000); switching as first passage in the master equation: Walczak, Onuchic &
    Wolynes, Proc. Natl. Acad. Sci. 102 (2005), PMC1323203.
    """
    if model.network.n_regulators != 2 or model.network.n_genes != 2:
        raise SpecError("network", f"{model.network.n_regulators} regulators", "two genes, both of them regulators")
    space = state_space(model, mrna=mrna, protein=protein, keep=keep, unspliced=unspliced)
    law = stationary(space)
    peaks, chances = protein_peaks(space, law.chance)
    if len(peaks) != 2:
        raise SpecError("cell", f"with {len(peaks)} peaks of its stationary law", "a toggle switch, which has two")
    first, second = sorted(peaks, key=lambda peak: peak[1] - peak[0])
    a, b = space.counts.of("protein", 0), space.counts.of("protein", 1)
    return Toggle(
        space=space,
        law=law,
        peaks=peaks,
        peak_chance=chances,
        fixed_points=fixed_points(model),
        to_second=first_passage(space, (b >= second[1]) & (a <= second[0])),
        to_first=first_passage(space, (a >= first[0]) & (b <= first[1])),
        start_first=_likeliest(law.chance, (a == first[0]) & (b == first[1])),
        start_second=_likeliest(law.chance, (a == second[0]) & (b == second[1])),
    )


def protein_peaks(
    space: StateSpace, chance: Array, *, least: float = 1e-3
) -> tuple[tuple[tuple[int, int], ...], tuple[float, ...]]:
    """Return the local maxima ((A, B), ...) of the law of two genes' proteins, and their chances, largest first.

    A maximum is among its eight neighbours; those below `least` of the largest chance are left out.
    """
    extent = [space.shape[space.counts.axis("protein", gene)] for gene in (0, 1)]
    law = np.zeros(extent)
    np.add.at(law, (space.counts.of("protein", 0), space.counts.of("protein", 1)), chance)
    padded = np.pad(law, 1, constant_values=-1.0)
    around = [
        padded[1 + i : 1 + i + extent[0], 1 + j : 1 + j + extent[1]]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if (i, j) != (0, 0)
    ]
    top = np.all([law > other for other in around], axis=0) & (law > least * law.max())
    found = sorted(((float(law[a, b]), (int(a), int(b))) for a, b in np.argwhere(top)), reverse=True)
    return tuple(peak for _, peak in found), tuple(value for value, _ in found)


def _likeliest(chance: Array, among: NDArray[np.bool_]) -> int:
    """Return the number of the likeliest state of some."""
    return int(np.argmax(np.where(among, chance, -1.0)))
