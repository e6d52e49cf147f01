"""The public face of the contract: import from here to write a fitter or to run one."""

from __future__ import annotations

from fitters.checks import CheckedFit, Scope, check_fitter, check_query, checked_fit, checked_predict
from fitters.contract import FAMILIES, Assumption, Claim, Fit, Fitter, Prediction, Query
from fitters.errors import FitterError, FitterLoadError, FitterOptionError, RefusedQueryError, TrainingDataError
from fitters.profile_fit import ProfileFit
from fitters.results import EdgeScores, Estimate, KineticsEstimate, LossHistory
from fitters.training_data import Pseudobulk, TrainingData, pool

__all__ = [
    "FAMILIES",
    "Assumption",
    "CheckedFit",
    "Claim",
    "EdgeScores",
    "Estimate",
    "Fit",
    "Fitter",
    "FitterError",
    "FitterLoadError",
    "FitterOptionError",
    "KineticsEstimate",
    "LossHistory",
    "Prediction",
    "ProfileFit",
    "Pseudobulk",
    "Query",
    "RefusedQueryError",
    "Scope",
    "TrainingData",
    "TrainingDataError",
    "check_fitter",
    "check_query",
    "checked_fit",
    "checked_predict",
    "pool",
]
