"""Bodies, joints and thrusters as rows of features, and who may attend to whom."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from kinetix_ued.world import Level, Size, WorldState

from .base import Observation
from .features import (
    body_features,
    circle_features,
    gravity_feature,
    joint_features,
    joint_indexes,
    polygon_features,
    thruster_features,
)


@struct.dataclass
class EntityObservation:
    """A scene as a set of entities. Rows of inactive slots hold values too: the masks say which count.

    Attributes:
        circles: features, the last one gravity (C, 19)
        polygons: features, the last one gravity; the room included (P, 27)
        joints: each seen from its second body, then each from its first (2J, 22)
        thrusters: (T, 8)
        circle_mask: the row is a circle (C) bool
        polygon_mask: the row is a polygon (P) bool
        joint_mask: the row is a joint (2J) bool
        thruster_mask: the row is a thruster (T) bool
        attention_mask: pairs of active bodies: all; joined, directly or not, or the same; joined directly; in contact
            in the last frame, each pair once in the order of ``Size.pairs`` (4, N, N) bool
        joint_indexes: bodies from which and to which a joint's row looks, 0 if inactive (2J, 2) int32
        thruster_indexes: body of each thruster (T) int32
    """

    circles: jax.Array
    polygons: jax.Array
    joints: jax.Array
    thrusters: jax.Array
    circle_mask: jax.Array
    polygon_mask: jax.Array
    joint_mask: jax.Array
    thruster_mask: jax.Array
    attention_mask: jax.Array
    joint_indexes: jax.Array
    thruster_indexes: jax.Array


@functools.cache
def _contact_places(size: Size) -> np.ndarray:
    """For each ordered pair of bodies, its two contacts in storage order (2, N, N); ``size.contacts`` where none."""
    places = np.full((2, size.bodies, size.bodies), size.contacts, np.int32)
    first = np.cumsum([0] + [len(pairs) for pairs in size.pairs])
    for kind, pairs in enumerate(size.pairs):
        point = 1 if kind == 1 else 0  # the second contact of a polygon pair
        places[point, pairs[:, 0], pairs[:, 1]] = first[kind] + np.arange(len(pairs))
    return places


def contacts(size: Size, contact_active: jax.Array) -> jax.Array:
    """Pairs of bodies in contact (N, N). A gather, not a scatter: a polygon pair's two points would write one place."""
    return jnp.append(contact_active, False)[_contact_places(size)].any(axis=0)


def _joined(size: Size, indexes: jax.Array) -> jax.Array:
    """Pairs of bodies with a joint between them (N, N). Inactive joints look from 0 to 0, where no joint can be."""
    codes = indexes[:, 0] * size.bodies + indexes[:, 1]
    joined = (codes[:, None] == jnp.arange(1, size.bodies**2)).any(axis=0)
    return jnp.append(False, joined).reshape(size.bodies, size.bodies)


@dataclasses.dataclass(frozen=True)
class Entity(Observation):
    """An ``EntityObservation`` of the scene."""

    name = "entity"

    def observe(self, level: Level, world: WorldState, time: jax.Array) -> EntityObservation:
        size, active = level.size, level.active
        bodies = body_features(level, world)
        with_gravity = lambda rows: jnp.concatenate([rows, jnp.full((len(rows), 1), gravity_feature(level))], axis=1)
        indexes = joint_indexes(level)
        related = [
            jnp.ones((size.bodies, size.bodies), bool),
            world.component[:, None] == world.component,
            _joined(size, indexes),
            contacts(size, world.contact_active),
        ]
        return EntityObservation(
            circles=with_gravity(circle_features(level, bodies)),
            polygons=with_gravity(polygon_features(level, bodies)),
            joints=joint_features(level),
            thrusters=thruster_features(level),
            circle_mask=active[size.polygons :],
            polygon_mask=active[: size.polygons],
            joint_mask=jnp.tile(level.joint_active, 2),
            thruster_mask=level.thruster_active,
            attention_mask=jnp.stack(related) & active[:, None] & active,
            joint_indexes=indexes,
            thruster_indexes=level.thruster_body,
        )
