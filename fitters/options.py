"""Checks of a fitter's options, one line each: a value out of range is a `FitterOptionError` that says what is allowed.

In: a fitter with its options as attributes, and their names. Out: nothing, or the error. To be called where a fitter is
made, in ``__post_init__``. True and False are no numbers here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from fitters.errors import FitterOptionError

# Beyond these a fit would end in an overflow or fill the memory, far from the option that did it.
MOST_WHOLE, MOST = 10**9, 1e300


class Named(Protocol):
    """A fitter: what its messages begin with."""

    @property
    def name(self) -> str:
        """How the fitter is called."""


def check_whole_numbers(fitter: Named, *options: str, at_least: int, at_most: int = MOST_WHOLE) -> None:
    """Hold options to whole numbers, from `at_least` to `at_most`."""
    for option in options:
        value = getattr(fitter, option)
        if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
            raise FitterOptionError.value(fitter.name, option, value, f"a whole number >= {at_least}")
        if value > at_most:
            raise FitterOptionError.value(fitter.name, option, value, f"a whole number <= {at_most}")


def check_numbers(
    fitter: Named,
    *options: str,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    or_none: bool = False,
) -> None:
    """Hold options to finite numbers within bounds, and of at most `MOST` in size.

    Args:
        fitter: whose options they are.
        options: their names.
        above: lower bound, itself not allowed.
        at_least: lower bound, itself allowed.
        below: upper bound, itself not allowed.
        or_none: whether None, which files write as null, is allowed too.
    """
    bounds = [
        f"{sign} {bound:g}" for sign, bound in ((">", above), (">=", at_least), ("<", below)) if bound is not None
    ]
    allowed = f"a number {' and '.join(bounds)}".rstrip()
    for option in options:
        value = getattr(fitter, option)
        if or_none and value is None:
            continue
        if not (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and -math.inf < value < math.inf
            and (above is None or value > above)
            and (at_least is None or value >= at_least)
            and (below is None or value < below)
        ):
            raise FitterOptionError.value(fitter.name, option, value, f"null or {allowed}" if or_none else allowed)
        if abs(value) > MOST:
            raise FitterOptionError.value(fitter.name, option, value, f"a number of at most {MOST:g} in size")


def check_choice(fitter: Named, option: str, *, among: Sequence[str]) -> None:
    """Hold an option to one of several words."""
    value = getattr(fitter, option)
    if value not in among:
        raise FitterOptionError.value(fitter.name, option, value, f"one of {', '.join(among)}")


def check_flags(fitter: Named, *options: str) -> None:
    """Hold options to true or false."""
    for option in options:
        value = getattr(fitter, option)
        if not isinstance(value, bool):
            raise FitterOptionError.value(fitter.name, option, value, "true or false")
