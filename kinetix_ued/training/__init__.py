"""Training: a curriculum, an environment and an agent put together, and what comes of it kept in a folder."""

from .callbacks import PeriodicEvaluation
from .checkpoint import CheckpointError
from .config import TrainConfig, field_docs, validate
from .loop import resume, train
from .metrics import Callback, Metrics, Rating, read_metrics
from .presets import PRESETS, preset
from .run import Run, TrainedPolicy, read_config
from .update import Learner, TrainState

__all__ = [
    "Callback",
    "CheckpointError",
    "Learner",
    "Metrics",
    "PRESETS",
    "PeriodicEvaluation",
    "Rating",
    "Run",
    "TrainConfig",
    "TrainState",
    "TrainedPolicy",
    "field_docs",
    "preset",
    "read_config",
    "read_metrics",
    "resume",
    "train",
    "validate",
]
