"""Convex shapes as spans: for every column of a picture, the rows that the shape covers.

Every shape that is drawn is convex, so one column meets it in one piece. A span costs as much for each column as a test
of the shape would for each pixel, and a pixel is left with one comparison a shape. Coordinates are in pixels: column i
and row j have their sample at (i, j). Where an edge runs exactly through samples, those on the left and lower edges
count, so that a shape of whole pixels covers as many as its area says.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.world.geometry import length, turn_left

TIE = 1e-3
"""Samples are tested this far right of and above their place [pixel]: decides ties, above the rounding of float32."""

FLAT = 1e-6
"""A normal's y is at least this large [pixel]: a vertical edge is taken as very steep."""


class Spans(NamedTuple):
    """Rows from ``low`` to ``high`` are covered; none where ``low > high`` or either is not a number.

    Attributes:
        low: (..., columns)
        high: (..., columns)
    """

    low: jax.Array
    high: jax.Array

    def __and__(self, other: Spans) -> Spans:
        return Spans(jnp.maximum(self.low, other.low), jnp.minimum(self.high, other.high))


def columns(pixels: int) -> jax.Array:
    """Where the columns are tested (pixels)."""
    return jnp.arange(pixels, dtype=jnp.float32) + TIE


def half_planes(x: jax.Array, points: jax.Array, normals: jax.Array, beyond: jax.Array) -> Spans:
    """Where all E half-planes are: those that reach ``beyond`` their points along their normals.

    Args:
        x: columns (X)
        points: on the edges (..., E, 2)
        normals: outward, of any length (..., E, 2)
        beyond: times the normal's length (..., E)
    """
    normal_x, normal_y = normals[..., 0], normals[..., 1]
    above = normal_y > 0
    normal_y = jnp.where(above, jnp.maximum(normal_y, FLAT), jnp.minimum(normal_y, -FLAT))
    slope, offset = -normal_x / normal_y, points[..., 1] + beyond / normal_y
    edge = (x - points[..., 0, None]) * slope[..., None] + offset[..., None]  # (..., E, X)
    above = above[..., None]
    low = jnp.where(above, -jnp.inf, edge).max(axis=-2)
    high = jnp.where(above, edge, jnp.inf).min(axis=-2)
    return Spans(low, high)


def polygons(x: jax.Array, corners: jax.Array, count: jax.Array | int = 4, inset: float = 0.0) -> Spans:
    """Spans (..., X) of convex clockwise polygons.

    Args:
        x: columns (X)
        corners: (..., 4, 2)
        count: corners in use, 3 or 4 (...)
        inset: the polygons are smaller by this on every side
    """
    triangle = jnp.asarray(count)[..., None] == 3
    first, second, third, fourth = (corners[..., i, :] for i in range(4))
    # A triangle's third edge ends in its first corner, and its first edge is tested once more in place of a fourth.
    third_end, fourth_end = jnp.where(triangle, first, fourth), jnp.where(triangle, second, first)
    starts = jnp.stack([first, second, third, third_end], axis=-2)
    along = jnp.stack([second, third, third_end, fourth_end], axis=-2) - starts
    return half_planes(x, starts, turn_left(along), -inset * length(along))


def discs(x: jax.Array, centre: jax.Array, radius: jax.Array) -> Spans:
    """Spans (..., X) of discs.

    Args:
        x: columns (X)
        centre: (..., 2)
        radius: (...)
    """
    across = x - centre[..., 0, None]
    room = radius[..., None] ** 2 - across**2
    half = jnp.where(room >= 0, jnp.sqrt(jnp.maximum(room, 0.0)), -1.0)
    return Spans(centre[..., 1, None] - half, centre[..., 1, None] + half)


def squares(x: jax.Array, centre: jax.Array, half: float) -> Spans:
    """Spans (..., X) of upright squares about ``centre`` (..., 2)."""
    reach = jnp.where(jnp.abs(x - centre[..., 0, None]) <= half, jnp.float32(half), -1.0)
    return Spans(centre[..., 1, None] - reach, centre[..., 1, None] + reach)


def rays(x: jax.Array, start: jax.Array, direction: jax.Array, half_width: float) -> Spans:
    """Spans (..., X) of half-infinite bars from ``start`` (..., 2) along the unit vector ``direction`` (..., 2)."""
    across = turn_left(direction)
    normals = jnp.stack([across, -across, -direction], axis=-2)
    points = jnp.broadcast_to(start[..., None, :], normals.shape)
    beyond = jnp.array([half_width, half_width, 0.0], jnp.float32)
    return half_planes(x, points, normals, jnp.broadcast_to(beyond, normals.shape[:-1]))


def rows(spans: Spans, active: jax.Array, pixels: int) -> tuple[jax.Array, jax.Array]:
    """First row and number of rows (..., X) uint32 in a picture of so many ``pixels``; no rows where not ``active`` (...)."""
    first = jnp.ceil(jnp.clip(spans.low - TIE, 0, pixels))
    last = jnp.floor(jnp.clip(spans.high - TIE, -1, pixels - 1))
    some = active[..., None] & (spans.low <= spans.high) & (first <= last)
    whole = lambda number: jnp.where(some, number, 0).astype(jnp.int32).astype(jnp.uint32)  # the way CPUs vectorise
    return whole(first), whole(last - first + 1)
