"""The mechanistic study: every regulation function fitted on noise-free worlds of every other.

In: a folder and a number of networks. Out: mechanistic.csv (tidy), mechanistic.md with its picture mechanistic.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiments.digests import source_digest
from experiments.outputs import provenance, write_whole
from experiments.runner import run_tasks
from experiments.studies.mechanistic.world import REGULATIONS, CrossTask, died, run_world
from simcell.errors import SpecError


def run(
    folder: str | Path,
    *,
    networks: int = 10,
    jobs: int = 1,
    quick: bool = False,
    fitters: Sequence[str] | None = None,
    progress: bool = True,
    command: Sequence[str] | None = None,
) -> Path:
    """Run the study, or go on with one that was stopped, and return the path of its page.

    Args:
        folder: where results are written; what it holds of this study is taken up if the program is the same.
        networks: number of networks, seeds 1, 2, ...
        jobs: worlds at a time, each in a process of its own.
        quick: two networks only.
        fitters: not to be given: the study is of `ode-mechanistic`.
        command: the command line to state on the page.

    Raises:
        SpecError: fitters; fewer than 2 networks.
    """
    from experiments.studies.mechanistic.page import write_page

    if fitters is not None:
        raise SpecError("fitters", ",".join(fitters), "left out: this study is of ode-mechanistic")
    if networks < 2:
        raise SpecError("networks", networks, ">= 2, or there is no interval")
    home = Path(folder)
    worlds = home / "worlds"
    worlds.mkdir(parents=True, exist_ok=True)
    digest = source_digest("simcell", "fitters", "experiments")
    seeds = range(1, (2 if quick else networks) + 1)
    tasks = [CrossTask(truth, seed, worlds, digest) for seed in seeds for truth in REGULATIONS]
    found = run_tasks(run_world, tasks, died=died, jobs=jobs, description="worlds", progress=progress)
    table = pd.DataFrame([row for rows in found for row in rows])
    turn = {name: number for number, name in enumerate(REGULATIONS)}
    table = table.assign(one=table["truth"].map(turn), other=table["fitted"].map(turn))
    table = table.sort_values(["one", "other", "seed", "metric"]).drop(columns=["one", "other"])
    write_whole(home / "mechanistic.csv", table.to_csv(index=False, float_format="%.6g"))
    return write_page(home, table.reset_index(drop=True), provenance(digest, command))
