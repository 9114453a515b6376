"""The protocol: every level, so many attempts each, one batched program.

Episodes wait in a line. Each of B slots plays one to its end and takes the next, so no slot idles while others finish a
long episode; only the last ones run beside idle slots. Every episode is played out: none is cut because others ended.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from kinetix_ued.environment import EnvParams, KinetixEnv
from kinetix_ued.levels import resize_level
from kinetix_ued.world import Level

from .fitting import environment_for, policy_and_environment, refuse_misfit
from .policies import Policy, is_pytree, kind_of
from .statistics import wilson
from .suite import Suite, named_suite

BATCH = 256
"""Slots, where nothing else is asked for: enough to fill a few cores; more would leave more of them idle at the end."""

STEPS_BETWEEN_REPORTS = 64
"""Steps of all slots before the host looks at how far they are, and at Ctrl-C."""


MOST_RECORDED = 4 * 10**9
"""Most memory that a recording may take [byte]."""


@struct.dataclass
class Recording:
    """Where the bodies were in the first R attempts at each of L levels.

    Attributes:
        position: centres of mass after each step [m], zero after the last one (L, R, T, N, 2)
        rotation: [rad], likewise (L, R, T, N)
        failed: green touched red (L, R) bool
    """

    position: Any
    rotation: Any
    failed: Any


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What L levels x A attempts came to.

    Attributes:
        solved: the goal was reached (L, A) bool
        returns: sum of the rewards, dense ones included, not discounted (L, A)
        lengths: environment steps until the end (L, A)
        nonfinite: the episode ended because the world's state was no longer finite (L, A) bool
        environment_steps: steps of all these episodes
        idle_steps: steps computed in slots that had no episode left
        seconds: wall clock, compilation included
        suite: what was played, in the size it was played in; None where it was a plain batch of levels
        env: what it was played in
        recording: of as many attempts as ``evaluate`` was asked to record; None where it was asked for none
    """

    solved: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray
    nonfinite: np.ndarray
    environment_steps: int
    idle_steps: int
    seconds: float
    suite: Suite | None = None
    env: KinetixEnv | None = None
    recording: Recording | None = None

    @property
    def attempts(self) -> int:
        return self.solved.shape[1]

    @property
    def solve_rate(self) -> np.ndarray:
        """Share of the attempts that reached the goal (L)."""
        return self.solved.mean(axis=1)

    @property
    def intervals(self) -> np.ndarray:
        """Low and high end of each solve rate's 95 % Wilson interval (L, 2)."""
        return np.array([wilson(int(solved), self.attempts)[1:] for solved in self.solved.sum(axis=1)])

    @property
    def mean_return(self) -> np.ndarray:
        """(L)."""
        return self.returns.mean(axis=1, dtype=np.float64)

    @property
    def mean_length(self) -> np.ndarray:
        """[environment steps] (L)."""
        return self.lengths.mean(axis=1)

    @property
    def nonfinite_episodes(self) -> np.ndarray:
        """How many attempts ended in a state that was not finite (L)."""
        return self.nonfinite.sum(axis=1)


@struct.dataclass
class _Play:
    """B slots in the middle of E episodes. Episode e is attempt e // L at level e % L.

    Attributes:
        key: for what comes
        state: environment states (B, ...)
        carry: the policy's memory (B, ...)
        episode: which one a slot plays; E where none is left (B) int32
        total: rewards of it so far (B)
        length: steps of it so far (B) int32
        dealt: episodes given to slots () int32
        steps: steps of all slots () int32
        solved, returns, lengths, nonfinite: of the episodes that ended (E)
        recording: of the first episodes (R * L, ...); None where nothing is recorded
    """

    key: jax.Array
    state: Any
    carry: Any
    episode: jax.Array
    total: jax.Array
    length: jax.Array
    dealt: jax.Array
    steps: jax.Array
    solved: jax.Array
    returns: jax.Array
    lengths: jax.Array
    nonfinite: jax.Array
    recording: Recording | None


