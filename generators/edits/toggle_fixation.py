"""The edit that fixes a shape, or frees a fixed one."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import with_masses
from kinetix_ued.world import Level

from ..parameters import RandomLevels
from .edit import Edit
from .slots import pick, shapes


def possible(level: Level) -> jax.Array:
    return jnp.any(shapes(level))


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    """A freed shape gets the mass of its size and density; a fixed one stands still, and keeps its thrusters."""
    body = pick(u[0], shapes(level))
    freed, still = body & (level.inverse_mass == 0), body & (level.inverse_mass != 0)
    level = with_masses(level, freed)
    return level.replace(
        inverse_mass=jnp.where(still, 0.0, level.inverse_mass),
        inverse_inertia=jnp.where(still, 0.0, level.inverse_inertia),
        velocity=jnp.where(still[:, None], 0.0, level.velocity),
        angular_velocity=jnp.where(still, 0.0, level.angular_velocity),
    )


EDIT = Edit("toggle_fixation", 0.1, possible, apply)
