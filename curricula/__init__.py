"""Curricula: which levels the agent plays next. See protocol.py for what one is."""

from .buffer import PRIORITISATIONS, BufferState, LevelBuffer, score_quantiles
from .domain_randomisation import domain_randomisation
from .plr import plr, robust_plr
from .protocol import Curriculum, Plan, Rollout
from .registry import CURRICULA, curriculum_options, make_curriculum
from .sampling import Sampler
from .scores import SCORES, Score, episode_mean, highest_return, max_mc, positive_value_loss, score_of

__all__ = [
    "BufferState",
    "CURRICULA",
    "Curriculum",
    "LevelBuffer",
    "PRIORITISATIONS",
    "Plan",
    "Rollout",
    "SCORES",
    "Sampler",
    "Score",
    "curriculum_options",
    "domain_randomisation",
    "episode_mean",
    "highest_return",
    "make_curriculum",
    "max_mc",
    "plr",
    "positive_value_loss",
    "robust_plr",
    "score_of",
    "score_quantiles",
]
