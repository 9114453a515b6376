"""Random levels in which a share of the rectangles are triangles."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import with_masses
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import MAX_VERTICES, ROOM_SIZE, STATIC_POLYGONS
from kinetix_ued.world.geometry import cross, dot, rotate, rotation_matrix

from .checks import check_chances
from .draws import uniform, weighted
from .parameters import RandomLevels
from .random import random_level

ALIGNED = 1e-4
"""A thruster whose line of force passes the centre of mass no farther away than this [m] is aimed at it."""


@dataclasses.dataclass(frozen=True)
class TriangleLevels:
    """Parameters of random levels with triangles.

    Raises:
        ValueError: for a share outside [0, 1].
    """

    share: float = 0.5
    """Probability that a rectangle becomes a triangle, unless joints and thrusters leave no corner to cut off."""
    random: RandomLevels = dataclasses.field(default_factory=RandomLevels)
    """Parameters of the levels before that."""

    def __post_init__(self):
        check_chances(self, "share")


DEFAULT = TriangleLevels()
"""What ``triangle_level`` samples where nothing else is asked for."""


def triangle_level(key: jax.Array, size: str | Size = "l", parameters: TriangleLevels = DEFAULT) -> Level:
    """One random level with triangles; traceable, with ``size`` and ``parameters`` static.

    Args:
        key: of the random numbers.
        size: ``s``, ``m``, ``l`` or a ``Size``.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size.
    """
    size = size_of(size)
    key, key_triangles = jax.random.split(key)
    u = uniform(key_triangles, (2, size.polygons))
    return cut_corners(random_level(key, size, parameters.random), u[0] < parameters.share, u[1])


def cut_corners(level: Level, chosen: jax.Array, u_corner: jax.Array) -> Level:
    """``level`` with one corner cut off rectangles, along a diagonal, so that triangles are left. Nothing else moves.

    The corner is drawn among those whose triangle still holds every joint and thruster of the shape and has its centre
    in the room. A thruster that is aimed at the centre of mass is aimed at the new one, and its power shrinks
    with the mass.

    Args:
        level: whose free-standing polygons with four corners are rectangles.
        chosen: which polygons (P) bool.
        u_corner: uniform numbers that choose the corner (P).
    """
    polygons = level.size.polygons
    vertices = level.vertices[:polygons]
    kept = [jnp.array([k for k in range(MAX_VERTICES) if k != cut]) for cut in range(MAX_VERTICES)]
    triangles = jnp.stack([vertices[:, k] for k in kept], axis=1)  # (P, 4, 3, 2)
    matrix = rotation_matrix(level.rotation[:polygons])
    centre = jnp.mean(triangles, axis=2)
    position = level.position[:polygons, None] + rotate(matrix[:, None], centre)
    in_room = jnp.all((position >= 0.0) & (position <= ROOM_SIZE), axis=-1)
    fits = in_room & _holds_all(level, triangles)
    slot = jnp.arange(polygons)
    cut = chosen & (slot >= STATIC_POLYGONS) & level.active[:polygons]
    cut &= (level.n_vertices[:polygons] == MAX_VERTICES) & jnp.any(fits, axis=1)
    corner = weighted(u_corner, fits.astype(jnp.float32))

    one = (corner[:, None] == jnp.arange(MAX_VERTICES))[:, :, None]
    pick = lambda x: jnp.sum(jnp.where(one if x.ndim == 3 else one[..., None], x, 0.0), axis=1)
    shift = jnp.where(cut[:, None], pick(centre), 0.0)
    left = pick(triangles) - shift[:, None]
    left = jnp.concatenate([left, left[:, :1]], axis=1)  # the unused corner is the first again, see ``world.mass``
    pad = lambda x: jnp.concatenate([x, jnp.zeros((level.size.circles, *x.shape[1:]), x.dtype)])
    mask, shift = pad(cut), pad(shift)
    moved = level.replace(
        position=level.position + pad(jnp.where(cut[:, None], rotate(matrix, shift[:polygons]), 0.0)),
        vertices=jnp.where(mask[:, None, None], pad(left), level.vertices),
        n_vertices=jnp.where(mask, 3, level.n_vertices),
        joint_anchor_a=level.joint_anchor_a - _of(level.joint_a, shift),
        joint_anchor_b=level.joint_anchor_b - _of(level.joint_b, shift),
    )
    moved = with_masses(moved, mask & (level.inverse_mass != 0))
    return _aim(level, moved, shift)


def _of(index: jax.Array, values: jax.Array) -> jax.Array:
    """Entries of ``values`` (N, ...) at ``index`` (J), by a mask: gathers are slow in a batch."""
    here = index[:, None] == jnp.arange(len(values))
    return jnp.sum(jnp.where(here.reshape(*here.shape, *(1,) * (values.ndim - 1)), values, 0), axis=1)


def _holds_all(level: Level, triangles: jax.Array) -> jax.Array:
    """Which ``triangles`` (P, 4, 3, 2), in their polygons' frames, hold all joints and thrusters (P, 4) bool."""
    points = jnp.concatenate([level.joint_anchor_a, level.joint_anchor_b, level.thruster_position])
    body = jnp.concatenate([level.joint_a, level.joint_b, level.thruster_body])
    used = jnp.concatenate([level.joint_active, level.joint_active, level.thruster_active])
    edge = jnp.roll(triangles, -1, axis=2) - triangles
    offset = points - triangles[..., None, :]  # (P, 4, 3, K, 2)
    inside = jnp.all(cross(edge[..., None, :], offset) <= 0.0, axis=2)  # clockwise: the inside is on the right
    here = used & (body == jnp.arange(len(triangles))[:, None])
    return jnp.all(inside | ~here[:, None], axis=2)


def _aim(before: Level, after: Level, shift: jax.Array) -> Level:
    """``after`` with thrusters where they were, aimed as ``before`` and as strong for the mass."""
    at, heading = before.thruster_position, before.thruster_rotation
    force = jnp.stack([jnp.cos(heading), jnp.sin(heading)], axis=-1)
    moved = _of(before.thruster_body, shift)
    aimed = (jnp.abs(cross(at, force)) < ALIGNED) & jnp.any(moved != 0.0, axis=-1)
    position = at - moved
    towards = jnp.where(dot(at, force) < 0.0, jnp.float32(-1.0), 1.0)[:, None] * position
    old, new = (_of(before.thruster_body, level.inverse_mass) for level in (before, after))
    free = before.thruster_active & (old > 0.0)
    return after.replace(
        thruster_position=position,
        thruster_rotation=jnp.where(aimed, jnp.arctan2(towards[:, 1], towards[:, 0]), heading),
        thruster_power=before.thruster_power * jnp.where(free, old / jnp.where(free, new, 1.0), 1.0),
    )
