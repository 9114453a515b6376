"""Checks of a curriculum's options, which may come from a command line as anything."""

from __future__ import annotations

import math
from typing import Any


def check_count(name: str, value: Any) -> None:
    """Raise ValueError unless ``value`` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is a count, so it must be an integer of at least 1; got {value!r}")


def check_number(name: str, value: Any) -> None:
    """Raise ValueError unless ``value`` is a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number of at least 0; got {value!r}")


def check_flag(name: str, value: Any) -> None:
    """Raise ValueError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False; got {value!r}")
