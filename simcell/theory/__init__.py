"""Theory: closed forms and exact numerics of intensities, counts, proteins, circuits and screens, as oracles.

In: parameters as in `CellModel` (molecules per cell, hours). Out: means, variances, laws, periods. Nothing here
simulates and no engine uses it: it is what engines are held to. Each function names its source.

Notation: delta decay of mRNA, gamma decay of protein, per hour; b mean burst size; m wild-type mean; q = protein level
over its wild-type mean; P promoter activity.
"""

from __future__ import annotations

from simcell.theory.birth_death import (
    count_autocorrelation,
    count_law,
    count_variance,
    intensity_autocorrelation,
    intensity_kurtosis,
    intensity_mean,
    intensity_skewness,
    intensity_variance,
    transient_count_law,
)
from simcell.theory.division import (
    Lineage,
    divided_count_law,
    divided_mean,
    divided_moments,
    divided_variance,
    lineage,
)
from simcell.theory.laws import CountLaw, invert_generating_function
from simcell.theory.linear_noise import LinearNoise, linear_covariance, linear_noise
from simcell.theory.master_equation import (
    FirstPassage,
    Stationary,
    count_marginal,
    count_moments,
    first_passage,
    stationary,
    transient,
)
from simcell.theory.mean_field import MeanField, mean_field
from simcell.theory.oscillation import LimitCycle, hopf_period, limit_cycle
from simcell.theory.proteins import (
    protein_noise,
    telegraph_two_stage_covariance,
    two_stage_covariance,
    two_stage_relaxation,
)
from simcell.theory.screens import captured_law, captured_moments, null_alleles, truncated_poisson
from simcell.theory.splicing import spliced_count_law, splicing_moments
from simcell.theory.state_space import Counts, StateSpace, state_space
from simcell.theory.switching import FixedPoint, Toggle, fixed_points, protein_peaks, toggle
from simcell.theory.telegraph import telegraph_autocovariance, telegraph_law, telegraph_moments

__all__ = [
    "CountLaw",
    "Counts",
    "FirstPassage",
    "FixedPoint",
    "LimitCycle",
    "Lineage",
    "LinearNoise",
    "MeanField",
    "StateSpace",
    "Stationary",
    "Toggle",
    "captured_law",
    "captured_moments",
    "count_autocorrelation",
    "count_law",
    "count_marginal",
    "count_moments",
    "count_variance",
    "divided_count_law",
    "divided_mean",
    "divided_moments",
    "divided_variance",
    "first_passage",
    "fixed_points",
    "hopf_period",
    "intensity_autocorrelation",
    "intensity_kurtosis",
    "intensity_mean",
    "intensity_skewness",
    "intensity_variance",
    "invert_generating_function",
    "limit_cycle",
    "lineage",
    "linear_covariance",
    "linear_noise",
    "mean_field",
    "null_alleles",
    "protein_noise",
    "protein_peaks",
    "spliced_count_law",
    "splicing_moments",
    "state_space",
    "stationary",
    "telegraph_autocovariance",
    "telegraph_law",
    "telegraph_moments",
    "telegraph_two_stage_covariance",
    "toggle",
    "transient",
    "transient_count_law",
    "truncated_poisson",
    "two_stage_covariance",
    "two_stage_relaxation",
]
