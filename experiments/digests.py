"""What results depend on, as short digests: the benchmark, each task's fitter with its files, and this program itself.

In: a benchmark or a fitter as specified. Out: strings that differ where results may differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcell import _version
from simcell.errors import SpecError

if TYPE_CHECKING:
    from experiments.benchmark_spec import BenchmarkSpec, FitterSpec

_NO_RESULTS = ("experiments/report/", "experiments/commands/", "experiments/cli.py")  # on these, no score depends


def benchmark_digest(spec: BenchmarkSpec) -> str:
    """Return a digest of what is asked for: the same benchmark has the same, wherever its files lie.

    The content of fitters' files is left to `fitter_digest`: who changes a fitter goes on with the same benchmark.
    """
    content = spec.model_dump(mode="json", exclude={"jobs"})
    for screen in content["screens"]:
        if "path" in screen["network"]:
            screen["network"]["path"] = file_digest(screen["network"]["path"])
    for fitter in content["fitters"]:
        if ".py:" in fitter["name"]:
            fitter["name"] = fitter["name"].rpartition(":")[2]
        fitter["options"] = each_text(fitter["options"], lambda text: Path(text).name if is_file(text) else text)
    return short_digest(content)


def fitter_digest(fitter: FitterSpec) -> str:
    """Return a digest of the files that a fitter depends on: its own, if it is a user's, and those its options name."""
    own, _, _ = fitter.name.rpartition(":")
    named = [text for text in _texts(fitter.options) if is_file(text)]
    return short_digest([file_digest(path) for path in [*([own] if own.endswith(".py") else []), *named]])


@lru_cache
def source_digest(*packages: str) -> str:
    """Return a digest of the version and the installed source of some packages; what only shows results is left out."""
    parts = [_version.__version__]
    for package in packages:
        found = find_spec(package)
        for folder in map(Path, (found.submodule_search_locations or ()) if found else ()):
            for path in sorted(folder.rglob("*.py")):
                name = f"{package}/{path.relative_to(folder).as_posix()}"
                if not name.startswith(_NO_RESULTS):
                    parts += [name, file_digest(path)]
    return short_digest(parts)


def file_digest(path: str | Path) -> str:
    """Return a digest of a file's content; SpecError if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        raise SpecError("path", str(path), "a file that can be read") from None


def short_digest(content: Any, *, length: int = 16) -> str:
    """Return a digest of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:length]


def is_file(text: str | Path) -> bool:
    """Return whether a text is the path of a file; it may be any text at all."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a path, or with a null in it
        return False


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with every text in it changed; the keys of mappings are left."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: each_text(item, change) for key, item in value.items()}
    return [each_text(item, change) for item in value] if isinstance(value, list | tuple) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
