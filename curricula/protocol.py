"""What a curriculum is: three pure functions over a state of its own.

A training loop calls, once per update::

    levels, plan = curriculum.propose(key, state)
    ... the agent plays the levels; where plan.learn holds, it learns from them ...
    state, metrics = curriculum.update(state, levels, rollout, plan)

Everything is traced by ``jax.jit``: ``plan.learn`` and ``plan.restart`` may depend on the state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from kinetix_ued.world import Level

State = Any
"""A curriculum's own state: any pytree of arrays."""


class Plan(NamedTuple):
    """How a batch of B proposed levels is to be played, and what the curriculum wants to know about it again.

    Attributes:
        learn: take gradients from this rollout; otherwise it is played for its scores alone () bool
        restart: every environment starts its level now, and again whenever an episode of it ends; otherwise an
            environment finishes the episode it is in and starts its new level then () bool
        slots: buffer slot of each level, -1 for a level that is in none (B) int32
        extra: whatever else ``update`` needs, any pytree
        sampled: how many of the levels were drawn anew from the sampler, so that the steps of its filters can be counted;
            None: those that are in no slot () int32
    """

    learn: jax.Array
    restart: jax.Array
    slots: jax.Array
    extra: Any = ()
    sampled: jax.Array | None = None


class Rollout(NamedTuple):
    """What scoring may read of T steps in B environments. ``done[t]``: the transition at t ended its episode.

    The last three fields say which episodes tell something of which level. The functions of episodes.py heed them, and
    so does every score that is made of these; ``None`` leaves the question out, as for a rollout made by hand.

    Attributes:
        reward: of the transition at t (T, B)
        done: it ended its episode, by the rules or by the step limit (T, B) bool
        goal: it reached the goal (T, B) bool
        value: the critic's estimate before the transition (T, B)
        last_value: the critic's estimate after the last transition (B)
        advantage: generalised advantage estimate (T, B)
        antagonist: what the second student did on the same levels, where the curriculum has two; otherwise None
        own: the transition belongs to an episode that began on the level now proposed for its environment, not to one
            that was under way before; None: all of them (T, B) bool
        max_steps: steps after which an episode is cut off; None: unknown, and whatever ended counts () int
        group: environments with the same number play the same level; None: every level is played once (B) int32
    """

    reward: jax.Array
    done: jax.Array
    goal: jax.Array
    value: jax.Array
    last_value: jax.Array
    advantage: jax.Array
    antagonist: Rollout | None = None
    own: jax.Array | None = None
    max_steps: int | jax.Array | None = None
    group: jax.Array | None = None


class Curriculum(NamedTuple):
    """A curriculum: build one with a function of this package, or with three functions of your own.

    Attributes:
        init: ``init(key) -> state``
        propose: ``propose(key, state) -> (levels, plan)``, levels with a leading axis B, one per environment
        update: ``update(state, levels, rollout, plan) -> (state, metrics)``, metrics a flat dict of scalars
        students: 2 trains a second agent, the antagonist, on the same levels; its play is ``rollout.antagonist``
    """

    init: Callable[[jax.Array], State]
    propose: Callable[[jax.Array, State], tuple[Level, Plan]]
    update: Callable[[State, Level, Rollout, Plan], tuple[State, dict[str, jax.Array]]]
    students: int = 1
