"""What every kind of action is."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np


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

    def outputs(self, motor: jax.Array, thruster: jax.Array) -> jax.Array:
        """What a network puts out for this kind (..., outputs): logits of all heads, or means.

        Args:
            motor: scores of off, forward and backward for each motor channel (..., 4, 3)
            thruster: scores of off and on for each thruster channel (..., 2, 2)
        """
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
