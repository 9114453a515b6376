"""Agents: networks, what they say about actions, and how they learn."""

from __future__ import annotations

from .advantage import generalised_advantages
from .distributions import Categorical, DiagonalGaussian, Distribution, MultiCategorical
from .from_kinetix import import_kinetix_agent, read_kinetix_agent
from .imitation import Lesson, imitation_loss
from .policy import NETWORKS, Policy, make_policy
from .ppo import Batch, TrainState, init_train_state, make_optimiser, ppo_loss, ppo_update
from .saved import Agent, bundled, load, make_card, make_network, names_an_agent, read_card, save

__all__ = [
    "Agent",
    "Batch",
    "Categorical",
    "DiagonalGaussian",
    "Distribution",
    "Lesson",
    "MultiCategorical",
    "NETWORKS",
    "Policy",
    "TrainState",
    "bundled",
    "generalised_advantages",
    "imitation_loss",
    "import_kinetix_agent",
    "init_train_state",
    "load",
    "make_card",
    "make_network",
    "make_optimiser",
    "make_policy",
    "names_an_agent",
    "ppo_loss",
    "ppo_update",
    "read_card",
    "read_kinetix_agent",
    "save",
]
