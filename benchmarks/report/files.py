"""Writing what was measured: whole or not at all, and never over something else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kinetix_ued.whole import whole_file
from kinetix_ued.writable import refuse_unwritable


def refuse_overwriting(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise ValueError where ``write_text`` could not write ``path``; to be called before the work is done."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: create it first, or choose another path")
    refuse_unwritable(path, overwrite)


def write_text(path: str | os.PathLike[str], text: str, *, overwrite: bool = False) -> None:
    """Write ``text`` to ``path``, whole or not at all.

    Raises:
        ValueError: where ``path`` exists already, unless ``overwrite``.
    """
    refuse_overwriting(path, overwrite)
    # A name may hold half a character (a lone surrogate), which UTF-8 has no bytes for.
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | os.PathLike[str], data: Any, *, overwrite: bool = False) -> None:
    """``write_text`` of ``data`` as JSON."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n", overwrite=overwrite)
