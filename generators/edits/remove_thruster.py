"""The edit that removes a thruster."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level

from ..parameters import RandomLevels
from .edit import Edit
from .slots import pick, without_thrusters


def possible(level: Level) -> jax.Array:
    return jnp.any(level.thruster_active)


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    return without_thrusters(level, pick(u[0], level.thruster_active))


EDIT = Edit("remove_thruster", 1.0, possible, apply)
