"""Training data are not changed by who learns from them."""

from __future__ import annotations

import numpy as np

from experiments.contract.answers import answer_of
from experiments.contract.base import Check, Outcome, failed, passed
from experiments.contract.subject import Subject
from fitters.training_data import TrainingData


def _run(subject: Subject) -> Outcome:
    subject.first  # noqa: B018
    data = subject.data
    before, after = _arrays(subject.data), data
    answer_of(subject.fit(data), subject.query())
    for name, array in _arrays(after).items():
        if not np.array_equal(array, before[name]):
            return failed(f"{name} was changed")
    return passed("as before fit and answers")


def _arrays(data: TrainingData) -> dict[str, np.ndarray]:
    arrays = {name: getattr(data, name) for name in ("perturbation", "batch", "medium", "time", "arm")}
    arrays |= {"genes": np.array(data.genes), "counts": data.counts.toarray()}
    arrays |= {"pseudobulk": data.pseudobulk.total, "control profile": data.control}
    arrays |= {"experiments": np.array(repr(sorted(data.experiments.items())))}
    return arrays


CHECK = Check("data unchanged", "Fit and answers leave the data as they were.", _run)
