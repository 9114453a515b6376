"""What every kind of action is, and how controls reach joints and thrusters."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import Level
from kinetix_ued.world.constants import MOTOR_BINDINGS, THRUSTER_BINDINGS

CONTROLS = MOTOR_BINDINGS + THRUSTER_BINDINGS
"""Controls of a scene: motor channels in [-1, 1], then thruster channels in [0, 1]."""


class ActionType:
    """A kind of action. Subclasses are frozen dataclasses without fields, so every one equals itself and hashes.

    It is also the environment's action space: ``shape``, ``dtype``, ``sample`` and ``contains``.
    """

    name: ClassVar[str]
    """What ``kinetix_ued.make`` calls it."""
    shape: ClassVar[tuple[int, ...]]
    """Shape of one action."""
    dtype: ClassVar[Any]
    """Its dtype."""
    heads: ClassVar[tuple[int, ...]]
    """Choices of each categorical that a policy needs; empty for continuous actions."""
    low: ClassVar[float | tuple[float, ...]]
    """Smallest numbers of an action."""
    high: ClassVar[float | tuple[float, ...]]
    """Largest numbers of an action."""

    def controls(self, action: jax.Array) -> jax.Array:
        """The six controls (6) that ``action`` stands for."""
        raise NotImplementedError

    def sample(self, key: jax.Array) -> jax.Array:
        """An action drawn uniformly."""
        raise NotImplementedError

    def noop(self) -> jax.Array:
        """The action that drives nothing."""
        raise NotImplementedError

    def contains(self, action: jax.Array) -> jax.Array:
        """Whether all numbers of ``action`` are in range ()."""
        return ((action >= jnp.array(self.low)) & (action <= jnp.array(self.high))).all()

    def check(self, actions: np.ndarray) -> np.ndarray:
        """``actions`` (T, *shape) in this kind's dtype.

        Raises:
            ValueError: for another shape, a dtype of another kind, no action at all, or numbers out of range.
        """
        actions = np.asarray(actions)
        shape = ", ".join(["T", *map(str, self.shape)])
        wanted = f"{self.name} actions are {np.dtype(self.dtype)} numbers of shape ({shape}), T at least 1"
        if actions.ndim != 1 + len(self.shape) or actions.shape[1:] != self.shape or len(actions) == 0:
            raise ValueError(f"{wanted}; got shape {actions.shape}")
        if actions.dtype.kind not in ("iu" if np.dtype(self.dtype).kind == "i" else "iuf"):
            raise ValueError(f"{wanted}; got {actions.dtype}")
        good = (actions >= np.array(self.low)) & (actions <= np.array(self.high))
        good = good.reshape(len(actions), -1).all(axis=1)
        if not good.all():
            step = int(np.argmin(good))
            raise ValueError(f"{wanted}, from {self.low} to {self.high}; step {step} has {actions[step].tolist()}")
        return actions.astype(self.dtype)


def driven_channels(level: Level) -> jax.Array:
    """Which of the six controls some motor or thruster of the level listens to (6) bool; the others change nothing."""
    motors = level.joint_active & level.motor_on & ~level.joint_fixed & ~level.motor_auto

    def heard(binding: jax.Array, listens: jax.Array, channels: int) -> jax.Array:
        return ((binding[:, None] == jnp.arange(channels)) & listens[:, None]).any(axis=0)

    motor = heard(level.motor_binding, motors, MOTOR_BINDINGS)
    return jnp.concatenate([motor, heard(level.thruster_binding, level.thruster_active, THRUSTER_BINDINGS)])


def actuate(level: Level, controls: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Controls (6) spread by binding: every joint's motor (J) in [-1, 1] and every thruster (T) in [0, 1].

    Automatic motors run forward whatever their channel says.
    """

    def spread(channels: jax.Array, binding: jax.Array) -> jax.Array:
        return jnp.where(binding[:, None] == jnp.arange(len(channels)), channels, 0.0).sum(axis=1)

    motor = spread(controls[:MOTOR_BINDINGS], level.motor_binding)
    thruster = spread(controls[MOTOR_BINDINGS:], level.thruster_binding)
    return jnp.where(level.motor_auto, 1.0, motor), thruster
