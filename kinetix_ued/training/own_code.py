"""The files of a user's own that a run executes: found again, the same as when it began, and kept beside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from kinetix_ued.user_code import code_files, code_hash, names_a_file, short_reference, split_reference
from kinetix_ued.whole import whole_file

from .config import TrainConfig

CODE = "code"
"""Folder of a run that holds what it executed."""

_HASHES = {"curriculum": "curriculum_code", "generator": "generator_code"}
"""Fields that may name a file, and those that note its hash."""


def own_files(config: TrainConfig) -> dict[str, Path]:
    """The files of the user's that ``config`` names, by the field that does.

    Raises:
        ValueError: for one that is not there.
    """
    return {field: _found(config, field)[0] for field in _HASHES if names_a_file(getattr(config, field))}


def located(config: TrainConfig) -> TrainConfig:
    """The configuration with absolute paths of the user's files, and with the hashes of what is in them now.

    Raises:
        ValueError: for a file that is not there, or cannot be read.
    """
    changes = dict.fromkeys(_HASHES.values(), "")
    for field, noted in _HASHES.items():
        if names_a_file(getattr(config, field)):
            file, name = _found(config, field)
            changes |= {field: f"{file}:{name}", noted: code_hash(file)}
    return dataclasses.replace(config, **changes)


def _found(config: TrainConfig, field: str) -> tuple[Path, str]:
    reference = getattr(config, field)
    try:
        return split_reference(reference)
    except ValueError as problem:
        if not getattr(config, _HASHES[field]):
            raise
        raise ValueError(
            f"{problem}; if it has moved, say where to: --{field} {short_reference(reference)}"
        ) from problem


def refuse_changed_code(saved: TrainConfig, config: TrainConfig) -> None:
    """Raise ValueError where a file of the user's is another one than that of the run, unless that is accepted.

    Args:
        saved: configuration of the run.
        config: what goes on with it, as ``located`` returns it.
    """
    for field, noted in _HASHES.items():
        before, now = getattr(saved, noted), getattr(config, noted)
        if before and now != before and not config.accept_changed_code:
            kept = Path(saved.out) / CODE / before[:_DIGITS]
            raise ValueError(
                f"{getattr(config, field).rpartition(':')[0]} has changed since this run began with it as its {field}: "
                f"put back what it was ({kept} holds it), or accept the change with --accept-changed-code"
            )


def keep_code(folder: Path, config: TrainConfig) -> None:
    """Copy the user's files that ``config`` names, as ``located`` returns it, into the folder of a run.

    Each file, with the modules beside it that it imports, has a folder named after its hash, so none replaces another.
    """
    for field, file in own_files(config).items():
        target = folder / CODE / getattr(config, _HASHES[field])[:_DIGITS]
        for part in code_files(file):
            copy = target / part.relative_to(file.parent)
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(copy) as partial:
                    partial.write_bytes(part.read_bytes())


_DIGITS = 12
"""Of a hash, as the name of a folder."""
