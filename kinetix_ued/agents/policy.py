"""A policy: one network as pure functions, for acting step by step and for training on whole rollouts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from .actuator import ActuatorEmbedding, ActuatorEncoder, ActuatorHead
from .cnn import ConvolutionalNetwork
from .distributions import Distribution, outputs_of
from .entity_transformer import EntityTransformer
from .flat_mlp import FlatMLP
from .heads import ActorCritic
from .permutation_invariant import PermutationInvariantMLP
from .recurrent import GatedRecurrentUnit

NETWORKS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "actuator": (ActuatorEncoder, ("scene",)),
    "entity_transformer": (EntityTransformer, ("entity",)),
    "permutation_invariant": (PermutationInvariantMLP, ("entity", "symbolic_flat_padded")),
    "flat_mlp": (FlatMLP, ("symbolic_flat", "blind")),
    "cnn": (ConvolutionalNetwork, ("pixels",)),
}
"""Networks by name, with the observations that each can read."""

Params = Any
"""A network's parameters: a pytree of arrays."""

Carry = Any
"""What a policy remembers from step to step, (B, ...); ``()`` if it does not."""


class ActorCriticNetwork(nn.Module):
    """An encoder, perhaps a memory, and the towers. Observations and resets are of T steps in B environments.

    Without memory the leading axes are free, and the carry goes through untouched.

    Attributes:
        encoder: observation -> embedding
        head: embedding -> distribution, value
        memory: carry, embeddings (T, B, E), resets (T, B) -> carry, embeddings; None for a feed-forward policy
    """

    encoder: nn.Module
    head: nn.Module
    memory: nn.Module | None = None

    def __call__(self, carry: Carry, observations: Any, resets: jax.Array | None):
        embeddings = self.encoder(observations)
        if self.memory is not None and isinstance(embeddings, ActuatorEmbedding):
            carry, scene = self.memory(carry, embeddings.scene, resets)
            embeddings = embeddings.replace(scene=scene)
        elif self.memory is not None:
            carry, embeddings = self.memory(carry, embeddings, resets)
        return carry, *self.head(embeddings)


@dataclasses.dataclass(frozen=True)
class Policy:
    """What training and evaluation use of an agent; make one with ``make_policy``. Its methods are pure functions.

    ``apply`` and ``unroll`` are the network's: one call, one decision. ``act`` plays: it makes a decision every ``hold``
    calls and repeats its action in between. A reset says that the transition before this observation ended its episode:
    a memory is zeroed before use.
    """

    network: ActorCriticNetwork
    hold: int = 1
    """Environment steps for which ``act`` holds an action."""

    @property
    def recurrent(self) -> bool:
        """Whether the policy remembers: then it trains on whole environments, in order."""
        return self.network.memory is not None

    def init(self, key: jax.Array, observation: Any) -> Params:
        """Random parameters; ``observation``, of one scene, gives shapes and dtypes (``jax.ShapeDtypeStruct`` too)."""
        observations = jax.tree.map(lambda x: jnp.zeros((1, 1, *x.shape), x.dtype), observation)
        return self.network.init(key, self.initial_carry(1), observations, jnp.zeros((1, 1), bool))["params"]

    def initial_carry(self, batch: int) -> Carry:
        """The carry (batch, ...) at the start of episodes."""
        return jnp.zeros((batch, self.network.memory.size), jnp.float32) if self.recurrent else ()

    def apply(
        self, params: Params, carry: Carry, observation: Any, reset: jax.Array
    ) -> tuple[Carry, Distribution, jax.Array]:
        """One step of B environments: the new carry, the distribution over actions (B, ...) and the value (B).

        Args:
            observation: each leaf (B, ...)
            reset: (B) bool
        """
        if not self.recurrent:
            return self.network.apply({"params": params}, carry, observation, reset)
        first = lambda tree: jax.tree.map(lambda x: x[0], tree)
        observation = jax.tree.map(lambda x: x[None], observation)
        carry, distribution, value = self.network.apply({"params": params}, carry, observation, reset[None])
        return carry, first(distribution), value[0]

    def initial_memory(self, batch: int) -> Any:
        """What ``act`` remembers at the start of episodes (batch, ...): the carry, and where it holds, the held action."""
        carry = self.initial_carry(batch)
        if self.hold == 1:
            return carry
        actions = self.network.head.actions
        return carry, jnp.zeros((batch, *actions.shape), actions.dtype), jnp.zeros(batch, jnp.int32)

    def act(
        self, params: Params, key: jax.Array, observation: Any, memory: Any, *, greedy: bool = False
    ) -> tuple[jax.Array, Any]:
        """Actions of B environments (B, ...) and what is remembered of them.

        Args:
            key: of the sampled actions
            observation: each leaf (B, ...)
            memory: as ``initial_memory`` makes it at the start of an episode, later that of the call before
            greedy: take the most likely actions instead of sampled ones
        """
        carry, held, left = memory if self.hold > 1 else (memory, None, None)
        batch = jax.tree.leaves(observation)[0].shape[0]
        next_carry, distribution, _ = self.apply(params, carry, observation, jnp.zeros(batch, bool))
        action = distribution.mode() if greedy else distribution.sample(key)
        if self.hold == 1:
            return action, next_carry
        decides = left == 0
        pick = lambda new, old: jnp.where(decides.reshape(-1, *[1] * (new.ndim - 1)), new, old)
        action, next_carry = pick(action, held), jax.tree.map(pick, next_carry, carry)
        return action, (next_carry, action, jnp.where(decides, self.hold, left) - 1)

    def unroll(
        self, params: Params, carry: Carry, observations: Any, resets: jax.Array
    ) -> tuple[Distribution, jax.Array]:
        """T steps of B environments at once: distributions (T, B, ...) and values (T, B), for training.

        Args:
            carry: before the first of the steps
            observations: each leaf (T, B, ...)
            resets: (T, B) bool
        """
        _, distribution, value = self.network.apply({"params": params}, carry, observations, resets)
        return distribution, value


