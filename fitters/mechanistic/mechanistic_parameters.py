"""The parameters of `ode-mechanistic` and what they mean: a sparse network, decay, knock-downs with their onset.

In: a `Layout` and `Trajectories`. Out: a torch module with data, parameters, and the penalties on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from fitters.mechanistic.mechanistic_rows import Trajectories
from fitters.mechanistic.mechanistic_screening import Layout
from fitters.mechanistic.regulation_relative import (
    SATURATING,
    USUAL_ACTIVITY,
    USUAL_HILL,
    WITH_HALF_RESPONSE,
    elasticity,
    relative_rate,
)

# What parameters are taken to be where the data do not say: (median, standard deviation of the logarithm or logit).
ACTIVITY = (USUAL_ACTIVITY, 1.0)
HILL = (USUAL_HILL, 0.3)
HALF_RESPONSE = (0.0, 1.0)  # of the log occupancy at control
HALF_LIFE = (5.0, 1.0)  # hours, dilution included
PROTEIN_HALF_LIFE = (12.0, 1.0)
LAG = (3.0, 0.7)  # hours, of CRISPR interference: Noviello et al., Nature Communications 14 (2023)
TIME_CONSTANT = (7.0, 0.7)
# Hill coefficients stay between 1 and 4 (U. Alon, An Introduction to Systems Biology, 2nd ed., 2019), twofold of the
# usual. A higher one makes a switch of a regulator that hardly moves, by which a fit follows noise.
HILL_RANGE = math.log(2.0)
WIDEST = 6.0  # bound of a logit: a line search may try anything
RESIDUAL = 0.3  # of the weights of the residual network's output
MULTIPLIER = 3.0  # of the log of a knock-down: next to nothing is said
STRONGEST = 12.0  # bound of the log of a knock-down
LEAST_GAIN = 0.02  # squared standard errors for each gene, far less than what noise makes of one parameter
HUBER = 0.3  # standard errors within which a weight counts as 0
FASTEST = 2.4  # decay times step, within which a Runge-Kutta step of order 4 is stable (it is up to 2.78)


@dataclass(frozen=True)
class Form:
    """Options of the field: see `OdeMechanistic`."""

    regulation: str
    course: bool
    protein: bool
    calibrated: bool
    residual_units: int
    step_hours: float
    solver: str
    settled_after: float


@dataclass(frozen=True, eq=False)
class Parameters:
    """Parameters of production of some genes, (G, K) and (G,), as `relative_rate` takes them; source is flat."""

    source: Tensor
    shape: tuple[int, ...]
    reference: Tensor
    weight: Tensor
    affinity: Tensor
    hill: Tensor
    activity: Tensor
    gain: Tensor | None
    residual: Tensor | None

    def detached(self) -> Parameters:
        """Return the same as constants."""
        found = {name: value.detach() for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **found)  # type: ignore[arg-type]


class MechanisticParameters(nn.Module):
    """Data and parameters of a field; rows of data are trajectories."""

    # data, which are no parameters
    source: Tensor
    used: Tensor
    kept: Tensor
    unit: Tensor
    regulators: Tensor
    reference: Tensor
    level: Tensor
    inputs: Tensor
    precision: Tensor
    pooled: Tensor
    signal: Tensor
    since: Tensor
    knocked: Tensor
    target: Tensor
    is_control: Tensor
    is_settled: Tensor
    control_row: Tensor

    def __init__(self, layout: Layout, rows: Trajectories, form: Form, *, wanted: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.form, self.wanted, self.equations, self.shapes_held = form, wanted, False, False
        n_genes, n_inputs = len(rows.genes), layout.reference.size
        self.n_regulators = layout.regulators.size

        def keep(name: str, values: object) -> None:
            array = np.asarray(values)
            kind = torch.float64 if array.dtype.kind == "f" else None
            self.register_buffer(name, torch.tensor(array, dtype=kind), persistent=False)

        keep("source", layout.source)
        keep("used", layout.used.astype(np.float64))
        # (G, K) edges that are still candidates; part of the state, for what was dropped stays so
        self.register_buffer("kept", torch.tensor(layout.used.astype(np.float64)))
        # weights are in units of their errors, all by one factor so that they are of the size of other parameters
        self.standard = float(np.median(layout.unit[layout.used])) if layout.used.any() else 1.0
        keep("unit", np.where(layout.used, layout.unit, 0.0) / self.standard)
        keep("regulators", layout.regulators)
        keep("reference", layout.reference)
        keep("level", rows.level)
        keep("inputs", layout.inputs)
        keep("precision", rows.error**-2.0)
        keep("pooled", rows.pooled)
        keep("signal", rows.signal)
        keep("since", rows.since)
        keep("knocked", rows.knocked.astype(np.float64))
        keep("target", rows.target)
        keep("is_control", rows.control)
        late = rows.hours[None, :] - rows.since[:, None] >= form.settled_after
        keep("is_settled", rows.observed & late & ~rows.control[:, None])
        own = [_own_control(rows, row) for row in range(len(rows.label))]
        keep("control_row", np.array(own))
        self.hours, self.begin, self.origin = rows.hours.tolist(), rows.begin, rows.origin
        self.threshold = 2.0 * math.sqrt(2.0 * math.log(max(layout.reference.size, 2)))
        # a mean over all rows and genes: penalties of parameters are in the same unit
        self.n_values = float(np.isfinite(rows.error).sum()) or 1.0
        self.share = rows.level.size / self.n_values

        def parameter(*shape: int, value: object = 0.0) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape, dtype=torch.float64) + torch.as_tensor(value, dtype=torch.float64))

        self.weight_scaled = parameter(*layout.source.shape)
        self.log_strength = parameter(rows.target.size, value=np.log(rows.strength))
        self.log_gain = None if form.calibrated else parameter(n_genes)
        curved, saturates = form.regulation in WITH_HALF_RESPONSE, form.regulation in SATURATING
        self.affinity = parameter(*layout.source.shape) if curved else None
        self.log_hill = parameter(self.n_regulators, value=math.log(HILL[0])) if curved else None
        self.logit_activity = parameter(n_genes, value=_logit(ACTIVITY[0])) if saturates else None
        self.log_half_life = parameter(n_genes, value=math.log(HALF_LIFE[0])) if form.course else None
        proteins = form.course and form.protein
        self.log_protein = parameter(self.n_regulators, value=math.log(PROTEIN_HALF_LIFE[0])) if proteins else None
        self.log_onset = parameter(2, value=np.log([LAG[0], TIME_CONSTANT[0]])) if form.course else None
        units = form.residual_units
        self.residual_in = self.residual_out = None
        if units:
            self.residual_in = nn.Parameter(torch.randn(units, n_inputs, dtype=torch.float64) / math.sqrt(n_inputs))
            self.residual_out = parameter(n_genes, units)

    # what parameters mean

    def _shape_of(self, parameter: Tensor) -> Tensor:
        """Return a parameter of the bend of production functions; held in stages that would bend to noise."""
        return parameter.detach() if self.shapes_held else parameter

    @property
    def weight(self) -> Tensor:
        """(G, K) signed strengths; what is learned is their effect, weaker the nearer a gene is to its maximum."""
        learned = self.weight_scaled * self.unit * self.kept
        if self.logit_activity is None:
            return learned
        return learned * ((1.0 - USUAL_ACTIVITY) / (1.0 - self.activity))[:, None]

    @property
    def hill(self) -> Tensor:
        """(G, K) Hill coefficient of each slot's input; 1 for signals."""
        if self.log_hill is None:
            return torch.ones_like(self.unit)
        ones = torch.zeros(self.reference.numel() - self.n_regulators, dtype=torch.float64, device=self.unit.device)
        usual = math.log(HILL[0])
        log = usual + HILL_RANGE * torch.tanh((self._shape_of(self.log_hill) - usual) / HILL_RANGE)
        return torch.cat([log, ones]).exp()[self.source]

    @property
    def activity(self) -> Tensor:
        """(G,) promoter activity at control."""
        if self.logit_activity is None:
            return torch.full_like(self.unit[:, 0], ACTIVITY[0])
        return torch.sigmoid(self._shape_of(self.logit_activity).clamp(-WIDEST, WIDEST))

    @property
    def step_limit(self) -> float:
        """The fastest rate per hour that the solver can follow."""
        return FASTEST / self.form.step_hours

    @property
    def decay(self) -> Tensor:
        """(G,) rates of loss per hour, no faster than the solver's step can follow."""
        if self.log_half_life is None:
            return torch.ones_like(self.unit[:, 0])
        rate = math.log(2.0) * torch.exp(-self.log_half_life)
        return rate / (1.0 + rate / self.step_limit)

    @property
    def protein_decay(self) -> Tensor:
        """(R,) rates of loss of regulators' proteins per hour."""
        assert self.log_protein is not None
        rate = math.log(2.0) * torch.exp(-self.log_protein)
        return rate / (1.0 + rate / self.step_limit)

    def strengths(self, rows: Tensor) -> Tensor:
        """(n, G) factor of each gene's production once knock-downs are established."""
        acting = self.knocked[rows] * self.log_strength.clamp(-STRONGEST, STRONGEST)
        out = torch.zeros(len(rows), self.unit.shape[0], dtype=acting.dtype, device=acting.device)
        return out.index_add(1, self.target, acting).exp()

    def onset(self, hour: Tensor | float, since: Tensor) -> Tensor:
        """Return (n,) how much of a knock-down is established at an hour: 0 to 1."""
        if self.log_onset is None:
            return torch.ones_like(since)
        lag, constant = self.log_onset.exp()
        return 1.0 - torch.exp(-(hour - since - lag).clamp(min=0.0) / constant)

    def network_of(self, genes: Tensor | None = None) -> Parameters:
        """Return the parameters of production of all genes, or some, as it takes them."""
        pick = slice(None) if genes is None else genes
        source = self.source[pick]
        affinity = torch.zeros_like(self.unit) if self.affinity is None else self._shape_of(self.affinity)
        return Parameters(
            source=source.reshape(-1),
            shape=tuple(source.shape),
            reference=self.reference[source],
            weight=self.weight[pick],
            affinity=affinity[pick],
            hill=self.hill[pick],
            activity=self.activity[pick],
            gain=None if self.log_gain is None else self.log_gain[pick].exp(),
            residual=None if self.residual_out is None else self.residual_out[pick],
        )

    def production(self, inputs: Tensor, network: Parameters) -> Tensor:
        """Return (n, G) relative production v r(q) + residual, >= 0, at inputs (n, R+S)."""
        level = inputs.index_select(1, network.source).reshape(len(inputs), *network.shape)
        rate = self._rate(level, network)
        if network.gain is not None:
            rate = rate * network.gain
        if self.residual_in is not None and network.residual is not None:
            hidden = torch.tanh((inputs - self.reference) @ self.residual_in.T)
            rate = (rate + hidden @ network.residual.T).clamp(min=0.0)
        return rate

    def _rate(self, level: Tensor, network: Parameters) -> Tensor:
        return relative_rate(
            self.form.regulation,
            level,
            network.reference,
            weight=network.weight,
            affinity=network.affinity,
            hill=network.hill,
            activity=network.activity,
        )

    @property
    def least_gain(self) -> float:
        """Gain of the loss in an epoch below which a training has settled, see `LEAST_GAIN`."""
        return LEAST_GAIN * self.unit.shape[0] / self.n_values

    # penalties

    def sparsity(self) -> Tensor:
        """Return the mean of |weight| in its standard errors, times the universal threshold, smooth at 0 (Huber)."""
        size = self.weight_scaled.abs() * self.used / self.standard
        smooth = torch.where(size < HUBER, 0.5 * size**2 / HUBER, size - 0.5 * HUBER)
        return self.threshold * smooth.sum() / self.n_values

    def shape(self) -> Tensor:
        """Return how far parameters other than weights are from what is usual: minus their log prior, times 2/n."""
        total = (self.log_strength / MULTIPLIER).square().sum()
        if self.affinity is not None and self.log_hill is not None:
            total = total + ((self.affinity - HALF_RESPONSE[0]) / HALF_RESPONSE[1]).square().sum()
            total = total + ((self.log_hill - math.log(HILL[0])) / HILL[1]).square().sum()
        if self.logit_activity is not None:
            total = total + ((self.logit_activity - _logit(ACTIVITY[0])) / ACTIVITY[1]).square().sum()
        for log, (median, sd) in ((self.log_half_life, HALF_LIFE), (self.log_protein, PROTEIN_HALF_LIFE)):
            if log is not None:
                total = total + ((log - math.log(median)) / sd).square().sum()
        if self.log_onset is not None:
            for log, (median, sd) in zip(self.log_onset, (LAG, TIME_CONSTANT), strict=True):
                total = total + ((log - math.log(median)) / sd).square()
        return total / self.n_values

    def after_step(self, learning_rate: float) -> None:
        """Set weights within the smooth part of the penalty to 0: the proximal map of its corner."""
        self.weight_scaled[self.weight_scaled.abs() < HUBER * self.standard] = 0.0

    def drop_zeros(self) -> None:
        """Take edges of weight 0 out for good; what is left can then be fitted without a penalty."""
        self.kept *= self.weight_scaled.detach() != 0.0

    def elasticities(self) -> Tensor:
        """Return (G, K) d ln production / d ln level of each slot's input at the control state."""
        affinity = torch.zeros_like(self.unit) if self.affinity is None else self.affinity
        found = elasticity(
            self.form.regulation,
            self.reference[self.source],
            weight=self.weight,
            affinity=affinity,
            hill=self.hill,
            activity=self.activity,
        )
        return found * self.used


def _own_control(rows: Trajectories, row: int) -> int:
    """Return the control trajectory of a row's own arm and medium, else of its arm, else the first."""
    controls = np.flatnonzero(rows.control).tolist()
    same = [one for one in controls if rows.arm[one] == rows.arm[row]]
    exact = [one for one in same if rows.medium[one] == rows.medium[row]]
    return int((exact or same or controls)[0])


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))
