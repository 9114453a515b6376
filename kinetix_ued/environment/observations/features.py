"""The rows of numbers that describe bodies, joints and thrusters, shared by the symbolic observations."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import ROLES, Level, WorldState
from kinetix_ued.world.constants import MOTOR_BINDINGS, STATIC_POLYGONS, THRUSTER_BINDINGS

BODY_FEATURES = 16
"""Features that polygons and circles have in common."""
POLYGON_FEATURES = 26
"""Those, whether it is a circle, four corners, whether it is a triangle."""
CIRCLE_FEATURES = 18
"""Those, the radius, whether it is a circle."""
JOINT_FEATURES = 22
"""Features of a joint seen from one of its bodies."""
THRUSTER_FEATURES = 8
"""Features of a thruster."""

ANGULAR_VELOCITY_UNIT = 10.0
"""Angular velocities are squashed in this unit [rad/s]."""
GRAVITY_UNIT = 10.0
"""Gravity is given in this unit [m/s^2]."""
NO_VERTEX = -1.0
"""Both coordinates of a corner that a polygon does not have."""


def column(values: jax.Array) -> jax.Array:
    """Numbers or truth values (M) as one column of features (M, 1)."""
    return values[:, None].astype(jnp.float32)


def one_hot(values: jax.Array, count: int) -> jax.Array:
    """Whole numbers (M) below ``count`` as features (M, count): 1 at each number's place, 0 elsewhere."""
    return (values[:, None] == jnp.arange(count)).astype(jnp.float32)


def body_features(level: Level, world: WorldState) -> jax.Array:
    """What polygons and circles have in common (N, 16). A state that is not a number is shown as zero.

    Position, velocity, inverse mass, inverse inertia, density, squashed angular velocity, role (one-hot), sine and
    cosine of the rotation, friction, restitution.
    """
    rotation = jnp.nan_to_num(world.rotation)
    spin = jnp.nan_to_num(world.angular_velocity)
    return jnp.concatenate(
        [
            jnp.nan_to_num(world.position),
            jnp.nan_to_num(world.velocity),
            column(level.inverse_mass),
            column(level.inverse_inertia),
            column(level.density),
            column(jnp.tanh(spin / ANGULAR_VELOCITY_UNIT)),
            one_hot(level.role, len(ROLES)),
            column(jnp.sin(rotation)),
            column(jnp.cos(rotation)),
            column(level.friction),
            column(level.restitution),
        ],
        axis=1,
    )


def polygon_features(level: Level, bodies: jax.Array) -> jax.Array:
    """Polygons (P, 26): the rows of ``body_features``, a zero, four corners in the body's frame [m], triangle."""
    count = level.size.polygons
    n_vertices = level.n_vertices[:count]
    in_use = jnp.arange(level.vertices.shape[1]) < n_vertices[:, None]
    vertices = jnp.where(in_use[:, :, None], level.vertices[:count], NO_VERTEX)
    is_circle = jnp.zeros((count, 1), jnp.float32)
    columns = [bodies[:count], is_circle, vertices.reshape(count, -1), column(n_vertices <= 3)]
    return jnp.concatenate(columns, axis=1)


def circle_features(level: Level, bodies: jax.Array) -> jax.Array:
    """Circles (C, 18): the rows of ``body_features``, the radius [m], a one."""
    first = level.size.polygons
    is_circle = jnp.ones((level.size.circles, 1), jnp.float32)
    return jnp.concatenate([bodies[first:], column(level.radius[first:]), is_circle], axis=1)


def joint_features(level: Level) -> jax.Array:
    """Joints seen from their second body, then the same joints from their first (2J, 22).

    Active, fixed, anchor on the one body and on the other [m], sine and cosine of the rest rotation; then, zero for
    fixed joints: motor speed, power, on, limited, channel (one-hot), sine and cosine of the lower and of the upper
    limit, lower and upper limit less the rest rotation [rad]. Limits of unlimited joints are zero. The angles are the
    level's: a joint's features do not change in an episode.
    """
    angles = jnp.stack([level.joint_rotation, level.joint_min, level.joint_max], axis=1)
    sine, cosine = jnp.sin(angles), jnp.cos(angles)
    limits = jnp.stack([sine[:, 1], cosine[:, 1], sine[:, 2], cosine[:, 2]], axis=1)
    limits = jnp.concatenate([limits, angles[:, 1:] - angles[:, :1]], axis=1)
    revolute = jnp.concatenate(
        [
            column(level.motor_speed),
            column(level.motor_power),
            column(level.motor_on),
            column(level.joint_limited),
            one_hot(level.motor_binding, MOTOR_BINDINGS),
            jnp.where(level.joint_limited[:, None], limits, 0.0),
        ],
        axis=1,
    )
    state = [column(level.joint_active), column(level.joint_fixed)]
    rest = [sine[:, :1], cosine[:, :1], jnp.where(level.joint_fixed[:, None], 0.0, revolute)]
    from_b = jnp.concatenate([*state, level.joint_anchor_b, level.joint_anchor_a, *rest], axis=1)
    from_a = jnp.concatenate([*state, level.joint_anchor_a, level.joint_anchor_b, *rest], axis=1)
    return jnp.concatenate([from_b, from_a])


def joint_indexes(level: Level) -> jax.Array:
    """The body each row of ``joint_features`` looks from and the one it looks to (2J, 2); zeros if inactive."""
    from_b = jnp.stack([level.joint_b, level.joint_a], axis=1)
    both = jnp.concatenate([from_b, from_b[:, ::-1]])
    return jnp.where(jnp.tile(level.joint_active, 2)[:, None], both, 0)


def thruster_features(level: Level) -> jax.Array:
    """Thrusters (T, 8): active, where on the body [m], channel (one-hot), sine and cosine of the direction, power."""
    return jnp.concatenate(
        [
            column(level.thruster_active),
            level.thruster_position,
            one_hot(level.thruster_binding, THRUSTER_BINDINGS),
            column(jnp.sin(level.thruster_rotation)),
            column(jnp.cos(level.thruster_rotation)),
            column(level.thruster_power),
        ],
        axis=1,
    )


def gravity_feature(level: Level) -> jax.Array:
    """Vertical gravity in units of 10 m/s^2 ()."""
    return level.gravity[1] / GRAVITY_UNIT


def visible_rows(level: Level, world: WorldState) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Rows of the flat observations: polygons, circles, joints and thrusters; rows of inactive slots are zero.

    Walls and ceiling are left out (P - 3, 26); joints, once each, and thrusters name their bodies by one-hots of
    length N: (J, 22 + 2N) and (T, 8 + N).
    """
    size = level.size
    bodies = body_features(level, world)
    kept = lambda rows: jnp.concatenate([rows[:1], rows[STATIC_POLYGONS:]])
    hide = lambda rows, active: jnp.where(active[:, None], rows, 0.0)
    polygons = hide(kept(polygon_features(level, bodies)), kept(level.active[: size.polygons]))
    circles = hide(circle_features(level, bodies), level.active[size.polygons :])
    ends = [one_hot(level.joint_b, size.bodies), one_hot(level.joint_a, size.bodies)]
    joints = jnp.concatenate([joint_features(level)[: size.joints], *ends], axis=1)
    thrusters = jnp.concatenate([thruster_features(level), one_hot(level.thruster_body, size.bodies)], axis=1)
    return polygons, circles, hide(joints, level.joint_active), hide(thrusters, level.thruster_active)
