"""From pydantic's report of what is wrong to lines that a user can act on.

In: a `ValidationError` and the mapping that was validated. Out: one `SpecError` per fault, its field written as in the
file (``protocol[2].hours``), its value as found, and what is allowed there.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from simcell.errors import SimcellError, SpecError, nearest

DISCRIMINATORS = ("kind", "step")  # the keys by which one of several models is chosen
PROBLEMS = "spec_problems"  # the type of the errors raised by `problems`

_BOUNDS = {"greater_than": (">", "gt"), "greater_than_equal": (">=", "ge"), "less_than": ("<", "lt")}
_BOUNDS["less_than_equal"] = ("<=", "le")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping of keys to values",
    "mapping": "a mapping of keys to values",
    "model": "a mapping of keys to values",
}


class SpecMessage(SpecError):
    """A fault for which "<value> is not <allowed>" would be no sentence: a missing key, a syntax error."""

    def __init__(self, field: str, message: str) -> None:
        self.field, self.value, self.allowed = field, None, message
        SimcellError.__init__(self, f"{field}: {message}")

    def __reduce__(self) -> tuple[type[SpecMessage], tuple[str, str]]:
        return type(self), (self.field, self.allowed)


class SpecErrors(SpecError):
    """Several faults of one file; `errors` has them one by one, the message joins them by "; "."""

    def __init__(self, errors: Iterable[SpecError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        self.field, self.value, self.allowed = first.field, first.value, first.allowed
        SimcellError.__init__(self, "; ".join(str(error) for error in self.errors))

    def __reduce__(self) -> tuple[type[SpecErrors], tuple[tuple[SpecError, ...]]]:
        return type(self), (self.errors,)


def problem(field: str, value: object, allowed: str) -> PydanticCustomError:
    """Return the error for a validator to raise when the fault lies in `field`, below the model being validated."""
    return problems([(field, value, allowed)])


def problems(faults: Sequence[tuple[str, object, str]]) -> PydanticCustomError:
    """Return the error for a validator to raise when it found several faults: (field, value, allowed) of each."""
    text = "; ".join(f"{field}: {value!r} is not {allowed}" for field, value, allowed in faults)
    # pydantic formats the message with its context, in which braces would be read as fields
    return PydanticCustomError(PROBLEMS, "{text}", {"text": text, "faults": tuple(faults)})


def spec_error(error: ValidationError, data: object) -> SpecError:
    """Return what pydantic found in `data` as one `SpecError`, or as `SpecErrors` where there are several faults."""
    every = error.errors(include_url=False)
    # a list with a faulty item is also reported as too short
    whole = [one for one in every if one["type"] != "too_short" or not any(_below(other, one) for other in every)]
    found = [line for details in whole for line in _lines(details, data)]
    return found[0] if len(found) == 1 else SpecErrors(found)


def field_name(parts: Iterable[str | int]) -> str:
    """Return a place in a file as a user writes it: ``("protocol", 2, "hours")`` is ``"protocol[2].hours"``."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(the whole file)"


def _below(inner: ErrorDetails, outer: ErrorDetails) -> bool:
    depth = len(outer["loc"])
    return len(inner["loc"]) > depth and inner["loc"][:depth] == outer["loc"]


def _fault(field: str, value: object, allowed: str) -> SpecError:
    if len(repr(value)) > 120:  # a whole section would bury the message
        return SpecMessage(field, f"{reprlib.repr(value)} is not {allowed}")
    return SpecError(field, value, allowed)


def _lines(details: ErrorDetails, data: object) -> list[SpecError]:
    parts = _file_parts(details["loc"], data)
    value, context, kind = details["input"], details.get("ctx", {}), details["type"]
    field = field_name(parts)
    if kind == PROBLEMS:
        inside = [(field_name(_join(parts, name)), found, allowed) for name, found, allowed in context["faults"]]
        return [_fault(*fault) for fault in inside]
    if kind == "missing":
        return [SpecMessage(field, "required, but missing")]
    discriminator = str(context.get("discriminator", "")).strip("'")
    if kind == "union_tag_not_found":
        return [SpecMessage(f"{field}.{discriminator}", "required, but missing")]
    if kind == "union_tag_invalid":
        known = [name.strip(" '") for name in str(context["expected_tags"]).split(",")]
        tag = str(context["tag"])
        return [SpecError(f"{field}.{discriminator}", tag, f"one of {', '.join(known)}{nearest(tag, known)}")]
    return [_fault(field, value, _allowed(kind, context, details["msg"], value))]


def _allowed(kind: str, context: Mapping[str, Any], message: str, value: object) -> str:
    """Return what is allowed, so that "<value> is not <allowed>" is a sentence."""
    if kind in _BOUNDS:
        sign, key = _BOUNDS[kind]
        return f"{sign} {context[key]:g}"
    if kind == "literal_error":
        known = [name.strip(" '") for name in str(context["expected"]).replace(" or ", ", ").split(",")]
        hint = nearest(value, known) if isinstance(value, str) else ""
        return (f"one of {', '.join(known)}" if len(known) > 1 else known[0]) + hint
    if kind in ("too_short", "string_too_short"):
        least = context.get("min_length")
        return f"long enough; at least {least} {'item' if least == 1 else 'items'} needed"
    if kind in ("too_long", "string_too_long"):
        return f"short enough; at most {context.get('max_length')} items allowed"
    if kind == "value_error":
        return str(context["error"])
    return _KINDS.get(kind.split("_")[0], message)


def _join(parts: list[str | int], name: str) -> list[str | int]:
    return [*parts, name] if name else parts


def _file_parts(location: tuple[str | int, ...], data: object) -> list[str | int]:
    """Return pydantic's location without what is no key of the file: tags of unions, marks of dict keys."""
    parts: list[str | int] = []
    here: Any = data
    tagged = False  # the tag of the mapping we stand in has been passed
    for part in location:
        if isinstance(part, str) and (part == "[key]" or (part.startswith("<") and part.endswith(">"))):
            continue
        if not tagged and isinstance(here, Mapping) and part in [here.get(key) for key in DISCRIMINATORS]:
            tagged = True
            continue
        parts.append(part)
        tagged = False
        if isinstance(here, Mapping):
            here = here.get(part)
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            here = None
    return parts
