"""Which role a new shape gets: one green, one blue, at most one red, nothing that ends the game at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import ROLES, Level

from .draws import weighted

GREEN, BLUE, RED = (ROLES.index(name) for name in ("green", "blue", "red"))

RED_WEIGHT = 1 / 3
"""Weight of red beside 1 for no role, as long as a level has no red."""

JOINABLE = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]], np.float32)
"""Roles (columns) that may be joined to a role (row): neither green to blue nor a goal to red."""


def role_weights(level: Level) -> jax.Array:
    """Weights (4) of the roles for the next shape: what is missing of green and blue comes first."""
    green, blue, red = (jnp.any(level.active & (level.role == role)) for role in (GREEN, BLUE, RED))
    complete = green & blue
    weights = jnp.stack([complete, ~green, ~blue, complete & ~red])
    return weights * jnp.array([1.0, 1.0, 1.0, RED_WEIGHT], jnp.float32)


def sample_role(u: jax.Array, weights: jax.Array, neighbour: jax.Array | None = None) -> jax.Array:
    """A role by ``weights`` (4); ``neighbour``: role of the body that the new shape is joined to, if any."""
    if neighbour is not None:
        weights = weights * jnp.asarray(JOINABLE)[neighbour]
    return weighted(u, weights)


def swap_goals(level: Level, swap: jax.Array) -> Level:
    """``level`` with green and blue exchanged where ``swap`` () holds."""
    goal = (level.role == GREEN) | (level.role == BLUE)
    return level.replace(role=jnp.where(swap & goal, GREEN + BLUE - level.role, level.role))
