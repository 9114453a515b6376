"""The edit that exchanges the roles of two shapes."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import ROLES, Level

from ..parameters import RandomLevels
from ..roles import JOINABLE
from .edit import Edit
from .slots import chosen, ends, pick, shapes


def partners(level: Level) -> jax.Array:
    """Pairs (N, N) of shapes whose roles differ and may be exchanged.

    Unlike in the reference no exchange joins green to blue, or one of them to red: joined shapes overlap, so such a
    level ends in its first frame.
    """
    wears = level.role[:, None] == jnp.arange(len(ROLES))  # (N, roles)
    end_a, end_b = ends(level)
    worn = lambda end: jnp.any(end[:, :, None] & wears, axis=1)  # by each joint's body (J, roles)
    beside = jnp.any(end_a[:, :, None] & worn(end_b)[:, None], axis=0)
    beside |= jnp.any(end_b[:, :, None] & worn(end_a)[:, None], axis=0)  # what a body is joined to (N, roles)
    fits = ~jnp.any(beside[:, None] & (JOINABLE == 0), axis=2)  # roles that it may have (N, roles)
    takes = jnp.any(fits[:, None] & wears, axis=2)  # the first shape the second's role (N, N)
    shape = shapes(level)
    return takes & takes.T & shape[:, None] & shape & (level.role[:, None] != level.role)


def possible(level: Level) -> jax.Array:
    return jnp.any(partners(level))


def apply(u: jax.Array, level: Level, parameters: RandomLevels) -> Level:
    pairs = partners(level)
    a = pick(u[0], jnp.any(pairs, axis=1))
    b = pick(u[1], jnp.any(pairs & a[:, None], axis=0))
    role_a, role_b = chosen(a, level.role), chosen(b, level.role)
    return level.replace(role=jnp.where(a, role_b, jnp.where(b, role_a, level.role)))


EDIT = Edit("swap_roles", 1.0, possible, apply)
