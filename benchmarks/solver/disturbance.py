"""A level with its start disturbed a little, to tell a robust solution from a lucky one."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level, components
from kinetix_ued.world.constants import STATIC_POLYGONS
from kinetix_ued.world.geometry import rotate_back, rotation_matrix

DISTURBANCE = 1e-4
"""Longest way [m] that a start is moved; contacts alone move bodies as much in a frame."""


def disturb(key: jax.Array, level: Level, distance: float | jax.Array = DISTURBANCE) -> Level:
    """``level`` with every group of joined bodies that can move shifted by a vector of its own. Traceable.

    The vectors are uniform in a disk of radius ``distance`` [m]. A group moves as one, the fixed bodies in it included,
    and where a joint ties it to the room the joint's point on the room moves along, so that joints stay as closed as
    they were. Fixed bodies without a free one joined to them stay.

    Args:
        key: of the vectors.
        level: one level.
        distance: the longest vector [m].
    """
    bodies = level.active.shape[-1]
    u_angle, u_length = jax.random.uniform(key, (2, bodies), jnp.float32)
    angle, length = 2 * jnp.pi * u_angle, distance * jnp.sqrt(u_length)
    vectors = length[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)

    label = components(level)
    together = label[:, None] == label
    moves = (together & (level.active & (level.inverse_mass > 0))).any(axis=1)
    shift = jnp.where(moves[:, None], vectors[label], 0.0)
    room = jnp.arange(bodies) < STATIC_POLYGONS
    turn = rotation_matrix(level.rotation)

    def anchored(anchor: jax.Array, body: jax.Array) -> jax.Array:
        along = rotate_back(turn[body], shift[body])
        return jnp.where((room[body] & level.joint_active)[:, None], anchor + along, anchor)

    return level.replace(
        position=jnp.where((room | ~level.active)[:, None], level.position, level.position + shift),
        joint_anchor_a=anchored(level.joint_anchor_a, level.joint_a),
        joint_anchor_b=anchored(level.joint_anchor_b, level.joint_b),
    )


def disturbed(keys: jax.Array, level: Level, distance: float | jax.Array = DISTURBANCE) -> Level:
    """One level as it is, then disturbed by each but the first of ``keys``: a batch of as many as there are keys."""
    far = jnp.where(jnp.arange(len(keys)) == 0, 0.0, distance)
    return jax.vmap(disturb, in_axes=(0, None, 0))(keys, level, far)
