"""Random numbers of several shapes from one call: each call of a generator adds seconds to a program's compilation."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp


def uniforms(key: jax.Array, *shapes: tuple[int, ...]) -> list[jax.Array]:
    """Independent numbers in [0, 1) of these shapes."""
    ends = [sum(math.prod(shape) for shape in shapes[: i + 1]) for i in range(len(shapes))]
    flat = jax.random.uniform(key, (ends[-1],), jnp.float32)
    return [flat[end - math.prod(shape) : end].reshape(shape) for end, shape in zip(ends, shapes)]


def among(u: jax.Array, values: tuple[float, ...]) -> jax.Array:
    """One of ``values`` for each number of ``u``, all equally likely."""
    return jnp.array(values, jnp.float32)[jnp.minimum((u * len(values)).astype(jnp.int32), len(values) - 1)]


def logistic(u: jax.Array) -> jax.Array:
    """Deviates of the logistic distribution, scaled to variance 1; cheaper than normal ones, and as good for taste."""
    u = jnp.clip(u, 1e-6, 1 - 1e-6)
    return (jnp.log(u) - jnp.log1p(-u)) * (math.sqrt(3) / math.pi)


def sticky(drawn: jax.Array, changes: jax.Array) -> jax.Array:
    """``drawn`` (P, S, C), where it does not change replaced by the last one that did; the first always counts."""
    since = jax.lax.cummax(jnp.where(changes, jnp.arange(drawn.shape[1])[:, None], 0), axis=1)
    return jnp.take_along_axis(drawn, since, axis=1)


def picked(u: jax.Array, weights: jax.Array) -> jax.Array:
    """Indices (...) along the last axis of ``weights`` (..., K), drawn in proportion to them by ``u`` (...)."""
    total = jnp.cumsum(weights, axis=-1)
    below_one = u[..., None] * (1 - 1e-6)  # or rounding now and then gives an index whose weight is zero
    return (below_one * total[..., -1:] >= total).sum(axis=-1, dtype=jnp.int32)
