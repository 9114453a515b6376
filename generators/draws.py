"""Turning uniform random numbers into choices. A sampler draws all its numbers at once and hands them out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

Result = TypeVar("Result")


def uniform(key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
    """Uniform numbers in [0, 1), float32 even where JAX's default is 64 bits."""
    return jax.random.uniform(key, shape, jnp.float32)


def between(u: jax.Array, low: float | jax.Array, high: float | jax.Array) -> jax.Array:
    """A uniform number ``u`` in [0, 1), scaled to [low, high)."""
    return low + u * (high - low)


def one_of(u: jax.Array, n: int) -> jax.Array:
    """A uniform integer from 0 to n - 1."""
    return jnp.minimum((u * n).astype(jnp.int32), n - 1)


def weighted(u: jax.Array, weights: jax.Array) -> jax.Array:
    """An index of ``weights`` (..., n), with probability proportional to its weight; 0 where all weights are 0.

    Never an index of weight 0 otherwise, whatever rounding does to the sums.
    """
    n = weights.shape[-1]
    below = jnp.tri(n, k=-1, dtype=weights.dtype)  # a product, because a scan over n <= 30 numbers is slower
    before = jnp.sum(weights[..., None, :] * below, axis=-1)
    reached = before < (1.0 - u[..., None]) * jnp.sum(weights, axis=-1, keepdims=True)
    return jnp.max(jnp.where(reached & (weights > 0), jnp.arange(n, dtype=jnp.int32), 0), axis=-1)


def permutation(u: jax.Array) -> jax.Array:
    """A uniform permutation of 0 to n - 1, the ranks of ``u`` (n)."""
    order = jnp.arange(u.shape[0])
    before = (u[None, :] < u[:, None]) | ((u[None, :] == u[:, None]) & (order[None, :] < order[:, None]))
    return jnp.sum(before, axis=1, dtype=jnp.int32)


class Draw:
    """Random choices made with uniform numbers that are drawn together, each of which is used once.

    Args:
        key: of the numbers.
        count: how many of them there are.
    """

    def __init__(self, key: jax.Array, count: int):
        self._numbers, self._used, self._count = uniform(key, (count,)), 0, count

    def __call__(self) -> jax.Array:
        """A uniform number () in [0, 1)."""
        return self.several(1)[0]

    def several(self, n: int) -> jax.Array:
        """Uniform numbers (n) in [0, 1).

        Raises:
            RuntimeError: where fewer are left, a mistake of the caller's that tracing shows.
        """
        start, self._used = self._used, self._used + n
        if self._used > self._count:
            raise RuntimeError(f"only {self._count} numbers were drawn: raise count to {self._used} or more")
        return self._numbers[start : self._used]

    def between(self, bounds: tuple[float | jax.Array, float | jax.Array]) -> jax.Array:
        """A uniform number () within ``bounds``."""
        return between(self(), *bounds)

    def log_between(self, bounds: tuple[float, float]) -> jax.Array:
        """A number () within positive ``bounds``, with uniform logarithm."""
        return jnp.exp(between(self(), *map(math.log, bounds)))

    def chance(self, probability: float | jax.Array) -> jax.Array:
        """True () with a probability."""
        return self() < probability

    def sign(self) -> jax.Array:
        """1.0 or -1.0 ()."""
        return jnp.where(self() < 0.5, jnp.float32(1.0), -1.0)

    def one_of(self, n: int) -> jax.Array:
        """An integer () from 0 to n - 1."""
        return one_of(self(), n)

    def by_weight(self, weights: Sequence[float]) -> jax.Array:
        """An index () of ``weights``, with probability proportional to its weight."""
        return weighted(self(), jnp.asarray(weights, jnp.float32))


def choose_branch(index: jax.Array, branches: Sequence[Callable[..., Result]], *operands: Any) -> Result:
    """What ``branches[index](*operands)`` returns, a pytree of arrays alike for all branches.

    Like ``jax.lax.switch``, which under ``jax.vmap`` computes every branch too, but whose branches may then hold no
    array constants under ``jax.shard_map``: its batching rule marks them as varying inside branches that mark them
    themselves.
    """
    results = [branch(*operands) for branch in branches]
    return jax.tree.map(lambda *cases: jax.lax.select_n(index, *cases), *results)
