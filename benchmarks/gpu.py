"""Training of the large models on a GPU and on two CPU cores, in one run: 5,000 genes, 50 perturbations, 10,000 cells.

Both train the same model on the same data for the same few epochs, each in a process of its own. Compared is the time
in the training loop; that of the whole fit, with what is done before and after on the CPU, stands beside it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks._fitting import Size, Taken, fit_in_a_process, simulate_screen
from benchmarks._report import Figure, Result, Skipped
from benchmarks._timing import say

SIZE = Size(genes=5_000, perturbations=50, cells=10_000, atlas=2_000)
QUICK = Size(genes=300, perturbations=10, cells=1_000, atlas=300)
CORES = 2
LEAST = 10.0  # times faster
FEW: dict[str, Any] = {"epochs": 3, "held_out": 0.0}
# as wide as such models are at this size; a step sees many cells (`vae`) or genes (`transformer`), and of `node` every
# gene is a dimension of the state
FITTERS: dict[str, dict[str, Any]] = {
    "vae": {**FEW, "batch_size": 1_024, "hidden": 512},
    "transformer": {**FEW, "pretraining_epochs": 3, "genes_per_step": 1_024, "width": 128},
    "node": {**FEW, "dimensions": None, "hidden": 512},
}


def measure(*, quick: bool = False) -> Result:
    """Return how much faster a GPU is; `quick` takes a small screen.

    Raises:
        Skipped: torch is not installed, or finds no GPU.
    """
    _require_gpu()
    from fitters.registry import BUILT_IN

    size = QUICK if quick else SIZE
    figures: list[Figure] = []
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory(prefix="simcell-bench-") as name:
        folder = Path(name)
        say("simulating the screen")
        simulate_screen(folder, size)
        for fitter, options in FITTERS.items():
            if fitter not in BUILT_IN:
                rows.append((fitter, "-", "-", "-", "-", "no such fitter"))
                continue
            taken = {}
            for device, threads in (("cuda", 0), ("cpu", CORES)):
                say(f"{fitter} on {device}")
                told = fitter == "transformer"
                asked = options | {"device": device}
                taken[device] = fit_in_a_process(folder, fitter, options=asked, told=told, threads=threads)
                rows.append(_row(fitter, taken[device]))
            if not any(one.problem for one in taken.values()):
                ratio = taken["cpu"].training / taken["cuda"].training
                figures.append(
                    Figure(f"{fitter}, training on a GPU over {CORES} cores", ratio, "×", LEAST, at_least=True)
                )
    say("")
    return Result(
        f"GPU: {size}",
        tuple(figures),
        columns=("fitter", "device", "training, s", "fit and answers, s", "GB", "problem"),
        rows=tuple(rows),
        notes=(
            f"{_gpu_name()} and {CORES} cores, {FEW['epochs']} epochs each.",
            *(f"{fitter}: {_said(options)}." for fitter, options in FITTERS.items()),
        ),
    )


def _require_gpu() -> None:
    command = "python -m benchmarks gpu"
    try:
        import torch
    except ImportError:
        raise Skipped(f"torch is not installed: pip install 'simcell[fit]', then {command}") from None
    if not torch.cuda.is_available():
        raise Skipped(f"no GPU here; on a machine with one: {command}")


def _gpu_name() -> str:
    import torch

    return str(torch.cuda.get_device_name())


def _row(fitter: str, taken: Taken) -> tuple[str, ...]:
    if taken.problem:
        return fitter, "-", "-", "-", "-", taken.problem
    memory = f"{taken.memory / 1e9:.2f}"
    return fitter, taken.device, f"{taken.training:.2f}", f"{taken.seconds:.2f}", memory, ""


def _said(options: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())
