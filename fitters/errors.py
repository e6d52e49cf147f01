"""Errors of fitters and of what they are given: one line each, naming the fitter (or the field) and what is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable

from simcell.errors import SimcellError, nearest

LONGEST_NUMBER = 40  # digits of a whole number in a message; Python itself refuses to write those of thousands


class TrainingDataError(SimcellError):
    """Training data that no fitter could use: no controls, NaN, shapes that disagree.

    Args:
        field: the field of `TrainingData` (``counts``, ``perturbation``, ...).
        problem: what is wrong with it, in one line.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field, self.problem = field, problem
        super().__init__(f"training data, {field}: {problem}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.field, self.problem)  # or it could not cross from a worker process


class FitterError(SimcellError):
    """A fitter that cannot do what was asked, or that did it wrongly.

    Args:
        fitter: the fitter's name.
        problem: what is wrong, in one line (line breaks are folded).
    """

    def __init__(self, fitter: str, problem: str) -> None:
        self.fitter, self.problem = fitter, " ".join(problem.split())
        super().__init__(f"fitter {fitter}: {self.problem}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.fitter, self.problem)


class RefusedQueryError(FitterError):
    """A query outside what the fitter claims or the training data allow: an honest no rather than a failure."""


class FitterOptionError(FitterError):
    """An option that the fitter does not have, or a value that the option does not take."""

    @classmethod
    def value(cls, fitter: str, option: str, value: object, allowed: str) -> FitterOptionError:
        """Return the error for a wrong value; "<value> is not <allowed>" is a sentence."""
        return cls(fitter, f"option {option}: {_shown(value)} is not {allowed}")

    @classmethod
    def unknown(cls, fitter: str, option: str, known: Iterable[str]) -> FitterOptionError:
        """Return the error for an option that does not exist."""
        known = list(known)
        options = f"options: {', '.join(known)}" if known else "it has no options"
        return cls(fitter, f"unknown option {option!r}{nearest(option, known)}; {options}")


class FitterLoadError(FitterError):
    """A fitter that cannot be found or built: no such name, file or class, or a class that is not a fitter."""


def not_installed(fitter: str, package: str, *, extra: str) -> FitterError:
    """Return the error for an optional package that is missing; `extra` is the extra of simcell that brings it."""
    return FitterError(fitter, f"needs the package {package}, which is not installed: pip install 'simcell[{extra}]'")


def _shown(value: object) -> str:
    """Return the repr of a value; of whole numbers that would fill lines, their size."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST_NUMBER:
        return f"{'-' if value < 0 else ''}10**{round(math.log10(abs(value)))}"
    return repr(value)


def one_line(error: BaseException) -> str:
    """Return ``"ValueError: message"`` on one line, for an error that somebody else's code raised."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
