"""Training: a curriculum, an environment and an agent put together, with the results kept in a folder."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

# Public names and the modules that define them, imported on first use: `kinetix-ued train --help` needs the
# configuration alone and should not wait for JAX.
_HOMES = {
    "Callback": "metrics",
    "CheckpointError": "checkpoint",
    "FAMILIES": "presets",
    "Learner": "update",
    "METHODS": "presets",
    "Metrics": "metrics",
    "PRESETS": "presets",
    "PeriodicEvaluation": "callbacks",
    "Rating": "metrics",
    "Run": "run",
    "RunInUse": "lock",
    "TrainConfig": "config",
    "TrainState": "update",
    "TrainedPolicy": "run",
    "field_docs": "config",
    "method_preset": "presets",
    "preset": "presets",
    "read_config": "run",
    "read_metrics": "metrics",
    "resume": "loop",
    "resume_seeds": "loop",
    "save_agent": "saved_agent",
    "seed_folders": "run",
    "train": "loop",
    "train_seeds": "loop",
    "validate": "config",
    "whole_episodes": "presets",
}

__all__ = [*_HOMES]

if TYPE_CHECKING:
    from .callbacks import PeriodicEvaluation
    from .checkpoint import CheckpointError
    from .config import TrainConfig, field_docs, validate
    from .lock import RunInUse
    from .loop import resume, resume_seeds, train, train_seeds
    from .metrics import Callback, Metrics, Rating, read_metrics
    from .presets import FAMILIES, METHODS, PRESETS, method_preset, preset, whole_episodes
    from .run import Run, TrainedPolicy, read_config, seed_folders
    from .saved_agent import save_agent
    from .update import Learner, TrainState


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
