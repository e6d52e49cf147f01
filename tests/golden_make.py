"""Golden files: a few integers of each kind that a seed decides, so that any change of a result is seen and meant.

`tests/golden/*.json` hold what `GOLDEN` computes, and `test_golden.py` compares. After a change that is meant to change
results, run

    python -m tests.golden_make

and commit the files with it: their difference shows what has changed. Integers only: they are the same on every machine
where floating point numbers may differ in the last digit.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import simcell
from simcell.generators import GENERATORS
from simcell.kernels.counts import draw_captured, draw_molecules
from simcell.kernels.streams import fill_uniforms, philox_block
from simcell.modalities import MODALITIES
from simcell.random import Purpose, kernel_key
from simcell.regulation import REGULATIONS
from simcell.screen import build_screen

FOLDER = Path(__file__).parent / "golden"
EDGES = [["A", "B", 1], ["B", "C", -1], ["C", "A", 1], ["A", "D", 1], ["D", "D", -1], ["B", "E", -1], ["F", "G", 1]]


def _spec(*, regulation: str = "thermodynamic", engine: str = "langevin", **library: Any) -> dict[str, Any]:
    """Return the specification of a screen of 6 cells and 8 genes with a signal, pairs, and all layers of the assay."""
    return {
        "name": "golden",
        "seed": 2024,
        "network": {"kind": "edges", "edges": EDGES, "genes": list("ABCDEFGH")},
        "cell": {"regulation": regulation},
        "signals": {"heat": [{"target": "H", "sign": 1}, {"target": "A", "sign": -1, "strength": 3.0}]},
        "media": {"base": {}, "warm": {"heat": 1.5}},
        "library": {
            "targets": ["A", "B", "F"],
            "guides_per_target": 2,
            "non_targeting": 2,
            "combinations": [{"order": 2, "count": 2}],
            **library,
        },
        "protocol": [
            {"step": "culture", "hours": 5.0},
            {"step": "transduce"},
            {"step": "culture", "hours": 30.0},
            {"step": "culture", "hours": 12.0, "medium": "warm"},
            {"step": "harvest"},
        ],
        "assay": {"batches": 2, "cells_per_batch": 3, "capture": 0.4, "size_factor_sigma": 0.3, "batch_sigma": 0.2},
        "engine": {"name": engine, "burn_in_hours": 24.0},
        "truth": {"cells_per_perturbation": 4},
        "output": {"latent": True},
    }


def _screen_counts(**choices: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        tree = simcell.load(simcell.simulate(_spec(**choices), Path(folder) / "golden.zarr", progress=False))
        return {
            "perturbation": tree["cells"]["perturbation"].values.tolist(),
            "counts": tree["counts"]["umis"].values.tolist(),
            "molecules": tree["latent"]["molecules"].values.tolist(),
        }


def streams() -> dict[str, Any]:
    """Words of the generator, keys of purposes, and what is made of them."""
    key = kernel_key(7, Purpose.DYNAMICS, 1)
    cells = np.array([0, 1, 2**32, 2**40 + 3], np.int64)
    uniform = np.empty((4, 2))
    fill_uniforms(uniform, key, cells, 5)
    means = np.tile(np.float32([0.5, 9.5, 10.5, 400.0]), (4, 1))
    poisson, binomial = np.empty((2, 4, 4), np.int32)
    draw_molecules(means, key, cells, poisson)
    trials = np.tile(np.int32([3, 40, 40, 100_000]), (4, 1))
    draw_captured(trials, np.ones(4), np.array([[0.5, 0.2, 0.7, 0.3]]), np.zeros(4, np.int64), key, cells, binomial)
    return {
        "philox": [philox_block(np.full(4, n, np.uint32), np.full(2, n, np.uint32)).tolist() for n in (0, 1, 99)],
        "keys": {purpose.name: kernel_key(7, purpose, 0).tolist() for purpose in Purpose},
        "uniforms_times_2_53": (uniform * 2.0**53).astype(np.int64).tolist(),
        "poisson": poisson.tolist(),
        "binomial": binomial.tolist(),
    }


def networks() -> dict[str, Any]:
    """The edges [regulator, target, sign] that each generator draws."""
    sizes: dict[str, dict[str, Any]] = {
        "grouped-scale-free": {"genes": 12, "groups": 2, "edges_per_gene": 2.0},
        "erdos-renyi": {"genes": 12},
    }
    drawn = {name: make(**sizes.get(name, {}), seed=3) for name, make in GENERATORS.items()}
    return {
        name: np.stack([network.regulator, network.target, network.sign], axis=1).tolist()
        for name, network in sorted(drawn.items())
    }


def screens() -> dict[str, Any]:
    """Molecules and UMI counts of 6 cells and 8 genes, for each regulation function, engine and modality."""
    return {
        **{name: _screen_counts(regulation=name) for name in REGULATIONS},
        "ode": _screen_counts(engine="ode"),
        **{name: _screen_counts(modality=name) for name in MODALITIES if name != "crispri"},
    }


def assignments() -> dict[str, Any]:
    """Constructs and guides of ten cells, one each and at a multiplicity of infection of 2, in two replicates."""
    screen = build_screen(_spec())
    cells = np.arange(10, dtype=np.int64)
    one = [screen.assign(cells, replicate=replicate) for replicate in (0, 1)]
    spec = _spec()
    spec["protocol"][1]["moi"] = 2.0
    several = build_screen(spec).assign(cells)
    return {
        "library": [list(construct) for construct in screen.library.constructs],
        "constructs": [assignment.construct[:, 0].tolist() for assignment in one],
        "several": [[int(c) for c in row if c >= 0] for row in several.construct],
        "guides": [[int(g) for g in row if g >= 0] for row in several.guides],
    }


GOLDEN: dict[str, Callable[[], dict[str, Any]]] = {
    make.__name__: make for make in (streams, networks, screens, assignments)
}


def path_of(name: str) -> Path:
    """Return where a golden file is kept."""
    return FOLDER / f"{name}.json"


def _rows(value: Any, indent: int = 0) -> str:
    """Return JSON with one row of numbers per line, so that a difference of files reads well."""
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        inner = ",\n".join(f"{pad}{json.dumps(key)}: {_rows(item, indent + 2)}" for key, item in value.items())
        return f"{{\n{inner}\n{' ' * indent}}}"
    if isinstance(value, list) and any(isinstance(item, list) for item in value):
        inner = ",\n".join(pad + _rows(item, indent + 2) for item in value)
        return f"[\n{inner}\n{' ' * indent}]"
    return json.dumps(value)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, make in GOLDEN.items():
        path_of(name).write_text(_rows(make()) + "\n")
        print(path_of(name))
