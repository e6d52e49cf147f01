"""A screen: cell model, guide library, timeline and assay of one specification, and its simulation into a file.

In: a `ScreenSpec`. Out: a `Screen`, then a zarr folder with counts and truth, written as it is made; memory is bounded
by the chunks that are being worked on.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simcell._version import __version__
from simcell.assay import Assay, draw_assay
from simcell.assignment import Assignment, assign
from simcell.cell import CellModel
from simcell.course import Course, count_molecules, course
from simcell.draw import draw_cell_model, draw_signal_edges
from simcell.edge_lists import read_edge_list
from simcell.engines.langevin import choose_step
from simcell.errors import SpecError
from simcell.generators import GENERATORS
from simcell.guides import GuideLibrary, draw_library
from simcell.kernels.streams import size_factors
from simcell.network import Network
from simcell.protocol import Timeline, timeline_of
from simcell.random import Purpose, kernel_key
from simcell.spec import ScreenSpec, dump_screen_spec, parse_screen_spec
from simcell.spec.networks import EdgeListNetwork, EdgesNetwork
from simcell.threads import block_slices, map_threads

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Screen:
    """Everything about one screen that does not depend on the cells drawn; make it with `build_screen`."""

    spec: ScreenSpec
    model: CellModel
    library: GuideLibrary
    timeline: Timeline

    @property
    def transduced_at(self) -> float:
        """Hours of the protocol at which constructs enter cells."""
        return self.timeline.transduced_at or 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how the specification was read."""
        notes = list(self.model.network.notes)
        if self.model.attenuation < 1.0:
            notes.append(f"strengths of edges raised to the power {self.model.attenuation:.3g} for a stable wild type")
        hours = self.spec.engine.step_hours
        if self.spec.engine.name == "langevin" and hours is not None and hours > 2.0 * choose_step(self.model):
            notes.append(
                f"engine.step_hours: {hours:g} h is long beside the lifetimes of regulators, whose proteins are then "
                f"too noisy; null would choose {choose_step(self.model):.2g} h"
            )
        return tuple(notes)

    @cached_property
    def assay(self) -> Assay:
        """The assay of the first replicate."""
        return self.assay_of(0)

    def assay_of(self, replicate: int) -> Assay:
        """Return the assay of one replicate: the same batches, other cells."""
        n_genes = self.model.network.n_genes
        return draw_assay(self.spec.assay, n_genes=n_genes, seed=self.spec.seed, replicate=replicate)

    def course(self, *, engine: str | None = None) -> Course:
        """Return how cells of this screen go through time."""
        settings = self.spec.engine
        return course(
            self.model,
            self.timeline,
            engine=engine or settings.name,
            step_hours=settings.step_hours if engine is None else None,
            burn_in_hours=settings.burn_in_hours,
            media=self.spec.media,
        )

    def courses(self) -> tuple[Course, ...]:
        """Return the course of the cells of every sampling time."""
        whole = self.course()
        return tuple(whole.until(sample) for sample in range(len(self.timeline.sampled_at)))

    def assign(self, cells: NDArray[np.int64], *, replicate: int = 0) -> Assignment:
        """Return the constructs of cells."""
        return assign(
            self.library,
            cells,
            moi=self.timeline.moi,
            transduced_at=self.transduced_at,
            seed=self.spec.seed,
            replicate=replicate,
        )


def build_screen(spec: ScreenSpec | Mapping[str, object] | str) -> Screen:
    """Return the screen of a specification (a model, a mapping or YAML text); its network, cell and guides are drawn.

    Raises:
        SpecError: naming field, value and what is allowed, before any simulation.
    """
    spec = spec if isinstance(spec, ScreenSpec) else parse_screen_spec(spec)
    network = build_network(spec)
    model = draw_cell_model(
        network,
        cell=spec.cell,
        seed=spec.seed,
        signal_edges=draw_signal_edges(spec.signals, network, cell=spec.cell, seed=spec.seed),
        signals=tuple(spec.signals),
        reference_medium=spec.media[spec.reference_medium],
    )
    library = draw_library(network, spec.library, seed=spec.seed)
    return Screen(_keep_network(spec, network), model, library, timeline_of(spec.protocol))


def build_network(spec: ScreenSpec) -> Network:
    """Return the network of a specification: generated, read from its file, or made of the edges it holds."""
    choice = spec.network
    if isinstance(choice, EdgeListNetwork):
        return read_edge_list(choice.path, seed=spec.seed)
    if isinstance(choice, EdgesNetwork):
        genes = choice.genes or tuple(sorted({gene for edge in choice.edges for gene in edge[:2]}))
        row = {gene: number for number, gene in enumerate(genes)}
        regulator, target, sign = zip(*choice.edges, strict=True)
        return Network(
            genes,
            np.array([row[gene] for gene in regulator], np.int32),
            np.array([row[gene] for gene in target], np.int32),
            np.array(sign, np.int8),
        )
    try:
        return GENERATORS[choice.kind](**choice.model_dump(exclude={"kind"}), seed=spec.seed)
    except SpecError as error:
        raise SpecError(f"network.{error.field}", error.value, error.allowed) from None


