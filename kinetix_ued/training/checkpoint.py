"""Checkpoints: plain files, written atomically, restored bit for bit.

A checkpoint is a folder ``update_000000042`` with two files: ``arrays.npz`` holds the leaves of a pytree in order, and
``manifest.json`` says what they are: format version, configuration, the path, shape, type and SHA-256 of every leaf,
whatever the host counted, and how good the policy was. The folder is written under another name and renamed when it is
on the disk, so one that carries its name is complete; one that was damaged later fails its checksums and is passed
over. The last few are kept, and the best one however old it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .metrics import Rating

FORMAT = 1
"""Version of the layout; raised when an older reader could not read it."""

_PREFIX, _ARRAYS, _MANIFEST = "update_", "arrays.npz", "manifest.json"


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
    """Write ``tree`` as the checkpoint of ``update`` into ``folder``; keep the last ``keep`` and the best one."""
    folder.mkdir(parents=True, exist_ok=True)
    for abandoned in folder.glob(".*.partial"):
        shutil.rmtree(abandoned)
    final = folder / _name(update)
    partial = folder / f".{final.name}.partial"
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
    _folder_to_disk(partial)
    if final.exists():  # a damaged one of the same update, found when the run was resumed
        shutil.rmtree(final)
    os.replace(partial, final)
    _folder_to_disk(folder)
    best = _best_first(folder)[:1]
    for old in _folders(folder)[keep:]:
        if old not in best:
            shutil.rmtree(old)
    return final


def load(
    folder: Path,
    example: Any,
    *,
    which: str | int = "latest",
    config: dict[str, Any] | None = None,
    part: str = "",
) -> Checkpoint | None:
    """A whole checkpoint in ``folder``, or None; damaged ones are passed over.

    Args:
        folder: where ``save`` wrote.
        example: a pytree like the saved one, or like the part of it under ``part``; ShapeDtypeStructs will do.
        which: ``latest``; ``best``: of the highest rating, the earlier one of equals; or an update's number.
        config: the configuration that the checkpoint must have been written under; None takes any.
        part: key path of the wanted part, such as ``.params``.

    Raises:
        CheckpointError: for a whole checkpoint of another format, configuration or tree, naming what differs.
        ValueError: for another ``which``.
    """
    if which == "latest":
        chosen = _folders(folder)
    elif which == "best":
        chosen = _best_first(folder)
    elif isinstance(which, int) and not isinstance(which, bool):
        chosen = [path for path in _folders(folder) if path.name == _name(which)]
    else:
        raise ValueError(f"unknown checkpoint {which!r}: use 'latest', 'best' or the number of an update")
    for path in chosen:
        try:
            manifest, stored = _read(path)
        except CheckpointError:
            continue
        if manifest["format"] != FORMAT:
            raise CheckpointError(f"{path} has checkpoint format {manifest['format']}, this version reads {FORMAT}")
        if config is not None:
            refuse_other_config(manifest["config"], config, path)
        tree = _restore(path, manifest["leaves"], stored, example, part)
        return Checkpoint(tree, manifest["update"], manifest["config"], manifest["host"], path, _rating(manifest))
    return None


def saved_updates(folder: Path) -> list[int]:
    """Updates of the checkpoints in ``folder``, oldest first."""
    return [int(path.name.removeprefix(_PREFIX)) for path in reversed(_folders(folder))]


def best_rating(folder: Path) -> Rating | None:
    """The highest rating among the checkpoints in ``folder``."""
    best = _best_first(folder)[:1]
    return _rating(_manifest(best[0])) if best else None


def refuse_other_config(saved: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """Raise CheckpointError naming every entry in which two configurations differ."""
    missing = "(absent)"
    names = [name for name in {**saved, **wanted} if saved.get(name, missing) != wanted.get(name, missing)]
    if names:
        compared = (f"{n} is {saved.get(n, missing)!r} there, {wanted.get(n, missing)!r} here" for n in names)
        raise CheckpointError(
            f"{path} belongs to another configuration: {'; '.join(compared)}. Use the same, or another folder; "
            "init_from takes the parameters alone"
        )


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
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        whole = manifest.pop("checksum") == _checksum(manifest)
    except Exception as problem:  # json and the file system each have their own ways to say it
        raise CheckpointError(f"{path} cannot be read: {problem}") from problem
    if not whole:
        raise CheckpointError(f"{path} is damaged: its manifest's checksum does not hold")
    return manifest


def _rating(manifest: dict[str, Any]) -> Rating | None:
    return Rating(*manifest["rating"]) if manifest.get("rating") else None


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
    if str(stored.dtype) != description["dtype"]:
        array = stored.view(jnp.dtype(description["dtype"])).reshape(description["shape"])
    if description["key"]:
        array = jax.random.wrap_key_data(jnp.asarray(array), impl=description["key"])
    found, expected = (tuple(array.shape), str(array.dtype)), (tuple(example.shape), str(example.dtype))
    if found != expected:
        raise CheckpointError(f"{path}: {name} has shape and type {found}, here it has {expected}")
    return array


def _folders(folder: Path) -> list[Path]:
    """Checkpoints in ``folder``, newest first."""
    return sorted((p for p in folder.glob(f"{_PREFIX}*") if p.is_dir()), reverse=True)


def _best_first(folder: Path) -> list[Path]:
    """Rated checkpoints in ``folder``, the best first, of equals the earlier one."""
    rated = []
    for path in reversed(_folders(folder)):
        try:
            rating = _rating(_manifest(path))
        except CheckpointError:
            continue
        if rating is not None:
            rated.append((rating.rank, path))
    return [path for _, path in sorted(rated, key=lambda entry: entry[0], reverse=True)]


def _name(update: int) -> str:
    return f"{_PREFIX}{update:09d}"


def _checksum(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    """Make names in a folder durable; not every platform can open a folder, and there it is not needed."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
