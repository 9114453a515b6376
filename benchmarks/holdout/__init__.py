"""The handmade holdout suite: level files, and beside them the recorded actions that prove each can be solved.

``levels/SIZE/NAME.json`` and ``proofs/SIZE/NAME.json`` are data of this package, in a checkout and in an installed
wheel. A level is called ``SIZE/NAME``.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from kinetix_ued.world import SIZES

# A wheel is unpacked when it is installed, so that resources are files.
FOLDER = Path(str(importlib.resources.files(__name__)))
"""The folder of this package."""


def holdout_names(size: str | None = None) -> list[str]:
    """The levels, ``SIZE/NAME``, those of the smallest size first; of one size if it is given.

    Raises:
        ValueError: for a size without a suite.
    """
    if size is not None and size not in SIZES:
        raise ValueError(f"the holdout suite has no size {size!r}: use one of {', '.join(SIZES)}")
    sizes = SIZES if size is None else (size,)
    return [f"{s}/{file.stem}" for s in sizes for file in sorted((FOLDER / "levels" / s).glob("*.json"))]


def level_file(name: str) -> Path:
    """The file of the level ``SIZE/NAME``."""
    return FOLDER / "levels" / f"{name}.json"


def proof_file(name: str) -> Path:
    """The file of the actions that solve the level ``SIZE/NAME``."""
    return FOLDER / "proofs" / f"{name}.json"
