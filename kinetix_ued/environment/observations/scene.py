"""A scene for networks that share weights among bodies and among actuators: live, in world directions, by reference.

Where the observation ``entity`` shows what the reference shows, this one shows what decides an action: the angle a joint
has now, the direction in which a thruster pushes now, who touches whom, and how much time is left. Shapes are given by how
far they reach in eight directions of the world, so that neither the order of corners nor the angle of a disc matters.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from kinetix_ued.world import ROLES, Level, WorldState, driven_motors
from kinetix_ued.world.constants import ROOM_SIZE

from .base import Observation
from .entity import contacts
from .features import column, one_hot

DIRECTIONS = 8
"""Directions, a full turn apart in equal steps from the x axis, in which the reach of a shape is measured."""

NO_CHANNEL = -1
"""Channel of a joint or thruster that does not listen to the agent."""

_TARGETS = (1, 2, 3)  # roles whose nearest body every body is shown: green, blue, red


@struct.dataclass
class SceneObservation:
    """A scene of N bodies, J joints and T thrusters. Rows of inactive slots hold values too: the masks say which count.

    Units are SI, positions relative to the room's centre, directions those of the world.

    Attributes:
        bodies: see ``BODY_COLUMNS`` (N, 31)
        joints: seen from their first body, see ``JOINT_COLUMNS`` (J, 17)
        thrusters: see ``THRUSTER_COLUMNS`` (T, 8)
        globals: gravity [m/s^2] and the share of the episode that is left, see ``GLOBAL_COLUMNS`` (3)
        body_mask: the row is a body (N) bool
        joint_mask: the row is a joint (J) bool
        thruster_mask: the row is a thruster (T) bool
        touching: pairs of bodies that overlapped in the last frame, both ways round (N, N) bool
        component: label of the bodies that joints connect, see ``WorldState`` (N) int32
        joint_bodies: first and second body of each joint (J, 2) int32
        thruster_body: body of each thruster (T) int32
        joint_channel: motor channel that a joint listens to, or NO_CHANNEL (J) int32
        thruster_channel: thruster channel that a thruster listens to, or NO_CHANNEL (T) int32
    """

    bodies: jax.Array
    joints: jax.Array
    thrusters: jax.Array
    globals: jax.Array
    body_mask: jax.Array
    joint_mask: jax.Array
    thruster_mask: jax.Array
    touching: jax.Array
    component: jax.Array
    joint_bodies: jax.Array
    thruster_body: jax.Array
    joint_channel: jax.Array
    thruster_channel: jax.Array


class Exchange(NamedTuple):
    """What becomes of a row's numbers when a scene is looked at in another way.

    Attributes:
        order: where each number comes from
        sign: what it is multiplied by
    """

    order: np.ndarray
    sign: np.ndarray

    def __call__(self, rows: jax.Array) -> jax.Array:
        """Rows (..., F) of the other view."""
        return rows[..., self.order] * self.sign.astype(rows.dtype)


class Columns:
    """Where each feature of a row is, by its name."""

    def __init__(self, **widths: int):
        ends = np.cumsum(list(widths.values()))
        self.places = {name: np.arange(end - width, end) for (name, width), end in zip(widths.items(), ends)}
        self.width = int(ends[-1])

    def exchange(self, odd: Sequence[str], swapped: Sequence[tuple[str, str]] = ()) -> Exchange:
        """The view in which the features in ``odd`` change sign, and then those in ``swapped`` change places."""
        order, sign = np.arange(self.width), np.ones(self.width, np.float32)
        for name in odd:
            sign[self.places[name]] = -1
        for one, other in swapped:
            order[self.places[one]], order[self.places[other]] = self.places[other], self.places[one]
        return Exchange(order, sign)

    def mirror(self, odd: Sequence[str], vectors: Sequence[str], swapped: Sequence[tuple[str, str]] = ()) -> Exchange:
        """The view in which left and right are exchanged: as ``exchange``, and of ``vectors`` the first number is odd."""
        order, sign = self.exchange(odd, swapped)
        for name in vectors:
            sign[self.places[name][0]] = -1
        return Exchange(order, sign)


BODY_COLUMNS = Columns(
    position=2,
    velocity=2,
    angular_velocity=1,
    reach=DIRECTIONS,  # farthest point of the shape along each direction, from the centre of mass
    inverse_mass=1,
    inverse_inertia=1,
    friction=1,
    restitution=1,
    role=len(ROLES),  # one-hot
    circle=1,
    collision_mode=3,  # one-hot
    to_green=2,  # to the nearest other body of that role; 0 where there is none
    to_blue=2,
    to_red=2,
)
"""Features of a body."""

JOINT_COLUMNS = Columns(
    fixed=1,
    driven=1,  # its motor listens to the agent
    automatic=1,  # relative speed at which its motor runs by itself, 0 if it does not [6 rad/s]
    limited=1,
    motor_speed=1,  # relative speed that "forward" asks for [6 rad/s]
    motor_power=1,
    angle_sine=1,  # of the relative rotation beyond the one at rest
    angle_cosine=1,
    angle_below=1,  # left to the lower limit, 0 without limits [rad]
    angle_above=1,
    relative_angular_velocity=1,
    arm_a=2,  # from the centre of each body to the shared point
    arm_b=2,
    position=2,  # of the shared point
)
"""Features of a joint."""

THRUSTER_COLUMNS = Columns(
    power=1,
    arm=2,  # from the body's centre to the thruster
    direction=2,
    acceleration=1,  # that it gives the body, in units of 10 m/s^2
    angular_acceleration=1,  # likewise, in units of 10 rad/s^2
    speed=1,  # of the body, along the direction
)
"""Features of a thruster."""

GLOBAL_COLUMNS = Columns(gravity=2, time_left=1)
"""Features of the scene as a whole."""

_BODY_MIRROR = BODY_COLUMNS.mirror(["angular_velocity"], ["position", "velocity", "to_green", "to_blue", "to_red"])
_BODY_MIRROR.order[BODY_COLUMNS.places["reach"]] = BODY_COLUMNS.places["reach"][
    (DIRECTIONS // 2 - np.arange(DIRECTIONS)) % DIRECTIONS
]
_JOINT_MIRROR = JOINT_COLUMNS.mirror(
    ["automatic", "angle_sine", "relative_angular_velocity"],
    ["arm_a", "arm_b", "position"],
    [("angle_below", "angle_above")],
)
_THRUSTER_MIRROR = THRUSTER_COLUMNS.mirror(["angular_acceleration"], ["arm", "direction"])
_GLOBAL_MIRROR = GLOBAL_COLUMNS.mirror([], ["gravity"])

from_second_body = JOINT_COLUMNS.exchange(
    ["automatic", "motor_speed", "angle_sine", "relative_angular_velocity"],
    [("angle_below", "angle_above"), ("arm_a", "arm_b")],
)
"""Turns rows of joints seen from their first body into those seen from their second."""


@dataclasses.dataclass(frozen=True)
class Scene(Observation):
    """A ``SceneObservation`` of the scene."""

    max_steps: int = 256
    """Length of an episode, of which the share that is left is shown."""

    name = "scene"

    def observe(self, level: Level, world: WorldState, time: jax.Array) -> SceneObservation:
        world = jax.tree.map(functools.partial(jnp.nan_to_num, posinf=0.0, neginf=0.0), world)
        touching = contacts(level.size, world.contact_active)
        left = 1.0 - time.astype(jnp.float32) / self.max_steps
        return SceneObservation(
            bodies=_body_rows(level, world),
            joints=_joint_rows(level, world),
            thrusters=_thruster_rows(level, world),
            globals=jnp.append(level.gravity, left),
            body_mask=level.active,
            joint_mask=level.joint_active,
            thruster_mask=level.thruster_active,
            touching=(touching | touching.T) & level.active[:, None] & level.active,
            component=world.component,
            joint_bodies=jnp.stack([level.joint_a, level.joint_b], axis=1),
            thruster_body=level.thruster_body,
            joint_channel=jnp.where(driven_motors(level), level.motor_binding, NO_CHANNEL),
            thruster_channel=jnp.where(level.thruster_active, level.thruster_binding, NO_CHANNEL),
        )


def mirrored(scene: SceneObservation) -> SceneObservation:
    """What is seen of the same scene (..., as in ``SceneObservation``) with left and right exchanged.

    The agent's motors turn the other way there: forward in the one is backward in the other.
    """
    return scene.replace(
        bodies=_BODY_MIRROR(scene.bodies),
        joints=_JOINT_MIRROR(scene.joints),
        thrusters=_THRUSTER_MIRROR(scene.thrusters),
        globals=_GLOBAL_MIRROR(scene.globals),
    )


def _body_rows(level: Level, world: WorldState) -> jax.Array:
    is_circle = jnp.arange(level.size.bodies) >= level.size.polygons
    return jnp.concatenate(
        [
            world.position - ROOM_SIZE / 2,
            world.velocity,
            column(world.angular_velocity),
            _reach(level, world.rotation, is_circle),
            column(level.inverse_mass),
            column(level.inverse_inertia),
            column(level.friction),
            column(level.restitution),
            one_hot(level.role, len(ROLES)),
            column(is_circle),
            one_hot(level.collision_mode, 3),
            *(_to_nearest(level, world.position, role) for role in _TARGETS),
        ],
        axis=1,
    )


def _reach(level: Level, rotation: jax.Array, is_circle: jax.Array) -> jax.Array:
    """How far each shape reaches from its centre along each direction [m] (N, DIRECTIONS)."""
    turn = 2 * np.pi / DIRECTIONS * np.arange(DIRECTIONS, dtype=np.float32)
    angle = turn - rotation[:, None]  # the directions in the body's frame
    x, y = level.vertices[..., 0], level.vertices[..., 1]
    along = x[:, :, None] * jnp.cos(angle)[:, None] + y[:, :, None] * jnp.sin(angle)[:, None]
    in_use = jnp.arange(level.vertices.shape[1]) < level.n_vertices[:, None]
    farthest = jnp.where(in_use.any(axis=1)[:, None], jnp.where(in_use[:, :, None], along, -jnp.inf).max(axis=1), 0.0)
    return jnp.where(is_circle[:, None], level.radius[:, None], farthest)


def _to_nearest(level: Level, position: jax.Array, role: int) -> jax.Array:
    """From each body to the nearest other active body of a role [m] (N, 2); 0 where there is none."""
    towards = position[None] - position[:, None]
    is_target = level.active & (level.role == role) & ~jnp.eye(len(position), dtype=bool)
    distance = jnp.where(is_target, jnp.square(towards).sum(-1), jnp.inf)
    nearest = jnp.arange(len(position)) == jnp.argmin(distance, axis=1)[:, None]
    return jnp.where((nearest & is_target)[..., None], towards, 0.0).sum(axis=1)


def _turned(vector: jax.Array, angle: jax.Array) -> jax.Array:
    """Vectors (M, 2) turned by angles (M)."""
    cosine, sine, x, y = jnp.cos(angle), jnp.sin(angle), vector[:, 0], vector[:, 1]
    return jnp.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1)


def _joint_rows(level: Level, world: WorldState) -> jax.Array:
    a, b = level.joint_a, level.joint_b
    angle = world.rotation[b] - world.rotation[a] - level.joint_rotation
    limited = level.joint_limited & ~level.joint_fixed
    arm_a = _turned(level.joint_anchor_a, world.rotation[a])
    driven = driven_motors(level)
    runs = jnp.where(level.joint_active & level.motor_on & ~level.joint_fixed, 1.0, 0.0)
    rows = [
        level.joint_fixed,
        driven,
        jnp.where(level.motor_auto, runs * level.motor_speed, 0.0),
        limited,
        runs * level.motor_speed,
        runs * level.motor_power,
        jnp.sin(angle),
        jnp.cos(angle),
        jnp.where(limited, angle - level.joint_min, 0.0),
        jnp.where(limited, level.joint_max - angle, 0.0),
        world.angular_velocity[b] - world.angular_velocity[a],
        arm_a,
        _turned(level.joint_anchor_b, world.rotation[b]),
        world.position[a] + arm_a - ROOM_SIZE / 2,
    ]
    return jnp.concatenate([x.astype(jnp.float32).reshape(len(a), -1) for x in rows], axis=1)


def _thruster_rows(level: Level, world: WorldState) -> jax.Array:
    body = level.thruster_body
    arm = _turned(level.thruster_position, world.rotation[body])
    heading = level.thruster_rotation + world.rotation[body]
    direction = jnp.stack([jnp.cos(heading), jnp.sin(heading)], axis=1)
    lever = arm[:, 0] * direction[:, 1] - arm[:, 1] * direction[:, 0]
    rows = [
        level.thruster_power,
        arm,
        direction,
        level.thruster_power * level.inverse_mass[body],
        level.thruster_power * level.inverse_inertia[body] * lever,
        (world.velocity[body] * direction).sum(axis=1),
    ]
    return jnp.concatenate([x.reshape(len(body), -1) for x in rows], axis=1)
