"""Random levels: the reference's distribution, for any size."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level, Size, empty_level, size_of, varying_like
from kinetix_ued.world.constants import STATIC_POLYGONS

from .candidates import CANDIDATE_DRAWS
from .draws import one_of, uniform, weighted
from .parameters import DEFAULT, RandomLevels
from .permute import permute_slots
from .roles import BLUE, swap_goals
from .shapes import JOINT_DRAWS, add_shape
from .thrusters import THRUSTER_DRAWS, add_thruster

FIRST_SHAPES = 3
"""Shapes that every level gets: green and blue, and one that may carry a motor."""


def random_level(key: jax.Array, size: str | Size = "s", parameters: RandomLevels = DEFAULT) -> Level:
    """One random level; traceable, with ``size`` and ``parameters`` static.

    A green and a blue shape; a joint, a thruster or both; then for each remaining slot a shape joined to another, a
    free one or nothing. Some levels have a blue floor instead of a blue shape, some a red one.

    Args:
        key: of the random numbers.
        size: ``s``, ``m``, ``l`` or a ``Size``.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size.

    Source: Matthews et al. 2025, Kinetix (arXiv:2410.23208), as in kinetix-env 3.0.2.
    """
    size = size_of(size)
    capacity = size.bodies - STATIC_POLYGONS
    small = capacity <= FIRST_SHAPES
    candidates = 1 if small else parameters.candidates
    additions = max(capacity, FIRST_SHAPES)

    key_level, key_shapes, key_thrusters, key_slots = jax.random.split(key, 4)
    u_floor, u_green, u_control, u_swap = uniform(key_level, (4,))
    u = uniform(key_shapes, (additions, 1 + JOINT_DRAWS + candidates * CANDIDATE_DRAWS))
    u_kind, u_joint = u[:, 0], u[:, 1 : 1 + JOINT_DRAWS]
    u_shapes = u[:, 1 + JOINT_DRAWS :].reshape(additions, candidates, CANDIDATE_DRAWS)

    level = empty_level(size)
    floor = weighted(u_floor, jnp.array(parameters.floor_shares, jnp.float32))
    level = level.replace(role=level.role.at[0].set(floor))

    # Either the first or the second shape is free to move; the third has a motor, or the level a thruster, or both.
    first_moves = (u_green < 0.5) | (floor == BLUE)
    control = one_of(u_control, 3)
    with_motor, with_thruster = control != 0, control != 1
    shares = jnp.array([parameters.connected_share, parameters.free_share, parameters.nothing_share], jnp.float32)
    kind = weighted(u_kind, jnp.broadcast_to(shares, (additions, 3)))
    step = jnp.arange(additions)
    first = step < FIRST_SHAPES
    plan = {
        "joined": jnp.where(first, (step == FIRST_SHAPES - 1) & with_motor, kind == 0),
        "revolute": first,
        "never_fixed": small | ((step == 0) & first_moves) | ((step == 1) & ~first_moves),
        "enabled": first | (kind != 2),
    }

    def add(level, inputs):
        u_shapes, u_joint, plan = inputs
        level = add_shape(level, u_shapes, u_joint, parameters, **plan)
        return level, level.active

    level, present = jax.lax.scan(add, varying_like(level, u_shapes), (u_shapes, u_joint, plan))

    u_thrusters = uniform(key_thrusters, (size.thrusters, 1 + THRUSTER_DRAWS))
    level = add_thruster(level, u_thrusters[0, 1:], parameters, bodies=present[FIRST_SHAPES - 1], enabled=with_thruster)
    for chance, u in zip(u_thrusters[1:, 0], u_thrusters[1:, 1:], strict=True):
        level = add_thruster(level, u, parameters, enabled=chance < parameters.thruster_chance)

    # Green starts on the left more often than blue: half of the levels are played the other way round.
    level = swap_goals(level, (floor == 0) & (u_swap < 0.5))
    return permute_slots(key_slots, level)
