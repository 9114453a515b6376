"""Building levels by hand: shapes, joints and thrusters, one call each.

>>> from kinetix_ued.levels import builder
>>> from kinetix_ued.world import empty_level
>>> level = empty_level("s")
>>> level, ball = builder.add_circle(level, (1.0, 0.7), 0.3, role="green")
>>> level, cart = builder.add_rectangle(level, (2.5, 0.6), 1.2, 0.4, role="blue")
>>> level, hinge = builder.add_joint(level, ball, cart, (1.0, 0.7), speed=2.0, binding=0)

Every function takes a level and returns a new one, and the slot it used where it adds something. All of them can be
traced, so the same calls make a level by hand, one in a generator under ``jax.jit``, or thousands under ``jax.vmap``.
Called with concrete values they refuse what makes no sense, with ``LevelError`` (a ``ValueError``). Traced values cannot be looked at:
there an addition that finds no slot leaves the level as it is and returns slot -1, as it does where ``when`` is False,
and whatever is added to slot -1 is not added either.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import ROLES, SIZES, Level, Size
from kinetix_ued.world.constants import MAX_VERTICES, MOTOR_BINDINGS, STATIC_POLYGONS, THRUSTER_BINDINGS
from kinetix_ued.world.geometry import rotate_back, rotation_matrix
from kinetix_ued.world.mass import circle_inverse_mass_inertia, polygon_inverse_mass_inertia

from .errors import LevelError

Number = float | jax.Array
"""A number, or a traced scalar."""

Vector = Any
"""Two numbers, or an array (2)."""

Slot = int | jax.Array
"""Index of a body, joint or thruster; -1 for none."""


def add_rectangle(
    level: Level, position: Vector, width: Number, height: Number, rotation: Number = 0.0, **options: Any
) -> tuple[Level, jax.Array]:
    """``level`` with one more rectangle, and its body slot.

    Args:
        level: one level, not a batch.
        position: of its centre [m] (2).
        width: along its own x axis [m].
        height: along its own y axis [m].
        rotation: counter-clockwise [rad].
        options: those of ``add_polygon``.

    Raises:
        LevelError: as ``add_polygon``.
    """
    _positive(width=width, height=height)
    corners = jnp.array([[0.5, 0.5], [0.5, -0.5], [-0.5, -0.5], [-0.5, 0.5]], jnp.float32) * jnp.stack(
        [jnp.float32(width), jnp.float32(height)]
    )
    return _add_polygon(level, corners, MAX_VERTICES, position, rotation, **options)


def add_polygon(level: Level, corners: Any, **options: Any) -> tuple[Level, jax.Array]:
    """``level`` with one more convex polygon, and its body slot. Its position is the mean of its corners.

    Args:
        level: one level, not a batch.
        corners: three or four, in order around the polygon, where they are in the room [m] (3 or 4, 2).
        role: "none", "green", "blue" or "red", or its number.
        fixed: it never moves; otherwise its mass follows from shape and density.
        density: [kg/m^2].
        friction: 0 or more; 1 is usual.
        restitution: 0 to 1.
        collision_mode: 0, 1 or 2, see ``COLLISION_MODES``.
        velocity: at the start [m/s] (2).
        angular_velocity: at the start [rad/s].
        when: otherwise nothing is added; may be traced.

    Raises:
        LevelError: for a polygon that is not convex, a full level, a number out of range or an unknown role.
    """
    corners = jnp.asarray(corners, jnp.float32)
    if corners.shape not in ((3, 2), (MAX_VERTICES, 2)):
        raise LevelError("builder", "corners", f"of shape {list(corners.shape)}", "give three or four points (x, y)")
    ahead, behind = jnp.roll(corners, -1, axis=0), jnp.roll(corners, 1, axis=0)
    turns = (corners[:, 0] - behind[:, 0]) * (ahead[:, 1] - corners[:, 1]) - (corners[:, 1] - behind[:, 1]) * (
        ahead[:, 0] - corners[:, 0]
    )
    if _known(corners) and not ((np.asarray(turns) > 1e-8).all() or (np.asarray(turns) < -1e-8).all()):
        raise LevelError(
            "builder", "corners", "are no convex polygon", "list them in order around it, none on a line between others"
        )
    clockwise = jnp.where(jnp.sum(turns) > 0, corners[::-1], corners)
    centre = jnp.mean(clockwise, axis=0)
    local = clockwise - centre
    # A triangle's fourth corner is its first again, which makes the inertia of ``world.mass`` the true one.
    vertices = local if len(corners) == MAX_VERTICES else jnp.concatenate([local, local[:1]])
    return _add_polygon(level, vertices, len(corners), centre, 0.0, **options)


def add_circle(
    level: Level, position: Vector, radius: Number, rotation: Number = 0.0, **options: Any
) -> tuple[Level, jax.Array]:
    """``level`` with one more circle, and its body slot.

    Args:
        level: one level, not a batch.
        position: of its centre [m] (2).
        radius: [m].
        rotation: counter-clockwise [rad]; it shows in pictures.
        options: those of ``add_polygon``.

    Raises:
        LevelError: as ``add_polygon``.
    """
    _positive(radius=radius)
    slots = np.arange(level.active.shape[-1]) >= level.size.polygons
    inverses = lambda density: circle_inverse_mass_inertia(radius, density)
    return _add_body(level, slots, "circles", inverses, position, rotation, radius=jnp.float32(radius), **options)


def add_joint(
    level: Level,
    a: Slot,
    b: Slot,
    point: Vector,
    *,
    fixed: bool | jax.Array = False,
    motor: bool | jax.Array = True,
    speed: Number = 1.0,
    power: Number = 1.0,
    binding: int | jax.Array = 0,
    limits: tuple[Number, Number] | None = None,
    rotation: Number | None = None,
    auto: bool | jax.Array = False,
    when: bool | jax.Array = True,
) -> tuple[Level, jax.Array]:
    """``level`` with bodies ``a`` and ``b`` joined at a point, and the joint's slot. Joined bodies do not collide.

    Args:
        level: one level, not a batch.
        a: a body's slot, as the functions that add bodies return it; 0 to 3 are floor, left wall, right wall, ceiling.
        b: another body's.
        point: that they share, in the room [m] (2).
        fixed: they keep their relative rotation; otherwise the joint is revolute.
        motor: a revolute joint has a motor, which turns b relative to a.
        speed: of the motor under full action [6 rad/s].
        power: of the motor; 1 to 3 is usual.
        binding: motor channel of the action, 0 to 3.
        limits: least and greatest relative rotation, from how the two stand now [rad]; None: it turns freely.
        rotation: of b relative to a at which the joint rests [rad]; how they stand now where None.
        auto: the motor runs forward whatever the action.
        when: otherwise nothing is added; may be traced.

    Raises:
        LevelError: for a full level, a body that is not there or joined to itself, or a number out of range.
    """
    _one_level(level)
    _bodies(level, a, b)
    if _known(a, b) and int(a) == int(b) != -1:
        raise LevelError("builder", "b", f"body {int(a)} would be joined to itself", "join two bodies")
    _number(speed=speed, power=power)
    _index("binding", binding, MOTOR_BINDINGS)
    low, high = (0.0, 0.0) if limits is None else limits
    if _known(low, high) and not float(low) <= float(high):
        raise LevelError("builder", "limits", f"({low}, {high})", "give the lower one first")
    slot, here = _place(level.joint_active, "joints", level.size, jnp.asarray(when) & (a >= 0) & (b >= 0))
    position_a, rotation_a = _pose(level, a)
    position_b, rotation_b = _pose(level, b)
    point = jnp.asarray(point, jnp.float32)
    revolute = ~jnp.asarray(fixed, bool)
    return _put(
        level,
        here,
        joint_active=True,
        joint_a=a,
        joint_b=b,
        joint_anchor_a=rotate_back(rotation_matrix(rotation_a), point - position_a),
        joint_anchor_b=rotate_back(rotation_matrix(rotation_b), point - position_b),
        joint_fixed=~revolute,
        joint_rotation=rotation_b - rotation_a if rotation is None else rotation,
        joint_limited=revolute & (limits is not None),
        joint_min=low,
        joint_max=high,
        motor_on=revolute & motor,
        motor_speed=jnp.where(revolute, speed, 0.0),
        motor_power=jnp.where(revolute, power, 0.0),
        motor_binding=binding,
        motor_auto=auto,
    ), slot


def add_thruster(
    level: Level,
    body: Slot,
    point: Vector,
    direction: Number,
    power: Number,
    *,
    binding: int | jax.Array = 0,
    when: bool | jax.Array = True,
) -> tuple[Level, jax.Array]:
    """``level`` with one more thruster, and its slot.

    Args:
        level: one level, not a batch.
        body: slot of the body that it pushes.
        point: where it pushes, in the room [m] (2).
        direction: of its force in the room, counter-clockwise from +x [rad]; it turns with the body.
        power: force under full action [10 N].
        binding: thruster channel of the action, 0 or 1.
        when: otherwise nothing is added; may be traced.

    Raises:
        LevelError: for a full level, a body that is not there, or a number out of range.
    """
    _one_level(level)
    _bodies(level, body)
    _number(direction=direction, power=power)
    _index("binding", binding, THRUSTER_BINDINGS)
    slot, here = _place(level.thruster_active, "thrusters", level.size, jnp.asarray(when) & (body >= 0))
    position, rotation = _pose(level, body)
    return _put(
        level,
        here,
        thruster_active=True,
        thruster_body=body,
        thruster_position=rotate_back(rotation_matrix(rotation), jnp.asarray(point, jnp.float32) - position),
        thruster_rotation=direction - rotation,
        thruster_power=power,
        thruster_binding=binding,
    ), slot


def set_role(level: Level, body: Slot, role: str | int | jax.Array) -> Level:
    """``level`` with body ``body`` in another role; the floor is body 0.

    Raises:
        LevelError: for an unknown role or a body that is not there.
    """
    _bodies(level, body)
    return _put(level, _at(level, body), role=role_number(role))


def set_material(
    level: Level,
    body: Slot,
    *,
    density: Number | None = None,
    friction: Number | None = None,
    restitution: Number | None = None,
) -> Level:
    """``level`` with a body of another density [kg/m^2] (its mass follows), friction or restitution.

    Raises:
        LevelError: for a negative number, a density of 0, or a body that is not there.
    """
    _bodies(level, body)
    given = {"density": density, "friction": friction, "restitution": restitution}
    given = {name: value for name, value in given.items() if value is not None}
    _material(**given)
    here = _at(level, body)
    level = _put(level, here, **given)
    return with_masses(level, here & (level.inverse_mass != 0)) if density is not None else level


def set_gravity(level: Level, y: Number, x: Number = 0.0) -> Level:
    """``level`` under another gravity [m/s^2]; -9.81 is usual.

    Raises:
        LevelError: for a number that is not finite.
    """
    _number(y=y, x=x)
    return level.replace(gravity=jnp.stack([jnp.float32(x), jnp.float32(y)]))


def fix(level: Level, body: Slot) -> Level:
    """``level`` with body ``body`` fixed in place, at rest.

    Raises:
        LevelError: for a body that is not there.
    """
    _bodies(level, body)
    still = {"velocity": jnp.zeros(2, jnp.float32), "angular_velocity": 0.0}
    return _put(level, _at(level, body), inverse_mass=0.0, inverse_inertia=0.0, **still)


def unfix(level: Level, body: Slot) -> Level:
    """``level`` with body ``body`` free to move, its mass by its density; the room stays fixed.

    Raises:
        LevelError: for a body that is not there, or one of the room.
    """
    _bodies(level, body)
    if _known(body) and int(body) < STATIC_POLYGONS:
        raise LevelError("builder", "body", f"{int(body)} belongs to the room", "the room does not move")
    return with_masses(level, _at(level, body) & (jnp.arange(level.size.bodies) >= STATIC_POLYGONS))


def with_masses(level: Level, bodies: jax.Array) -> Level:
    """``level`` with mass and inertia of ``bodies`` (N) bool computed from their shapes and densities."""
    circle = jnp.arange(level.size.bodies) >= level.size.polygons
    of_polygons = polygon_inverse_mass_inertia(level.vertices, level.n_vertices, level.density)
    of_circles = circle_inverse_mass_inertia(level.radius, level.density)
    mass, inertia = (jnp.where(circle, c, p) for c, p in zip(of_circles, of_polygons, strict=True))
    return _put(level, bodies, inverse_mass=mass, inverse_inertia=inertia)


def role_number(role: str | int | jax.Array) -> int | jax.Array:
    """The number of a role, by its name or number.

    Raises:
        LevelError: for an unknown one.
    """
    if isinstance(role, str):
        if role not in ROLES:
            raise LevelError("builder", "role", f"{role!r} is unknown", f"use one of {', '.join(ROLES)}")
        return ROLES.index(role)
    _index("role", role, len(ROLES))
    return role


def require_slots(
    size: Size, *, shapes: int = 0, circles: int = 0, joints: int = 0, thrusters: int = 0, what: str = "this level"
) -> None:
    """Refuse a size that is too small.

    Args:
        size: of the level.
        shapes: polygons needed beside the room's.
        circles: circles needed.
        joints: joints needed.
        thrusters: thrusters needed.
        what: needs them, for the message.

    Raises:
        ValueError: naming what is missing and the sizes that have it.
    """
    needed = {"polygons": shapes + STATIC_POLYGONS, "circles": circles, "joints": joints, "thrusters": thrusters}
    fits = lambda size: all(getattr(size, kind) >= count for kind, count in needed.items())
    if fits(size):
        return
    short = {kind: count for kind, count in needed.items() if getattr(size, kind) < count}
    missing = ", ".join(f"{count} {kind}" for kind, count in short.items())
    named = [repr(name) for name, known in SIZES.items() if fits(known)]
    custom = "{polygons}p{circles}c{joints}j{thrusters}t".format(
        **{kind: max(count, getattr(size, kind)) for kind, count in needed.items()}
    )
    remedy = f"use size {' or '.join(named)}" if named else f"use a size such as {custom!r}"
    has = ", ".join(f"{getattr(size, kind)}" for kind in short)
    raise ValueError(f"{what} needs {missing} and size {size.name!r} has {has}: {remedy}")


def _add_polygon(
    level: Level, vertices: jax.Array, n_vertices: int, position: Vector, rotation: Number, **options: Any
) -> tuple[Level, jax.Array]:
    """A polygon with ``vertices`` (4, 2) in its own frame."""
    slot = np.arange(level.active.shape[-1])
    slots = (slot >= STATIC_POLYGONS) & (slot < level.size.polygons)
    inverses = lambda density: polygon_inverse_mass_inertia(vertices, n_vertices, density)
    return _add_body(
        level, slots, "polygons", inverses, position, rotation, vertices=vertices, n_vertices=n_vertices, **options
    )


def _add_body(
    level: Level,
    slots: np.ndarray,
    kind: str,
    inverses: Any,
    position: Vector,
    rotation: Number,
    *,
    role: str | int | jax.Array = "none",
    fixed: bool | jax.Array = False,
    density: Number = 1.0,
    friction: Number = 1.0,
    restitution: Number = 0.0,
    collision_mode: int | jax.Array = 1,
    velocity: Vector = (0.0, 0.0),
    angular_velocity: Number = 0.0,
    when: bool | jax.Array = True,
    **shape: Any,
) -> tuple[Level, jax.Array]:
    """A body in the first free one of ``slots`` (N) bool."""
    _one_level(level)
    _number(position=position, rotation=rotation, velocity=velocity, angular_velocity=angular_velocity)
    _material(density=density, friction=friction, restitution=restitution)
    _index("collision_mode", collision_mode, 3)
    number = role_number(role)
    slot, here = _place(level.active | ~slots, kind, level.size, jnp.asarray(when))
    inverse_mass, inverse_inertia = (jnp.where(fixed, 0.0, x) for x in inverses(jnp.float32(density)))
    return _put(
        level,
        here,
        active=True,
        position=jnp.asarray(position, jnp.float32),
        rotation=rotation,
        velocity=jnp.asarray(velocity, jnp.float32),
        angular_velocity=angular_velocity,
        inverse_mass=inverse_mass,
        inverse_inertia=inverse_inertia,
        density=density,
        friction=friction,
        restitution=restitution,
        collision_mode=collision_mode,
        role=number,
        **shape,
    ), slot


def _place(taken: jax.Array, kind: str, size: Size, when: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The first slot that is not taken, -1 where there is none or not ``when``; and the slots' mask of it."""
    if _known(taken, when) and bool(when) and bool(np.asarray(taken).all()):
        raise LevelError("builder", kind, f"all of size {size.name!r} are in use", "build on empty_level of a larger size")
    slot = jnp.where(when & ~jnp.all(taken), jnp.argmin(taken).astype(jnp.int32), -1)
    return slot, jnp.arange(taken.shape[0]) == slot


