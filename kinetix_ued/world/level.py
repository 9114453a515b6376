"""A level: everything a designer sets, as one flat pytree of arrays."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from .constants import FLOOR_HEIGHT, GRAVITY, MAX_VERTICES, ROOM_SIZE, STATIC_POLYGONS
from .size import Size, size_of

ROLES = ("none", "green", "blue", "red")
"""Roles by their number. Green touching blue solves a level, green touching red loses it."""

COLLISION_MODES = {0: "with nothing but mode 2", 1: "with modes 1 and 2", 2: "with everything"}


@struct.dataclass
class Level:
    """A level. N bodies (polygons, then circles), J joints, T thrusters, K contact points, as ``size`` has them.

    Inactive slots hold values too; they take part in nothing but observations. Units are SI, angles radians.

    Attributes:
        size: slots of the level; static, so levels of two sizes never mix in one array.
        active: the slot holds a body (N) bool
        position: centre of mass [m] (N, 2)
        rotation: angle, counter-clockwise [rad] (N)
        velocity: [m/s] (N, 2)
        angular_velocity: [rad/s] (N)
        vertices: corners in the body's frame, clockwise [m] (N, 4, 2)
        n_vertices: corners in use, 3 or 4; no meaning for circles (N) int32
        radius: of a circle; no meaning for polygons [m] (N)
        inverse_mass: 0 for a fixed body [1/kg] (N)
        inverse_inertia: 0 for a fixed body [1/(kg m^2)] (N)
        density: [kg/m^2] (N)
        friction: (N)
        restitution: (N)
        collision_mode: 0, 1 or 2, see COLLISION_MODES (N) int32
        role: number in ROLES (N) int32
        highlighted: marked by an editor; no effect (N) bool
        joint_active: the slot holds a joint (J) bool
        joint_a: its first body (J) int32
        joint_b: its second body (J) int32
        joint_anchor_a: the shared point in a's frame [m] (J, 2)
        joint_anchor_b: the shared point in b's frame [m] (J, 2)
        joint_fixed: a fixed joint; otherwise revolute (J) bool
        joint_rotation: relative rotation of b in a at rest [rad] (J)
        joint_limited: the relative rotation is limited (J) bool
        joint_min: lower limit, relative to joint_rotation [rad] (J)
        joint_max: upper limit, relative to joint_rotation [rad] (J)
        motor_on: the joint has a motor (J) bool
        motor_speed: target speed, in units of 6 rad/s (J)
        motor_power: (J)
        motor_binding: motor channel of the action, 0 to 3 (J) int32
        motor_auto: the motor runs forward whatever the action (J) bool
        thruster_active: the slot holds a thruster (T) bool
        thruster_body: the body it pushes (T) int32
        thruster_position: where it pushes, in the body's frame [m] (T, 2)
        thruster_rotation: direction of its force in the body's frame [rad] (T)
        thruster_power: force in units of 10 N (T)
        thruster_binding: thruster channel of the action, 0 or 1 (T) int32
        gravity: [m/s^2] (2)
        joint_impulse: accumulated impulse at the start, for warm starting; 0 unless saved in mid-episode [N s] (J, 2)
        joint_angular_impulse: likewise [N m s] (J)
        contact_active: contacts at the start, likewise (K) bool
        contact_normal_impulse: likewise [N s] (K)
        contact_tangent_impulse: likewise [N s] (K)
    """

    size: Size = struct.field(pytree_node=False)
    active: jax.Array
    position: jax.Array
    rotation: jax.Array
    velocity: jax.Array
    angular_velocity: jax.Array
    vertices: jax.Array
    n_vertices: jax.Array
    radius: jax.Array
    inverse_mass: jax.Array
    inverse_inertia: jax.Array
    density: jax.Array
    friction: jax.Array
    restitution: jax.Array
    collision_mode: jax.Array
    role: jax.Array
    highlighted: jax.Array
    joint_active: jax.Array
    joint_a: jax.Array
    joint_b: jax.Array
    joint_anchor_a: jax.Array
    joint_anchor_b: jax.Array
    joint_fixed: jax.Array
    joint_rotation: jax.Array
    joint_limited: jax.Array
    joint_min: jax.Array
    joint_max: jax.Array
    motor_on: jax.Array
    motor_speed: jax.Array
    motor_power: jax.Array
    motor_binding: jax.Array
    motor_auto: jax.Array
    thruster_active: jax.Array
    thruster_body: jax.Array
    thruster_position: jax.Array
    thruster_rotation: jax.Array
    thruster_power: jax.Array
    thruster_binding: jax.Array
    gravity: jax.Array
    joint_impulse: jax.Array
    joint_angular_impulse: jax.Array
    contact_active: jax.Array
    contact_normal_impulse: jax.Array
    contact_tangent_impulse: jax.Array

    def __len__(self) -> int:
        """Length of the leading axis of a batch of levels."""
        if self.gravity.ndim < 2:
            raise TypeError("a single level has no length; only a batch of levels has")
        return self.gravity.shape[0]

    def __getitem__(self, index) -> Level:
        """One level, or a slice, of a batch of levels."""
        if self.gravity.ndim < 2:
            raise TypeError("a single level cannot be indexed; only a batch of levels can")
        return jax.tree.map(lambda x: x[index], self)


def empty_level(size: str | Size = "s") -> Level:
    """The room and nothing in it: floor, walls and ceiling around 5 m x 5 m, every other slot inactive."""
    size = size_of(size)
    n, j, t, k = size.bodies, size.joints, size.thrusters, size.contacts
    half, depth = ROOM_SIZE / 2, ROOM_SIZE + FLOOR_HEIGHT / 2
    block = [[half, depth], [half, -depth], [-half, -depth], [-half, depth]]  # floor and ceiling, about their centres
    wall = np.array([[0, ROOM_SIZE], [ROOM_SIZE, ROOM_SIZE], [ROOM_SIZE, 0], [0, 0]], np.float32)
    statics = np.arange(n) < STATIC_POLYGONS
    zeros = lambda *shape: np.zeros(shape, np.float32)
    ints = lambda *shape: np.zeros(shape, np.int32)
    bools = lambda *shape: np.zeros(shape, bool)
    vertices, position = zeros(n, MAX_VERTICES, 2), zeros(n, 2)
    vertices[:STATIC_POLYGONS] = block, wall - [ROOM_SIZE, 0], wall + [ROOM_SIZE, 0], block
    position[:STATIC_POLYGONS] = [half, FLOOR_HEIGHT - depth], [0, 0], [0, 0], [half, ROOM_SIZE + depth]
    level = Level(
        size=size,
        active=statics,
        position=position,
        rotation=zeros(n),
        velocity=zeros(n, 2),
        angular_velocity=zeros(n),
        vertices=vertices,
        n_vertices=np.where(np.arange(n) < size.polygons, MAX_VERTICES, 0).astype(np.int32),
        radius=zeros(n),
        inverse_mass=zeros(n),
        inverse_inertia=zeros(n),
        density=np.ones(n, np.float32),
        friction=np.ones(n, np.float32),
        restitution=zeros(n),
        collision_mode=np.where(statics, 2, 1).astype(np.int32),
        role=ints(n),
        highlighted=bools(n),
        joint_active=bools(j),
        joint_a=ints(j),
        joint_b=ints(j),
        joint_anchor_a=zeros(j, 2),
        joint_anchor_b=zeros(j, 2),
        joint_fixed=bools(j),
        joint_rotation=zeros(j),
        joint_limited=bools(j),
        joint_min=zeros(j),
        joint_max=zeros(j),
        motor_on=bools(j),
        motor_speed=zeros(j),
        motor_power=zeros(j),
        motor_binding=ints(j),
        motor_auto=bools(j),
        thruster_active=bools(t),
        thruster_body=ints(t),
        thruster_position=zeros(t, 2),
        thruster_rotation=zeros(t),
        thruster_power=zeros(t),
        thruster_binding=ints(t),
        gravity=np.array([0.0, GRAVITY], np.float32),
        joint_impulse=zeros(j, 2),
        joint_angular_impulse=zeros(j),
        contact_active=bools(k),
        contact_normal_impulse=zeros(k),
        contact_tangent_impulse=zeros(k),
    )
    return jax.tree.map(jnp.asarray, level)


def typed_level(level: Level) -> Level:
    """``level``, one or a batch, with each field in the type that ``Level`` documents.

    NumPy's numbers have 64 bits unless told otherwise, and JAX's do under ``JAX_ENABLE_X64``; the physics has 32.
    """
    cast = lambda x, dtype: x if getattr(x, "dtype", None) == dtype else jnp.asarray(x, dtype)
    return level.replace(**{name: cast(getattr(level, name), dtype) for name, dtype in _field_types().items()})


@functools.cache
def _field_types() -> dict[str, Any]:
    level = jax.eval_shape(empty_level)
    return {name: getattr(level, name).dtype for name in Level.__dataclass_fields__ if name != "size"}
