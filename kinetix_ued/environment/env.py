"""KinetixEnv: the task over the world, as an underspecified environment whose levels are arguments of its reset."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from kinetix_ued.world import SIZES, Level, Size, WorldState, size_of, start, typed_level, varying_like
from kinetix_ued.world.engine import Engine, get_engine

from .actions import ActionType, actuate, make_actions
from .observations import Observation, make_observation
from .rules import NO_DISTANCE, dense_reward, judge, nonfinite
from .underspecified import UnderspecifiedEnv


@struct.dataclass
class EnvParams:
    """What may differ from one environment of a batch to the next.

    Attributes:
        max_steps: an episode is cut off after this many steps () int32
        dense_reward_scale: reward for coming 1 m closer; 0 leaves only +1 and -1 ()
    """

    max_steps: int | jax.Array = 256
    dense_reward_scale: float | jax.Array = 0.2


@struct.dataclass
class EnvState:
    """Where an episode is.

    Attributes:
        level: what is being played; constant
        world: what the physics changes
        time: steps taken () int32
        last_distance: sum of the green-blue distances after the last step; -1 before the first [m] ()
    """

    level: Level
    world: WorldState
    time: jax.Array
    last_distance: jax.Array


@dataclasses.dataclass(frozen=True)
class KinetixEnv(UnderspecifiedEnv):
    """The environment; build it with ``make``. It never resets itself: see ``AutoReplay`` and ``AutoReset``.

    Equal configurations are equal and hash alike, so compiled functions are shared between them. One scene at a time:
    ``jax.vmap`` batches. Its physics draws no random numbers; the keys are there for the interface.

    A step returns ``info`` with bools ``goal`` and ``failure`` (what was touched first), ``terminated`` (by a touch
    or by a state that is not finite), ``truncated`` (by the step limit alone), ``nonfinite``, and the float
    ``distance`` (sum of the green-blue distances [m]). ``done`` is terminated or truncated.
    """

    size: Size
    """Size of the levels it takes."""
    observation: Observation
    """What the agent sees."""
    actions: ActionType
    """What the agent does."""
    engine: str
    """``jax`` or ``warp``."""
    physics: str
    """``kinetix`` or ``fixed``."""
    frame_skip: int
    """Frames of 1/60 s in a step."""
    dense_reward_scale: float
    """Default of ``EnvParams.dense_reward_scale``."""
    max_steps: int
    """Default of ``EnvParams.max_steps``."""

    @property
    def default_params(self) -> EnvParams:
        """The parameters that ``make`` was given."""
        return EnvParams(max_steps=self.max_steps, dense_reward_scale=self.dense_reward_scale)

    def action_space(self, params: EnvParams | None = None) -> ActionType:
        """The kind of action, which is also its space: ``shape``, ``dtype``, ``heads``, ``sample``, ``noop``."""
        return self.actions

    def observation_space(self, params: EnvParams | None = None) -> Any:
        """Shapes and dtypes of an observation, as ``jax.ShapeDtypeStruct``."""
        return self.observation.space(self.size)

    def reset_env_to_level(self, key: jax.Array, level: Level, params: EnvParams) -> tuple[Any, EnvState]:
        """The first observation and state of an episode in ``level``.

        Raises:
            ValueError: for a batch of levels, or a level of another size than the environment's.
        """
        if level.gravity.ndim != 1:
            raise ValueError("reset_to_level takes one level; batch it with jax.vmap(env.reset_to_level, (0, 0, None))")
        if level.size != self.size:
            ours, theirs = (size.name if size in SIZES.values() else size for size in (self.size, level.size))
            remedy = f"make the environment with size={theirs!r}"
            if self.size.holds(level.size):
                remedy = f"load the level with size={ours!r}, or {remedy}"
            raise ValueError(f"the level has size {theirs!r} and the environment {ours!r}: {remedy}")
        level = typed_level(level)
        state = EnvState(level, start(level), time=jnp.int32(0), last_distance=jnp.float32(NO_DISTANCE))
        state = varying_like(state, level, key)  # a rollout may begin with it on several devices
        return self.observe(state), state

    def step_env(
        self, key: jax.Array, state: EnvState, action: jax.Array, params: EnvParams
    ) -> tuple[Any, EnvState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """One step of ``frame_skip`` frames under one action: observation, state, reward, done, info."""
        state, reward, done, info = self.advance(state, action, params)
        return self.observe(state), state, reward, done, info

    def observe(self, state: EnvState) -> Any:
        """What the agent sees of ``state``; always finite."""
        return self.observation.observe(state.level, state.world, state.time)

    def advance(
        self, state: EnvState, action: jax.Array, params: EnvParams
    ) -> tuple[EnvState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """A step without its observation, for wrappers: state, reward, done, info.

        A step that leaves the state non-finite ends the episode and is worth nothing, whatever was touched.
        """
        motor, thruster = actuate(state.level, self.actions.controls(action))
        engine = Engine(self.engine, self.physics)
        world, frames = engine.step(state.level, state.world, motor, thruster, frames=self.frame_skip)
        verdict, broken = judge(frames), nonfinite(world)
        goal, failure = verdict.goal & ~broken, verdict.failure & ~broken
        reward = goal.astype(jnp.float32) - failure.astype(jnp.float32)
        nearer = dense_reward(verdict.distance, state.last_distance, params.dense_reward_scale)
        time = state.time + 1
        terminated = goal | failure | broken
        done = terminated | (time >= params.max_steps)
        info = {
            "goal": goal,
            "failure": failure,
            "terminated": terminated,
            "truncated": done & ~terminated,
            "nonfinite": broken,
            "distance": jnp.nan_to_num(verdict.distance, posinf=0.0, neginf=0.0),
        }
        last_distance = jnp.where(done, NO_DISTANCE, verdict.distance)
        state = state.replace(world=world, time=time, last_distance=last_distance)
        return state, reward + jnp.where(broken, 0.0, nearer), done, info


def make(
    size: str | Size = "s",
    *,
    observation: str = "entity",
    actions: str = "multi_discrete",
    engine: str = "auto",
    physics: str = "kinetix",
    frame_skip: int = 2,
    dense_reward_scale: float = 0.2,
    max_steps: int = 256,
) -> KinetixEnv:
    """The environment for levels of one size.

    Args:
        size: ``s``, ``m``, ``l`` or a ``Size`` of your own.
        observation: a name in ``OBSERVATIONS``.
        actions: a name in ``ACTIONS``.
        engine: ``jax``, ``warp`` or ``auto``, which takes warp where it can.
        physics: ``kinetix`` for exact parity, ``fixed`` without the reference's padding fault.
        frame_skip: frames of 1/60 s in a step, all under one action.
        dense_reward_scale: default of ``EnvParams.dense_reward_scale``.
        max_steps: default of ``EnvParams.max_steps``.

    Raises:
        ValueError: for an unknown name or a number out of range, with what is known.
    """
    for name, number in (("frame_skip", frame_skip), ("max_steps", max_steps)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {number!r}")
    scale = dense_reward_scale
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not math.isfinite(scale) or scale < 0:
        raise ValueError(f"dense_reward_scale must be a finite number of at least 0; got {scale!r}")
    return KinetixEnv(
        size=size_of(size),
        observation=make_observation(observation, max_steps),
        actions=make_actions(actions),
        engine=get_engine(engine, physics).name,
        physics=physics,
        frame_skip=frame_skip,
        dense_reward_scale=float(scale),
        max_steps=max_steps,
    )