def evaluate(
    policy: Policy | Any,
    suite: Suite | Level | str,
    *,
    key: jax.Array,
    attempts: int = 20,
    greedy: bool = False,
    env: KinetixEnv | None = None,
    batch: int | None = None,
    params: EnvParams | None = None,
    progress: Callable[[int, int], None] | None = None,
    record: int = 0,
) -> Evaluation:
    """Play every level ``attempts`` times. The same arguments give the same numbers.

    Args:
        policy: see ``Policy``; a training run, or a run's ``run.policy``.
        suite: a suite, the name of one (see ``named_suite``), or a batch of L levels.
        key: of all randomness; which episode draws what depends on ``batch`` too.
        attempts: episodes a level.
        greedy: ask the policy for its most likely action instead of a sampled one.
        env: what to play in, without auto-reset. By default a run's own, or else the default environment with an
            observation and a kind of action that it fits, in the smallest size it can play that holds the levels.
        batch: environments side by side, at most; 256 by default. Memory grows with it.
        params: of the environment; its defaults otherwise.
        progress: called with episodes ended and episodes in all, now and then.
        record: attempts at each level whose bodies are followed from step to step, the first ones. It changes no
            number.

    Raises:
        ValueError: for an unknown suite, a single level, levels of another size than the environment's, a policy that
            does not fit (with what would), numbers below 1, or a recording of more than ``MOST_RECORDED`` bytes.
    """
    for name, value in (("attempts", attempts), ("batch", batch)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    if not 0 <= record <= attempts:
        raise ValueError(f"record must be from 0 to the {attempts} attempts that are played; got {record}")
    if env is not None and not isinstance(env, KinetixEnv):
        raise ValueError("evaluate plays episodes to their end: give it a KinetixEnv, not a wrapper that restarts them")
    if isinstance(suite, str):
        suite = named_suite(suite)
    levels = suite.levels if isinstance(suite, Suite) else suite
    if levels.gravity.ndim != 2 or len(levels) == 0:
        raise ValueError(
            "evaluate takes a batch of at least one level; add an axis: jax.tree.map(lambda x: x[None], level)"
        )
    policy, own = policy_and_environment(policy)
    compiled_in, argument = (None, policy) if is_pytree(policy) else (_hashable(policy), None)
    if env is None:
        env = environment_for(policy, own, levels.size, greedy=greedy)
        levels = resize_level(levels, env.size)
    elif isinstance(suite, Suite):
        levels = suite.resized(env.size).levels
    elif levels.size != env.size:
        theirs, ours = levels.size.name, env.size.name
        raise ValueError(f"the levels have size {theirs!r} and the environment {ours!r}: make it with size={theirs!r}")
    refuse_misfit(policy, env, greedy=greedy)
    began = time.perf_counter()
    episodes = len(levels) * attempts
    slots = min(episodes, batch or BATCH)
    levels = jax.tree.map(jnp.asarray, levels)
    params = env.default_params if params is None else params
    steps = int(np.max(params.max_steps)) if record else 0
    if (needed := 12 * len(levels) * record * steps * env.size.bodies) > MOST_RECORDED:
        raise ValueError(
            f"recording {record} attempts at {len(levels)} levels takes {needed / 1e9:.1f} GB, more than "
            f"{MOST_RECORDED / 1e9:.0f}: record fewer attempts or levels"
        )
    static = {"env": env, "compiled_in": compiled_in, "kind": kind_of(argument)}
    room = {"slots": slots, "episodes": episodes, "recorded": (len(levels) * record, steps)}
    play = _start(argument, levels, params, key, **room, **static)
    while (ended := int(play.dealt) - int((play.episode < episodes).sum())) < episodes:
        if progress is not None:
            progress(ended, episodes)
        play = _go_on(argument, levels, params, play, greedy=greedy, **static)
    if progress is not None:
        progress(episodes, episodes)
    by_level = lambda x: np.asarray(x).reshape(-1, len(levels), *x.shape[1:]).swapaxes(0, 1)
    lengths = by_level(play.lengths)
    steps = int(lengths.sum(dtype=np.int64))
    return Evaluation(
        solved=by_level(play.solved),
        returns=by_level(play.returns),
        lengths=lengths,
        nonfinite=by_level(play.nonfinite),
        environment_steps=steps,
        idle_steps=int(play.steps) * slots - steps,
        seconds=time.perf_counter() - began,
        suite=dataclasses.replace(suite, levels=levels) if isinstance(suite, Suite) else None,
        env=env,
        recording=jax.tree.map(by_level, play.recording),
    )


def _hashable(policy: Any) -> Any:
    try:
        hash(policy)
    except TypeError:
        raise ValueError(
            f"{type(policy).__name__} is neither a pytree of arrays nor hashable: register it as a pytree"
        ) from None
    return policy


@functools.partial(jax.jit, static_argnames=("slots", "episodes", "recorded", "env", "compiled_in", "kind"))
def _start(
    policy, levels, params, key, *, slots: int, episodes: int, recorded: tuple[int, int], env, compiled_in, kind
) -> _Play:
    policy = policy if compiled_in is None else compiled_in
    number = jnp.arange(slots, dtype=jnp.int32)
    return _Play(
        key=key,
        state=_fresh(env, params, levels, number),
        carry=policy.initial_carry(slots),
        episode=number,
        total=jnp.zeros(slots, jnp.float32),
        length=jnp.zeros(slots, jnp.int32),
        dealt=jnp.int32(slots),
        steps=jnp.int32(0),
        solved=jnp.zeros(episodes, bool),
        returns=jnp.zeros(episodes, jnp.float32),
        lengths=jnp.zeros(episodes, jnp.int32),
        nonfinite=jnp.zeros(episodes, bool),
        recording=_empty_recording(*recorded, env.size.bodies),
    )


def _empty_recording(episodes: int, steps: int, bodies: int) -> Recording | None:
    if not episodes:
        return None
    shape = episodes, steps, bodies
    return Recording(jnp.zeros((*shape, 2), jnp.float32), jnp.zeros(shape, jnp.float32), jnp.zeros(episodes, bool))


@functools.partial(jax.jit, static_argnames=("greedy", "env", "compiled_in", "kind"))
def _go_on(policy, levels, params, play: _Play, *, greedy: bool, env: KinetixEnv, compiled_in, kind) -> _Play:
    policy = policy if compiled_in is None else compiled_in
    slots, episodes = len(play.episode), len(play.solved)
    options = {"greedy": True} if greedy else {}
    advance, observe = jax.vmap(env.advance, in_axes=(0, 0, None)), jax.vmap(env.observe)
    stop = play.steps + STEPS_BETWEEN_REPORTS

    def step(play: _Play) -> _Play:
        key, action_key = jax.random.split(play.key)
        action, carry = policy.act(action_key, observe(play.state), play.carry, **options)
        state, reward, done, info = advance(play.state, action, params)
        total, length = play.total + reward, play.length + 1
        ended = done & (play.episode < episodes)
        place = jnp.where(ended, play.episode, episodes)  # one past the end: dropped
        note = lambda results, values: results.at[place].set(values, mode="drop")
        recording = play.recording
        if recording is not None:  # episodes beyond those it has room for are dropped
            follow = lambda poses, now: poses.at[play.episode, play.length].set(now, mode="drop")
            recording = Recording(
                position=follow(recording.position, state.world.position),
                rotation=follow(recording.rotation, state.world.rotation),
                failed=note(recording.failed, info["failure"]),
            )
        play = play.replace(
            key=key,
            state=state,
            carry=carry,
            total=total,
            length=length,
            steps=play.steps + 1,
            solved=note(play.solved, info["goal"]),
            returns=note(play.returns, total),
            lengths=note(play.lengths, length),
            nonfinite=note(play.nonfinite, info["nonfinite"]),
            recording=None,  # large, and nothing for the branches to copy
        )
        play = jax.lax.cond(ended.any(), deal, lambda play, ended: play, play, ended)
        return play.replace(recording=recording)

    def deal(play: _Play, ended: jax.Array) -> _Play:
        """Give the next episodes to the slots whose episode has ended."""
        episode = play.dealt + jnp.cumsum(ended, dtype=jnp.int32) - 1
        episode = jnp.where(ended, jnp.minimum(episode, episodes), play.episode)
        return play.replace(
            state=_where(ended, _fresh(env, params, levels, episode), play.state),
            carry=_where(ended, policy.initial_carry(slots), play.carry),
            episode=episode,
            total=jnp.where(ended, 0.0, play.total),
            length=jnp.where(ended, 0, play.length),
            dealt=jnp.minimum(play.dealt + ended.sum(dtype=jnp.int32), episodes),
        )

    more = lambda play: (play.steps < stop) & (play.episode < episodes).any()
    return jax.lax.while_loop(more, step, play)


def _fresh(env: KinetixEnv, params: EnvParams, levels: Level, episode: jax.Array) -> Any:
    """Environment states (B, ...) at the start of episodes (B)."""
    chosen = levels[episode % len(levels)]
    key = jax.random.key(0)  # the environment's reset draws nothing
    return jax.vmap(env.reset_to_level, in_axes=(None, 0, None))(key, chosen, params)[1]


def _where(mask: jax.Array, yes: Any, no: Any) -> Any:
    """Leaf by leaf, ``yes`` where ``mask`` (B) holds and ``no`` elsewhere."""
    pick = lambda y, n: jnp.where(mask.reshape(mask.shape + (1,) * (n.ndim - 1)), y, n)
    return jax.tree.map(pick, yes, no)
