"""The edit that changes gravity."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level
from kinetix_ued.world.constants import GRAVITY

from ..parameters import RandomLevels
from .edit import Edit

DEFAULT_CHANCE = 0.5
"""Probability that gravity becomes the usual one."""


def possible(level: Level) -> jax.Array:
    return jnp.array(True)


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    """The usual gravity, or a weaker one, uniform down to none."""
    vertical = jnp.where(u[0] < DEFAULT_CHANCE, GRAVITY, u[1] * GRAVITY)
    return level.replace(gravity=jnp.stack([jnp.zeros_like(vertical), vertical]).astype(jnp.float32))


EDIT = Edit("change_gravity", 0.0, possible, apply)
