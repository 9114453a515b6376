"""Actions in, trajectory out."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import Level

from .actions import Continuous, Discrete, MultiDiscrete, make_actions
from .env import EnvParams, EnvState, KinetixEnv, make

RECORDED = ("position", "rotation", "velocity", "angular_velocity")
"""Fields of the world's state that a replay returns."""


def replay(
    level: Level,
    actions: np.ndarray,
    *,
    engine: str = "auto",
    physics: str = "kinetix",
    frame_skip: int = 2,
    dense_reward_scale: float = 0.2,
    max_steps: int = 256,
    observation: str | None = None,
    action_type: str | None = None,
) -> dict[str, Any]:
    """What T actions do in a level. The simulation goes on after an episode would have ended.

    Compiled once for each size, number of actions and set of options.

    Args:
        level: one level of any size.
        actions: (T, 6) integers are multi-discrete, (T, 6) floats continuous, (T) integers discrete actions.
        engine: as in ``make``, like ``physics``, ``frame_skip``, ``dense_reward_scale`` and ``max_steps``.
        observation: a name in ``OBSERVATIONS``, to record what an agent would see.
        action_type: a name in ``ACTIONS``, where shape and dtype of ``actions`` shall not decide.

    Returns:
        NumPy arrays by name. After each step: ``position`` (T, N, 2), ``rotation`` (T, N), ``velocity`` (T, N, 2),
        ``angular_velocity`` (T, N), ``reward`` (T), ``done`` (T), ``goal`` (T), ``distance`` (T). With an observation
        also ``observation``: its arrays by field name (T + 1, ...), the first one from before the first step; an
        observation that is one array lies under ``flat``.

    Raises:
        ValueError: for actions of the wrong shape, dtype or range, a batch of levels, and whatever ``make`` refuses.
    """
    if level.gravity.ndim != 1:
        raise ValueError("replay takes one level; index the batch first: replay(levels[0], ...)")
    kind = make_actions(action_type or _kind_of(actions))
    env = make(
        level.size,
        observation=observation or "blind",
        actions=kind.name,
        engine=engine,
        physics=physics,
        frame_skip=frame_skip,
        dense_reward_scale=dense_reward_scale,
        max_steps=max_steps,
    )
    level = jax.tree.map(jnp.asarray, level)
    track = _rollout(env, observation is not None, level, jnp.asarray(kind.check(actions)), env.default_params)
    return jax.tree.map(np.asarray, track)


def _kind_of(actions: np.ndarray) -> str:
    actions = np.asarray(actions)
    if actions.dtype.kind == "f":
        return Continuous.name
    return Discrete.name if actions.ndim == 1 else MultiDiscrete.name


@functools.partial(jax.jit, static_argnums=(0, 1))
def _rollout(env: KinetixEnv, observed: bool, level: Level, actions: jax.Array, params: EnvParams) -> dict[str, Any]:
    def view(state: EnvState) -> dict[str, jax.Array]:
        if not observed:
            return {}
        seen = env.observe(state)
        return {"flat": seen} if isinstance(seen, jax.Array) else dict(vars(seen))

    def step(state: EnvState, action: jax.Array) -> tuple[EnvState, tuple[dict, dict]]:
        state, reward, done, info = env.advance(state, action, params)
        record = {name: getattr(state.world, name) for name in RECORDED}
        record |= {"reward": reward, "done": done, "goal": info["goal"], "distance": info["distance"]}
        return state, (record, view(state))

    _, state = env.reset_env_to_level(jax.random.key(0), level, params)
    first = view(state)
    _, (track, views) = jax.lax.scan(step, state, actions)
    if observed:
        track["observation"] = jax.tree.map(lambda x, xs: jnp.concatenate([x[None], xs]), first, views)
    return track
