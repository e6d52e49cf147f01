"""From a data set and a split to what a fitter is given and what it is asked: a DataTree in, an `Examination` out.

Counts are read chunk by chunk. Cells whose guide combination was not planned are left out. Only training cells become
`TrainingData`; of the test cells nothing is kept but the pooled profile of each held-out perturbation, for scoring, and
a few cells of each where samples are to be scored.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from experiments.held_out_cells import HeldOutCells, read_cells
from experiments.metrics import CellSpace, Reference, World
from experiments.metrics.cells import MOST_CELLS
from experiments.splits import Split
from experiments.world import true_world
from fitters.contract import Claim, Query
from fitters.experiment import Experiment, Step
from fitters.knowledge import Knowledge
from fitters.training_data import ONE_ARM, TrainingData
from simcell.dataset import iter_counts
from simcell.errors import DataError
from simcell.labels import CONTROL
from simcell.profiles import log_profile
from simcell.schema import get_array, get_group
from simcell.spec import read_mapping


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked about one context (time and medium) of the screen, with the answers that the asker knows.

    Attributes:
        query: Q held-out perturbations of which cells were measured in this context.
        truth: infinite-depth log profiles, with the true control.
        measured: pseudobulk log profiles of the held-out cells, with the control of the training cells.
        cells: held-out cells, some of each perturbation; None where no samples are to be scored.
    """

    query: Query
    truth: Reference
    measured: Reference
    cells: HeldOutCells | None = None

    def query_for(self, claims: Set[Claim]) -> Query:
        """Return the query as it is put to a fitter: one that cannot tell times or media apart is not asked to.

        Its answer, which pools them, is then judged at each of them.
        """
        return replace(
            self.query,
            time=self.query.time if Claim.TIME in claims else None,
            medium=self.query.medium if Claim.MEDIUM in claims else None,
        )


@dataclass(frozen=True, eq=False)
class Examination:
    """One split of one data set: what may be learnt from, what is asked, and what is true of the world."""

    split: Split
    training: TrainingData
    questions: tuple[Question, ...]
    world: World

    @property
    def labels(self) -> tuple[str, ...]:
        """The held-out labels in the order of the predictions: one question after the other."""
        return tuple(label for question in self.questions for label in question.query.labels)

    @cached_property
    def cell_space(self) -> CellSpace:
        """Where sampled and held-out cells are compared; made from the training cells when it is first asked for."""
        return CellSpace.of(self.training.counts)


def conditions(tree: xr.DataTree) -> tuple[str, ...]:
    """Return the labels of which the data hold planned cells with at least one count, sorted."""
    perturbation = _column(tree, "perturbation")
    return tuple(np.unique(perturbation[_usable(tree)]).tolist())


def examine(tree: xr.DataTree, split: Split, *, cells: bool = False, knowledge: Knowledge | None = None) -> Examination:
    """Return the training data and the questions of a split, in one pass over the counts.

    Args:
        tree: the data set.
        split: what is held out.
        cells: whether some held-out cells are kept, to score samples by; this takes a second pass.
        knowledge: what fitters are told beside the cells.

    Raises:
        DataError: the truth lacks a perturbation or a time that was measured.
        TrainingDataError: the training cells are of no use.
    """
    usable = _usable(tree)
    perturbation = _column(tree, "perturbation")
    in_training = usable & np.isin(perturbation, split.train)
    in_test = usable & np.isin(perturbation, split.test)
    contexts = _contexts(tree, usable)
    single = len(contexts) == 1  # then there is nothing to tell apart, and no fitter need claim that it can
    group_labels, group = _groups(tree, contexts, split.test, in_test)
    counts, total = _read(tree, in_training, group, n_groups=len(group_labels))
    training = _training_data(tree, counts, in_training, knowledge)
    most = [MOST_CELLS] * len(group_labels)
    kept = read_cells(tree, group, most=most) if cells else None
    questions = []
    for number, (time, medium) in enumerate(contexts):
        rows = [row for row, (context, _) in enumerate(group_labels) if context == number]
        if not rows:
            continue
        labels = tuple(group_labels[row][1] for row in rows)
        query = Query.of_labels(labels, time=None if single else time, medium=None if single else medium)
        measured = Reference(log_profile(total[rows]), control_profile(training, time=time, medium=medium))
        found = None if kept is None else HeldOutCells(tuple(kept[row] for row in rows))
        questions.append(Question(query, true_profiles(tree, labels, time=time), measured, found))
    return Examination(split, training, tuple(questions), true_world(tree))


def all_cells(tree: xr.DataTree) -> TrainingData:
    """Return the whole screen as training data, for questions that hold nothing out."""
    usable = _usable(tree)
    counts, _ = _read(tree, usable, np.full(usable.size, -1), n_groups=0)
    return _training_data(tree, counts, usable)


def _training_data(
    tree: xr.DataTree, counts: csr_array, chosen: NDArray[np.bool_], knowledge: Knowledge | None = None
) -> TrainingData:
    return TrainingData(
        genes=tuple(get_array(tree, "counts/gene").values.tolist()),
        counts=counts,
        perturbation=_column(tree, "perturbation")[chosen],
        batch=_column(tree, "batch")[chosen],
        medium=_column(tree, "medium")[chosen],
        time=_column(tree, "time")[chosen],
        experiments={ONE_ARM: experiment_of(tree)},
        knowledge=knowledge or Knowledge(),
    )


