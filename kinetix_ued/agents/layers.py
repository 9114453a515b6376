"""The dense layer of all networks here, and sums and maxima over bodies that are quick to differentiate on a CPU."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

_ALIASING = 64
"""Rows of a multiple of this many numbers share few sets of a CPU's first cache: columns of them are slow to read."""

_PADDING = 8
"""Zeros that such rows are lengthened by: a kernel's gradient is then computed 1.1 to 1.8 times as fast."""

_materialised = jax.lax.optimization_barrier
"""Keeps the compiler from folding the way in which a matrix was made into the product that reads it."""


def _matrix_product(inputs: jax.Array, kernel: jax.Array, dimension_numbers: Any, precision: Any = None) -> jax.Array:
    """``inputs`` (..., D) times ``kernel`` (D, E), with all leading axes as one.

    The result is that of ``jax.lax.dot_general``, which flax would call, but the kernel's gradient is then a product of
    two matrices too: on a CPU the backward pass of a layer over (scenes, bodies, D) takes 0.6 of the time.
    """
    rows = inputs.reshape(-1, inputs.shape[-1])
    return _product(precision, rows, kernel).reshape(*inputs.shape[:-1], kernel.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _product(precision: Any, rows: jax.Array, kernel: jax.Array) -> jax.Array:
    """``rows`` (M, D) times ``kernel`` (D, E)."""
    return jax.lax.dot(rows, kernel, precision=precision)


def _product_forward(
    precision: Any, rows: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _product(precision, rows, kernel), (rows, kernel)


def _product_backward(
    precision: Any, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    rows, kernel = saved
    width = kernel.shape[0]
    if width % _ALIASING == 0 and jax.default_backend() == "cpu":
        rows = _materialised(jnp.pad(rows, ((0, 0), (0, _PADDING))))
    of_kernel = jax.lax.dot(rows.T, gradient, precision=precision)[:width]
    return jax.lax.dot(gradient, kernel.T, precision=precision), of_kernel


_product.defvjp(_product_forward, _product_backward)


class Dense(nn.Dense):
    """``flax.linen.Dense``, faster to differentiate over several leading axes."""

    dot_general: Any = _matrix_product


@jax.custom_vjp
def weighted_sums(weights: jax.Array, rows: jax.Array) -> jax.Array:
    """Sums (..., M, D) of ``rows`` (..., N, D), each times its weight in ``weights`` (..., M, N), which are constants.

    This is ``weights @ rows``, but for its gradient the weights are transposed in memory first: the product of many
    small matrices that are read transposed takes up to six times as long on a CPU.
    """
    return _materialised(weights) @ rows


def _sums_forward(weights: jax.Array, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    return weighted_sums(weights, rows), weights


def _sums_backward(weights: jax.Array, gradient: jax.Array) -> tuple[None, jax.Array]:
    return None, _materialised(jnp.swapaxes(weights, -1, -2)) @ gradient


weighted_sums.defvjp(_sums_forward, _sums_backward)


@jax.custom_vjp
def group_maxima(groups: jax.Array, rows: jax.Array) -> jax.Array:
    """The largest numbers (..., G, D) in ``rows`` (..., N, D) of each group, ``groups`` (..., N, G) bool; at least 0.

    Rows that share a maximum each get its whole gradient, where ``jax.numpy.max`` would divide it among them. In
    practice they share only zeros of rectified layers, which pass no gradient on.
    """

    def maxima(groups: jax.Array, rows: jax.Array) -> jax.Array:
        # One comparison after the other is a single loop; a reduction of (..., N, G, D) takes up to three times as long.
        chosen = (jnp.where(groups[..., n, :, None], rows[..., n, None, :], 0) for n in range(rows.shape[-2]))
        return functools.reduce(jnp.maximum, chosen)

    return _by_itself(maxima, groups, rows)


def _maxima_forward(groups: jax.Array, rows: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    highest = group_maxima(groups, rows)
    return highest, (groups, rows, highest)


def _maxima_backward(saved: tuple[jax.Array, ...], gradient: jax.Array) -> tuple[None, jax.Array]:
    def gradients(groups: jax.Array, rows: jax.Array, highest: jax.Array, gradient: jax.Array) -> jax.Array:
        reached = lambda g: groups[..., g, None] & (rows == highest[..., g, None, :])
        share = lambda g: jnp.where(reached(g), gradient[..., g, None, :], 0)
        return functools.reduce(jnp.add, map(share, range(groups.shape[-1])))

    return None, _by_itself(gradients, *saved, gradient)


group_maxima.defvjp(_maxima_forward, _maxima_backward)


def _by_itself(function: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """``function`` of arrays with the same leading axes and two more, compiled apart from what is before and after.

    Fused with the operations around it, it would compute them again for each number that it reads. The compiler fuses
    nothing across the borders of a loop, so this is one of two turns.
    """
    leading = arrays[0].shape[:-2]
    count = math.prod(leading)
    if count % 2 or jax.default_backend() != "cpu":
        return function(*arrays)
    halves = [x.reshape(2, count // 2, *x.shape[-2:]) for x in arrays]
    found = jax.lax.map(lambda parts: function(*parts), halves)
    return found.reshape(*leading, *found.shape[2:])
