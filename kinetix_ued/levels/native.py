"""This project's own level format: versioned JSON, a shape by its meaning, only what differs from the ordinary.

A level with a green box, a blue ball and a motor between them::

    {
     "format": "kinetix-ued level",
     "version": 1,
     "title": "Hello",
     "size": "s",
     "shapes": [
      {"kind": "rectangle", "width": 0.4, "height": 0.2, "position": [1, 2], "role": "green"},
      {"kind": "circle", "radius": 0.2, "position": [3, 2], "role": "blue", "fixed": true}
     ],
     "joints": [
      {"kind": "revolute", "a": 0, "b": 1, "anchor_a": [2, 0], "motor": {"speed": 2}}
     ]
    }

What METADATA names may stand beside ``title``: the task in a sentence, its family and difficulty, tags.
Joints and thrusters name a body by its place in ``shapes`` or by its name in the room. Entries fill the slots of their
kind in order; ``slot`` jumps ahead. Masses follow from shape and density unless given. Three sections are rare:
``room`` has what differs in floor, walls and ceiling; ``contacts`` the impulses of a level saved in mid-episode;
``unused`` the values left in places that the level does not use, by slot, so that every array reads back to the bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from kinetix_ued.world import SIZES, Level, Size, size_of
from kinetix_ued.world.constants import STATIC_POLYGONS

from . import native_rows as rows
from .errors import LevelError
from .native_rare import (
    FIELDS,
    SLOTS,
    active_slots,
    offset,
    put_row,
    read_contacts,
    read_unused,
    row_at,
    write_contacts,
    write_unused,
)
from .reader import MAX_SLOTS, Node
from .resize import BODY_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS, default_arrays, smallest_size
from .validate import check_level

FORMAT = "kinetix-ued level"
VERSION = 1
FAMILIES = (
    "flight", "vehicles", "balance", "arms", "locomotion", "mazes", "platforms", "landing", "projectiles",
    "contraptions", "machines",
)  # fmt: skip
"""Kinds of tasks, in which results are averaged."""

DIFFICULTIES = ("easy", "medium", "hard")
"""Easy: a search over action sequences solves it at once. Hard: long or precise sequences only."""

BASELINES = ("noop", "random")
"""Policies that need no training: doing nothing, and 100 attempts at random actions."""

MAX_TAGS = 100
"""Most tags of a level."""

METADATA = ("title", "description", "family", "difficulty", "why", "tags", "solved_by")
"""What a file may say about a level beside the level itself: ``read_metadata`` tells what each is."""

NATIVE_NAMES = {
    "a_index": "a", "b_index": "b", "a_relative_pos": "anchor_a", "b_relative_pos": "anchor_b", "object_index": "body",
    "relative_position": "position", "motor_binding": "motor.binding", "thruster_binding": "binding",
}  # fmt: skip
"""Fields that Kinetix' files, in whose terms levels are checked, call by another name."""


def level_from_native(mapping: Mapping[str, Any], source: str = "mapping") -> Level:
    """The level in a document of this project's format.

    Without a ``size`` it is the smallest standard one that has the slots.

    Raises:
        LevelError: the document is not a level of a version that this project knows.
    """
    return jax.device_put(read_native(mapping, source))


def read_native(mapping: Mapping[str, Any], source: str) -> Level:
    """``level_from_native`` with NumPy arrays."""
    document = _document(mapping, source)
    read_metadata(document)
    most = {"shapes": 2 * MAX_SLOTS, "joints": MAX_SLOTS, "thrusters": MAX_SLOTS}
    entries = {key: document[key].elements(most=most[key]) if key in document else [] for key in most}
    shapes = [(rows.shape_slots(entry), entry) for entry in entries["shapes"]]
    slots = {kind: _slots([entry for k, entry in shapes if k == kind], kind) for kind in ("polygon", "circle")}
    slots |= {"joint": _slots(entries["joints"], "joint"), "thruster": _slots(entries["thrusters"], "thruster")}
    size = _read_size(document, slots)
    arrays: dict[str, Any] = {name: array.copy() for name, array in default_arrays(size).items()}

    places = {kind: iter(slots[kind]) for kind in slots}
    body_slots = [next(places[kind]) + offset(kind, size) for kind, _ in shapes]
    bodies = dict(enumerate(body_slots)) | {name: slot for slot, name in enumerate(rows.ROOM)}
    if "room" in document:
        for name, part in document["room"].object((), rows.ROOM).items():
            slot = rows.ROOM.index(name)
            put_row(arrays, BODY_FIELDS, slot, rows.read_room(part, row_at(arrays, BODY_FIELDS, slot)))
    for slot, (_, entry) in zip(body_slots, shapes):
        put_row(arrays, BODY_FIELDS, slot, rows.read_shape(entry, row_at(arrays, BODY_FIELDS, slot)))
    for slot, entry in zip(slots["joint"], entries["joints"]):
        put_row(arrays, JOINT_FIELDS, slot, rows.read_joint(entry, row_at(arrays, JOINT_FIELDS, slot), bodies))
    for slot, entry in zip(slots["thruster"], entries["thrusters"]):
        put_row(arrays, THRUSTER_FIELDS, slot, rows.read_thruster(entry, row_at(arrays, THRUSTER_FIELDS, slot), bodies))
    if "gravity" in document:
        arrays["gravity"][:] = document["gravity"].array(float, (2,))
    if "unused" in document:
        read_unused(document["unused"], arrays, size)
    if "contacts" in document:
        read_contacts(document["contacts"], arrays, size)
    level = Level(size=size, **arrays)
    _check(level, source, {slot: f"shapes[{i}]" for i, slot in enumerate(body_slots)}, slots)
    return level


