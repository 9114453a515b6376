"""Prioritised level replay (PLR), and its robust form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .buffer import BufferState, LevelBuffer
from .protocol import Curriculum, Plan, Rollout
from .replay import (
    Trial,
    check_fits,
    evaluate,
    judge,
    known_slots,
    next_batch,
    no_trial,
    on_trial,
    pooled,
    replay_metrics,
)
from .sampling import Sampler, example_level
from .scores import Score, score_of


class PlrState(NamedTuple):
    """State of ``plr``.

    Attributes:
        buffer: the level buffer; its extras are those of the score
        trial: new levels of which the score has not seen enough, see ``Trial``
    """

    buffer: BufferState
    trial: Trial | tuple[()]


def plr(
    sample: Sampler,
    batch: int,
    *,
    buffer: LevelBuffer = LevelBuffer(),
    score: str | Score | Callable = "max_mc",
    robust: bool = False,
) -> Curriculum:
    """Replay the levels on which there is most left to learn (Jiang, Grefenstette and Rocktäschel, ICML 2021).

    Each update plays either ``batch`` new levels from ``sample``, which the buffer then takes in by their scores, or,
    with the buffer's ``replay_probability`` once it is full enough, ``batch`` levels drawn from it by their replay
    weights, whose scores are then renewed. Every environment starts its level when the rollout starts and repeats it.

    With ``robust`` the plan of a batch of new levels says ``learn=False``: a loop plays such a batch to score it,
    counts its steps, and leaves the parameters alone, so the agent learns from replayed levels only (Jiang et al.,
    Replay-Guided Adversarial Environment Design, NeurIPS 2021). Until the buffer is ready nothing is learned at all.

    A score that needs several attempts at a level (``Score.attempts``: learnability needs two) has a batch of new
    levels played again in the next updates until it has them; then the buffer takes them in.

    Departures from the papers, all shared with JaxUED's version: a whole batch is new or replayed, not each episode
    by itself; new levels are endless, so the probability of a replay is a constant, not the share of a training set
    already seen; the default score is MaxMC, of the second paper. Departures from JaxUED: those of ``LevelBuffer``.

    The state is a ``PlrState``. Metrics: ``replay.replay_metrics``.

    Args:
        sample: ``sample(key, n)``: n new levels; not called for a replay
        batch: levels, and so environments, of an update
        buffer: its size and priorities
        score: a name in ``SCORES``, a ``Score``, or a function ``(rollout, extras) -> (scores, extras)``
        robust: learn from replayed levels only

    Raises:
        ValueError: for a batch that does not fit the buffer, or an unknown score.
    """
    check_fits(buffer, batch)
    score = score_of(score)

    def init(key: jax.Array) -> PlrState:
        example = example_level(sample, batch)
        return PlrState(buffer.init(example, score.extras), no_trial(score, example, batch))

    def propose(key: jax.Array, state: PlrState):
        key_decide, key_levels = jax.random.split(key)
        replay = ~on_trial(state.trial) & buffer.decide(key_decide, state.buffer)

        def old():
            _, slots, levels = buffer.sample(key_levels, state.buffer, batch)
            return levels, slots

        def new():
            return sample(key_levels, batch), jnp.full(batch, -1, jnp.int32)

        # One branch runs: a replay costs no level generation.
        levels, slots = next_batch(state.trial, replay.astype(jnp.int32), (new, old))
        sampled = jnp.where(replay | on_trial(state.trial), 0, batch).astype(jnp.int32)
        learn = replay if robust else jnp.array(True)
        return levels, Plan(learn=learn, restart=jnp.array(True), slots=slots, sampled=sampled)

    def update(state: PlrState, levels: Any, rollout: Rollout, plan: Plan):
        held, inserted = state.buffer, state.buffer.inserted
        slots = known_slots(buffer, held, levels, plan.slots)
        rollout = pooled(rollout, buffer.group(levels, slots))
        scores, extras = evaluate(score, rollout, slots, buffer.get(held.extras, slots), state.trial)
        offered, trial = judge(state.trial, score, rollout, plan, levels, extras)
        # Of these three, the first two do nothing to a new batch and the last does nothing to a replayed one. No
        # lax.cond: it might copy the whole buffer where the branches change it in place.
        held = buffer.touch(held, slots)
        held = buffer.update(held, slots, scores, extras)
        held, _ = buffer.insert(held, levels, scores, extras, where=(slots < 0) & offered)
        return PlrState(held, trial), replay_metrics(buffer, held, scores, plan.slots, inserted)

    return Curriculum(init, propose, update)


def robust_plr(
    sample: Sampler, batch: int, *, buffer: LevelBuffer = LevelBuffer(), score: str | Score | Callable = "max_mc"
) -> Curriculum:
    """``plr`` that learns from replayed levels only (Jiang et al., NeurIPS 2021): see there."""
    return plr(sample, batch, buffer=buffer, score=score, robust=True)
