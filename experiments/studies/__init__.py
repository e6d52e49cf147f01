"""The studies: questions about methods, each answered by one command. A new study is a folder and a line in `STUDIES`.

A study is a module with `run(folder, *, networks, jobs, quick, fitters, progress, command)`, which returns the path of
its page.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from simcell.errors import SpecError, nearest

STUDIES = {
    "recovery": (
        "experiments.studies.recovery",
        "which fitters recover the network, in their own world and as screens become real",
    ),
    "mechanistic": (
        "experiments.studies.mechanistic",
        "what a wrong regulation function costs a mechanistic fitter: each fitted in the world of every other",
    ),
    "losses": (
        "experiments.studies.losses",
        "what asking controls to stand still does to error and to steadiness, and when",
    ),
}


def load_study(name: str) -> ModuleType:
    """Return the module of a study; SpecError for a name that is none."""
    if name not in STUDIES:
        raise SpecError("study", name, f"one of {', '.join(STUDIES)}{nearest(name, STUDIES)}")
    return importlib.import_module(STUDIES[name][0])
