"""The 74 published Kinetix levels, wherever they are installed, checked by content hash.

They are data of the wheel kinetix-env. It is looked up and never imported, so that it may be installed alone.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.resources
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kinetix_ued.levels import LevelError, hash_text, listed, read_level, stack_levels
from kinetix_ued.world import SIZES, Level

from .suite_levels import Suite

VARIABLE = "KINETIX_LEVELS"
"""The environment variable that names a folder of the published levels."""

DISTRIBUTION, PACKAGE = "kinetix-env", "kinetix"
"""What is installed, and the package in it that holds the levels."""

TABLE = "published.txt"
"""The file beside this one that lists the levels."""

REMEDY = (
    f"get them with `pip install --no-deps {DISTRIBUTION}==3.0.2`, or name a folder that holds them in s, m and l, as "
    f"kinetix:FOLDER or in {VARIABLE}"
)


class Published(NamedTuple):
    """What is known of a published level without having it.

    Attributes:
        hash: of its content, as ``hash_text`` has it
        family: the kind of task that this project sorts it under
    """

    hash: str
    family: str


@functools.cache
def published_levels() -> dict[str, Published]:
    """The published levels by name, ``SIZE/NAME``, those of the smallest size first."""
    text = importlib.resources.files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {name: Published(digits, family) for name, digits, family in rows}


def published_suite(size: str | None = None, folder: str | os.PathLike[str] | None = None) -> Suite:
    """The published levels, or those of one size; their names, order and content are the same wherever they are from.

    Args:
        size: s, m or l; all of them where None.
        folder: holds the folders s, m and l. Where None, the environment variable KINETIX_LEVELS names it, or it is
            that of an installed kinetix-env.

    Raises:
        ValueError: for another size, or where levels are not found, missing or different; says how to get them.
    """
    if size is not None and size not in SIZES:
        raise ValueError(f"the published suite has no size {size!r}: use one of {', '.join(SIZES)}")
    root = published_folder(folder)
    wanted = {name: about for name, about in published_levels().items() if size in (None, name.partition("/")[0])}
    levels: list[Level] = []
    missing: list[str] = []
    different: list[str] = []
    for name, about in wanted.items():
        file = root / f"{name}.json"
        try:
            levels.append(read_level(file)[0])
            if hash_text(levels[-1]) != about.hash:
                different.append(name)
        except LevelError:
            (different if file.exists() else missing).append(name)
    faults = [f"{what}: {listed(names)}" for what, names in (("missing", missing), ("different", different)) if names]
    if faults:
        raise ValueError(
            f"{root} holds {len(wanted) - len(missing) - len(different)} of the {len(wanted)} published levels"
            f" ({'; '.join(faults)}): {REMEDY}"
        )
    split = [name.split("/") for name in wanted]
    return Suite(
        levels=stack_levels(levels),
        names=tuple(name for _, name in split),
        folders=tuple(f"kinetix/{s}" for s, _ in split),
        source="kinetix" if size is None else f"kinetix-{size}",
        sizes=tuple(s for s, _ in split),
        metadata=tuple({"family": about.family} for about in wanted.values()),
    )


def published_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds the folders s, m and l of the published levels; arguments as for ``published_suite``.

    Raises:
        ValueError: where there is none.
    """
    named = folder or os.environ.get(VARIABLE)
    if named:  # a checkout or an unpacked wheel will do as well
        inside = [Path(named, *parts) for parts in ((), ("levels",), (PACKAGE, "levels"))]
        what = f"{'' if folder else VARIABLE + ' is '}{os.fspath(named)}, which holds no folder s, m or l of levels"
    else:
        inside, what = list(_installed()), "the published Kinetix levels are not here"
    found = next((path for path in inside if any((path / size).is_dir() for size in SIZES)), None)
    if found is None:
        raise ValueError(f"{what}: {REMEDY}")
    return found


def _installed() -> Iterator[Path]:
    """Where an installed kinetix-env may keep its levels. Nothing of it is imported."""
    for distribution in importlib.metadata.distributions(name=DISTRIBUTION):
        yield Path(str(distribution.locate_file(PACKAGE))) / "levels"
    spec = _spec()  # an editable install lists no files of its package
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(place) / "levels"


def _spec() -> Any:
    try:
        return importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        return None
