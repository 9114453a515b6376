"""Level files: loading, saving, and whole folders of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from kinetix_ued.whole import whole_file
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.writable import refuse_existing

from .errors import LevelError, listed
from .kinetix import level_to_kinetix, read_kinetix
from .native import level_to_native, native_text, read_metadata, read_native
from .reader import Node, read_json
from .resize import resize_level, smallest_size
from .validate import check_level

FORMATS = ("native", "kinetix")

LIST_SUFFIX = ".txt"
"""What the name of a list of level files ends in."""

MAX_NAMED = 100
"""Bad files that one error names; it says how many more there are."""


def load_level(path_or_mapping: str | os.PathLike | Mapping[str, Any], size: str | Size | None = None) -> Level:
    """The level in a file of either format, or in such a file's parsed content; of its own size, or padded to ``size``.

    Raises:
        LevelError: not a level, or one larger than ``size``; names file, field and remedy.
        ValueError: ``size`` is unknown.
    """
    return jax.device_put(_load(path_or_mapping, None if size is None else size_of(size)))


class Levels(NamedTuple):
    """What was read from level files.

    Attributes:
        levels: each of its own size, as NumPy arrays, by name
        metadata: what each file says of its level, by name; see ``load_metadata``
        skipped: what was wrong with each file that is left out
    """

    levels: dict[str, Level]
    metadata: dict[str, dict[str, Any]]
    skipped: tuple[LevelError, ...]


def load_levels(
    paths_or_folders: str | os.PathLike | Iterable[str | os.PathLike],
    size: str | Size | None = None,
    skip_bad: bool = False,
) -> tuple[list[str], Level]:
    """Names and levels of files and of all ``*.json`` files under folders, as one batch; see ``level_files``.

    A name is the file's path without the folders that all have in common and without ``.json``, at least
    ``folder/file``. Levels are padded to the smallest standard size that holds all of them, or to ``size``. With
    ``skip_bad`` files that are no levels are left out; ``read_levels`` says what is wrong with each.

    Raises:
        LevelError: as ``load_level``, with the names of all bad files; also where there is no file at all.
        ValueError: ``size`` is unknown.
    """
    files = level_files(paths_or_folders)
    named = dict(zip(level_names(files), files))
    levels = read_levels(named, skip_bad).levels
    return list(levels), stack_levels(list(levels.values()), size, [str(named[name]) for name in levels])


def read_levels(files: Mapping[str, str | os.PathLike], skip_bad: bool = False) -> Levels:
    """The levels in files, by the name that each is to have.

    Args:
        files: file by name.
        skip_bad: leave out files that are no levels.

    Raises:
        LevelError: where a file is no level: says what is wrong with the first and names all. With ``skip_bad`` only
            where a file is not there, or none is a level.
    """
    levels: dict[str, Level] = {}
    metadata: dict[str, dict[str, Any]] = {}
    bad: list[LevelError] = []
    for name, file in files.items():
        try:
            levels[name], metadata[name] = read_level(file)
        except LevelError as error:
            if not os.path.exists(file):
                raise
            bad.append(error)
    if bad and not (skip_bad and levels):
        raise _refusal(bad, len(files))
    return Levels(levels, metadata, tuple(bad))


def _refusal(bad: Sequence[LevelError], files: int) -> LevelError:
    """The error about the first of the bad files, which names the others."""
    first, *others = bad
    problem = first.problem
    if others:
        problem += f" (and {listed([error.file for error in others], MAX_NAMED)} cannot be used either)"
    remedy = "leave them out" if others else "leave the file out"
    remedy = f"; or {remedy}: skip_bad=True, --skip-bad" if len(bad) < files else ""
    return LevelError(first.file, first.field, problem, first.remedy + remedy)


def level_files(paths_or_folders: str | os.PathLike | Iterable[str | os.PathLike]) -> list[Path]:
    """These files and all ``*.json`` files under these folders, each once: in the order given, a folder's by path.

    A list, a text file that ends in ``.txt``, stands for the files and folders that it names: one a line, relative to
    the list's own folder; empty lines and those that begin with # do not count. Level files are not looked at.

    Raises:
        LevelError: for a folder or a list without any, a list that cannot be read, or no path at all.
    """
    if isinstance(paths_or_folders, (str, os.PathLike)):
        paths_or_folders = [paths_or_folders]
    files: dict[Path, Path] = {}
    for path in paths_or_folders:
        for file in _files_of(Path(path)):
            files.setdefault(file.resolve(), file)
    if not files:
        raise LevelError("load_levels", None, "no level file", "name files, or folders that hold *.json")
    return list(files.values())


def level_names(files: Sequence[Path]) -> list[str]:
    """Each path without the folders that all have in common and without ``.json``, at least ``folder/file``.

    Where two would have the same name, such as ``a`` and ``a.json``, all keep their ``.json``.
    """
    resolved = [file.resolve() for file in files]
    common = Path(os.path.commonpath([file.parent for file in resolved]))
    if any(file.parent == common for file in resolved):
        common = common.parent
    whole = [file.relative_to(common).as_posix() for file in resolved]
    short = [name.removesuffix(".json") for name in whole]
    return short if len(set(short)) == len(short) else whole


def stack_levels(
    levels: Sequence[Level], size: str | Size | None = None, sources: Sequence[str] | None = None
) -> Level:
    """One batch of levels, padded to the smallest standard size that holds all of them, or to ``size``.

    Args:
        levels: single ones, or all of them batches.
        size: of the batch.
        sources: what errors call them.

    Raises:
        LevelError: for a level larger than ``size``.
        ValueError: ``size`` is unknown.
    """
    kinds = ("polygons", "circles", "joints", "thrusters")
    largest = smallest_size(*(max(getattr(level.size, kind) for level in levels) for kind in kinds))
    wanted = largest if size is None else size_of(size)
    padded = [resize_level(level, wanted, source) for level, source in zip(levels, sources or ["level"] * len(levels))]
    join = np.stack if np.ndim(levels[0].gravity) == 1 else np.concatenate
    return jax.device_put(jax.tree.map(lambda *leaves: join(leaves), *padded))


def read_level(path: str | os.PathLike) -> tuple[Level, dict[str, Any]]:
    """``load_level`` with NumPy arrays, and ``load_metadata``, from one reading of the file."""
    document, source = _document(path)
    return _level(document, source), _metadata(document, source)


def load_metadata(path_or_mapping: str | os.PathLike | Mapping[str, Any]) -> dict[str, Any]:
    """What a level file says of its level: title, task, family and so on, see ``METADATA``; nothing in Kinetix' format.

    Raises:
        LevelError: the file cannot be read.
    """
    return _metadata(*_document(path_or_mapping))


def save_level(
    level: Level,
    path: str | os.PathLike,
    format: str = "native",
    overwrite: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes a level in this project's format, or with ``format="kinetix"`` in Kinetix'; folders are made as needed.

    The file appears whole or not at all. ``metadata``: what ``load_metadata`` returns, in the native format only.

    Raises:
        LevelError: the level breaks ``check_level``'s rules.
        FileExistsError: there is such a file and ``overwrite`` is not set.
        ValueError: an unknown format, a batch of levels, or metadata for Kinetix' format.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}: use one of {', '.join(FORMATS)}")
    if np.ndim(level.gravity) != 1:
        raise ValueError("save_level takes one level: index the batch")
    if format == "kinetix" and metadata:
        raise ValueError("Kinetix' format has no place for metadata: use format='native'")
    if format == "native":
        text = native_text(level_to_native(level, metadata))
    else:
        check_level(level)
        text = json.dumps(level_to_kinetix(level), allow_nan=False)
    _write(Path(path), text, overwrite)


def _load(path_or_mapping: str | os.PathLike | Mapping[str, Any], size: Size | None) -> Level:
    """``load_level`` with NumPy arrays."""
    document, source = _document(path_or_mapping)
    level = _level(document, source)
    return level if size is None else resize_level(level, size, source)


def _level(document: Mapping[str, Any], source: str) -> Level:
    if "format" in document:
        return read_native(document, source)
    if "env_state" in document:
        return read_kinetix(document, source)
    remedy = 'a level has "format" (this project\'s) or "env_state" (Kinetix\')'
    raise LevelError(source, None, "not a level of a known format", remedy)


def _metadata(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    return read_metadata(Node(document, source)) if "format" in document else {}


def _document(path_or_mapping: str | os.PathLike | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    if isinstance(path_or_mapping, Mapping):
        return path_or_mapping, "mapping"
    if not isinstance(path_or_mapping, (str, os.PathLike)):
        raise TypeError(f"a path or a mapping expected, not {type(path_or_mapping).__name__}")
    source = os.fsdecode(path_or_mapping)
    return Node(read_json(source), source).mapping().value, source


def _files_of(path: Path, in_list: bool = False) -> list[Path]:
    if not path.is_dir():
        return [path] if in_list or path.suffix != LIST_SUFFIX else _files_in_list(path)
    found = sorted(file for file in path.rglob("*.json") if file.is_file())
    if not found:
        raise LevelError(str(path), None, "no *.json file in this folder", "name a folder that holds level files")
    return found


def _files_in_list(path: Path) -> list[Path]:
    try:
        lines = map(str.strip, path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as problem:
        raise LevelError(str(path), None, f"the list cannot be read ({problem})", "name a text file in UTF-8") from None
    named = [path.parent / line for line in lines if line and not line.startswith("#")]
    if not named:
        raise LevelError(str(path), None, "the list names no file", "write the path of a level file on each line")
    return [file for one in named for file in _files_of(one, in_list=True)]


def _write(path: Path, text: str, overwrite: bool) -> None:
    refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
