"""Text on its way to a terminal: names come from others, and may hold what a terminal obeys or cannot show."""

from __future__ import annotations


def printable(text: object) -> str:
    r"""The text with everything that is no visible character or space as an escape, and so always in one line.

    >>> printable("walls\x1b[2J\n.json")
    'walls\\x1b[2J\\n.json'
    >>> printable("Grünes Rad")
    'Grünes Rad'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))
