"""The edit that removes a shape with its joints and thrusters."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.levels.resize import BODY_FIELDS
from kinetix_ued.world import Level

from ..parameters import RandomLevels
from ..roles import BLUE, GREEN
from .edit import Edit
from .slots import emptied, ends, pick, shapes, without_joints, without_thrusters


def removable(level: Level) -> jax.Array:
    """Shapes (N) without which there is still a green and a blue one. The reference may take those too."""
    last = jnp.zeros_like(level.active)
    for role in (GREEN, BLUE):
        wearers = level.active & (level.role == role)
        last |= wearers & (jnp.sum(wearers) == 1)
    return shapes(level) & ~last


def possible(level: Level) -> jax.Array:
    return jnp.any(removable(level))


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    body = pick(u[0], removable(level))
    end_a, end_b = ends(level)
    level = without_joints(level, jnp.any((end_a | end_b) & body, axis=1))
    on_it = jnp.any((level.thruster_body[:, None] == jnp.arange(level.size.bodies)) & body, axis=1)
    return emptied(without_thrusters(level, on_it & level.thruster_active), BODY_FIELDS, body)


EDIT = Edit("remove_shape", 0.0, possible, apply)
