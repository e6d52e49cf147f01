"""The compile cache never serves stale code: an edit of any kernel file, also of another than the kernel's own, counts.

Each run is a process of its own on a copy of the package, with a cache folder that all runs share.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import simcell

PACKAGE = Path(simcell.__file__).parent
KERNELS = PACKAGE / "kernels"
MOLECULES = """
import numpy as np
from simcell.kernels.counts import draw_molecules
drawn = np.empty((4, 50), np.int32)
draw_molecules(np.full((4, 50), 5.0), np.array([1, 2], np.uint32), np.arange(4), drawn)
print(drawn.tolist())
"""
CELLS = """
from simcell import draw_cell_model, run_cells
from simcell.generators import erdos_renyi
data = run_cells(draw_cell_model(erdos_renyi(8)), times=[24.0], n_cells=2, seed=1)
print(data["intensity"].values.tolist())
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the package, in a folder of its own."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path / "code" / "simcell", ignore=ignored))


def run(package: Path, script: str) -> tuple[str, int]:
    """Return what a script prints in a new process that imports the copy, and how many kernels it compiled."""
    cache = package.parent.parent / "cache"
    before = machine_code(cache)
    # Python's own cache of parsed files looks at size and second of a change, which is not what is asked here
    settings = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    check = f"import simcell; assert simcell.__file__ == {str(package / '__init__.py')!r}, simcell.__file__\n"
    command = [sys.executable, "-c", check + script]
    done = subprocess.run(command, env=os.environ | settings, cwd=package.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, machine_code(cache) - before


def machine_code(cache: Path) -> int:
    """Return how many compiled functions the cache holds."""
    return sum(1 for _ in cache.rglob("*.nbc"))


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text that is there exactly once."""
    text = file.read_text()
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file.name}"
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("script", "file", "old", "new"),
    [
        pytest.param(
            MOLECULES, "streams.py", "np.uint32(0x9E3779B9)", "np.uint32(0x9E3779B1)",
            id="a constant of streams.py, seen by the kernel of counts.py",
        ),
        pytest.param(
            CELLS, "elementary.py", "F(3.3333331174e-1)", "F(3.3e-1)", marks=pytest.mark.slow,
            id="a constant of elementary.py, seen by run_cells",
        ),
    ],
)  # fmt: skip
def test_an_edit_in_another_file_is_never_served_from_the_cache(
    copied: Path, script: str, file: str, old: str, new: str
) -> None:
    first, compiled = run(copied, script)
    assert compiled > 0
    edit(copied / "kernels" / file, old, new)
    edited, compiled = run(copied, script)
    assert edited != first and compiled > 0
    edit(copied / "kernels" / file, new, old)
    again, compiled = run(copied, script)
    assert again == first
    assert compiled == 0, "the same text was compiled twice: there is no cache to speak of"


def test_a_cache_without_the_digest_is_caught(copied: Path) -> None:
    edit(copied / "kernels" / "jit.py", '/ "simcell" / _digest()', '/ "simcell" / "always"')
    first, _ = run(copied, MOLECULES)
    edit(copied / "kernels" / "streams.py", "np.uint32(0x9E3779B9)", "np.uint32(0x9E3779B1)")
    assert run(copied, MOLECULES) == (first, 0), "numba's own cache looks at helpers: no digest is needed"


def test_kernels_are_made_of_what_the_cache_folder_is_named_after() -> None:
    # its name is a digest of kernels/*.py: no folder below, nothing from elsewhere in the package, no kernel elsewhere
    assert not [path for path in KERNELS.iterdir() if path.is_dir() and path.name != "__pycache__"]
    for file in KERNELS.glob("*.py"):
        foreign = [name for name in imported(file) if name.split(".")[0] == "simcell"]
        assert all(name.startswith("simcell.kernels") for name in foreign), f"{file.name} imports {foreign}"
    for file in PACKAGE.rglob("*.py"):
        if file.parent != KERNELS:
            names = imported(file)
            assert not any(name.split(".")[0] == "numba" for name in names), f"{file} uses numba"
            assert "simcell.kernels.jit" not in names, f"{file} compiles a kernel"


def imported(file: Path) -> set[str]:
    """Return the full names of all modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names
