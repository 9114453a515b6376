"""Domain randomisation: new levels all the time, whatever the agent makes of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .checks import check_flag
from .protocol import Curriculum, Plan, Rollout, State
from .sampling import Sampler, check_batch


def domain_randomisation(sample: Sampler, batch: int, *, restart: bool = False) -> Curriculum:
    """Levels straight from ``sample``, for ``batch`` environments (Tobin et al., IROS 2017; Jakobi, 1997).

    The baseline of every curriculum: no buffer, no scores, no state. Environments are not restarted: each finishes
    its episode and takes the newest level then, so episodes longer than a rollout are played to their end. A level
    proposed while its environment is still busy is dropped.

    With ``restart`` every proposal starts all environments, which then repeat their own levels, as in the curricula
    that score levels. What those gain over this arm is due to their choice of levels; what this arm gains or loses
    over the plain one is due to environments that run in step.

    Args:
        sample: ``sample(key, n)``: n new levels
        batch: levels, and so environments, of an update
        restart: see above

    Raises:
        ValueError: for a batch below 1, or a ``restart`` that is not a bool.
    """
    check_batch(batch)
    check_flag("restart", restart)

    def init(key: jax.Array) -> State:
        return ()

    def propose(key: jax.Array, state: State):
        plan = Plan(learn=jnp.array(True), restart=jnp.array(restart), slots=jnp.full(batch, -1, jnp.int32))
        return sample(key, batch), plan

    def update(state: State, levels, rollout: Rollout, plan: Plan):
        return state, {}

    return Curriculum(init, propose, update)
