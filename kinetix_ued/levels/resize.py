"""The same level in another number of slots."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import SIZES, Level, Size, empty_level, size_of

from .errors import LevelError

BODY_FIELDS = (
    "active", "position", "rotation", "velocity", "angular_velocity", "vertices", "n_vertices", "radius",
    "inverse_mass", "inverse_inertia", "density", "friction", "restitution", "collision_mode", "role", "highlighted",
)  # fmt: skip
"""Fields of Level with one entry a body."""

JOINT_FIELDS = (
    "joint_active", "joint_a", "joint_b", "joint_anchor_a", "joint_anchor_b", "joint_fixed", "joint_rotation",
    "joint_limited", "joint_min", "joint_max", "motor_on", "motor_speed", "motor_power", "motor_binding", "motor_auto",
    "joint_impulse", "joint_angular_impulse",
)  # fmt: skip
"""Fields of Level with one entry a joint."""

THRUSTER_FIELDS = (
    "thruster_active", "thruster_body", "thruster_position", "thruster_rotation", "thruster_power", "thruster_binding",
)  # fmt: skip
"""Fields of Level with one entry a thruster."""

CONTACT_FIELDS = ("contact_active", "contact_normal_impulse", "contact_tangent_impulse")
"""Fields of Level with one entry a contact point."""


@functools.lru_cache(maxsize=32)
def default_arrays(size: Size) -> Mapping[str, np.ndarray]:
    """The fields of ``empty_level`` as NumPy arrays; copy them before writing."""
    with jax.ensure_compile_time_eval():  # the caller may be traced
        level = empty_level(size)
    return {name: np.asarray(getattr(level, name)) for name in Level.__dataclass_fields__ if name != "size"}


def body_slots(size: Size, polygons: int, circles: int) -> np.ndarray:
    """Where the bodies of a level of that many polygons and circles stand in ``size`` (polygons + circles)."""
    return np.concatenate([np.arange(polygons), size.polygons + np.arange(circles)])


def contact_slots(size: Size, polygons: int, circles: int) -> list[np.ndarray]:
    """Where its contacts stand in ``size``, for each of the four kinds; their order within a kind stays."""
    here = np.zeros(size.bodies, bool)
    here[body_slots(size, polygons, circles)] = True
    starts = np.cumsum([0] + [len(pairs) for pairs in size.pairs])
    return [start + np.flatnonzero(here[pairs].all(axis=-1)) for start, pairs in zip(starts, size.pairs)]


def smallest_size(polygons: int, circles: int, joints: int, thrusters: int) -> Size:
    """The smallest standard size with that many slots, a custom one if none has."""
    needed = Size(polygons, circles, joints, thrusters)
    return next((size for size in SIZES.values() if size.holds(needed)), needed)


def resize_level(level: Level, size: str | Size, source: str = "level") -> Level:
    """The level in a larger size: circles, joints' and thrusters' bodies and contacts move to their new places.

    Works on one level, on a batch, and under ``jax.jit``. The new slots are those of ``empty_level``.

    Raises:
        LevelError: ``size`` has too few slots of some kind.
    """
    old, new = level.size, size_of(size)
    if old == new:
        return level
    _require_room(old, new, source)
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(level))
    xp = jnp if traced else np
    slots = _slots(new, old)

    def place(field: str) -> jax.Array:
        """Slot by slot the level's value where it has one, the empty level's elsewhere."""
        values, default = xp.asarray(getattr(level, field)), default_arrays(new)[field]
        if field in ("joint_a", "joint_b", "thruster_body"):
            values = xp.where(values >= old.polygons, values + (new.polygons - old.polygons), values)
        axis = values.ndim - default.ndim
        from_level, index = np.zeros(len(default), bool), np.zeros(len(default), int)
        from_level[slots[field]], index[slots[field]] = True, np.arange(len(slots[field]))
        mask = from_level.reshape((-1,) + (1,) * (default.ndim - 1))
        return xp.where(mask, xp.take(values, index, axis=axis), default).astype(default.dtype)

    moved = dataclasses.replace(level, size=new, **{field: place(field) for field in slots})
    return moved if traced or isinstance(level.gravity, np.ndarray) else jax.device_put(moved)


def trim_level(level: Level, size: str | Size, source: str = "level") -> Level:
    """The level in a smaller size whose slots hold all there is in it: ``resize_level`` backwards.

    Takes one level or a batch, of arrays that are there; not for ``jax.jit``.

    Raises:
        LevelError: something is in a slot that ``size`` does not have.
    """
    old, new = level.size, size_of(size)
    if old == new:
        return level
    _require_room(new, old, source)
    slots = _slots(old, new)
    for field in ("active", "joint_active", "thruster_active"):
        lost = np.delete(np.asarray(getattr(level, field)), slots[field], axis=-1)
        if lost.any():
            problem = f"size {new.name!r} has no place for what is in the last slots"
            raise LevelError(source, field, problem, f"leave it in size {old.name!r}")

    def taken(field: str) -> np.ndarray:
        values, default = np.asarray(getattr(level, field)), default_arrays(old)[field]
        values = np.take(values, slots[field], axis=values.ndim - default.ndim)
        if field in ("joint_a", "joint_b", "thruster_body"):
            values = np.where(values >= old.polygons, values - (old.polygons - new.polygons), values)
        return values.astype(default.dtype)

    trimmed = dataclasses.replace(level, size=new, **{field: taken(field) for field in slots})
    return trimmed if isinstance(level.gravity, np.ndarray) else jax.device_put(trimmed)


def _slots(large: Size, small: Size) -> dict[str, np.ndarray]:
    """For each field with slots, where those of ``small`` stand in ``large``."""
    slots = {field: body_slots(large, small.polygons, small.circles) for field in BODY_FIELDS}
    slots |= {field: np.arange(small.joints) for field in JOINT_FIELDS}
    slots |= {field: np.arange(small.thrusters) for field in THRUSTER_FIELDS}
    contacts = np.concatenate(contact_slots(large, small.polygons, small.circles))
    return slots | {field: contacts for field in CONTACT_FIELDS}


def _require_room(old: Size, new: Size, source: str) -> None:
    for kind in ("polygons", "circles", "joints", "thrusters"):
        room, needed = getattr(new, kind), getattr(old, kind)
        if room < needed:
            fits = smallest_size(old.polygons, old.circles, old.joints, old.thrusters)
            use = f"use size={fits.name!r}" if fits in SIZES.values() else f"use size=kinetix_ued.{fits}"
            raise LevelError(source, None, f"size {new.name!r} holds {room} {kind}, this level has {needed}", use)
