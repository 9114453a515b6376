"""Where the search fails: learn to play the one level, and record an episode of the policy."""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.environment import KinetixEnv
from kinetix_ued.randomness import stream
from kinetix_ued.training import preset, train
from kinetix_ued.world import SIZES, Level, Size

from .cross_entropy import replay_disturbed
from .rollout import Outcome
from .search import keep
from .settings import SearchSettings, Solution

EPISODES = 256
"""Episodes of the trained policy that are recorded."""

FINALISTS = 32
"""The shortest of them that solve the level are tested under disturbed starts."""


def polish(
    level: Level, *, env: KinetixEnv, seed: int, steps: int, settings: SearchSettings = SearchSettings()
) -> Solution:
    """Train PPO on one level and take the most robust of the shortest episodes that solve it.

    Args:
        level: of a standard size.
        env: the rules: engine, physics, frame skip and length of an episode.
        seed: of the training and of the episodes.
        steps: environment steps to learn from; training ends before if nearly every episode solves the level.
        settings: of the robustness test.

    Raises:
        ValueError: for a size that has no name of its own, which the training does not take.
    """
    if level.size not in SIZES.values():
        raise ValueError(
            f"training takes sizes {', '.join(SIZES)}, and the level has size {level.size.name!r}: resize it"
        )
    began = time.perf_counter()
    solution = Solution()
    with tempfile.TemporaryDirectory() as folder:
        config = preset(
            "quick", out=str(Path(folder) / "run"), seed=seed, size=level.size.name, engine=env.engine,
            physics=env.physics, frame_skip=env.frame_skip, max_steps=env.max_steps, filters="", steps=steps,
            environments=256, minibatches=8, eval_levels=0, progress=False, stop_at_solve_rate=0.95,
            solve_rate_window=5, checkpoint_every=10**6,
            # One level needs no network for all of them, and its proof may need an action that changes at every step.
            observation="symbolic_flat", network="flat_mlp", network_width=256, decision_frames=0, rollout_steps=64,
            epochs=4, gamma=0.995,
        )  # fmt: skip
        run = train(config, generator=_Only(level))
    key_play, key_test, key_trial = jax.random.split(stream(seed, "POLI"), 3)
    actions, outcome = jax.device_get(_episodes(run.env, run.policy.network, run.policy.params, key_play, level))
    solution.nearest = float(outcome.nearest.min())
    order = np.argsort(np.where(outcome.goal, outcome.steps, np.iinfo(np.int32).max), kind="stable")
    chosen = order[: min(FINALISTS, int(outcome.goal.sum()))]
    if len(chosen):
        finalists = np.resize(chosen, FINALISTS)  # always the same number: one program
        tested = _test(env, key_test, level, actions[finalists], settings.draws, settings.distance)
        best = int(np.argmax(tested.goal.mean(axis=1) * tested.goal[:, 0]))
        sequence = actions[finalists[best]]
        trial = _test(env, key_trial, level, sequence[None], settings.trials, settings.distance)
        keep(solution, sequence, jax.tree.map(lambda x: x[0], trial), "ppo", settings)
    solution.seconds = time.perf_counter() - began
    return solution


class _Only:
    """The generator of one level."""

    def __init__(self, level: Level):
        self.level = level

    def __call__(self, key: jax.Array, size: Size) -> Level:
        return self.level


def _test(env: KinetixEnv, key: jax.Array, level: Level, actions: np.ndarray, draws: int, distance: float) -> Outcome:
    """Outcomes (B, draws) of actions (B, T, 6) in one level."""
    count = len(actions)
    levels = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), level)
    ones = jnp.ones(count, jnp.int32)
    keys, sequences = jax.random.split(key, count), jnp.asarray(actions, jnp.int8)
    limit, far = ones * env.max_steps, jnp.float32(distance)
    return jax.device_get(replay_disturbed(env, keys, levels, sequences, ones, limit, far, draws=draws))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _episodes(env: KinetixEnv, network: Any, params: Any, key: jax.Array, level: Level) -> tuple[jax.Array, Outcome]:
    """Actions (B, T, 6) of a policy in B episodes of a level, and how these ended."""
    rules = env.default_params
    key_reset = jax.random.key(0)  # the environment's reset draws nothing
    levels = jax.tree.map(lambda x: jnp.broadcast_to(x, (EPISODES, *x.shape)), level)
    observation, state = jax.vmap(env.reset_to_level, in_axes=(None, 0, None))(key_reset, levels, rules)

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, jax.Array]:
        observation, state, memory, playing, outcome = carry
        memory, distribution, _ = network.apply(params, memory, observation, jnp.zeros(EPISODES, bool))
        action = distribution.sample(key)
        state, _, done, info = jax.vmap(env.advance, in_axes=(0, 0, None))(state, action, rules)
        distance = info["distance"]
        outcome = Outcome(
            goal=outcome.goal | (playing & info["goal"]),
            failure=outcome.failure | (playing & (info["failure"] | info["nonfinite"])),
            steps=outcome.steps + playing,
            nearest=jnp.where(playing, jnp.minimum(outcome.nearest, distance), outcome.nearest),
            mean_distance=outcome.mean_distance + jnp.where(playing, distance, 0.0) / env.max_steps,
        )
        return (jax.vmap(env.observe)(state), state, memory, playing & ~done, outcome), action

    no, zero = jnp.zeros(EPISODES, bool), jnp.zeros(EPISODES, jnp.float32)
    first = Outcome(no, no, jnp.zeros(EPISODES, jnp.int32), jnp.full(EPISODES, jnp.inf, jnp.float32), zero)
    carry = observation, state, network.initial_carry(EPISODES), ~no, first
    carry, actions = jax.lax.scan(step, carry, jax.random.split(key, env.max_steps))
    return jnp.swapaxes(actions, 0, 1), carry[-1]
