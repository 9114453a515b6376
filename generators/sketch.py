"""A few numbers that tell scenes apart: near where two are nearly the same, far where a shape is elsewhere.

A scene is taken for a set of labelled points in the plane: corners of polygons, four points around each circle, joints,
and two points for each thruster. Its sketch is the sum of plane waves over them, with a phase for each label: an
embedding of the set (Rahimi and Recht 2007, Random Features for Large-Scale Kernel Machines) that knows no order of
slots or corners and has no grid on whose lines rounding could tip a number over.

Labels are kind, role, and whether a body is fixed. Left out is what does not make another scene of it: where floor,
walls and ceiling are, gravity, velocities, materials and masses, strength and channel of motors and thrusters, limits.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import ROLES, Level
from kinetix_ued.world.constants import MAX_VERTICES, STATIC_POLYGONS

WAVES = 16
"""Numbers of a sketch."""

WAVELENGTHS = (1.5, 6.0)
"""Shortest and longest wavelength [m]. Longer ones hardly notice that a shape moved, shorter ones notice rounding."""

TOLERANCE = 0.25
"""How far apart each number of two sketches may be in near copies.

With one shape of a held-out level moved by 1 cm, the largest difference is 0.04 to 0.25; by 10 cm, 0.3 to 1.9. Of
60 000 random levels none came nearer to a held-out one than 2.9.
"""

THRUSTER_LENGTH = 0.3
"""Distance between a thruster's two points [m]."""

BODY_LABELS = 2 * 2 * len(ROLES)
JOINT_LABEL = BODY_LABELS
THRUSTER_LABEL = JOINT_LABEL + 2
ROOM_LABEL = THRUSTER_LABEL + 2
LABELS = ROOM_LABEL + STATIC_POLYGONS * len(ROLES)
"""Bodies by kind, role and whether fixed; joints by kind; both points of a thruster; parts of the room by role."""


def _waves() -> tuple[np.ndarray, np.ndarray]:
    """Wave vectors [1/m] (WAVES, 2) and phases (LABELS, WAVES), the same for ever: stored sketches depend on them."""
    random = np.random.RandomState(0)  # the one generator of NumPy's whose stream never changes
    direction = np.pi * (np.arange(WAVES) + random.uniform(size=WAVES)) / WAVES
    length = np.exp(random.permutation(np.linspace(*np.log(WAVELENGTHS), WAVES)))
    vectors = 2 * np.pi / length[:, None] * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
    return vectors.astype(np.float32), random.uniform(0, 2 * np.pi, (LABELS, WAVES)).astype(np.float32)


VECTORS, PHASES = _waves()


@jax.jit
def sketch(level: Level) -> jax.Array:
    """The sketch of a level, or of each of a batch (..., WAVES) float32. Traceable."""
    return _sketch(level, jnp)


def sketch_array(level: Level) -> np.ndarray:
    """``sketch`` in NumPy. Compiles nothing."""
    return _sketch(level, np)


def _sketch(level: Level, xp: Any) -> Any:
    at = lambda name: xp.asarray(getattr(level, name))
    size, active, role = level.size, at("active"), at("role")
    position, rotation = at("position"), at("rotation")
    slot = np.arange(size.bodies)
    circle, room = slot >= size.polygons, slot < STATIC_POLYGONS

    def placed(local: Any, origin: Any, angle: Any) -> Any:
        """Points (..., 2) in the frame of something at ``origin`` (..., 2), turned by ``angle`` (...), in the room."""
        cos, sin = xp.cos(angle), xp.sin(angle)
        x, y = local[..., 0], local[..., 1]
        return origin + xp.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)

    cross = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    around = position[..., None, :] + at("radius")[..., None, None] * cross
    corners = placed(at("vertices"), position[..., None, :], rotation[..., None])
    points = xp.where(circle[:, None, None], around, corners)  # (..., N, 4, 2)
    there = circle[:, None] | (np.arange(MAX_VERTICES) < at("n_vertices")[..., None])
    label = (circle * 2 + (at("inverse_mass") == 0)) * len(ROLES) + role
    waves = _total(points, label[..., None], there & (active & ~room)[..., None], (-2, -3), xp)

    def of_body(index: Any, array: Any) -> Any:
        """What ``array`` (..., N, *rest) says of the body of each joint or thruster."""
        index = index.reshape(index.shape + (1,) * (array.ndim - index.ndim))
        return xp.take_along_axis(array, index, axis=rotation.ndim - 1)

    turned = lambda index: of_body(index, rotation)
    on_room = at("joint_a") < STATIC_POLYGONS  # where the room is does not matter
    body = xp.where(on_room, at("joint_b"), at("joint_a"))
    anchor = xp.where(on_room[..., None], at("joint_anchor_b"), at("joint_anchor_a"))
    joint = placed(anchor, of_body(body, position), turned(body))
    waves = waves + _total(joint, JOINT_LABEL + at("joint_fixed"), at("joint_active"), (-2,), xp)

    body, active = at("thruster_body"), at("thruster_active")
    base = placed(at("thruster_position"), of_body(body, position), turned(body))
    direction = at("thruster_rotation") + turned(body)
    tip = base + THRUSTER_LENGTH * xp.stack([xp.cos(direction), xp.sin(direction)], axis=-1)
    for offset, point in enumerate((base, tip)):
        waves = waves + _total(point, xp.full(body.shape, THRUSTER_LABEL + offset), active, (-2,), xp)

    part = ROOM_LABEL + np.arange(STATIC_POLYGONS) * len(ROLES) + role[..., :STATIC_POLYGONS]
    return waves + _total(xp.zeros((*part.shape, 2), xp.float32), part, part >= 0, (-2,), xp)


def _total(points: Any, label: Any, there: Any, axes: tuple[int, ...], xp: Any) -> Any:
    """The sum over points (..., 2) that are there (...), along ``axes``, of every wave (..., WAVES)."""
    # Products one by one: as a matrix product some devices would round the coordinates to ten bits.
    phase = points[..., 0, None] * VECTORS[:, 0] + points[..., 1, None] * VECTORS[:, 1]
    wave = xp.cos(phase + xp.asarray(PHASES)[xp.clip(label, 0, LABELS - 1)])
    return xp.where(there[..., None], wave, xp.float32(0)).sum(axis=axes, dtype=xp.float32)
