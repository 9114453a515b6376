"""What a rollout's episodes say of each level: attempts, solved ones, means and returns.

An episode counts where it began on the level at hand (``rollout.own``) and is sure to have ended within the rollout
whatever its outcome (``eligible``). Environments that play the same level (``rollout.group``) are one: their episodes
are pooled, and each of them gets the level's number.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import varying_like

from .groups import group_max, group_sum
from .protocol import Rollout


def eligible(rollout: Rollout) -> jax.Array:
    """Transitions (T, B) of episodes that may count: the first T // max_steps of each environment, on its own level.

    These end within the rollout, however they go. Of the later ones quick ends are seen and slow ends are cut off, so
    that a level won early and lost late would look easier than it is. How many begin early enough to end anyway depends
    on the outcomes before, and weighs levels by these; the first T // max_steps are the same number for every level, and
    their share of wins is unbiased. Where no ``max_steps`` is known every episode may count.
    """
    own = jnp.ones_like(rollout.done) if rollout.own is None else rollout.own
    if rollout.max_steps is None:
        return own
    before = jnp.cumsum(rollout.done, axis=0, dtype=jnp.int32) - rollout.done  # episodes that ended before
    return own & (before < len(rollout.done) // rollout.max_steps)


def episode_mean(done: jax.Array, values: jax.Array, counts: jax.Array | None = None) -> jax.Array:
    """Mean over episodes of the mean over steps, of values (T, B): (B). Every episode counts the same.

    -inf where no episode ended. ``counts`` (T, B) says which episodes count at all, see ``eligible``; None: all.
    """
    total, episodes = _episode_means(done, values, counts)
    return jnp.where(episodes > 0, total / jnp.maximum(episodes, 1), -jnp.inf)


def level_mean(rollout: Rollout, values: jax.Array) -> jax.Array:
    """``episode_mean`` of values (T, B) over all eligible episodes on each environment's level (B)."""
    total, episodes = _episode_means(rollout.done, values, eligible(rollout))
    if rollout.group is not None:
        total, episodes = group_sum(total, rollout.group), group_sum(episodes, rollout.group)
    return jnp.where(episodes > 0, total / jnp.maximum(episodes, 1), -jnp.inf)


def episode_returns(rollout: Rollout) -> tuple[jax.Array, jax.Array]:
    """Mean and highest undiscounted return of the eligible episodes on each level (B) each; -inf where there are none."""
    total, highest, episodes = _returns(rollout, eligible(rollout))
    return jnp.where(episodes > 0, total / jnp.maximum(episodes, 1), -jnp.inf), highest


def highest_return(rollout: Rollout) -> jax.Array:
    """Highest undiscounted return of all episodes that ended on each level (B); 0 where it is negative or none ended.

    Here an episode need not be eligible: a return that was reached can be reached. The floor of 0 is JaxUED's. It says
    that a level which was only ever lost could at least have been left alone.
    """
    return jnp.maximum(_returns(rollout, rollout.own)[1], 0)


def attempts(rollout: Rollout) -> tuple[jax.Array, jax.Array]:
    """Eligible episodes on each level, and those that ended at the goal: (ended, solved), (B) int32 each.

    A time-out is an end, unsolved.
    """
    ends = rollout.done & eligible(rollout)
    ended, solved = ends.sum(axis=0, dtype=jnp.int32), (ends & rollout.goal).sum(axis=0, dtype=jnp.int32)
    if rollout.group is not None:
        ended, solved = group_sum(ended, rollout.group), group_sum(solved, rollout.group)
    return ended, solved


def _episode_means(done: jax.Array, values: jax.Array, counts: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Sum over episodes of their means over steps, and the number of episodes, (B) float32 each."""

    def step(carry, transition):
        total, steps, means, episodes = carry
        ended, counted, value = transition
        total, steps = total + value, steps + 1
        means, episodes = means + jnp.where(counted, total / steps, 0), episodes + counted
        return (jnp.where(ended, 0, total), jnp.where(ended, 0, steps), means, episodes), None

    counted = done if counts is None else done & counts
    zeros = varying_like(jnp.zeros(done.shape[1:], jnp.float32), counted, values)
    (_, _, means, episodes), _ = jax.lax.scan(step, (zeros,) * 4, (done, counted, values))
    return means, episodes


def _returns(rollout: Rollout, counts: jax.Array | None) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sum and maximum of the returns of the episodes that count on each level, and their number, (B) each."""

    def step(carry, transition):
        total, returns, highest = carry
        ended, counted, reward = transition
        total = total + reward
        returns = returns + jnp.where(counted, total, 0)
        highest = jnp.where(counted, jnp.maximum(highest, total), highest)
        return (jnp.where(ended, 0, total), returns, highest), None

    counted = rollout.done if counts is None else rollout.done & counts
    zeros = varying_like(jnp.zeros(rollout.done.shape[1:], jnp.float32), counted, rollout.reward)
    transitions = (rollout.done, counted, rollout.reward)
    (_, returns, highest), _ = jax.lax.scan(step, (zeros, zeros, zeros - jnp.inf), transitions)
    episodes = counted.sum(axis=0, dtype=jnp.int32)
    if rollout.group is not None:
        returns, episodes = group_sum(returns, rollout.group), group_sum(episodes, rollout.group)
        highest = group_max(highest, rollout.group)
    return returns, highest, episodes
