"""What a rollout's finished episodes say of each level: means, returns, successes.

Steps after an environment's last end belong to no finished episode and do not count anywhere here.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import varying_like

from .protocol import Rollout


def episode_mean(done: jax.Array, values: jax.Array) -> jax.Array:
    """Mean over episodes of the mean over steps, of values (T, B): (B). Every episode counts the same.

    -inf where no episode ended.
    """

    def step(carry, transition):
        total, steps, means, episodes = carry
        ended, value = transition
        total, steps = total + value, steps + 1
        means, episodes = means + jnp.where(ended, total / steps, 0), episodes + ended
        return (jnp.where(ended, 0, total), jnp.where(ended, 0, steps), means, episodes), None

    zeros = varying_like(jnp.zeros(done.shape[1:], jnp.float32), done, values)
    (_, _, means, episodes), _ = jax.lax.scan(step, (zeros,) * 4, (done, values))
    return jnp.where(episodes > 0, means / jnp.maximum(episodes, 1), -jnp.inf)


def episode_returns(rollout: Rollout) -> tuple[jax.Array, jax.Array]:
    """Mean and highest undiscounted return of the episodes that ended (B) each; -inf where none ended."""

    def step(carry, transition):
        total, returns, highest = carry
        ended, reward = transition
        total = total + reward
        returns, highest = returns + jnp.where(ended, total, 0), jnp.where(ended, jnp.maximum(highest, total), highest)
        return (jnp.where(ended, 0, total), returns, highest), None

    zeros = varying_like(jnp.zeros(rollout.done.shape[1:], jnp.float32), rollout.done, rollout.reward)
    (_, returns, highest), _ = jax.lax.scan(step, (zeros, zeros, zeros - jnp.inf), (rollout.done, rollout.reward))
    episodes = rollout.done.sum(axis=0)
    return jnp.where(episodes > 0, returns / jnp.maximum(episodes, 1), -jnp.inf), highest


def highest_return(rollout: Rollout) -> jax.Array:
    """Highest undiscounted return of the episodes that ended (B); 0 where that is negative or none ended.

    The floor of 0 is JaxUED's. Here it says that a level which was only ever lost could at least have been left alone.
    """
    return jnp.maximum(episode_returns(rollout)[1], 0)


def attempts(rollout: Rollout) -> tuple[jax.Array, jax.Array]:
    """Episodes that ended, and those of them that ended at the goal: (ended, solved), (B) int32 each."""
    return rollout.done.sum(axis=0, dtype=jnp.int32), (rollout.done & rollout.goal).sum(axis=0, dtype=jnp.int32)
