"""The interface of an underspecified environment, as JaxUED has it."""

from __future__ import annotations

import functools
from typing import Any

import jax


class UnderspecifiedEnv:
    """An environment whose levels are arguments of its reset; subclasses say what a reset and a step are.

    Methods and signatures are those of ``jaxued.environments.UnderspecifiedEnv`` (Coward, Beukman and Foerster, JaxUED,
    2024), so JaxUED's wrappers and samplers take it. It is written out here because importing that class imports
    gymnax, pandas and seaborn too, which takes longer than all the rest of this package.
    """

    @property
    def default_params(self) -> Any:
        """The parameters that ``step`` and ``reset_to_level`` take where none are given."""
        raise NotImplementedError

    @functools.partial(jax.jit, static_argnums=(0,))
    def step(
        self, rng: jax.Array, state: Any, action: Any, params: Any = None
    ) -> tuple[Any, Any, jax.Array, jax.Array, dict[str, Any]]:
        """One step, compiled: observation, state, reward, done, info."""
        return self.step_env(rng, state, action, self.default_params if params is None else params)

    @functools.partial(jax.jit, static_argnums=(0,))
    def reset_to_level(self, rng: jax.Array, level: Any, params: Any = None) -> tuple[Any, Any]:
        """The first observation and state of an episode in ``level``, compiled."""
        return self.reset_env_to_level(rng, level, self.default_params if params is None else params)

    def step_env(
        self, rng: jax.Array, state: Any, action: Any, params: Any
    ) -> tuple[Any, Any, jax.Array, jax.Array, dict[str, Any]]:
        """One step: observation, state, reward, done, info."""
        raise NotImplementedError

    def reset_env_to_level(self, rng: jax.Array, level: Any, params: Any) -> tuple[Any, Any]:
        """The first observation and state of an episode in ``level``."""
        raise NotImplementedError

    def action_space(self, params: Any) -> Any:
        """What actions there are."""
        raise NotImplementedError
