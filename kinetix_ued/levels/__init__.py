"""Level files: Kinetix' format and this project's own; what a level must be, and what one holds."""

from .content import content_hash, duplicates, hash_text
from .errors import LevelError
from .files import load_level, load_levels, load_metadata, save_level
from .kinetix import level_from_kinetix, level_to_kinetix
from .native import level_from_native, level_to_native
from .resize import resize_level
from .summary import SUMMARY, format_summary, summary
from .validate import check_level, faults_of
from .validity import FAULTS, STRICT, faults, valid

__all__ = [
    "FAULTS",
    "LevelError",
    "STRICT",
    "SUMMARY",
    "check_level",
    "content_hash",
    "duplicates",
    "faults",
    "faults_of",
    "format_summary",
    "hash_text",
    "level_from_kinetix",
    "level_from_native",
    "level_to_kinetix",
    "level_to_native",
    "load_level",
    "load_levels",
    "load_metadata",
    "resize_level",
    "save_level",
    "summary",
    "valid",
]
