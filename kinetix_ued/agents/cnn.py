"""The network for pictures: two convolutions, then the towers."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


class ConvolutionalNetwork(nn.Module):
    """A pixels observation (...) becomes an embedding: the last feature map, flattened, and gravity.

    8 x 8 filters every 4 pixels, then 4 x 4 every 2, as the reference's: 16 x 16 x 32 features of 125 x 125 pixels.

    Attributes:
        features: filters of the first and of the second layer
        dtype: of the computation; None computes in float32
    """

    features: tuple[int, int] = (16, 32)
    dtype: Any = None

    @nn.compact
    def __call__(self, observation: Any) -> jax.Array:
        batch = observation.image.shape[:-3]
        x = observation.image.reshape(-1, *observation.image.shape[-3:])
        first, second = self.features
        x = nn.relu(nn.Conv(first, (8, 8), strides=(4, 4), dtype=self.dtype, name="coarse")(x))
        x = nn.relu(nn.Conv(second, (4, 4), strides=(2, 2), dtype=self.dtype, name="fine")(x))
        x = x.reshape(*batch, -1)
        return jnp.concatenate([x, observation.gravity.astype(x.dtype)], axis=-1)
