"""Generalised advantage estimation, the only one of this package."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import varying_like


def generalised_advantages(
    reward: jax.Array,
    done: jax.Array,
    value: jax.Array,
    last_value: jax.Array,
    gamma: float,
    lambda_: float,
    truncated: jax.Array | None = None,
) -> jax.Array:
    """Advantage estimates (T, B) of T steps in B environments (Schulman et al. 2016, arXiv:1506.02438).

    ``done[t]`` is true when the transition at t ended its episode: nothing after t counts for it, and value[t + 1]
    belongs to another episode. A step limit ends an episode like a rule does, as in the reference. Nothing crosses an
    end, not even a NaN.

    Args:
        reward: of the transition at t (T, B)
        done: it ended its episode (T, B) bool
        value: the critic's estimate before it (T, B)
        last_value: the critic's estimate after the last transition (B)
        gamma: discount of one step
        lambda_: 0 trusts the critic after one step, 1 uses all rewards there are
        truncated: the transition ended its episode at the step limit alone (T, B) bool. Such an episode counts as one that
            would have gone on: the value before the transition stands for that after it, which nobody observed (as in
            rsl_rl and rl_games). None: the step limit is an end like any other
    """

    def step(carry: tuple[jax.Array, jax.Array], transition: tuple[jax.Array, ...]):
        next_advantage, next_value = carry
        reward, done, value, *cut = transition
        ended = jnp.where(cut[0], gamma * value, 0.0) if cut else 0.0
        future = jnp.where(done, ended, gamma * (next_value + lambda_ * next_advantage))
        advantage = reward + future - value
        return (advantage, value), advantage

    start = varying_like((jnp.zeros_like(last_value), last_value), last_value, reward, done, value)
    transitions = (reward, done, value) if truncated is None else (reward, done, value, truncated)
    return jax.lax.scan(step, start, transitions, reverse=True)[1]
