"""How an agent's controls reach a level's joints and thrusters."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .constants import MOTOR_BINDINGS, THRUSTER_BINDINGS
from .level import Level

CONTROLS = MOTOR_BINDINGS + THRUSTER_BINDINGS
"""Controls of a scene: motor channels in [-1, 1], then thruster channels in [0, 1]."""


def driven_motors(level: Level) -> jax.Array:
    """Joints (J) bool whose motor listens to the agent: revolute, switched on and not automatic."""
    return level.joint_active & level.motor_on & ~level.joint_fixed & ~level.motor_auto


def driven_channels(level: Level) -> jax.Array:
    """Which of the six controls some motor or thruster of the level listens to (6) bool; the others change nothing."""

    def heard(binding: jax.Array, listens: jax.Array, channels: int) -> jax.Array:
        return ((binding[:, None] == jnp.arange(channels)) & listens[:, None]).any(axis=0)

    motor = heard(level.motor_binding, driven_motors(level), MOTOR_BINDINGS)
    return jnp.concatenate([motor, heard(level.thruster_binding, level.thruster_active, THRUSTER_BINDINGS)])


def actuate(level: Level, controls: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Controls (6) spread by binding: every joint's motor (J) in [-1, 1] and every thruster (T) in [0, 1].

    Automatic motors run forward whatever their channel says.
    """

    def spread(channels: jax.Array, binding: jax.Array) -> jax.Array:
        return jnp.where(binding[:, None] == jnp.arange(len(channels)), channels, 0.0).sum(axis=1)

    motor = spread(controls[:MOTOR_BINDINGS], level.motor_binding)
    thruster = spread(controls[MOTOR_BINDINGS:], level.thruster_binding)
    return jnp.where(level.motor_auto, 1.0, motor), thruster
