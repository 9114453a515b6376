"""Curricula: which levels the agent plays next. See protocol.py for what one is."""

from .accel import AccelState, Lineage, accel
from .buffer import PRIORITISATIONS, BufferState, LevelBuffer, score_quantiles
from .domain_randomisation import domain_randomisation
from .episodes import attempts, episode_mean, episode_returns, highest_return
from .mixture import MixtureState, mixture
from .ncc import NccState, ncc
from .paired import paired
from .plr import plr, robust_plr
from .protocol import Curriculum, Plan, Rollout
from .registry import CURRICULA, curriculum_options, make_curriculum
from .sampling import Sampler, example_level
from .scores import (
    ANTAGONIST_SCORES,
    SCORES,
    Score,
    l1_value_loss,
    learnability,
    learnability_score,
    max_mc,
    mean_advantage,
    negative_advantage,
    positive_value_loss,
    regret,
    score_of,
)
from .sfl import SflState, sfl

__all__ = [
    "ANTAGONIST_SCORES",
    "AccelState",
    "BufferState",
    "CURRICULA",
    "Curriculum",
    "LevelBuffer",
    "Lineage",
    "MixtureState",
    "NccState",
    "PRIORITISATIONS",
    "Plan",
    "Rollout",
    "SCORES",
    "Sampler",
    "Score",
    "SflState",
    "accel",
    "attempts",
    "curriculum_options",
    "domain_randomisation",
    "episode_mean",
    "episode_returns",
    "example_level",
    "highest_return",
    "l1_value_loss",
    "learnability",
    "learnability_score",
    "make_curriculum",
    "max_mc",
    "mean_advantage",
    "mixture",
    "ncc",
    "negative_advantage",
    "paired",
    "plr",
    "positive_value_loss",
    "regret",
    "robust_plr",
    "score_of",
    "score_quantiles",
    "sfl",
]
