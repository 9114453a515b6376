"""Drawing a world: pictures as arrays, sheets of them as files, films of episodes."""

from __future__ import annotations

from .film import OUTCOMES, Episode, film, save_film, save_strip, strip
from .render import render
from .sheet import picture, pictures, save_sheet, sheet

__all__ = [
    "Episode",
    "OUTCOMES",
    "film",
    "picture",
    "pictures",
    "render",
    "save_film",
    "save_sheet",
    "save_strip",
    "sheet",
    "strip",
]
