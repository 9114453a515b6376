"""The task over the world: what an agent sees and does, what it is worth, and when an episode ends."""

from .actions import ACTIONS, ActionType, make_actions
from .env import EnvParams, EnvState, KinetixEnv, make
from .observations import OBSERVATIONS, EntityObservation, Observation, make_observation
from .replay import replay
from .wrappers import AutoReplay, AutoReset

__all__ = [
    "ACTIONS",
    "ActionType",
    "AutoReplay",
    "AutoReset",
    "EntityObservation",
    "EnvParams",
    "EnvState",
    "KinetixEnv",
    "OBSERVATIONS",
    "Observation",
    "make",
    "make_actions",
    "make_observation",
    "replay",
]
