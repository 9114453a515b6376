"""Choosing an engine. Both compute the same world: ``jax`` readably, ``warp`` fast."""

from __future__ import annotations

import dataclasses
import warnings

import jax
import jax.numpy as jnp

from . import step_jax
from .level import Level
from .state import Frames, WorldState
from .warp_runtime import warp_problem

ENGINES = ("auto", "jax", "warp")
"""Names that ``get_engine`` takes."""

PHYSICS = ("kinetix", "fixed")
"""Solver behaviours. ``kinetix``: as published, the padding fault included; ``fixed``: every contact accumulates."""


@dataclasses.dataclass(frozen=True)
class Engine:
    """A way to compute frames. Hashable; equal engines compile once.

    Attributes:
        name: ``jax`` or ``warp``
        physics: ``kinetix`` or ``fixed``
    """

    name: str
    physics: str = "kinetix"

    def step(
        self, level: Level, state: WorldState, motor: jax.Array, thruster: jax.Array, frames: int = 1
    ) -> tuple[WorldState, Frames]:
        """Simulate ``frames`` frames of 1/60 s under one action. For one scene; ``jax.vmap`` makes batches.

        Args:
            level: the scene's design
            state: where it stands
            motor: action of each joint's motor in [-1, 1] (J); of any type, computed with as float32
            thruster: action of each thruster in [0, 1] (T), likewise
            frames: static

        Returns:
            The state after the last frame, and what every frame showed (F leading).
        """
        padding_fault = self.physics == "kinetix"
        motor, thruster = jnp.asarray(motor, jnp.float32), jnp.asarray(thruster, jnp.float32)
        if self.name == "jax":
            return step_jax.step(level, state, motor, thruster, frames, padding_fault)
        from . import step_warp

        return step_warp.step(level, state, motor, thruster, frames, padding_fault)


def get_engine(name: str = "auto", physics: str = "kinetix") -> Engine:
    """The engine called ``name``; ``auto`` takes warp where it can run and says so in one line where it cannot.

    Raises:
        ValueError: for an unknown name, or for ``warp`` where it cannot run.
    """
    if name not in ENGINES:
        raise ValueError(f"unknown engine {name!r}: use one of {', '.join(ENGINES)}")
    if physics not in PHYSICS:
        raise ValueError(f"unknown physics {physics!r}: use one of {', '.join(PHYSICS)}")
    if name == "jax":
        return Engine("jax", physics)
    problem = warp_problem()
    if problem is None:
        return Engine("warp", physics)
    if name == "warp":
        raise ValueError(f"engine 'warp' cannot run here: {problem}; use engine='jax'")
    warnings.warn(f"{problem}: using the slower engine 'jax'", stacklevel=2)
    return Engine("jax", physics)
