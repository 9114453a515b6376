"""SFL, sampling for learnability: search many levels now and then for those that are solved sometimes; play them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .buffer import BufferState, LevelBuffer, score_quantiles
from .checks import check_count, check_flag, check_number
from .episodes import attempts
from .protocol import Curriculum, Plan, Rollout
from .sampling import Sampler, check_batch, example_level
from .scores import learnability


class SflState(NamedTuple):
    """State of ``sfl``, for B environments.

    Attributes:
        kept: the levels of the last scoring pass, or of this one so far; their extras are the solve rate ()
        levels: the last batch: it is played again while it is being scored (leading axis B)
        ended: attempts so far at each level of the batch being scored (B) int32
        solved: of these, how many reached the goal (B) int32
        step: updates since the last scoring pass began () int32
    """

    kept: BufferState
    levels: Any
    ended: jax.Array
    solved: jax.Array
    step: jax.Array


def sfl(
    sample: Sampler,
    batch: int,
    *,
    scored_levels: int = 12288,
    scoring_rollouts: int = 2,
    kept_levels: int = 1024,
    refresh_every: int = 128,
    replayed_share: float = 0.5,
    by_score: bool = False,
    solved_bonus: float = 0.001,
) -> Curriculum:
    """Play levels that the agent solves sometimes (Rutherford et al., No Regrets, NeurIPS 2024), in cycles of two.

    1. A scoring pass: ``scored_levels`` new levels, ``batch`` at a time, are played without gradients. Each batch is
       proposed ``scoring_rollouts`` times in a row, and a level's attempts are counted over all of them. Its score is
       its learnability, p (1 - p) n / (n - 1) with p the share solved of n attempts: the unbiased estimate of a
       Bernoulli variance. The ``kept_levels`` with the highest scores are kept; those kept before go.
    2. ``refresh_every`` updates in which the agent learns: ``replayed_share`` of the environments play levels drawn
       from the kept ones, the others new levels. No score is renewed.

    Every environment starts its level when the rollout starts and repeats it. Of a rollout, the episodes count that are
    sure to end within it, a time-out being an attempt that failed (``episodes.eligible``): one where rollouts are as
    long as ``max_steps``. So n is ``scoring_rollouts`` times that number, the same for all levels, and must be two at
    least; four or more tell learnable levels from lucky ones. Departures from the paper:

    - The factor n / (n - 1), which makes the score comparable with that of other numbers of attempts.
    - ``solved_bonus`` p is added to the score, as in the reference's own runs: of levels that tell nothing, those that
      are solved rank above those that are not and may be impossible. 0 leaves it out.
    - A level with fewer than two attempts is not measured and not kept. If none was measured, all levels are new until
      the next pass.
    - Draws of kept levels are independent, so a level may come up more than once in a batch.
    - The scored levels are rounded up to whole batches, which are sampled in parts as large as the share of new levels.

    The state is an ``SflState``. Metrics: ``scoring``: 1 in a scoring pass; ``cycle``: updates since it began;
    ``buffer_size``, ``buffer_score_p10``, ``_p50``, ``_p90`` and ``buffer_solve_rate`` of the kept levels; ``measured``
    and ``learnable``: shares of the batch being scored that have had two attempts so far, and of which some but not all
    were solved (0 outside a pass).

    Args:
        sample: ``sample(key, n)``: n new levels; not called for the later rollouts of a batch being scored
        batch: levels, and so environments, of an update
        scored_levels: levels of a scoring pass
        scoring_rollouts: updates for which each of them is played
        kept_levels: levels that are kept of them
        refresh_every: learning updates between two scoring passes
        replayed_share: share of the environments that play kept levels then, rounded to at least one of them
        by_score: draw kept levels in proportion to their scores, not uniformly
        solved_bonus: see above

    Raises:
        ValueError: for counts below 1, a share outside (0, 1], or more levels to keep than to score.
    """
    check_batch(batch)
    check_count("scored_levels", scored_levels)
    check_count("scoring_rollouts", scoring_rollouts)
    check_count("kept_levels", kept_levels)
    check_count("refresh_every", refresh_every)
    check_number("replayed_share", replayed_share)
    check_number("solved_bonus", solved_bonus)
    check_flag("by_score", by_score)
    if kept_levels > scored_levels:
        raise ValueError(f"cannot keep {kept_levels} of {scored_levels} levels: raise scored_levels to {kept_levels}")
    if not 0 < replayed_share <= 1:
        raise ValueError(f"replayed_share must be above 0 (use dr for that) and at most 1; got {replayed_share!r}")
    if solved_bonus >= 0.25:
        raise ValueError(f"solved_bonus must be small beside 0.25, the learnability at p = 1/2; got {solved_bonus!r}")

    buffer = LevelBuffer(kept_levels, staleness_coefficient=0.0)  # without staleness: the highest scores stay
    replayed = max(1, round(replayed_share * batch))
    drawn = batch - replayed or batch  # levels that are sampled at a time
    scoring_updates = -(-scored_levels // batch) * scoring_rollouts

    def init(key: jax.Array) -> SflState:
        example = example_level(sample, batch)
        levels = jax.tree.map(lambda x: jnp.zeros((batch, *x.shape), x.dtype), example)
        nothing = jnp.zeros(batch, jnp.int32)
        return SflState(buffer.init(example, jnp.float32(0)), levels, nothing, nothing, jnp.int32(0))

    def propose(key: jax.Array, state: SflState):
        key_old, key_new = jax.random.split(key)
        scoring = state.step < scoring_updates
        again = scoring & (state.step % scoring_rollouts > 0)
        mixed = ~scoring & (state.kept.size > 0)
        nowhere = jnp.full(batch, -1, jnp.int32)

        def known():
            weights = jnp.maximum(state.kept.score, 0) if by_score else jnp.ones(kept_levels, jnp.float32)
            # If all scores are 0, all kept levels are as good.
            weights = jnp.where(buffer.filled(state.kept), jnp.where(weights.max() > 0, weights, 1), 0)
            _, slots, levels = buffer.sample(key_old, state.kept, replayed, weights)
            levels = jax.tree.map(lambda x, some: x.at[:replayed].set(some), state.levels, levels)
            return levels, nowhere.at[:replayed].set(slots)

        def add_new(draw: jax.Array, levels: Any) -> Any:
            start = jnp.maximum(batch - (draw + 1) * drawn, 0)
            new = sample(jax.random.fold_in(key_new, draw), drawn)
            return jax.tree.map(lambda x, some: jax.lax.dynamic_update_slice_in_dim(x, some, start, 0), levels, new)

        levels, slots = jax.lax.cond(mixed, known, lambda: (state.levels, nowhere))
        # From the last row up, as many draws as leave the known levels alone: in a loop, so that the sampler, which is
        # the most there is to compile here, is compiled once.
        draws = jnp.where(again, 0, jnp.where(mixed, (batch - replayed) // drawn, -(-batch // drawn)))
        levels = jax.lax.fori_loop(0, draws, add_new, levels)
        plan = Plan(learn=~scoring, restart=jnp.array(True), slots=slots, sampled=jnp.int32(draws * drawn))
        return levels, plan

    def update(state: SflState, levels: Any, rollout: Rollout, plan: Plan):
        scoring = state.step < scoring_updates
        rollouts = state.step % scoring_rollouts  # of this batch, before this one
        ended, solved = attempts(rollout)
        ended = jnp.where(rollouts > 0, state.ended, 0) + jnp.where(scoring, ended, 0)
        solved = jnp.where(rollouts > 0, state.solved, 0) + jnp.where(scoring, solved, 0)
        rate = solved / jnp.maximum(ended, 1)
        scores = learnability(solved, ended) + solved_bonus * rate

        kept = state.kept
        begins, complete = state.step == 0, scoring & (rollouts == scoring_rollouts - 1)
        kept = kept.replace(score=jnp.where(begins, -jnp.inf, kept.score), size=jnp.where(begins, 0, kept.size))
        kept, _ = buffer.insert(kept, levels, scores, rate, where=jnp.broadcast_to(complete, (batch,)))
        step = (state.step + 1) % (scoring_updates + refresh_every)
        metrics = numbers(kept, scoring, state.step, ended, solved)
        return SflState(kept, levels, ended, solved, step), metrics

    def numbers(kept: BufferState, scoring: jax.Array, step: jax.Array, ended: jax.Array, solved: jax.Array):
        low, median, high = score_quantiles(kept, (0.1, 0.5, 0.9))
        rates = jnp.where(buffer.filled(kept), kept.extras, 0)
        return {
            "scoring": scoring.astype(jnp.int32),
            "cycle": step,
            "buffer_size": kept.size,
            "buffer_score_p10": low,
            "buffer_score_p50": median,
            "buffer_score_p90": high,
            "buffer_solve_rate": rates.sum() / jnp.maximum(kept.size, 1),
            "measured": (ended >= 2).mean(),
            "learnable": ((solved > 0) & (solved < ended)).mean(),
        }

    return Curriculum(init, propose, update)
