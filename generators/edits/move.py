"""The edit that moves a shape with everything joined to it."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level, components

from ..draws import between
from ..parameters import RandomLevels
from .edit import Edit
from .pose import movable, pushed_inside
from .slots import chosen, pick, shapes

FARTHEST = 0.5
"""Largest move along each axis [m]."""


def possible(level: Level) -> jax.Array:
    return jnp.any(movable(level))


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    """Moves up to FARTHEST along each axis, and back where anything would stick out of the room or into the floor.

    Shapes joined to the room do not move; in the reference they do, and leave their joint open.
    """
    body, label = pick(u[0], movable(level)), components(level)
    group = shapes(level) & (label == chosen(body, label))
    moved = level.position + between(u[1:3], -FARTHEST, FARTHEST)
    return pushed_inside(level.replace(position=jnp.where(group[:, None], moved, level.position)), body)


EDIT = Edit("move", 1.0, possible, apply)
