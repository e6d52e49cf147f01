"""The planted bugs: what is broken, where, by which text for which, and the law that must see it.

Each is a mistake that simulators of this kind were made with, or could be. `planting.py` plants one at a time in a copy
of the package and runs its law there, which must fail; without the bug the same run must pass.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """A mistake and who catches it.

    Attributes:
        name: of the mistake. file: under `simcell/`.
        old, new: the text, which occurs there exactly once, and what it becomes.
        law, engine: of the run that must fail.
    """

    name: str
    file: str
    old: str
    new: str
    law: str
    engine: str


BUGS: tuple[Bug, ...] = (
    Bug(
        name="noise scaled by dt in place of sqrt(dt)",
        file="engines/langevin.py",
        old="(burst / ceiling)[:, None] * (1.0 + remaining)",
        new="step * (burst / ceiling)[:, None] * (1.0 + remaining)",
        law="noise and step",
        engine="langevin",
    ),
    Bug(
        name="a factor of 2 missing in the noise",
        file="engines/langevin.py",
        old="(burst / ceiling)[:, None] * (1.0 + remaining)",
        new="0.5 * (burst / ceiling)[:, None] * (1.0 + remaining)",
        law="stationary counts",
        engine="langevin",
    ),
    Bug(
        name="the same random numbers in every step",
        file="kernels/langevin.py",
        old="            fill_bits(work.bits, key, cells, draw + k, filled)",
        new="            fill_bits(work.bits, key, cells, draw, filled)",
        law="autocorrelation",
        engine="langevin",
    ),
    Bug(
        name="cells of one block sold as independent: streams keyed by lane, without the cell's number",
        file="kernels/streams.py",
        old="        cell = uint64(cells[lane])",
        new="        cell = uint64(lane)",
        law="independent cells",
        engine="langevin",
    ),
    Bug(
        name="time points of one path sold as cells: neighbours go on from each other's state",
        file="run.py",
        old="        for number, now in enumerate(plan.follow(state, effects.take(block), cells=cells, key=key)):\n",
        new="        for lane in range(1, cells.size):\n"
        "            state.pools[:, lane] += 0.7 * (state.pools[:, lane - 1] - state.pools[:, lane])\n"
        "        for number, now in enumerate(plan.follow(state, effects.take(block), cells=cells, key=key)):\n",
        law="independent cells",
        engine="langevin",
    ),
    Bug(
        name="streams of 16 cells used again for the next 16",
        file="kernels/streams.py",
        old="    cell = uint64(cell)\n",
        new="    cell = uint64(cell) % uint64(16)\n",
        law="independent cells",
        engine="ssa",
    ),
    Bug(
        name="streams that depend on the thread",
        file="run.py",
        old="        cells = np.arange(block.start, block.stop, dtype=np.int64)\n",
        new="        cells = np.arange(block.start, block.stop, dtype=np.int64)\n"
        "        cells += 10**6 * (__import__('threading').get_ident() % 1013)\n",
        law="same bits",
        engine="langevin",
    ),
    Bug(
        name="streams that depend on the number of cells in the run",
        file="run.py",
        old="        cells = np.arange(block.start, block.stop, dtype=np.int64)\n",
        new="        cells = np.arange(block.start, block.stop, dtype=np.int64) + 10**6 * n_cells\n",
        law="same bits",
        engine="tau",
    ),
    Bug(
        name="streams keyed by the lane, so that the order of cells matters",
        file="engines/molecular.py",
        old="        self._advance(state.molecules, setting, signals, cells, float(time)",
        new="        self._advance(state.molecules, setting, signals, np.arange(cells.size), float(time)",
        law="same bits",
        engine="ssa",
    ),
    Bug(
        name="bursts of at least one transcript where they may be empty, at the same mean",
        file="engines/molecular.py",
        old='    gene["burst"] = model.max_rate / (1.0 + size)\n'
        '    gene["stay"] = [1.0 / np.log(b / (1.0 + b)) if b > 0.0 else 0.0 for b in size]\n',
        new='    gene["burst"] = model.max_rate / np.maximum(size, 1.0)\n'
        '    gene["stay"] = [1.0 / np.log(1.0 - 1.0 / b) if b > 1.0 else 0.0 for b in size]\n',
        law="stationary counts",
        engine="ssa",
    ),
    Bug(
        name="a promoter that forgets its state twice as fast",
        file="engines/molecular.py",
        old="model.max_rate, model.switching_rate",
        new="model.max_rate, 2.0 * model.switching_rate",
        law="autocorrelation",
        engine="ssa",
    ),
    Bug(
        name="given initial cells ignored",
        file="engines/langevin.py",
        old='_rows(given.get("intensity", given.get("mrna")), model.mean, size)',
        new="_rows(None, model.mean, size)",
        law="transient counts",
        engine="langevin",
    ),
    Bug(
        name="proteins made by rounding the mean, without their own noise",
        file="kernels/proteins.py",
        old="        new = invert_poisson(v, made)\n",
        new="        new = int(made + v)\n",
        law="protein noise",
        engine="ssa",
    ),
    Bug(
        name="dilution by growth missing from the loss of mRNA",
        file="engines/molecular.py",
        old='    gene["loss"] = model.degradation if model.division else model.decay\n',
        new='    gene["loss"] = model.degradation\n',
        law="splicing",
        engine="ssa",
    ),
    Bug(
        name="molecules halved at a division, not dealt out one by one",
        file="kernels/molecules.py",
        old="    state.mrna, draw = binomial_from(state.mrna, 0.5, key, cell, stream, draw)\n",
        new="    state.mrna = (state.mrna + draw % 2) // 2\n",
        law="division",
        engine="ssa",
    ),
    Bug(
        name="a daughter that keeps 55 percent of the proteins",
        file="kernels/molecules.py",
        old="binomial_from(protein.protein, 0.5, key",
        new="binomial_from(protein.protein, 0.55, key",
        law="division",
        engine="tau",
    ),
    Bug(
        name="regulation that senses amounts in place of concentrations",
        file="kernels/levels.py",
        old="level_of_one / cell.size, levels)",
        new="level_of_one, levels)",
        law="size of cells",
        engine="tau",
    ),
    Bug(
        name="a guide that acts at once, its onset ignored",
        file="kernels/effects.py",
        old="    share = 1.0 - math.exp(-elapsed / constant) if constant > 0.0 else 1.0\n",
        new="    share = 1.0\n",
        law="onset of a guide",
        engine="ssa",
    ),
    Bug(
        name="a guide that acts from the beginning, its lag ignored",
        file="kernels/effects.py",
        old="    elapsed = time - effects.start[entry]\n    if elapsed <= 0.0:",
        new="    elapsed = time\n    if elapsed <= 0.0:",
        law="onset of a guide",
        engine="ode",
    ),
    Bug(
        name="a knock-out that leaves translation as it is",
        file="kernels/proteins.py",
        old="    if protein.entry < 0:\n",
        new="    if protein.entry < 1000:\n",
        law="knock-out",
        engine="tau",
    ),
    Bug(
        name="a change of medium that is not felt",
        file="engines/langevin.py",
        old="        state.level[self.model.network.n_regulators :] = signals[:, None]\n",
        new="",
        law="change of medium",
        engine="langevin",
    ),
    Bug(
        name="every edge of a linear network 30 percent too weak",
        file="kernels/regulation.py",
        old="            out[lane] += strength * level[source, lane]\n",
        new="            out[lane] += strength * (level[source, lane] + 0.3 * (1.0 - level[source, lane]))\n",
        law="linear network",
        engine="ssa",
    ),
    Bug(
        name="translation of a perturbed gene left as it was",
        file="kernels/ode.py",
        old="            value[lane] *= multiplier_at(time[lane], translation, entry)\n",
        new="",
        law="noise-free limit",
        engine="ode",
    ),
    Bug(
        name="steps twenty times too long, whatever changes in them",
        file="kernels/tau.py",
        old="            step = min(longest, leap(now, epsilon, cell, setting), left, end - now)\n",
        new="            step = min(20.0 * longest, left, end - now)\n",
        law="autoregulated gene",
        engine="tau",
    ),
    Bug(
        name="regulators not brought to the time at which a promoter looks at them",
        file="kernels/ssa.py",
        old="            follow_regulator(regulator, time, cell, setting)\n",
        new="            pass\n",
        law="two-gene circuit",
        engine="ssa",
    ),
    Bug(
        name="proteins that are lost 20 percent too fast",
        file="engines/molecular.py",
        old='    regulator["loss"] = model.protein_degradation if model.division else model.protein_decay\n',
        new='    regulator["loss"] = 1.2 * model.protein_decay\n',
        law="toggle switch",
        engine="ssa",
    ),
    Bug(
        name="proteins that follow their mRNA 10 percent too fast",
        file="engines/langevin.py",
        old="    half = np.exp(-0.5 * model.protein_decay * step)\n",
        new="    half = np.exp(-0.55 * model.protein_decay * step)\n",
        law="repressilator",
        engine="langevin",
    ),
    Bug(
        name="Hill coefficients ignored",
        file="kernels/langevin.py",
        old="            power[source, lane] = power_of(level[source, lane], hill)\n",
        new="            power[source, lane] = level[source, lane]\n",
        law="engines agree",
        engine="langevin",
    ),
    Bug(
        name="a knock-out that re-calibrates: levels are taken over those of the perturbed cell",
        file="kernels/langevin.py",
        old="            level[r, lane] = left * level[r, lane] + gain * made[lane]\n",
        new="            level[r, lane] = left * level[r, lane] + (ONE - left)\n",
        law="targets of a knock-out",
        engine="langevin",
    ),
    Bug(
        name="targets that make nothing without their activator, their basal rate forgotten",
        file="kernels/regulation.py",
        old="            out[lane] = min(out[lane] * ((a + b * x) / (one + x)), huge)\n",
        new="            out[lane] = min(out[lane] * ((b * x) / (one + x)), huge)\n",
        law="targets of a knock-out",
        engine="ssa",
    ),
    Bug(
        name="half-responses ignored, that is, taken to be the wild-type levels",
        file="cell.py",
        old="            affinity=real(self.edges.affinity),\n",
        new="            affinity=real(np.ones_like(self.edges.affinity)),\n",
        law="half-response",
        engine="ode",
    ),
    Bug(
        name="the noise of single mRNA molecules left out of the theory of proteins",
        file="theory/proteins.py",
        old="    variance = mean * (np.asarray(burst) + 1.0)\n",
        new="    variance = mean * (np.asarray(burst) + 0.9)\n",
        law="theory",
        engine="theory",
    ),
    Bug(
        name="a model that a knock-out changes in place",
        file="run.py",
        old="    effects.require_sound(model.network)\n",
        new="    effects.require_sound(model.network)\n    model.basal[:] *= 1.0 if guides is None else 0.9\n",
        law="wild type untouched",
        engine="langevin",
    ),
)
