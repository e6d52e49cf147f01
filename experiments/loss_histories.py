"""The loss histories of a benchmark on disk: every term of every epoch of every stage, and what each training took.

In: the history of a fit. Out: one npz file per task, and the tables of ``losses.csv`` and ``trainings.csv``.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.outputs import NPZ_ERRORS, write_whole
from experiments.scoring import KEYS
from fitters.results import LossHistory

LOSS_COLUMNS = [*KEYS, "stage", "epoch", "term", "weight", "training", "held_out", "best_epoch"]
TRAINING_COLUMNS = [*KEYS, "stage", "epochs", "best_epoch", "seconds", "peak_memory", "device"]


def stages(history: LossHistory) -> tuple[LossHistory, ...]:
    """Return the histories of all stages that have epochs, the first first; of several, each with a name of its own."""
    found = _flat(history)
    names = [stage.stage for stage in found]
    return tuple(
        stage if names.count(stage.stage) == 1 else replace(stage, stage=f"{stage.stage} ({number})".strip())
        for number, stage in enumerate(found, start=1)
    )


def _flat(history: LossHistory) -> list[LossHistory]:
    before = [stage for earlier in history.earlier for stage in _flat(earlier)]
    return [*before, replace(history, earlier=())] if history.n_epochs else before


def write_history(path: Path, history: LossHistory) -> None:
    """Store the history of a fit, whole or not at all; where it has no epochs, there is no file."""
    found = stages(history)
    if not found:
        path.unlink(missing_ok=True)
        return
    arrays: dict[str, Any] = {
        "stage": np.array([one.stage for one in found], dtype=np.str_),
        "device": np.array([one.device for one in found], dtype=np.str_),
        "best_epoch": np.array([one.best_epoch for one in found], dtype=np.int64),
        "seconds": np.array([one.seconds for one in found], dtype=np.float64),
        "peak_memory": np.array([one.peak_memory for one in found], dtype=np.int64),
    }
    for number, one in enumerate(found):
        arrays |= {
            f"terms{number}": np.array(one.terms, dtype=np.str_),
            f"weight{number}": np.asarray(one.weight, dtype=np.float64),
            f"training{number}": np.asarray(one.training, dtype=np.float64),
        }
        if one.held_out is not None:
            arrays[f"held_out{number}"] = np.asarray(one.held_out, dtype=np.float64)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def read_history(path: Path) -> tuple[LossHistory, ...]:
    """Return the stored stages of a fit; none where there is no file, or it cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = dict(stored)
        return tuple(
            LossHistory(
                terms=tuple(found[f"terms{number}"].tolist()),
                weight=found[f"weight{number}"],
                training=found[f"training{number}"],
                held_out=found.get(f"held_out{number}"),
                best_epoch=int(found["best_epoch"][number]),
                seconds=float(found["seconds"][number]),
                peak_memory=int(found["peak_memory"][number]),
                device=str(found["device"][number]),
                stage=str(stage),
            )
            for number, stage in enumerate(found["stage"])
        )
    except NPZ_ERRORS:
        return ()


def tabulate_losses(histories: Sequence[tuple[dict[str, Any], tuple[LossHistory, ...]]]) -> pd.DataFrame:
    """Return the tidy table of losses: one row per epoch and term, unweighted; ``held_out`` is empty where none was.

    Args:
        histories: of each task the values of `KEYS`, and its stages.
    """
    parts = [pd.DataFrame(_loss_columns(keys, stage)) for keys, each in histories for stage in each]
    return pd.concat(parts, ignore_index=True)[LOSS_COLUMNS] if parts else pd.DataFrame(columns=LOSS_COLUMNS)


def tabulate_trainings(histories: Sequence[tuple[dict[str, Any], tuple[LossHistory, ...]]]) -> pd.DataFrame:
    """Return what every stage of every training took: epochs, wall seconds, most bytes held, device."""
    return pd.DataFrame(
        [row for keys, each in histories for row in _training_rows(keys, each)], columns=TRAINING_COLUMNS
    )


def _loss_columns(keys: dict[str, Any], history: LossHistory) -> dict[str, Any]:
    n_terms, epochs = len(history.terms), history.n_epochs
    held_out = np.full(history.training.shape, math.nan) if history.held_out is None else history.held_out
    return keys | {
        "stage": history.stage,
        "epoch": np.repeat(np.arange(1, epochs + 1), n_terms),
        "term": np.tile(np.array(history.terms, dtype=object), epochs),
        "weight": np.tile(history.weight, epochs),
        "training": history.training.ravel(),
        "held_out": held_out.ravel(),
        "best_epoch": history.best_epoch,
    }


def _training_rows(keys: dict[str, Any], histories: tuple[LossHistory, ...]) -> Iterator[dict[str, Any]]:
    for one in histories:
        row = {name: getattr(one, name) for name in ("stage", "best_epoch", "seconds", "peak_memory", "device")}
        yield keys | row | {"epochs": one.n_epochs}
