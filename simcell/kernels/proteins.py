"""Proteins of one regulator in one cell, drawn whenever somebody looks, in place of counting each that is made or lost.

In: the path of its mRNA, reaction by reaction. Out: a number of molecules, from its exact law. Given that path, protein
is a birth-death process of first order: of p molecules Binomial(p, e^(-loss t)) are left, and Poisson(translation *
integral of n(s) mRNA(s) e^(-loss (t-s)) ds) new ones have come, where n is the guides' factor of translation.

Source: Jahnke & Huisinga, J. Math. Biol. 54 (2007), doi:10.1007/s00285-006-0034-x.
"""

from __future__ import annotations

import math

from simcell.kernels.counts import INVERSION_BELOW, binomial_from, invert_binomial, invert_poisson, poisson_from
from simcell.kernels.effects import exposure
from simcell.kernels.jit import helper, subroutine
from simcell.kernels.molecules import MOST_MOLECULES, divide, follow_alone, happen
from simcell.kernels.streams import uniforms


@helper
def follow(gene, time, cell, setting):
    """Bring the transcripts of any gene to a time, and account for its proteins until then."""
    regulator = setting.chemistry.gene[gene].regulator
    if regulator >= 0:
        follow_regulator(regulator, time, cell, setting)
    else:
        follow_alone(gene, time, cell, setting)


@helper
def follow_regulator(regulator, time, cell, setting):
    """Do so for a regulator, reaction by reaction."""
    rate = setting.chemistry.regulator[regulator]
    state = cell.gene[rate.gene]
    while state.clock < time:
        now = min(state.due, time)
        translate(regulator, now, state, cell, setting)
        state.clock = now
        if state.due <= time:
            happen(rate.gene, cell, setting)


@helper
def translate(regulator, time, state, cell, setting):
    """Account for the proteins that are made and lost until a time up to which the mRNA (of `state`) stays as it is."""
    protein, loss = cell.regulator[regulator], setting.chemistry.regulator[regulator].loss
    hours = time - state.clock
    lost = -math.expm1(-loss * hours)
    if protein.entry < 0:
        weight = lost / loss
    else:
        weight = exposure(regulator, cell.lane, state.clock, time, loss, setting.translation, protein.entry)
    protein.made = protein.made * (1.0 - lost) + state.mrna * weight
    protein.gone = protein.gone * (1.0 - lost) + lost
    protein.age += hours


@helper
def draw_protein(regulator, cell, setting):
    """Draw the proteins at the time up to which the mRNA has been followed; return whether any time had passed."""
    protein, rate = cell.regulator[regulator], setting.chemistry.regulator[regulator]
    if protein.age == 0.0:
        return False
    stream = setting.chemistry.stream + rate.gene
    if renew(protein, cell.gene[rate.gene], rate, setting.key, cell.number, stream):
        cell.fault[0] = rate.gene
    return True


@subroutine
def renew(protein, state, rate, key, cell, stream):
    """Draw the proteins, of which some are lost and some are new; return whether that is no number, or too large."""
    present, draw = protein.protein, state.draw
    gone, made = protein.gone, rate.translation * protein.made
    if present * gone < INVERSION_BELOW and 0.0 <= made < INVERSION_BELOW and gone <= 0.5:
        u, v = uniforms(key, cell, stream, draw)
        draw += 1
        lost = invert_binomial(u, present, gone / (1.0 - gone), math.exp(-rate.loss * protein.age * present))
        new = invert_poisson(v, made)
    else:
        lost, draw = binomial_from(present, gone, key, cell, stream, draw)
        new, draw = poisson_from(made, key, cell, stream, draw)
    protein.protein, state.draw = present - lost + new, draw
    protein.made, protein.age, protein.gone = 0.0, 0.0, 0.0
    return new < 0 or protein.protein > MOST_MOLECULES


@helper
def settle(cell, time, dividing, setting):
    """Bring all genes and proteins to a time; there, if the cell divides, each molecule stays with chance 1/2."""
    for gene in range(cell.gene.size):
        regulator = setting.chemistry.gene[gene].regulator
        follow(gene, time, cell, setting)
        if regulator >= 0:
            draw_protein(regulator, cell, setting)
        if dividing:
            divide(gene, cell, setting)
