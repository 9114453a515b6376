"""Progress bars on standard error."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from tqdm import tqdm


def progress_bar(**options: Any) -> tqdm:
    """A bar as wide as the terminal, and as usual where the terminal reports no width: tqdm would show nothing there.

    Pseudo-terminals of containers, serial lines and some editors report 0 columns.

    Args:
        options: those of ``tqdm``.
    """
    return tqdm(file=sys.stderr, **_shape(), **options)


def _shape() -> dict[str, Any]:
    try:
        reported = os.get_terminal_size(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # no terminal: tqdm needs no width there
        return {}
    if reported.columns > 0 and reported.lines > 0:
        return {"dynamic_ncols": True}
    columns, lines = shutil.get_terminal_size()  # from COLUMNS and LINES, or 80 x 24
    return {"ncols": columns - 1, "nrows": lines - 1}
