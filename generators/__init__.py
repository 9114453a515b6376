"""Where levels come from: generators, edits, and filters that samplers can be made to obey.

A generator is a function ``(key, size) -> Level``; ``GENERATORS`` names those of this package.
"""

from .arms import ArmLevels, arm_level
from .balance import BalanceLevels, balance_level
from .contraptions import ContraptionLevels, contraption_level
from .edits import EDITS, Edit
from .exclusion import emptied, excluding, hash_array, held_out, held_out_levels, refuse_held_out, sample_excluding
from .filters import (
    FILTERS,
    Filter,
    lost_at_start,
    make_filter,
    noop_solves,
    overlapping,
    solved_at_start,
    uncontrollable,
)
from .flight import FlightLevels, flight_level
from .generator import Generator
from .listed import ListedLevels, listed_levels
from .locomotion import LocomotionLevels, locomotion_level
from .mixture import mixed_sizes, mixture
from .mutate import mutate_level, mutate_levels
from .oversampling import DRAW_RATIO, FilterReport, filtered, sample_filtered
from .parameters import RandomLevels
from .permute import permute_slots
from .physics import PhysicsRanges, randomise_physics
from .platforms import PlatformLevels, platform_level
from .pushing import PushingLevels, pushing_level
from .random import random_level
from .registry import GENERATORS, GenreLevels, MixtureLevels, has_levels, make_generator
from .sampling import Sampler, sample_levels, sampler
from .sparse import SparseLevels, sparse_level
from .triangles import TriangleLevels, triangle_level
from .vehicles import VehicleLevels, vehicle_level

__all__ = [
    "ArmLevels",
    "BalanceLevels",
    "ContraptionLevels",
    "DRAW_RATIO",
    "EDITS",
    "Edit",
    "FILTERS",
    "Filter",
    "FilterReport",
    "FlightLevels",
    "GENERATORS",
    "Generator",
    "GenreLevels",
    "ListedLevels",
    "LocomotionLevels",
    "MixtureLevels",
    "PhysicsRanges",
    "PlatformLevels",
    "PushingLevels",
    "RandomLevels",
    "Sampler",
    "SparseLevels",
    "TriangleLevels",
    "VehicleLevels",
    "arm_level",
    "balance_level",
    "contraption_level",
    "emptied",
    "excluding",
    "filtered",
    "flight_level",
    "has_levels",
    "hash_array",
    "held_out",
    "held_out_levels",
    "listed_levels",
    "locomotion_level",
    "lost_at_start",
    "make_filter",
    "make_generator",
    "mixed_sizes",
    "mixture",
    "mutate_level",
    "mutate_levels",
    "noop_solves",
    "overlapping",
    "permute_slots",
    "platform_level",
    "pushing_level",
    "random_level",
    "randomise_physics",
    "refuse_held_out",
    "sample_excluding",
    "sample_filtered",
    "sample_levels",
    "sampler",
    "solved_at_start",
    "sparse_level",
    "triangle_level",
    "uncontrollable",
    "vehicle_level",
]
