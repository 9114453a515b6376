"""Checkpoints: plain files, written atomically, restored bit for bit.

A checkpoint is a folder ``update_000000042`` with two files: ``arrays.npz`` holds the leaves of a pytree in order, and
``manifest.json`` says what they are: format version, configuration, the path, shape, type and SHA-256 of every leaf,
whatever the host counted, and how good the policy was. The folder is written under another name and renamed when it is
on the disk and has been read back, so one that carries its name is complete; one that was damaged later fails its
checksums and is passed over, with a warning. The last few whole ones are kept, and the best one however old it is;
damaged ones never count among them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.terminal import printable
from kinetix_ued.whole import folder_to_disk

from .config import UNNOTED, TrainConfig
from .metrics import Rating

FORMAT = 1
"""Version of the layout; raised when an older reader could not read it."""

_ARRAYS, _MANIFEST = "arrays.npz", "manifest.json"

MOST_MANIFEST_BYTES = 2_000_000
"""Size above which a manifest is refused. A leaf takes about 250 bytes, and a large run has a thousand."""

_NAME = re.compile("update_([0-9]{9,})")
_PARTIAL, _REPLACED = ".partial", ".replaced"

_REMEDY = "Use the same, or another folder; init_from takes the parameters alone"


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or does not fit what it is to be restored into."""


class Checkpoint(NamedTuple):
    """A checkpoint as it was read.

    Attributes:
        tree: the pytree, as NumPy arrays and PRNG keys
        update: updates that were done when it was written
        config: the configuration it was written under
        host: what the host counted
        path: its folder
        rating: how good the policy was; None if nothing told
    """

    tree: Any
    update: int
    config: dict[str, Any]
    host: dict[str, Any]
    path: Path
    rating: Rating | None


def save(
    folder: Path,
    tree: Any,
    *,
    update: int,
    config: dict[str, Any],
    host: dict[str, Any],
    keep: int,
    rating: Rating | None = None,
) -> Path:
    """Write ``tree`` as the checkpoint of ``update`` into ``folder``; keep the last ``keep`` and the best one.

    No whole checkpoint is removed before this one has been read back.

    Raises:
        CheckpointError: where it does not read back as it was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recover(folder)
    final = folder / _name(update)
    partial = _beside(final, _PARTIAL)
    partial.mkdir()
    leaves = [_describe(path, leaf) for path, leaf in jax.tree.leaves_with_path(tree)]
    with open(partial / _ARRAYS, "wb") as file:
        np.savez(file, **{f"leaf_{i:05d}": stored for i, (_, stored) in enumerate(leaves)})
        _to_disk(file)
    manifest = {
        "format": FORMAT,
        "update": update,
        "config": config,
        "host": host,
        "rating": rating,
        "leaves": [description for description, _ in leaves],
    }
    manifest["checksum"] = _checksum(manifest)
    with open(partial / _MANIFEST, "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
        _to_disk(file)
    folder_to_disk(partial)
    _read(partial)
    replaced = _beside(final, _REPLACED)
    if os.path.lexists(final):  # one of the same update that was damaged, or whose callbacks were not done
        os.replace(final, replaced)
    os.replace(partial, final)
    folder_to_disk(folder)
    if os.path.lexists(replaced):
        _remove(replaced)
    _rotate(folder, final, keep)
    return final


def recover(folder: Path) -> None:
    """Clear away what a crash in the middle of a save left, and put back a checkpoint that was about to be replaced.

    Only for the process that trains the run.
    """
    for abandoned in folder.glob(f".update_*{_PARTIAL}"):
        _remove(abandoned)
    for replaced in folder.glob(f".update_*{_REPLACED}"):
        final = folder / replaced.name[1 : -len(_REPLACED)]
        if os.path.lexists(final):
            _remove(replaced)
        else:
            os.replace(replaced, final)


def _rotate(folder: Path, newest: Path, keep: int) -> None:
    """Remove what is older than the last ``keep`` whole checkpoints, but neither ``newest`` nor the best whole one."""
    found = _folders(folder)
    if len(found) <= keep:
        return
    whole = {newest: True}

    def is_whole(path: Path) -> bool:
        if path not in whole:
            whole[path] = _is_whole(path)
        return whole[path]

    spared = {newest, next(filter(is_whole, _best_first(folder)), newest)}
    kept = 0
    for path in found:
        if kept < keep:
            kept += is_whole(path)
        elif path not in spared:
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a checkpoint in such a way that a crash leaves no part of it under its name; a warning where it stays."""
    try:
        if path.name[0] != ".":
            path = path.rename(_beside(path, _PARTIAL))
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as problem:  # what was saved is saved: no reason to end a run
        warnings.warn(f"{path} cannot be removed: {problem.strerror or problem}", stacklevel=2)


