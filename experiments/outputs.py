"""The folder of a benchmark: what lies where, files that appear whole or not at all, and how the run was made."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.digests import short_digest
from simcell import _version
from simcell.errors import SimcellError

_FOLDERS = ("data", "results", "predictions", "estimates", "losses")
_ON_DEMAND = ("checkpoints",)  # made where a fitter is to keep one
# what numpy raises for an npz file that is damaged, or not what it should be
NPZ_ERRORS = (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, zlib.error)
PACKAGES = ("numpy", "numba", "scipy", "xarray", "zarr", "pandas", "torch", "matplotlib")


@dataclass(frozen=True)
class Folder:
    """Where everything of a benchmark lies."""

    path: Path

    @property
    def spec(self) -> Path:
        """The benchmark as it was run, complete."""
        return self.path / "benchmark.yaml"

    @property
    def provenance(self) -> Path:
        """Fingerprint of the benchmark, versions, command, machine and date."""
        return self.path / "provenance.json"

    @property
    def scores(self) -> Path:
        """All scores, one row per metric of every task."""
        return self.path / "scores.csv"

    @property
    def facts(self) -> Path:
        """What is to be known of each data set when scores on it are read."""
        return self.path / "data_sets.csv"

    @property
    def knowledge(self) -> Path:
        """What fitters were told beside the cells."""
        return self.path / "knowledge.csv"

    @property
    def losses(self) -> Path:
        """All loss histories, one row per term of every epoch."""
        return self.path / "losses.csv"

    @property
    def trainings(self) -> Path:
        """What every training took, one row per stage."""
        return self.path / "trainings.csv"

    @property
    def report(self) -> Path:
        """The report, one self-contained page."""
        return self.path / "report.html"

    @property
    def picture(self) -> Path:
        """The leaderboard as a picture."""
        return self.path / "leaderboard.png"

    def data(self, screen: str, seed: int, *, replicate: int = 0) -> Path:
        """The data set of a screen under a seed."""
        return self.path / "data" / (f"{screen}-seed{seed}" + (f"-replicate{replicate}" if replicate else "") + ".zarr")

    def result(self, task: str) -> Path:
        """The scores of one task."""
        return self.path / "results" / f"{task}.json"

    def prediction(self, task: str) -> Path:
        """The predictions of one task."""
        return self.path / "predictions" / f"{task}.npz"

    def estimate(self, task: str) -> Path:
        """The edge scores and kinetic estimates of one task."""
        return self.path / "estimates" / f"{task}.npz"

    def atlas(self, screen: str, seed: int) -> Path:
        """The atlas of the world of a screen under a seed."""
        return self.path / "data" / f"{screen}-seed{seed}-atlas.zarr"

    def history(self, task: str) -> Path:
        """The loss history of one task."""
        return self.path / "losses" / f"{task}.npz"

    def checkpoint(self, task: str, name: str) -> Path:
        """The checkpoint, of a name that the user chose, of one task."""
        return self.path / "checkpoints" / task / name

    def source(self, data: Path) -> Path:
        """What a data set was made by, beside it."""
        return data.with_suffix(".json")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out of the folder, which is made if need be; the system lets go of it when the process dies.

        Raises:
            SimcellError: another run holds it; it cannot be made.
        """
        if self.path.exists() and not self.path.is_dir():
            raise SimcellError(f"{self.path}: exists and is not a folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SimcellError(f"{self.path}: cannot be made ({error.strerror})") from error
        if sys.platform == "win32":  # no lock on folders there
            yield
            return
        import fcntl

        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise SimcellError(f"{self.path}: another run is writing it") from None
        except OSError:
            pass  # a file system without such locks, as some that are shared over a network
        try:
            yield
        finally:
            os.close(handle)

    def prepare(self, made_by: dict[str, Any], *, force: bool) -> None:
        """Lay out the folder, which is there, or go on with the benchmark that it holds.

        Args:
            made_by: what `provenance` returned; the first thing written, by which the folder is known as ours.
            force: clear away the benchmark that it holds.

        Raises:
            SimcellError: it holds another benchmark (and not `force`), or something else; it cannot be written.
        """
        try:
            if any(not path.match(".provenance.json.*.tmp") for path in self.path.iterdir()):
                if not self.provenance.is_file():
                    raise SimcellError(f"{self.path}: exists and is not the folder of a benchmark; not replaced")
                if force:
                    self._clear()
                elif read_json(self.provenance).get("fingerprint") != made_by["fingerprint"]:
                    raise SimcellError(f"{self.path}: holds another benchmark; use --force to replace it")
            write_json(self.provenance, made_by)
            for name in _FOLDERS:
                (self.path / name).mkdir(exist_ok=True)
            for left in [*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp")]:
                left.unlink(missing_ok=True)  # a run was killed while it wrote
        except OSError as error:
            raise SimcellError(f"{self.path}: cannot be written ({error.strerror})") from error

    def _clear(self) -> None:
        for name in (*_FOLDERS, *_ON_DEMAND):
            shutil.rmtree(self.path / name, ignore_errors=True)
        tables = (self.scores, self.facts, self.knowledge, self.losses, self.trainings)
        for path in (self.spec, *tables, self.report, self.picture):
            path.unlink(missing_ok=True)


def task_id(screen: str, seed: int, split: str, fitter: str) -> str:
    """Return the id of a task, which names the files of its results."""
    return slug(screen, f"seed{seed}", split, fitter)


def slug(*parts: str) -> str:
    """Return a name for a file, different for different parts (as many of them).

    It is made of the parts as they are, where that tells them apart; otherwise a digest of them is added.
    """
    name = "--".join(re.sub(r"[^A-Za-z0-9._-]", "_", part) for part in parts)
    told_apart = all(re.fullmatch(r"[A-Za-z0-9._]+(-[A-Za-z0-9._]+)*", part) for part in parts)
    return name if told_apart else f"{name}--{short_digest(parts, length=8)}"


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a killed run, finds the old content or the new one, never a part."""
    data = content.encode() if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise SimcellError(f"{path}: cannot be written ({error.strerror})") from error


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON, whole or not at all; NaN must have become None."""
    write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file; an empty mapping if there is none or it cannot be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def provenance(fingerprint: str, command: Sequence[str] | None) -> dict[str, Any]:
    """Return what a run was made by: versions, command line, machine and date (UTC)."""
    versions = {"simcell": _version.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "fingerprint": fingerprint,
        "command": " ".join(command if command is not None else [Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }
