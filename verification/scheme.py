"""The law of counts that the scheme of `langevin` has itself: known in closed form, step by step.

In: a gene without regulation, a step. Out: the law that the engine would have with cells without number. Its distance
from the exact law is what the certificate allows: it is computed, not measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcell.kernels.pools import SWITCH
from verification.count_laws import CountLaw, invert
from verification.moments import Gene


def scheme_law(
    gene: Gene, *, step: float, largest: int, factor: float = 1.0, since: float | None = None, empty: bool = False
) -> CountLaw:
    """Return the law of counts that `langevin` itself has without regulation, in steps of so many hours.

    What comes in a step has mean m (1 - p) and variance b m (1 - p^2), p = e^(-decay h): a squared normal a (c + Z)^2
    where the ratio of variance to squared mean is small, else nothing or an exponential. Both have closed Laplace
    transforms; the intensity is the sum over past steps of p^k times such a draw. Arguments as in `count_law_error`.
    """
    recent = None if since is None else max(1, int(np.ceil(since / step - 1e-9)))
    hours = step if recent is None or since is None else since / recent
    left, all_steps = np.exp(-gene.decay * hours), int(np.ceil(18.0 / (gene.decay * hours)))

    def generating(missing: NDArray[np.complex128]) -> NDArray[np.complex128]:
        exponent = np.zeros_like(missing)
        for power in range(recent if empty and recent is not None else all_steps):
            production = gene.rate / gene.decay * (factor if recent is None or power < recent else 1.0)
            exponent += _step_exponent(missing * left**power, production, gene.burst, left)
        return np.asarray(np.exp(exponent))

    return invert(generating, largest)


def _step_exponent(s: NDArray[np.complex128], mean: float, burst: float, left: float) -> NDArray[np.complex128]:
    """Return the logarithm of the Laplace transform at s of what a step brings to an intensity of this mean."""
    gain, ratio = mean * (1.0 - left), burst / mean * (1.0 + left) / (1.0 - left)
    if ratio <= SWITCH:
        c_squared = 2.0 / ratio - 1.0 + np.sqrt(2.0 / ratio * (2.0 / ratio - 1.0))
        a = gain / (1.0 + c_squared)
        return np.asarray(-0.5 * np.log(1.0 + 2.0 * a * s) - a * c_squared * s / (1.0 + 2.0 * a * s))
    some = 2.0 / (1.0 + ratio)
    return np.asarray(np.log(1.0 - some + some / (1.0 + gain / some * s)))
