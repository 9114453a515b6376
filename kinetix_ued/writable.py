"""Where results may be written: nothing is replaced unasked, and what cannot be written is refused before the work."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


class TakenError(FileExistsError, ValueError):
    """A name that something has already, and that was not to be replaced."""


def taken(path: str | os.PathLike[str]) -> bool:
    """Whether something has this name. A link that leads nowhere has it too, though ``Path.exists`` denies it."""
    return os.path.lexists(path)


def refuse_existing(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse a name that is taken, unless what has it may be replaced.

    Raises:
        TakenError: a FileExistsError and ValueError that names the path and the remedy.
    """
    if taken(path) and not overwrite:
        raise TakenError(f"{path} exists already: choose another name, or pass --overwrite (overwrite=True)")


def refuse_unwritable(path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Refuse a file that cannot be written, with folders made as needed. To be called before the work is done.

    Nothing is left behind. Permissions do not tell what a file system allows, so that a file is made and removed.

    Raises:
        ValueError: there is a folder of this name, a device, or a file where a folder has to be.
        TakenError: the name is taken and ``overwrite`` is not set.
        OSError: no file can be made there.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file")
    refuse_existing(path, overwrite)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no regular file: choose another name")
    _probe(path.parent, path.name)


def refuse_unwritable_folder(folder: str | os.PathLike[str]) -> None:
    """Refuse a folder in which no files can be made, or that cannot be made itself; see ``refuse_unwritable``.

    Raises:
        ValueError: something else has its name, or that of a folder above it.
        OSError: no file can be made there.
    """
    _probe(Path(folder), "x")


def _probe(folder: Path, name: str) -> None:
    """Makes and removes a file named like the partial one of ``whole_file`` in the folder, or in the first that is there."""
    place = folder
    while not taken(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ValueError(f"{place} is a file: name a folder" if place.exists() else f"{place} is a link to nothing")
    for part in folder.parts[len(place.parts) :]:
        _make(place / f".{part}")  # a name that is too long, or not allowed
    _make(place / f".{name}.{secrets.token_hex(6)}.partial")


def _make(path: Path) -> None:
    try:
        with open(path, "xb"):
            pass
    except FileExistsError:
        return
    except OSError as problem:
        raise OSError(problem.errno, f"cannot be written to ({problem.strerror})", str(path.parent)) from None
    except ValueError as problem:  # a null byte
        raise ValueError(f"{str(path)!r} is not a path ({problem})") from None
    path.unlink()
