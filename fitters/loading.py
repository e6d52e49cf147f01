"""From a reference such as ``path/to/file.py:MyFitter`` or ``package.module:MyFitter`` to a fitter, options checked.

Every way in which that can fail is a `FitterLoadError` or `FitterOptionError` of one line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from fitters.checks import check_fitter
from fitters.contract import Fitter
from fitters.errors import FitterError, FitterLoadError, FitterOptionError, one_line
from simcell.errors import nearest


def is_reference(name: str) -> bool:
    """Return whether a string is a reference to a class rather than the name of a registered fitter."""
    return ":" in name or name.endswith(".py") or "/" in name


def find_factory(reference: str) -> Callable[..., Any]:
    """Return what a reference points to: a class, or a function that builds a fitter.

    Raises:
        FitterLoadError: no such file, module or class; code that fails when it is imported; not callable.
    """
    place, colon, attribute = reference.rpartition(":")
    if not colon or not place or not attribute:
        raise FitterLoadError(reference, "is not of the form path/to/file.py:MyFitter or package.module:MyFitter")
    module = _import_file(Path(place), reference) if _is_path(place) else _import_module(place, reference)
    factory = getattr(module, attribute, None)
    if factory is None:
        known = [name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")]
        raise FitterLoadError(reference, f"{place} has no {attribute!r}{nearest(attribute, known)}")
    if not callable(factory):
        raise FitterLoadError(reference, f"{attribute} is not a class")
    found: Callable[..., Any] = factory
    return found


def options_of(factory: Callable[..., Any]) -> tuple[str, ...] | None:
    """Return the option names of a fitter; None where it takes any."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # written in C: it checks its own arguments
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(parameter.name for parameter in parameters if parameter.kind in named)


def defaults_of(factory: Callable[..., Any]) -> dict[str, str]:
    """Return the options of a fitter that have a default, with that as JSON has it: null, true, a number, a text."""
    made: dict[str, Any] = {field.name: field.default_factory for field in _fields(factory)}
    parameters = inspect.signature(factory).parameters if options_of(factory) else {}
    found = {}
    for name in options_of(factory) or ():
        default = made[name]() if callable(made.get(name)) else parameters[name].default
        if default is not inspect.Parameter.empty:
            found[name] = json.dumps(default, default=str)
    return found


def _fields(factory: Callable[..., Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(factory) if dataclasses.is_dataclass(factory) and isinstance(factory, type) else ()


def build(factory: Callable[..., Any], *, reference: str, options: Mapping[str, Any]) -> Fitter:
    """Return a fitter built with options, held to the contract.

    Raises:
        FitterOptionError: an option that it does not have.
        FitterLoadError: a constructor that raises, or an object that is not a fitter.
    """
    known = options_of(factory)
    for option in options:
        if known is not None and option not in known:
            raise FitterOptionError.unknown(reference, option, known)
    try:
        return check_fitter(factory(**options))
    except FitterOptionError:
        raise
    except FitterError as error:
        raise FitterLoadError(reference, f"is not a fitter: it {error.problem}") from None
    except Exception as error:
        raise FitterLoadError(reference, f"could not be built: {one_line(error)}") from error


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place


def _import_module(name: str, reference: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise FitterLoadError(reference, f"no module {error.name!r} is installed") from None
        raise FitterLoadError(reference, f"importing it failed: {one_line(error)}") from error
    except Exception as error:
        raise FitterLoadError(reference, f"importing it failed: {one_line(error)}") from error


def _import_file(path: Path, reference: str) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise FitterLoadError(reference, f"no file {str(path)!r}")
    if path.suffix != ".py":
        raise FitterLoadError(reference, f"{path.name} is not a .py file")
    # Registered under a name of its own: dataclasses and pickle look modules up by name, and two users' files may
    # both be called my_fitter.py. An edited file is another module.
    digest = hashlib.blake2b(str(path).encode() + b"\0" + path.read_bytes(), digest_size=8).hexdigest()
    name = f"fitters_of_user_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FitterLoadError(reference, f"{path.name} is not a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))  # as when the file is run: its neighbours can be imported
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise FitterLoadError(reference, f"importing {path.name} failed: {one_line(error)}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module
