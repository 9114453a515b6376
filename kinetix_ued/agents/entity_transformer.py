"""The entity transformer: bodies attend to each other, joints and thrusters send messages to the bodies they hold."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.initializers import orthogonal

from .layers import Dense

RELATIONS = 4
"""Attention masks of an entity observation: all bodies, joined bodies, next bodies, touching bodies."""


class EntityTransformer(nn.Module):
    """An entity observation becomes an embedding (..., width), the mean over active bodies and one scene token.

    Any number of slots, any leading batch axes. Inactive slots have no influence, and neither has the order of slots.

    Attributes:
        width: of a body's vector and of the embedding
        layers: attention layers, each with its joint and thruster messages
        heads: attention heads, the same number for each of the four relations
        attention_width: of queries, keys and values, all heads together
        legacy_entity_id: tag circles and polygons alike, as the networks of Kinetix' paper did by mistake
        dtype: of the computation; None computes in float32
    """

    width: int = 128
    layers: int = 2
    heads: int = 8
    attention_width: int = 16
    legacy_entity_id: bool = False
    dtype: Any = None

    def __post_init__(self):
        if self.heads % RELATIONS or self.attention_width % self.heads:
            raise ValueError(
                f"heads must be a multiple of {RELATIONS} and attention_width one of heads; "
                f"got heads={self.heads}, attention_width={self.attention_width}"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, observation: Any) -> jax.Array:
        def encode(kind: str, width: int) -> jax.Array:
            dense = Dense(width, dtype=self.dtype, kernel_init=orthogonal(2**0.5), name=kind)
            return nn.tanh(dense(getattr(observation, kind)))

        def tagged(encoded: jax.Array, tag: int) -> jax.Array:
            return jnp.concatenate([encoded, jnp.full((*encoded.shape[:-1], 1), tag, encoded.dtype)], axis=-1)

        polygon_tag = 0 if self.legacy_entity_id else 1
        circles = tagged(encode("circles", self.width - 1), 0)
        polygons = tagged(encode("polygons", self.width - 1), polygon_tag)
        joints, thrusters = encode("joints", self.width), encode("thrusters", self.width)

        # The scene token comes first: it sees every active body, and every active body sees it, in all relations.
        scene = jnp.ones((*polygons.shape[:-2], 1, self.width), polygons.dtype)
        bodies = jnp.concatenate([scene, polygons, circles], axis=-2)
        active = _pad_front(jnp.concatenate([observation.polygon_mask, observation.circle_mask], axis=-1), axes=1)
        visible = _pad_front(observation.attention_mask, axes=2)
        visible = visible & active[..., None, :, None] & active[..., None, None, :]
        # Where each joint's row looks from and to, and which body holds each thruster: one-hot, all zero if inactive.
        joint_ends = self._one_hot(observation.joint_indexes, observation.joint_mask[..., None], bodies)
        thruster_body = self._one_hot(observation.thruster_indexes, observation.thruster_mask, bodies)

        for layer in range(self.layers):
            normal = lambda name: nn.LayerNorm(dtype=self.dtype, name=f"{name}_{layer}")
            attention = Attention(self.heads, self.attention_width, self.dtype, name=f"attention_{layer}")
            attended = nn.relu(attention(normal("attention_norm")(bodies), visible))
            bodies = Gate(self.dtype, name=f"attention_gate_{layer}")(bodies, attended)
            dense = Dense(self.width, dtype=self.dtype, name=f"dense_{layer}")
            transformed = nn.relu(dense(normal("dense_norm")(bodies)))
            bodies = Gate(self.dtype, name=f"dense_gate_{layer}")(bodies, transformed)
            messages = Messages(self.dtype, name=f"messages_{layer}")
            bodies = bodies + messages(bodies, joints, joint_ends, thrusters, thruster_body)
        return jnp.mean(bodies, axis=-2, where=active[..., None])

    @staticmethod
    def _one_hot(index: jax.Array, active: jax.Array, bodies: jax.Array) -> jax.Array:
        # Products with these gather and scatter: in the backward pass cheaper than indexing. Body 0 is token 1.
        tokens = jnp.arange(bodies.shape[-2])
        return ((index[..., None] + 1 == tokens) & active[..., None]).astype(bodies.dtype)


class Attention(nn.Module):
    """Masked multi-head attention among bodies (..., N, D); each of the masks (..., R, N, N) rules heads / R heads."""

    heads: int
    width: int
    dtype: Any = None

    @nn.compact
    def __call__(self, bodies: jax.Array, visible: jax.Array) -> jax.Array:
        # One product for queries, keys and values: the same weights, drawn at the same scale, as in three.
        projected = Dense(3 * self.width, dtype=self.dtype, name="query_key_value")(bodies)
        projected = projected.reshape(*projected.shape[:-1], 3 * self.heads, self.width // self.heads)
        query, key, value = jnp.split(projected, 3, axis=-2)
        score = jnp.einsum("...qhd,...khd->...hqk", query, key) / query.shape[-1] ** 0.5
        visible = jnp.repeat(visible, self.heads // visible.shape[-3], axis=-3)
        # Finite: a body that sees nothing, which only inactive ones do, must not become NaN.
        share = jax.nn.softmax(jnp.where(visible, score, -1e9))
        mixed = jnp.einsum("...hqk,...khd->...qhd", share, value)
        return Dense(bodies.shape[-1], dtype=self.dtype, name="out")(mixed.reshape(*mixed.shape[:-2], self.width))


class Gate(nn.Module):
    """A gated residual connection (Parisotto et al. 2020, arXiv:1910.06764): a GRU with the old vector as its state."""

    dtype: Any = None

    @nn.compact
    def __call__(self, old: jax.Array, new: jax.Array) -> jax.Array:
        # Six products of one width each. Fewer, wider ones were no faster on a CPU: slicing their result costs as much.
        product = lambda x, name: Dense(x.shape[-1], use_bias=False, dtype=self.dtype, name=name)(x)
        bias = self.param("bias", nn.initializers.zeros, old.shape[-1:], jnp.float32).astype(new.dtype)
        reset = nn.sigmoid(product(new, "reset_new") + product(old, "reset_old"))
        update = nn.sigmoid(product(new, "update_new") + product(old, "update_old") - bias)
        candidate = nn.tanh(product(new, "candidate_new") + product(reset * old, "candidate_old"))
        return old + update * (candidate - old)


class Messages(nn.Module):
    """What bodies (..., N, D) receive from joints (..., 2J, D) and thrusters (..., T, D).

    A joint's row sends to the body it looks from; its other row sends to the other.
    """

    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        bodies: jax.Array,
        joints: jax.Array,
        joint_ends: jax.Array,
        thrusters: jax.Array,
        thruster_body: jax.Array,
    ) -> jax.Array:
        """``joint_ends`` (..., 2J, 2, N) and ``thruster_body`` (..., T, N) are one-hot, all zero for inactive rows."""
        width = bodies.shape[-1]
        ends = jnp.einsum("...jen,...nd->...jed", joint_ends, bodies)
        ends = ends.reshape(*joints.shape[:-1], 2 * width)
        holders = thruster_body @ bodies
        from_joints = Dense(width, dtype=self.dtype, name="joint")(jnp.concatenate([ends, joints], axis=-1))
        from_thrusters = Dense(width, dtype=self.dtype, name="thruster")(jnp.concatenate([holders, thrusters], axis=-1))
        receivers = jnp.concatenate([joint_ends[..., 0, :], thruster_body], axis=-2)
        return jnp.einsum("...mn,...md->...nd", receivers, jnp.concatenate([from_joints, from_thrusters], axis=-2))


def _pad_front(mask: jax.Array, axes: int) -> jax.Array:
    """``mask`` with a True slot before the first along each of its last ``axes`` axes."""
    return jnp.pad(mask, [(0, 0)] * (mask.ndim - axes) + [(1, 0)] * axes, constant_values=True)
