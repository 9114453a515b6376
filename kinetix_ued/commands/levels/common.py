"""What several actions share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..common import positive, seed, tell_skipped

if TYPE_CHECKING:
    from kinetix_ued.generators import FilterReport
    from kinetix_ued.levels.files import Levels
    from kinetix_ued.world import Level

FORMATS = ("native", "kinetix")
"""Formats of level files."""


def add_skipping_argument(parser: argparse.ArgumentParser) -> None:
    """Whether files that are no levels are left out."""
    parser.add_argument("--skip-bad", action="store_true", help="leave out files that are no levels, and name them")


def read(paths: Sequence[str], skip_bad: bool) -> tuple[dict[str, Path], Levels]:
    """The levels in these files and folders, and the file of each by its name; files left out are told.

    Raises:
        LevelError: see ``read_levels``.
    """
    from kinetix_ued.levels import level_files, level_names, read_levels

    files = level_files(paths)
    named = dict(zip(level_names(files), files))
    found = read_levels(named, skip_bad)
    tell_skipped(found.skipped)
    return {name: named[name] for name in found.levels}, found


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Size, number, seed and filters of levels to sample."""
    parser.add_argument("--size", default="s", help="size of the levels: s, m, l or counts such as 8p2c4j2t (%(default)s)")
    parser.add_argument("-n", type=positive, default=16, help="how many (%(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the levels (%(default)s)")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="NAME", dest="filters",
        help="leave out levels that this filter marks, such as noop_solves; may be given several times",
    )  # fmt: skip


def sample(generator: str, arguments: argparse.Namespace) -> tuple[Level, FilterReport | None]:
    """The levels that ``arguments`` ask for, as NumPy arrays, and what the filters did.

    Raises:
        ValueError: for an unknown generator, size or filter.
    """
    import jax

    from kinetix_ued.generators import make_filter, sample_filtered, sampler

    draw, key = sampler(generator, arguments.size), jax.random.key(arguments.seed)
    marks = {name: make_filter(name)[0] for name in arguments.filters}
    levels, report = sample_filtered(key, arguments.n, draw, marks) if marks else (draw(key, arguments.n), None)
    return jax.device_get(levels), report


def names_of(generator: str, arguments: argparse.Namespace) -> list[str]:
    """A name for each sampled level, unlike those of another generator, size or seed."""
    stem = generator.rpartition(":")[2] or generator
    digits = max(4, len(str(arguments.n - 1)))
    return [f"{stem}-{arguments.size}-{arguments.seed}-{i:0{digits}d}" for i in range(arguments.n)]
