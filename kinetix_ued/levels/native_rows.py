"""One shape, joint or thruster of this project's level format, and the slot of a Level that it fills.

A row is a slot: field of Level -> value. Reading starts from the empty slot and changes what the entry says. Writing
makes the barest entry, reads it, and adds every field in which the row read differs, bit for bit, from the true one:
whatever reading may imply, the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kinetix_ued.world import ROLES
from kinetix_ued.world.constants import MAX_VERTICES

from .mass import circle_inverses, polygon_inverses
from .reader import Node

Row = dict[str, Any]
"""A slot: field of Level -> NumPy value."""

Table = Mapping[str, tuple[str, type, tuple[int, ...]]]

ROOM = ("floor", "left wall", "right wall", "ceiling")
"""The room's polygons, in the order of their slots."""

# Fields of an entry: (field of Level, type, shape). They are written only where they differ from what an entry
# without them means.
BODY: Table = {
    "rotation": ("rotation", float, ()),
    "velocity": ("velocity", float, (2,)),
    "angular_velocity": ("angular_velocity", float, ()),
    "density": ("density", float, ()),
    "friction": ("friction", float, ()),
    "restitution": ("restitution", float, ()),
    "collision_mode": ("collision_mode", int, ()),
    "highlighted": ("highlighted", bool, ()),
}
MASS: Table = {
    "inverse_mass": ("inverse_mass", float, ()),
    "inverse_inertia": ("inverse_inertia", float, ()),
}
JOINT: Table = {
    "anchor_a": ("joint_anchor_a", float, (2,)),
    "anchor_b": ("joint_anchor_b", float, (2,)),
    "rotation": ("joint_rotation", float, ()),
    "impulse": ("joint_impulse", float, (2,)),
    "angular_impulse": ("joint_angular_impulse", float, ()),
}
LIMITS: Table = {
    "on": ("joint_limited", bool, ()),
    "min": ("joint_min", float, ()),
    "max": ("joint_max", float, ()),
}
MOTOR: Table = {
    "on": ("motor_on", bool, ()),
    "speed": ("motor_speed", float, ()),
    "power": ("motor_power", float, ()),
    "binding": ("motor_binding", int, ()),
    "auto": ("motor_auto", bool, ()),
}
LIMITS_PRESENT = {"joint_limited": np.bool_(True)}
MOTOR_PRESENT = {"motor_on": np.bool_(True), "motor_speed": np.float32(1), "motor_power": np.float32(1)}
THRUSTER: Table = {
    "position": ("thruster_position", float, (2,)),
    "rotation": ("thruster_rotation", float, ()),
    "power": ("thruster_power", float, ()),
    "binding": ("thruster_binding", int, ()),
}
GEOMETRY = {"rectangle": ("width", "height"), "polygon": ("vertices",), "circle": ("radius",)}
KINDS = {"rectangle": "polygon", "polygon": "polygon", "circle": "circle"}
"""Kinds of shapes, and the slots they take."""


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two values are the same to the bit: -0.0 is not 0.0."""
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def plain(value: Any) -> Any:
    """An array or number as the shortest JSON that reads back as the same float32."""
    value = np.asarray(value)
    if value.ndim:
        return [plain(element) for element in value]
    if value.dtype != np.float32:
        return value.item()
    number = float(str(value))
    if number == int(number) and abs(number) < 1e6 and not (number == 0 and np.signbit(value)):
        return int(number)
    return number if np.float32(number) == value else float(value)


def read_fields(node: Node, table: Table, row: Row) -> None:
    """Puts the fields of the table that the entry has into the row."""
    for key, (name, kind, shape) in table.items():
        if key in node:
            row[name] = np.asarray(node[key].array(kind, shape), row[name].dtype)


def add_fields(entry: dict[str, Any], table: Table, row: Row, implied: Row) -> dict[str, Any]:
    """The entry, with the fields of the table in which ``row`` differs from what it implies."""
    for key, (name, _, _) in table.items():
        if not same(row[name], implied[name]):
            entry[key] = plain(row[name])
    return entry


# Shapes


def shape_slots(node: Node) -> str:
    """Which kind of slots an entry of ``shapes`` goes to: polygon or circle."""
    if "kind" not in node.mapping():
        node.object(("kind",), node.value)
    return KINDS[node["kind"].text(KINDS)]


def read_shape(node: Node, empty: Row) -> Row:
    """The slot of an entry of ``shapes``."""
    row = _shape_row(node, empty)
    fixed = "fixed" in node and node["fixed"].value
    for name in MASS:
        if fixed and row[name]:
            raise node[name].error("not 0, but the shape is fixed", "remove it")
        if not fixed and name not in node and not (np.isfinite(row[name]) and row[name] > 0):
            raise node.error("too large or too small to have a mass", "change its dimensions or density")
    return row


def _shape_row(node: Node, empty: Row) -> Row:
    """``read_shape``, whatever the mass comes to."""
    kind = node["kind"].text(GEOMETRY)
    spare = ("unused_vertex",) if kind == "polygon" else ()
    node.object(("kind", *GEOMETRY[kind], "position"), (*BODY, *MASS, *spare, "role", "fixed", "slot"))
    row = empty | {"active": np.bool_(True)}
    _read_body(node, row)
    _read_geometry(node, kind, row)
    if "fixed" in node and node["fixed"].array(bool):
        inverses = np.float32(0), np.float32(0)
    elif kind == "circle":
        inverses = circle_inverses(row["radius"], row["density"])
    else:
        inverses = polygon_inverses(row["vertices"], int(row["n_vertices"]), row["density"])
    row |= dict(zip(MASS, inverses))
    read_fields(node, MASS, row)
    return row


def write_shape(row: Row, empty: Row, slot_kind: str) -> dict[str, Any]:
    """The entry of an active body."""
    entry: dict[str, Any] = (
        _write_geometry(row) if slot_kind == "polygon" else {"kind": "circle", "radius": plain(row["radius"])}
    )
    entry["position"] = plain(row["position"])
    if row["role"]:
        entry["role"] = ROLES[row["role"]]
    if not row["inverse_mass"] and not row["inverse_inertia"]:
        entry["fixed"] = True
    add_fields(entry, BODY, row, _shape_row(Node(entry, "level"), empty))
    return add_fields(entry, MASS, row, _shape_row(Node(entry, "level"), empty))  # the mass depends on the density


def read_room(node: Node, empty: Row) -> Row:
    """The slot of an entry of ``room``: a part of the room, changed."""
    node.object((), (*BODY, *MASS, "position", "vertices", "unused_vertex", "role"))
    row = dict(empty)
    _read_body(node, row)
    read_fields(node, MASS, row)
    if "vertices" in node:
        _read_geometry(node, "polygon", row)
    return row


def write_room(row: Row, empty: Row) -> dict[str, Any]:
    """The entry of a part of the room, empty for an unchanged one."""
    geometry = ("vertices", "n_vertices")
    entry = {} if all(same(row[name], empty[name]) for name in geometry) else _write_polygon(row)
    if not same(row["position"], empty["position"]):
        entry["position"] = plain(row["position"])
    if row["role"]:
        entry["role"] = ROLES[row["role"]]
    return add_fields(entry, {**BODY, **MASS}, row, read_room(Node(entry, "level"), empty))


def _read_body(node: Node, row: Row) -> None:
    read_fields(node, BODY, row)
    if "position" in node:
        row["position"] = np.asarray(node["position"].array(float, (2,)), np.float32)
    if "role" in node:
        row["role"] = np.int32(ROLES.index(node["role"].text(ROLES)))


def _read_geometry(node: Node, kind: str, row: Row) -> None:
    if kind == "circle":
        row["radius"] = _length(node["radius"])
    elif kind == "rectangle":
        row["vertices"] = _box(_length(node["width"]) / 2, _length(node["height"]) / 2)
        row["n_vertices"] = np.int32(MAX_VERTICES)
    else:
        corners = node["vertices"].elements()
        if not 3 <= len(corners) <= MAX_VERTICES:
            raise node["vertices"].error(f"{len(corners)} corners", f"a polygon has 3 to {MAX_VERTICES}")
        points = [corner.array(float, (2,)) for corner in corners]
        if "unused_vertex" in node:
            if len(points) == MAX_VERTICES:
                raise node["unused_vertex"].error("all four corners are in use", "remove it")
            points.append(node["unused_vertex"].array(float, (2,)))
        row["vertices"] = np.zeros((MAX_VERTICES, 2), np.float32)
        row["vertices"][: len(points)] = points
        row["n_vertices"] = np.int32(len(corners))


def _length(node: Node) -> np.float32:
    value = np.float32(node.array(float))
    if value <= 0:
        raise node.error(f"{value} is not positive", "give a length in metres")
    return value


def _box(half_width: np.float32, half_height: np.float32) -> np.ndarray:
    """Corners of a rectangle, clockwise from the upper right as Kinetix' editor makes them."""
    x, y = half_width, half_height
    return np.array([[x, y], [x, -y], [-x, -y], [-x, y]], np.float32)


