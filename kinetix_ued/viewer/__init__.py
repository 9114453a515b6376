"""Drawing a world: pictures as arrays, and sheets of them as files."""

from __future__ import annotations

from .render import render
from .sheet import picture, pictures, save_sheet, sheet

__all__ = ["picture", "pictures", "render", "save_sheet", "sheet"]
