"""The edit that adds a shape somewhere in the room."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level

from ..candidates import CANDIDATE_DRAWS, body_kinds
from ..parameters import RandomLevels
from ..shapes import add_shape
from .edit import Edit
from .slots import tidied


def possible(level: Level) -> jax.Array:
    polygon, circle = body_kinds(level)
    return jnp.any(~level.active & (polygon | circle))


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    """One place is tried, as in the reference: an edit may put a shape on top of others."""
    u_shape, u_joint = u[None, :CANDIDATE_DRAWS], u[CANDIDATE_DRAWS:]
    return add_shape(tidied(level), u_shape, u_joint, parameters, joined=jnp.array(False))


EDIT = Edit("add_shape", 1.0, possible, apply)
