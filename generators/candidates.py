"""Candidates for one new shape: what it is, where it is, and what it is joined to.

Free and joined candidates share one code path with selects where they differ, since under vmap a conditional would
compute both paths anyway.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level
from kinetix_ued.world.constants import FLOOR_HEIGHT, MAX_VERTICES, ROOM_SIZE, STATIC_POLYGONS
from kinetix_ued.world.geometry import rotate, rotate_back, rotation_matrix

from .draws import between, weighted
from .parameters import RandomLevels
from .roles import BLUE, GREEN, role_weights, sample_role

CANDIDATE_DRAWS = 12
"""Uniform numbers that a candidate uses."""


class Shape(NamedTuple):
    """A shape that may be added, and where it would be joined.

    Attributes:
        circle: otherwise a rectangle () bool
        half: half sides of the rectangle [m] (2)
        radius: of the circle [m] ()
        position: [m] (2)
        rotation: [rad] ()
        fixed: () bool
        role: () int32
        target: the body it is joined to () int32
        anchor: the shared point in its own frame [m] (2)
        target_anchor: the shared point in the target's frame [m] (2)
        hidden: it or its target can never be seen beside the other () bool
    """

    circle: jax.Array
    half: jax.Array
    radius: jax.Array
    position: jax.Array
    rotation: jax.Array
    fixed: jax.Array
    role: jax.Array
    target: jax.Array
    anchor: jax.Array
    target_anchor: jax.Array
    hidden: jax.Array


class Choices(NamedTuple):
    """What all candidates of one addition choose from.

    Attributes:
        room: there is a free slot for a rectangle, for a circle (2) bool
        roles: weights of the roles (4)
        kinds: weights of polygons and circles as targets (2)
        polygons: weights of bodies as the polygon to join (N)
        circles: weights of bodies as the circle to join (N)
    """

    room: jax.Array
    roles: jax.Array
    kinds: jax.Array
    polygons: jax.Array
    circles: jax.Array


def body_kinds(level: Level) -> tuple[jax.Array, jax.Array]:
    """Which slots (N) are for polygons that may move, and which for circles."""
    slot = jnp.arange(level.size.bodies)
    return (slot >= STATIC_POLYGONS) & (slot < level.size.polygons), slot >= level.size.polygons


def choices(level: Level, parameters: RandomLevels) -> Choices:
    """What a shape added to ``level`` may be, and what it may be joined to.

    Polygons take two joints, circles one. Where every polygon has two, any polygon serves, the room's included.
    """
    polygon, circle = body_kinds(level)
    slot = jnp.arange(level.size.bodies)
    ends = (level.joint_a[:, None] == slot).astype(jnp.float32) + (level.joint_b[:, None] == slot)
    degree = jnp.sum(jnp.where(level.joint_active[:, None], ends, 0.0), axis=0)
    base = jnp.where(level.inverse_mass == 0, jnp.float32(parameters.connect_to_fixed_weight), 1.0) * level.active
    polygons = base * polygon * jnp.maximum(2.0 - degree, 0.0) / 2.0
    circles = base * circle * (degree == 0)
    kinds = jnp.stack([jnp.any(level.active & polygon), jnp.any(circles > 0)]).astype(jnp.float32)
    return Choices(
        room=jnp.stack([jnp.any(~level.active & polygon), jnp.any(~level.active & circle)]),
        roles=role_weights(level),
        kinds=kinds,
        polygons=jnp.where(jnp.any(polygons > 0), polygons, (level.active & ~circle).astype(jnp.float32)),
        circles=circles,
    )


def point_in_polygon(u: jax.Array, vertices: jax.Array, n_vertices: jax.Array) -> jax.Array:
    """A uniform point (2) of a parallelogram or triangle with ``vertices`` (4, 2), from uniform numbers ``u`` (2)."""
    triangle = n_vertices == 3
    fold = triangle & (u[0] + u[1] > 1.0)  # the half of the parallelogram that a triangle lacks, turned onto it
    a, b = jnp.where(fold, 1.0 - u, u)
    last = jnp.where(triangle, vertices[2], vertices[3])
    return vertices[0] + a * (vertices[1] - vertices[0]) + b * (last - vertices[0])


def propose(
    u: jax.Array,
    level: Level,
    options: Choices,
    joined: jax.Array,
    never_fixed: jax.Array,
    parameters: RandomLevels,
) -> Shape:
    """One candidate, free or joined to a body of the level, from CANDIDATE_DRAWS uniform numbers ``u``."""
    (u_circle, u_role, u_long, u_rotation), u_half, u_place, (u_kind, u_target) = u[:4], u[4:6], u[6:10], u[10:]

    target_circle = (weighted(u_kind, options.kinds) == 1) & options.room[0]
    target = weighted(u_target, jnp.where(target_circle, options.circles, options.polygons))
    circle = weighted(u_circle, options.room.astype(jnp.float32)) == 1
    circle &= ~(joined & target_circle)  # two circles are never joined
    role = sample_role(u_role, options.roles, jnp.where(joined, level.role[target], 0))
    half, radius = dimensions(u_half, u_long, ~joined & ((role == GREEN) | (role == BLUE)), parameters)
    rotation = u_rotation * 2 * math.pi

    fixed, free_position = _place_freely(u_place, u_kind, circle, half, radius, role, never_fixed, parameters)

    vertices, n_vertices = level.vertices[target], level.n_vertices[target]
    anchor = jnp.where(circle, 0.0, (2.0 * u_place[:2] - 1.0) * half)
    target_anchor = jnp.where(target_circle, 0.0, point_in_polygon(u_place[2:], vertices, n_vertices))
    turn = rotation_matrix(level.rotation[target])
    shared = level.position[target] + rotate(turn, target_anchor)
    inside = _into_room(shared, level.position[target], target)
    target_anchor = jnp.where(inside == shared, target_anchor, rotate_back(turn, inside - level.position[target]))
    rotation = jnp.where(joined, _swing_inside(rotation, anchor, inside), rotation)
    joined_position = inside - rotate(rotation_matrix(rotation), anchor)

    # The reference exchanges the anchors here whenever the target's slot is the lower one, so for every polygon as a
    # target. That is part of the distribution: done right, the number of circles of L levels changes by a
    # Kolmogorov-Smirnov distance of 0.25.
    at, target_at = jnp.where(target_circle, anchor, target_anchor), jnp.where(target_circle, target_anchor, anchor)
    corners = jnp.where((jnp.arange(MAX_VERTICES) < n_vertices)[:, None], vertices, vertices[:1])
    near, far = _reach(circle, radius, -half, half, at)
    target_near, target_far = _reach(
        target_circle, level.radius[target], jnp.min(corners, axis=0), jnp.max(corners, axis=0), target_at
    )
    visible = (far > target_near + parameters.protrusion) & (target_far > near + parameters.protrusion)
    return Shape(
        circle=circle,
        half=half,
        radius=radius,
        position=jnp.where(joined, joined_position, free_position),
        rotation=rotation,
        fixed=fixed & ~joined,
        role=role,
        target=target,
        anchor=anchor,
        target_anchor=target_anchor,
        hidden=joined & ~visible,
    )


def _into_room(point: jax.Array, centre: jax.Array, target: jax.Array) -> jax.Array:
    """``point`` (2) of a target, or where it is outside the room the nearest place to it that can be seen.

    The reference anchors shapes anywhere in the 10 m of floor and walls behind the room's surface, where nothing can
    reach them. About one L level in a hundred has such a shape; here it hangs on the surface. On a body that reaches out of
    the room the point moves towards the body's ``centre`` (2), so that it stays inside the body.
    """
    surface = jnp.clip(point, jnp.array([0.0, FLOOR_HEIGHT], jnp.float32), ROOM_SIZE)
    reach = point - centre
    space = jnp.maximum(jnp.where(reach > 0, ROOM_SIZE - centre, centre), 0.0)
    share = jnp.min(jnp.where(jnp.abs(reach) > space, space / jnp.maximum(jnp.abs(reach), 1e-9), 1.0))
    return jnp.where(target < STATIC_POLYGONS, surface, jnp.where(share < 1.0, centre + share * reach, point))


def _swing_inside(rotation: jax.Array, anchor: jax.Array, point: jax.Array) -> jax.Array:
    """``rotation``, or where the centre of a shape that hangs at ``point`` (2) by its ``anchor`` (2) would be outside the
    room, the rotation that mirrors it to the other side of the point."""
    offset = -rotate(rotation_matrix(rotation), anchor)
    centre = point + offset
    out_x, out_y = (centre < 0.0) | (centre > ROOM_SIZE)
    angle = jnp.arctan2(offset[1], offset[0])
    mirrored = rotation + jnp.where(out_x, jnp.float32(math.pi), 0.0) + jnp.where(out_x != out_y, -2.0 * angle, 0.0)
    return jnp.where(out_x | out_y, jnp.mod(mirrored, 2.0 * math.pi), rotation)


def dimensions(
    u: jax.Array, u_long: jax.Array, goal: jax.Array, parameters: RandomLevels
) -> tuple[jax.Array, jax.Array]:
    """Half sides (2) of a rectangle and radius of a circle [m]; one of them is used."""
    size = parameters.max_shape_size * jnp.where(goal, jnp.float32(parameters.goal_size_factor), 1.0)
    half = between(u, parameters.min_half_extent, size / 2 / math.sqrt(2))
    share = parameters.long_side_chance / 2
    long_side = jnp.stack([u_long < share, (u_long >= share) & (u_long < 2 * share)])
    radius = between(u[0], parameters.min_radius, size / 2 * parameters.circle_size)
    return half * jnp.where(long_side, jnp.float32(parameters.long_side_factor), 1.0), radius


def _place_freely(
    u: jax.Array,
    u_lower: jax.Array,
    circle: jax.Array,
    half: jax.Array,
    radius: jax.Array,
    role: jax.Array,
    never_fixed: jax.Array,
    parameters: RandomLevels,
) -> tuple[jax.Array, jax.Array]:
    """Whether a free shape is fixed, the heavier the likelier, and where in the room it stands [m] (2)."""
    margin = jnp.where(circle, radius, jnp.maximum(jnp.max(half) * math.sqrt(2), parameters.min_radius))
    one_side = u[2] < parameters.opposite_sides_chance
    left, right = margin, ROOM_SIZE - margin
    x_min = jnp.where(one_side & (role == BLUE), jnp.minimum(left + ROOM_SIZE / 2, right), left)
    x_max = jnp.where(one_side & (role == GREEN), jnp.maximum(right - ROOM_SIZE / 2, left), right)
    x, y = between(u[0], x_min, x_max), between(u[1], margin + FLOOR_HEIGHT, ROOM_SIZE - margin)

    mass = jnp.where(circle, math.pi * radius * radius, 4.0 * half[0] * half[1])
    fixed_chance = parameters.fixed_chance_min + parameters.fixed_chance_per_mass * mass
    fixed = ~never_fixed & (u[3] < jnp.minimum(fixed_chance, parameters.fixed_chance_max))
    more_chance = jnp.where(role != 0, jnp.float32(parameters.fixed_lower_chance_coloured), 0.0)
    lower_chance = parameters.fixed_lower_chance + more_chance
    lower = fixed & (u_lower < lower_chance) & (y >= ROOM_SIZE / 2)
    return fixed, jnp.stack([x, y - jnp.where(lower, jnp.float32(ROOM_SIZE / 2), 0.0)])


def _reach(
    circle: jax.Array, radius: jax.Array, low: jax.Array, high: jax.Array, point: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """How far a shape extends at least and at most from a point of it, whichever way it is turned [m].

    For a polygon, with its box from ``low`` (2) to ``high`` (2), to the nearest side and the farthest corner.
    """
    a, b = point - low, high - point
    farthest = jnp.maximum(jnp.abs(a), jnp.abs(b))
    near, far = jnp.min(jnp.minimum(a, b)), jnp.sqrt(jnp.sum(farthest * farthest))
    return jnp.where(circle, radius, near), jnp.where(circle, radius, far)
