"""`ode-mechanistic`: differential equations with a sparse signed network, a regulation function, decay, knock-downs.

In: training data, with the notes of the experiment if there are any. Out: profiles at any time, in any medium, edges
with effect sizes, and those rates that the data can tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fitters.checks import Scope
from fitters.contract import Assumption, Claim
from fitters.errors import FitterError
from fitters.options import check_choice, check_flags, check_numbers, check_whole_numbers
from fitters.training.batches import RowLabels
from fitters.training.cells import CellTable
from fitters.training.checkpoint import check_stages, fingerprint_of
from fitters.training.devices import seeded
from fitters.training.options import TrainedFitter
from fitters.training_data import TrainingData

if TYPE_CHECKING:
    from fitters.mechanistic.mechanistic_fit import MechanisticFit
    from fitters.mechanistic.mechanistic_rows import Trajectories

REGULATIONS = ("thermodynamic", "hill_sum", "logistic", "linear")
FIT_TO = ("auto", "steady-state", "time-course")
SOLVERS = ("rk4", "dopri5")


@dataclass(frozen=True, kw_only=True)
class OdeMechanistic(TrainedFitter):
    """A semi-mechanistic model: production by a learned network and a chosen regulation function, decay, knock-downs.

    Equations, in levels x (G,) relative to the control state, at which x = 1:

    - ``dx_g/dt = d_g (m_g(t) (v_g r_g(q) + c_g(q)) - x_g)``, q the levels of the regulators (their mRNA, or protein:
      ``dq_r/dt = e_r (x_r - q_r)``) and of the signals of the medium
    - r_g is one of four regulation functions over its value at control (`fitters.mechanistic.regulation_relative`), so
      that the control state is a fixed point to the last bit, with v = 1 (`calibrated`); the network is sparse and
      signed: each gene has at most `slots` candidate inputs among the genes that are perturbed, and weights of 0
    - c, optional, is a network of one hidden layer with c = 0 at control
    - ``m_t(t) = 1 + (s_t - 1)(1 - exp(-(t - t0 - lag)/tau))`` for targets t, t0 the hour of transduction, 1 for
      others; s_t, one for each arm and target, is measured on the target. Combinations multiply.
    - measurement: what is compared is x over that of the controls of the earliest context, with the levels that
      `fitters.course_levels` makes of counts (depth, batches and composition are taken out there)
    - at rest ``x_g = m_g (v_g r_g(q) + c_g(q))``, found by Newton's method, its gradient by the implicit function
      theorem; time courses by torchdiffeq. Rates d, e, lag and tau matter in time courses only.

    Terms of the loss, means over levels:

    - response: squared error in standard errors
    - sparsity: sum of |weight|, each in units of the standard error that the data allow it, times the universal
      threshold sqrt(2 ln R): weight 1 lets no edge pass that noise alone would make. Exact zeros.
    - shape: minus the log prior of half-responses, Hill coefficients, activities, half-lives and onset, which are
      hardly told by few or noisy data; it is as one observation each
    - residual: the same of the network c
    - steady_state_controls, steady_state_settled: |f/d|^2 at measured levels of controls, and of cells perturbed for
      at least `settled_after` hours (f over decay: per lifetime, or slow decay would be a way out)
    - contrast_matched, contrast_pooled: responses against controls of the same batches, or of all batches together

    Stages: every gene's equation by itself, with measured levels as its inputs (noise taken down), which needs neither
    fixed points nor solver; then, if levels are measured to 1%, all together under the penalty; then all together with
    the edges that are left, without the penalty (the relaxed lasso: N. Meinshausen, Comput. Stat. Data Anal. 52 (2007),
    374-393). Where levels are noisier, edges are chosen by the first stage alone, with half-responses, Hill
    coefficients and activities held: fitted together, a few regulators that are measured badly would be made to swing
    and to stand for what all genes have in common, which a penalty on weights rewards.

    What can be told: at rest neither rates nor absolute production, but ``activity`` (production over its maximum, of
    functions that saturate, where a gene's inputs vary enough) or ``basal/activity`` (of those that add); from time
    courses also ``half_life`` and, with proteins, ``protein_half_life``. Of those that the data leave open nothing is
    said. Where levels are measured no better than to 1%, nothing is said of activities, for noise in the inputs bends
    too, nor of half-lives without proteins, whose delay would pass for slow transcripts. Intervals are given the
    parameters of all other genes and the choice of edges: where levels are noisy they are too narrow.

    Source: the models of mRNA (and protein) balance with regulated production of Ma et al. / Dibaeinia & Sinha
    (SERGIO), Cell Systems 11 (2020), Bintu et al. (2005) and Aguirre et al. (2024); fitting perturbation responses to
    steady states and courses of such equations: W. Yuan et al. (CellBox), Cell Systems 12 (2021), 128-140; sum of
    mechanism and network: C. Rackauckas et al., "Universal differential equations", arXiv:2001.04385.

    Differences: CellBox integrates tanh fields of proteins and phenotypes to a time at which they rest; here there is
    a choice of function, the steady state is solved for, weights are penalised in units of their errors, knock-downs
    change production instead of adding a drive, and there is a measurement model.

    Args:
        regulation: "thermodynamic", "hill_sum", "logistic" or "linear".
        protein: whether regulators act by a protein that follows their mRNA (time courses only; at rest it is alike).
        residual_units: hidden units of c; 0: none.
        calibrated: whether the controls' medium keeps them at rest exactly; else v is learned, gene by gene.
        fit_to: "steady-state" (the last hour of each arm), "time-course", or "auto": a course if the data have several
            times, or were taken earlier than `settled_after`.
        settled_after: hours since transduction after which perturbed cells are taken to have come to rest.
        slots: candidate inputs per gene.
        refit: whether the edges that are left are fitted once more without the penalty, which draws weights to 0.
        step_hours: longest step of the solver "rk4".
        solver: "rk4" or "dopri5" (adaptive).
        doubling_time: hours in which cells double, which dilutes them; null: they do not grow. Used only to take
            dilution out of the half-lives that are told.
        learning_rate: null: 1 with L-BFGS, 0.01 with Adam.
        first_epochs: most epochs of each stage before the last. For others see `TrainedFitter`; an epoch of L-BFGS is
            20 steps, and a stage ends when an epoch gains less than 0.02 squared standard errors for each gene.

    Raises:
        FitterOptionError: an option out of range.
    """

    name = "ode-mechanistic"
    family = "semi-mechanistic"
    packages = ("torch", "torchdiffeq")
    claims = frozenset(
        {
            Claim.MEAN,
            Claim.NETWORK,
            Claim.KINETICS,
            Claim.UNSEEN_GENE,
            Claim.COMBINATION,
            Claim.TIME,
            Claim.MEDIUM,
            Claim.ARM,
        }
    )
    assumptions = frozenset({Assumption.ALL_REGULATORS_SEEN, Assumption.STATIONARY_CONTROLS})
    source = "Yuan et al. (CellBox), Cell Systems 12 (2021); Dibaeinia & Sinha (SERGIO), Cell Systems 11 (2020)"
    rates = {"lbfgs": 1.0, "adam": 0.01}  # noqa: RUF012 (a class attribute of a frozen dataclass, not a field)
    terms = {  # noqa: RUF012 (a class attribute of a frozen dataclass, not a field)
        "response": 1.0,
        "sparsity": 1.0,
        "shape": 1.0,
        "residual": 1.0,
        "steady_state_controls": 0.0,
        "steady_state_settled": 0.0,
        "contrast_matched": 0.0,
        "contrast_pooled": 0.0,
    }

    epochs: int = 40
    first_epochs: int = 4
    learning_rate: float | None = None
    optimiser: str = "lbfgs"
    gradient_clip: float | None = None
    held_out: float = 0.0
    regulation: str = "thermodynamic"
    protein: bool = False
    residual_units: int = 0
    calibrated: bool = True
    fit_to: str = "auto"
    settled_after: float = 96.0
    slots: int = 12
    refit: bool = True
    step_hours: float = 3.0
    solver: str = "rk4"
    doubling_time: float | None = 24.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "regulation", among=REGULATIONS)
        check_choice(self, "fit_to", among=FIT_TO)
        check_choice(self, "solver", among=SOLVERS)
        check_flags(self, "protein", "calibrated", "refit")
        check_whole_numbers(self, "residual_units", at_least=0)
        check_whole_numbers(self, "slots", "first_epochs", at_least=1)
        check_numbers(self, "settled_after", at_least=0)
        check_numbers(self, "step_hours", above=0)
        check_numbers(self, "doubling_time", above=0, or_none=True)

    @property
    def weights(self) -> dict[str, float]:
        """Weights of the terms in use: that of the residual network only where there is one."""
        return {name: weight for name, weight in super().weights.items() if name != "residual" or self.residual_units}

    def fit(self, data: TrainingData, *, seed: int) -> MechanisticFit:
        """Return the fit.

        Raises:
            FitterError: no perturbation, or none whose targets were all measured; the term steady_state_settled where
                no cells were perturbed for so long; a training that diverged.
        """
        from fitters.mechanistic.mechanistic_fit import MechanisticFit, state_of
        from fitters.mechanistic.mechanistic_module import MechanisticField
        from fitters.mechanistic.mechanistic_parameters import Form
        from fitters.mechanistic.mechanistic_rows import trajectories
        from fitters.mechanistic.mechanistic_screening import layout_of
        from fitters.training.loop import train

        course = self._follows_time(data)
        rows = trajectories(data, fitter=self.name, last_only=not course)
        self._check_settled(rows)
        layout = layout_of(rows, regulation=self.regulation, slots=self.slots)
        form = Form(
            regulation=self.regulation,
            course=course,
            protein=self.protein,
            calibrated=self.calibrated,
            residual_units=self.residual_units,
            step_hours=float(self.step_hours),
            solver=self.solver,
            settled_after=float(self.settled_after),
        )
        with seeded(seed, 0):
            field = MechanisticField(layout, rows, form, wanted=frozenset(self.weights))
        table = CellTable.of(data)
        fingerprint = fingerprint_of(table, sorted(data.experiments.items()), repr(self), seed)
        held = dict(zip(table.conditions, table.held_out(self.held_out, seed=seed).tolist(), strict=True))
        codes = {label: code for code, label in enumerate(table.conditions)}
        labels = RowLabels(
            condition=np.array([codes[label] for label in rows.label], dtype=np.intp),
            batch=np.zeros(len(rows.label), dtype=np.intp),
            held_out=np.array([held[label] for label in rows.label]),
        )
        shared: dict[str, Any] = {"weights": self.weights, "seed": seed, "fingerprint": fingerprint}
        selects = self.refit and rows.precise
        check_stages(self, "equations", *(("selection",) if selects else ()), "", fingerprint=fingerprint)
        field.equations, field.shapes_held = True, not rows.precise
        earlier = [train(field, labels, self, stage="equations", epochs=self.first_epochs, **shared)]
        field.equations = field.shapes_held = False
        if selects:
            most = min(self.first_epochs, self.epochs)
            earlier.append(train(field, labels, self, stage="selection", epochs=most, **shared))
        if self.refit or not rows.precise:
            field.drop_zeros()
        if self.refit:
            shared["weights"] = self.weights | {"sparsity": 0.0}
        history = train(field, labels, self, **shared)
        return MechanisticFit(
            fitter=self.name,
            claims=self.claims,
            scope=Scope.of(data),
            control=data.control,
            notes=(
                *rows.notes,
                *self._notes(course, told=rows.precise or self.protein, settled=len(history.training) < self.epochs),
            ),
            history=replace(history, earlier=tuple(earlier)),
            genes=data.genes,
            rows=rows,
            layout=layout,
            form=form,
            state=state_of(field),
            doubling_time=self.doubling_time,
        )

    def _follows_time(self, data: TrainingData) -> bool:
        """Return whether to fit time courses."""
        if self.fit_to != "auto":
            return self.fit_to == "time-course"
        if np.unique(data.time).size > 1:
            return True
        noted = [arm for arm in np.unique(data.arm) if arm in data.experiments and data.experiments[arm].steps]
        since = [data.time[data.arm == arm].max() - data.experiments[arm].transduced_at for arm in noted]
        return bool(since) and max(since) < self.settled_after

    def _check_settled(self, rows: Trajectories) -> None:
        if "steady_state_settled" not in self.weights:
            return
        elapsed = np.where(rows.observed, rows.hours[None, :] - rows.since[:, None], -np.inf)[~rows.control]
        if not (elapsed >= self.settled_after).any():
            hours = ", ".join(f"{hour:g}" for hour in np.unique(elapsed[np.isfinite(elapsed)]))
            problem = f"no cells were perturbed for settled_after = {self.settled_after:g} h or longer"
            raise FitterError(self.name, f"term steady_state_settled: {problem}; the data have {hours} h")

    def _notes(self, course: bool, *, told: bool, settled: bool) -> tuple[str, ...]:
        if not course:
            found = "fitted to steady states: rates are not told"
        elif not told:
            found = "fitted to noisy time courses without proteins, whose delay is not told from half-lives"
        elif self.doubling_time is None:
            found = "fitted to time courses; cells are taken not to grow"
        else:
            found = f"fitted to time courses; half_life without dilution: cells double every {self.doubling_time:g} h"
        if settled:
            return (found,)
        return (found, f"the loss was still falling after epochs = {self.epochs}: intervals may be too narrow")
