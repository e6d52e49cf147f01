"""What the fitters of a benchmark are told beside the cells: graphs made from the truth, atlases simulated beside it.

In: the `knowledge:` section of a benchmark and one of its data sets. Out: `Knowledge`, which holds neither the truth
nor any path to it; and a table that says what was told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from experiments.benchmark_spec import BenchmarkSpec
from experiments.digests import source_digest
from experiments.knowledge_spec import AtlasSpec, KnowledgeSpec
from experiments.outputs import Folder, read_json, write_json
from experiments.prior_graphs import prior_graph
from fitters.errors import one_line
from fitters.knowledge import Atlas, Knowledge
from simcell.errors import DataError, SimcellError
from simcell.output import is_disk_full
from simcell.spec import ScreenSpec

SimulateAtlas = Callable[..., Any]
COLUMNS = ["screen", "seed", "name", "kind", "description"]


@dataclass(frozen=True)
class AtlasTask:
    """An atlas to be simulated.

    Attributes:
        screen: the screen whose world it is of, as specified but for its seed.
        seed: seed of the screen.
        atlas: how large it is.
        path: where it goes.
        made_by: where it is noted by what source code it was made, and how large.
        n_threads: threads to simulate with.
        progress: whether to show a progress bar.
        simulate: instead of `simcell.simulate_atlas`.
    """

    screen: ScreenSpec
    seed: int
    atlas: AtlasSpec
    path: Path
    made_by: Path
    n_threads: int
    progress: bool
    simulate: SimulateAtlas | None


def atlas_tasks(
    spec: BenchmarkSpec, folder: Folder, *, jobs: int, simulate: SimulateAtlas | None, progress: bool
) -> list[AtlasTask]:
    """Return the atlases of a benchmark, one for each screen and seed; none where fitters are told of none."""
    atlas = spec.knowledge.atlas
    if atlas is None:
        return []
    return [
        AtlasTask(
            screen=screen,
            seed=seed,
            atlas=atlas,
            path=folder.atlas(screen.name, seed),
            made_by=folder.source(folder.atlas(screen.name, seed)),
            n_threads=max(1, (os.cpu_count() or 1) // jobs),
            progress=progress,
            simulate=simulate,
        )
        for screen in spec.full_screens
        for seed in spec.seeds
    ]


def make_atlas(task: AtlasTask) -> tuple[Path, str]:
    """Simulate an atlas unless it is there; return its path and, if it could not be made, why."""
    try:
        if not _is_there(task):
            _simulator(task)(
                task.screen.model_copy(update={"seed": task.seed}),
                task.path,
                **task.atlas.model_dump(),
                n_threads=task.n_threads,
                progress=task.progress,
                force=True,
            )
            write_json(task.made_by, _maker(task))
    except Exception as error:
        if is_disk_full(error):  # the next task would meet it too
            raise
        return task.path, f"atlas: {error if isinstance(error, SimcellError) else one_line(error)}"
    return task.path, ""


def no_atlas(task: AtlasTask, problem: str) -> tuple[Path, str]:
    """Return what `make_atlas` does for an atlas that could not be made."""
    return task.path, f"atlas: {problem}"


def knowledge_of(tree: xr.DataTree, spec: KnowledgeSpec, *, seed: int, atlas: Path) -> Knowledge:
    """Return what fitters are told beside the cells of a data set.

    Args:
        tree: the data set, of whose true network the graphs are made.
        spec: what is to be told.
        seed: of the screen; what is wrong in one graph is then wrong in every graph that is corrupted more.
        atlas: where the atlas lies, if there is to be one.

    Raises:
        SimcellError: the atlas is missing, or cannot be read.
    """
    graphs = {name: prior_graph(tree, corrupted=graph.corrupted, seed=seed) for name, graph in spec.graphs.items()}
    return Knowledge(graphs, None if spec.atlas is None else _atlas(atlas, _modified(atlas)))


def forget_atlas() -> None:
    """Read the atlas anew when it is next asked for: somebody may have changed the one in memory."""
    _atlas.cache_clear()


def tabulate_knowledge(found: list[tuple[str, int, Knowledge]]) -> pd.DataFrame:
    """Return what was told: one row for each graph and each atlas of every data set (screen, seed, knowledge)."""
    rows = []
    for screen, seed, known in found:
        rows += [(screen, seed, name, "graph", graph.description) for name, graph in known.graphs.items()]
        if known.atlas is not None:
            cells, tissues = known.atlas.counts.shape[0], len(set(known.atlas.tissue.tolist()))
            said = f"{cells:,} unperturbed cells of {tissues} tissues of the same world"
            rows.append((screen, seed, "atlas", "atlas", said))
    return pd.DataFrame(rows, columns=COLUMNS)


def _modified(path: Path) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


@lru_cache(maxsize=1)
def _atlas(path: Path, modified: int) -> Atlas:
    del modified  # only there so that an atlas made anew under the same path is read anew
    return _read_atlas(path)


def _read_atlas(path: Path) -> Atlas:
    from experiments.atlases import atlas_of

    return atlas_of(path)


def _simulator(task: AtlasTask) -> SimulateAtlas:
    if task.simulate is not None:
        return task.simulate
    from simcell import simulate_atlas  # compiles; a benchmark that only goes on need not

    return simulate_atlas


def _is_there(task: AtlasTask) -> bool:
    """Whether the atlas was made before, whole, as large, and by the same source code."""
    if not task.path.exists() or read_json(task.made_by) != _maker(task):
        return False
    try:
        _read_atlas(task.path)
    except SimcellError:
        return False
    return True


def _maker(task: AtlasTask) -> dict[str, Any]:
    return {"source": source_digest("simcell"), **task.atlas.model_dump()}
