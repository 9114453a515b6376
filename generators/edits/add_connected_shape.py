"""The edit that adds a shape joined to one that is there."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level

from ..candidates import CANDIDATE_DRAWS, choices
from ..parameters import DEFAULT, RandomLevels
from ..shapes import add_shape
from .edit import Edit
from .slots import tidied


def possible(level: Level) -> jax.Array:
    options = choices(level, DEFAULT)
    return jnp.any(options.room) & jnp.any(options.kinds > 0) & jnp.any(~level.joint_active)


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    """One candidate, as in the reference: it may be hidden behind the shape that it is joined to."""
    u_shape, u_joint = u[None, :CANDIDATE_DRAWS], u[CANDIDATE_DRAWS:]
    return add_shape(tidied(level), u_shape, u_joint, parameters, joined=jnp.array(True))


EDIT = Edit("add_connected_shape", 1.0, possible, apply)
