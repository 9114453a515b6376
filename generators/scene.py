"""Putting a level together whose parts are known before anything runs: every part has a slot of its own.

``levels.builder`` looks for a free slot with every addition. A generator that decides beforehand which slot holds what,
and only computes whether it is there and how large, compiles faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.levels.builder import with_masses
from kinetix_ued.levels.resize import BODY_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS
from kinetix_ued.world import Level, Size, empty_level
from kinetix_ued.world.constants import FLOOR_HEIGHT, MAX_VERTICES, ROOM_SIZE, STATIC_POLYGONS
from kinetix_ued.world.geometry import rotate_back, rotation_matrix

from .shapes import rectangle

Number = float | jax.Array
"""A number, or a traced scalar."""

Point = tuple[Number, Number]
"""x and y in the room [m]."""

FLOOR, LEFT_WALL, RIGHT_WALL, CEILING = range(STATIC_POLYGONS)
"""Bodies that joints may hold on to."""

MIDDLE, DEPTH = ROOM_SIZE / 2, ROOM_SIZE + FLOOR_HEIGHT / 2

ROOM = ((MIDDLE, FLOOR_HEIGHT - DEPTH), (0.0, 0.0), (0.0, 0.0), (MIDDLE, ROOM_SIZE + DEPTH))
"""Origins of the frames of floor, walls and ceiling; both walls have that of the room."""


class Either(NamedTuple):
    """The body ``yes`` where ``choice`` () bool holds, otherwise ``no``."""

    choice: jax.Array
    yes: Body
    no: Body


Body = int | Either
"""A body that joints and thrusters hold on to: its slot, or a choice of several."""


class Scene:
    """A level in the making. Bodies, joints and thrusters are added in any order; ``level`` makes arrays of them.

    Rectangles take polygon slots from the first on, other polygons from the last on. ``when`` says whether a part is
    there. Slots are Python integers; there must be enough of them, which is for the generator to have checked.
    """

    def __init__(self, size: Size):
        self.size = size
        self.bodies: dict[int, dict[str, Any]] = {}
        self.joints: list[dict[str, Any]] = []
        self.thrusters: list[dict[str, Any]] = []
        self._slots = {
            "rectangle": iter(range(STATIC_POLYGONS, size.polygons)),
            "polygon": iter(range(size.polygons - 1, STATIC_POLYGONS - 1, -1)),
            "circle": iter(range(size.polygons, size.bodies)),
        }

    def left(self, kind: str) -> int:
        """How many slots are free for ``polygon``, ``circle``, ``joint`` or ``thruster``."""
        if kind in ("polygon", "circle"):
            used = sum((slot < self.size.polygons) == (kind == "polygon") for slot in self.bodies)
            return {"polygon": self.size.polygons - STATIC_POLYGONS, "circle": self.size.circles}[kind] - used
        slots, used = {"joint": (self.size.joints, self.joints), "thruster": (self.size.thrusters, self.thrusters)}[
            kind
        ]
        return slots - len(used)

    def rectangle(self, centre: Point, width: Number, height: Number, rotation: Number = 0.0, **options: Any) -> int:
        """A rectangle; options are those of ``_add``."""
        return self._add("rectangle", centre, rotation, half=(width / 2, height / 2), **options)

    def circle(self, centre: Point, radius: Number, **options: Any) -> int:
        """A circle; options are those of ``_add``."""
        return self._add("circle", centre, 0.0, radius=radius, **options)

    def polygon(self, corners: Sequence[Point], n_vertices: int | jax.Array | None = None, **options: Any) -> int:
        """A polygon with ``corners``, clockwise in the room [m]; of four given, ``n_vertices`` may say to use three."""
        if n_vertices is None:
            n_vertices = len(corners)
        triangle = n_vertices == 3
        # An unused corner is the first again, which makes the inertia of ``world.mass`` the true one.
        last = corners[0] if len(corners) == 3 else corners[3]
        last = jnp.where(triangle, corners[0][0], last[0]), jnp.where(triangle, corners[0][1], last[1])
        corners = [*corners[:3], last]
        mean = lambda axis: (sum(c[axis] for c in corners) - jnp.where(triangle, last[axis], 0.0)) / n_vertices
        centre = mean(0), mean(1)
        return self._add("polygon", centre, 0.0, corners=corners, n_vertices=n_vertices, **options)

    def _add(
        self,
        kind: str,
        centre: Point,
        rotation: Number,
        *,
        role: int | jax.Array = 0,
        fixed: bool | jax.Array = False,
        when: bool | jax.Array = True,
        **shape: Any,
    ) -> int:
        slot = next(self._slots[kind])
        assert slot not in self.bodies, "rectangles and other polygons must share the polygon slots"
        self.bodies[slot] = {"x": centre[0], "y": centre[1], "rotation": rotation, "role": role} | shape
        self.bodies[slot] |= {"active": when, "free": jnp.logical_not(fixed)}
        return slot

    def joint(
        self,
        a: Body,
        b: Body,
        point: Point,
        *,
        fixed: bool | jax.Array = False,
        motor: bool | jax.Array = True,
        auto: bool | jax.Array = False,
        speed: Number = 0.0,
        power: Number = 0.0,
        binding: int | jax.Array = 0,
        limits: tuple[Number, Number] | None = None,
        limited: bool | jax.Array = True,
        when: bool | jax.Array = True,
    ) -> None:
        """Bodies ``a`` and ``b`` joined at a point of the room.

        ``limits`` are relative to how they stand, and count where ``limited`` holds. ``motor`` says whether a revolute
        joint has one, ``auto`` whether it runs by itself.
        """
        turns = jnp.logical_not(fixed)
        low, high = limits or (0.0, 0.0)
        limited = turns & limited if limits is not None else False
        row = {"a": a, "b": b, "x": point[0], "y": point[1], "fixed": fixed, "on": turns & motor, "active": when}
        row |= {"auto": turns & motor & auto, "speed": speed, "power": power, "binding": binding}
        self.joints.append(row | {"limited": limited, "min": low * limited, "max": high * limited})

    def thruster(
        self,
        body: Body,
        point: Point,
        direction: Number,
        power: Number,
        *,
        binding: int | jax.Array = 0,
        when: bool | jax.Array = True,
    ) -> None:
        """A thruster at a point of the room that pushes ``body`` towards ``direction`` [rad], as the body stands."""
        row = {"body": body, "x": point[0], "y": point[1], "direction": direction, "power": power, "binding": binding}
        self.thrusters.append(row | {"active": when})

    def level(self, floor_role: int | jax.Array = 0) -> Level:
        """The level, at rest, with everything in the slot it was given."""
        level = _into(empty_level(self.size), self._body_fields(floor_role))
        level = with_masses(level, jnp.stack([jnp.asarray(b.get("free", False)) for b in self._rows()]))
        return _cleared(_into(level, self._joint_fields() | self._thruster_fields()))

    def _rows(self) -> list[dict[str, Any]]:
        return [self.bodies.get(slot, {}) for slot in range(self.size.bodies)]

    def _body_fields(self, floor_role: int | jax.Array) -> dict[str, dict[int, Any]]:
        fields: dict[str, dict[int, Any]] = {name: {} for name in ("position", "vertices", "n_vertices", "radius")}
        for slot, body in self.bodies.items():
            fields["position"][slot] = _stack([body["x"], body["y"]])
            if "half" in body:
                fields["vertices"][slot] = rectangle(_stack(list(body["half"])))
            elif "radius" in body:
                fields["radius"][slot] = body["radius"]
            else:
                corners = [[c[0] - body["x"], c[1] - body["y"]] for c in body["corners"]]
                fields["vertices"][slot] = jnp.stack([_stack(c) for c in corners])
                fields["n_vertices"][slot] = body["n_vertices"]
        for name in ("rotation", "role", "active"):
            fields[name] = {slot: body[name] for slot, body in self.bodies.items()}
        fields["role"][0] = floor_role
        return fields

    def _frame(self, body: Body) -> dict[str, Number]:
        """Centre and rotation of a body, floor, walls and ceiling included."""
        if isinstance(body, Either):
            yes, no = self._frame(body.yes), self._frame(body.no)
            return {name: jnp.where(body.choice, yes[name], no[name]) for name in yes}
        if body < STATIC_POLYGONS:
            return {"x": ROOM[body][0], "y": ROOM[body][1], "rotation": 0.0}
        return {name: self.bodies[body][name] for name in ("x", "y", "rotation")}

    def _anchor(self, body: Body, row: dict[str, Any]) -> jax.Array:
        """A part's point in a body's frame (2)."""
        at = self._frame(body)
        offset = _stack([row["x"] - at["x"], row["y"] - at["y"]])
        return rotate_back(rotation_matrix(jnp.float32(at["rotation"])), offset)

    def _joint_fields(self) -> dict[str, dict[int, Any]]:
        rows = dict(enumerate(self.joints))
        names = {"active": "joint_active", "fixed": "joint_fixed", "limited": "joint_limited"}
        names |= {"min": "joint_min", "max": "joint_max"}
        names |= {name: f"motor_{name}" for name in ("on", "auto", "speed", "power", "binding")}
        fields = {field: {k: row[name] for k, row in rows.items()} for name, field in names.items()}
        fields |= {f"joint_{end}": {k: _slot(row[end]) for k, row in rows.items()} for end in "ab"}
        fields["joint_anchor_a"] = {k: self._anchor(row["a"], row) for k, row in rows.items()}
        fields["joint_anchor_b"] = {k: self._anchor(row["b"], row) for k, row in rows.items()}
        rotation = lambda body: self._frame(body)["rotation"]
        relative = lambda row: rotation(row["b"]) - rotation(row["a"])
        fields["joint_rotation"] = {k: relative(row) for k, row in rows.items()}
        return fields

    def _thruster_fields(self) -> dict[str, dict[int, Any]]:
        rows = dict(enumerate(self.thrusters))
        names = {name: f"thruster_{name}" for name in ("active", "power", "binding")}
        fields = {field: {k: row[name] for k, row in rows.items()} for name, field in names.items()}
        fields["thruster_body"] = {k: _slot(row["body"]) for k, row in rows.items()}
        fields["thruster_position"] = {k: self._anchor(row["body"], row) for k, row in rows.items()}
        turned = lambda row: row["direction"] - self._frame(row["body"])["rotation"]
        fields["thruster_rotation"] = {k: turned(row) for k, row in rows.items()}
        return fields


def _slot(body: Body) -> int | jax.Array:
    return jnp.where(body.choice, _slot(body.yes), _slot(body.no)) if isinstance(body, Either) else body


def _stack(values: list[Any]) -> jax.Array:
    return jnp.stack([jnp.float32(value) for value in values])


def _into(level: Level, fields: dict[str, dict[int, Any]]) -> Level:
    """``level`` with new entries in some slots of its fields."""

    def filled(name: str, entries: dict[int, Any]) -> jax.Array:
        old = getattr(level, name)
        cast = lambda value: jnp.asarray(value).astype(old.dtype)
        return jnp.stack([cast(entries[slot]) if slot in entries else old[slot] for slot in range(len(old))])

    return level.replace(**{name: filled(name, entries) for name, entries in fields.items() if entries})


def _cleared(level: Level) -> Level:
    """``level`` with the slots of what is not there as they are in an empty level."""
    empty, fields = empty_level(level.size), {}
    for names, active in (
        (BODY_FIELDS, level.active),
        (JOINT_FIELDS, level.joint_active),
        (THRUSTER_FIELDS, level.thruster_active),
    ):
        for name in names:
            old, new = getattr(empty, name), getattr(level, name)
            fields[name] = jnp.where(active.reshape(-1, *(1,) * (new.ndim - 1)), new, old)
    return level.replace(**fields)


def mirrored(level: Level, mirror: jax.Array) -> Level:
    """``level`` as in a mirror, left and right exchanged, where ``mirror`` () bool holds. Walls keep their places.

    Motors that run by themselves turn the other way; those that listen to an action are as before.
    """
    bodies = mirror & level.active & (np.arange(level.size.bodies) >= STATIC_POLYGONS)
    joints, thrusters = mirror & level.joint_active, mirror & level.thruster_active
    flip = lambda vectors: vectors * np.array([-1.0, 1.0], np.float32)
    shift = np.array([ROOM_SIZE, 0.0], np.float32)
    choose = lambda mask, new, old: jnp.where(mask.reshape(-1, *(1,) * (old.ndim - 1)), new, old)
    # Mirrored corners run counter-clockwise; reading them backwards, from the first on, makes them clockwise again.
    backwards = jnp.where(
        (level.n_vertices == MAX_VERTICES)[:, None, None],
        level.vertices[:, [0, 3, 2, 1]],
        level.vertices[:, [0, 2, 1, 3]],
    )
    on_wall = lambda body: (body == LEFT_WALL) | (body == RIGHT_WALL)
    wall = lambda body: jnp.where(joints & on_wall(body), LEFT_WALL + RIGHT_WALL - body, body)
    anchor = lambda point, body: choose(joints, flip(point) + jnp.where(on_wall(body)[:, None], shift, 0.0), point)
    return level.replace(
        position=choose(bodies, flip(level.position) + shift, level.position),
        velocity=choose(bodies, flip(level.velocity), level.velocity),
        rotation=jnp.where(bodies, -level.rotation, level.rotation),
        angular_velocity=jnp.where(bodies, -level.angular_velocity, level.angular_velocity),
        vertices=choose(bodies, flip(backwards), level.vertices),
        joint_a=wall(level.joint_a),
        joint_b=wall(level.joint_b),
        joint_anchor_a=anchor(level.joint_anchor_a, level.joint_a),
        joint_anchor_b=anchor(level.joint_anchor_b, level.joint_b),
        joint_rotation=jnp.where(joints, -level.joint_rotation, level.joint_rotation),
        joint_min=jnp.where(joints, -level.joint_max, level.joint_min),
        joint_max=jnp.where(joints, -level.joint_min, level.joint_max),
        motor_speed=jnp.where(joints & level.motor_auto, -level.motor_speed, level.motor_speed),
        thruster_position=choose(thrusters, flip(level.thruster_position), level.thruster_position),
        thruster_rotation=jnp.where(thrusters, np.float32(np.pi) - level.thruster_rotation, level.thruster_rotation),
    )
