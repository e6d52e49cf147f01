"""The fast stochastic kernel: latent mRNA intensities as square-root diffusions, proteins as relaxations to them.

In: intensities (G, L) and levels (I, L) of L cells side by side (lanes), a circuit, perturbations, the streams' key.
Out: the same arrays, `n_steps` steps later. Lanes are innermost, so that every inner loop is one vector operation.

Law: counts are Poisson(y), dy = decay (theta - y) dt + sqrt(2 decay b y) dW, with theta the production over decay and b
the burst size; at constant theta y is Gamma(theta/b, b), counts are negative binomial with Fano factor 1 + b.
One step is symmetric (Strang): half a step of proteins, a whole step of intensities by Andersen's quadratic-exponential
scheme (conditional mean and variance exact, never negative, stable at any step), half a step of proteins.

Source: Andersen, "Simple and efficient simulation of the Heston stochastic volatility model", J. Comput. Finance 11
(2008), section 3.2.4, here for the variance process alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float32, int32
from numpy.typing import NDArray

from simcell.kernels.effects import multiplier_over
from simcell.kernels.elementary import log, normal, power_of, square_root, survival
from simcell.kernels.jit import helper, kernel
from simcell.kernels.regulation import activity
from simcell.kernels.streams import fill_bits

F = np.float32
ZERO, HALF, ONE, TWO = F(0.0), F(0.5), F(1.0), F(2.0)
# Andersen's switch between the squared normal (below) and the exponential with an atom at 0; any of 1 to 2 works
SWITCH = F(1.5)
SMALLEST_RATIO = F(1e-10)  # of variance to squared mean; below it the step is deterministic to float32 anyway
SMALLEST_MEAN = F(1e-15)  # its square is still a normal float32


@helper
def quadratic_exponential(intensity, production, ceiling, remaining, burst, bits):
    """Advance intensity (L,) by one step in which a fraction `remaining` = exp(-decay h) of it would survive.

    The intensity is drawn to theta = production (L,) * ceiling, production being activity times perturbation.
    """
    gone = ONE - remaining
    from_intensity = TWO * burst * remaining * gone
    from_theta = burst * gone * gone * ceiling
    gain = ceiling * gone
    for lane in range(intensity.size):
        mean = max(production[lane] * gain + intensity[lane] * remaining, SMALLEST_MEAN)
        variance = intensity[lane] * from_intensity + production[lane] * from_theta
        ratio = max(variance / (mean * mean), SMALLEST_RATIO)
        # the squared normal a (b + Z)^2
        inverse = TWO / min(ratio, SWITCH)
        b_squared = inverse - ONE + square_root(inverse * (inverse - ONE))
        root = square_root(b_squared) + normal(int32(bits[lane]))
        squared = mean / (ONE + b_squared) * root * root
        # zero with probability (ratio - 1)/(ratio + 1), else exponential; both branches rise with normal(bits)
        chance = survival(int32(bits[lane]))
        above = max(ratio, SWITCH)
        exponential = -log(chance * (above + ONE) * HALF) * mean * (above + ONE) * HALF
        intensity[lane] = squared if ratio <= SWITCH else max(exponential, ZERO)


class Workspace(NamedTuple):
    """Arrays that a kernel needs while it works, for L lanes."""

    remaining: NDArray[np.float32]  # (G,) of an intensity, after a step
    remaining_level: NDArray[np.float32]  # (R,) of a level, after half a step
    power: NDArray[np.float32]  # (I, L) level^hill
    production: NDArray[np.float32]  # (L,)
    scratch: NDArray[np.float32]  # (L,)
    bits: NDArray[np.uint32]  # (4, L) random bits of four genes


@helper
def relax_levels(level, intensity, circuit, work, translation, time, step):
    """Advance protein levels by half a step in which the mRNA stays as it is."""
    entry, made = 0, work.scratch
    for r in range(circuit.regulator.size):
        gene, kept = circuit.regulator[r], work.remaining_level[r]
        gain = (ONE - kept) / circuit.mean[r]
        for lane in range(level.shape[1]):
            made[lane] = intensity[gene, lane]
        while entry < translation.row.size and translation.row[entry] == r:
            made[translation.lane[entry]] *= float32(multiplier_over(time, step, translation, entry))
            entry += 1
        for lane in range(level.shape[1]):
            level[r, lane] = kept * level[r, lane] + gain * made[lane]


@helper
def advance_genes(intensity, level, expected, wake, circuit, work, transcription, key, cells, draw, start, step):
    """Advance the intensities of all genes that are awake by one step that begins at `start`; levels stay."""
    entry, filled = 0, -1
    for gene in range(intensity.shape[0]):
        if wake[gene] > start:
            continue
        if gene // 4 != filled:
            filled = gene // 4
            fill_bits(work.bits, key, cells, draw, filled)
        activity(gene, circuit, level, work.power, work.production)
        while entry < transcription.row.size and transcription.row[entry] < gene:
            entry += 1
        while entry < transcription.row.size and transcription.row[entry] == gene:
            work.production[transcription.lane[entry]] *= float32(multiplier_over(start, step, transcription, entry))
            entry += 1
        ceiling, remaining = circuit.ceiling[gene], work.remaining[gene]
        if wake[gene] > -np.inf:
            wake[gene] = -np.inf
            for lane in range(intensity.shape[1]):
                intensity[gene, lane] = work.production[lane] * ceiling
            if expected.shape[0] > 0:
                for lane in range(intensity.shape[1]):
                    expected[gene, lane] = intensity[gene, lane]
        if expected.shape[0] > 0:
            gain = ceiling * (ONE - remaining)
            for lane in range(intensity.shape[1]):
                expected[gene, lane] = remaining * expected[gene, lane] + gain * work.production[lane]
        bits = work.bits[gene % 4]
        quadratic_exponential(intensity[gene], work.production, ceiling, remaining, circuit.burst[gene], bits)


@helper
def raise_levels(power, level, circuit, first, last):
    """Set rows first..last of power to level^hill."""
    for source in range(first, last):
        hill = circuit.hill[source]
        for lane in range(level.shape[1]):
            power[source, lane] = power_of(level[source, lane], hill)


@helper
def advance(
    intensity, level, expected, wake, circuit, work, transcription, translation, key, cells, time, step, n_steps, draw
):
    """Advance a block by n_steps, each symmetrical: half a step of proteins, one of intensities, half of proteins."""
    n_regulators = circuit.regulator.size
    raise_levels(work.power, level, circuit, n_regulators, level.shape[0])
    for k in range(n_steps):
        start = time + k * step
        relax_levels(level, intensity, circuit, work, translation, start, step)
        raise_levels(work.power, level, circuit, 0, n_regulators)
        advance_genes(intensity, level, expected, wake, circuit, work, transcription, key, cells, draw + k, start, step)
        relax_levels(level, intensity, circuit, work, translation, start, step)


@kernel
def langevin_steps(
    intensity, level, expected, wake, circuit, transcription, translation, key, cells, time, step, n_steps, first_draw
):
    """Advance a block in place by n_steps of `step` hours from `time`; its draws are first_draw, first_draw + 1, ...

    Args:
        intensity: (G, L) float32, molecules per cell.
        level: (I, L) float32; rows past the regulators are signals and stay as they are.
        expected: (G, L) float32, the mean of intensity given the production of the gene's own promoter so far, in which
            the noise of its bursts is averaged out (Rao-Blackwell); or (0, L) where nobody asks for it.
        wake: (G,) hours from which on each gene is simulated; it then starts at the mean that its promoter holds at
            that time, and is marked as awake by -inf.
        circuit: `Circuit` of float32.
        transcription, translation: `Effects` by gene and by regulator.
        key: (2,) uint32. cells: (L,) int64, the number of each lane's cell. time, step: hours.
    """
    lanes = intensity.shape[1]
    work = Workspace(
        np.exp(-circuit.decay.astype(np.float64) * step).astype(np.float32),
        np.exp(-circuit.protein_decay.astype(np.float64) * (0.5 * step)).astype(np.float32),
        np.empty_like(level),
        np.empty(lanes, np.float32),
        np.empty(lanes, np.float32),
        np.empty((4, lanes), np.uint32),
    )
    advance(
        intensity,
        level,
        expected,
        wake,
        circuit,
        work,
        transcription,
        translation,
        key,
        cells,
        time,
        step,
        n_steps,
        first_draw,
    )
