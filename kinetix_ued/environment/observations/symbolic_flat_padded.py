"""The scene as a table: an entity a row, all rows of one width."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import Level, WorldState

from .base import Observation
from .features import gravity_feature, visible_rows
from .symbolic_flat import LIMIT


@dataclasses.dataclass(frozen=True)
class SymbolicFlatPadded(Observation):
    """The rows of ``SymbolicFlat`` filled up with zeros, then their kind (one-hot of 4) and gravity.

    (6, 41), (10, 45) or (21, 59) numbers for s, m, l. Kinds: polygon, circle, joint, thruster.
    """

    name = "symbolic_flat_padded"

    def observe(self, level: Level, world: WorldState, time: jax.Array) -> jax.Array:
        kinds = visible_rows(level, world)
        width = max(rows.shape[1] for rows in kinds)
        rows = jnp.concatenate([jnp.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in kinds])
        kind = np.repeat(np.eye(len(kinds), dtype=np.float32), [len(rows) for rows in kinds], axis=0)
        table = jnp.concatenate([rows, kind, jnp.full((len(rows), 1), gravity_feature(level))], axis=1)
        return jnp.nan_to_num(jnp.clip(table, -LIMIT, LIMIT))
