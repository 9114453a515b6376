"""Playing: T steps of B environments, each on the level that the curriculum proposed for it.

``done`` everywhere is that of agents/advantage.py: ``done[t]`` is true when the transition at t ended its episode. What
follows it is the first observation of another episode, marked by ``reset``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.agents import Lesson
from kinetix_ued.world import varying_like


class Players(NamedTuple):
    """B environments and the agents in them, between two steps.

    Attributes:
        state: environment states (B, ...)
        reset: the state is the first of its episode (B) bool
        carry: the agents' memory (B, ...), from before ``reset`` is heeded
        episode_return: sum of the rewards since the episode began (B)
        episode_length: steps since the episode began (B) int32
        begun: episodes begun since the levels were proposed, those of a restart not counted (B) int32
        teacher: what a teacher remembers of the episode, see ``Guided`` (B, ...); ``()`` without one
    """

    state: Any
    reset: jax.Array
    carry: Any
    episode_return: jax.Array
    episode_length: jax.Array
    begun: jax.Array
    teacher: Any = ()


class Guided(NamedTuple):
    """Steps beside a teacher, who looks on and may act in the student's place.

    Attributes:
        step: ``step(key, memory, state, action) -> (memory, state, reward, done, info, lesson)`` of B environments,
            ``action`` being the student's and ``memory`` the teacher's; the lesson is of one step (B, ...)
        fresh: the teacher's memory at the start of each level (B, ...)
    """

    step: Callable[..., Any]
    fresh: Any


class Trajectory(NamedTuple):
    """T steps of B environments.

    Attributes:
        observation: before the step (T, B, ...)
        reset: the observation is the first of its episode (T, B) bool
        action: (T, B, ...)
        log_prob: of the action, under the policy that chose it (T, B)
        parts: parts of the action that ``log_prob`` counts (T, B, parts) bool; None: all
        value: the critic's estimate before the step (T, B)
        reward: 0 where the step's outcome is not finite (T, B)
        done: the step ended its episode (T, B) bool
        goal: it reached the goal (T, B) bool
        truncated: it ended at the step limit alone (T, B) bool
        nonfinite: it ended because the world's state was no longer finite (T, B) bool
        lesson: what the teacher says (T, B, ...); None without one
    """

    observation: Any
    reset: jax.Array
    action: jax.Array
    log_prob: jax.Array
    parts: jax.Array | None
    value: jax.Array
    reward: jax.Array
    done: jax.Array
    goal: jax.Array
    truncated: jax.Array
    nonfinite: jax.Array
    lesson: Lesson | None = None


class Episodes(NamedTuple):
    """Sums over the episodes that ended; of those beside a teacher, over the ones that ended by the student's actions.

    Attributes:
        finished: how many there are () int32
        solved: of these, how many reached the goal () int32
        nonfinite: of these, how many ended in a state that is not finite () int32
        total_return: sum of their returns ()
        total_length: sum of their lengths [environment steps] () int32
    """

    finished: jax.Array
    solved: jax.Array
    nonfinite: jax.Array
    total_return: jax.Array
    total_length: jax.Array


def restart(players: Players, fresh: Any, where: jax.Array, teacher: Any = ()) -> Players:
    """The players with the ``fresh`` environment states (B, ...) wherever ``where`` (B) or () holds.

    ``teacher`` is what the teacher remembers then (B, ...), if there is one.
    """
    where = jnp.broadcast_to(where, players.reset.shape)
    return players._replace(
        state=select(where, fresh, players.state),
        reset=players.reset | where,
        episode_return=jnp.where(where, 0.0, players.episode_return),
        episode_length=jnp.where(where, 0, players.episode_length),
        teacher=select(where, teacher, players.teacher),
    )


def rollout(
    env: Any,
    env_params: Any,
    policy: Any,
    params: Any,
    key: jax.Array,
    players: Players,
    fresh: Any,
    repeat: jax.Array,
    steps: int,
    parts_of: Callable[[Any], jax.Array] | None = None,
    noise_steps: int = 1,
    guided: Guided | None = None,
) -> tuple[Players, Trajectory, jax.Array, Episodes]:
    """Play ``steps`` steps in B environments, whose levels' first states are ``fresh`` (B, ...).

    With ``repeat`` () bool an environment whose episode ends starts its own level again. Without it, it starts its own
    level the first time, and then those of the environments after it, one after the other: otherwise levels that end
    at once would be played over and over until the next proposal, and fill the data.

    ``parts_of`` says of one environment state which parts of an action can matter; only they count in log
    probabilities. The noise that samples an environment's actions changes every ``noise_steps`` steps (in the spirit of
    Hollenstein et al. 2024, arXiv:2312.11091): each action alone is distributed as the policy says, and those in a row
    are alike. ``guided`` takes the steps beside a teacher.

    Returns:
        the players afterwards, the trajectory (T, B), the value of what comes next (B) and the episodes that ended.
    """
    observe = jax.vmap(env.observe)

    def step(players: Players, keys: jax.Array) -> tuple[Players, tuple[Trajectory, Episodes]]:
        action_key, step_key = keys
        # Observed here, not taken from env.step or a reset: so a step observes once, whether or not an episode ended.
        observation = observe(players.state)
        carry, distribution, value = policy.apply(params, players.carry, observation, players.reset)
        action = distribution.sample(action_key)
        parts = None if parts_of is None else jax.vmap(parts_of)(players.state)
        teacher, lesson = (), None
        if guided is not None:
            teacher, state, reward, done, info, lesson = guided.step(step_key, players.teacher, players.state, action)
        else:
            step_keys = jax.random.split(step_key, players.reset.shape[0])
            _, state, reward, done, info = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
                step_keys, players.state, action, env_params
            )
        reward = jnp.where(info["nonfinite"], 0.0, reward)
        moved = Players(
            state=state,
            reset=jnp.zeros_like(done),
            carry=carry,
            episode_return=players.episode_return + reward,
            episode_length=players.episode_length + 1,
            begun=players.begun + done,
            teacher=teacher,
        )
        own = jnp.arange(done.shape[0])
        following = jnp.where(repeat, own, (own + players.begun) % done.shape[0])
        goal = info["goal"] & ~info["nonfinite"]
        trajectory = Trajectory(
            observation=observation,
            reset=players.reset,
            action=action,
            log_prob=distribution.log_prob(action, parts),
            parts=parts,
            value=value,
            reward=reward,
            done=done,
            goal=goal,
            truncated=info["truncated"],
            nonfinite=info["nonfinite"],
            lesson=lesson,
        )
        ended = done if lesson is None else done & lesson.own
        count = lambda mask: jnp.sum(mask, dtype=jnp.int32)
        episodes = Episodes(
            finished=count(ended),
            solved=count(ended & goal),
            nonfinite=count(info["nonfinite"]),
            total_return=jnp.sum(jnp.where(ended, moved.episode_return, 0.0)),
            total_length=jnp.sum(jnp.where(ended, moved.episode_length, 0), dtype=jnp.int32),
        )
        begin = (fresh, () if guided is None else guided.fresh)
        states, memory = jax.tree.map(lambda x: x[following], begin)
        return restart(moved, states, done, memory), (trajectory, episodes)

    players = varying_like(players, players, fresh, params, key, repeat)
    action_keys, step_keys = jnp.moveaxis(jax.vmap(jax.random.split)(jax.random.split(key, steps)), 1, 0)
    action_keys = action_keys[jnp.arange(steps) // noise_steps * noise_steps]
    players, (trajectory, episodes) = jax.lax.scan(step, players, (action_keys, step_keys))
    _, _, last_value = policy.apply(params, players.carry, observe(players.state), players.reset)
    return players, trajectory, last_value, jax.tree.map(lambda x: x.sum(0, dtype=x.dtype), episodes)


def spoiled(nonfinite: jax.Array, done: jax.Array) -> jax.Array:
    """Transitions (T, B) of episodes that end, within these T steps, in a state that is not finite."""

    def before(later: jax.Array, step: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        nonfinite, done = step
        now = nonfinite | (later & ~done)
        return now, now

    return jax.lax.scan(before, jnp.zeros_like(nonfinite[0]), (nonfinite, done), reverse=True)[1]


def on_own_level(done: jax.Array, repeat: jax.Array, restarted: jax.Array) -> jax.Array:
    """Transitions (T, B) of episodes that began on the level proposed for their environment, see ``rollout``.

    Args:
        done: of all steps since the proposal (T, B) bool
        repeat: as ``rollout`` had it () bool
        restarted: every environment started its level when it was proposed () bool
    """
    before = jnp.cumsum(done, axis=0, dtype=jnp.int32) - done
    return repeat | (before == 1) | ((before == 0) & restarted)


def select(where: jax.Array, yes: Any, no: Any) -> Any:
    """Leaf by leaf of rows (B, ...), ``yes`` where ``where`` (B) holds and ``no`` elsewhere."""
    pick = lambda y, n: jnp.where(where.reshape(where.shape + (1,) * (n.ndim - where.ndim)), y, n)
    return jax.tree.map(pick, yes, no)