def load(
    folder: Path,
    example: Any,
    *,
    which: str | int = "latest",
    config: dict[str, Any] | None = None,
    part: str = "",
    remedy: str = _REMEDY,
) -> Checkpoint | None:
    """A whole checkpoint in ``folder``, or None. Damaged ones are passed over; a warning names them and what is used.

    Args:
        folder: where ``save`` wrote.
        example: a pytree like the saved one, or like the part of it under ``part``; ShapeDtypeStructs will do.
        which: ``latest``; ``best``: of the highest rating, the earlier one of equals; or an update's number.
        config: the configuration that the checkpoint must have been written under; None takes any.
        part: key path of the wanted part, such as ``.params``.
        remedy: what to do about another configuration, in words.

    Raises:
        CheckpointError: for a whole checkpoint of another format, configuration or tree, naming what differs.
        ValueError: for another ``which``.
    """
    for _ in range(3):
        path, manifest, stored, damaged, vanished = _search(folder, which)
        if not vanished:  # else the run goes on meanwhile, and has removed what was about to be read
            break
    if path is None:
        return None
    if manifest["format"] != FORMAT:
        raise CheckpointError(f"{path} has checkpoint format {manifest['format']}, this version reads {FORMAT}")
    if damaged:
        more = f" ({len(damaged) - 1} more are damaged)" if len(damaged) > 1 else ""
        place = "older" if which == "latest" else "next best"
        warnings.warn(f"{damaged[0]}{more}: the {place} {path.name} is used instead", stacklevel=3)
    if config is not None:
        refuse_other_config(manifest["config"], config, path, remedy)
    tree = _restore(path, manifest["leaves"], stored, example, part)
    return Checkpoint(tree, manifest["update"], manifest["config"], manifest["host"], path, _rating(manifest))


def _search(folder: Path, which: str | int) -> tuple[Path | None, dict, list[np.ndarray], list[CheckpointError], bool]:
    """The wanted checkpoint's folder, manifest and arrays; what was passed over; whether one vanished meanwhile."""
    damaged: list[CheckpointError] = []
    vanished = False
    if which == "latest":
        chosen = _folders(folder)
    elif which == "best":
        chosen = _best_first(folder, damaged)
    elif isinstance(which, int) and not isinstance(which, bool):
        chosen = [path for path in _folders(folder) if path.name == _name(which)]
    else:
        raise ValueError(f"unknown checkpoint {which!r}: use 'latest', 'best' or the number of an update")
    for path in chosen:
        try:
            return path, *_read(path), damaged, vanished
        except CheckpointError as problem:
            if path.exists():
                damaged.append(problem)
            else:
                vanished = True
    return None, {}, [], damaged, vanished


def saved_updates(folder: Path) -> list[int]:
    """Updates of the checkpoints in ``folder``, damaged ones too, oldest first."""
    return [_update_of(path) for path in reversed(_folders(folder))]


def whole_updates(folder: Path) -> list[int]:
    """Updates of the checkpoints in ``folder`` that are whole, oldest first; reads them all."""
    return [_update_of(path) for path in reversed(_folders(folder)) if _is_whole(path)]


