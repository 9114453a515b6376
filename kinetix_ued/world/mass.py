"""Inverse mass and inverse moment of inertia of a body, from its shape and density.

Two of the formulas are not the textbook's; recorded trajectories and published levels rest on them. A circle has half
the inertia of a true disc, and a triangle's inertia counts the edge from its last corner to the unused fourth slot
instead of the edge back to its first. Both functions also take arrays with further leading axes.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from .constants import MAX_VERTICES


def _inverse(x: jax.Array) -> jax.Array:
    return 1.0 / jnp.where(x == 0.0, 1.0, x)  # slots without a shape must stay finite


def polygon_inverse_mass_inertia(
    vertices: jax.Array, n_vertices: jax.Array, density: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Inverse mass [1/kg] and inverse inertia [1/(kg m^2)] of a free polygon.

    Args:
        vertices: corners in the body's frame [m] (4, 2).
        n_vertices: corners in use, 3 or 4 ().
        density: [kg/m^2] ().

    Returns:
        Two float32 scalars; 1 where the shape has no area.
    """
    vertices = jnp.asarray(vertices, jnp.float32)
    n_vertices = jnp.asarray(n_vertices)[..., None]
    cross = lambda a, b: a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    # Area: the triangles of a fan from corner 0.
    spokes = vertices[..., 1:, :] - vertices[..., :1, :]
    fan = jnp.abs(cross(spokes[..., :-1, :], spokes[..., 1:, :])) / 2
    area = jnp.sum(jnp.where(jnp.arange(MAX_VERTICES - 2) < n_vertices - 2, fan, 0.0), axis=-1)
    # Second moment: the triangles between the origin and each edge, cross/12 (a.a + a.b + b.b).
    a, b = vertices, jnp.roll(vertices, -1, axis=-2)
    moment = jnp.abs(cross(a, b)) / 12 * jnp.sum(a * a + a * b + b * b, axis=-1)
    moment = jnp.sum(jnp.where(jnp.arange(MAX_VERTICES) < n_vertices, moment, 0.0), axis=-1)
    return _inverse(area * density), _inverse(moment * density)


def circle_inverse_mass_inertia(radius: jax.Array, density: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Inverse mass [1/kg] and inverse inertia [1/(kg m^2)] of a free circle: pi r^2 and pi r^4 / 4, times density.

    Args:
        radius: [m] ().
        density: [kg/m^2] ().

    Returns:
        Two float32 scalars; 1 for a circle of radius 0.
    """
    radius = jnp.asarray(radius, jnp.float32)
    square = radius * radius
    return _inverse(math.pi * square * density), _inverse(math.pi / 4 * square * square * density)
