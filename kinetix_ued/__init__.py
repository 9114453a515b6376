"""kinetix-ued: unsupervised environment design in a 2D physics world.

>>> import kinetix_ued
>>> env = kinetix_ued.make(size="s")
>>> env.size.bodies
7
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Public names and the modules that define them, imported on first use: `kinetix-ued --help` should not wait for JAX.
_HOMES = {
    "KinetixEnv": "kinetix_ued.environment",
    "Level": "kinetix_ued.world",
    "LevelError": "kinetix_ued.levels",
    "Run": "kinetix_ued.training",
    "Size": "kinetix_ued.world",
    "TrainConfig": "kinetix_ued.training",
    "level_to_kinetix": "kinetix_ued.levels",
    "load_level": "kinetix_ued.levels",
    "load_levels": "kinetix_ued.levels",
    "make": "kinetix_ued.environment",
    "replay": "kinetix_ued.environment",
    "save_level": "kinetix_ued.levels",
    "train": "kinetix_ued.training",
}
_PACKAGES = ("agents", "benchmarks", "curricula", "environment", "generators", "levels", "training", "viewer", "world")

__all__ = [*_HOMES, *_PACKAGES]

if TYPE_CHECKING:
    from kinetix_ued import agents, benchmarks, curricula, generators, world
    from kinetix_ued.environment import KinetixEnv, make, replay
    from kinetix_ued.levels import LevelError, level_to_kinetix, load_level, load_levels, save_level
    from kinetix_ued.training import Run, TrainConfig, train
    from kinetix_ued.world import Level, Size


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