def best_rating(folder: Path) -> Rating | None:
    """The highest rating among the whole checkpoints in ``folder``."""
    best = next(filter(_is_whole, _best_first(folder)), None)
    return _rating(_manifest(best)) if best else None


def refuse_other_config(saved: dict[str, Any], wanted: dict[str, Any], path: Path, remedy: str = _REMEDY) -> None:
    """Raise CheckpointError naming every entry in which two configurations differ.

    A field that did not exist yet when ``saved`` was written has its default there, or what runs did then.
    """
    missing = "(absent)"
    defaults = TrainConfig().to_dict() | UNNOTED
    saved = {name: defaults[name] for name in wanted if name in defaults} | saved
    names = [name for name in {**saved, **wanted} if saved.get(name, missing) != wanted.get(name, missing)]
    if names:
        shown = lambda values, name: f"{values.get(name, missing)!r:.200}"
        compared = (f"{printable(n)} is {shown(saved, n)} there, {shown(wanted, n)} here" for n in names)
        raise CheckpointError(f"{path} belongs to another configuration: {'; '.join(compared)}. {remedy}")


def _describe(path: tuple, leaf: Any) -> tuple[dict[str, Any], np.ndarray]:
    """What the manifest says of a leaf, and the plain array that is stored for it."""
    key = str(jax.random.key_impl(leaf)) if _is_key(leaf) else None
    array = np.asarray(jax.random.key_data(leaf) if key else leaf)
    # Types that NumPy does not know by itself (bfloat16 and the like) are stored as their bytes.
    stored = array if array.dtype.isbuiltin == 1 else array[..., None].view(np.uint8)
    description = {
        "path": jax.tree_util.keystr(path),
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "key": key,
        "sha256": hashlib.sha256(stored.tobytes()).hexdigest(),
    }
    return description, stored


