"""Refusing arguments and parameters that make no sense, with the remedy, before anything compiles."""

from __future__ import annotations

import math
from typing import Any


def check_chances(parameters: Any, *names: str) -> None:
    """Refuse fields that are no probability.

    Raises:
        ValueError: for a field outside [0, 1].
    """
    for name in names:
        if not 0.0 <= getattr(parameters, name) <= 1.0:
            raise ValueError(f"{name} is a probability, between 0 and 1; got {getattr(parameters, name)}")


def check_ranges(parameters: Any, *names: str, low: float = -math.inf, high: float = math.inf) -> None:
    """Refuse fields that are no range (lowest, highest) within ``low`` and ``high``.

    Raises:
        ValueError: for a field with swapped ends, or one that reaches beyond the bounds.
    """
    for name in names:
        value = getattr(parameters, name)
        if len(value) != 2 or not value[0] <= value[1]:
            raise ValueError(f"{name} is a range (lowest, highest); got {value}")
        if not (low <= value[0] and value[1] <= high and all(map(math.isfinite, value))):
            raise ValueError(f"{name} must lie between {low:g} and {high:g}; got {value}")


def check_shares(shares: tuple[float, ...], name: str, count: int) -> None:
    """Refuse shares that are not ``count`` probabilities with sum 1.

    Raises:
        ValueError: for another number of them, a negative one, one that is not finite, or another sum.
    """
    if len(shares) != count:
        raise ValueError(f"{name} needs {count} entries; got {len(shares)}: {shares}")
    total = sum(shares)
    if not all(math.isfinite(share) and share >= 0.0 for share in shares):
        raise ValueError(f"{name} must not be negative and must be finite; got {shares}")
    if total == 0.0:
        raise ValueError(f"{name} are all 0: at least one must be positive")
    if abs(total - 1.0) > 1e-6:
        scaled = ", ".join(f"{share / total:.6g}" for share in shares)
        raise ValueError(f"{name} must sum to 1, and {shares} sum to {total:g}: write ({scaled})")


def positive_count(value: Any, name: str, meaning: str) -> None:
    """Refuse a number that is no count.

    Raises:
        ValueError: for anything but an integer above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, the number of {meaning}; got {value!r}")
