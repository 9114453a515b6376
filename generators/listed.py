"""Levels of a list: files that are there already, drawn like those of any other generator."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.levels import hash_texts, level_files, level_names, read_levels, stack_levels
from kinetix_ued.world import Level, Size, size_of


@dataclasses.dataclass(frozen=True, eq=False)
class ListedLevels:
    """A generator that draws from n levels, each with the same probability. Equal lists are compiled once.

    Attributes:
        names: of the levels (n)
        levels: of one size, with a leading axis n, as NumPy arrays
    """

    names: tuple[str, ...]
    levels: Level

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the levels' contents in their order, 64 hexadecimal digits; their size does not matter."""
        return hashlib.sha256(" ".join(hash_texts(self.levels)).encode("ascii")).hexdigest()

    def __call__(self, key: jax.Array, size: str | Size) -> Level:
        """One level.

        Raises:
            ValueError: for another size than that of the levels.
        """
        self._check(size)
        return self._taken(jax.random.randint(key, (), 0, len(self.names)))

    def batch(self, key: jax.Array, n: int, size: str | Size) -> Level:
        """``n`` levels with a leading axis: each of the list equally often, or once more than the others.

        Raises:
            ValueError: as for one level.
        """
        self._check(size)
        order = jax.random.permutation(key, len(self.names))
        return self._taken(order[jnp.arange(n) % len(self.names)])

    def _taken(self, index: jax.Array) -> Level:
        return jax.tree.map(lambda x: jnp.asarray(x)[index], self.levels)

    def _check(self, size: str | Size) -> None:
        if size_of(size) != self.levels.size:
            raise ValueError(
                f"the levels were loaded with size {self.levels.size.name!r}, not {size_of(size).name!r}: "
                "load them with the size that you ask for"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListedLevels) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str, Size]:
        return self.digest, self.levels.size

    def __str__(self) -> str:
        return "levels"


def listed_levels(paths: Iterable[str | Path], size: str | Size) -> ListedLevels:
    """The levels of files, folders and lists (see ``level_files``) as a generator, padded to ``size``.

    Raises:
        LevelError: as ``load_levels``: for a file that is no level, or one larger than ``size``.
    """
    files = level_files(paths)
    named = dict(zip(level_names(files), files, strict=True))
    levels = read_levels(named).levels
    batch = stack_levels(list(levels.values()), size, [str(named[name]) for name in levels])
    return ListedLevels(tuple(levels), jax.tree.map(np.asarray, batch))
