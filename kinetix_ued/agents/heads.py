"""Actor and critic: two towers over one embedding."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.initializers import orthogonal

from .distributions import Distribution, distribution_of, heads_of, outputs_of
from .layers import Dense


class ActorCritic(nn.Module):
    """An embedding (..., E) becomes a distribution over actions and a value (...), both float32.

    Orthogonal weights: sqrt(2) in the towers, 0.01 for the actions, so that the first policy is nearly uniform, and 1
    for the value. Continuous actions have one learnt log standard deviation each, 0 at first, the same in every state.

    Attributes:
        actions: see ``distributions``
        width: of every tower layer
        depth: layers of each tower
        dtype: of the computation; None computes in the embedding's
    """

    actions: Any
    width: int = 128
    depth: int = 5
    dtype: Any = None

    @nn.compact
    def __call__(self, embedding: jax.Array) -> tuple[Distribution, jax.Array]:
        def tower(name: str, outputs: int, scale: float) -> jax.Array:
            x = embedding
            for layer in range(self.depth):
                dense = Dense(self.width, dtype=self.dtype, kernel_init=orthogonal(2**0.5), name=f"{name}_{layer}")
                x = nn.tanh(dense(x))
            out = Dense(outputs, dtype=self.dtype, kernel_init=orthogonal(scale), name=f"{name}_out")(x)
            return out.astype(jnp.float32)

        outputs = outputs_of(self.actions)
        log_std = None
        if not heads_of(self.actions):
            log_std = self.param("log_std", nn.initializers.zeros, (outputs,), jnp.float32)
        distribution = distribution_of(self.actions, tower("actor", outputs, 0.01), log_std)
        return distribution, tower("critic", 1, 1.0)[..., 0]
