"""The rare sections of this project's level format: impulses of a saved episode, and values in unused places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kinetix_ued.world import Size
from kinetix_ued.world.constants import STATIC_POLYGONS

from . import native_rows as rows
from .reader import Node
from .resize import BODY_FIELDS, CONTACT_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS, default_arrays

SLOTS = {"polygon": "polygons", "circle": "circles", "joint": "joints", "thruster": "thrusters"}
FIELDS = {"polygon": BODY_FIELDS, "circle": BODY_FIELDS, "joint": JOINT_FIELDS, "thruster": THRUSTER_FIELDS}
UNUSED_OF_ACTIVE = {"polygon": ("radius",), "circle": ("vertices", "n_vertices"), "joint": (), "thruster": ()}
"""Fields that have no meaning even in a slot that is in use."""

CONTACT: rows.Table = {
    "active": ("contact_active", bool, ()),
    "normal_impulse": ("contact_normal_impulse", float, ()),
    "tangent_impulse": ("contact_tangent_impulse", float, ()),
}


def offset(kind: str, size: Size) -> int:
    """What to add to a slot of the kind for its place in the arrays."""
    return size.polygons if kind == "circle" else 0


def row_at(arrays: Mapping[str, np.ndarray], fields: tuple[str, ...], slot: int) -> rows.Row:
    """A copy of a slot."""
    return {name: arrays[name][slot].copy() for name in fields}


def put_row(arrays: dict[str, np.ndarray], fields: tuple[str, ...], slot: int, row: rows.Row) -> None:
    """Writes a row into its slot."""
    for name in fields:
        arrays[name][slot] = row[name]


def active_slots(arrays: Mapping[str, np.ndarray], kind: str, size: Size) -> list[int]:
    """Slots that have an entry; those of the room have none."""
    flags = arrays[{"joint": "joint_active", "thruster": "thruster_active"}.get(kind, "active")]
    if kind == "polygon":
        return [int(slot) for slot in np.flatnonzero(flags[: size.polygons]) if slot >= STATIC_POLYGONS]
    return np.flatnonzero(flags[offset(kind, size) :]).tolist()


def _unused_fields(kind: str, slot: int, active: list[int]) -> tuple[str, ...]:
    if slot in active or (kind == "polygon" and slot < STATIC_POLYGONS):
        return UNUSED_OF_ACTIVE[kind]
    return tuple(name for name in FIELDS[kind] if name not in ("active", f"{kind}_active"))


def write_unused(kind: str, active: list[int], size: Size, pair: Any) -> dict[str, Any]:
    """What differs from the empty level where the level does not use it; ``pair``: true and empty row of a slot."""
    found: dict[str, Any] = {}
    for slot in range(getattr(size, SLOTS[kind])):
        row, empty = pair(kind, slot)
        fields = [name for name in _unused_fields(kind, slot, active) if not rows.same(row[name], empty[name])]
        if fields:
            found[str(slot)] = {name: rows.plain(row[name]) for name in fields}
    return found


def read_unused(node: Node, arrays: dict[str, np.ndarray], size: Size) -> None:
    """Puts such values into the arrays; refuses those of places in use."""
    types = {"f": float, "i": int, "b": bool}
    for kind, entries in node.items():
        active = active_slots(arrays, kind, size)
        for key, entry in entries.items():
            slot = int(key)
            for name, value in entry.object((), _unused_fields(kind, slot, active)).items():
                array = arrays[name]
                array[slot + offset(kind, size)] = value.array(types[array.dtype.kind], array.shape[1:])


def _contact_names(size: Size) -> list[tuple[str, str, int]]:
    """Every contact slot as two bodies and the number of the point."""
    bodies = [f"polygon {i}" for i in range(size.polygons)] + [f"circle {i}" for i in range(size.circles)]
    points = [point for point, pairs in zip((0, 1, 0, 0), size.pairs) for _ in pairs]
    return [(bodies[a], bodies[b], point) for (a, b), point in zip(size.contact_bodies.tolist(), points)]


def write_contacts(arrays: Mapping[str, np.ndarray], size: Size) -> list[dict[str, Any]]:
    """The contacts that are not as in a level at its start."""
    empty = row_at(default_arrays(size), CONTACT_FIELDS, 0)
    names = _contact_names(size)
    found = []
    for slot, (a, b, point) in enumerate(names):
        fields = rows.add_fields({}, CONTACT, row_at(arrays, CONTACT_FIELDS, slot), empty)
        if fields:
            found.append({"between": [a, b], **({"point": point} if point else {}), **fields})
    return found


def read_contacts(node: Node, arrays: dict[str, np.ndarray], size: Size) -> None:
    """Puts the contacts of a file into the arrays."""
    slots = {name: slot for slot, name in enumerate(_contact_names(size))}
    for entry in node.elements(most=len(slots)):
        entry.object(("between",), ("point", *CONTACT))
        a, b = (body.text() for body in entry["between"].elements(2))
        point = entry["point"].array(int) if "point" in entry else 0
        slot = slots.pop((a, b, point), None)
        if slot is None:
            remedy = 'name two bodies by slot, as in ["polygon 4", "polygon 5"] or ["circle 0", "polygon 4"]'
            raise entry.error("no such contact, or there twice", remedy)
        row = row_at(arrays, CONTACT_FIELDS, slot)
        rows.read_fields(entry, CONTACT, row)
        put_row(arrays, CONTACT_FIELDS, slot, row)
