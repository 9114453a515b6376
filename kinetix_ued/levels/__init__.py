"""Level files: Kinetix' format and this project's own, and what a level must be."""

from .errors import LevelError
from .files import load_level, load_levels, load_metadata, save_level
from .kinetix import level_from_kinetix, level_to_kinetix
from .native import level_from_native, level_to_native
from .resize import resize_level
from .validate import check_level

__all__ = [
    "LevelError",
    "check_level",
    "level_from_kinetix",
    "level_from_native",
    "level_to_kinetix",
    "level_to_native",
    "load_level",
    "load_levels",
    "load_metadata",
    "resize_level",
    "save_level",
]
