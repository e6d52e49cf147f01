"""The study of losses: what does asking controls to stand still do to error and to steadiness, and when?

In: a folder, a number of networks. Out: losses.csv (tidy), curves.json, losses.md with its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiments.digests import source_digest
from experiments.outputs import provenance, write_whole
from experiments.runner import run_tasks
from experiments.studies.losses.settings import VARIANTS, settings
from experiments.studies.losses.world import WorldTask, died, run_world
from simcell.errors import SpecError, nearest


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
        quick: the two systems at one time and one number of cells.
        fitters: those of `VARIANTS` to run; by default all.
        command: the command line to state on the page.

    Raises:
        SpecError: a fitter that has no steady state of controls in its loss; fewer than 2 networks.
    """
    from experiments.studies.losses.page import write_page

    if networks < 2:
        raise SpecError("networks", networks, ">= 2, or there is no interval")
    chosen = tuple(dict.fromkeys(fitters or VARIANTS))
    for name in chosen:
        if name not in VARIANTS:
            raise SpecError("fitters", name, f"one of {', '.join(VARIANTS)}{nearest(name, VARIANTS)}")
    home = Path(folder)
    worlds = home / "worlds"
    worlds.mkdir(parents=True, exist_ok=True)
    digest = source_digest("simcell", "fitters", "experiments")
    tasks = [
        WorldTask(setting, seed, fitter, worlds, digest)
        for seed in range(1, networks + 1)
        for setting in settings(quick=quick)
        for fitter in chosen
    ]
    found = run_tasks(run_world, tasks, died=died, jobs=jobs, description="worlds", progress=progress)
    table = pd.DataFrame([row for world in found for row in world["rows"]])
    table = table.drop_duplicates(["controls", "hours", "cells", "seed", "fitter", "weight", "metric"])  # of no-change
    table = table.sort_values(["controls", "hours", "cells", "seed", "fitter", "weight", "metric"]).reset_index(
        drop=True
    )
    write_whole(home / "losses.csv", table.to_csv(index=False, float_format="%.6g"))
    return write_page(home, table, [curve for world in found for curve in world["curves"]], provenance(digest, command))
