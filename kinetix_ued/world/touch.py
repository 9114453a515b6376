"""What a frame shows of the game: coloured bodies touching, and how far green is from blue."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from .geometry import length
from .level import Level
from .state import TOUCH_FAILURE, TOUCH_GOAL


def observe_frame(level: Level, position: jax.Array, contact_active: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``Frames.touch`` and ``Frames.distance`` of one frame. Second points of polygon pairs say nothing new."""
    pairs = np.concatenate([level.size.pairs[kind] for kind in (0, 2, 3)])
    n_polygon_pairs = len(level.size.pairs[0])
    touching = jnp.concatenate([contact_active[:n_polygon_pairs], contact_active[2 * n_polygon_pairs :]])
    role = jnp.where(level.active, level.role, 0)
    product = role[pairs[:, 0]] * role[pairs[:, 1]]  # green 1, blue 2, red 3
    goal, failure = jnp.any(touching & (product == 2)), jnp.any(touching & (product == 3))
    apart = length(position[pairs[:, 0]] - position[pairs[:, 1]])
    touch = (TOUCH_GOAL * goal + TOUCH_FAILURE * failure).astype(jnp.int32)
    return touch, jnp.where(product == 2, apart, 0.0).sum()
