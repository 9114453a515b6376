"""A solver: searches levels for actions that solve them."""

from .disturbance import DISTURBANCE, disturb
from .polish import polish
from .search import solve_levels
from .settings import SearchSettings, Solution

__all__ = ["DISTURBANCE", "SearchSettings", "Solution", "disturb", "polish", "solve_levels"]
