"""The same fit in a process of its own: what it answers, and what it takes. Run as a module, it is that process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import WeakKeyDictionary

from experiments.contract.answers import Answer, answer_of
from experiments.contract.subject import SEED, Subject
from fitters.checks import checked_fit
from fitters.registry import load
from fitters.training.memory import peak_memory
from simcell.errors import SimcellError

_DONE: WeakKeyDictionary[Subject, Elsewhere] = WeakKeyDictionary()
_TIME_LIMIT = 600  # seconds; the small screen takes none of the built-in fitters a tenth of that


@dataclass(frozen=True)
class Elsewhere:
    """What came of a fit in another process.

    Args:
        answer: all that it answered; None where it failed.
        seconds: of fit and answers.
        before_mb: memory of the process before the fit, with the fitter's module imported.
        peak_mb: memory at its peak.
        problem: why there is no answer, in one line.
    """

    answer: Answer | None = None
    seconds: float = 0.0
    before_mb: float = 0.0
    peak_mb: float = 0.0
    problem: str = ""


def fitted_elsewhere(subject: Subject) -> Elsewhere:
    """Return what comes of a subject's fit in a process whose hashes of strings are salted otherwise than here."""
    if subject not in _DONE:
        _DONE[subject] = _ask(subject)
    return _DONE[subject]


def _ask(subject: Subject) -> Elsewhere:
    with TemporaryDirectory(prefix="simcell-fresh-") as name:
        task, result = Path(name) / "task", Path(name) / "result"
        task.write_bytes(pickle.dumps((subject.reference, subject.options, subject.data, subject.query())))
        here = os.environ.get("PYTHONHASHSEED", "")
        environment = os.environ | {"PYTHONHASHSEED": "12345" if here != "12345" else "54321"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        words = [sys.executable, "-m", __name__, str(task), str(result)]
        try:
            done = subprocess.run(
                words, env=environment, capture_output=True, text=True, timeout=_TIME_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return Elsewhere(problem=f"not done after {_TIME_LIMIT} s")
        if not result.exists():
            last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            return Elsewhere(problem=f"the process ended with code {done.returncode} {' '.join(last)}".strip())
        answered: Elsewhere = pickle.loads(result.read_bytes())
        return answered


def _serve(task: Path, result: Path) -> None:
    reference, options, data, query = pickle.loads(task.read_bytes())
    try:
        fitter = load(reference, **options)
        before, start = peak_memory() / 1e6, time.perf_counter()
        answer = answer_of(checked_fit(fitter, data, seed=SEED), query)
        found = Elsewhere(answer, time.perf_counter() - start, before, peak_memory() / 1e6)
    except SimcellError as error:
        found = Elsewhere(problem=str(error))
    result.write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    from experiments.contract import fresh  # under its own name, which the pickles hold

    fresh._serve(Path(sys.argv[1]), Path(sys.argv[2]))
