"""Policies to evaluate: what the protocol asks of one, and the two that every result is compared with."""

from __future__ import annotations

from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import struct

from kinetix_ued.environment import ActionType


class Policy(Protocol):
    """Whatever chooses actions for a batch of B environments.

    One that is registered as a pytree of arrays is an argument of the compiled evaluation, so that two policies of one
    structure share a program; any other is compiled in. ``evaluate(greedy=True)`` passes ``greedy=True`` to ``act``.
    """

    def initial_carry(self, batch: int) -> Any:
        """Memory at the start of an episode (B, ...); any pytree, ``()`` for none."""
        ...

    def act(self, key: jax.Array, observation: Any, carry: Any) -> tuple[jax.Array, Any]:
        """Actions (B, ...) and the next memory (B, ...) for observations (B, ...)."""
        ...


@struct.dataclass
class NoopPolicy:
    """Does nothing, with the no-op of the environment's kind of action."""

    actions: ActionType = struct.field(pytree_node=False)

    def initial_carry(self, batch: int) -> tuple[()]:
        return ()

    def act(self, key: jax.Array, observation: Any, carry: Any, *, greedy: bool = False) -> tuple[jax.Array, Any]:
        action = self.actions.noop()
        return jnp.broadcast_to(action, (_batch(observation), *action.shape)), carry


@struct.dataclass
class RandomPolicy:
    """Draws every action uniformly."""

    actions: ActionType = struct.field(pytree_node=False)

    def initial_carry(self, batch: int) -> tuple[()]:
        return ()

    def act(self, key: jax.Array, observation: Any, carry: Any, *, greedy: bool = False) -> tuple[jax.Array, Any]:
        return jax.vmap(self.actions.sample)(jax.random.split(key, _batch(observation))), carry


@struct.dataclass
class NetworkPolicy:
    """A network of kinetix_ued.agents with its parameters, as a pytree.

    Attributes:
        network: a ``kinetix_ued.agents`` policy
        params: its parameters
    """

    network: Any = struct.field(pytree_node=False)
    params: Any

    def initial_carry(self, batch: int) -> Any:
        return self.network.initial_memory(batch)

    def act(self, key: jax.Array, observation: Any, carry: Any, *, greedy: bool = False) -> tuple[jax.Array, Any]:
        return self.network.act(self.params, key, observation, carry, greedy=greedy)


def is_pytree(policy: Any) -> bool:
    """Whether a policy is registered as a pytree of nothing but arrays."""
    return all(isinstance(leaf, jax.Array) or hasattr(leaf, "__array__") for leaf in jax.tree.leaves(policy))


def kind_of(policy: Any) -> tuple[type, str]:
    """What tells programs of two policies apart.

    Tree structures alone do not: in JAX those of two dataclasses with equal static fields compare equal (only their
    hashes differ), and now and then ``jax.jit`` ran one policy in the other's name.
    """
    return type(policy), str(jax.tree.structure(policy))


def _batch(observation: Any) -> int:
    return jax.tree.leaves(observation)[0].shape[0]
