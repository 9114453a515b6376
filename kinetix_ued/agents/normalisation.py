"""Observations by their running moments: features of mean 0 and deviation 1 over what was learned from so far."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .distributions import Distribution
from .policy import Carry, Params, Policy

NORMALISABLE = ("entity", "symbolic_flat")
"""Observations whose features can be normalised."""

FLOOR = 1e-6
"""Added to each variance: a feature that never changed stays 0. Larger numbers damp features that hardly change."""

LIMIT = 10.0
"""Deviations that a feature is clipped to: rare features deviate little, and one outlier would rule the layer."""

_MASKS = {
    "circles": "circle_mask",
    "polygons": "polygon_mask",
    "joints": "joint_mask",
    "thrusters": "thruster_mask",
}
"""Features of an entity observation, with what says which of their rows count."""


class Moments(NamedTuple):
    """Of rows of F features.

    Attributes:
        count: rows so far ()
        mean: of each feature (F)
        m2: sum of squared differences from the mean (F)
    """

    count: jax.Array
    mean: jax.Array
    m2: jax.Array


@dataclasses.dataclass(frozen=True)
class NormalisedPolicy(Policy):
    """A policy that sees normalised observations. Its parameters hold the moments beside those of the network.

    The moments get no gradient, so an optimiser whose steps are zero for gradients of zero, as Adam's, leaves them as
    they are: only ``absorb`` changes them. Rows of entities share their moments whatever slot they are in, and inactive
    rows do not count; masks and indexes are left alone.
    """

    def init(self, key: jax.Array, observation: Any) -> Params:
        moments = {
            name: Moments(*(jnp.zeros(shape, jnp.float32) for shape in ((), rows.shape[-1], rows.shape[-1])))
            for name, rows in _features(observation).items()
        }
        return {"network": super().init(key, observation), "moments": moments}

    def apply(
        self, params: Params, carry: Carry, observation: Any, reset: jax.Array
    ) -> tuple[Carry, Distribution, jax.Array]:
        return super().apply(params["network"], carry, normalised(params["moments"], observation), reset)

    def unroll(
        self, params: Params, carry: Carry, observations: Any, resets: jax.Array
    ) -> tuple[Distribution, jax.Array]:
        return super().unroll(params["network"], carry, normalised(params["moments"], observations), resets)

    def absorb(self, params: Params, observations: Any, weight: jax.Array) -> Params:
        """Parameters whose moments know these observations too.

        Args:
            observations: each leaf (T, B, ...)
            weight: which of them count (T, B) bool
        """
        moments = {}
        for name, rows in _features(observations).items():
            whole = weight.reshape(weight.shape + (1,) * (rows.ndim - 1 - weight.ndim))
            moments[name] = _merged(params["moments"][name], rows, whole & _counts(observations, name, rows))
        return params | {"moments": moments}


def normalised(moments: dict[str, Moments], observation: Any) -> Any:
    """The observation with its features less their mean, by their deviation; as it is while nothing is known."""
    moments = jax.lax.stop_gradient(moments)
    found = {name: _scaled(moments[name], rows) for name, rows in _features(observation).items()}
    return dataclasses.replace(observation, **found) if _has_entities(observation) else found["all"]


def _scaled(known: Moments, rows: jax.Array) -> jax.Array:
    deviation = jnp.sqrt(known.m2 / jnp.maximum(known.count, 1) + FLOOR)
    return jnp.where(known.count > 0, jnp.clip((rows - known.mean) / deviation, -LIMIT, LIMIT), rows)


def _merged(known: Moments, rows: jax.Array, counts: jax.Array) -> Moments:
    """Moments of what was known and of the rows that count (Chan, Golub and LeVeque 1979)."""
    axes = tuple(range(rows.ndim - 1))
    counts = jnp.broadcast_to(counts, rows.shape[:-1])
    number = counts.sum(dtype=jnp.float32)
    rows = jnp.where(counts[..., None], rows, 0)  # those that do not count may hold anything, NaN included
    mean = rows.sum(axes) / jnp.maximum(number, 1)
    m2 = jnp.where(counts[..., None], (rows - mean) ** 2, 0).sum(axes)
    total = known.count + number
    share = number / jnp.maximum(total, 1)
    apart = mean - known.mean
    return Moments(total, known.mean + apart * share, known.m2 + m2 + apart**2 * known.count * share)


def _has_entities(observation: Any) -> bool:
    return all(hasattr(observation, name) for name in _MASKS)


def _features(observation: Any) -> dict[str, jax.Array]:
    """Arrays of features, the last axis, by name."""
    return {name: getattr(observation, name) for name in _MASKS} if _has_entities(observation) else {"all": observation}


def _counts(observation: Any, name: str, rows: jax.Array) -> jax.Array:
    """Which rows of features count."""
    return getattr(observation, _MASKS[name]) if _has_entities(observation) else jnp.ones(rows.shape[:-1], bool)
