"""The transcripts of one gene in one cell, given what its promoter does: shared by the kernels that count molecules.

In: a cell's counts at the time up to which each gene has been followed. Out: the counts at a later time, drawn from
their exact law. A gene is followed only when somebody looks at it, with random numbers of its own.

* mRNA of a regulator, and of any gene with a telegraph promoter, reaction by reaction: Gillespie's direct method
  (J. Phys. Chem. 81 (1977), doi:10.1021/j100540a008) for the few reactions of this gene.
* mRNA of other genes: between bursts molecules are lost independently of each other, so that survivors are binomial.

Their proteins are in `proteins.py`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcell.kernels.chemistry import Chemistry
from simcell.kernels.circuit import Effects
from simcell.kernels.counts import binomial_from
from simcell.kernels.effects import largest_multiplier, mark_entries, multiplier
from simcell.kernels.jit import helper, subroutine
from simcell.kernels.streams import uniforms

MOST_MOLECULES = 2**31 - 1
# streams of a whole cell, after those of its genes; a kernel uses some of them
PHASE, CANDIDATES, ACCEPTANCE, EXTRA = 0, 1, 2, 3
N_CELL_STREAMS = 4
GENE_STATE = np.dtype(
    [
        ("unspliced", "i8"),  # molecules; 0 without splicing
        ("mrna", "i8"),  # molecules, spliced
        ("promoter", "i8"),  # 1 where a telegraph promoter is on
        ("draw", "i8"),  # number of the next draw of its stream
        # the rest is work space of a kernel
        ("clock", "f8"),  # hours up to which it has been followed
        ("due", "f8"),  # hours of its next reaction, if it is followed reaction by reaction
        ("cap", "f8"),  # factor of transcription that its guides never exceed, at least 1
        ("entry", "i8"),  # its first entry in `Setting.transcription`, or -1
    ],
    align=True,
)
REGULATOR_STATE = np.dtype(
    [
        ("protein", "i8"),  # molecules
        # the rest is work space of a kernel
        ("entry", "i8"),  # its first entry in `Setting.translation`, or -1
        ("made", "f8"),  # mRNA-hours since the protein was last drawn, each weighted by how much of its protein is left
        ("age", "f8"),  # hours since then
        ("gone", "f8"),  # chance that a protein of then has been lost
    ],
    align=True,
)


class Molecules(NamedTuple):
    """A block of L cells between two calls of a kernel; all arrays are changed in place."""

    gene: NDArray[np.void]  # (L, G) GENE_STATE
    regulator: NDArray[np.void]  # (L, R) REGULATOR_STATE
    draw: NDArray[np.int64]  # (L, N_CELL_STREAMS) number of the next draw of each
    size: NDArray[np.float64]  # (L,)
    cycle_left: NDArray[np.float64]  # (L,) hours to the next division


class Cell(NamedTuple):
    """One cell of a block."""

    number: int  # by which its random numbers are named
    lane: int
    size: float
    gene: NDArray[np.void]  # (G,)
    regulator: NDArray[np.void]  # (R,)
    draw: NDArray[np.int64]  # (N_CELL_STREAMS,)
    fault: NDArray[np.int64]  # (1,) a gene whose molecules are no number or too many, or -1


class Setting(NamedTuple):
    """What stays as it is during one call of a kernel."""

    chemistry: Chemistry
    transcription: Effects  # by gene
    translation: Effects  # by regulator
    key: NDArray[np.uint32]  # (2,)


@helper
def hazard(gene, cell, chemistry):
    """Return the rate of all reactions of a gene's transcripts, per hour, as if its guides did all they ever do."""
    state, rate = cell.gene[gene], chemistry.gene[gene]
    begun = state.promoter * rate.transcription * cell.size * state.cap
    return begun + state.unspliced * (rate.splicing + rate.unspliced_loss) + state.mrna * rate.loss


@helper
def factor_at(gene, time, cell, setting):
    """Return the factor by which a gene's guides change its transcription at a time."""
    entry = cell.gene[gene].entry
    return multiplier(gene, cell.lane, time, setting.transcription, entry) if entry >= 0 else 1.0


@helper
def translation_factor_at(regulator, time, cell, setting):
    """Return the factor by which a regulator's guides change its translation at a time."""
    entry = cell.regulator[regulator].entry
    return multiplier(regulator, cell.lane, time, setting.translation, entry) if entry >= 0 else 1.0


@helper
def react(gene, uniform, cell, setting):
    """Let one of the gene's reactions happen, chosen by a uniform in proportion to the rates."""
    state, rate = cell.gene[gene], setting.chemistry.gene[gene]
    mark = uniform * hazard(gene, cell, setting.chemistry)
    begun = state.promoter * rate.transcription * cell.size * state.cap
    if mark < begun:
        # thinned: begun is the rate that guides never exceed
        factor = factor_at(gene, state.clock, cell, setting)
        if mark * state.cap < begun * factor:
            add_transcripts(gene, 1, cell, setting.chemistry)
        return
    mark -= begun
    spliced = state.unspliced * rate.splicing
    if mark < spliced:
        state.unspliced -= 1
        state.mrna += 1
    elif mark < spliced + state.unspliced * rate.unspliced_loss:
        state.unspliced -= 1
    elif state.mrna > 0:  # rounding may leave a mark past the last reaction
        state.mrna -= 1


@helper
def add_transcripts(gene, number, cell, chemistry):
    """Add new transcripts, as mRNA if there is no splicing."""
    state = cell.gene[gene]
    if chemistry.gene[gene].splicing > 0.0:
        state.unspliced += number
    else:
        state.mrna += number
    if state.unspliced + state.mrna > MOST_MOLECULES:
        cell.fault[0] = gene


