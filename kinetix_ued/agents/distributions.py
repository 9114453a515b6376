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

    def divergence(self, other: Categorical, parts: jax.Array | None = None) -> jax.Array:
        """Kullback-Leibler divergence from ``other`` to this one, KL(self || other) [nat] (...)."""
        return _divergence(jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits))

    def average(self, weight: jax.Array) -> Categorical:
        """The mixture of those along the first axis, weighted by ``weight`` (n, ...), which is not all zero."""
        return Categorical(_log_mean(jax.nn.log_softmax(self.logits), weight))


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

    def divergence(self, other: MultiCategorical, parts: jax.Array | None = None) -> jax.Array:
        """Kullback-Leibler divergence KL(self || other), summed likewise [nat] (...)."""
        return _sum(_divergence(self._log_probabilities(), other._log_probabilities()), parts)

    def average(self, weight: jax.Array) -> MultiCategorical:
        """Each head's mixture of those along the first axis, as of ``Categorical``."""
        head = np.repeat(np.arange(len(self.heads)), self.heads)
        normaliser = jax.nn.logsumexp(self._padded(self.logits), axis=-1)[..., head]
        return MultiCategorical(_log_mean(self.logits - normaliser, weight), self.heads)

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

    def divergence(self, other: DiagonalGaussian, parts: jax.Array | None = None) -> jax.Array:
        """Kullback-Leibler divergence KL(self || other), likewise [nat] (...)."""
        ratio = jnp.exp(2 * (self.log_std - other.log_std))
        apart = (self.mean - other.mean) * jnp.exp(-other.log_std)
        return _sum(0.5 * (ratio + apart**2 - 1) + other.log_std - self.log_std, parts)

    def average(self, weight: jax.Array) -> DiagonalGaussian:
        """The Gaussian with mean and variance of the mixture of those along the first axis, as of ``Categorical``."""
        mean = _mean(self.mean, weight)
        variance = _mean(jnp.exp(2 * self.log_std) + (self.mean - mean) ** 2, weight)
        return DiagonalGaussian(mean, 0.5 * jnp.log(variance))


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


def _divergence(log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    return (jnp.exp(log_p) * (log_p - log_q)).sum(-1)


def _mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """Weighted mean over the first axis of values (n, ..., choices)."""
    weight = weight[..., None]
    return (weight * values).sum(0) / weight.sum(0)


def _log_mean(log_probabilities: jax.Array, weight: jax.Array) -> jax.Array:
    # The floor is a probability that no softmax reaches: the logarithm of 0 times 0 would be no number.
    return jnp.log(jnp.maximum(_mean(jnp.exp(log_probabilities), weight), 1e-30))
