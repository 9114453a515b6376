"""What happens after an episode: the same level again, or another one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level, start

from .actions import ActionType
from .env import EnvParams, EnvState, KinetixEnv
from .rules import NO_DISTANCE
from .underspecified import UnderspecifiedEnv


@dataclasses.dataclass(frozen=True)
class _Wrapper(UnderspecifiedEnv):
    """A ``KinetixEnv`` in all but the step. States are the environment's own, without a layer around them."""

    env: KinetixEnv

    @property
    def default_params(self) -> EnvParams:
        """The environment's."""
        return self.env.default_params

    def action_space(self, params: EnvParams | None = None) -> ActionType:
        """The environment's."""
        return self.env.action_space(params)

    def observation_space(self, params: EnvParams | None = None) -> Any:
        """The environment's."""
        return self.env.observation_space(params)

    def observe(self, state: EnvState) -> Any:
        """The environment's."""
        return self.env.observe(state)

    def reset_env_to_level(self, key: jax.Array, level: Level, params: EnvParams) -> tuple[Any, EnvState]:
        """The environment's."""
        return self.env.reset_env_to_level(key, level, params)


@dataclasses.dataclass(frozen=True)
class AutoReplay(_Wrapper):
    """Starts the level again whenever its episode ends.

    The observation and state of a step with ``done`` are the new episode's first; reward and info are the old one's.
    """

    def step_env(
        self, key: jax.Array, state: EnvState, action: jax.Array, params: EnvParams
    ) -> tuple[Any, EnvState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """As ``KinetixEnv.step_env``, then the restart."""
        state, reward, done, info = self.env.advance(state, action, params)
        # Only what a step changes is selected: the level stays, and with it the components of joined bodies.
        first = start(state.level).replace(component=state.world.component)
        state = state.replace(
            world=jax.tree.map(lambda new, old: jnp.where(done, new, old), first, state.world),
            time=jnp.where(done, 0, state.time),
            last_distance=jnp.where(done, NO_DISTANCE, state.last_distance),
        )
        return self.env.observe(state), state, reward, done, info


@dataclasses.dataclass(frozen=True)
class AutoReset(_Wrapper):
    """Starts a level of ``sample_level(key)`` whenever an episode ends.

    The observation and state of a step with ``done`` are the new episode's first; reward and info are the old one's.
    Under ``jax.vmap`` a level is drawn at every step, needed or not: make ``sample_level`` cheap, for instance a choice
    among levels made before.
    """

    sample_level: Callable[[jax.Array], Level]

    def step_env(
        self, key: jax.Array, state: EnvState, action: jax.Array, params: EnvParams
    ) -> tuple[Any, EnvState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """As ``KinetixEnv.step_env``, then the new level."""
        key_level, key_reset = jax.random.split(key)
        state, reward, done, info = self.env.advance(state, action, params)
        _, first = self.env.reset_env_to_level(key_reset, self.sample_level(key_level), params)
        state = jax.tree.map(lambda new, old: jnp.where(done, new, old), first, state)
        return self.env.observe(state), state, reward, done, info