def simulate(
    screen: Screen | ScreenSpec | Mapping[str, object] | str,
    path: str | os.PathLike[str],
    *,
    replicate: int = 0,
    n_threads: int | None = None,
    progress: bool = True,
    force: bool = False,
    truth_from: str | os.PathLike[str] | None = None,
) -> Path:
    """Run a screen and write it, with its truth, as a zarr folder; return its path.

    Args:
        screen: a screen, or what `build_screen` makes one of.
        path: the folder to be made; it appears once it is complete.
        replicate: which draw of cells: the same world, guides and batches, other cells.
        n_threads: threads, by default one per core; the result does not depend on it.
        progress: whether to show progress bars (never where standard error is no terminal).
        force: whether to replace a data set that stands at `path`.
        truth_from: a data set of the same specification, such as another replicate, whose true responses are taken
            over; they are computed if None.

    Raises:
        SimcellError: a wrong specification, an output that exists, a full disk; nothing half-written is left.
    """
    from simcell.recording import cells_group, response_group, truth_groups
    from simcell.store import ScreenWriter

    screen = screen if isinstance(screen, Screen) else build_screen(screen)
    if replicate < 0:
        raise SpecError("replicate", replicate, ">= 0")
    known = None if truth_from is None else _known_response(screen, truth_from)
    assay, plans = screen.assay_of(replicate), screen.courses()
    key = kernel_key(screen.spec.seed, Purpose.DYNAMICS, replicate)
    n_cells, chunk_cells = assay.n_cells, min(screen.spec.output.chunk_cells, assay.n_cells)
    everyone = np.arange(n_cells, dtype=np.int64)
    assignment = screen.assign(everyone, replicate=replicate)
    writer = ScreenWriter(
        path,
        genes=screen.model.network.genes,
        n_cells=n_cells,
        chunk_cells=chunk_cells,
        attrs=_attributes(screen, replicate),
        latent=screen.spec.output.latent,
        force=force,
    )

    def simulate_chunk(chunk: slice) -> None:
        size = chunk.stop - chunk.start, screen.model.network.n_genes
        molecules, intensity = np.empty(size, np.int32), np.empty(size, np.float32)
        sample = screen.timeline.sample_of(everyone[chunk])
        for number, plan in enumerate(plans):
            taken = np.flatnonzero(sample == number)
            for block in block_slices(taken.size, lanes=plan.engine.lanes):
                rows = taken[block]
                cells = everyone[chunk][rows]
                seen = plan.finish(assignment.effects.take(cells), cells=cells, key=key)
                molecules[rows] = count_molecules(seen, key=assay.molecules_key, cells=cells)
                intensity[rows] = seen.expected_mrna
        counts = assay.measure(molecules, everyone[chunk])
        latent = {"intensity": intensity, "molecules": molecules} if screen.spec.output.latent else {}
        writer.write_chunk(chunk.start, counts=counts, **latent)

    with writer:
        chunks = block_slices(n_cells, lanes=chunk_cells)
        map_threads(simulate_chunk, chunks, n_threads=n_threads, progress="cells" if progress else None)
        writer.write_group("cells", cells_group(screen, assay, assignment, n_umis=writer.n_umis))
        response = response_group(screen, n_threads=n_threads, progress=progress) if known is None else known
        sizes = size_factors(key, everyone, screen.model.size_sigma)
        for name, group in truth_groups(screen, assay, assignment, response, sizes=sizes).items():
            writer.write_group(f"truth/{name}", group)
    return Path(path)


def _known_response(screen: Screen, path: str | os.PathLike[str]) -> xr.Dataset:
    """Return the true responses of a data set, which must be of the very same specification."""
    from simcell.dataset import load
    from simcell.schema import get_group

    tree = load(path)
    if tree.attrs["spec"] != dump_screen_spec(screen.spec):
        raise SpecError("truth_from", str(path), "a data set of the same specification")
    return get_group(tree, "truth/response")


def _keep_network(spec: ScreenSpec, network: Network) -> ScreenSpec:
    """Return the specification with the edges themselves in place of a file that may move or change."""
    if not isinstance(spec.network, EdgeListNetwork):
        return spec
    names = network.genes
    edges = tuple(
        (names[regulator], names[target], int(sign))
        for regulator, target, sign in zip(network.regulator, network.target, network.sign, strict=True)
    )
    kept = EdgesNetwork.model_validate({"kind": "edges", "edges": edges, "genes": names})
    return spec.model_copy(update={"network": kept})


def _attributes(screen: Screen, replicate: int) -> dict[str, object]:
    return {
        "name": screen.spec.name,
        "spec": dump_screen_spec(screen.spec),
        "seed": screen.spec.seed,
        "replicate": replicate,
        "versions": {
            "simcell": __version__,
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "numba": version("numba"),
        },
        "notes": list(screen.notes),
    }
