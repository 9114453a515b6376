"""Plane vectors: the few operations a 2D physics is made of. Last axis of every vector: x, y."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def rotation_matrix(angle: jax.Array) -> jax.Array:
    """Matrix (..., 2, 2) that turns a vector counter-clockwise by ``angle`` [rad] (...)."""
    c, s = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([c, -s], -1), jnp.stack([s, c], -1)], -2)


def rotate(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """``matrix @ vector`` written out, so that no accelerator rounds it to fewer bits."""
    x, y = vector[..., 0], vector[..., 1]
    return jnp.stack([matrix[..., 0, 0] * x + matrix[..., 0, 1] * y, matrix[..., 1, 0] * x + matrix[..., 1, 1] * y], -1)


def rotate_back(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """``matrix.T @ vector``, likewise."""
    return rotate(jnp.swapaxes(matrix, -1, -2), vector)


def cross(a: jax.Array, b: jax.Array) -> jax.Array:
    """The out-of-plane component of ``a x b``."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1]


def turn_left(v: jax.Array) -> jax.Array:
    """``v`` turned by +90 degrees; times an angular velocity, the velocity of a point at arm ``v``."""
    return jnp.stack([-v[..., 1], v[..., 0]], -1)


def length(v: jax.Array) -> jax.Array:
    return jnp.sqrt(dot(v, v))


def nonzero(x: jax.Array) -> jax.Array:
    """``x``, or 1 where it is 0: a divisor for quantities whose numerator is zero there as well."""
    return jnp.where(x == 0, 1.0, x)
