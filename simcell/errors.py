"""Errors that a user can mend: one line each, naming the field, the value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SimcellError(Exception):
    """Anything that the person at the keyboard can put right; the command line prints it in one line."""


class SpecError(SimcellError):
    """A value in a specification, or an argument, that is not allowed.

    Args:
        field: where it stands, as a user would write it (``protocol[2].hours``).
        value: what was found there.
        allowed: what may stand there, phrased so that "<value> is not <allowed>" is a sentence.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(f"{field}: {value!r} is not {allowed}")

    def __reduce__(self) -> tuple[object, ...]:
        # an error of a task must survive the way back from another process
        return type(self), (self.field, self.value, self.allowed)


class DataError(SimcellError):
    """A data file that is foreign, truncated or of another schema version."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known name most like `name`, or nothing if none is alike."""
    match = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""
