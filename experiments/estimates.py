"""The edge scores and kinetic estimates of a task on disk, so that they can be scored again without a fit.

In: what a fit says of network and kinetics. Out: one npz file, and the same read back.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.outputs import write_whole
from fitters.results import EdgeScores, Estimate, KineticsEstimate

_INTERVAL = ("value", "lower", "upper", "identified")


@dataclass(frozen=True, eq=False)
class Estimates:
    """What a fit says of the world beside its predictions.

    Attributes:
        network: edge scores, or None.
        kinetics: kinetic estimates, or None.
        perturbed: genes that were perturbed in training, sorted.
    """

    network: EdgeScores | None
    kinetics: KineticsEstimate | None
    perturbed: tuple[str, ...]


def write_estimates(path: Path, estimates: Estimates) -> None:
    """Store estimates, whole or not at all."""
    arrays: dict[str, Any] = {"perturbed": np.array(estimates.perturbed, dtype=np.str_)}
    network, kinetics = estimates.network, estimates.kinetics
    if network is not None:
        arrays |= {
            "regulators": np.array(network.regulators, dtype=np.str_),
            "genes": np.array(network.genes, dtype=np.str_),
            "score": network.score,
            "effects": np.array(network.effects),
        }
        arrays |= {
            name: value.astype(np.float32) if name == "standard_error" else value  # no score depends on it
            for name in ("standard_error", "identified")
            if (value := getattr(network, name)) is not None
        }  # fmt: skip
    if kinetics is not None:
        estimate = list(kinetics.quantities.values())
        arrays |= {
            "genes": np.array(kinetics.genes, dtype=np.str_),
            "quantities": np.array(list(kinetics.quantities), dtype=np.str_),
            "level": np.array([one.level for one in estimate], dtype=np.float64),
        }
        shape = (len(estimate), len(kinetics.genes))
        arrays |= {
            f"kinetics_{name}": np.array([getattr(one, name) for one in estimate]).reshape(shape) for name in _INTERVAL
        }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def read_estimates(path: Path) -> Estimates:
    """Return stored estimates; OSError or ValueError if they cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found: dict[str, NDArray[Any]] = dict(stored)
    except (EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from error
    genes = tuple(found["genes"].tolist()) if "genes" in found else ()
    network = kinetics = None
    if "score" in found:
        network = EdgeScores(
            regulators=tuple(found["regulators"].tolist()),
            genes=genes,
            score=found["score"],
            standard_error=found.get("standard_error"),
            identified=found.get("identified"),
            effects=bool(found["effects"]),
        )
    if "quantities" in found:
        rows = ({part: found[f"kinetics_{part}"][row] for part in _INTERVAL} for row in range(found["quantities"].size))
        quantities = {
            name: Estimate(**row, level=level)
            for name, row, level in zip(found["quantities"].tolist(), rows, found["level"].tolist(), strict=True)
        }
        kinetics = KineticsEstimate(genes, quantities)
    return Estimates(network, kinetics, tuple(found["perturbed"].tolist()))