def _write_geometry(row: Row) -> dict[str, Any]:
    x, y = row["vertices"][0]
    if row["n_vertices"] == MAX_VERTICES and 0 < min(x, y) and max(x, y) < 1e30 and same(row["vertices"], _box(x, y)):
        width, height = plain(x * 2), plain(y * 2)
        if same(_box(np.float32(width) / 2, np.float32(height) / 2), row["vertices"]):
            return {"kind": "rectangle", "width": width, "height": height}
    return {"kind": "polygon"} | _write_polygon(row)


def _write_polygon(row: Row) -> dict[str, Any]:
    n = int(row["n_vertices"])
    entry = {"vertices": plain(row["vertices"][:n])}
    if not same(row["vertices"][n:], np.zeros((MAX_VERTICES - n, 2), np.float32)):
        entry["unused_vertex"] = plain(row["vertices"][n])
    return entry


# Joints and thrusters


def read_joint(node: Node, empty: Row, bodies: Mapping[Any, int]) -> Row:
    """The slot of an entry of ``joints``; ``bodies``: body slots by their place in ``shapes`` or name in the room."""
    node.object(("kind", "a", "b"), (*JOINT, "limits", "motor", "slot"))
    row = empty | {
        "joint_active": np.bool_(True),
        "joint_fixed": np.bool_(node["kind"].text(("revolute", "fixed")) == "fixed"),
    }
    row |= {"joint_a": _read_body_of(node["a"], bodies), "joint_b": _read_body_of(node["b"], bodies)}
    read_fields(node, JOINT, row)
    if "limits" in node:
        row |= LIMITS_PRESENT
        limits = node["limits"].mapping()
        unread = row["joint_fixed"] or (limits.has("on") and not limits["on"].array(bool))
        read_fields(limits.object(() if unread else ("min", "max"), ("on", "min", "max")), LIMITS, row)
    if "motor" in node:
        row |= MOTOR_PRESENT
        read_fields(node["motor"].object((), MOTOR), MOTOR, row)
    return row


