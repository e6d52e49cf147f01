"""The jit options of every kernel, in one place, and a compile cache that can never serve stale code.

numba's cache looks only at the file of the outermost function, so that an edit to a helper in another file goes unseen.
Here the cache folder is named after a digest of the text of all kernels: any edit is a new folder.

Options: no fastmath, so that results do not depend on the machine's vector width or on fused operations; numpy's
error model, since a branch for a division by zero would keep loops from vectorising; no lock, so that threads run.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import njit

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False, "boundscheck": False}
# A function that only kernels call is always inlined, for a call keeps a loop scalar; and it counts no references to
# the arrays it is given, which took a third of the time (hence it may not make arrays of its own). No C code calls it,
# and a wrapper for that took a tenth of the time to compile.
CALLED: Any = OPTIONS | {"_nrt": False, "no_cfunc_wrapper": True}
INLINED: Any = CALLED | {"forceinline": True}


def _digest() -> str:
    """Return a digest of the text of all kernel files, in the order of their names."""
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _cache_folder() -> str:
    """Return the folder for compiled kernels of exactly this source text, or one that lasts as long as this process."""
    root = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(root) / "simcell" / _digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:  # a home that cannot be written to; a shared folder could hold another user's machine code
        folder = Path(tempfile.mkdtemp(prefix="simcell-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(folder)


CACHE_FOLDER = _cache_folder()


def helper(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call; it makes no arrays of its own."""
    return njit(**INLINED)(function)


def subroutine(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call, too large to be copied to every place; it makes no arrays either."""
    return njit(**CALLED)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, and keep the machine code on disk."""
    config: Any = numba.config  # read when a function is decorated; other packages' settings stay as they were
    before = config.CACHE_DIR
    config.CACHE_DIR = CACHE_FOLDER
    try:
        return njit(cache=True, **OPTIONS)(function)
    finally:
        config.CACHE_DIR = before
