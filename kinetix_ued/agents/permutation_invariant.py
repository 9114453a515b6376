"""The permutation-invariant MLP: every entity becomes a vector, the scene is their sum."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.initializers import orthogonal

from .layers import Dense

_KINDS = ("polygons", "circles", "joints", "thrusters")


class PermutationInvariantMLP(nn.Module):
    """A set of entities becomes an embedding (..., width); which slot holds which entity does not matter.

    Takes an entity observation, or padded rows (..., rows, F) whose features already tell the kinds apart. In an entity
    observation each kind has its own encoder, and an inactive slot adds nothing at all, so a scene in a larger size has
    the same embedding. (The reference adds the layer's biases for inactive slots too; at the start they are zero.)

    Attributes:
        width: of the embedding
        encoder_width: of an encoded entity, four of them the one-hot kind; unused for padded rows
        dtype: of the computation; None computes in float32
    """

    width: int = 256
    encoder_width: int = 64
    dtype: Any = None

    @nn.compact
    def __call__(self, observation: Any) -> jax.Array:
        if hasattr(observation, "polygons"):
            entities, mask = self._encode(observation)
        else:
            entities, mask = observation, None
        # Scale 1 on this wide layer gives each unit the weight norm 1/2 of the reference's eight stacked heads.
        parts = nn.relu(Dense(self.width, dtype=self.dtype, kernel_init=orthogonal(1.0), name="pool")(entities))
        if mask is not None:
            parts = jnp.where(mask[..., None], parts, 0)
        return nn.tanh(parts.sum(-2))

    def _encode(self, observation: Any) -> tuple[jax.Array, jax.Array]:
        """All entities (..., entities, encoder_width) and which of them are active (..., entities)."""
        encoded, masks = [], []
        for kind, name in enumerate(_KINDS):
            dense = Dense(
                self.encoder_width - len(_KINDS), dtype=self.dtype, kernel_init=orthogonal(2**0.5), name=name
            )
            features = nn.tanh(dense(getattr(observation, name)))
            one_hot = jax.nn.one_hot(kind, len(_KINDS), dtype=features.dtype)
            one_hot = jnp.broadcast_to(one_hot, (*features.shape[:-1], len(_KINDS)))
            encoded.append(jnp.concatenate([features, one_hot], axis=-1))
            masks.append(getattr(observation, name.removesuffix("s") + "_mask"))
        return jnp.concatenate(encoded, axis=-2), jnp.concatenate(masks, axis=-1)