def make_policy(
    network: str,
    observation: Any,
    actions: Any,
    *,
    recurrent: bool = False,
    recurrent_size: int = 256,
    head_width: int = 128,
    head_depth: int = 5,
    dtype: Any = None,
    hold: int = 1,
    **network_options: Any,
) -> Policy:
    """The policy with ``network`` (a name in ``NETWORKS``) between an observation and actions.

    Args:
        observation: name of the environment's observation, or an object with that ``name``
        actions: the environment's action type; what is read of it says ``distributions``
        recurrent: put a GRU of ``recurrent_size`` between encoder and towers
        head_width: of the actor's and the critic's layers
        head_depth: number of the actor's and of the critic's layers
        dtype: of the computation, as ``jnp.bfloat16``; parameters, values and log probabilities stay float32
        hold: environment steps for which ``Policy.act`` holds an action
        network_options: attributes of the network's class, as ``width`` or ``layers``

    Raises:
        ValueError: for an unknown network, one that cannot read the observation, or an option that it does not have.
    """
    if network not in NETWORKS:
        raise ValueError(f"unknown network {network!r}: use one of {', '.join(NETWORKS)}")
    encoder, readable = NETWORKS[network]
    name = getattr(observation, "name", observation)
    if name not in readable:
        fitting = [other for other, (_, names) in NETWORKS.items() if name in names]
        remedy = f"use network {_either(fitting)}" if fitting else "no network reads it"
        raise ValueError(f"network {network!r} reads observation {_either(readable)}, not {name!r}: {remedy}")
    options = [field.name for field in dataclasses.fields(encoder) if field.name not in ("parent", "name", "dtype")]
    for option in network_options:
        if option not in options:
            raise ValueError(f"network {network!r} has no option {option!r}: use one of {', '.join(options)}")
    outputs_of(actions)
    return Policy(
        ActorCriticNetwork(
            encoder=encoder(dtype=dtype, **network_options),
            head=(ActuatorHead if encoder is ActuatorEncoder else ActorCritic)(actions=actions, width=head_width, depth=head_depth, dtype=dtype),
            memory=GatedRecurrentUnit(recurrent_size, dtype) if recurrent else None,
        ),
        hold,
    )


def _either(names: Iterable[str]) -> str:
    return " or ".join(map(repr, names))
