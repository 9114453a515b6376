"""What curricula over a level buffer share: scoring a batch that was played, and the numbers they report."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from .buffer import BufferState, LevelBuffer, score_quantiles
from .protocol import Rollout
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


def evaluate(score: Score, rollout: Rollout, slots: jax.Array, remembered: Any) -> tuple[jax.Array, Any]:
    """Scores (B) of the levels just played, and the score's extras for each (leading axis B).

    Args:
        score: what to evaluate
        rollout: of B environments
        slots: buffer slot of each level (B); a level without one, -1, starts with the score's first extras
        remembered: the score's extras of ``slots`` (leading axis B)

    Raises:
        ValueError: for a score that does not return one number per level.
    """
    extras = select(slots >= 0, remembered, score.extras)
    scores, extras = score.evaluate(rollout, extras)
    if scores.shape != slots.shape:
        raise ValueError(f"a score must return one number per level, shape {slots.shape}; got {scores.shape}")
    return scores, extras


def select(where: jax.Array, yes: Any, no: Any) -> Any:
    """Leaf by leaf, rows of ``yes`` (B, ...) where ``where`` (B) holds, of ``no`` elsewhere: rows, or one for all."""
    return jax.tree.map(lambda y, n: jnp.where(where.reshape(-1, *[1] * (y.ndim - 1)), y, n), yes, no)


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
