"""Levels with next to nothing in them: where ACCEL starts, for its edits to build on."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level, Size, empty_level, size_of, varying_like

from .candidates import CANDIDATE_DRAWS
from .checks import check_chances
from .draws import one_of, uniform
from .parameters import RandomLevels
from .permute import permute_slots
from .shapes import JOINT_DRAWS, add_shape
from .thrusters import THRUSTER_DRAWS, add_thruster

SMALL = RandomLevels(max_shape_size=0.5, goal_size_factor=2.0)
"""Small shapes; green and blue are of the usual size."""

LARGE = RandomLevels(max_shape_size=2.0)
"""Shapes up to twice the usual size."""


@dataclasses.dataclass(frozen=True)
class SparseLevels:
    """Parameters of sparse levels; the defaults are those that the reference means for ACCEL.

    Raises:
        ValueError: for a ``large_chance`` outside [0, 1].
    """

    usual: RandomLevels = SMALL
    """Of most shapes, and of thrusters."""
    large: RandomLevels = LARGE
    """Of the other shapes."""
    large_chance: float = 0.05
    """Probability that a shape is of the latter."""

    def __post_init__(self):
        check_chances(self, "large_chance")


SPARSE = SparseLevels()
"""The start of ACCEL that the reference means."""


def sparse_level(key: jax.Array, size: str | Size = "s", parameters: SparseLevels = SPARSE) -> Level:
    """A green and a blue shape; a third one joined by a motor, a thruster, or both. Nothing else; a plain floor.

    Traceable, with ``size`` and ``parameters`` static. Each shape is put in the first place drawn. Green or blue can
    move, unlike in the reference, where both may be fixed and then nothing solves the level.

    Args:
        key: of the random numbers.
        size: ``s``, ``m``, ``l`` or a ``Size``.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size.

    Source: Parker-Holder et al. 2022, ACCEL (arXiv:2203.01302), for starting simple; Matthews et al. 2025, Kinetix
    (arXiv:2410.23208), for the levels. kinetix-env 3.0.2 fails when it draws them.
    """
    key_level, key_shapes, key_thruster, key_slots = jax.random.split(key, 4)
    u_first, u_control = uniform(key_level, (2,))
    u = uniform(key_shapes, (3, 1 + JOINT_DRAWS + CANDIDATE_DRAWS))
    u_large, u_joint, u_shape = u[:, 0], u[:, 1 : 1 + JOINT_DRAWS], u[:, None, 1 + JOINT_DRAWS :]
    first_moves, control = u_first < 0.5, one_of(u_control, 3)
    plan = {
        "joined": jnp.array([False, False, True]),
        "never_fixed": jnp.stack([first_moves, ~first_moves, jnp.array(False)]),
        "enabled": jnp.array([True, True, False]).at[2].set(control != 0),
    }

    def add(level, inputs):
        u_large, u_joint, u_shape, plan = inputs
        usual, large = (
            add_shape(level, u_shape, u_joint, shapes, revolute=True, **plan)
            for shapes in (parameters.usual, parameters.large)
        )
        is_large = u_large < parameters.large_chance
        return jax.tree.map(lambda a, b: jnp.where(is_large, a, b), large, usual), None

    empty = varying_like(empty_level(size_of(size)), u)
    level, _ = jax.lax.scan(add, empty, (u_large, u_joint, u_shape, plan))
    u_thruster = uniform(key_thruster, (THRUSTER_DRAWS,))
    level = add_thruster(level, u_thruster, parameters.usual, enabled=control != 1)
    return permute_slots(key_slots, level)
