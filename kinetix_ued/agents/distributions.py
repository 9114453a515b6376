"""What a policy says about its next action: categorical, several categoricals, or Gaussian.

``actions`` in this package is any object with

* ``heads``: the choices of every discrete head, as ``(3, 3, 3, 3, 2, 2)``; absent, None or empty if continuous,
* ``shape``: of one action, as ``(6,)``; read only where there are no heads.

The action types of ``kinetix_ued.environment.actions`` are such objects.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct


@struct.dataclass
class Categorical:
    """One choice. Actions are int32 of shape (...).

    Attributes:
        logits: normalised or not (..., choices)
    """

    logits: jax.Array

    def sample(self, key: jax.Array) -> jax.Array:
        """A random action (...)."""
        return jax.random.categorical(key, self.logits).astype(jnp.int32)

    def mode(self) -> jax.Array:
        """The most likely action (...)."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    def log_prob(self, action: jax.Array, parts: jax.Array | None = None) -> jax.Array:
        """Log probability of an action (...). A single choice has no ``parts`` to leave out."""
        return _log_prob(jax.nn.log_softmax(self.logits), action)

    def entropy(self, parts: jax.Array | None = None) -> jax.Array:
        """Entropy [nat] (...)."""
        return _entropy(jax.nn.log_softmax(self.logits))


@struct.dataclass
class MultiCategorical:
    """Independent choices, one a head. Actions are int32 of shape (..., heads).

    Attributes:
        logits: of all heads, one after the other (..., sum of heads)
        heads: choices of each head
    """

    logits: jax.Array
    heads: tuple[int, ...] = struct.field(pytree_node=False)

    def sample(self, key: jax.Array) -> jax.Array:
        """A random action (..., heads)."""
        noise = jax.random.gumbel(key, self.logits.shape, jnp.float32)
        return jnp.argmax(self._padded(self.logits + noise), -1).astype(jnp.int32)

    def mode(self) -> jax.Array:
        """The most likely action (..., heads)."""
        return jnp.argmax(self._padded(self.logits), axis=-1).astype(jnp.int32)

    def log_prob(self, action: jax.Array, parts: jax.Array | None = None) -> jax.Array:
        """Log probability of an action, summed over heads (...), or over those that ``parts`` (..., heads) names."""
        return _sum(_log_prob(self._log_probabilities(), action), parts)

    def entropy(self, parts: jax.Array | None = None) -> jax.Array:
        """Entropy, summed likewise [nat] (...)."""
        return _sum(_entropy(self._log_probabilities()), parts)

    def _log_probabilities(self) -> jax.Array:
        return jax.nn.log_softmax(self._padded(self.logits))

    def _padded(self, flat: jax.Array) -> jax.Array:
        """Flat scores as (..., heads, widest head), so that all heads are one operation instead of one each."""
        widest = max(self.heads)
        starts = np.cumsum((0, *self.heads[:-1]))
        columns = starts[:, None] + np.minimum(np.arange(widest), np.array(self.heads)[:, None] - 1)
        real = np.arange(widest) < np.array(self.heads)[:, None]
        # Far below any logit, yet finite: its probability is exactly 0, and 0 times it is no NaN.
        return jnp.where(real, flat[..., columns], jnp.asarray(-1e9, flat.dtype))


@struct.dataclass
class DiagonalGaussian:
    """Independent normal actions of shape (..., dimension), neither squashed nor clipped: the environment clips.

    Attributes:
        mean: (..., dimension)
        log_std: (..., dimension)
    """

    mean: jax.Array
    log_std: jax.Array

    def sample(self, key: jax.Array) -> jax.Array:
        """A random action (..., dimension)."""
        return self.mean + jnp.exp(self.log_std) * jax.random.normal(key, self.mean.shape, self.mean.dtype)

    def mode(self) -> jax.Array:
        """The mean action (..., dimension)."""
        return self.mean

    def log_prob(self, action: jax.Array, parts: jax.Array | None = None) -> jax.Array:
        """Log density of an action (...), of all dimensions or of those that ``parts`` (..., dimension) names."""
        deviation = (action - self.mean) * jnp.exp(-self.log_std)
        return _sum(-0.5 * deviation**2 - self.log_std - 0.5 * math.log(2 * math.pi), parts)

    def entropy(self, parts: jax.Array | None = None) -> jax.Array:
        """Differential entropy, likewise [nat] (...)."""
        return _sum(self.log_std + 0.5 * (1 + math.log(2 * math.pi)), parts)


def _sum(values: jax.Array, parts: jax.Array | None) -> jax.Array:
    """Sum over the last axis, of all or of the chosen parts."""
    return (values if parts is None else jnp.where(parts, values, 0.0)).sum(-1)


Distribution = Categorical | MultiCategorical | DiagonalGaussian


def outputs_of(actions: Any) -> int:
    """How many numbers a network must put out for ``actions`` (see the module): logits, or means.

    Raises:
        ValueError: for an object with neither ``heads`` nor the ``shape`` of a vector.
    """
    heads, shape = heads_of(actions), tuple(getattr(actions, "shape", ()))
    if not heads and len(shape) != 1:
        raise ValueError(f"{actions!r} is no action type: it needs heads, as (3, 3, 2), or a vector's shape, as (6,)")
    return sum(heads) if heads else shape[0]


def heads_of(actions: Any) -> tuple[int, ...]:
    """Choices of each discrete head of ``actions``; empty if they are continuous."""
    return tuple(getattr(actions, "heads", None) or ())


def distribution_of(actions: Any, outputs: jax.Array, log_std: jax.Array | None) -> Distribution:
    """The distribution over ``actions`` that a network's ``outputs`` (..., outputs) mean.

    A single head gives scalar actions, several give a vector of them; without heads, ``log_std`` (outputs) is needed.
    """
    heads = heads_of(actions)
    if not heads:
        return DiagonalGaussian(outputs, jnp.broadcast_to(log_std, outputs.shape))
    return Categorical(outputs) if len(heads) == 1 else MultiCategorical(outputs, heads)


def _log_prob(log_probabilities: jax.Array, action: jax.Array) -> jax.Array:
    # A comparison instead of a gather: its gradient is a product, not a scatter.
    chosen = action[..., None] == jnp.arange(log_probabilities.shape[-1])
    return jnp.where(chosen, log_probabilities, 0.0).sum(-1)


def _entropy(log_probabilities: jax.Array) -> jax.Array:
    return -(jnp.exp(log_probabilities) * log_probabilities).sum(-1)
