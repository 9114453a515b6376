"""ACCEL: robust prioritised level replay whose replayed levels are edited afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.generators import mutate_levels

from .buffer import BufferState, LevelBuffer
from .checks import check_count
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
    select,
)
from .sampling import Sampler, example_level
from .scores import Score, score_of

Edit = Callable[[jax.Array, Any], Any]
"""``edit(key, levels)``: a child of each level, same shapes and dtypes (leading axis B)."""


class Lineage(NamedTuple):
    """What is kept of a level besides its score: the buffer's extras.

    Attributes:
        score: extras of the score
        number: of the level, counted in the order in which levels were first proposed () int32
        parent: number of the level it was edited from, -1 for a level from the sampler () int32
        generation: edits between it and a level from the sampler () int32
    """

    score: Any
    number: jax.Array
    parent: jax.Array
    generation: jax.Array


class AccelState(NamedTuple):
    """State of ``accel``, for B environments.

    Attributes:
        buffer: the level buffer; its extras are a ``Lineage``
        parents: slots of the levels that the last update replayed, to be edited next, and while their children are on
            trial; -1 where there are none (B) int32
        proposed: levels first proposed so far, those on trial left out () int32
        trial: new levels or children of which the score has not seen enough, see ``Trial``
    """

    buffer: BufferState
    parents: jax.Array
    proposed: jax.Array
    trial: Trial | tuple[()]


def accel(
    sample: Sampler,
    batch: int,
    *,
    buffer: LevelBuffer = LevelBuffer(),
    score: str | Score | Callable = "max_mc",
    n_edits: int = 5,
    edit: Edit | None = None,
) -> Curriculum:
    """Let levels grow by small edits of those worth learning from (Parker-Holder et al., ICML 2022).

    Each update does one of three things with ``batch`` levels:

    - new: levels from ``sample`` are played without gradients, scored, and offered to the buffer;
    - replay: levels drawn from the buffer by their replay weights are learned from, and their scores renewed;
    - edit, always and only after a replay: a child of every level just replayed is played without gradients, scored,
      and offered to the buffer, where it takes the place of the level with the least weight if it scores higher.

    Whether an update that need not edit replays is decided as in ``robust_plr``. Scores, buffer, restarts, and further
    updates with the same new levels or children where the score needs more attempts, are the same as there. Whether
    levels grow from almost nothing or start from full random ones is the business of ``sample`` (the generators
    ``sparse`` and ``random``).

    Departures from the paper, all shared with JaxUED's version: every replayed level is edited once, not a few of the
    batch chosen for being easy; after a replay an edit is certain; a whole batch is new, replayed or edited. A level
    that was replayed twice in a batch has two children. Filters of ``sample`` do not see children.

    Metrics: ``replay.replay_metrics``, and ``edited``: 1 for a batch of children; ``buffer_edited``: share of the
    filled slots whose level is a child; ``generation_mean``, ``generation_max`` over the filled slots.

    Args:
        sample: ``sample(key, n)``: n new levels; called for a new batch only
        batch: levels, and so environments, of an update
        buffer: its size and priorities
        score: a name in ``SCORES``, a ``Score``, or a function ``(rollout, extras) -> (scores, extras)``
        n_edits: edits between parent and child, where ``edit`` is the default
        edit: ``edit(key, levels)``: a child of each level; the default is ``kinetix_ued.generators.mutate_levels``

    Raises:
        ValueError: for a batch that does not fit the buffer, an unknown score, ``n_edits`` below 1, or an edit that
            does not return levels like those it takes.
    """
    check_fits(buffer, batch)
    score = score_of(score)
    check_count("n_edits", n_edits)
    if edit is not None and not callable(edit):
        raise ValueError(f"edit must be a function (key, levels) -> levels; got {edit!r}")
    make_children: Edit = edit or (lambda key, levels: mutate_levels(key, levels, n_edits))
    nobody = jnp.full(batch, -1, jnp.int32)

    def init(key: jax.Array) -> AccelState:
        example = example_level(sample, batch)
        _check_edit(make_children, example, batch)
        lineage = Lineage(score.extras, jnp.int32(-1), jnp.int32(-1), jnp.int32(0))
        return AccelState(buffer.init(example, lineage), nobody, jnp.int32(0), no_trial(score, example, batch))

    def propose(key: jax.Array, state: AccelState):
        key_decide, key_levels = jax.random.split(key)
        editing = state.parents[0] >= 0
        replay = ~editing & ~on_trial(state.trial) & buffer.decide(key_decide, state.buffer)

        def new():
            return sample(key_levels, batch), nobody

        def old():
            _, slots, levels = buffer.sample(key_levels, state.buffer, batch)
            return levels, slots

        def children():
            # A replay moves no level, so the parents are still where they were drawn from.
            return make_children(key_levels, buffer.get(state.buffer.levels, state.parents)), nobody

        choice = jnp.where(editing, 2, replay.astype(jnp.int32))
        levels, slots = next_batch(state.trial, choice, (new, old, children))
        sampled = jnp.where(editing | replay | on_trial(state.trial), 0, batch).astype(jnp.int32)
        return levels, Plan(learn=replay, restart=jnp.array(True), slots=slots, sampled=sampled)

    def update(state: AccelState, levels: Any, rollout: Rollout, plan: Plan):
        slots = known_slots(buffer, state.buffer, levels, plan.slots)
        edited = state.parents >= 0
        known = buffer.get(state.buffer.extras, slots)
        parents = buffer.get(state.buffer.extras, state.parents)
        rollout = pooled(rollout, buffer.group(levels, slots))
        scores, remembered = evaluate(score, rollout, slots, known.score, state.trial)
        offered, trial = judge(state.trial, score, rollout, plan, levels, remembered)
        born = Lineage(
            score=remembered,
            number=state.proposed + jnp.arange(batch, dtype=jnp.int32),
            parent=jnp.where(edited, parents.number, -1),
            generation=jnp.where(edited, parents.generation + 1, 0),
        )
        lineage = select(slots >= 0, known._replace(score=remembered), born)

        held = buffer.touch(state.buffer, slots)
        held = buffer.update(held, slots, scores, lineage)
        held, _ = buffer.insert(held, levels, scores, lineage, where=(slots < 0) & offered)
        metrics = replay_metrics(buffer, held, scores, plan.slots, state.buffer.inserted)
        proposed = state.proposed + jnp.where(offered, (plan.slots < 0).sum(dtype=jnp.int32), 0)
        to_edit = jnp.where(offered, plan.slots, state.parents)
        return AccelState(held, to_edit, proposed, trial), metrics | _growth(held, edited)

    def _growth(held: BufferState, edited: jax.Array) -> dict[str, jax.Array]:
        generation = jnp.where(buffer.filled(held), held.extras.generation, 0)
        count = jnp.maximum(held.size, 1).astype(jnp.float32)
        return {
            "edited": edited.any().astype(jnp.int32),
            "buffer_edited": (generation > 0).sum() / count,
            "generation_mean": generation.sum() / count,
            "generation_max": generation.max(),
        }

    return Curriculum(init, propose, update)


def _check_edit(edit: Edit, example: Any, batch: int) -> None:
    """Raise ValueError unless ``edit`` returns levels like those it takes; nothing is edited."""
    levels = jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype), example)
    children = jax.eval_shape(edit, jax.random.key(0), levels)
    describe = lambda tree: (jax.tree.structure(tree), [(x.shape, x.dtype) for x in jax.tree.leaves(tree)])
    if describe(children) != describe(levels):
        raise ValueError(
            "edit(key, levels) must return levels of the same structure, shapes and dtypes as it takes: "
            f"it made {describe(children)} of {describe(levels)}"
        )
