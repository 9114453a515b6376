"""The edit that gives a shape another size."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import with_masses
from kinetix_ued.world import Level

from ..candidates import dimensions
from ..parameters import RandomLevels
from .edit import Edit
from .pose import close_joints, in_tree, pushed_inside
from .slots import chosen, ends, is_circle, pick


def possible(level: Level) -> jax.Array:
    return jnp.any(in_tree(level))


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    """Draws a new size as for a new shape and scales everything in the body's frame to it, each axis by itself.

    The points of its joints scale with it, and the bodies joined to it follow (pose.py). Its thrusters scale too, which
    the reference forgets: their points and lines of force, so that one through the centre stays so, and their power by
    the area, so that the shape accelerates as before. Its mass follows unless it is fixed.
    """
    body = pick(u[0], in_tree(level))
    half, radius = dimensions(u[1:3], u[3], jnp.array(False), parameters)
    round_one = is_circle(level, body)
    old_half, old_radius = _half_extent(level, body), chosen(body, level.radius)
    scale = jnp.where(round_one, radius / jnp.where(round_one, old_radius, 1.0), half / old_half)

    end_a, end_b = ends(level)
    on_a, on_b = jnp.any(end_a & body, axis=1)[:, None], jnp.any(end_b & body, axis=1)[:, None]
    pushes = jnp.any((level.thruster_body[:, None] == jnp.arange(level.size.bodies)) & body, axis=1)
    pushes &= level.thruster_active
    heading = level.thruster_rotation
    scaled_heading = jnp.arctan2(scale[1] * jnp.sin(heading), scale[0] * jnp.cos(heading))
    level = level.replace(
        vertices=jnp.where(body[:, None, None] & ~round_one, level.vertices * scale, level.vertices),
        radius=jnp.where(body & round_one, radius, level.radius),
        joint_anchor_a=jnp.where(on_a, level.joint_anchor_a * scale, level.joint_anchor_a),
        joint_anchor_b=jnp.where(on_b, level.joint_anchor_b * scale, level.joint_anchor_b),
        thruster_position=jnp.where(pushes[:, None], level.thruster_position * scale, level.thruster_position),
        thruster_rotation=jnp.where(pushes, scaled_heading, heading),
        thruster_power=jnp.where(pushes, level.thruster_power * scale[0] * scale[1], level.thruster_power),
    )
    level = with_masses(level, body & (level.inverse_mass != 0))
    return pushed_inside(close_joints(level, body), body)


def _half_extent(level: Level, body: jax.Array) -> jax.Array:
    """Half sides (2) of the box around a polygon in its own frame [m]; ones for a circle."""
    vertices, n_vertices = chosen(body, level.vertices), chosen(body, level.n_vertices)
    corners = jnp.where((jnp.arange(len(vertices)) < n_vertices)[:, None], vertices, vertices[0])
    half = (jnp.max(corners, axis=0) - jnp.min(corners, axis=0)) / 2
    return jnp.where(half > 0, half, 1.0)


EDIT = Edit("resize", 1.0, possible, apply)
