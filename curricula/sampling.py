"""Where a curriculum's new levels come from: a function ``sample(key, n)`` that the user chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Sampler = Callable[[jax.Array, int], Any]
"""``sample(key, n)``: n new levels, any pytree with a leading axis n."""


def check_batch(batch: int) -> None:
    """Raise ValueError unless ``batch`` can be a number of environments."""
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch counts environments, so it must be an integer of at least 1; got {batch!r}")


def example_level(sample: Sampler, batch: int) -> Any:
    """A level of zeros with the shapes and dtypes of those that ``sample`` makes; nothing is sampled.

    Raises:
        ValueError: when ``sample(key, batch)`` does not return levels with a leading axis of length ``batch``.
    """
    levels = jax.eval_shape(lambda key: sample(key, batch), jax.random.key(0))
    for leaf in jax.tree.leaves(levels):
        if leaf.shape[:1] != (batch,):
            raise ValueError(
                f"sample(key, {batch}) must return levels with a leading axis of length {batch}, got a leaf of shape "
                f"{leaf.shape}: vmap a function that makes one level over {batch} keys"
            )
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), levels)