def write_joint(row: Row, empty: Row, names: Mapping[int, Any]) -> dict[str, Any]:
    """The entry of an active joint; ``names``: the inverse of ``read_joint``'s bodies."""
    entry: dict[str, Any] = {"kind": "fixed" if row["joint_fixed"] else "revolute"}
    entry |= {"a": names[int(row["joint_a"])], "b": names[int(row["joint_b"])]}
    add_fields(entry, JOINT, row, empty)
    if not all(same(row[name], empty[name]) for name, _, _ in LIMITS.values()):
        limits = {"min": plain(row["joint_min"]), "max": plain(row["joint_max"])}
        entry["limits"] = limits | add_fields({}, {"on": LIMITS["on"]}, row, LIMITS_PRESENT)
    if not all(same(row[name], empty[name]) for name, _, _ in MOTOR.values()):
        entry["motor"] = add_fields({}, MOTOR, row, empty | MOTOR_PRESENT)
    return entry


def read_thruster(node: Node, empty: Row, bodies: Mapping[Any, int]) -> Row:
    """The slot of an entry of ``thrusters``."""
    node.object(("body", "power"), (*THRUSTER, "slot"))
    row = empty | {"thruster_active": np.bool_(True), "thruster_body": _read_body_of(node["body"], bodies)}
    read_fields(node, THRUSTER, row)
    return row


def write_thruster(row: Row, empty: Row, names: Mapping[int, Any]) -> dict[str, Any]:
    """The entry of an active thruster."""
    entry = {"body": names[int(row["thruster_body"])], "power": plain(row["thruster_power"])}
    return add_fields(entry, THRUSTER, row, empty | {"thruster_power": row["thruster_power"]})


def _read_body_of(node: Node, bodies: Mapping[Any, int]) -> np.int32:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value not in bodies:
        shapes = sum(isinstance(name, int) for name in bodies)
        known = f"a place in shapes, 0 to {shapes - 1}" if shapes else "shapes is empty"
        raise node.error(f"there is no body {str(value)[:40]!r}", f"use {known}, or one of {', '.join(ROOM)}")
    return np.int32(bodies[value])
