"""Training: a curriculum, an environment and an agent put together, and what comes of it kept in a folder."""

from .checkpoint import CheckpointError
from .config import TrainConfig, field_docs, validate
from .loop import resume, train
from .metrics import Callback, Metrics, read_metrics
from .presets import PRESETS, preset
from .run import Run, TrainedPolicy
from .update import Learner, TrainState

__all__ = [
    "Callback",
    "CheckpointError",
    "Learner",
    "Metrics",
    "PRESETS",
    "Run",
    "TrainConfig",
    "TrainState",
    "TrainedPolicy",
    "field_docs",
    "preset",
    "read_metrics",
    "resume",
    "train",
    "validate",
]
