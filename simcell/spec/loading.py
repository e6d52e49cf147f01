"""The doors of the package: a file, a text or a mapping in, a checked model out; and a model out as text.

Every fault is a `SpecError` (several: `SpecErrors`) that names the field, the value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from simcell.errors import SpecError
from simcell.spec.errors import spec_error
from simcell.spec.networks import EdgeListNetwork
from simcell.spec.overrides import apply_overrides
from simcell.spec.screen import ScreenSpec
from simcell.spec.yaml_io import read_file, read_mapping, write_mapping

Model = TypeVar("Model", bound=BaseModel)
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def parse_spec(source: Mapping[str, Any] | str, *, model: type[Model]) -> Model:
    """Return a mapping, or a YAML text, as a checked model; SpecError if it is not valid."""
    data = read_mapping(source) if isinstance(source, str) else dict(source)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise spec_error(error, data) from None


def dump_spec(spec: BaseModel) -> str:
    """Return a model as YAML text, complete: what was left to a default is written too."""
    return write_mapping(spec.model_dump(mode="json"))


def parse_screen_spec(source: Mapping[str, Any] | str) -> ScreenSpec:
    """Return a mapping, or a YAML text, as the specification of a screen; SpecError if it is not valid."""
    return parse_spec(source, model=ScreenSpec)


def dump_screen_spec(spec: ScreenSpec) -> str:
    """Return the specification as complete YAML text, from which `parse_screen_spec` makes an equal one."""
    return dump_spec(spec)


def load_screen_spec(
    path: str | Path, *, overrides: Sequence[str] = (), seed: int | None = None, engine: str | None = None
) -> ScreenSpec:
    """Return the specification of a screen from a YAML file.

    Args:
        path: the file.
        overrides: texts ``path=value`` that replace values of the file (``assay.batches=3``).
        seed: replaces the seed of the file.
        engine: replaces the name of the engine.

    The path of an edge list, relative to the file, comes back relative to the working directory. Raises SpecError if
    the file is not there or not valid, or if an edge list that it names is not there.
    """
    path = Path(path)
    data = apply_overrides(read_file(path), overrides=overrides, defaults=_defaults())
    if seed is not None:
        data["seed"] = seed
    if engine is not None and isinstance(data.setdefault("engine", {}), dict):
        data["engine"]["name"] = engine
    spec = parse_screen_spec(data)
    if isinstance(spec.network, EdgeListNetwork):
        edge_list = path.parent / spec.network.path
        if not edge_list.is_file():
            raise SpecError("network.path", str(edge_list), "an existing file")
        spec = spec.model_copy(update={"network": spec.network.model_copy(update={"path": str(edge_list)})})
    return spec


def json_schema(model: type[BaseModel] = ScreenSpec) -> dict[str, Any]:
    """Return the JSON schema of a specification, that of a screen by default, for editors that check YAML."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return draft | _standard_bounds(model.model_json_schema())


def _standard_bounds(schema: Any) -> Any:
    """Return a schema with bounds in JSON Schema's words: pydantic leaves its own behind a validator of ours."""
    if isinstance(schema, list):
        return [_standard_bounds(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        _BOUNDS.get(key, key) if isinstance(value, int | float) and not isinstance(value, bool) else key: (
            _standard_bounds(value)
        )
        for key, value in schema.items()
    }


def _defaults() -> dict[str, Any]:
    """Return, as plain data, everything that the file of a screen may leave out."""
    complete = parse_screen_spec({"name": "defaults", "network": {"kind": "repressilator"}}).model_dump(mode="json")
    return {key: value for key, value in complete.items() if key not in ("name", "network")}
