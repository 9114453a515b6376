"""Damage to the folder of a run: to its configuration, its numbers and its checkpoints."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kinetix_ued.training.run import CHECKPOINTS, CONFIG, METRICS

from .byte_mutations import mutate_bytes
from .document_targets import mutate_lines
from .json_mutations import mutate_json

Damage = Callable[[Path, np.random.Generator], str]
"""``damage(run, rng)`` harms a run's folder in place and says what it did."""


def damage_run(folder: Path, rng: np.random.Generator) -> str:
    """Harm the run in ``folder`` once or twice; what was done, in a few words."""
    done = []
    for _ in range(1 + int(rng.random() < 0.3)):
        names = list(RUN_DAMAGE)
        done.append(RUN_DAMAGE[names[int(rng.integers(len(names)))]](folder, rng))
    return "; ".join(filter(None, done))


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in (folder / CONFIG, folder / METRICS, *sorted((folder / CHECKPOINTS).glob("*/*")))
        if path.is_file()
    ]


def _any_file(folder: Path, rng: np.random.Generator) -> Path | None:
    """A file of the run, each kind about as likely as another."""
    kinds = ["config", "metrics", "manifest", "arrays"]
    wanted = kinds[int(rng.integers(len(kinds)))]
    found = [path for path in _files(folder) if path.name.startswith(wanted)]
    return found[int(rng.integers(len(found)))] if found else None


def _rewritten(change: Callable[[bytes, np.random.Generator], bytes], verb: str) -> Damage:
    def damage(folder: Path, rng: np.random.Generator) -> str:
        path = _any_file(folder, rng)
        if path is None:
            return ""
        path.write_bytes(change(path.read_bytes(), rng))
        return f"{path.relative_to(folder)} {verb}"

    return damage


def _edited(folder: Path, rng: np.random.Generator) -> str:
    path = _any_file(folder, rng)
    if path is None:
        return ""
    mutate = mutate_lines if path.name == METRICS else mutate_json if path.suffix == ".json" else mutate_bytes
    try:
        content, done = mutate(path.read_bytes(), rng)
    except ValueError:  # it was damaged before
        content, done = mutate_bytes(path.read_bytes(), rng)
    path.write_bytes(content)
    return f"{path.relative_to(folder)}: {', '.join(done)}"


def _deleted(folder: Path, rng: np.random.Generator) -> str:
    path = _any_file(folder, rng)
    if path is None:
        return ""
    path.unlink()
    return f"{path.relative_to(folder)} deleted"


def _swapped(folder: Path, rng: np.random.Generator) -> str:
    files = _files(folder)
    if len(files) < 2:
        return ""
    a, b = (files[int(i)] for i in rng.choice(len(files), 2, replace=False))
    ours, theirs = a.read_bytes(), b.read_bytes()
    a.write_bytes(theirs)
    b.write_bytes(ours)
    return f"{a.relative_to(folder)} and {b.relative_to(folder)} swapped"


def _checkpoints_swapped(folder: Path, rng: np.random.Generator) -> str:
    found = sorted((folder / CHECKPOINTS).glob("update_*"))
    if len(found) < 2:
        return ""
    spare = folder / "spare"
    for source, target in ((found[0], spare), (found[-1], found[0]), (spare, found[-1])):
        source.rename(target)
    return f"{found[0].name} and {found[-1].name} swapped"


def _checkpoint_deleted(folder: Path, rng: np.random.Generator) -> str:
    found = sorted((folder / CHECKPOINTS).glob("update_*"))
    if not found:
        return ""
    gone = [found[int(rng.integers(len(found)))], folder / CHECKPOINTS][int(rng.random() < 0.2)]
    shutil.rmtree(gone, ignore_errors=True)
    return f"{gone.relative_to(folder)} deleted"


def _folder_instead(folder: Path, rng: np.random.Generator) -> str:
    path = _any_file(folder, rng)
    if path is None:
        return ""
    path.unlink()
    path.mkdir()
    return f"{path.relative_to(folder)} is a folder"


def _file_instead(folder: Path, rng: np.random.Generator) -> str:
    found = [folder / CHECKPOINTS, *sorted((folder / CHECKPOINTS).glob("update_*"))]
    path = found[int(rng.integers(len(found)))]
    shutil.rmtree(path, ignore_errors=True)
    path.write_bytes(b"not a folder")
    return f"{path.relative_to(folder)} is a file"


def _stray(folder: Path, rng: np.random.Generator) -> str:
    """Something that other programs, or a run that was killed, left among the checkpoints."""
    names = ("update_xyz", "update_", "update_7", "update_999999999", "update_-00000001", "update_000000004 (copy)",
             "update_\u0661\u0662", ".update_000000099.partial", ".DS_Store", "best")  # fmt: skip
    path = folder / CHECKPOINTS / names[int(rng.integers(len(names)))]
    path.parent.mkdir(exist_ok=True)
    what = ("folder", "file", "copy", "dangling link", "link to itself")[int(rng.integers(5))]
    whole = sorted(path.parent.glob("update_*"))
    if path.exists() or path.is_symlink():
        return ""
    if what == "copy" and whole and whole[-1].is_dir():
        shutil.copytree(whole[-1], path)
    elif what == "file":
        path.write_bytes(b"stray")
    elif what == "dangling link":
        os.symlink("nowhere", path)
    elif what == "link to itself":
        os.symlink(path.name, path)
    else:
        path.mkdir()
    return f"{path.relative_to(folder)}: a stray {what}"


def _truncate(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _flip(content: bytes, rng: np.random.Generator) -> bytes:
    found = bytearray(content)
    if found:
        found[int(rng.integers(len(found)))] ^= 1 << int(rng.integers(8))
    return bytes(found)


RUN_DAMAGE: dict[str, Damage] = {
    "truncated": _rewritten(_truncate, "truncated"),
    "flipped": _rewritten(_flip, "with one bit flipped"),
    "emptied": _rewritten(lambda content, rng: b"", "emptied"),
    "zeroed": _rewritten(lambda content, rng: bytes(len(content)), "full of zeros"),
    "edited": _edited,
    "edited again": _edited,
    "deleted": _deleted,
    "swapped": _swapped,
    "checkpoints swapped": _checkpoints_swapped,
    "checkpoint deleted": _checkpoint_deleted,
    "folder instead": _folder_instead,
    "file instead": _file_instead,
    "stray": _stray,
}
"""Kinds of damage; editing stands twice, since there is most to edit."""
