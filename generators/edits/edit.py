"""What an edit is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax

from kinetix_ued.world import Level

from ..candidates import CANDIDATE_DRAWS
from ..parameters import RandomLevels
from ..shapes import JOINT_DRAWS

EDIT_DRAWS = CANDIDATE_DRAWS + JOINT_DRAWS
"""Uniform numbers that an edit may use: as many as a new shape and its joint."""


class Edit(NamedTuple):
    """One way to change one level; traceable.

    Attributes:
        name: that weights are given for
        weight: how often it is chosen unless told otherwise, relative to the others that are possible
        possible: ``possible(level) -> bool ()``: the level has something that the edit can change
        apply: ``apply(u, level, parameters) -> Level``, for levels where it is possible; ``u``: EDIT_DRAWS uniform
            numbers; ``parameters``: of the distribution that new shapes and thrusters come from
    """

    name: str
    weight: float
    possible: Callable[[Level], jax.Array]
    apply: Callable[[jax.Array, Level, RandomLevels], Level]
