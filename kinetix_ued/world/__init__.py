"""The physics: what a world is made of and how one frame follows another."""

from .controls import CONTROLS, actuate, driven_channels, driven_motors
from .engine import ENGINES, PHYSICS, Engine, get_engine
from .level import COLLISION_MODES, ROLES, Level, empty_level, typed_level
from .sharding import varying_like
from .size import SIZES, Size, size_of
from .state import TOUCH_FAILURE, TOUCH_GOAL, Frames, WorldState, components, start

__all__ = [
    "COLLISION_MODES",
    "CONTROLS",
    "ENGINES",
    "Engine",
    "Frames",
    "Level",
    "PHYSICS",
    "ROLES",
    "SIZES",
    "Size",
    "TOUCH_FAILURE",
    "TOUCH_GOAL",
    "WorldState",
    "actuate",
    "components",
    "driven_channels",
    "driven_motors",
    "empty_level",
    "get_engine",
    "size_of",
    "start",
    "typed_level",
    "varying_like",
]
