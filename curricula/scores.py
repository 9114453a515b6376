"""Scores: how much a level that was just played deserves another visit.

A score is a function ``(rollout, extras) -> (scores (B), extras)``, one score per environment and so per level, with
the extras a level starts with: what the score must remember of a level between visits, any pytree. A level of which
nothing was measured, mostly because none of its episodes ended within the rollout, scores -inf, and the level buffer
leaves it alone.

"Mean" in the formulas is that of ``level_mean``: over the steps of an episode, then over the episodes that ended, then
over the environments that play the level. The papers average over all steps of a rollout; JaxUED's code and its
forebear minimax average over episodes, as here. A_t is the generalised advantage estimate, V_t the critic's estimate,
both before any update from this rollout.

Where several environments play one level, all of them go into its score and its extras: counts are added, means are
averaged, the highest return is the highest of all. A score gets that by reading the rollout through the functions of
episodes.py, and then gives the same result in the row of each of these environments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .episodes import attempts as count_attempts
from .episodes import episode_returns, highest_return, level_mean
from .protocol import Rollout


class Score(NamedTuple):
    """A score, as a curriculum uses it.

    Attributes:
        evaluate: ``(rollout, extras) -> (scores (B), extras)``; the extras' leaves have a leading axis B
        extras: those of one level that was never played, any pytree
        attempts: how often a new level is attempted before it is offered to a buffer: it is played in as many rollouts
            as that takes, and what its extras remember adds up
    """

    evaluate: Callable[[Rollout, Any], tuple[jax.Array, Any]]
    extras: Any = ()
    attempts: int = 1


def max_mc(rollout: Rollout, max_returns: jax.Array) -> jax.Array:
    """Maximum Monte Carlo (B): mean of R_max - V_t, how far the critic stays below the highest return seen there.

    Jiang et al., Replay-Guided Adversarial Environment Design, NeurIPS 2021. ``max_returns`` (B) includes this
    rollout's returns, undiscounted as in JaxUED, where the paper discounts them.
    """
    return level_mean(rollout, max_returns - rollout.value)


def positive_value_loss(rollout: Rollout) -> jax.Array:
    """Positive value loss (B): mean of max(A_t, 0), by which the critic underestimated what the agent can do.

    Jiang et al., Replay-Guided Adversarial Environment Design, NeurIPS 2021.
    """
    return level_mean(rollout, jnp.maximum(rollout.advantage, 0))


def negative_advantage(rollout: Rollout) -> jax.Array:
    """Negative advantage (B): mean of max(-A_t, 0), by which the agent stayed below what its critic expects of it.

    The counterpart of ``positive_value_loss``: their sum is the L1 value loss, their difference ``mean_advantage``.
    """
    return level_mean(rollout, jnp.maximum(-rollout.advantage, 0))


def l1_value_loss(rollout: Rollout) -> jax.Array:
    """L1 value loss (B): mean of |A_t|, how far off the critic was either way.

    Jiang, Grefenstette and Rocktäschel, Prioritized Level Replay, ICML 2021, whose score it is in all main results. The
    paper calls it "GAE magnitude (L1 value loss)": A_t is the distance of the critic from its own target, so the two
    are one, and ``SCORES`` has it under both names.
    """
    return level_mean(rollout, jnp.abs(rollout.advantage))


def mean_advantage(rollout: Rollout) -> jax.Array:
    """Mean of A_t, with its sign (B): the score "GAE" of Jiang, Grefenstette and Rocktäschel, ICML 2021."""
    return level_mean(rollout, rollout.advantage)


def learnability(solved: jax.Array, ended: jax.Array, squares: jax.Array | None = None) -> jax.Array:
    """p (1 - p) n / (n - 1) of n = ``ended`` episodes, p = ``solved`` / n of them solved (...); -inf where n < 2.

    Rutherford et al., No Regrets: Investigating and Improving Regret Approximations for Curriculum Discovery, NeurIPS
    2024, has p (1 - p), which n attempts underestimate by (n - 1) / n on average: so a level tried often looked better
    than an equal one tried seldom. With the factor it is the unbiased variance of an attempt's outcome.

    Args:
        solved: sum of the weights of the solved attempts (...)
        ended: sum of the weights of all attempts (...)
        squares: sum of the squares of their weights (...); None: every attempt has weight 1. Weighted attempts tell as
            much as their effective sample size n = ``ended`` ** 2 / ``squares``, which takes the place of the number in
            the factor and keeps it unbiased; -inf where n is next to 1.
    """
    total = ended.astype(jnp.float32)
    squares = total if squares is None else squares
    p = solved / jnp.where(total > 0, total, 1)
    degrees = total**2 - squares  # n - 1, times squares
    # One attempt, or others so faded that rounding errors have their size.
    measured = degrees > 1e-3 * squares
    return jnp.where(measured, p * (1 - p) * total**2 / jnp.where(measured, degrees, 1), -jnp.inf)


def regret(rollout: Rollout, *, best: bool = True) -> jax.Array:
    """Regret against the antagonist (B): its highest return (or, unless ``best``, its mean) less the student's mean.

    Dennis et al., Emergent Complexity and Zero-shot Transfer via Unsupervised Environment Design, NeurIPS 2020, is the
    paper of PAIRED: the highest return of the antagonist less the mean of the protagonist. With two means it is the
    mean relative regret of minimax (Jiang et al., 2023), which clips both at 0; here a negative one says that the
    student is ahead. Returns are undiscounted, and floored nowhere. -inf where either of the two finished no episode.
    Where episodes are short more of them fit into a rollout, and the best of more is higher; mean regret does not care.

    Raises:
        ValueError: when the rollout has no antagonist.
    """
    if rollout.antagonist is None:
        raise ValueError(
            "regret compares the student with an antagonist, and this rollout has none: use a curriculum with "
            "students=2, such as student_regret, or another score"
        )
    mean, highest = episode_returns(rollout.antagonist)
    student, _ = episode_returns(rollout)
    found = (highest if best else mean) - student
    return jnp.where(jnp.isfinite(found), found, -jnp.inf)


def learnability_score(memory: float = 1.0, attempts: int = 2) -> Score:
    """``learnability`` over a level's visits, of all their attempts.

    Departure from the paper, which measures it afresh from many attempts: counts add up over visits. One attempt tells
    nothing of a variance, so a new level is played again until it has had ``attempts``; only then is it offered to a
    buffer.

    The extras are sums over attempts, each with a weight that is 1 at first: ``solved`` (of the weights of the solved
    ones), ``attempts`` (of the weights), ``squares`` (of their squares).

    Args:
        memory: share of an attempt's weight that is left at the level's next rollout: 1 counts all attempts alike, 0
            only those of the latest rollout (so it must be long enough for two), between the two the older ones count
            ever less, as the agent that made them is gone
        attempts: at a new level, before it is offered

    Raises:
        ValueError: for a memory outside 0 to 1, or fewer than two attempts.
    """
    if not 0 <= memory <= 1:
        raise ValueError(f"memory is a share, 0 to 1 (1 forgets nothing); got {memory!r}")
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 2:
        raise ValueError(f"learnability takes two attempts to tell: use attempts=2 or more; got {attempts!r}")

    def evaluate(rollout: Rollout, extras: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
        ended, solved = count_attempts(rollout)
        sums = {
            "solved": memory * extras["solved"] + solved,
            "attempts": memory * extras["attempts"] + ended,
            "squares": memory**2 * extras["squares"] + ended,
        }
        return learnability(sums["solved"], sums["attempts"], sums["squares"]), sums

    return Score(evaluate, {"solved": np.float32(0), "attempts": np.float32(0), "squares": np.float32(0)}, attempts)


def _max_mc(rollout: Rollout, extras: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
    max_returns = jnp.maximum(extras["max_return"], highest_return(rollout))
    return max_mc(rollout, max_returns), {"max_return": max_returns}


def _plain(function: Callable[[Rollout], jax.Array]) -> Score:
    """A score that remembers nothing."""
    return Score(lambda rollout, extras: (function(rollout), extras))


SCORES: dict[str, Score] = {
    "max_mc": Score(_max_mc, {"max_return": np.float32(0)}),
    "positive_value_loss": _plain(positive_value_loss),
    "l1_value_loss": _plain(l1_value_loss),
    "gae_magnitude": _plain(l1_value_loss),
    "mean_advantage": _plain(mean_advantage),
    "negative_advantage": _plain(negative_advantage),
    # The agent that made old attempts is gone. At one attempt a visit, it comes to seven in the long run.
    "learnability": learnability_score(0.75),
    "regret": _plain(regret),
    "mean_regret": _plain(lambda rollout: regret(rollout, best=False)),
}
"""Every score by name."""

ANTAGONIST_SCORES = ("regret", "mean_regret")
"""Those that compare the student with an antagonist, and so need a curriculum with two students."""


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
