"""Changes to a specification from the command line: ``assay.batches=3``, ``protocol[1].hours=48``.

In: plain data as read from a file, and texts of the form path=value. Out: a changed copy. Whether a key exists in the
model is left to validation, which knows all of them.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from simcell.errors import SpecError
from simcell.spec.errors import SpecMessage, field_name
from simcell.spec.yaml_io import read_value

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_PATH = re.compile(r"[^.\[\]]+(?:\[\d+\])*(?:\.[^.\[\]]+(?:\[\d+\])*)*")


def apply_overrides(
    data: Mapping[str, Any], *, overrides: Iterable[str], defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return `data` with some of its values replaced.

    Args:
        data: a mapping as read from a file; it is not changed.
        overrides: texts ``path=value``; the value is read as YAML.
        defaults: what the file may leave out; a section that is missing is taken from here before a part of it changes.

    Raises SpecError for a text without "=", a malformed path, a list index that does not exist, or a path that leads
    into a single value.
    """
    changed = copy.deepcopy(dict(data))
    for text in overrides:
        path, equals, value_text = text.partition("=")
        path = path.strip()
        if not equals or not _PATH.fullmatch(path):
            raise SpecError("--set", text, "of the form path=value, as in assay.batches=3 or protocol[1].hours=48")
        value = read_value(value_text, source=f"--set {path}")
        steps = [int(index) if index else name for name, index in _STEP.findall(path)]
        _assign(changed, steps, value, defaults or {})
    return changed


def _assign(data: dict[str, Any], steps: list[str | int], value: Any, defaults: Mapping[str, Any]) -> None:
    here: Any = data
    default: Any = defaults
    for depth, step in enumerate(steps):
        where = field_name(steps[:depth])
        if isinstance(step, int):
            if not isinstance(here, list):
                raise SpecMessage(field_name(steps[: depth + 1]), f"{where} is not a list in this specification")
            if step >= len(here):
                raise SpecError(field_name(steps[: depth + 1]), step, f"< {len(here)}, the number of items of {where}")
        elif not isinstance(here, dict):
            found = "a list; use [index]" if isinstance(here, list) else f"the single value {here!r}"
            raise SpecMessage(field_name(steps[: depth + 1]), f"{where} is {found}")
        if depth == len(steps) - 1:
            here[step] = value
            return
        default = default.get(step) if isinstance(default, Mapping) else None
        if isinstance(step, str) and here.get(step) is None:
            here[step] = copy.deepcopy(default) if default is not None else {}
        here = here[step]
