"""YAML text to plain mappings and back, strictly: duplicate keys are refused, and a value means what it looks like.

Scalars follow YAML 1.2 (`1e-3` is a number; `NO`, `on`, `1:30` and `2020-01-01` are text, as gene names must be), which
PyYAML's own rules do not. The writer knows the same rules, so that what it writes is read back exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from simcell.spec.errors import SpecMessage

_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the compiled parser where there is one
_SAFE_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_SCALARS = (
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+.0123456789"),
    ),
    ("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"]),
)


class _Loader(_SAFE_LOADER):  # type: ignore[misc, valid-type]
    """PyYAML's safe loader with the scalars of YAML 1.2, refusing duplicate keys."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key != "<<" and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping

    def construct_decimal(self, node: yaml.ScalarNode) -> int:
        return int(node.value)  # PyYAML would read 010 as 8


class _Dumper(_SAFE_DUMPER):  # type: ignore[misc, valid-type]
    """PyYAML's safe dumper with the scalars of YAML 1.2, and without anchors."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _class in (_Loader, _Dumper):
    for _tag, _pattern, _first in _SCALARS:
        _class.add_implicit_resolver(_tag, _pattern, _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_decimal)


def read_mapping(text: str, *, source: str = "specification") -> dict[str, Any]:
    """Return the mapping that a YAML text holds.

    Args:
        text: the text.
        source: how the text is called in errors, usually its path.

    Raises SpecError if the text is no YAML (with line and column), or no mapping.
    """
    data = read_value(text, source=source)
    if not isinstance(data, dict):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise SpecMessage(source, f"found {found}; expected a mapping of keys to values")
    return data


def read_value(text: str, *, source: str = "specification") -> Any:
    """Return the value, of any type, that a YAML text holds; SpecError with line and column if it is no YAML."""
    try:
        return yaml.load(text, Loader=_Loader)  # a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
        raise SpecMessage(place, ", ".join(part for part in (error.context, error.problem) if part)) from None
    except yaml.reader.ReaderError as error:
        raise SpecMessage(source, f"not YAML: {error.reason} at position {error.position}") from None
    except RecursionError:
        raise SpecMessage(source, "nested too deeply") from None


def read_file(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; SpecError if there is no such file, or if it holds no mapping."""
    path = Path(path)
    if path.is_dir():
        raise SpecMessage(str(path), "a directory; expected a YAML file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SpecMessage(str(path), "no such file") from None
    except UnicodeDecodeError as error:
        raise SpecMessage(str(path), f"not a text file in UTF-8 (byte {error.start})") from None
    return read_mapping(text, source=str(path))


def write_mapping(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML text, keys in their order, the innermost lists and mappings on one line."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
    return text