def _at(level: Level, body: Slot) -> jax.Array:
    """The mask (N) of one body."""
    return jnp.arange(level.active.shape[-1]) == body


def _pose(level: Level, body: Slot) -> tuple[jax.Array, jax.Array]:
    """Position (2) and rotation of one body; sums over a mask, because gathers are slow in a batch."""
    here = _at(level, body)
    return jnp.sum(jnp.where(here[:, None], level.position, 0.0), axis=0), jnp.sum(jnp.where(here, level.rotation, 0.0))


def _put(level: Level, here: jax.Array, **values: Any) -> Level:
    """``level`` with ``values`` in the slots of the mask ``here``."""
    put = lambda old, new: jnp.where(here.reshape(-1, *(1,) * (old.ndim - 1)), jnp.asarray(new).astype(old.dtype), old)
    return level.replace(**{name: put(getattr(level, name), value) for name, value in values.items()})


def _known(*values: Any) -> bool:
    """Whether all values are concrete, not traced."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))


def _one_level(level: Level) -> None:
    if level.gravity.ndim != 1:
        raise LevelError("builder", "level", "is a batch of levels", "build one, under jax.vmap for many")


def _bodies(level: Level, *bodies: Slot) -> None:
    """Refuse bodies that are not there; -1 stands for one that was not added."""
    _one_level(level)
    for body in bodies:
        _index("body", body, level.size.bodies, first=-1)
        if _known(body, level.active) and int(body) >= 0 and not bool(level.active[int(body)]):
            raise LevelError("builder", "body", f"{int(body)} is not there", "add it first, and use the slot returned")


def _index(name: str, value: Any, count: int, first: int = 0) -> None:
    if _known(value) and not first <= int(value) < count:
        raise LevelError("builder", name, f"{int(value)} does not exist", f"use {first} to {count - 1}")


def _number(**values: Any) -> None:
    for name, value in values.items():
        if _known(value) and not np.isfinite(np.asarray(value, np.float64)).all():
            raise LevelError("builder", name, f"{value} is not finite", "give a finite number")


def _positive(**values: Any) -> None:
    _number(**values)
    for name, value in values.items():
        if _known(value) and not float(value) > 0:
            raise LevelError("builder", name, f"{value} is not positive", "give a length above 0 in metres")


def _material(**values: Any) -> None:
    _number(**values)
    for name, value in values.items():
        if _known(value) and not (float(value) > 0 or (name != "density" and float(value) == 0)):
            raise LevelError("builder", name, f"is {value}", "give a number above 0" if name == "density" else "give 0 or more")
