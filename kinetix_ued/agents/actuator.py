"""The actuator network: bodies tell each other where they are, and every motor and thruster decides for itself.

All bodies share one encoder, all motors share another and all thrusters a third, so what is learnt about one thruster
holds for every other, whatever its slot, its channel and the size of the level. Levels of all sizes are one task.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from flax.linen.initializers import orthogonal

from kinetix_ued.environment.observations.scene import BODY_COLUMNS, SceneObservation, from_second_body, mirrored
from kinetix_ued.world.constants import MOTOR_BINDINGS, STATIC_POLYGONS, THRUSTER_BINDINGS

from .distributions import Distribution, distribution_of, heads_of, outputs_of
from .layers import Dense, group_maxima, weighted_sums

_RELU_GAIN = 2**0.5
_SMALL = 0.01
"""Scale of the layers that put out scores and values: at first every action is as likely, and every value near 0."""


@struct.dataclass
class ActuatorEmbedding:
    """What the encoder makes of a scene.

    Attributes:
        scene: (..., S)
        motors: what each joint knows of itself and its bodies (..., J, A)
        thrusters: likewise (..., T, A)
        motor_channel: one-hot, all zero where nothing listens (..., J, 4)
        thruster_channel: likewise (..., T, 2)
        flipped: the scene was seen in a mirror, so motors turn the other way (...) bool
    """

    scene: jax.Array
    motors: jax.Array
    thrusters: jax.Array
    motor_channel: jax.Array
    thruster_channel: jax.Array
    flipped: jax.Array


class ActuatorEncoder(nn.Module):
    """A scene observation becomes an ``ActuatorEmbedding``.

    Attributes:
        width: of a body's vector
        scene_width: of the scene's
        actuator_width: of a motor's or thruster's
        rounds: how often bodies hear from those that they touch, are joined to, or move with
        attention_heads: with a number above 0, bodies attend to all others after the rounds
        mirror: look at the scene so that green is left of blue, which makes the policy symmetric under reflection
        dtype: of the computation; None computes in float32
    """

    width: int = 64
    scene_width: int = 128
    actuator_width: int = 64
    rounds: int = 1
    attention_heads: int = 0
    mirror: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, observation: SceneObservation) -> ActuatorEmbedding:
        flipped = _green_right_of_blue(observation)
        if self.mirror:
            pick = lambda own, other: jnp.where(
                flipped.reshape(flipped.shape + (1,) * (own.ndim - flipped.ndim)), other, own
            )
            observation = jax.tree.map(pick, observation, mirrored(observation))
        else:
            flipped = jnp.zeros_like(flipped)
        dense = lambda features, name, gain=_RELU_GAIN, bias=True: Dense(
            features, dtype=self.dtype, kernel_init=orthogonal(gain), use_bias=bias, name=name
        )
        joint_rows, thruster_rows = squashed(observation.joints), squashed(observation.thrusters)
        present = observation.body_mask[..., None]
        bodies = nn.relu(dense(self.width, "bodies")(squashed(observation.bodies)))
        links = _Links(observation, bodies.dtype)
        bodies = jnp.where(present, bodies, 0)
        for n in range(self.rounds):
            # The room is heard but does not listen: what it would hear is the same in every level.
            own = bodies[..., STATIC_POLYGONS:, :]
            others = jnp.concatenate(links.ends(bodies)[::-1], axis=-2)
            rows = jnp.concatenate([joint_rows, from_second_body(joint_rows)], axis=-2)
            joined = nn.relu(dense(self.width, f"joint_{n}")(jnp.concatenate([others, rows], axis=-1)))
            pushed = nn.relu(dense(self.width, f"thruster_{n}")(thruster_rows))
            heard = [own, *links.neighbours(bodies), links.receive(joined, pushed)]
            own = own + nn.relu(dense(self.width, f"round_{n}", 1.0)(jnp.concatenate(heard, axis=-1)))
            own = jnp.where(present[..., STATIC_POLYGONS:, :], own, 0)
            bodies = jnp.concatenate([bodies[..., :STATIC_POLYGONS, :], own], axis=-2)
        if self.attention_heads:
            normal = nn.LayerNorm(dtype=self.dtype, name="attention_norm")(bodies)
            attended = nn.MultiHeadDotProductAttention(self.attention_heads, dtype=self.dtype, name="attention")(
                normal, mask=(observation.body_mask[..., None, :] & observation.body_mask[..., None])[..., None, :, :]
            )
            bodies = jnp.where(present, bodies + attended, 0)

        pooled = _pooled(observation, bodies)
        pooled = jnp.concatenate([pooled, squashed(observation.globals).astype(pooled.dtype)], axis=-1)
        scene = nn.relu(dense(self.scene_width, "scene")(pooled))
        ends = jnp.concatenate([*links.ends(bodies), joint_rows], axis=-1)
        holders = jnp.concatenate([links.holders(bodies), thruster_rows], axis=-1)
        return ActuatorEmbedding(
            scene=scene,
            motors=dense(self.actuator_width, "motors", 1.0)(ends),
            thrusters=dense(self.actuator_width, "thrusters", 1.0)(holders),
            motor_channel=_one_hot(observation.joint_channel, MOTOR_BINDINGS, bodies.dtype),
            thruster_channel=_one_hot(observation.thruster_channel, THRUSTER_BINDINGS, bodies.dtype),
            flipped=flipped,
        )


class ActuatorHead(nn.Module):
    """An ``ActuatorEmbedding`` becomes a distribution over actions and a value (...), both float32.

    Each motor scores off, forward and backward, each thruster off and on; scores of those on one channel are added.

    Attributes:
        actions: see ``distributions``; its ``outputs`` says what channels' scores mean
        width: of the layers of actuators and critic
        depth: layers of the critic and, the first one included, of the actuators
        dtype: of the computation; None computes in the embedding's
    """

    actions: Any
    width: int = 128
    depth: int = 2
    dtype: Any = None

    @nn.compact
    def __call__(self, embedding: ActuatorEmbedding) -> tuple[Distribution, jax.Array]:
        dense = lambda features, name, gain=_RELU_GAIN, bias=True: Dense(
            features, dtype=self.dtype, kernel_init=orthogonal(gain), use_bias=bias, name=name
        )

        def scores(kind: str, own: jax.Array, channel: jax.Array, choices: int) -> jax.Array:
            width = own.shape[-1]
            x = nn.relu(own + dense(width, f"{kind}_scene", 1.0, bias=False)(embedding.scene)[..., None, :])
            for layer in range(1, self.depth):
                x = nn.relu(dense(width, f"{kind}_{layer}")(x))
            found = dense(choices, f"{kind}_out", _SMALL)(x)
            return weighted_sums(jnp.swapaxes(channel, -1, -2), found).astype(jnp.float32)

        motor = scores("motor", embedding.motors, embedding.motor_channel, 3)
        motor = jnp.where(embedding.flipped[..., None, None], motor[..., jnp.array([0, 2, 1])], motor)
        thruster = scores("thruster", embedding.thrusters, embedding.thruster_channel, 2)
        log_std = None
        if not heads_of(self.actions):
            log_std = self.param("log_std", nn.initializers.zeros, (outputs_of(self.actions),))
        distribution = distribution_of(self.actions, self.actions.outputs(motor, thruster), log_std)
        x = embedding.scene
        for layer in range(self.depth):
            x = nn.relu(dense(self.width, f"critic_{layer}")(x))
        return distribution, dense(1, "critic_out", _SMALL)(x).astype(jnp.float32)[..., 0]


def squashed(features: jax.Array) -> jax.Array:
    """sign(x) log(1 + |x|): a light body's inverse inertia reaches tens of thousands and would saturate any layer."""
    # log1p would be exact near 0 too, where features are as good as 0, and takes a CPU twice as long.
    return jnp.sign(features) * jnp.log(1 + jnp.abs(features))


