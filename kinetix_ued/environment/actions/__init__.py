"""What an agent does: one kind of action a file, and a table of them by name."""

from __future__ import annotations

from kinetix_ued.world import CONTROLS, actuate, driven_channels

from .base import ActionType
from .continuous import Continuous
from .discrete import Discrete
from .multi_discrete import MultiDiscrete

ACTIONS: dict[str, type[ActionType]] = {kind.name: kind for kind in (Continuous, MultiDiscrete, Discrete)}
"""Kinds of actions by name."""


def make_actions(name: str) -> ActionType:
    """The kind of action called ``name``.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    if name not in ACTIONS:
        raise ValueError(f"unknown actions {name!r}: use one of {', '.join(ACTIONS)}")
    return ACTIONS[name]()


__all__ = [
    "ACTIONS",
    "ActionType",
    "CONTROLS",
    "Continuous",
    "Discrete",
    "MultiDiscrete",
    "actuate",
    "driven_channels",
    "make_actions",
]
