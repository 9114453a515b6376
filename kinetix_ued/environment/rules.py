"""The rules of the game: what a step is worth and when an episode ends."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.world import TOUCH_FAILURE, TOUCH_GOAL, Frames, WorldState

NO_DISTANCE = -1.0
"""Stands for the distance before the first step of an episode; true distances are never negative."""


class Verdict(NamedTuple):
    """What the frames of one step decided.

    Attributes:
        goal: green touched blue, and not red in the same frame () bool
        failure: green touched red () bool
        distance: sum of the green-blue distances after the deciding frame, or after the last [m] ()
    """

    goal: jax.Array
    failure: jax.Array
    distance: jax.Array


def judge(frames: Frames) -> Verdict:
    """The verdict over one step: the first frame with a touch decides, and failure before goal within a frame."""
    count = frames.touch.shape[0]
    touched = frames.touch != 0
    deciding = jnp.where(touched.any(), jnp.argmax(touched), count - 1)
    chosen = jnp.arange(count) == deciding
    touch = jnp.where(chosen, frames.touch, 0).sum(dtype=jnp.int32)
    failure = (touch & TOUCH_FAILURE) != 0
    return Verdict(
        goal=((touch & TOUCH_GOAL) != 0) & ~failure,
        failure=failure,
        distance=jnp.where(chosen, frames.distance, 0.0).sum(),
    )


def dense_reward(distance: jax.Array, last_distance: jax.Array, scale: jax.Array) -> jax.Array:
    """What coming closer is worth (): ``-scale * (distance - last_distance)``.

    Zero on the first step of an episode, without a scale, and where the result would not be finite.
    """
    gain = -(distance - last_distance) * scale
    return jnp.where((last_distance == NO_DISTANCE) | (scale == 0.0) | ~jnp.isfinite(gain), 0.0, gain)


def nonfinite(world: WorldState) -> jax.Array:
    """Whether anything in the state is infinite or not a number ()."""
    floats = [x for x in jax.tree.leaves(world) if jnp.issubdtype(x.dtype, jnp.floating)]
    return ~jnp.stack([jnp.isfinite(x).all() for x in floats]).all()
