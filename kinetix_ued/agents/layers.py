"""The dense layer of all networks here."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax


def _matrix_product(inputs: jax.Array, kernel: jax.Array, dimension_numbers: Any, precision: Any = None) -> jax.Array:
    """``inputs`` (..., D) times ``kernel`` (D, E), with all leading axes as one.

    The result is that of ``jax.lax.dot_general``, which flax would call, but the kernel's gradient is then a product of
    two matrices too: on a CPU the backward pass of a layer over (scenes, bodies, D) takes 0.6 of the time.
    """
    rows = inputs.reshape(-1, inputs.shape[-1])
    return jax.lax.dot(rows, kernel, precision=precision).reshape(*inputs.shape[:-1], kernel.shape[-1])


class Dense(nn.Dense):
    """``flax.linen.Dense``, faster to differentiate over several leading axes."""

    dot_general: Any = _matrix_product
