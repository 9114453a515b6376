"""Agents: networks, what they say about actions, and how they learn."""

from __future__ import annotations

from .advantage import generalised_advantages
from .distributions import Categorical, DiagonalGaussian, Distribution, MultiCategorical
from .policy import NETWORKS, Policy, make_policy
from .ppo import Batch, TrainState, init_train_state, make_optimiser, ppo_loss, ppo_update

__all__ = [
    "Batch",
    "Categorical",
    "DiagonalGaussian",
    "Distribution",
    "MultiCategorical",
    "NETWORKS",
    "Policy",
    "TrainState",
    "generalised_advantages",
    "init_train_state",
    "make_optimiser",
    "make_policy",
    "ppo_loss",
    "ppo_update",
]
