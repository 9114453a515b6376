"""The scene as one vector."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level, WorldState

from .base import Observation
from .features import gravity_feature, visible_rows

LIMIT = 10.0
"""Features of the flat observations are clipped to plus and minus this."""


@dataclasses.dataclass(frozen=True)
class SymbolicFlat(Observation):
    """Floor and dynamic polygons, circles, joints, thrusters, gravity: 140, 247 or 679 numbers for s, m, l."""

    name = "symbolic_flat"

    def observe(self, level: Level, world: WorldState, time: jax.Array) -> jax.Array:
        rows = [rows.reshape(-1) for rows in visible_rows(level, world)]
        vector = jnp.concatenate([*rows, gravity_feature(level)[None]])
        return jnp.nan_to_num(jnp.clip(vector, -LIMIT, LIMIT))