def level_to_native(level: Level, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A level as a document of this project's format; ``metadata``: see ``read_metadata``.

    Raises:
        LevelError: the level breaks ``check_level``'s rules.
        ValueError: a batch of levels, or metadata of another kind.
    """
    if np.ndim(level.gravity) != 1:
        raise ValueError("level_to_native takes one level: index the batch")
    check_level(level)
    size, defaults = level.size, default_arrays(level.size)
    arrays = {name: np.asarray(getattr(level, name)) for name in defaults}
    said = read_metadata(Node(metadata or {}, "metadata").object((), METADATA))
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION, **said}
    standard = size in SIZES.values()
    document["size"] = size.name if standard else {kind: getattr(size, kind) for kind in SLOTS.values()}
    if not rows.same(arrays["gravity"], defaults["gravity"]):
        document["gravity"] = rows.plain(arrays["gravity"])

    active = {kind: active_slots(arrays, kind, size) for kind in SLOTS}
    bodies = [(kind, slot) for kind in ("polygon", "circle") for slot in active[kind]]
    names: dict[int, str | int] = dict(enumerate(rows.ROOM))
    names |= {slot + offset(kind, size): i for i, (kind, slot) in enumerate(bodies)}

    def pair(kind: str, slot: int) -> tuple[rows.Row, rows.Row]:
        """The true and the empty row of a slot."""
        at = slot + offset(kind, size)
        return row_at(arrays, FIELDS[kind], at), row_at(defaults, FIELDS[kind], at)

    room = {name: rows.write_room(*pair("polygon", slot)) for slot, name in enumerate(rows.ROOM)}
    sections: dict[str, Any] = {
        "room": {name: part for name, part in room.items() if part},
        "shapes": _numbered([(kind, slot, rows.write_shape(*pair(kind, slot), kind)) for kind, slot in bodies]),
        "joints": _numbered(
            [("joint", slot, rows.write_joint(*pair("joint", slot), names)) for slot in active["joint"]]
        ),
        "thrusters": _numbered(
            [("thruster", slot, rows.write_thruster(*pair("thruster", slot), names)) for slot in active["thruster"]]
        ),
        "contacts": write_contacts(arrays, size),
        "unused": {kind: write_unused(kind, active[kind], size, pair) for kind in SLOTS},
    }
    sections["unused"] = {kind: slots for kind, slots in sections["unused"].items() if slots}
    return document | {key: section for key, section in sections.items() if section or key == "shapes"}


def read_metadata(document: Node) -> dict[str, Any]:
    """What a document says of its level beside the level itself, checked; nothing of it is required.

    ``title``; ``description``: the task in one sentence; ``family``: one of FAMILIES; ``difficulty``: one of
    DIFFICULTIES; ``why``: why it is not trivial; ``tags``: any texts; ``solved_by``: those of BASELINES that solve it.

    Raises:
        LevelError: names the file and the field.
    """
    choices: dict[str, tuple[str, ...] | None] = {
        "family": FAMILIES,
        "difficulty": DIFFICULTIES,
        "solved_by": BASELINES,
    }
    found: dict[str, Any] = {}
    for key in (key for key in METADATA if key in document):
        known = choices.get(key)
        if key in ("tags", "solved_by"):
            found[key] = [element.text(known) for element in document[key].elements(most=MAX_TAGS)]
        else:
            found[key] = document[key].text(known)
    return found


def native_text(document: Mapping[str, Any]) -> str:
    """The document as JSON that can be read: a shape, joint or thruster a line."""
    line = lambda value: json.dumps(value, ensure_ascii=False, allow_nan=False)

    def section(value: Any) -> str:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n" + ",\n".join(f"  {line(entry)}" for entry in value) + "\n ]"
        if isinstance(value, dict) and any(isinstance(entry, dict) for entry in value.values()):
            return "{\n" + ",\n".join(f"  {line(key)}: {line(entry)}" for key, entry in value.items()) + "\n }"
        return line(value)

    return "{\n" + ",\n".join(f" {line(key)}: {section(value)}" for key, value in document.items()) + "\n}\n"


def _document(mapping: Mapping[str, Any], source: str) -> Node:
    document = Node(mapping, source).mapping()
    known = (*METADATA, "size", "gravity", "room", "shapes", "joints", "thrusters", "contacts", "unused")
    document.object(("format", "version"), mapping)
    if document["format"].value != FORMAT:
        raise document["format"].error("unknown format", f"write {FORMAT!r}")
    if document["version"].array(int) != VERSION:
        problem = f"version {document['version'].value} is not known"
        raise document["version"].error(problem, f"use version {VERSION}, or a newer kinetix-ued")
    return document.object(("format", "version", "shapes"), known)


def _slots(entries: list[Node], kind: str) -> list[int]:
    """The slot of each entry among those of its kind: the next, unless it says another."""
    first = STATIC_POLYGONS if kind == "polygon" else 0
    slots: list[int] = []
    for entry in entries:
        slot = slots[-1] + 1 if slots else first
        if "slot" in entry.mapping():
            slot = entry["slot"].array(int)
        if not first <= slot < MAX_SLOTS:
            raise entry.error(f"{kind} slot {slot} does not exist", f"use {first} to {MAX_SLOTS - 1}")
        if slot in slots:
            raise entry.error(f"{kind} slot {slot} is taken", "give each its own slot, or none a number")
        slots.append(slot)
    return slots


def _needed_slots(document: Node, slots: Mapping[str, list[int]]) -> dict[str, int]:
    """How many slots of each kind the entries and the unused values need."""
    needed = {kind: max(slots[kind], default=-1) + 1 for kind in SLOTS}
    numbers = {str(slot): slot for slot in range(MAX_SLOTS)}
    if "unused" in document:
        for kind, node in document["unused"].object((), SLOTS).items():
            for key, entry in node.mapping().items():
                if key not in numbers:
                    raise entry.error("not the number of a slot", f"use 0 to {MAX_SLOTS - 1}")
                needed[kind] = max(needed[kind], numbers[key] + 1)
    return needed


def _read_size(document: Node, slots: Mapping[str, list[int]]) -> Size:
    needed = _needed_slots(document, slots)
    least = smallest_size(max(needed["polygon"], STATIC_POLYGONS + 1), *(max(needed[k], 1) for k in list(SLOTS)[1:]))
    if "size" not in document:
        return least
    node = document["size"]
    if isinstance(node.value, Mapping):
        counts = [node.object(SLOTS.values())[name].array(int) for name in SLOTS.values()]
        for name, count in zip(SLOTS.values(), counts):
            if count > MAX_SLOTS:
                raise node[name].error(f"{count} is more than {MAX_SLOTS}", "use fewer")
        try:
            size = Size(*counts)
        except ValueError as e:
            raise node.error(str(e), "use more") from None
    else:
        size = size_of(node.text(SIZES))
    for kind, count in needed.items():
        room = getattr(size, SLOTS[kind])
        if count > room:
            remedy = f"use {least.name!r}" if least in SIZES.values() else "raise its numbers"
            raise node.error(f"size {size.name!r} holds {room} {SLOTS[kind]}, this level has {count}", remedy)
    return size


def _numbered(entries: list[tuple[str, int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """The entries, with a ``slot`` where it is not the next of its kind."""
    following = {kind: STATIC_POLYGONS if kind == "polygon" else 0 for kind in SLOTS}
    for kind, slot, entry in entries:
        if slot != following[kind]:
            entry["slot"] = slot
        following[kind] = slot + 1
    return [entry for _, _, entry in entries]


def _check(level: Level, source: str, shapes: Mapping[int, str], slots: Mapping[str, list[int]]) -> None:
    """``check_level``, with fields named as in this format."""
    places = {f"polygon[{slot}]": f"room.{name}" for slot, name in enumerate(rows.ROOM)}
    for slot, name in shapes.items():
        polygon = slot < level.size.polygons
        places[f"polygon[{slot}]" if polygon else f"circle[{slot - level.size.polygons}]"] = name
    for kind in ("joint", "thruster"):
        places |= {f"{kind}[{slot}]": f"{kind}s[{i}]" for i, slot in enumerate(slots[kind])}
    try:
        check_level(level, source)
    except LevelError as e:
        place, _, name = (e.field or "").partition(".")
        if name:
            unused = f"unused.{place.replace('[', '.').removesuffix(']')}"
            e = LevelError(e.file, f"{places.get(place, unused)}.{NATIVE_NAMES.get(name, name)}", e.problem, e.remedy)
        raise e from None
