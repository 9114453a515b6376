"""Curricula: which levels the agent plays next. See protocol.py for what one is."""

from __future__ import annotations

from typing import Any

from kinetix_ued.renamed import current_name

from .accel import AccelState, Lineage, accel
from .buffer import PRIORITISATIONS, BufferState, LevelBuffer, score_quantiles
from .domain_randomisation import domain_randomisation
from .episodes import attempts, eligible, episode_mean, episode_returns, highest_return, level_mean
from .groups import group_max, group_mean, group_slots, group_sum
from .mixture import MixtureState, mixture
from .ncc import NccState, ncc
from .plr import PlrState, plr, robust_plr
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
from .student_regret import student_regret

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
    "PlrState",
    "Rollout",
    "SCORES",
    "Sampler",
    "Score",
    "SflState",
    "accel",
    "attempts",
    "curriculum_options",
    "domain_randomisation",
    "eligible",
    "episode_mean",
    "episode_returns",
    "example_level",
    "group_max",
    "group_mean",
    "group_slots",
    "group_sum",
    "highest_return",
    "l1_value_loss",
    "learnability",
    "learnability_score",
    "level_mean",
    "make_curriculum",
    "max_mc",
    "mean_advantage",
    "mixture",
    "ncc",
    "negative_advantage",
    "plr",
    "positive_value_loss",
    "regret",
    "robust_plr",
    "score_of",
    "score_quantiles",
    "sfl",
    "student_regret",
]


def __getattr__(name: str) -> Any:
    if (current := current_name(name)) != name:
        return CURRICULA[current]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
