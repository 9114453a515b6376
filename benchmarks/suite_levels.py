"""Levels to evaluate on, with their names and what is known of each: level files, or held-out random levels."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kinetix_ued.levels import (
    LevelError,
    hash_texts,
    level_files,
    level_names,
    listed,
    read_levels,
    resize_level,
    stack_levels,
    trim_level,
)
from kinetix_ued.world import Level, Size, size_of

from .heldout import HELDOUT_SEED, heldout_random

RANDOM_LEVELS = 256
"""Levels of a random suite, where no other number is asked for."""


@dataclasses.dataclass(frozen=True)
class Suite:
    """L levels in one batch, whatever sizes they were designed for.

    Attributes:
        levels: the levels, a batch of a size that holds them all
        names: what each is called (L)
        folders: the group that each is averaged in (L)
        source: where they are from, in a few words
        sizes: the name of the size that each was designed for (L); that of the batch, if left out
        metadata: what each level's file says of it (L), see ``load_metadata``; nothing, if left out
        skipped: what was wrong with each file that is left out
    """

    levels: Level
    names: tuple[str, ...]
    folders: tuple[str, ...]
    source: str
    sizes: tuple[str, ...] = ()
    metadata: tuple[Mapping[str, Any], ...] = ()
    skipped: tuple[LevelError, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "sizes", self.sizes or (self.levels.size.name,) * len(self.levels))
        object.__setattr__(self, "metadata", self.metadata or ({},) * len(self.levels))
        lengths = {name: len(getattr(self, name)) for name in ("levels", "names", "folders", "sizes", "metadata")}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{count} {name}" for name, count in lengths.items())
            raise ValueError(f"a suite needs one name, folder, size and metadata for each level; got {counts}")

    @property
    def families(self) -> tuple[str, ...]:
        """The kind of task of each level (L); empty where its file does not say."""
        return tuple(about.get("family", "") for about in self.metadata)

    @functools.cached_property
    def hashes(self) -> tuple[str, ...]:
        """The content hash of each level (L), as ``hash_text`` has it."""
        return hash_texts(self.levels)

    def subset(self, members: np.ndarray) -> Suite:
        """The levels in these places (L) int."""
        chosen = lambda values: tuple(values[i] for i in members)
        return dataclasses.replace(
            self,
            levels=self.levels[members],
            names=chosen(self.names),
            folders=chosen(self.folders),
            sizes=chosen(self.sizes),
            metadata=chosen(self.metadata),
        )

    def resized(self, size: Size) -> Suite:
        """The same levels in another size.

        Raises:
            ValueError: for a size that does not hold them; names those that do not fit.
        """
        large = [i for i, own in enumerate(self.sizes) if not size.holds(size_of(own))]
        if large:
            named = listed([f"{self.folders[i]}/{self.names[i]} ({self.sizes[i]})" for i in large])
            raise ValueError(f"size {size.name!r} holds too little for {named}: use {self.levels.size.name!r}")
        large = resize_level(self.levels, self.levels.size.joined(size), self.source)
        return dataclasses.replace(self, levels=trim_level(large, size, self.source))


def load_suite(paths: Sequence[str | os.PathLike[str]], *, skip_bad: bool = False) -> Suite:
    """The levels in these files, and in these folders at any depth, in the smallest standard size that holds them all.

    Args:
        paths: of level files and folders.
        skip_bad: leave files out that are no levels, and list them in ``Suite.skipped``.

    Raises:
        LevelError: for a path that is not there, a folder without level files, or a file that is no level.
    """
    files = level_files(paths)
    return read_suite(dict(zip(level_names(files), files)), ", ".join(map(str, paths)), skip_bad=skip_bad)


def read_suite(files: Mapping[str, Path], source: str, *, skip_bad: bool = False) -> Suite:
    """The levels in files, by the ``FOLDER/NAME`` that they are to have; see ``load_suite``."""
    read = read_levels(files, skip_bad)
    folders, _, names = zip(*(name.rpartition("/") for name in read.levels))
    sizes = tuple(level.size.name for level in read.levels.values())
    levels, metadata = stack_levels(list(read.levels.values())), tuple(read.metadata.values())
    return Suite(levels, names, folders, source, sizes, metadata, read.skipped)


def random_suite(size: str | Size = "s", n: int = RANDOM_LEVELS, seed: int | None = None) -> Suite:
    """Held-out random levels as a suite; see ``heldout_random``."""
    seed = HELDOUT_SEED if seed is None else seed
    levels = heldout_random(size, n, seed=seed)
    size = levels.size.name
    asked = f":{n}:{seed}" if seed != HELDOUT_SEED else f":{n}" if n != RANDOM_LEVELS else ""
    folder, digits = f"random-{size}{asked}", max(4, len(str(n - 1)))
    return Suite(levels, tuple(f"{i:0{digits}d}" for i in range(n)), (folder,) * n, f"{n} held-out random {size}")


def join_suites(suites: Sequence[Suite]) -> Suite:
    """One suite of all levels, in the smallest standard size that holds them; a level that is there twice counts once.

    A level is there twice if folder, name and content are the same.

    Raises:
        ValueError: for no suite.
    """
    if not suites:
        raise ValueError("there is no suite to join: name at least one")
    if len(suites) == 1:
        return suites[0]
    both = lambda field: tuple(itertools.chain.from_iterable(getattr(suite, field) for suite in suites))
    names, folders, sizes, metadata = map(both, ("names", "folders", "sizes", "metadata"))
    first = {key: i for i, key in reversed(list(enumerate(zip(folders, names, both("hashes")))))}
    kept = sorted(first.values())
    chosen = lambda values: tuple(values[i] for i in kept)
    return Suite(
        levels=stack_levels([suite.levels for suite in suites])[np.array(kept)],
        names=chosen(names),
        folders=chosen(folders),
        source=", ".join(dict.fromkeys(suite.source for suite in suites)),
        sizes=chosen(sizes),
        metadata=chosen(metadata),
        skipped=both("skipped"),
    )
