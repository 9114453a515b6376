"""The edit that turns a shape."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level

from ..parameters import RandomLevels
from .edit import Edit
from .pose import close_joints, in_tree, pushed_inside
from .slots import ends, pick

LARGEST_TURN = math.pi / 2
"""Largest angle [rad], counter-clockwise as all of them."""


def possible(level: Level) -> jax.Array:
    return jnp.any(in_tree(level))


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    """Turns one shape about its centre; the bodies joined to it follow without turning (pose.py).

    Its fixed joints hold the new angle. Limits of revolute joints stay, so that the shape may now be nearer to one, or
    beyond it.
    """
    body, angle = pick(u[0], in_tree(level)), u[1] * LARGEST_TURN
    end_a, end_b = ends(level)
    turns_b = jnp.any(end_b & body, axis=1).astype(jnp.float32) - jnp.any(end_a & body, axis=1)
    level = level.replace(
        rotation=level.rotation + jnp.where(body, angle, 0.0),
        joint_rotation=level.joint_rotation + jnp.where(level.joint_fixed, turns_b * angle, 0.0),
    )
    return pushed_inside(close_joints(level, body), body)


EDIT = Edit("rotate", 1.0, possible, apply)
