"""Thrusters on the bodies of a level."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level
from kinetix_ued.world.constants import THRUSTER_BINDINGS

from .candidates import point_in_polygon
from .draws import between, one_of, weighted
from .parameters import RandomLevels

THRUSTER_DRAWS = 8
"""Uniform numbers that a thruster uses."""


def add_thruster(
    level: Level,
    u: jax.Array,
    parameters: RandomLevels,
    *,
    bodies: jax.Array | None = None,
    enabled: jax.Array | bool = True,
) -> Level:
    """``level`` with one more thruster on a body that is not fixed; unchanged where there is no such body or no slot.

    Args:
        level: the level.
        u: uniform numbers (THRUSTER_DRAWS).
        parameters: of the distribution.
        bodies: bodies to choose from (N) bool; all of them where None.
        enabled: otherwise the level stays as it is.
    """
    free = level.active & (level.inverse_mass != 0)
    if bodies is not None:
        free &= bodies
    here = (jnp.arange(level.size.thrusters) == jnp.argmin(level.thruster_active)) & ~level.thruster_active
    here &= enabled & jnp.any(free)
    body = weighted(u[0], free.astype(jnp.float32))
    angle, distance = u[1] * 2 * math.pi, u[2] * level.radius[body]
    in_circle = distance * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    in_polygon = point_in_polygon(u[1:3], level.vertices[body], level.n_vertices[body])
    point = jnp.where(body >= level.size.polygons, in_circle, in_polygon)
    towards = jnp.where(u[3] < 0.5, jnp.float32(-1.0), 1.0) * point
    aligned = jnp.arctan2(towards[1], towards[0])
    rotation = jnp.where(u[4] < parameters.thruster_aligned_chance, aligned, u[5] * 2 * math.pi)
    power = between(u[6], *parameters.thruster_power) / jnp.where(free[body], level.inverse_mass[body], 1.0)
    return level.replace(
        thruster_active=level.thruster_active | here,
        thruster_body=jnp.where(here, body, level.thruster_body),
        thruster_position=jnp.where(here[:, None], point, level.thruster_position),
        thruster_rotation=jnp.where(here, rotation, level.thruster_rotation),
        thruster_power=jnp.where(here, power, level.thruster_power),
        thruster_binding=jnp.where(here, one_of(u[7], THRUSTER_BINDINGS), level.thruster_binding),
    )
