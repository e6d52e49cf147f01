"""The most memory that a process ever held: nothing in, bytes out."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_memory() -> int:
    """Return the most memory that this process ever held, bytes: all that it did before is in it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # no Linux; there, ru_maxrss would count the memory of the process that started this one
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
