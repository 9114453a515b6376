"""Training: a curriculum, an environment and an agent put together, and what comes of it kept in a folder."""

from .callbacks import PeriodicEvaluation
from .checkpoint import CheckpointError
from .config import TrainConfig, field_docs, validate
from .lock import RunInUse
from .loop import resume, resume_seeds, train, train_seeds
from .metrics import Callback, Metrics, Rating, read_metrics
from .presets import FAMILIES, METHODS, PRESETS, method_preset, preset, whole_episodes
from .run import Run, TrainedPolicy, read_config, seed_folders
from .update import Learner, TrainState

__all__ = [
    "Callback",
    "CheckpointError",
    "FAMILIES",
    "Learner",
    "METHODS",
    "Metrics",
    "PRESETS",
    "PeriodicEvaluation",
    "Rating",
    "Run",
    "RunInUse",
    "TrainConfig",
    "TrainState",
    "TrainedPolicy",
    "field_docs",
    "method_preset",
    "preset",
    "read_config",
    "read_metrics",
    "resume",
    "resume_seeds",
    "seed_folders",
    "train",
    "train_seeds",
    "validate",
    "whole_episodes",
]
