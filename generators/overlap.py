"""How many contact points shapes would have, by the engine's contact rules but without its solver.

Everything is elementwise over arrays of any shape, so that candidates (n, 1) meet bodies (m) in one broadcast. Corners
and edges are Python tuples, because the four of them are far too few for an array axis.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.world.constants import MAX_VERTICES, REFERENCE_FACE_BIAS

FAR = 1e6
"""Depth [m] of a corner that is not there: never the deepest."""


class Outline(NamedTuple):
    """Convex polygons in the world's frame.

    Attributes:
        x: of the corners, clockwise [m] 4 arrays
        y: likewise
        normal_x: of the outward unit normal of the edge from each corner to the next, 4 arrays
        normal_y: likewise
        length: of that edge [m] 4 arrays
        triangle: the fourth corner and edge are not there
    """

    x: tuple[jax.Array, ...]
    y: tuple[jax.Array, ...]
    normal_x: tuple[jax.Array, ...]
    normal_y: tuple[jax.Array, ...]
    length: tuple[jax.Array, ...]
    triangle: jax.Array


def outline(vertices: jax.Array, position: jax.Array, rotation: jax.Array, n_vertices: jax.Array) -> Outline:
    """The outline of polygons with ``vertices`` (..., 4, 2) in their own frames."""
    cos, sin = jnp.cos(rotation), jnp.sin(rotation)
    triangle = n_vertices == 3
    corners = range(MAX_VERTICES)
    local = [(vertices[..., k, 0], vertices[..., k, 1]) for k in corners]
    x = tuple(position[..., 0] + cos * a - sin * b for a, b in local)
    y = tuple(position[..., 1] + sin * a + cos * b for a, b in local)
    after = lambda v, k: v[0] if k == 3 else jnp.where(triangle, v[0], v[3]) if k == 2 else v[k + 1]
    edges = [(after(x, k) - x[k], after(y, k) - y[k]) for k in corners]
    length = tuple(jnp.sqrt(a * a + b * b) for a, b in edges)
    scale = [1.0 / jnp.maximum(s, 1e-9) for s in length]
    normal_x = tuple(-b * s for (_, b), s in zip(edges, scale, strict=True))
    normal_y = tuple(a * s for (a, _), s in zip(edges, scale, strict=True))
    return Outline(x, y, normal_x, normal_y, length, triangle)


def _two_smallest(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> tuple[jax.Array, jax.Array]:
    low, high = jnp.minimum(a, b), jnp.maximum(a, b)
    low2, high2 = jnp.minimum(c, d), jnp.maximum(c, d)
    return jnp.minimum(low, low2), jnp.minimum(jnp.maximum(low, low2), jnp.minimum(high, high2))


def _separation(a: Outline, b: Outline) -> tuple[jax.Array, jax.Array]:
    """Largest separation over a's edges, and how far b's second deepest corner is from that edge [m]."""
    best, second = -FAR, FAR
    for k in range(MAX_VERTICES):
        nx, ny = a.normal_x[k], a.normal_y[k]
        face = nx * a.x[k] + ny * a.y[k]
        depth = [nx * x + ny * y - face for x, y in zip(b.x, b.y, strict=True)]
        depth[3] = jnp.where(b.triangle, FAR, depth[3])
        first, next_one = _two_smallest(*depth)
        better = first > best
        if k == 3:
            better &= ~a.triangle
        best, second = jnp.where(better, first, best), jnp.where(better, next_one, second)
    return best, second


def polygon_polygon(a: Outline, b: Outline) -> jax.Array:
    """Contact points of two polygons, 0 to 2; the first is the one in the lower slot."""
    separation_a, second_a = _separation(a, b)
    separation_b, second_b = _separation(b, a)
    b_is_reference = separation_a + REFERENCE_FACE_BIAS < separation_b
    touching = jnp.maximum(separation_a, separation_b) < 0
    both = jnp.where(b_is_reference, second_b, second_a) < 0
    return touching * (1 + both)


def circle_polygon(x: jax.Array, y: jax.Array, radius: jax.Array, polygon: Outline) -> jax.Array:
    """Whether circles and polygons touch: an edge within the radius, or the centre inside."""
    inside, nearest = True, FAR
    for k in range(MAX_VERTICES):
        dx, dy = x - polygon.x[k], y - polygon.y[k]
        nx, ny = polygon.normal_x[k], polygon.normal_y[k]
        away, along = nx * dx + ny * dy, ny * dx - nx * dy
        beyond = along - jnp.clip(along, 0.0, polygon.length[k])
        square = away * away + beyond * beyond
        behind = away < 0
        if k == 3:
            behind |= polygon.triangle
            square = jnp.where(polygon.triangle, FAR, square)
        inside, nearest = inside & behind, jnp.minimum(nearest, square)
    return inside | (nearest <= radius * radius)


def circle_circle(
    x_a: jax.Array, y_a: jax.Array, radius_a: jax.Array, x_b: jax.Array, y_b: jax.Array, radius_b: jax.Array
) -> jax.Array:
    """Whether two circles touch."""
    dx, dy, reach = x_a - x_b, y_a - y_b, radius_a + radius_b
    return dx * dx + dy * dy < reach * reach
