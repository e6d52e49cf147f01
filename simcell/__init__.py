"""simcell: gene-regulatory networks, perturbation screens on them, and data with known truth.

    import simcell
    simcell.simulate(simcell.load_screen_spec("screen.yaml"), "screen.zarr")
    tree = simcell.load("screen.zarr")

Names are imported when they are first used, so that importing the package compiles nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from simcell._version import __version__

if TYPE_CHECKING:
    from simcell.anndata_export import export_anndata
    from simcell.atlas import simulate_atlas
    from simcell.atlas_store import load_atlas
    from simcell.calibration import calibrate
    from simcell.cell import CellModel
    from simcell.counterfactual import counterfactual_pairs
    from simcell.dataset import load
    from simcell.draw import draw_cell_model
    from simcell.edge_lists import read_edge_list, write_edge_list
    from simcell.effects import CellEffects
    from simcell.errors import DataError, SimcellError, SpecError
    from simcell.guides import GuideLibrary, draw_library
    from simcell.network import Network
    from simcell.replaying import replay
    from simcell.run import run_cells
    from simcell.screen import Screen, build_screen, simulate
    from simcell.spec import ScreenSpec, load_screen_spec, parse_screen_spec

_HOME = {
    "export_anndata": "anndata_export",
    "CellModel": "cell",
    "calibrate": "calibration",
    "counterfactual_pairs": "counterfactual",
    "load": "dataset",
    "load_atlas": "atlas_store",
    "draw_cell_model": "draw",
    "read_edge_list": "edge_lists",
    "write_edge_list": "edge_lists",
    "CellEffects": "effects",
    "DataError": "errors",
    "SimcellError": "errors",
    "SpecError": "errors",
    "GuideLibrary": "guides",
    "draw_library": "guides",
    "Network": "network",
    "replay": "replaying",
    "run_cells": "run",
    "Screen": "screen",
    "build_screen": "screen",
    "simulate": "screen",
    "simulate_atlas": "atlas",
    "ScreenSpec": "spec",
    "load_screen_spec": "spec",
    "parse_screen_spec": "spec",
}

__all__ = [
    "CellEffects",
    "CellModel",
    "DataError",
    "GuideLibrary",
    "Network",
    "Screen",
    "ScreenSpec",
    "SimcellError",
    "SpecError",
    "__version__",
    "build_screen",
    "calibrate",
    "counterfactual_pairs",
    "draw_cell_model",
    "draw_library",
    "export_anndata",
    "load",
    "load_atlas",
    "load_screen_spec",
    "parse_screen_spec",
    "read_edge_list",
    "replay",
    "run_cells",
    "simulate",
    "simulate_atlas",
    "write_edge_list",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"simcell.{_HOME[name]}"), name)
    raise AttributeError(f"module 'simcell' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
