"""Nothing of the scene: what an agent can do by the clock alone."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level, WorldState

from .base import Observation


@dataclasses.dataclass(frozen=True)
class Blind(Observation):
    """How many steps the episode has taken, one-hot (max_steps + 1); all zero beyond ``max_steps``."""

    max_steps: int = 256
    """Longest episode that can be told apart."""

    name = "blind"

    def observe(self, level: Level, world: WorldState, time: jax.Array) -> jax.Array:
        return (jnp.arange(self.max_steps + 1) == time).astype(jnp.float32)
