"""The edit that removes a joint; its bodies stay where they are."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level

from ..parameters import RandomLevels
from .edit import Edit
from .slots import pick, without_joints


def possible(level: Level) -> jax.Array:
    return jnp.any(level.joint_active)


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    return without_joints(level, pick(u[0], level.joint_active))


EDIT = Edit("remove_joint", 0.0, possible, apply)
