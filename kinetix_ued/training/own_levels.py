"""The level files that a run trains on: found again, the same as when it began, and kept beside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from kinetix_ued.generators import listed_levels
from kinetix_ued.levels import LevelError, level_files
from kinetix_ued.whole import whole_file

from .config import TrainConfig

LEVELS = "levels"
"""Folder of a run that holds the level files it trains on."""

_DIGITS = 12
"""Of a hash, as the name of a folder."""


def with_levels_noted(config: TrainConfig) -> TrainConfig:
    """The configuration with absolute paths of the level files that it lists, and the hash of what is in them now.

    Raises:
        LevelError: for a file that is not there, is no level, or is larger than the size of the run.
    """
    if not config.levels:
        return dataclasses.replace(config, levels_hash="")
    try:
        digest = listed_levels(config.level_paths, config.size).digest
    except LevelError as problem:
        kept = Path(config.out) / LEVELS / config.levels_hash[:_DIGITS]
        if not (config.levels_hash and kept.is_dir()):
            raise
        raise ValueError(f"{problem}; the run keeps what they were: --levels {kept}") from problem
    paths = ",".join(str(Path(path).absolute()) for path in config.level_paths)
    return dataclasses.replace(config, levels=paths, levels_hash=digest)


def refuse_changed_levels(saved: TrainConfig, config: TrainConfig) -> None:
    """Raise ValueError where the levels to train on are others than those of the run.

    Args:
        saved: configuration of the run.
        config: what goes on with it, as ``with_levels_noted`` returns it.
    """
    if saved.levels and config.levels and saved.levels_hash != config.levels_hash:
        kept = Path(saved.out) / LEVELS / saved.levels_hash[:_DIGITS]
        raise ValueError(
            f"the levels in {config.levels} are not those that this run began with: go on with what they were "
            f"(--levels {kept}), or begin another run with --init-from {saved.out}"
        )


def keep_levels(folder: Path, config: TrainConfig) -> None:
    """Copy the level files that ``config`` lists, as ``with_levels_noted`` returns it, into the folder of a run.

    Their names begin with their numbers, so that the folder names the same levels in the same order.
    """
    if not config.levels:
        return
    target = folder / LEVELS / config.levels_hash[:_DIGITS]
    files = level_files(config.level_paths)
    width = len(str(len(files)))
    target.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        copy = target / f"{number:0{width}}-{file.stem.lstrip('0123456789-') or 'level'}.json"
        if not copy.exists():
            with whole_file(copy) as partial:
                partial.write_bytes(file.read_bytes())
