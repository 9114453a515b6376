"""A number for each control."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import CONTROLS
from kinetix_ued.world.constants import MOTOR_BINDINGS

from .base import ActionType


@dataclasses.dataclass(frozen=True)
class Continuous(ActionType):
    """Six numbers in [-1, 1]: four motor channels, then two thruster channels, which are off below zero.

    Numbers out of range are clipped.
    """

    name = "continuous"
    shape = (CONTROLS,)
    dtype = np.float32
    heads = ()
    low = -1.0
    high = 1.0

    def controls(self, action: jax.Array) -> jax.Array:
        lowest = np.where(np.arange(CONTROLS) < MOTOR_BINDINGS, -1.0, 0.0).astype(self.dtype)
        return jnp.clip(jnp.asarray(action, self.dtype), lowest, 1.0)

    def outputs(self, motor: jax.Array, thruster: jax.Array) -> jax.Array:
        """Forward less backward, and on less off."""
        return jnp.concatenate([motor[..., 1] - motor[..., 2], thruster[..., 1] - thruster[..., 0]], axis=-1)

    def sample(self, key: jax.Array) -> jax.Array:
        """Motors uniform in [-1, 1], thrusters in [0, 1]."""
        action = jax.random.uniform(key, self.shape, self.dtype, minval=self.low, maxval=self.high)
        return jnp.where(jnp.arange(CONTROLS) < MOTOR_BINDINGS, action, jnp.abs(action))

    def noop(self) -> jax.Array:
        return jnp.zeros(self.shape, self.dtype)
