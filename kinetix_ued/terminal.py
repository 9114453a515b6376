"""Text on its way to a terminal: names come from others, and may hold what a terminal obeys or cannot show."""

from __future__ import annotations

import sys


def printable(text: object) -> str:
    r"""The text with everything that is no visible character or space as an escape, and so always in one line.

    >>> printable("walls\x1b[2J\n.json")
    'walls\\x1b[2J\\n.json'
    >>> printable("Grünes Rad")
    'Grünes Rad'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def escape_unencodable() -> None:
    """Let standard output and error write as an escape what their encoding does not have, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # other streams than Python's own may have none
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