@helper
def await_reaction(gene, uniform, cell, chemistry):
    """Set when the next reaction of a gene happens; forgetting the one set before changes nothing in law."""
    state = cell.gene[gene]
    state.due = state.clock - math.log(uniform) / hazard(gene, cell, chemistry)  # none at a rate of 0: infinite


@subroutine
def next_uniforms(state, key, cell, stream):
    """Return two uniforms of a gene's stream."""
    state.draw += 1
    return uniforms(key, cell, stream, state.draw - 1)


@helper
def expect_reaction(gene, cell, setting):
    """Draw when the next reaction of a gene happens, if it is followed reaction by reaction."""
    if setting.chemistry.gene[gene].regulator >= 0 or setting.chemistry.telegraph:
        await_reaction(
            gene,
            next_uniforms(cell.gene[gene], setting.key, cell.number, setting.chemistry.stream + gene)[0],
            cell,
            setting.chemistry,
        )


@subroutine
def survive(state, rate, time, key, cell, stream):
    """Draw which transcripts, spliced or not, are left at a time, of a gene of which none is made until then."""
    hours, arrived, draw = time - state.clock, np.int64(0), state.draw
    left = math.exp(-rate.loss * hours)
    if state.unspliced > 0:
        gone = rate.splicing + rate.unspliced_loss
        waiting, leaving = math.exp(-gone * hours), -math.expm1(-gone * hours)
        # chance to be spliced and then left: splicing times the convolution of both exponentials
        gap = abs(gone - rate.loss) * hours
        both = hours * max(waiting, left) * (-math.expm1(-gap) / gap if gap > 1e-9 else 1.0)
        moved = min(rate.splicing * both / leaving, 1.0)
        still, draw = binomial_from(state.unspliced, waiting, key, cell, stream, draw)
        arrived, draw = binomial_from(state.unspliced - still, moved, key, cell, stream, draw)
        state.unspliced = still
    stayed, draw = binomial_from(state.mrna, left, key, cell, stream, draw)
    state.mrna, state.draw, state.clock = stayed + arrived, draw, time


@helper
def happen(gene, cell, setting):
    """Let the reaction that a gene awaits happen, and set the next."""
    state = cell.gene[gene]
    which, wait = next_uniforms(state, setting.key, cell.number, setting.chemistry.stream + gene)
    react(gene, which, cell, setting)
    await_reaction(gene, wait, cell, setting.chemistry)


@helper
def follow_alone(gene, time, cell, setting):
    """Bring the transcripts of a gene that is no regulator to a time."""
    state = cell.gene[gene]
    if setting.chemistry.telegraph:
        while state.due <= time:
            state.clock = state.due
            happen(gene, cell, setting)
        state.clock = time
    elif state.clock < time:
        stream = setting.chemistry.stream + gene
        survive(state, setting.chemistry.gene[gene], time, setting.key, cell.number, stream)


@helper
def burst(gene, cell, setting):
    """Add the transcripts of a burst that is not empty, at the time up to which the gene has been followed."""
    size, wait = next_uniforms(cell.gene[gene], setting.key, cell.number, setting.chemistry.stream + gene)
    more = math.log(size) * setting.chemistry.gene[gene].stay
    add_transcripts(gene, 1 + int(min(more, MOST_MOLECULES)), cell, setting.chemistry)
    if setting.chemistry.gene[gene].regulator >= 0:
        await_reaction(gene, wait, cell, setting.chemistry)


@helper
def switch(gene, cell, setting):
    """Switch the promoter of a gene, at the time up to which it has been followed."""
    cell.gene[gene].promoter = 1 - cell.gene[gene].promoter
    expect_reaction(gene, cell, setting)


@helper
def begin(cell, time, setting):
    """Make a cell ready to be followed from a time on."""
    cell.fault[0] = -1
    mark_entries(cell.lane, setting.transcription, cell.gene)
    mark_entries(cell.lane, setting.translation, cell.regulator)
    for gene in range(cell.gene.size):
        state = cell.gene[gene]
        state.cap = largest_multiplier(gene, cell.lane, setting.transcription, state.entry)
        state.clock = time
        expect_reaction(gene, cell, setting)
    for regulator in range(cell.regulator.size):
        protein = cell.regulator[regulator]
        protein.made, protein.age, protein.gone = 0.0, 0.0, 0.0


@helper
def divide(gene, cell, setting):
    """Leave each molecule of a gene with chance 1/2, at the time up to which it has been followed."""
    stream, regulator = setting.chemistry.stream + gene, setting.chemistry.gene[gene].regulator
    halve(cell.gene[gene], setting.key, cell.number, stream)
    if regulator >= 0:
        halve_protein(cell.regulator[regulator], cell.gene[gene], setting.key, cell.number, stream)
    expect_reaction(gene, cell, setting)


@subroutine
def halve(state, key, cell, stream):
    """Leave each transcript of a gene with chance 1/2; its promoter stays as it is."""
    state.unspliced, draw = binomial_from(state.unspliced, 0.5, key, cell, stream, state.draw)
    state.mrna, draw = binomial_from(state.mrna, 0.5, key, cell, stream, draw)
    state.draw = draw


@subroutine
def halve_protein(protein, state, key, cell, stream):
    """Leave each protein with chance 1/2."""
    protein.protein, draw = binomial_from(protein.protein, 0.5, key, cell, stream, state.draw)
    state.draw = draw
