"""Policies to evaluate: what the protocol asks of one, and the baselines that every result is compared with."""

from __future__ import annotations

import re
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from kinetix_ued.environment import ActionType, KinetixEnv

NOOP, RANDOM = "noop", "random"
"""Names of the policies that need no training; ``random:FRAMES`` holds every action for that many frames."""

HELD_FRAMES = (8, 32)
"""Frames of 1/60 s for which the usual baselines hold a random action, besides one drawn in every step.

An action drawn anew in every step averages out within a few frames, so it hardly moves anything heavy. Held for half a
second it drives and flies: of the published M levels it solves 34 % instead of 14 %.
"""

MOST_FRAMES = 10**6
"""Longest time for which an action can be held [frames]: hours, beyond the end of any episode."""


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
    """Draws actions uniformly and holds each for a number of environment steps.

    Its memory is the action being held (B, ...) and the steps for which it still is (B) int32, so that every episode
    begins with an action of its own.

    Attributes:
        actions: the environment's kind of action
        steps: for which an action is held, at least 1 () int32; a leaf, so that all share one compiled program
    """

    actions: ActionType = struct.field(pytree_node=False)
    steps: Any = np.int32(1)

    def initial_carry(self, batch: int) -> tuple[jax.Array, jax.Array]:
        noop = self.actions.noop()
        return jnp.broadcast_to(noop, (batch, *noop.shape)), jnp.zeros(batch, jnp.int32)

    def act(self, key: jax.Array, observation: Any, carry: Any, *, greedy: bool = False) -> tuple[jax.Array, Any]:
        held, left = carry
        drawn = jax.vmap(self.actions.sample)(jax.random.split(key, _batch(observation)))
        ended = left == 0
        action = jnp.where(ended.reshape(-1, *[1] * (drawn.ndim - 1)), drawn, held)
        return action, (action, jnp.where(ended, self.steps, left) - 1)


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


def baseline_names(frame_skip: int) -> tuple[str, ...]:
    """The policies that results are usually shown beside, in an environment with ``frame_skip``.

    Actions are held for ``HELD_FRAMES``, or for the next whole number of environment steps.

    >>> baseline_names(2)
    ('noop', 'random', 'random:8', 'random:32')
    >>> baseline_names(3), baseline_names(8)
    (('noop', 'random', 'random:9', 'random:33'), ('noop', 'random', 'random:32'))
    """
    whole = [-(-frames // frame_skip) * frame_skip for frames in HELD_FRAMES]
    return (NOOP, RANDOM, *(f"{RANDOM}:{frames}" for frames in dict.fromkeys(whole) if frames > frame_skip))


def is_baseline(name: str) -> bool:
    """Whether this names a policy that needs no training.

    Raises:
        ValueError: for ``random:`` with something else than a number of frames behind it.
    """
    if name in (NOOP, RANDOM):
        return True
    kind, colon, frames = name.partition(":")
    if kind != RANDOM or not colon:
        return False
    if re.fullmatch("[1-9][0-9]{0,6}", frames) is None or int(frames) > MOST_FRAMES:
        usual = " or ".join(f"{RANDOM}:{frames}" for frames in HELD_FRAMES)
        raise ValueError(f"{name!r} names no number of frames from 1 to {MOST_FRAMES}: write {usual}")
    return True


def baseline(name: str, env: KinetixEnv) -> NoopPolicy | RandomPolicy:
    """The policy called ``noop``, ``random`` or ``random:FRAMES``, for an environment.

    Raises:
        ValueError: for another name, or frames that are no multiple of the environment's frame skip.
    """
    if not is_baseline(name):
        raise ValueError(f"unknown baseline {name!r}: use {', '.join(baseline_names(env.frame_skip))}")
    if name == NOOP:
        return NoopPolicy(env.actions)
    frames = int(name.partition(":")[2] or env.frame_skip)
    if frames % env.frame_skip:
        below = frames - frames % env.frame_skip
        nearest = [f"{RANDOM}:{n}" for n in (below, below + env.frame_skip) if n]
        raise ValueError(
            f"{name} cannot hold an action for {frames} frames where an environment step has {env.frame_skip}: "
            f"use {' or '.join(nearest)}"
        )
    return RandomPolicy(env.actions, np.int32(frames // env.frame_skip))


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
