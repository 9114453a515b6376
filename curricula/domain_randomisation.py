"""Domain randomisation: new levels all the time, whatever the agent makes of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .protocol import Curriculum, Plan, Rollout, State
from .sampling import Sampler, check_batch


def domain_randomisation(sample: Sampler, batch: int) -> Curriculum:
    """Levels straight from ``sample``, for ``batch`` environments (Tobin et al., IROS 2017; Jakobi, 1997).

    The baseline of every curriculum: no buffer, no scores, no state. Environments are not restarted: each finishes
    its episode and takes the newest level then, so episodes longer than a rollout are played to their end. A level
    proposed while its environment is still busy is dropped.

    Raises:
        ValueError: for a batch below 1.
    """
    check_batch(batch)

    def init(key: jax.Array) -> State:
        return ()

    def propose(key: jax.Array, state: State):
        plan = Plan(learn=jnp.array(True), restart=jnp.array(False), slots=jnp.full(batch, -1, jnp.int32))
        return sample(key, batch), plan

    def update(state: State, levels, rollout: Rollout, plan: Plan):
        return state, {}

    return Curriculum(init, propose, update)
