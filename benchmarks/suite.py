"""Suites by name: what ``--suite`` understands."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence

from kinetix_ued.world import SIZES

from .holdout import FOLDER, holdout_names, level_file
from .published import published_suite
from .suite_levels import RANDOM_LEVELS, Suite, join_suites, load_suite, random_suite, read_suite

SUITES = {
    "holdout": "this project's handmade levels",
    **{f"holdout-{size}": f"those of size {size}" for size in SIZES},
    "kinetix": "the 74 published Kinetix levels, from an installed kinetix-env or the folder KINETIX_LEVELS",
    **{f"kinetix-{size}": f"those of size {size}" for size in SIZES},
    **{f"random-{size}": f"{RANDOM_LEVELS} held-out random levels of size {size}" for size in SIZES},
}
"""Suites that have a name, and what they are. ``random-m:512`` has 512 levels, ``random-m:512:7`` those of seed 7."""

_SIZE = "|".join(SIZES)

_RANDOM = rf"random-({_SIZE}|\d+p\d+c\d+j\d+t)(:.*)?"
"""What asks for random levels, as a pattern; how many of them may follow a colon."""

_PUBLISHED = rf"kinetix(-({_SIZE}))?:.+"
"""What asks for the published levels in the folder behind the colon, likewise."""

SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))
"""What tells a path from a misspelt name."""


def named_suite(names: str | Sequence[str], *, skip_bad: bool = False) -> Suite:
    """The suite of this name, or the levels of several together.

    Args:
        names: those in SUITES; ``random-SIZE:N`` and ``random-SIZE:N:SEED``; ``kinetix:FOLDER`` and
            ``kinetix-SIZE:FOLDER`` for the published levels in a folder; paths of level files and of folders of
            them. A folder that is called like a suite is meant by ``./holdout``.
        skip_bad: leave files out that are no levels, and list them in ``Suite.skipped``.

    Raises:
        ValueError: for an unknown name, with those that exist, or levels that are not there or cannot be used.
    """
    names = [names] if isinstance(names, str) else list(names)
    paths = [name for name in names if not is_suite_name(name)]
    suites = [_built(name) for name in dict.fromkeys(names) if name not in paths]
    if paths:  # read together, so that their names are told apart
        suites.append(load_suite(paths, skip_bad=skip_bad))
    return join_suites(suites)


def holdout_suite(size: str | None = None) -> Suite:
    """This project's handmade levels, or those of one size.

    Raises:
        ValueError: for another size, or where the data are not installed.
    """
    files = {f"holdout/{name}": level_file(name) for name in holdout_names(size)}
    if not files:
        raise ValueError(f"no holdout levels in {FOLDER / 'levels'}: install kinetix-ued again, with its data files")
    return read_suite(files, "holdout" if size is None else f"holdout-{size}")


def is_suite_name(name: str) -> bool:
    """Whether this names a suite; if not, it is a path.

    Raises:
        ValueError: where it is neither.
    """
    if name in SUITES or is_random_suite(name) or re.fullmatch(_PUBLISHED, name):
        return True
    if os.path.exists(name) or name.endswith(".json") or any(separator in name for separator in SEPARATORS):
        return False
    near = difflib.get_close_matches(name, SUITES, n=1)
    raise ValueError(
        f"unknown suite {name!r}{f' (did you mean {near[0]!r}?)' if near else ''}: use one of {', '.join(SUITES)}, "
        "random-SIZE:N[:SEED], kinetix:FOLDER, or paths of level files or folders of them"
    )


def is_random_suite(name: str) -> bool:
    """Whether a suite of this name is of random levels, of which only the distribution has a meaning."""
    return re.fullmatch(_RANDOM, name) is not None


def suite_title(name: str) -> str:
    """What reports call the suite of this name: the published levels are the same wherever they lie."""
    return name.partition(":")[0] if re.fullmatch(_PUBLISHED, name) else name


def _built(name: str) -> Suite:
    """The suite of a name that ``is_suite_name`` knows."""
    title, _, rest = name.partition(":")
    kind, _, size = title.partition("-")
    if kind == "random":
        return _random(name)
    return published_suite(size or None, rest or None) if kind == "kinetix" else holdout_suite(size or None)


def _random(name: str) -> Suite:
    size, *numbers = name.removeprefix("random-").split(":")
    if len(numbers) > 2 or not all(re.fullmatch("[0-9]{1,10}", number) for number in numbers):
        raise ValueError(f"{name}: write random-{size}:N for N levels, or random-{size}:N:SEED")
    count = int(numbers[0]) if numbers else RANDOM_LEVELS
    seed = int(numbers[1]) if len(numbers) == 2 else None
    if count == 0 or (seed or 0) >= 2**32:
        raise ValueError(f"{name}: the number of levels is at least 1, and a seed less than 2**32")
    return random_suite(size, count, seed)
