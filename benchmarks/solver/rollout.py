"""Many action sequences in many levels at once, and how each of them ended."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.environment import EnvState, KinetixEnv
from kinetix_ued.world import Level


class Outcome(NamedTuple):
    """How episodes ended; every field has the shape (...) of the batch.

    Attributes:
        goal: green touched blue bool
        failure: green touched red, or the state was no longer finite bool
        steps: environment steps until the end int32
        nearest: smallest sum of the green-blue distances after a step [m]
        mean_distance: that sum on the average over the episode [m]
    """

    goal: jax.Array
    failure: jax.Array
    steps: jax.Array
    nearest: jax.Array
    mean_distance: jax.Array


def play(env: KinetixEnv, levels: Level, segments: jax.Array, hold: jax.Array, horizon: jax.Array) -> Outcome:
    """Play B action sequences, each in its own level. Traceable.

    A scene whose episode has ended is emptied, so that the engine passes over it, and all stops when none is left.

    Args:
        env: with multi-discrete actions.
        levels: B levels of its size.
        segments: (B, S, 6) actions, each held for some steps; after the last one nothing is pressed.
        hold: (B) environment steps that a segment lasts.
        horizon: (B) steps after which an episode is cut off; at most ``env.max_steps``.
    """
    batch, count = segments.shape[:2]
    params = env.default_params
    first = jax.vmap(env.reset_env_to_level, in_axes=(None, 0, None))(jax.random.key(0), levels, params)[1]
    limit = jnp.minimum(horizon, env.max_steps)
    nothing = jnp.zeros(segments.shape[-1], segments.dtype)

    def step(carry: tuple) -> tuple:
        time, state, playing, outcome, total = carry
        index = time // hold
        action = jnp.take_along_axis(segments, jnp.minimum(index, count - 1)[:, None, None], axis=1)[:, 0]
        action = jnp.where((index < count)[:, None], action, nothing).astype(env.actions.dtype)
        shown = levels.replace(
            active=levels.active & playing[:, None],
            joint_active=levels.joint_active & playing[:, None],
            thruster_active=levels.thruster_active & playing[:, None],
        )
        state = EnvState(shown, *state)
        state, _, _, info = jax.vmap(env.advance, in_axes=(0, 0, None))(state, action, params)
        distance = info["distance"]
        now = Outcome(
            goal=outcome.goal | (playing & info["goal"]),
            failure=outcome.failure | (playing & (info["failure"] | info["nonfinite"])),
            steps=outcome.steps + playing,
            nearest=jnp.where(playing, jnp.minimum(outcome.nearest, distance), outcome.nearest),
            mean_distance=outcome.mean_distance,
        )
        total = total + jnp.where(playing, distance, 0.0)
        playing = playing & ~info["terminated"] & (time + 1 < limit)
        return time + 1, (state.world, state.time, state.last_distance), playing, now, total

    start = Outcome(
        goal=jnp.zeros(batch, bool),
        failure=jnp.zeros(batch, bool),
        steps=jnp.zeros(batch, jnp.int32),
        nearest=jnp.full(batch, jnp.inf, jnp.float32),
        mean_distance=jnp.zeros(batch, jnp.float32),
    )
    total = jnp.zeros(batch, jnp.float32)
    carry = jnp.int32(0), (first.world, first.time, first.last_distance), limit > 0, start, total
    _, _, _, outcome, total = jax.lax.while_loop(lambda carry: carry[2].any(), step, carry)
    return outcome._replace(mean_distance=total / jnp.maximum(outcome.steps, 1))
