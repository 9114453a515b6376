"""Writing files whole or not at all: under another name first, renamed when they are complete."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | os.PathLike[str], *, durable: bool = False) -> Iterator[Path]:
    """A name beside ``path`` to write to; it becomes ``path`` at the end, replacing what is there, or is removed.

    Two writers never share the name. The folder must exist.

    Args:
        path: of the file.
        durable: have the file on the disk before it takes the place of another one, so that a power cut leaves one of
            them; without, it may leave an empty file.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")
    try:
        yield partial
        if durable:
            with open(partial, "r+b") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
        if durable:
            folder_to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def folder_to_disk(folder: Path) -> None:
    """Make names in a folder durable; not every platform can open a folder, and there it is not needed."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
