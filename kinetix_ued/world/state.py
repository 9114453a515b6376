"""The world's state: what a step changes, and how a level becomes one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from .level import Level
from .sharding import varying_like


@struct.dataclass
class WorldState:
    """What changes from frame to frame. N bodies, J joints, K contact points, as in ``Level``.

    Attributes:
        position: centre of mass [m] (N, 2)
        rotation: [rad] (N)
        velocity: [m/s] (N, 2)
        angular_velocity: [rad/s] (N)
        joint_impulse: accumulated impulse at the shared point [N s] (J, 2)
        joint_angular_impulse: accumulated angular impulse of fixed joints [N m s] (J)
        contact_active: bodies that overlapped in the last frame, whether or not the overlap was resolved (K) bool
        contact_normal_impulse: accumulated, never negative [N s] (K)
        contact_tangent_impulse: accumulated [N s] (K)
        component: smallest body index among those joined to this one, itself included; constant (N) int32
    """

    position: jax.Array
    rotation: jax.Array
    velocity: jax.Array
    angular_velocity: jax.Array
    joint_impulse: jax.Array
    joint_angular_impulse: jax.Array
    contact_active: jax.Array
    contact_normal_impulse: jax.Array
    contact_tangent_impulse: jax.Array
    component: jax.Array


@struct.dataclass
class Frames:
    """What F frames showed, for the rules of the game to judge.

    Attributes:
        touch: bit 0: green touches blue; bit 1: green touches red (F) int32
        distance: sum of the centre distances of all green-blue pairs after the frame [m] (F)
    """

    touch: jax.Array
    distance: jax.Array


TOUCH_GOAL = 1
"""Bit of ``Frames.touch``: green touches blue."""

TOUCH_FAILURE = 2
"""Bit of ``Frames.touch``: green touches red."""


def components(level: Level) -> jax.Array:
    """Label (N) of each body's joint-connected component: the smallest index in it. Joints to the room count."""
    bodies, joints = level.active.shape[-1], level.joint_active.shape[-1]
    a = jax.nn.one_hot(level.joint_a, bodies, dtype=bool) & level.joint_active[:, None]
    b = jax.nn.one_hot(level.joint_b, bodies, dtype=bool) & level.joint_active[:, None]
    ends = a | b  # (J, N): the bodies of each joint

    def spread(_, labels):  # every joint gives its bodies the smaller label of the two
        joint_label = jnp.where(ends, labels, bodies).min(axis=1)
        return jnp.minimum(labels, jnp.where(ends, joint_label[:, None], bodies).min(axis=0))

    return jax.lax.fori_loop(0, joints, spread, varying_like(jnp.arange(bodies, dtype=jnp.int32), ends))


def start(level: Level) -> WorldState:
    """The state in which ``level`` begins."""
    return WorldState(
        position=level.position,
        rotation=level.rotation,
        velocity=level.velocity,
        angular_velocity=level.angular_velocity,
        joint_impulse=level.joint_impulse,
        joint_angular_impulse=level.joint_angular_impulse,
        contact_active=level.contact_active,
        contact_normal_impulse=level.contact_normal_impulse,
        contact_tangent_impulse=level.contact_tangent_impulse,
        component=components(level),
    )
