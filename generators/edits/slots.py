"""Choosing slots of a level and emptying them."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.levels.resize import BODY_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS, default_arrays
from kinetix_ued.world import Level
from kinetix_ued.world.constants import STATIC_POLYGONS

from ..draws import weighted


def shapes(level: Level) -> jax.Array:
    """Active bodies (N) that are not of the room."""
    return level.active & (jnp.arange(level.size.bodies) >= STATIC_POLYGONS)


def pick(u: jax.Array, mask: jax.Array) -> jax.Array:
    """One of the slots that ``mask`` (n) marks, all alike likely: a mask with that one; none where none is marked."""
    return mask & (jnp.arange(mask.shape[0]) == weighted(u, mask.astype(jnp.float32)))


def chosen(one: jax.Array, values: jax.Array) -> jax.Array:
    """Entry (...) of ``values`` (n, ...) where ``one`` (n) holds. Faster under vmap than a gather."""
    return jnp.sum(jnp.where(spread(one, values), values, 0), axis=0, dtype=values.dtype)


def spread(mask: jax.Array, values: jax.Array) -> jax.Array:
    """``mask`` (n) in the rank of ``values`` (n, ...)."""
    return mask.reshape(mask.shape + (1,) * (values.ndim - 1))


def ends(level: Level) -> tuple[jax.Array, jax.Array]:
    """First and second body of every active joint, as masks (J, N)."""
    slot = jnp.arange(level.size.bodies)
    on = level.joint_active[:, None]
    return on & (level.joint_a[:, None] == slot), on & (level.joint_b[:, None] == slot)


def emptied(level: Level, fields: tuple[str, ...], slots: jax.Array) -> Level:
    """``level`` with ``fields`` of ``slots`` (n) as in an empty level."""
    default, values = default_arrays(level.size), {name: getattr(level, name) for name in fields}
    return level.replace(**{name: jnp.where(spread(slots, x), default[name], x) for name, x in values.items()})


def tidied(level: Level) -> Level:
    """``level`` with unused slots of bodies and joints as in an empty level.

    What a file left in them would else become part of what is added there.
    """
    return without_joints(emptied(level, BODY_FIELDS, ~level.active), ~level.joint_active)


def without_joints(level: Level, joints: jax.Array) -> Level:
    """``level`` without ``joints`` (J)."""
    return emptied(level, JOINT_FIELDS, joints)


def without_thrusters(level: Level, thrusters: jax.Array) -> Level:
    """``level`` without ``thrusters`` (T)."""
    return emptied(level, THRUSTER_FIELDS, thrusters)


def is_circle(level: Level, body: jax.Array) -> jax.Array:
    """Whether ``body`` (N), a mask with one body, is a circle ()."""
    return jnp.any(body[level.size.polygons :])
