"""The controls of a benchmark: `oracle` knows the true responses, `replicate` is a second draw of the same screen.

They are no fitters, for they see what a fitter must not; they stand in every table to show what could be reached:
oracle by a perfect model, replicate by doing the experiment again.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from experiments.metrics import Reference
from experiments.training import Question, pooled_profiles
from simcell.errors import DataError

ORACLE, REPLICATE = "oracle", "replicate"
CONTROLS = (ORACLE, REPLICATE)
FAMILY = "control"
SECOND_DRAW = 1  # replicate number of the draw that `replicate` answers with


def oracle(question: Question) -> Reference:
    """Predict the infinite-depth truth, and know the true control."""
    return question.truth


def replicate(question: Question, second_draw: xr.DataTree) -> Reference:
    """Predict the pseudobulks of a second draw of the screen, and know that draw's own control.

    Perturbations of which the second draw has no cells are rows of NaN, which are not scored.

    Raises:
        DataError: the second draw has no cells for any of the perturbations asked for, or no controls.
    """
    answer = pooled_profiles(second_draw, question)
    if answer.profile.size and not np.isfinite(answer.profile).any():
        raise DataError("the second draw has no cells of the perturbations asked for")
    if not np.isfinite(answer.control).all():
        raise DataError("the second draw has no control cells")
    return answer
