"""Where levels come from: generators, edits, and filters that samplers can be made to obey.

A generator is a function ``(key, size) -> Level``; ``GENERATORS`` names those of this package.
"""

from .edits import EDITS, Edit
from .filters import FILTERS, Filter, lost_at_start, make_filter, noop_solves, overlapping, solved_at_start, uncontrollable
from .mutate import mutate_level, mutate_levels
from .oversampling import DRAW_RATIO, FilterReport, filtered, sample_filtered
from .parameters import RandomLevels
from .permute import permute_slots
from .random import random_level
from .registry import GENERATORS, Generator, make_generator
from .sampling import Sampler, sample_levels, sampler
from .sparse import SparseLevels, sparse_level

__all__ = [
    "DRAW_RATIO",
    "EDITS",
    "Edit",
    "FILTERS",
    "Filter",
    "FilterReport",
    "GENERATORS",
    "Generator",
    "RandomLevels",
    "Sampler",
    "SparseLevels",
    "filtered",
    "lost_at_start",
    "make_filter",
    "make_generator",
    "mutate_level",
    "mutate_levels",
    "noop_solves",
    "overlapping",
    "permute_slots",
    "random_level",
    "sample_filtered",
    "sample_levels",
    "sampler",
    "solved_at_start",
    "sparse_level",
    "uncontrollable",
]
