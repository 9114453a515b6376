"""What an agent sees: one view a file, and a table of them by name."""

from __future__ import annotations

from .base import Observation
from .blind import Blind
from .entity import Entity, EntityObservation
from .pixels import Pixels, PixelsObservation
from .scene import Scene, SceneObservation
from .symbolic_flat import SymbolicFlat
from .symbolic_flat_padded import SymbolicFlatPadded

OBSERVATIONS: dict[str, type[Observation]] = {
    kind.name: kind for kind in (Entity, Scene, SymbolicFlat, SymbolicFlatPadded, Pixels, Blind)
}
"""Observations by name."""


def make_observation(name: str, max_steps: int = 256) -> Observation:
    """The observation called ``name``, for episodes of at most ``max_steps`` steps.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    if name not in OBSERVATIONS:
        raise ValueError(f"unknown observation {name!r}: use one of {', '.join(OBSERVATIONS)}")
    kind = OBSERVATIONS[name]
    return kind(max_steps) if kind in (Blind, Scene) else kind()


__all__ = [
    "Blind",
    "Entity",
    "EntityObservation",
    "OBSERVATIONS",
    "Observation",
    "Pixels",
    "PixelsObservation",
    "Scene",
    "SceneObservation",
    "SymbolicFlat",
    "SymbolicFlatPadded",
    "make_observation",
]
