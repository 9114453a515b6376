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
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder: name a file")
    refuse_existing(path, overwrite)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path} is no regular file: choose another name")
    _probe(path, path.parent, path.name)


def refuse_unwritable_folder(folder: str | os.PathLike[str]) -> None:
    """Refuse a folder in which no files can be made, or that cannot be made itself; see ``refuse_unwritable``.

    Raises:
        ValueError: something else has its name, or that of a folder above it.
        OSError: no file can be made there.
    """
    _probe(Path(folder), Path(folder), "x")


def _probe(wanted: Path, folder: Path, name: str) -> None:
    """Makes and removes a file named like the partial one of ``whole_file`` in the folder, or the first that exists.

    Names of folders that are missing are tried too: they may be too long, or not allowed.
    """
    place = folder
    while not taken(place) and place != place.parent:
        place = place.parent
    if not os.path.isdir(place):
        kind = "a file" if os.path.exists(place) else "a link to nothing"
        raise ValueError(f"{wanted}: {place} is {kind}: name a folder")
    for part in (*folder.parts[len(place.parts) :], name):
        trial = place / f".{part}.{secrets.token_hex(6)}.partial"
        try:
            with open(trial, "xb"):
                pass
        except OSError as problem:
            raise OSError(problem.errno, f"cannot be written ({problem.strerror})", str(wanted)) from None
        except ValueError as problem:  # a null byte
            raise ValueError(f"{str(wanted)!r} is not a path ({problem})") from None
        trial.unlink()
