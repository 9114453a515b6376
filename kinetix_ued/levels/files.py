"""Level files: loading, saving, and whole folders of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kinetix_ued.whole import whole_file
from kinetix_ued.world import Level, Size, size_of

from .errors import LevelError
from .kinetix import level_to_kinetix, read_kinetix
from .native import level_to_native, native_text, read_metadata, read_native
from .reader import Node, read_json
from .resize import resize_level, smallest_size
from .validate import check_level

FORMATS = ("native", "kinetix")


def load_level(path_or_mapping: str | os.PathLike | Mapping[str, Any], size: str | Size | None = None) -> Level:
    """The level in a file of either format, or in such a file's parsed content; of its own size, or padded to ``size``.

    Raises:
        LevelError: not a level, or one larger than ``size``; names file, field and remedy.
        ValueError: ``size`` is unknown.
    """
    return jax.device_put(_load(path_or_mapping, None if size is None else size_of(size)))


def load_levels(
    paths_or_folders: str | os.PathLike | Iterable[str | os.PathLike], size: str | Size | None = None
) -> tuple[list[str], Level]:
    """Names and levels of files and of all ``*.json`` files under folders, sorted by path, as one batch.

    A name is the file's path without the folders that all have in common and without ``.json``, at least
    ``folder/file``. Levels are padded to the smallest standard size that holds all of them, or to ``size``.

    Raises:
        LevelError: as ``load_level``; also where there is no file at all.
        ValueError: ``size`` is unknown.
    """
    if isinstance(paths_or_folders, (str, os.PathLike)):
        paths_or_folders = [paths_or_folders]
    given = [Path(path) for path in paths_or_folders]
    files = sorted({file for path in given for file in _files_of(path)})
    if not files:
        raise LevelError("load_levels", None, "no level file", "name files, or folders that hold *.json")
    levels = [_load(file, None) for file in files]
    kinds = ("polygons", "circles", "joints", "thrusters")
    largest = smallest_size(*(max(getattr(level.size, kind) for level in levels) for kind in kinds))
    wanted = largest if size is None else size_of(size)
    padded = [resize_level(level, wanted, str(file)) for level, file in zip(levels, files)]
    return _names(files), jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *padded))


def load_metadata(path_or_mapping: str | os.PathLike | Mapping[str, Any]) -> dict[str, Any]:
    """The title, description and tags that a level file has; none of them in Kinetix' format.

    Raises:
        LevelError: the file cannot be read.
    """
    document, source = _document(path_or_mapping)
    return read_metadata(Node(document, source)) if "format" in document else {}


def save_level(
    level: Level,
    path: str | os.PathLike,
    format: str = "native",
    overwrite: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes a level in this project's format, or with ``format="kinetix"`` in Kinetix'; folders are made as needed.

    The file appears whole or not at all. ``metadata``: title, description and tags, in the native format only.

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
    if "format" in document:
        level = read_native(document, source)
    elif "env_state" in document:
        level = read_kinetix(document, source)
    else:
        remedy = 'a level has "format" (this project\'s) or "env_state" (Kinetix\')'
        raise LevelError(source, None, "not a level of a known format", remedy)
    return level if size is None else resize_level(level, size, source)


def _document(path_or_mapping: str | os.PathLike | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    if isinstance(path_or_mapping, Mapping):
        return path_or_mapping, "mapping"
    if not isinstance(path_or_mapping, (str, os.PathLike)):
        raise TypeError(f"a path or a mapping expected, not {type(path_or_mapping).__name__}")
    source = os.fsdecode(path_or_mapping)
    return Node(read_json(source), source).mapping().value, source


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [file for file in path.rglob("*.json") if file.is_file()]
    if not found:
        raise LevelError(str(path), None, "no *.json file in this folder", "check the path")
    return found


def _names(files: list[Path]) -> list[str]:
    resolved = [file.resolve() for file in files]
    common = Path(os.path.commonpath([file.parent for file in resolved]))
    if any(file.parent == common for file in resolved):
        common = common.parent
    return [file.relative_to(common).as_posix().removesuffix(".json") for file in resolved]


def _write(path: Path, text: str, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists: pass overwrite=True or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
