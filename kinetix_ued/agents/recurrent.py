"""Memory between encoder and towers: a gated recurrent unit that forgets at episode ends."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from .layers import Dense


class GatedRecurrentUnit(nn.Module):
    """A GRU (Cho et al. 2014, arXiv:1406.1078) over T steps of B environments.

    Whatever does not depend on the carry is computed for all steps at once; only one product stays in the scan.

    Attributes:
        size: of the carry and of the output
        dtype: of the computation; None computes in the input's
    """

    size: int = 256
    dtype: Any = None

    @nn.compact
    def __call__(self, carry: jax.Array, inputs: jax.Array, resets: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The last carry (B, size) and all outputs (T, B, size) from inputs (T, B, E).

        ``resets[t]`` (T, B) bool: the transition before t ended its episode, so the carry is zeroed before step t.
        """
        size = self.size
        from_input = Dense(3 * size, dtype=self.dtype, name="input")(inputs)
        kernel = self.param("recurrent", _orthogonal_blocks, (size, 3 * size)).astype(from_input.dtype)
        bias = self.param("candidate_bias", nn.initializers.zeros, (size,), jnp.float32).astype(from_input.dtype)

        def step(carry: jax.Array, step_inputs: tuple[jax.Array, jax.Array]):
            from_input, reset = step_inputs
            carry = jnp.where(reset[:, None], 0.0, carry)
            from_carry = carry.astype(from_input.dtype) @ kernel
            forget, update = jnp.split(nn.sigmoid(from_input[:, : 2 * size] + from_carry[:, : 2 * size]), 2, axis=-1)
            candidate = nn.tanh(from_input[:, 2 * size :] + forget * (from_carry[:, 2 * size :] + bias))
            carry = ((1 - update) * candidate + update * carry).astype(carry.dtype)
            return carry, carry

        return jax.lax.scan(step, carry, (from_input, resets))


def _orthogonal_blocks(key: jax.Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> jax.Array:
    """One orthogonal square for each of the three gates, side by side."""
    rows, columns = shape
    squares = [nn.initializers.orthogonal()(k, (rows, rows), dtype) for k in jax.random.split(key, columns // rows)]
    return jnp.concatenate(squares, axis=1)
