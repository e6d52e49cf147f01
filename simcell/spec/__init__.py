"""Specifications: YAML files and mappings to checked, frozen models, and back without loss."""

from simcell.spec.base import SpecModel
from simcell.spec.errors import SpecErrors, SpecMessage, problem, problems, spec_error
from simcell.spec.loading import (
    dump_screen_spec,
    dump_spec,
    json_schema,
    load_screen_spec,
    parse_screen_spec,
    parse_spec,
)
from simcell.spec.overrides import apply_overrides
from simcell.spec.screen import ScreenSpec
from simcell.spec.yaml_io import read_file, read_mapping, write_mapping

__all__ = [
    "ScreenSpec",
    "SpecErrors",
    "SpecMessage",
    "SpecModel",
    "apply_overrides",
    "dump_screen_spec",
    "dump_spec",
    "json_schema",
    "load_screen_spec",
    "parse_screen_spec",
    "parse_spec",
    "problem",
    "problems",
    "read_file",
    "read_mapping",
    "spec_error",
    "write_mapping",
]
