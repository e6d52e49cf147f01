"""The leaping kernel: the reactions of `ssa.py`, with levels that promoters see only once per step, one cell at a time.

In: the molecules of L cells, rates, perturbations, the streams' key. Out: the same arrays, some hours later.

In a step, each promoter's activity is held at the levels that are expected in its middle, if mRNA stays as it is until
then: Gillespie's estimated midpoint (J. Chem. Phys. 115 (2001), doi:10.1063/1.1378322). Given the activities all else
is exact, at its own time, and shared with `ssa.py` (`molecules.py`): bursts, telegraph promoters, guides, splicing,
losses, divisions; and proteins, drawn once per step (`proteins.py`). No count can become negative, for none is ever a
sum of reactions that were drawn apart.

The step is that of the leap condition (Cao, Gillespie & Petzold, J. Chem. Phys. 124 (2006), doi:10.1063/1.2159468), for
the only molecules that rates held constant depend on, the regulators' proteins: mean and standard deviation of the
change of each number in a step are at most epsilon of it, or of a tenth of the wild type's where that is more, or one
molecule; and the step is at most a fraction of the shortest lifetime of a regulator's mRNA or protein.
"""

from __future__ import annotations

import math

import numpy as np

from simcell.kernels.jit import helper, kernel
from simcell.kernels.levels import Levels, activity_of, set_level, set_protein_level
from simcell.kernels.molecules import (
    Cell,
    begin,
    burst,
    factor_at,
    next_uniforms,
    switch,
    translation_factor_at,
)
from simcell.kernels.proteins import draw_protein, follow, follow_regulator, settle

FEW = 0.1  # of the wild type's protein: where there is less, changes count as if there were so much


@helper
def leap(time, epsilon, cell, setting):
    """Return the longest step in hours, from a time on, that the leap condition allows."""
    longest = math.inf
    for regulator in range(cell.regulator.size):
        rate, present = setting.chemistry.regulator[regulator], cell.regulator[regulator].protein
        factor = translation_factor_at(regulator, time, cell, setting)
        made, lost = rate.translation * factor * cell.gene[rate.gene].mrna, rate.loss * present
        allowed = max(epsilon * max(np.float64(present), FEW * cell.size / rate.level_of_one), 1.0)
        longest = min(longest, allowed / abs(made - lost), allowed * allowed / (made + lost))
    return longest


@helper
def foresee(time, hours, levels, cell, setting):
    """Set the levels of all regulators to those expected some hours after a time, if mRNA stays as it is."""
    for regulator in range(cell.regulator.size):
        rate = setting.chemistry.regulator[regulator]
        left = math.exp(-rate.loss * hours)
        made = rate.translation * translation_factor_at(regulator, time, cell, setting) * cell.gene[rate.gene].mrna
        protein = left * cell.regulator[regulator].protein + (1.0 - left) * made / rate.loss
        set_protein_level(regulator, protein, levels, cell, setting.chemistry)


@helper
def run_promoter(gene, end, step, budget, levels, cell, setting):
    """Let a promoter's bursts or switches happen in a step that ends at a time, at the activity of its middle.

    They happen each time that the integral of their rate has used up a standard exponential: what is left of it is in
    `budget` (G,).
    """
    state, rate, active = cell.gene[gene], setting.chemistry.gene[gene], activity_of(gene, levels, cell)
    telegraph = setting.chemistry.telegraph
    speed = rate.redraw if telegraph else cell.size * rate.burst * active * state.cap
    budget[gene] -= speed * step
    while budget[gene] < 0.0 and cell.fault[0] < 0:
        now = end + budget[gene] / speed
        uniform, wait = next_uniforms(state, setting.key, cell.number, setting.chemistry.stream + gene)
        budget[gene] -= math.log(wait)
        if telegraph:
            happens = (uniform < active) != (state.promoter > 0)
        else:
            happens = uniform * state.cap < factor_at(gene, now, cell, setting)
        if happens:
            follow(gene, now, cell, setting)
            if telegraph:
                switch(gene, cell, setting)
            else:
                burst(gene, cell, setting)


@kernel
def tau_advance(molecules, circuit, setting, epsilon, longest, signals, cells, time, hours, fault, fault_time):
    """Advance cells in place by some hours from a time, at constant levels of the signals (S,).

    Args:
        epsilon: relative change of a protein that the leap condition allows. longest: of all steps, hours.
        The others are those of `ssa_advance`.
    """
    n_genes, n_inputs = molecules.gene.shape[1], circuit.hill.size
    budget = np.empty(n_genes)
    levels = Levels(circuit, np.empty((n_inputs, 1)), np.empty((n_inputs, 1)), np.empty(1))
    for signal in range(signals.size):
        set_level(molecules.regulator.shape[1] + signal, signals[signal], levels)
    for lane in range(cells.size):
        cell = Cell(
            cells[lane],
            lane,
            molecules.size[lane],
            molecules.gene[lane],
            molecules.regulator[lane],
            molecules.draw[lane],
            fault[lane : lane + 1],
        )
        begin(cell, time, setting)
        for gene in range(n_genes):
            state = cell.gene[gene]
            budget[gene] = -math.log(next_uniforms(state, setting.key, cell.number, setting.chemistry.stream + gene)[0])
        now, end = time, time + hours
        while now < end and fault[lane] < 0:
            left = molecules.cycle_left[lane]
            step = min(longest, leap(now, epsilon, cell, setting), left, end - now)
            dividing = step == left
            until = end if step == end - now else now + step
            foresee(now, 0.5 * step, levels, cell, setting)
            for gene in range(n_genes):
                run_promoter(gene, until, step, budget, levels, cell, setting)
            for regulator in range(cell.regulator.size):
                follow_regulator(regulator, until, cell, setting)
                draw_protein(regulator, cell, setting)
            if dividing or until == end:
                settle(cell, until, dividing, setting)
            molecules.cycle_left[lane] = setting.chemistry.cycle if dividing else left - step
            now = until
        fault_time[lane] = now