def experiment_of(tree: xr.DataTree) -> Experiment:
    """Return the protocol and the media of a screen, which its experimenter knows."""
    spec = read_mapping(tree.attrs["spec"])  # resolved: every step and medium stands in it
    steps = tuple(
        Step(step["step"], step.get("medium", ""), step.get("hours", 0.0)) for step in spec.get("protocol", ())
    )
    media = spec.get("media", {})
    return Experiment(steps, media, begins_in=next(iter(media), ""))  # as screens do: see simcell.course


def control_profile(training: TrainingData, *, time: float | None, medium: str | None) -> NDArray[np.float64]:
    """Return the (G,) log profile of the training controls of one context; of all of them if it has none.

    Without a time or a medium, those of all times or media are pooled.
    """
    here = training.perturbation == CONTROL
    if time is not None:
        here &= np.isclose(training.time, time)
    if medium is not None:
        here &= training.medium == medium
    if not here.any():
        return training.control
    return log_profile(training.counts[np.flatnonzero(here)].sum(axis=0))


def true_profiles(tree: xr.DataTree, labels: Sequence[str], *, time: float) -> Reference:
    """Return the true log profiles of some perturbations at one time, with the true control."""
    response = get_group(tree, "truth/response")
    hours = response["time"].values
    if not np.isclose(hours, time).any():
        raise DataError(f"truth/response/time: no time {time:g} h, at which cells were measured")
    at = int(np.abs(hours - time).argmin())
    known = {str(label): row for row, label in enumerate(response["perturbation"].values.tolist())}
    missing = [label for label in (CONTROL, *labels) if label not in known]
    if missing:
        raise DataError(f"truth/response/perturbation: {missing[0]!r} is missing")
    profile = np.asarray(response["log_profile"].isel(time=at).values, dtype=np.float64)
    return Reference(profile[[known[label] for label in labels]], profile[known[CONTROL]])


def pooled_profiles(tree: xr.DataTree, question: Question) -> Reference:
    """Return the pseudobulk log profiles that a data set has for a question, with its own control.

    Perturbations of which it has no cells are rows of NaN.

    Args:
        tree: the data set, of the same genes as the one that the question is about.
        question: perturbations and context.
    """
    labels = (CONTROL, *question.query.labels)
    group = _asked_for(tree, question.query, labels)
    _, total = _read(tree, np.zeros(len(group), dtype=bool), group, n_groups=len(labels))
    profile = log_profile(total)
    profile[total.sum(axis=1) == 0] = np.nan
    return Reference(profile[1:], profile[0])


def cells_like(tree: xr.DataTree, question: Question) -> tuple[csr_array, ...]:
    """Return for each perturbation of a question as many cells of a data set as were held out, or as many as it has."""
    assert question.cells is not None  # a question about cells has some
    group = _asked_for(tree, question.query, question.query.labels)
    return read_cells(tree, group, most=question.cells.n_cells)


def _asked_for(tree: xr.DataTree, query: Query, labels: Sequence[str]) -> NDArray[np.intp]:
    """Return for each cell which of the labels it has, in the context of a query; -1 for all others."""
    usable = _usable(tree)
    if query.time is not None:
        usable &= np.isclose(_column(tree, "time"), query.time)
    if query.medium is not None:
        usable &= _column(tree, "medium") == query.medium
    perturbation = _column(tree, "perturbation")
    group = np.full(len(perturbation), -1, dtype=np.intp)
    for row, label in enumerate(labels):
        group[usable & (perturbation == label)] = row
    return group


def _column(tree: xr.DataTree, name: str) -> NDArray:
    values = get_array(tree, f"cells/{name}").values
    return np.array(values.tolist(), dtype=np.str_) if values.dtype.kind in "TO" else values


def _usable(tree: xr.DataTree) -> NDArray[np.bool_]:
    return _column(tree, "planned").astype(bool) & (_column(tree, "n_umis") > 0)


def _contexts(tree: xr.DataTree, chosen: NDArray[np.bool_]) -> list[tuple[float, str]]:
    time, medium = _column(tree, "time")[chosen], _column(tree, "medium")[chosen]
    return sorted({(float(t), str(m)) for t, m in zip(time, medium, strict=True)})


def _groups(
    tree: xr.DataTree, contexts: list[tuple[float, str]], labels: Sequence[str], chosen: NDArray[np.bool_]
) -> tuple[list[tuple[int, str]], NDArray[np.intp]]:
    """Return the (context, label) groups of the chosen cells that are not empty, and each cell's group or -1."""
    time, medium, perturbation = (_column(tree, name) for name in ("time", "medium", "perturbation"))
    group = np.full(len(perturbation), -1, dtype=np.intp)
    found: list[tuple[int, str]] = []
    for number, (hours, name) in enumerate(contexts):
        here = chosen & (time == hours) & (medium == name)
        for label in labels:
            cells = here & (perturbation == label)
            if cells.any():
                group[cells] = len(found)
                found.append((number, label))
    return found, group


def _read(
    tree: xr.DataTree, keep: NDArray[np.bool_], group: NDArray[np.integer], *, n_groups: int
) -> tuple[csr_array, NDArray[np.int64]]:
    """Read the counts once: the cells of `keep` as a sparse table, and the summed counts of every group."""
    parts: list[csr_array] = []
    n_genes = tree["counts"].sizes["gene"]
    total = np.zeros((n_groups, n_genes), dtype=np.int64)
    for start, counts in iter_counts(tree):
        cells = slice(start, start + len(counts))
        parts.append(csr_array(counts[keep[cells]]))
        for index in np.unique(group[cells][group[cells] >= 0]):
            total[index] += counts[group[cells] == index].sum(axis=0, dtype=np.int64)
    return vstack(parts, format="csr", dtype=np.int32), total
