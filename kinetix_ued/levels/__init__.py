"""Level files: Kinetix' format and this project's own; what a level must be, and what one holds."""

from .content import content_hash, duplicates, hash_text, hash_texts
from .errors import LevelError, listed
from .files import (
    level_files,
    level_names,
    load_level,
    load_levels,
    load_metadata,
    read_level,
    read_levels,
    save_level,
    stack_levels,
)
from .kinetix import level_from_kinetix, level_to_kinetix
from .native import BASELINES, DIFFICULTIES, FAMILIES, METADATA, level_from_native, level_to_native
from .resize import resize_level, trim_level
from .summary import SUMMARY, format_summary, summary
from .validate import check_level, faults_of
from .validity import FAULTS, STRICT, faults, valid

__all__ = [
    "BASELINES",
    "DIFFICULTIES",
    "FAMILIES",
    "FAULTS",
    "LevelError",
    "METADATA",
    "STRICT",
    "SUMMARY",
    "check_level",
    "content_hash",
    "duplicates",
    "faults",
    "faults_of",
    "format_summary",
    "hash_text",
    "hash_texts",
    "level_files",
    "level_from_kinetix",
    "level_from_native",
    "level_names",
    "level_to_kinetix",
    "level_to_native",
    "listed",
    "load_level",
    "load_levels",
    "load_metadata",
    "read_level",
    "read_levels",
    "resize_level",
    "save_level",
    "stack_levels",
    "summary",
    "trim_level",
    "valid",
]
