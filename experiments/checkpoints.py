"""Checkpoints in a benchmark: every task keeps its own, under the name that the user chose, in the folder of results.

Where a fitter, its options, the data or this program have changed since, training starts anew.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.outputs import Folder, read_json, write_json
from fitters.training.options import TrainedFitter
from simcell.errors import SpecError

MADE_BY = "made_by.json"  # beside a checkpoint: the fingerprint that it was made under


def check_checkpoint(fitter: Any, *, field: str) -> None:
    """Refuse a trained fitter's option `checkpoint` unless it is a bare name: screens, seeds and splits would share it.

    Nor may it be the name of the file that says what each checkpoint was made by.

    Args:
        fitter: the fitter, as the benchmark file has it.
        field: where its options stand in that file.
    """
    name = fitter.checkpoint if isinstance(fitter, TrainedFitter) else None
    if name is not None and (name != Path(name).name or name.casefold() in (".", "..", MADE_BY)):
        allowed = (
            f"the name of a file, without a folder and other than {MADE_BY}; each task keeps a file of this name under "
            "checkpoints/ in the folder of the results"
        )
        raise SpecError(f"{field}.checkpoint", name, allowed)


def with_own_checkpoint(fitter: Any, folder: Folder, *, task: str, fingerprint: str) -> Any:
    """Return the fitter with the path of this task's own checkpoint, where it is to keep one; else the same fitter.

    Args:
        fitter: any fitter.
        folder: that of the benchmark.
        task: id of the task.
        fingerprint: of all that its result depends on; a checkpoint that was made under another one is cleared away.
    """
    if not isinstance(fitter, TrainedFitter) or fitter.checkpoint is None:
        return fitter
    path = folder.checkpoint(task, fitter.checkpoint)
    made_by = path.parent / MADE_BY
    now = {"fingerprint": fingerprint}
    if read_json(made_by) != now:
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(made_by, now)
    return replace(fitter, checkpoint=str(path))
