"""Fuzzers: damaged files, documents and runs are opened, and runs are killed while they train."""

from .cases import OUTCOMES, RAW, READ, REFUSED, SLOW, Damaged, Result, Target, check_intact, run_case, run_cases
from .document_targets import document_targets
from .kills import KillSettings, measure_kills
from .level_targets import level_targets
from .report import cases_part, document, format_robustness, is_clean, kills_part, read_robustness, replay_of
from .run_targets import run_targets

__all__ = [
    "Damaged",
    "KillSettings",
    "OUTCOMES",
    "RAW",
    "READ",
    "REFUSED",
    "Result",
    "SLOW",
    "Target",
    "cases_part",
    "check_intact",
    "document",
    "document_targets",
    "format_robustness",
    "is_clean",
    "kills_part",
    "level_targets",
    "measure_kills",
    "read_robustness",
    "replay_of",
    "run_case",
    "run_cases",
    "run_targets",
]
