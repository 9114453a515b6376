"""Joints, their motors and limits, and thrusters.

A joint holds a point of a (arm r_a) on a point of b (arm r_b):
    C    = p_b - p_a
    Cdot = v_b + w_b x r_b - v_a - w_a x r_a
solved softly: a share of the impulse that stops Cdot and a share of the drift, in every iteration. The positions move as
well, by inverse mass. A fixed joint also holds the angle between the bodies; a limited one holds it inside its limits.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from . import constants
from .contact_solver import inverse_masses, wrench
from .geometry import cross, length, nonzero, rotate, rotation_matrix, turn_left
from .level import Level


class JointFrame(NamedTuple):
    """What does not change about the joints during a frame (J leading).

    Attributes:
        a, b: bodies () int32
        resolved: the joint acts () bool
        r_a, r_b: arms of the shared point in the world [m] (2)
        angle: relative rotation of b in a, beyond the angle at rest [rad] ()
        fixed: () bool
        beyond: how far ``angle`` is beyond a limit, 0 inside or without limits [rad] ()
        limited: a limit is violated () bool
    """

    a: jax.Array
    b: jax.Array
    resolved: jax.Array
    r_a: jax.Array
    r_b: jax.Array
    angle: jax.Array
    fixed: jax.Array
    beyond: jax.Array
    limited: jax.Array


def prepare(level: Level, rotation: jax.Array) -> JointFrame:
    a, b = level.joint_a, level.joint_b
    matrix = rotation_matrix(rotation)
    movable = (level.inverse_mass[a] != 0) | (level.inverse_mass[b] != 0)
    angle = rotation[b] - rotation[a] - level.joint_rotation
    beyond = angle - jnp.clip(angle, level.joint_min, level.joint_max)
    return JointFrame(
        a,
        b,
        level.joint_active & level.active[a] & level.active[b] & movable,
        rotate(matrix[a], level.joint_anchor_a),
        rotate(matrix[b], level.joint_anchor_b),
        angle,
        level.joint_fixed,
        beyond,
        level.joint_limited & (beyond != 0),
    )


def run_motors(level: Level, joints: JointFrame, twist: jax.Array, action: jax.Array) -> jax.Array:
    """Twists after all motors, driven by ``action`` (J) in [-1, 1], have acted at once."""
    response = level.inverse_inertia
    axial_mass = 1.0 / nonzero(response[joints.a] + response[joints.b])
    slip = twist[joints.b, 2] - twist[joints.a, 2] - level.motor_speed * action * constants.MOTOR_SPEED
    # A motor fades over the last MOTOR_LIMIT_MARGIN before its limit, unless it drives away from it.
    margin = constants.MOTOR_LIMIT_MARGIN
    near = joints.angle - jnp.clip(joints.angle, level.joint_min + margin, level.joint_max - margin)
    fading = level.joint_limited & (near != 0) & (jnp.sign(near) == jnp.sign(action))
    strength = jnp.where(fading, jnp.maximum(0.0, 1.0 - jnp.abs(near) / margin), 1.0)
    impulse = constants.MOTOR_POWER * level.motor_power * constants.DT * axial_mass * strength
    impulse *= jnp.tanh(slip * constants.MOTOR_DECAY)
    on = joints.resolved & level.motor_on & ~joints.fixed & (action != 0)
    impulse = jnp.where(on, impulse, 0.0)
    twist = twist.at[joints.a, 2].add(response[joints.a] * impulse)
    return twist.at[joints.b, 2].add(-response[joints.b] * impulse)


def run_thrusters(level: Level, rotation: jax.Array, twist: jax.Array, action: jax.Array) -> jax.Array:
    """Twists after all thrusters, driven by ``action`` (T) in [0, 1], have pushed."""
    body = level.thruster_body
    arm = rotate(rotation_matrix(rotation[body]), level.thruster_position)
    heading = level.thruster_rotation + rotation[body]
    direction = jnp.stack([jnp.cos(heading), jnp.sin(heading)], axis=-1)
    impulse = level.thruster_power * level.thruster_active * constants.THRUSTER_FORCE * action * constants.DT
    return twist.at[body].add(inverse_masses(level)[body] * wrench(arm, direction * impulse[:, None]))


def warm_start(level: Level, joints: JointFrame, twist: jax.Array, impulse, angular_impulse) -> jax.Array:
    """Twists after every joint has pushed with what it accumulated before."""
    response = inverse_masses(level)
    impulse = jnp.where(joints.resolved[:, None], impulse, 0.0)
    angular = jnp.where(joints.resolved, angular_impulse, 0.0)
    push_a, push_b = wrench(joints.r_a, impulse).at[:, 2].add(angular), wrench(joints.r_b, impulse).at[:, 2].add(angular)
    return twist.at[joints.a].add(response[joints.a] * push_a).at[joints.b].add(-response[joints.b] * push_b)


def solve(joint: JointFrame, position_a, position_b, twist_a, twist_b, response_a, response_b):
    """One iteration of one joint: impulses to accumulate, changes of both twists and of both positions."""
    point_a, point_b = position_a + joint.r_a, position_b + joint.r_b
    drift = point_b - point_a
    mass_a, mass_b = 1.0 / nonzero(response_a[0]), 1.0 / nonzero(response_b[0])
    point = (point_a * mass_a + point_b * mass_b) / (mass_a + mass_b)
    point = jnp.where(response_a[0] == 0, point_a, jnp.where(response_b[0] == 0, point_b, point))

    v_a = twist_a[:2] + twist_a[2] * turn_left(point - position_a)
    v_b = twist_b[:2] + twist_b[2] * turn_left(point - position_b)
    slip = v_b - v_a
    direction = slip / nonzero(length(slip))
    inverse_mass = nonzero(response_a[0] + response_b[0])
    effective = inverse_mass + (
        jnp.square(cross(joint.r_a, direction)) * response_a[2] + jnp.square(cross(joint.r_b, direction)) * response_b[2]
    )
    impulse = (slip + constants.JOINT_BIAS_VELOCITY * drift) / nonzero(effective) * constants.JOINT_STIFFNESS
    change_a, change_b = response_a * wrench(joint.r_a, impulse), -response_b * wrench(joint.r_b, impulse)
    move = drift / inverse_mass * constants.JOINT_BIAS_POSITION

    spin = twist_b[2] + change_b[2] - twist_a[2] - change_a[2]
    hold = spin + constants.FIXED_JOINT_BIAS * joint.angle
    bias = constants.JOINT_LIMIT_BIAS * joint.beyond
    # A limit acts only while the bodies still turn further beyond it; a motor may already be turning them back.
    limit = jnp.where(joint.limited & (jnp.sign(spin) == jnp.sign(bias)), spin + bias, 0.0)
    angular = jnp.where(joint.fixed, hold, limit) / nonzero(response_a[2] + response_b[2])
    turn = jnp.array([0.0, 0.0, 1.0], jnp.float32) * angular
    change_a, change_b = change_a + response_a * turn, change_b - response_b * turn
    kept = jnp.where(joint.fixed, angular, 0.0)  # limits do not accumulate
    return impulse, kept, change_a, change_b, move * response_a[0], -move * response_b[0]


def iterate(level: Level, joints: JointFrame, position, twist, impulse, angular_impulse):
    """One sweep over the joints, one after the other: new positions, twists, accumulated impulses."""
    response = inverse_masses(level)

    def step(carry, item):
        position, twist = carry
        joint, impulse, angular_impulse = item
        a, b = joint.a, joint.b
        more, angular_more, twist_a, twist_b, move_a, move_b = solve(
            joint, position[a], position[b], twist[a], twist[b], response[a], response[b]
        )
        only = lambda x: jnp.where(joint.resolved, x, 0.0)
        position = position.at[a].add(only(move_a)).at[b].add(only(move_b))
        twist = twist.at[a].add(only(twist_a)).at[b].add(only(twist_b))
        total = only(impulse + more), jnp.where(joint.resolved & joint.fixed, angular_impulse + angular_more, 0.0)
        return (position, twist), total

    (position, twist), (impulse, angular_impulse) = jax.lax.scan(
        step, (position, twist), (joints, impulse, angular_impulse)
    )
    return position, twist, impulse, angular_impulse
