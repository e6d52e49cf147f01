"""The deterministic kernel: the mean-field equations of one cell, solved to a stated tolerance.

dy_g/dt = decay_g (ceiling_g activity_g(level) m_g(t) - y_g), dlevel_r/dt = protein_decay_r (n_r(t) y_r/mean_r -
level_r), with m and n the perturbations' multipliers. Molecules' lifetimes differ little: the system is hardly stiff.

Source: the pair of orders 5 and 4 of Dormand & Prince, "A family of embedded Runge-Kutta formulae", J. Comput. Appl.
Math. 6 (1980), table 2, with the standard step control of Hairer, Norsett & Wanner, Solving ODEs I, section II.4.
"""

from __future__ import annotations

import numpy as np

from simcell.kernels.circuit import Effects
from simcell.kernels.effects import multiplier_at
from simcell.kernels.elementary import power_of
from simcell.kernels.jit import helper, kernel
from simcell.kernels.regulation import activity

NODES = np.array([0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0])
STAGES = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [1 / 5, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ]
)
# fifth order minus fourth order
ERROR = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
SAFETY, SMALLEST_FACTOR, LARGEST_FACTOR = 0.9, 0.2, 5.0
SUCCESS, NOT_FINITE, TOO_MANY_STEPS = 0, 1, 2


@helper
def slope(time, state, out, circuit, transcription, translation, level, power, value, scratch):
    """Set out (G+R,) to the slope at a state (G+R,); level, power (I, 1), value and scratch (1,) are work space."""
    n_genes = circuit.basal.size
    for r in range(circuit.regulator.size):
        level[r, 0] = max(state[n_genes + r], 0.0)
        power[r, 0] = power_of(level[r, 0], circuit.hill[r])
    entry = 0
    for gene in range(n_genes):
        activity(gene, circuit, level, power, value, scratch)
        while entry < transcription.row.size and transcription.row[entry] == gene:
            value[0] *= multiplier_at(time, transcription, entry)
            entry += 1
        out[gene] = circuit.decay[gene] * (circuit.ceiling[gene] * value[0] - state[gene])
    entry = 0
    for r in range(circuit.regulator.size):
        made = state[circuit.regulator[r]] / circuit.mean[r]
        while entry < translation.row.size and translation.row[entry] == r:
            made *= multiplier_at(time, translation, entry)
            entry += 1
        out[n_genes + r] = circuit.protein_decay[r] * (made - level[r, 0])


@helper
def ode_solve(state, signals, circuit, transcription, translation, time, hours, tolerance, max_steps):
    """Advance state (G+R,) float64, mRNA then levels, in place over `hours` from `time` at constant signals (S,).

    Returns 0, or 1 where a value is no longer finite, or 2 after max_steps. The error of a step is held below
    tolerance * (1e-3 + |state|) for mRNA in molecules and levels alike.
    """
    n_regulators, size = circuit.regulator.size, state.size
    level, power = np.empty((circuit.hill.size, 1)), np.empty((circuit.hill.size, 1))
    for s in range(signals.size):
        level[n_regulators + s, 0] = signals[s]
        power[n_regulators + s, 0] = power_of(signals[s], circuit.hill[n_regulators + s])
    value, scratch = np.empty(1), np.empty(1)
    slopes, trial = np.empty((7, size)), np.empty(size)
    end, step = time + hours, min(hours, 0.1)
    slope(time, state, slopes[0], circuit, transcription, translation, level, power, value, scratch)
    for _ in range(max_steps):
        if end - time <= 1e-12 * max(1.0, abs(end)):
            return SUCCESS
        step = min(step, end - time)
        for stage in range(1, 7):
            for i in range(size):
                change = 0.0
                for earlier in range(stage):
                    change += STAGES[stage, earlier] * slopes[earlier, i]
                trial[i] = state[i] + step * change
            now = time + NODES[stage] * step
            slope(now, trial, slopes[stage], circuit, transcription, translation, level, power, value, scratch)
        worst = 0.0
        for i in range(size):
            error = 0.0
            for stage in range(7):
                error += ERROR[stage] * slopes[stage, i]
            scale = tolerance * (1e-3 + max(abs(state[i]), abs(trial[i])))
            worst = max(worst, abs(step * error) / scale)
            if not np.isfinite(trial[i]):
                return NOT_FINITE
        if worst <= 1.0:
            time += step
            state[:] = trial
            slopes[0] = slopes[6]
        factor = SAFETY * worst ** (-0.2) if worst > 0.0 else LARGEST_FACTOR
        step *= min(LARGEST_FACTOR, max(SMALLEST_FACTOR, factor))
    return TOO_MANY_STEPS


@helper
def entries_of(effects, first, last):
    """Return the entries first..last of `Effects`."""
    return Effects(
        effects.row[first:last],
        effects.lane[first:last],
        effects.multiplier[first:last],
        effects.start[first:last],
        effects.constant[first:last],
    )


@kernel
def ode_cells(states, levels, circuit, transcription, translation, time, hours, tolerance, max_steps, status):
    """Advance states (N, G+R) float64 of N cells in place; entries sorted by lane and row, signals in levels (I, N).

    Sets status (N,) int64 to what `ode_solve` returns for each cell.
    """
    begin, begin_translation = 0, 0
    for cell in range(states.shape[0]):
        end, end_translation = begin, begin_translation
        while end < transcription.lane.size and transcription.lane[end] == cell:
            end += 1
        while end_translation < translation.lane.size and translation.lane[end_translation] == cell:
            end_translation += 1
        signals = levels[circuit.regulator.size :, cell].copy()
        status[cell] = ode_solve(
            states[cell],
            signals,
            circuit,
            entries_of(transcription, begin, end),
            entries_of(translation, begin_translation, end_translation),
            time,
            hours,
            tolerance,
            max_steps,
        )
        begin, begin_translation = end, end_translation


@kernel
def steady_slope(state, signals, circuit, transcription, translation, out):
    """Set out (G+R,) to the slope at a state (G+R,) with every perturbation fully established (time = infinity)."""
    n_regulators = circuit.regulator.size
    level, power = np.empty((circuit.hill.size, 1)), np.empty((circuit.hill.size, 1))
    for s in range(signals.size):
        level[n_regulators + s, 0] = signals[s]
        power[n_regulators + s, 0] = power_of(signals[s], circuit.hill[n_regulators + s])
    value, scratch = np.empty(1), np.empty(1)
    slope(np.inf, state, out, circuit, transcription, translation, level, power, value, scratch)
