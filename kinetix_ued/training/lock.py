"""One process at a time trains a run: a lock on its folder, which ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import filelock

LOCK, HOLDER = ".lock", ".lock-holder"
"""The file that is locked, which may stay behind and then blocks nobody; and the one that says who holds the lock."""

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class RunInUse(ValueError):
    """A folder belongs to a run already, or the run in it is being trained by another process, or by this one."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the run in folder ``path``, which is made if it is not there. Whoever only reads it needs no lock.

    The operating system takes the lock away when the process ends, however it ends. Where the file system knows no
    locks, a warning says so, and nothing is held.

    Raises:
        RunInUse: where it is held already; names the process, if it said who it is.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RunInUse(f"{path} is being trained already{_holder(path)}: wait for its end, or stop it") from None
    except (OSError, NotImplementedError) as problem:
        if isinstance(problem, OSError) and problem.errno not in _UNSUPPORTED:
            raise
        reason = getattr(problem, "strerror", None) or str(problem)
        warnings.warn(
            f"{path} cannot be locked here ({reason}): see to it that no second process trains it meanwhile",
            stacklevel=3,
        )
        yield
        return
    try:
        with contextlib.suppress(OSError):  # only for the message above
            (path / HOLDER).write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            (path / HOLDER).unlink()
        lock.release()


def _holder(path: Path) -> str:
    """Who says to hold the lock, in words to put behind a sentence; empty where nobody said."""
    with contextlib.suppress(OSError, ValueError):
        if name := " ".join((path / HOLDER).read_text(encoding="utf-8").split()):
            return f" by {name[:200]}"
    return ""
