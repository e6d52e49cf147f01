"""Engines: what moves cells through time. One file each; to add one, write its class and a line in `ENGINES`."""

from __future__ import annotations

from collections.abc import Callable

from simcell.engines.base import Engine, Observation
from simcell.engines.langevin import Langevin
from simcell.engines.ode import Ode
from simcell.engines.ssa import Ssa
from simcell.engines.tau import Tau

ENGINES: dict[str, Callable[..., Engine]] = {"langevin": Langevin, "tau": Tau, "ssa": Ssa, "ode": Ode}

__all__ = ["ENGINES", "Engine", "Langevin", "Observation", "Ode", "Ssa", "Tau"]
