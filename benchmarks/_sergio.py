"""The other simulator: sergio_rs (SERGIO in Rust) on a simcell network, with the settings of its own documentation.

In: an acyclic network, a number of cell types and of cells. Out: its expression table. SERGIO's cells are states at
random times of one path per cell type.

Source: Dibaeinia & Sinha, "SERGIO: a single-cell expression simulator guided by gene regulatory networks", Cell Systems
11 (2020), doi:10.1016/j.cels.2020.08.003.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcell import Network

# as in the package's documentation; k from SERGIO's paper
DECAY, HILL, STEP, NOISE, STEPS_BEFORE, STEPS_PER_CELL = 0.8, 2, 0.01, 1, 150, 10
STRENGTH = (1.0, 5.0)
RATES = {"low_range": (0.0, 2.0), "high_range": (2.0, 4.0)}
# all cell types alike: the narrowest ranges that the package accepts
RATES_ALIKE = {"low_range": (2.0, 2.0001), "high_range": (2.0001, 2.0002)}


def acyclic_network(genes: int, *, masters: int, regulators: int, edges_per_gene: int, seed: int = 0) -> Network:
    """Return masters that nobody regulates, regulators under them, and genes under both, in this order.

    SERGIO knows no cycles, and its masters have rates of their own in place of regulators.
    """
    generator = np.random.default_rng(seed)
    source = [
        generator.choice(masters if target < regulators else regulators, edges_per_gene, replace=False)
        for target in range(masters, genes)
    ]
    target = np.repeat(np.arange(masters, genes), edges_per_gene)
    sign = generator.choice([-1, 1], target.size)
    names = tuple(f"G{number:05d}" for number in range(genes))
    return Network(names, np.concatenate(source).astype(np.int32), target.astype(np.int32), sign.astype(np.int8))


def _circuit(network: Network, *, seed: int) -> Any:
    import sergio_rs

    generator = np.random.default_rng(seed)
    circuit = sergio_rs.GRN()
    genes = [sergio_rs.Gene(name=name, decay=DECAY) for name in network.genes]
    for regulator, target, sign in zip(network.regulator, network.target, network.sign, strict=True):
        strength = float(sign * generator.uniform(*STRENGTH))
        circuit.add_interaction(reg=genes[regulator], tar=genes[target], k=strength, h=None, n=HILL)
    circuit.set_mrs()
    return circuit


def prepare(
    network: Network, *, types: int, cells: int, alike: bool = False, before: int = STEPS_BEFORE,
    per_cell: int = STEPS_PER_CELL, seed: int = 1,
) -> Callable[[], NDArray[np.float64]]:  # fmt: skip
    """Return a simulation that is ready to run, once; it returns (genes, types, cells), genes in no telling order."""
    import sergio_rs

    circuit = _circuit(network, seed=0)
    rates = RATES_ALIKE if alike else RATES
    profile = sergio_rs.MrProfile.from_random(circuit, num_cell_types=types, **rates, seed=seed)
    simulation = sergio_rs.Sim(
        circuit, num_cells=cells, noise_s=NOISE, safety_iter=before, scale_iter=per_cell, dt=STEP, seed=seed
    )

    def run() -> NDArray[np.float64]:
        table = simulation.simulate(profile)
        return table.drop("Genes").to_numpy().reshape(-1, types, cells)

    return run


def states_in_time(network: Network, *, types: int, steps: NDArray[np.int64], seed: int = 1) -> NDArray[np.float64]:
    """Return (genes, types, times) after given numbers of steps of the same paths, one per cell type.

    The package hides the times of its cells; but a simulation that asks for one cell, after so many steps, must give
    the state at that step, and the same seed gives the same path.
    """
    return np.concatenate(
        [
            prepare(network, types=types, cells=1, alike=True, before=int(step), per_cell=1, seed=seed)()
            for step in steps
        ],
        axis=2,
    )
