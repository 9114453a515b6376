"""NCC: a distribution over the levels of the buffer that is itself learned, by gradient ascent on their scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .buffer import BufferState, LevelBuffer
from .checks import check_number
from .priorities import normalise
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


class NccState(NamedTuple):
    """State of ``ncc``, for a buffer of C slots.

    Attributes:
        buffer: the level buffer; its extras are those of the score
        distribution: the adversary's strategy y: 0 in empty slots, sums to 1 unless the buffer is empty (C)
        trial: new levels of which the score has not seen enough, see ``Trial``
    """

    buffer: BufferState
    distribution: jax.Array
    trial: Trial | tuple[()]


def ncc(
    sample: Sampler,
    batch: int,
    *,
    buffer: LevelBuffer = LevelBuffer(),
    score: str | Score | Callable = "learnability",
    step_size: float = 2.0,
    entropy: float = 0.05,
) -> Curriculum:
    """Learn which levels to replay (Monette et al., An Optimisation Framework for UED, RLC 2025; arXiv:2505.20659).

    Agent and adversary play min over policies, max over distributions y on the buffer's slots, of

        sum_i y_i s_i + entropy * H(y),    s_i the score of slot i under the policy, H Shannon's entropy.

    The entropy makes the adversary's side strongly concave. After every replayed batch y takes one ascent step,

        y_i  becomes proportional to  y_i ** (1 - step_size * entropy) * exp(step_size * s_i),

    which is y_i exp(step_size * gradient_i), normalised: exponentiated gradient. With scores that stand still it goes
    to y_i proportional to exp(s_i / entropy), a share 1 - step_size * entropy of the way (in logarithms) left at every
    step. ``entropy`` is in units of the score: 0.05 suits learnability, whose scale is 1/4; raise it for returns.

    Updates are new or replayed as in ``robust_plr``: new levels are played without gradients and offered to the
    buffer; the agent learns from replayed ones only. A replay draws from (1 - c) y + c staleness weights, c being the
    buffer's ``staleness_coefficient``. A level that enters gets the probability 1 / size, and the others shrink in
    proportion. The buffer's ``prioritisation`` matters only for which level leaves.

    Departures from the authors' code:

    - The step is that of the entropy's own geometry; theirs is a Euclidean one, with a step size from TiAda,
      projected onto the simplex with a floor of 1e-5. No projection is needed here, and no probability reaches 0.
    - Scores are renewed for the levels that were replayed, from the rollouts that are learned from; others keep
      the score of their last visit. Theirs plays the whole buffer for its scores at every step, which at 4000 levels
      costs more than the learning; drawing by staleness, as they do too, bounds the age of a score here.
    - New levels take turns with replays by ``replay_probability``, and are played in as many updates as the score needs
      attempts (learnability two); there some are tried at every step, with many attempts each. A newcomer there
      inherits the probability of the slot it takes, which may be next to nothing.
    - The policy's step is whatever the training loop does; the paper's convergence proof is for its own two step sizes.

    The state is an ``NccState``. Metrics: ``replay.replay_metrics``, and of y: ``distribution_entropy`` [nat],
    ``distribution_effective``: exp of it, the number of levels it is spread over, ``distribution_max``, and
    ``distribution_score``: the mean score under it.

    Args:
        sample: ``sample(key, n)``: n new levels; not called for a replay
        batch: levels, and so environments, of an update
        buffer: its size, and how often it is replayed
        score: a name in ``SCORES``, a ``Score``, or a function ``(rollout, extras) -> (scores, extras)``
        step_size: of the ascent [1 / score]
        entropy: weight of the entropy [score]

    Raises:
        ValueError: for a batch that does not fit the buffer, an unknown score, or a step that overshoots.
    """
    check_fits(buffer, batch)
    score = score_of(score)
    check_number("step_size", step_size)
    check_number("entropy", entropy)
    if not (step_size > 0 and entropy > 0 and step_size * entropy <= 1):
        raise ValueError(
            "step_size and entropy must be above 0 and their product at most 1, or a step overshoots; "
            f"got {step_size!r} and {entropy!r}: lower step_size"
        )

    def init(key: jax.Array) -> NccState:
        example = example_level(sample, batch)
        held, trial = buffer.init(example, score.extras), no_trial(score, example, batch)
        return NccState(held, jnp.zeros(buffer.capacity, jnp.float32), trial)

    def propose(key: jax.Array, state: NccState):
        key_decide, key_levels = jax.random.split(key)
        replay = ~on_trial(state.trial) & buffer.decide(key_decide, state.buffer)

        def old():
            stale, share = buffer.staleness(state.buffer), buffer.staleness_coefficient
            # Where nothing is stale the staleness' share goes to y.
            weights = (1 - share) * state.distribution + share * normalise(stale)
            weights = jnp.where(stale.max() > 0, weights, state.distribution)
            _, slots, levels = buffer.sample(key_levels, state.buffer, batch, weights)
            return levels, slots

        def new():
            return sample(key_levels, batch), jnp.full(batch, -1, jnp.int32)

        levels, slots = next_batch(state.trial, replay.astype(jnp.int32), (new, old))
        sampled = jnp.where(replay | on_trial(state.trial), 0, batch).astype(jnp.int32)
        return levels, Plan(learn=replay, restart=jnp.array(True), slots=slots, sampled=sampled)

    def update(state: NccState, levels: Any, rollout: Rollout, plan: Plan):
        before, replayed = state.buffer, plan.slots >= 0
        slots = known_slots(buffer, before, levels, plan.slots)
        rollout = pooled(rollout, buffer.group(levels, slots))
        scores, extras = evaluate(score, rollout, slots, buffer.get(before.extras, slots), state.trial)
        offered, trial = judge(state.trial, score, rollout, plan, levels, extras)
        held = buffer.touch(before, slots)
        held = buffer.update(held, slots, scores, extras)
        held, entered = buffer.insert(held, levels, scores, extras, where=(slots < 0) & offered)
        distribution = admit(state.distribution, held, entered)
        distribution = jnp.where(replayed.any(), ascend(distribution, held), distribution)
        metrics = replay_metrics(buffer, held, scores, plan.slots, before.inserted)
        return NccState(held, distribution, trial), metrics | spread(distribution, held)

    def admit(distribution: jax.Array, held: BufferState, entered: jax.Array) -> jax.Array:
        """``distribution`` (C) after levels came into the slots ``entered`` (B), -1 for none."""
        place = jnp.where(entered >= 0, entered, buffer.capacity)
        newcomer = jnp.zeros(buffer.capacity, bool).at[place].set(True, mode="drop")
        size = jnp.maximum(held.size, 1).astype(jnp.float32)
        rest = normalise(jnp.where(newcomer, 0, distribution)) * (1 - newcomer.sum() / size)
        return normalise(jnp.where(newcomer, 1 / size, rest))

    def ascend(distribution: jax.Array, held: BufferState) -> jax.Array:
        """``distribution`` (C) after one step."""
        # The smallest number keeps the logarithm finite; ascent lifts such a level up again.
        logarithm = jnp.log(jnp.maximum(distribution, jnp.finfo(jnp.float32).tiny))
        filled = buffer.filled(held)
        logits = (1 - step_size * entropy) * logarithm + step_size * jnp.where(filled, held.score, 0)
        highest = jnp.max(logits, where=filled, initial=jnp.finfo(jnp.float32).min)
        return normalise(jnp.where(filled, jnp.exp(logits - highest), 0))

    def spread(distribution: jax.Array, held: BufferState) -> dict[str, jax.Array]:
        logarithm = jnp.log(jnp.where(distribution > 0, distribution, 1))
        total = -(distribution * logarithm).sum()
        return {
            "distribution_entropy": total,
            "distribution_effective": jnp.exp(total),
            "distribution_max": distribution.max(),
            "distribution_score": (distribution * jnp.where(buffer.filled(held), held.score, 0)).sum(),
        }

    return Curriculum(init, propose, update)
