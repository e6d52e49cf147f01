"""The recovery study: who finds the network in their own world, noise-free, and what is left as screens become real.

In: a folder, a number of networks, fitters. Out: recovery.csv (tidy), recovery.md with its picture recovery.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiments.digests import source_digest
from experiments.outputs import provenance, write_whole
from experiments.runner import run_tasks
from experiments.studies.recovery.settings import BASE, NOISE_FREE, settings
from experiments.studies.recovery.world import WorldTask, died, run_world
from fitters.contract import Claim
from fitters.errors import FitterOptionError
from fitters.registry import available
from fitters.registry import load as load_fitter
from simcell.errors import SpecError, nearest

NOT_RUN = ("command",)  # fitters that need options to be anything
# take longer than all others together: run in the noise-free worlds and the base only
SLOW = ("gies", "dagma", "ode-mechanistic")


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
        quick: the noise-free worlds, the base and one knob only.
        fitters: names; by default all built-in ones that claim a network.
        command: the command line to state on the page.

    Raises:
        SpecError: a fitter that does not exist or claims no network; fewer than 2 networks.
    """
    from experiments.studies.recovery.page import write_page

    if networks < 2:
        raise SpecError("networks", networks, ">= 2, or there is no interval")
    chosen = _fitters(fitters)
    home = Path(folder)
    worlds = home / "worlds"
    worlds.mkdir(parents=True, exist_ok=True)
    digest = f"{source_digest('simcell', 'fitters', 'experiments')}-{'-'.join(chosen)}"
    quick_ones = chosen if fitters is not None else tuple(name for name in chosen if name not in SLOW)
    tasks = [
        WorldTask(setting, seed, chosen if setting.knob in (NOISE_FREE, BASE) else quick_ones, worlds, digest)
        for seed in range(1, networks + 1)
        for setting in settings(quick=quick)
    ]
    found = run_tasks(run_world, tasks, died=died, jobs=jobs, description="worlds", progress=progress)
    table = pd.DataFrame([row for rows in found for row in rows])
    order = {setting.name: number for number, setting in enumerate(settings())}
    place = (table["knob"] + ", " + table["value"]).map(order)
    turn = table["fitter"].map({name: number for number, name in enumerate(chosen)})  # by family, as they are listed
    table = table.assign(place=place, turn=turn).sort_values(["place", "seed", "turn", "metric"])
    table = table.drop(columns=["place", "turn"])
    write_whole(home / "recovery.csv", table.to_csv(index=False, float_format="%.6g"))
    return write_page(home, table.reset_index(drop=True), provenance(digest, command))


def _fitters(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the fitters to run, each of which claims a network."""
    entries = available()
    able = tuple(
        name
        for name, entry in entries.items()
        if Claim.NETWORK in entry.claims and not entry.problem and name not in NOT_RUN
    )
    if names is None:
        return tuple(name for name in able if entries[name].origin == "built-in")
    for name in names:
        if name not in entries or Claim.NETWORK not in entries[name].claims:
            allowed = f"a fitter that claims a network{nearest(name, able)}; those are {', '.join(able)}"
            raise SpecError("fitters", name, allowed)
        try:
            load_fitter(name)
        except FitterOptionError as error:
            raise SpecError("fitters", name, f"usable without options ({error.problem})") from None
    return tuple(dict.fromkeys(names))
