"""A screen to fit to, and one fit in a process of its own: seconds of the whole and of training, peak memory, device.

In: size of a screen; name and options of a fitter. Out: a screen and an atlas on disk; what a fit took.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fitters.training.memory import peak_memory

SAMPLED = 20  # cells that are sampled of each perturbation, where a fitter samples


@dataclass(frozen=True)
class Size:
    """How large a screen is."""

    genes: int
    perturbations: int
    cells: int
    atlas: int

    def __str__(self) -> str:
        return f"{self.genes:,} genes, {self.perturbations} perturbations, {self.cells:,} cells"


@dataclass(frozen=True)
class Taken:
    """What a fit took.

    Attributes:
        seconds: of the fit and its answers, imports and reading left out.
        training: of these, in the training loop; 0 for closed forms.
        memory: peak of the process, bytes.
        device: where it was trained.
        problem: why it could not be fitted; empty if it could.
    """

    seconds: float = 0.0
    training: float = 0.0
    memory: int = 0
    device: str = ""
    problem: str = ""


def simulate_screen(folder: Path, size: Size) -> None:
    """Write a screen, and an atlas of the same world, into a folder."""
    import simcell

    spec = {
        "name": "fitters",
        "seed": 1,
        "network": {"kind": "grouped-scale-free", "genes": size.genes, "regulators": 0.5},
        "library": {"targets": {"count": size.perturbations, "among": "regulators"}},
        "protocol": [
            {"step": "transduce"},
            {"step": "culture", "medium": "base", "hours": 168},
            {"step": "harvest"},
        ],
        "assay": {"batches": 2, "cells_per_batch": size.cells // 2},
        "truth": {"cells_per_perturbation": 2},
    }
    simcell.simulate(spec, folder / "screen.zarr", progress=False)
    simcell.simulate_atlas(spec, folder / "atlas.zarr", cells=size.atlas, tissues=10, progress=False)


def fit_in_a_process(
    folder: Path, name: str, *, options: dict[str, Any] | None = None, told: bool = False, threads: int = 0
) -> Taken:
    """Fit a fitter to the screen of a folder, in a process of its own.

    Args:
        folder: made by `simulate_screen`.
        name: of the fitter.
        options: its options.
        told: whether it is given the atlas.
        threads: how many cores and threads it has in training; 0: as it is used.
    """
    order = json.dumps({"options": options or {}, "told": told, "threads": threads})
    command = [sys.executable, "-m", "benchmarks._fitting", str(folder), name, order]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        return Taken(problem=(done.stderr.strip().splitlines() or ["died"])[-1])
    return Taken(**json.loads(done.stdout.splitlines()[-1]))


def _fit(folder: Path, name: str, order: dict[str, Any]) -> Taken:
    """Fit one fitter to a screen and ask it all it claims."""
    import simcell
    from experiments.blas import one_blas_thread
    from experiments.training import all_cells
    from fitters.base import Claim, Query, checked_fit
    from fitters.knowledge import Knowledge
    from fitters.registry import load

    if order["threads"]:
        _use_threads(order["threads"])
    data = all_cells(simcell.load(folder / "screen.zarr"))
    if order["told"]:
        from experiments.atlases import atlas_of

        data = replace(data, knowledge=Knowledge(atlas=atlas_of(folder / "atlas.zarr")))
    fitter = load(name, **order["options"])
    if order["options"].get("device") == "cuda":
        _wake_gpu()
    begin = time.perf_counter()
    with nullcontext() if order["threads"] else one_blas_thread():  # one, as in a benchmark of fitters
        fit = checked_fit(fitter, data, seed=0)
        if Claim.MEAN in fit.claims:
            fit.predict(Query.of_labels(data.perturbations))
        if Claim.DISTRIBUTION in fit.claims:
            fit.predict(Query.of_labels(data.perturbations, cells=SAMPLED))
        if Claim.NETWORK in fit.claims:
            fit.network()
        if Claim.KINETICS in fit.claims:
            fit.kinetics()
    seconds = time.perf_counter() - begin
    stages = (*fit.history.earlier, fit.history)
    return Taken(seconds, sum(stage.seconds for stage in stages), peak_memory(), fit.history.device)


def _use_threads(count: int) -> None:
    """Give this process so many cores, and torch as many threads, whatever the training loop asks for."""
    import os

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    import torch

    torch.set_num_threads(count)
    torch.set_num_threads = lambda nthreads: None


def _wake_gpu() -> None:
    """Let the GPU be set up before the time is taken."""
    import torch

    square = torch.ones(64, 64, device="cuda")
    torch.linalg.inv(square @ square + torch.eye(64, device="cuda"))
    torch.cuda.synchronize()


if __name__ == "__main__":
    print(json.dumps(asdict(_fit(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))))