def _is_key(leaf: Any) -> bool:
    """Whether a leaf is a typed PRNG key; raw uint32 keys are arrays like any other."""
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _read(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Manifest and stored arrays of a checkpoint whose checksums hold."""
    manifest = _manifest(path)
    if manifest["format"] != FORMAT:
        return manifest, []
    try:
        with np.load(path / _ARRAYS, allow_pickle=False) as arrays:
            stored = [arrays[f"leaf_{i:05d}"] for i in range(len(manifest["leaves"]))]
        sums = [hashlib.sha256(array.tobytes()).hexdigest() for array in stored]
        whole = sums == [description["sha256"] for description in manifest["leaves"]]
    except Exception as problem:  # zipfile, numpy and the file system each have their own ways to say it
        raise CheckpointError(f"{path} cannot be read: {problem}") from problem
    if not whole:
        raise CheckpointError(f"{path} is damaged: its checksums do not hold")
    return manifest, stored


def _manifest(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint, if its checksum holds."""
    try:
        if (size := (path / _MANIFEST).stat().st_size) > MOST_MANIFEST_BYTES:
            raise ValueError(f"{_MANIFEST} has {size:,} bytes, and no manifest has more than {MOST_MANIFEST_BYTES:,}")
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        whole = manifest.pop("checksum") == _checksum(manifest)
        complete = _is_complete(manifest)
    except Exception as problem:  # json and the file system each have their own ways to say it
        raise CheckpointError(f"{path} cannot be read: {problem}") from problem
    if not whole:
        raise CheckpointError(f"{path} is damaged: its manifest's checksum does not hold")
    if not complete:
        raise CheckpointError(f"{path} is damaged: its manifest lacks a field, or has one of the wrong type")
    return manifest


def _is_complete(manifest: dict[str, Any]) -> bool:
    """Whether a manifest has every field in the right type; of another format's, that it says which."""
    if manifest["format"] != FORMAT:
        return isinstance(manifest["format"], int)
    kinds = {"update": int, "config": dict, "host": dict, "leaves": list}
    of_leaf = {"path": str, "shape": list, "dtype": str, "key": str | None, "sha256": str}
    rating = manifest.get("rating")
    is_rating = rating is None or (len(rating) == 2 and type(rating[0]) is str and isinstance(rating[1], (int, float)))
    return (
        all(isinstance(manifest[name], kind) for name, kind in kinds.items())
        and all(isinstance(leaf[name], kind) for leaf in manifest["leaves"] for name, kind in of_leaf.items())
        and is_rating
    )


def _rating(manifest: dict[str, Any]) -> Rating | None:
    """The rating of a checkpoint that this version can read; None where it has none."""
    return Rating(*manifest["rating"]) if manifest["format"] == FORMAT and manifest.get("rating") else None


def _restore(path: Path, leaves: list[dict], stored: list[np.ndarray], example: Any, part: str) -> Any:
    """The saved leaves in the structure of ``example``."""
    wanted, structure = jax.tree.flatten_with_path(example)
    saved = {d["path"]: (d, a) for d, a in zip(leaves, stored) if d["path"].startswith(part)}
    names = [part + jax.tree_util.keystr(name) for name, _ in wanted]
    if strangers := sorted(set(names) ^ set(saved)):
        side = "is missing there" if strangers[0] in names else "has no place here"
        raise CheckpointError(f"{path} holds another tree: {strangers[0]} {side} ({len(strangers)} leaves differ)")
    return jax.tree.unflatten(structure, [_leaf(path, n, *saved[n], x) for n, (_, x) in zip(names, wanted)])


def _leaf(path: Path, name: str, description: dict[str, Any], stored: np.ndarray, example: Any) -> Any:
    """One leaf as it was saved; refused where ``example`` has another shape or type."""
    array = stored
    try:
        if str(stored.dtype) != description["dtype"]:
            array = stored.view(jnp.dtype(description["dtype"])).reshape(description["shape"])
        if description["key"]:
            array = jax.random.wrap_key_data(jnp.asarray(array), impl=description["key"])
    except (TypeError, ValueError) as problem:
        raise CheckpointError(f"{path}: {name} cannot be what its manifest says: {problem}") from problem
    found, expected = (tuple(array.shape), str(array.dtype)), (tuple(example.shape), str(example.dtype))
    if found != expected:
        raise CheckpointError(f"{path}: {name} has shape and type {found}, here it has {expected}")
    return array


def _folders(folder: Path) -> list[Path]:
    """Checkpoints in ``folder``, newest first; files and folders of other names are none."""
    found = (path for path in folder.glob("update_*") if _update_of(path) >= 0 and path.is_dir())
    return sorted(found, key=_update_of, reverse=True)


def _update_of(path: Path) -> int:
    """The update whose checkpoint is called like that; -1 for another name."""
    match = _NAME.fullmatch(path.name)
    update = int(match[1]) if match and len(match[1]) <= 18 else -1
    return update if path.name == _name(update) else -1


def _best_first(folder: Path, damaged: list[CheckpointError] | None = None) -> list[Path]:
    """Rated checkpoints in ``folder``, the best first, of equals the earlier one.

    Those whose manifest cannot be read have no rating; why is added to ``damaged``.
    """
    rated = []
    for path in reversed(_folders(folder)):
        try:
            rating = _rating(_manifest(path))
        except CheckpointError as problem:
            if damaged is not None and path.exists():
                damaged.append(problem)
            continue
        if rating is not None:
            rated.append((rating.rank, path))
    return [path for _, path in sorted(rated, key=lambda entry: entry[0], reverse=True)]


def _is_whole(path: Path) -> bool:
    try:
        _read(path)
    except CheckpointError:
        return False
    return True


def _name(update: int) -> str:
    return f"update_{update:09d}"


def _beside(path: Path, ending: str) -> Path:
    """A hidden name for the checkpoint ``path`` while it is not in its place."""
    return path.with_name(f".{path.name}{ending}")


def _checksum(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
