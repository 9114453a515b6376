"""Where levels come from: random levels, and filters that samplers can be made to obey."""

from .filters import Filter, Sampler, filtered, noop_solves
from .parameters import RandomLevels
from .permute import permute_slots
from .random import sample_level, sample_levels

__all__ = [
    "Filter",
    "RandomLevels",
    "Sampler",
    "filtered",
    "noop_solves",
    "permute_slots",
    "sample_level",
    "sample_levels",
]
