"""Slots carry no meaning: moving a level's bodies, joints and thrusters to other slots gives the same level."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.levels.resize import BODY_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS
from kinetix_ued.world import Level
from kinetix_ued.world.constants import STATIC_POLYGONS

from .draws import permutation, uniform


def permute_slots(key: jax.Array, level: Level) -> Level:
    """``level`` with its polygons (but for the room's), circles, joints and thrusters in random slots.

    Joints keep their first and second body. Accumulated contact impulses are not moved: only for levels that have none.
    """
    size = level.size
    polygons = size.polygons - STATIC_POLYGONS
    u = uniform(key, (polygons + size.circles + size.joints + size.thrusters,))
    u_polygons, u_circles, u_joints, u_thrusters = jnp.split(
        u, [polygons, polygons + size.circles, polygons + size.circles + size.joints]
    )
    bodies = jnp.concatenate(
        [
            jnp.arange(STATIC_POLYGONS),
            STATIC_POLYGONS + permutation(u_polygons),
            size.polygons + permutation(u_circles),
        ]
    )
    slots = jnp.arange(size.bodies, dtype=jnp.int32)
    # The inverse permutation:
    moved_to = jnp.sum(jnp.where(bodies[None, :] == slots[:, None], slots, 0), axis=1, dtype=jnp.int32)
    level = level.replace(
        joint_a=moved_to[level.joint_a], joint_b=moved_to[level.joint_b], thruster_body=moved_to[level.thruster_body]
    )
    moves = (
        (BODY_FIELDS, bodies),
        (JOINT_FIELDS, permutation(u_joints)),
        (THRUSTER_FIELDS, permutation(u_thrusters)),
    )
    return level.replace(**{name: getattr(level, name)[order] for names, order in moves for name in names})
