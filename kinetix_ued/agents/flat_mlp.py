"""The network for flat observations: one layer, then the towers."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
from flax.linen.initializers import orthogonal

from .layers import Dense


class FlatMLP(nn.Module):
    """A vector observation (..., F) becomes an embedding (..., width).

    Attributes:
        width: of the embedding
        dtype: of the computation; None computes in float32
    """

    width: int = 128
    dtype: Any = None

    @nn.compact
    def __call__(self, observation: jax.Array) -> jax.Array:
        return nn.relu(Dense(self.width, dtype=self.dtype, kernel_init=orthogonal(2**0.5))(observation))
