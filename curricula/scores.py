"""Scores: how much a level that was just played deserves another visit.

A score is a function ``(rollout, extras) -> (scores (B), extras)``, one score per environment and so per level, with
the extras a level starts with: what the score must remember of a level between visits, any pytree. A level none of
whose episodes ended within the rollout scores -inf, which the level buffer reads as "nothing was measured".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .protocol import Rollout


class Score(NamedTuple):
    """A score, as a curriculum uses it.

    Attributes:
        evaluate: ``(rollout, extras) -> (scores (B), extras)``; the extras' leaves have a leading axis B
        extras: those of one level that was never played, any pytree
    """

    evaluate: Callable[[Rollout, Any], tuple[jax.Array, Any]]
    extras: Any = ()


def episode_mean(done: jax.Array, values: jax.Array) -> jax.Array:
    """Mean over episodes of the mean over steps, of values (T, B): (B). Every episode counts the same.

    Steps after the last end belong to no finished episode and do not count; -inf where no episode ended.
    """

    def step(carry, transition):
        total, steps, means, episodes = carry
        ended, value = transition
        total, steps = total + value, steps + 1
        means, episodes = means + jnp.where(ended, total / steps, 0), episodes + ended
        return (jnp.where(ended, 0, total), jnp.where(ended, 0, steps), means, episodes), None

    zeros = jnp.zeros(done.shape[1:], jnp.float32)
    (_, _, means, episodes), _ = jax.lax.scan(step, (zeros,) * 4, (done, values))
    return jnp.where(episodes > 0, means / jnp.maximum(episodes, 1), -jnp.inf)


def highest_return(rollout: Rollout) -> jax.Array:
    """Highest undiscounted return of the episodes that ended (B); 0 where that is negative or none ended.

    The floor of 0 is JaxUED's. Here it says that a level which was only ever lost could at least have been left alone.
    """

    def step(carry, transition):
        total, highest = carry
        ended, reward = transition
        total = total + reward
        return (jnp.where(ended, 0, total), jnp.where(ended, jnp.maximum(highest, total), highest)), None

    zeros = jnp.zeros(rollout.done.shape[1:], jnp.float32)
    return jax.lax.scan(step, (zeros, zeros), (rollout.done, rollout.reward))[0][1]


def max_mc(rollout: Rollout, max_returns: jax.Array) -> jax.Array:
    """Maximum Monte Carlo (B): how far the critic stays, on average, below the highest return seen on the level.

    Jiang et al., Replay-Guided Adversarial Environment Design, NeurIPS 2021. ``max_returns`` (B) includes this
    rollout's returns; the average is that of ``episode_mean``.
    """
    return episode_mean(rollout.done, max_returns - rollout.value)


def positive_value_loss(rollout: Rollout) -> jax.Array:
    """Positive value loss (B): the average of the advantage estimates, negative ones counted as 0.

    Jiang et al., Replay-Guided Adversarial Environment Design, NeurIPS 2021; the average is that of ``episode_mean``.
    """
    return episode_mean(rollout.done, jnp.maximum(rollout.advantage, 0))


def _max_mc(rollout: Rollout, extras: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
    max_returns = jnp.maximum(extras["max_return"], highest_return(rollout))
    return max_mc(rollout, max_returns), {"max_return": max_returns}


SCORES: dict[str, Score] = {
    "max_mc": Score(_max_mc, {"max_return": np.float32(0)}),
    "positive_value_loss": Score(lambda rollout, extras: (positive_value_loss(rollout), extras)),
}
"""Every score by name."""


def score_of(score: str | Score | Callable[[Rollout, Any], tuple[jax.Array, Any]]) -> Score:
    """The score of that name; a ``Score`` is returned as it is, a bare function becomes one without extras.

    Raises:
        ValueError: for an unknown name, or something that is none of these.
    """
    if isinstance(score, Score):
        return score
    if callable(score):
        return Score(score)
    if not isinstance(score, str) or score not in SCORES:
        raise ValueError(f"unknown score {score!r}: use one of {', '.join(SCORES)}, a Score or a function")
    return SCORES[score]
