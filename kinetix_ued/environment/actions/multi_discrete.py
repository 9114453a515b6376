"""A choice for each control."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import CONTROLS
from kinetix_ued.world.constants import MOTOR_BINDINGS, THRUSTER_BINDINGS

from .base import ActionType


@dataclasses.dataclass(frozen=True)
class MultiDiscrete(ActionType):
    """Six choices: each motor channel off (0), forward (1) or backward (2), each thruster channel off (0) or on (1)."""

    name = "multi_discrete"
    shape = (CONTROLS,)
    dtype = np.int32
    heads = (3,) * MOTOR_BINDINGS + (2,) * THRUSTER_BINDINGS
    low = 0
    high = (2,) * MOTOR_BINDINGS + (1,) * THRUSTER_BINDINGS

    def controls(self, action: jax.Array) -> jax.Array:
        is_motor = jnp.arange(CONTROLS) < MOTOR_BINDINGS
        motor = jnp.where(action >= 2, -1.0, jnp.where(action == 1, 1.0, 0.0))
        return jnp.where(is_motor, motor, jnp.where(action == 0, 0.0, 1.0)).astype(jnp.float32)

    def outputs(self, motor: jax.Array, thruster: jax.Array) -> jax.Array:
        flat = lambda scores: scores.reshape(*scores.shape[:-2], -1)
        return jnp.concatenate([flat(motor), flat(thruster)], axis=-1)

    def sample(self, key: jax.Array) -> jax.Array:
        return jax.random.randint(key, self.shape, 0, jnp.array(self.heads), self.dtype)

    def noop(self) -> jax.Array:
        return jnp.zeros(self.shape, self.dtype)
