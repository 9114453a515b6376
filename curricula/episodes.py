"""What a rollout's episodes say of each level: attempts, solved ones, means and returns.

Only episodes that began on the level at hand (``rollout.own``) say anything of it. Attempts are counted where they are
sure to have ended within the rollout (``eligible``), so that counts may be added up; means and maxima are taken over
all that ended. Environments that play the same level (``rollout.group``) are one: counts are added, means averaged, the
highest return is the highest of all, and each of them gets the level's number.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import varying_like

from .groups import group_max, group_mean, group_sum
from .protocol import Rollout


def eligible(rollout: Rollout) -> jax.Array:
    """Transitions (T, B) of episodes that count as attempts: the first T // max_steps of each environment, if its own.

    These end within the rollout, however they go. Of the later ones the quick ends are seen and the slow ones cut off,
    so a rollout that is won early counts more episodes than one that is lost late, and a sum over rollouts leans
    towards wins. Counting all that began max_steps before the end leans the other way: how many there are depends on
    how the earlier ones went. The first T // max_steps are as many for every level, and their share of wins is unbiased.

    Where no ``max_steps`` is known every episode counts.
    """
    own = _own(rollout)
    if rollout.max_steps is None:
        return own
    before = jnp.cumsum(rollout.done, axis=0, dtype=jnp.int32) - rollout.done  # episodes that ended before
    return own & (before < len(rollout.done) // rollout.max_steps)


def episode_mean(done: jax.Array, values: jax.Array, own: jax.Array | None = None) -> jax.Array:
    """Mean over episodes of the mean over steps, of values (T, B): (B). Every episode counts the same.

    -inf where no episode ended. ``own`` (T, B) says which episodes count at all; None: all.

    Although a rollout holds more of the quick episodes than of the slow ones, the mean over those that ended in one
    environment is unbiased if at least one is sure to end: of a given number of episodes that fit in, each is as likely
    to be any of them, the first included.
    """

    def step(carry, transition):
        total, steps, means, episodes = carry
        ended, counts, value = transition
        total, steps = total + value, steps + 1
        means, episodes = means + jnp.where(counts, total / steps, 0), episodes + counts
        return (jnp.where(ended, 0, total), jnp.where(ended, 0, steps), means, episodes), None

    counts = done if own is None else done & own
    zeros = varying_like(jnp.zeros(done.shape[1:], jnp.float32), counts, values)
    (_, _, means, episodes), _ = jax.lax.scan(step, (zeros,) * 4, (done, counts, values))
    return jnp.where(episodes > 0, means / jnp.maximum(episodes, 1), -jnp.inf)


def level_mean(rollout: Rollout, values: jax.Array) -> jax.Array:
    """``episode_mean`` of values (T, B) on each environment's level (B), averaged over the environments that play it.

    -inf where no episode of the level was sure to end: of what ended nevertheless the mean would be one of quick ends.
    """
    return _over_environments(rollout, episode_mean(rollout.done, values, rollout.own))


def episode_returns(rollout: Rollout) -> tuple[jax.Array, jax.Array]:
    """Mean and highest undiscounted return of the episodes that ended on each level (B) each; -inf where none ended.

    The mean is -inf too where no episode was sure to end, see ``level_mean``.
    """

    def step(carry, transition):
        total, returns, highest = carry
        ended, counts, reward = transition
        total = total + reward
        returns = returns + jnp.where(counts, total, 0)
        highest = jnp.where(counts, jnp.maximum(highest, total), highest)
        return (jnp.where(ended, 0, total), returns, highest), None

    counts = rollout.done & _own(rollout)
    zeros = varying_like(jnp.zeros(rollout.done.shape[1:], jnp.float32), counts, rollout.reward)
    transitions = (rollout.done, counts, rollout.reward)
    (_, returns, highest), _ = jax.lax.scan(step, (zeros, zeros, zeros - jnp.inf), transitions)
    episodes = counts.sum(axis=0)
    mean = _over_environments(rollout, jnp.where(episodes > 0, returns / jnp.maximum(episodes, 1), -jnp.inf))
    return mean, highest if rollout.group is None else group_max(highest, rollout.group)


def highest_return(rollout: Rollout) -> jax.Array:
    """Highest undiscounted return of the episodes that ended on each level (B); 0 where it is negative or none ended.

    The floor of 0 is JaxUED's. Here it says that a level which was only ever lost could at least have been left alone.
    """
    return jnp.maximum(episode_returns(rollout)[1], 0)


def attempts(rollout: Rollout) -> tuple[jax.Array, jax.Array]:
    """Attempts at each level (``eligible``), and those that ended at the goal: (ended, solved), (B) int32 each.

    A time-out is an end, unsolved.
    """
    ends = rollout.done & eligible(rollout)
    ended, solved = ends.sum(axis=0, dtype=jnp.int32), (ends & rollout.goal).sum(axis=0, dtype=jnp.int32)
    if rollout.group is not None:
        ended, solved = group_sum(ended, rollout.group), group_sum(solved, rollout.group)
    return ended, solved


def _own(rollout: Rollout) -> jax.Array:
    return jnp.ones_like(rollout.done) if rollout.own is None else rollout.own


def _over_environments(rollout: Rollout, means: jax.Array) -> jax.Array:
    """The mean of each environment's mean (B) over those that play its level and are sure to have ended an episode."""
    sure = (rollout.done & eligible(rollout)).any(axis=0)
    if rollout.group is not None:
        means, sure = group_mean(means, sure, rollout.group), group_max(sure.astype(jnp.int32), rollout.group) > 0
    return jnp.where(sure, means, -jnp.inf)
