"""No bit depends on how work is cut up: threads, blocks, chunks, the order of cells, or which other cells there are."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from helpers_core import make_model, make_network, make_spec, models
from hypothesis import given, settings
from hypothesis import strategies as st

import simcell
from simcell.cell import CellModel
from simcell.effects import CellEffects
from simcell.engines import Langevin
from simcell.engines.langevin import LangevinState
from simcell.random import Purpose, kernel_key
from simcell.run import run_cells

KEY = kernel_key(9, Purpose.DYNAMICS)
FIELDS = ("pools", "level", "expected")


def guides_for(cells: np.ndarray, n_genes: int) -> CellEffects:
    """Return effects that depend on a cell's number alone: some cells have none, some two."""
    gene = np.stack([cells % (n_genes + 1) - 1, np.where(cells % 3 == 0, (cells + 1) % n_genes, -1)], axis=1)
    shape = gene.shape
    return CellEffects(
        gene.astype(np.int32),
        np.broadcast_to((0.1 + 0.3 * (cells % 5))[:, None], shape).copy(),
        np.broadcast_to(np.where(cells % 2, 0.5, 1.0)[:, None], shape).copy(),
        np.broadcast_to((cells % 4).astype(np.float64)[:, None], shape).copy(),
        np.broadcast_to(np.where(cells % 2, 3.0, 0.0)[:, None], shape).copy(),
    )


def advanced(model: CellModel, cells: np.ndarray) -> LangevinState:
    """Return cells after 7.5 h in one block."""
    engine = Langevin(model)
    state = engine.start(cells, key=KEY, expected=True)
    effects = guides_for(cells, model.network.n_genes)
    signals = model.signal_levels(None)
    engine.advance(state, effects, signals=signals, time=0.0, hours=7.5, key=KEY, cells=cells)
    return state


@settings(max_examples=25)
@given(models(layers=True), st.integers(1, 40), st.data())
def test_permuting_cells_permutes_the_result(model: CellModel, n_cells: int, data: st.DataObject) -> None:
    cells = np.arange(n_cells, dtype=np.int64) * 7 + 2**33
    order = np.array(data.draw(st.permutations(range(n_cells))))
    straight, shuffled = advanced(model, cells), advanced(model, cells[order])
    for field in FIELDS:
        assert np.array_equal(getattr(straight, field)[:, order], getattr(shuffled, field))


@settings(max_examples=25)
@given(models(layers=True), st.integers(2, 40), st.data())
def test_cutting_cells_into_blocks_changes_no_bit(model: CellModel, n_cells: int, data: st.DataObject) -> None:
    cells = np.arange(n_cells, dtype=np.int64)
    cut = data.draw(st.integers(1, n_cells - 1))
    whole, parts = advanced(model, cells), (advanced(model, cells[:cut]), advanced(model, cells[cut:]))
    assert np.array_equal(whole.size, np.concatenate([part.size for part in parts]))
    for field in FIELDS:
        joined = np.concatenate([getattr(part, field) for part in parts], axis=1)
        assert np.array_equal(getattr(whole, field), joined)


@settings(max_examples=10)
@given(
    models(layers=True),
    st.sampled_from(["langevin", "ode"]),
    st.integers(1, 2 * Langevin.lanes + 5),
    st.integers(1, 60),
)
def test_threads_and_further_cells_change_no_bit(model: CellModel, engine: str, n_cells: int, more: int) -> None:
    def run(n: int, threads: int) -> xr.Dataset:
        guides = guides_for(np.arange(n), model.network.n_genes)
        return run_cells(
            model, engine=engine, times=[0.0, 4.0, 9.0], n_cells=n, guides=guides, burn_in_hours=3.0, n_threads=threads
        )

    alone = run(n_cells, 1)
    assert alone.identical(run(n_cells, 2))
    assert alone.identical(run(n_cells + more, 2).isel(cell=slice(0, n_cells)))
    assert ("unspliced" in alone) == (model.splicing_half_life is not None)


@settings(max_examples=6)
@given(
    st.integers(1, 60),
    st.sampled_from([1, 2, 3]),
    st.sampled_from(["crispri", "crispra", "knockout"]),
    st.sampled_from([None, 2.0]),
)
def test_chunks_and_threads_change_no_bit_of_a_screen(
    chunk_cells: int, threads: int, modality: str, moi: float | None
) -> None:
    def run(folder: str, name: str, chunk: int, n_threads: int) -> dict[str, xr.Dataset]:
        protocol = [{"step": "transduce", "moi": moi}, {"step": "culture", "hours": 12.0}, {"step": "harvest"}]
        spec = make_spec(library={"modality": modality}, protocol=protocol, output={"chunk_cells": chunk})
        path = simcell.simulate(spec, Path(folder) / name, n_threads=n_threads, progress=False)
        # group by group: DataTree.load passes over a variable that is named like a group, as counts are
        return {group.path: group.to_dataset().load() for group in simcell.load(path).subtree if group.path != "/"}

    with tempfile.TemporaryDirectory() as folder:
        one, other = run(folder, "one", 1000, 1), run(folder, "other", chunk_cells, threads)
    assert set(one) == set(other)
    assert one["/counts"]["umis"].values.sum() > 0
    for path, group in one.items():
        xr.testing.assert_identical(group, other[path])


@pytest.mark.parametrize("changes", [{}, {"splicing_half_life": 0.5, "size_sigma": 0.3}], ids=["plain", "layers"])
def test_a_gene_that_another_does_not_reach_does_not_feel_its_guide(changes: dict[str, float]) -> None:
    model = make_model(make_network([(0, 1, 1), (1, 2, -1), (3, 4, 1), (4, 3, 1)]), **changes)
    runs = [run_cells(model, times=[20.0], n_cells=9, guides=g) for g in (None, CellEffects.of(1, 0.2, n_cells=9))]
    same = (runs[0]["intensity"] == runs[1]["intensity"]).all("cell").values[0]
    assert same.tolist() == [True, False, False, True, True]


def test_a_multiplier_of_one_changes_no_bit() -> None:
    model = make_model(make_network([(0, 1, 1), (1, 2, -1)]), splicing_half_life=0.5, size_sigma=0.3)
    one, other = (
        run_cells(model, times=[5.0, 20.0], n_cells=9, guides=guides)
        for guides in (None, CellEffects.of([0, 1], 1.0, translation=1.0, n_cells=9, start=3.0, constant=2.0))
    )
    assert one.identical(other)
