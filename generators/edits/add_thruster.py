"""The edit that adds a thruster to a body that can move."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level

from ..parameters import RandomLevels
from ..thrusters import THRUSTER_DRAWS, add_thruster
from .edit import Edit


def possible(level: Level) -> jax.Array:
    return jnp.any(~level.thruster_active) & jnp.any(level.active & (level.inverse_mass != 0))


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    return add_thruster(level, u[:THRUSTER_DRAWS], parameters)


EDIT = Edit("add_thruster", 1.0, possible, apply)
