"""One choice: a single control at a time."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world.constants import MOTOR_BINDINGS, THRUSTER_BINDINGS

from .base import ActionType

NOOP = 2 * MOTOR_BINDINGS
"""The action between those of the motors and those of the thrusters."""


@dataclasses.dataclass(frozen=True)
class Discrete(ActionType):
    """One of eleven: 2i and 2i + 1 run motor i backward and forward, 8 does nothing, 9 and 10 fire thrusters."""

    name = "discrete"
    shape = ()
    dtype = np.int32
    heads = (NOOP + 1 + THRUSTER_BINDINGS,)
    low = 0
    high = heads[0] - 1

    def controls(self, action: jax.Array) -> jax.Array:
        channel = jnp.arange(MOTOR_BINDINGS)
        motor = jnp.where(action == 2 * channel, -1.0, jnp.where(action == 2 * channel + 1, 1.0, 0.0))
        thruster = jnp.where(action == NOOP + 1 + jnp.arange(THRUSTER_BINDINGS), 1.0, 0.0)
        return jnp.concatenate([motor, thruster]).astype(jnp.float32)

    def outputs(self, motor: jax.Array, thruster: jax.Array) -> jax.Array:
        """Scores less that of leaving the channel off, which is doing nothing."""
        gain = motor[..., jnp.array([2, 1])] - motor[..., :1]  # backward, forward
        flat = gain.reshape(*gain.shape[:-2], -1)
        return jnp.concatenate([flat, jnp.zeros_like(flat[..., :1]), thruster[..., 1] - thruster[..., 0]], axis=-1)

    def sample(self, key: jax.Array) -> jax.Array:
        return jax.random.randint(key, self.shape, 0, self.heads[0], self.dtype)

    def noop(self) -> jax.Array:
        """Action 8: action 0 would run a motor backward."""
        return jnp.asarray(NOOP, self.dtype)
