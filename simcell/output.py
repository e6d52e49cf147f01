"""Output that appears whole or not at all, under a name that is checked before any work.

In: the path a user asked for. Out: a path in a hidden sibling folder to write to, whose content takes its place when
all went well, and is gone when it did not. A run that was killed leaves its folder; the next run removes it.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simcell.errors import SimcellError

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def check_output(path: str | os.PathLike[str], *, force: bool, ours: Callable[[Path], bool], kind: str) -> Path:
    """Return `path` if output may be written there, else raise `SimcellError`; nothing is touched.

    Args:
        path: file or folder to be made. Its parent must be a folder in which one may write.
        force: whether something of our own that stands there may be replaced.
        ours: says of an existing path whether it is something that this program wrote; anything else is never replaced.
        kind: what the output is called in messages (``"a simcell file"``).
    """
    path = Path(path)
    if path.name in ("", ".."):
        raise SimcellError(f"{path}: a file name is expected")
    parent = path.parent
    if not parent.is_dir():
        raise SimcellError(f"{path}: the folder {parent} does not exist")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise SimcellError(f"{path}: the folder {parent} is not writable")
    if os.path.lexists(path):
        if not ours(path):
            raise SimcellError(f"{path}: exists and is not {kind}; not replaced")
        if not force:
            raise SimcellError(f"{path}: exists; use --force to replace it")
    return path


@contextmanager
def staged(path: str | os.PathLike[str], *, force: bool, ours: Callable[[Path], bool], kind: str) -> Iterator[Path]:
    """Give a path to write to; on a clean exit, what was written there is moved to `path`, else it is removed.

    The move is a rename within one folder: a reader sees the old output or the new one. Arguments as in
    `check_output`. Two runs that write the same path at once are told apart by a lock; the second one is refused.

    Raises:
        SimcellError: for what `check_output` refuses, for a second run, and for a disk that fills up.
    """
    path = Path(path)
    stage = path.parent / f".{path.name}.partial"
    if not os.path.lexists(stage):
        check_output(path, force=force, ours=ours, kind=kind)
    with _locked(stage, path):
        new, old = stage / "new", stage / "old"
        try:
            if old.exists() and not os.path.lexists(path):
                os.rename(old, path)  # a run was killed between the two renames below
            check_output(path, force=force, ours=ours, kind=kind)
            _empty(stage)
            yield new
            check_output(path, force=force, ours=ours, kind=kind)  # may have appeared meanwhile
            if os.path.lexists(path):
                os.rename(path, old)
            os.rename(new, path)
        except BaseException as error:
            if os.path.lexists(old) and not os.path.lexists(path):
                os.rename(old, path)
            if is_disk_full(error):
                raise SimcellError(f"{path}: the disk is full; nothing was written") from error
            raise
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def reserve(stage: Path, size: int) -> None:
    """Raise `OSError` unless `size` more bytes fit beside `stage`, a path given by `staged`.

    For writers that cannot bear a full disk: HDF5 fails again on every object that it closes later, and then crashes.
    The room is taken for a moment rather than asked for, since quotas do not show in the free space.
    """
    ballast = stage.with_name("reserve")
    try:
        with ballast.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            elif shutil.disk_usage(ballast.parent).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        ballast.unlink(missing_ok=True)


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether `error`, or one that led to it, says that the disk or the quota is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if isinstance(error, (OSError, RuntimeError)) and os.strerror(errno.ENOSPC) in str(error):
            return True  # HDF5 wraps the number in a text of its own
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _locked(stage: Path, path: Path) -> Iterator[None]:
    """Hold the only lock on the folder `stage`, made if need be; the system frees it when the process dies."""
    busy = SimcellError(f"{path}: another run is writing it")
    if sys.platform == "win32":  # no lock on folders there
        stage.mkdir(exist_ok=True)
        yield
        return
    import fcntl

    try:
        stage.mkdir(exist_ok=True)
        handle = os.open(stage, os.O_RDONLY)
    except FileNotFoundError:
        raise busy from None  # it was removed under our hands: by the run that had just finished
    except OSError as error:
        why = "the disk is full" if error.errno in _FULL else error.strerror
        raise SimcellError(f"{path}: cannot be written ({why})") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        if not stage.exists() or os.stat(stage).st_ino != os.fstat(handle).st_ino:
            raise busy
        yield
    finally:
        with suppress(OSError):
            os.close(handle)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
