"""Levels to evaluate on, with their names: level files, or held-out random levels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import PurePosixPath

from kinetix_ued.levels import load_levels, resize_level
from kinetix_ued.world import Level, Size

from .heldout import heldout_random


@dataclasses.dataclass(frozen=True)
class Suite:
    """L levels of one size.

    Attributes:
        levels: the levels, a batch
        names: what each is called (L)
        folders: the group that each is averaged in (L)
        source: where they are from, in a few words
    """

    levels: Level
    names: tuple[str, ...]
    folders: tuple[str, ...]
    source: str

    def __post_init__(self):
        if not len(self.levels) == len(self.names) == len(self.folders):
            counts = f"{len(self.levels)} levels, {len(self.names)} names and {len(self.folders)} folders"
            raise ValueError(f"a suite needs one name and one folder for each level; got {counts}")

    def resized(self, size: Size) -> Suite:
        """The same levels in a larger size.

        Raises:
            LevelError: for a size that does not hold them.
        """
        return dataclasses.replace(self, levels=resize_level(self.levels, size, self.source))


def load_suite(paths: Sequence[str | os.PathLike[str]]) -> Suite:
    """The levels in these files, and in these folders at any depth, in the smallest standard size that holds them all.

    Raises:
        LevelError: for a path that is not there, a folder without level files, or a file that is no level.
    """
    names, levels = load_levels(paths)
    split = [PurePosixPath(name) for name in names]
    return Suite(
        levels=levels,
        names=tuple(path.name for path in split),
        folders=tuple(str(path.parent) for path in split),
        source=", ".join(map(str, paths)),
    )


def random_suite(size: str | Size = "s", n: int = 256, seed: int | None = None) -> Suite:
    """Held-out random levels as a suite; see ``heldout_random``."""
    levels = heldout_random(size, n) if seed is None else heldout_random(size, n, seed=seed)
    folder = f"held-out random {levels.size.name}"
    return Suite(levels, tuple(f"{i:04d}" for i in range(n)), (folder,) * n, f"{n} {folder}")