class _Links:
    """Who hears whom, as matrices: on a CPU products with them are cheaper to differentiate than indexing."""

    def __init__(self, observation: SceneObservation, dtype: Any):
        count = observation.body_mask.shape[-1]
        listeners = slice(STATIC_POLYGONS, None)
        ends = _one_hot(observation.joint_bodies, count, dtype) * observation.joint_mask[..., None, None]
        self._a, self._b = ends[..., 0, :], ends[..., 1, :]
        self._holder = _one_hot(observation.thruster_body, count, dtype) * observation.thruster_mask[..., None]
        same = observation.component[..., listeners, None] == observation.component[..., None, :]
        same = same & observation.body_mask[..., None, :]
        touching = observation.touching[..., listeners, :]
        related = jnp.concatenate([touching, same], axis=-2).astype(dtype)
        self._mean = related / jnp.maximum(related.sum(-1, keepdims=True), 1)
        receivers = jnp.concatenate([self._a, self._b, self._holder], axis=-2)[..., listeners]
        self._receivers = jnp.swapaxes(receivers, -1, -2)

    def ends(self, bodies: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Vectors (..., J, D) of each joint's first body, and of its second."""
        return weighted_sums(self._a, bodies), weighted_sums(self._b, bodies)

    def holders(self, bodies: jax.Array) -> jax.Array:
        """Vectors (..., T, D) of the bodies that hold the thrusters."""
        return weighted_sums(self._holder, bodies)

    def neighbours(self, bodies: jax.Array) -> list[jax.Array]:
        """For each body but the room, the mean of those that touch it and of those that move with it (..., N - 4, D)."""
        return jnp.split(weighted_sums(self._mean, bodies), 2, axis=-2)

    def receive(self, joints: jax.Array, thrusters: jax.Array) -> jax.Array:
        """Sums (..., N - 4, D) of what joints (..., 2J, D), first to their first bodies, and thrusters send."""
        return weighted_sums(self._receivers, jnp.concatenate([joints, thrusters], axis=-2))


def _pooled(observation: SceneObservation, bodies: jax.Array) -> jax.Array:
    """Means and maxima of all bodies but the room, and of the green, the blue and the red ones (..., 8 D)."""
    count = bodies.shape[-2]
    roles = observation.bodies[..., BODY_COLUMNS.places["role"][1:]] > 0
    movable = jnp.broadcast_to((jnp.arange(count) >= STATIC_POLYGONS)[:, None], (*roles.shape[:-1], 1))
    groups = jnp.concatenate([movable, roles], axis=-1) & observation.body_mask[..., None]  # (..., N, 4)
    share = groups.astype(bodies.dtype) / jnp.maximum(groups.sum(-2, keepdims=True), 1).astype(bodies.dtype)
    mean = weighted_sums(jnp.swapaxes(share, -1, -2), bodies)
    highest = group_maxima(groups, bodies)
    flat = lambda x: x.reshape(*x.shape[:-2], -1)
    return jnp.concatenate([flat(mean), flat(highest)], axis=-1)


def _green_right_of_blue(observation: SceneObservation) -> jax.Array:
    """Whether the green bodies are to the right of the blue ones, on average (...) bool."""
    x = observation.bodies[..., BODY_COLUMNS.places["position"][0]]

    def middle(role: int) -> jax.Array:
        chosen = (observation.bodies[..., BODY_COLUMNS.places["role"][role]] > 0) & observation.body_mask
        return jnp.where(chosen, x, 0).sum(-1) / jnp.maximum(chosen.sum(-1), 1)

    return middle(1) > middle(2)


def _one_hot(values: jax.Array, count: int, dtype: Any) -> jax.Array:
    return (values[..., None] == jnp.arange(count)).astype(dtype)
