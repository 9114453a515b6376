"""A mixture of curricula: one of them is drawn for every update."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .protocol import Curriculum, Plan, Rollout, State


class MixtureState(NamedTuple):
    """State of ``mixture``.

    Attributes:
        states: of every curriculum, by name
    """

    states: dict[str, State]


class MixtureExtra(NamedTuple):
    """What a mixture's plan carries from ``propose`` to ``update``.

    Attributes:
        chosen: index of the curriculum whose plan it is () int32
        extras: ``extra`` of every curriculum's plan, by name; zeros for those that were not chosen
    """

    chosen: jax.Array
    extras: dict[str, Any]


def mixture(curricula: Mapping[str, Curriculum], weights: Mapping[str, float] | None = None) -> Curriculum:
    """Draw one of ``curricula`` for every update, with probabilities proportional to ``weights``.

    The one drawn proposes the whole batch and alone takes note of it, so each goes through its own phases (scoring,
    replay, edits) as if the updates it gets were all there are. The alternative, a share of the environments for each,
    would leave a batch of which one part asks for learning and the other not to learn: no plan could say so.

    With a second student in any of them, two students are trained throughout. Metrics are those of each curriculum as
    ``NAME_metric``, NaN in updates that were not its own, and ``chosen``: its index. All curricula must be made for the
    same levels and batch.

    Args:
        curricula: by name; the names serve metrics and weights
        weights: how often each is drawn, relative to the others; all the same where None

    Raises:
        ValueError: for no curricula, or weights that are not one finite positive number for each of them.
    """
    names = tuple(curricula)
    if not names:
        raise ValueError("a mixture needs curricula: give at least one by name")
    weights = dict.fromkeys(names, 1.0) if weights is None else weights
    if set(weights) != set(names):
        raise ValueError(f"weights must name the curricula {', '.join(names)}; got {', '.join(weights) or 'none'}")
    for name in names:
        if not 0 < weights[name] < math.inf:
            raise ValueError(f"the weight of {name!r} must be a finite number above 0; got {weights[name]!r}")
    log_weights = jnp.log(jnp.array([weights[name] for name in names], jnp.float32))

    def init(key: jax.Array) -> MixtureState:
        keys = jax.random.split(key, len(names))
        return MixtureState({name: curricula[name].init(k) for name, k in zip(names, keys)})

    def propose(key: jax.Array, state: MixtureState):
        key_draw, key_propose = jax.random.split(key)
        shapes = {name: jax.eval_shape(curricula[name].propose, key_propose, state.states[name])[1] for name in names}
        nothing = {name: _zeros(shapes[name].extra) for name in names}

        def proposal(name: str):
            def branch(states: dict[str, State]):
                levels, plan = curricula[name].propose(key_propose, states[name])
                sampled = (plan.slots < 0).sum() if plan.sampled is None else plan.sampled
                plan = Plan(
                    learn=jnp.asarray(plan.learn, bool),
                    restart=jnp.asarray(plan.restart, bool),
                    slots=jnp.asarray(plan.slots, jnp.int32),
                    extra=nothing | {name: plan.extra},
                    sampled=jnp.asarray(sampled, jnp.int32),
                )
                return levels, plan

            return branch

        chosen = jax.random.categorical(key_draw, log_weights).astype(jnp.int32)
        levels, plan = jax.lax.switch(chosen, [proposal(name) for name in names], state.states)
        return levels, plan._replace(extra=MixtureExtra(chosen, plan.extra))

    def update(state: MixtureState, levels: Any, rollout: Rollout, plan: Plan):
        def note(name: str, states: dict[str, State]):
            own = plan._replace(extra=plan.extra.extras[name])
            after, metrics = curricula[name].update(states[name], levels, rollout, own)
            return states | {name: after}, {f"{name}_{k}": jnp.asarray(v, jnp.float32) for k, v in metrics.items()}

        unknown: dict[str, jax.Array] = {}
        for name in names:
            _, metrics = jax.eval_shape(lambda states, name=name: note(name, states), state.states)
            unknown |= dict.fromkeys(metrics, jnp.float32(jnp.nan))

        def branch(name: str):
            def run(states: dict[str, State]):
                states, metrics = note(name, states)
                return states, unknown | metrics

            return run

        chosen = plan.extra.chosen
        states, metrics = jax.lax.switch(chosen, [branch(name) for name in names], state.states)
        return MixtureState(states), {"chosen": chosen} | metrics

    return Curriculum(init, propose, update, max(curriculum.students for curriculum in curricula.values()))


def _zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
