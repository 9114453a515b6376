"""What curricula over a level buffer share: scoring a batch that was played, and the numbers they report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .buffer import BufferState, LevelBuffer, score_quantiles
from .episodes import attempts as count_attempts
from .protocol import Plan, Rollout
from .sampling import check_batch
from .scores import Score


def check_fits(buffer: LevelBuffer, batch: int) -> None:
    """Raise ValueError unless ``batch`` can be a number of environments and the buffer holds that many levels."""
    check_batch(batch)
    if buffer.capacity < batch:
        raise ValueError(
            f"a buffer of {buffer.capacity} levels is smaller than a batch: raise capacity to at least {batch}"
        )


def known_slots(buffer: LevelBuffer, state: BufferState, levels: Any, slots: jax.Array) -> jax.Array:
    """``slots`` (B), and for levels that came from elsewhere but are in a buffer of ``unique`` levels, the slot there.

    So what a score remembers of a level is not lost when the sampler or an edit makes the same one again.
    """
    return jnp.where(slots >= 0, slots, buffer.find(state, levels)) if buffer.unique else slots


class Trial(NamedTuple):
    """New levels on trial: played again, rollout after rollout, until the score has seen ``Score.attempts`` of them.

    A curriculum holds () instead where its score needs one attempt, which any rollout gives.

    Attributes:
        levels: the last batch (leading axis B)
        extras: of the score, for each of them (leading axis B)
        attempts: at each of them so far; 0 where none is on trial () int32
    """

    levels: Any
    extras: Any
    attempts: jax.Array


def no_trial(score: Score, example: Any, batch: int) -> Trial | tuple[()]:
    """The state before any level is on trial, for levels like ``example``."""
    if score.attempts == 1:
        return ()
    repeat = lambda x: jnp.broadcast_to(jnp.asarray(x), (batch, *jnp.shape(x))).copy()
    return Trial(jax.tree.map(repeat, example), jax.tree.map(repeat, score.extras), jnp.int32(0))


def on_trial(trial: Trial | tuple[()]) -> jax.Array:
    """Whether the last batch is to be played again () bool."""
    return trial.attempts > 0 if trial else jnp.array(False)


def next_batch(
    trial: Trial | tuple[()], choice: jax.Array, branches: Sequence[Callable[[], tuple[Any, jax.Array]]]
) -> tuple[Any, jax.Array]:
    """Levels and slots of the batch on trial, or else what the branch of that number returns; one branch runs."""
    if trial:
        again = lambda: (trial.levels, jnp.full(len(jax.tree.leaves(trial.levels)[0]), -1, jnp.int32))
        choice, branches = jnp.where(on_trial(trial), len(branches), choice), (*branches, again)
    return jax.lax.switch(choice, branches)


def judge(
    trial: Trial | tuple[()], score: Score, rollout: Rollout, plan: Plan, levels: Any, extras: Any
) -> tuple[jax.Array, Trial | tuple[()]]:
    """Whether the batch just played can be offered to the buffer, as far as it is new () bool; and the next state."""
    if not trial:
        return jnp.array(True), ()
    ended, _ = count_attempts(rollout)
    # A rollout in which some level's episode did not end counts too, or it might be played for ever.
    seen = trial.attempts + jnp.maximum(ended.min(), 1)
    again = (plan.slots < 0).any() & (seen < score.attempts)
    return ~again, Trial(levels, extras, jnp.where(again, seen, 0))


def evaluate(
    score: Score, rollout: Rollout, slots: jax.Array, remembered: Any, trial: Trial | tuple[()]
) -> tuple[jax.Array, Any]:
    """Scores (B) of the levels just played, and the score's extras for each (leading axis B).

    Args:
        score: what to evaluate
        rollout: of B environments, as ``pooled`` returns it
        slots: buffer slot of each level (B); a level without one, -1, starts with the score's first extras
        remembered: the score's extras of ``slots`` (leading axis B)
        trial: what is known of levels without a slot

    Raises:
        ValueError: for a score that does not return one number per level.
    """
    first = select(on_trial(trial), trial.extras, score.extras) if trial else score.extras
    scores, extras = score.evaluate(rollout, select(slots >= 0, remembered, first))
    if scores.shape != slots.shape:
        raise ValueError(f"a score must return one number per level, shape {slots.shape}; got {scores.shape}")
    return scores, extras


def pooled(rollout: Rollout, group: jax.Array) -> Rollout:
    """The rollout, and that of its antagonist, with the rows of a group (B) as one level: see ``LevelBuffer.group``."""
    rollout = rollout._replace(group=group)
    if rollout.antagonist is None:
        return rollout
    return rollout._replace(antagonist=pooled(rollout.antagonist, group))


def select(where: jax.Array, yes: Any, no: Any) -> Any:
    """Leaf by leaf, ``yes`` (B, ...) where ``where``, (B) or (), holds, and ``no`` elsewhere: rows, or one for all."""
    along = lambda y: where.reshape(where.shape + (1,) * (y.ndim - where.ndim))
    return jax.tree.map(lambda y, n: jnp.where(along(y), y, n), yes, no)


def replay_metrics(
    buffer: LevelBuffer, state: BufferState, scores: jax.Array, slots: jax.Array, inserted: jax.Array
) -> dict[str, jax.Array]:
    """Numbers of an update, all of them finite scalars.

    - ``buffer_size``; ``buffer_score_p10``, ``_p50``, ``_p90`` over the filled slots (0 while there are none)
    - ``staleness_mean``: levels seen since a buffered level was last played, mean over the filled slots
    - ``replayed``: 1 for a batch from the buffer, 0 for another
    - ``score_mean``, ``score_max``: of the batch, over the levels that were measured (0 if there are none)
    - ``scored``: share of the batch's levels that were measured
    - ``inserted``: levels of this batch that entered the buffer

    Args:
        buffer: its settings
        state: after the update
        scores: of the batch (B); not finite where nothing was measured
        slots: buffer slot of each level of the batch (B), -1 for none
        inserted: levels that ever entered the buffer, before the update () int32
    """
    low, median, high = score_quantiles(state, (0.1, 0.5, 0.9))
    finite = jnp.isfinite(scores)
    count = finite.sum()
    return {
        "buffer_size": state.size,
        "buffer_score_p10": low,
        "buffer_score_p50": median,
        "buffer_score_p90": high,
        "staleness_mean": buffer.staleness(state).sum() / jnp.maximum(state.size, 1),
        "replayed": (slots >= 0).any().astype(jnp.int32),
        "score_mean": jnp.where(finite, scores, 0).sum() / jnp.maximum(count, 1),
        "score_max": jnp.where(count > 0, jnp.max(scores, where=finite, initial=-jnp.inf), 0),
        "scored": finite.mean(),
        "inserted": state.inserted - inserted,
    }
