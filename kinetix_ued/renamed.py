"""Former names that go on working, with a note. Nothing heavy is imported here: the command line's help reads it."""

from __future__ import annotations

import warnings
from typing import Any

CURRICULA = {"paired": "student-regret"}
"""Former names of curricula, and those that they have now."""

_REASONS = {"paired": "it has no adversary that builds levels, so it is not PAIRED"}


def current_name(name: Any) -> Any:
    """The name that a curriculum has now, with a ``FutureWarning`` where ``name`` is a former one; others unchanged."""
    if not isinstance(name, str) or name not in CURRICULA:
        return name
    warnings.warn(f"curriculum {name!r} is called {CURRICULA[name]!r} now: {_REASONS[name]}", FutureWarning, stacklevel=3)
    return CURRICULA[name]
