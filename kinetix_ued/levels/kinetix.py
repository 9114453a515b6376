"""Kinetix' level format (kinetix-env 3.0.2), read and written without loss.

A file holds a whole saved simulation. What a Level does not hold is either derived from it (the collision matrix, the
world positions of joints and thrusters, the geometry of contacts) or none of the level's business (pixels, reward
scale, time limit, frame skip): the first is computed on writing, the second written with Kinetix' defaults.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jax
import numpy as np

from kinetix_ued.world import SIZES, Level, Size, constants

from .errors import LevelError
from .kinetix_fields import (
    BODY,
    DERIVED,
    FLAGS,
    INDICES,
    JOINT,
    MANIFOLD,
    MANIFOLDS,
    PHYSICS,
    PRESENTATION,
    ROLE_COUNT,
    SLOTS,
    STATE,
    STATIC_PHYSICS,
    STATIC_PRESENTATION,
    THRUSTER,
    VERTEX_COUNT,
    Table,
    unread,
)
from .reader import MAX_SLOTS, Node
from .resize import body_slots, contact_slots, default_arrays
from .validate import check_level


def level_from_kinetix(mapping: Mapping[str, Any], source: str = "mapping") -> Level:
    """The level in a document of Kinetix' format, every slot and the warm-start impulses included.

    Kinds without any slot get an empty one. ``motor_auto``, which Kinetix leaves out of its files, is read where a file
    has it: in each joint, or beside the joints as an array. What no rule reads may be missing or null (see ``unread``),
    such as ``highlighted``, which Kinetix.js does not write. ``env_params`` and ``static_env_params`` may also have the
    form of its gallery: ``{"type": "size", "size": "s"}`` or ``{"type": "full", "params": {...}}``.

    Raises:
        LevelError: the document is not a level, or one whose physics is not this project's.
    """
    return jax.device_put(read_kinetix(mapping, source))


def read_kinetix(mapping: Mapping[str, Any], source: str) -> Level:
    """``level_from_kinetix`` with NumPy arrays."""
    document = Node(mapping, source)
    document.object(("env_state", "env_params", "static_env_params"), ("version",))
    if "version" in document and document["version"].text().split(".")[0] != "1":
        raise document["version"].error("unknown version", "use a file of version 1")
    state = document["env_state"].object([key for key in STATE if key not in DERIVED], (*DERIVED, "motor_auto"))
    static, named = _params(document["static_env_params"])
    counts = _counts(state, static, named)
    _require(_params(document["env_params"])[0], PHYSICS, ROLE_COUNT, PRESENTATION)
    _require(static, STATIC_PHYSICS, VERTEX_COUNT, [*STATIC_PRESENTATION, *SLOTS.values()])
    polygons, circles = counts["polygon"], counts["circle"]
    size = Size(max(polygons, constants.STATIC_POLYGONS + 1), *(max(counts[kind], 1) for kind in list(SLOTS)[1:]))
    arrays: dict[str, Any] = {name: array.copy() for name, array in default_arrays(size).items()}

    places = body_slots(size, polygons, circles)
    _fill(arrays, places[:polygons], state["polygon"].elements(), BODY, "polygon")
    _fill(arrays, places[polygons:], state["circle"].elements(), BODY, "circle")
    joints, joint_table = state["joint"].elements(), JOINT
    if any(isinstance(joint.value, Mapping) and "motor_auto" in joint for joint in joints):
        joint_table = dict(JOINT) | {"motor_auto": ("motor_auto", bool, ())}
    _fill(arrays, np.arange(counts["joint"]), joints, joint_table, "joint")
    if "motor_auto" in state:
        arrays["motor_auto"][: counts["joint"]] = state["motor_auto"].array(bool, (counts["joint"],))
    _fill(arrays, np.arange(counts["thruster"]), state["thruster"].elements(), THRUSTER, "thruster")
    arrays["gravity"][:] = state["gravity"].array(float, (2,))
    for kind, slots in _manifold_slots(size, polygons, circles).items():
        if state.has(kind):
            _fill(arrays, slots, state[kind].elements(len(slots)), MANIFOLD, kind)
    _move_indices(arrays, state, counts, size)
    level = Level(size=size, **arrays)
    check_level(level, source)
    return level


def level_to_kinetix(level: Level) -> dict[str, Any]:
    """A level as a document of Kinetix' format, of plain Python values that ``json.dump`` takes.

    Kinetix' own loader reads it. It has no field for ``motor_auto``: levels that need it get an array of that name in
    ``env_state``, which Kinetix passes over.

    Raises:
        ValueError: a batch of levels.
    """
    if np.ndim(level.gravity) != 1:
        raise ValueError("level_to_kinetix takes one level: index the batch")
    size, arrays = level.size, {name: np.asarray(getattr(level, name)) for name in default_arrays(level.size)}
    bodies = _write(arrays, range(size.bodies), BODY)
    joints = _write(arrays, range(size.joints), JOINT, _world_points(arrays, "joint_a", "joint_anchor_a"))
    thrusters = _write(
        arrays, range(size.thrusters), THRUSTER, _world_points(arrays, "thruster_body", "thruster_position")
    )
    manifolds = _manifold_slots(size, size.polygons, size.circles)
    state = {
        "polygon": bodies[: size.polygons],
        "circle": bodies[size.polygons :],
        "joint": joints,
        "thruster": thrusters,
        "collision_matrix": _indexed(_collision_matrix(arrays)),
        **{kind: _write(arrays, slots, MANIFOLD) for kind, slots in manifolds.items()},
        "gravity": _indexed(arrays["gravity"]),
    }
    if arrays["motor_auto"].any():
        state["motor_auto"] = _indexed(arrays["motor_auto"])
    counts = (size.polygons, size.circles, size.joints, size.thrusters)
    return {
        "env_state": state,
        "env_params": PHYSICS | ROLE_COUNT | PRESENTATION,
        "static_env_params": dict(zip(SLOTS.values(), counts)) | VERTEX_COUNT | STATIC_PHYSICS | STATIC_PRESENTATION,
    }


def _params(node: Node) -> tuple[Node | None, Node | None]:
    """A section of parameters as (the parameters, the name of a size): one of them, depending on the section's form.

    A named size stands for Kinetix' defaults. Kinetix.js writes "s" into ``env_params`` whatever the level's size.
    """
    if "type" not in node.mapping():
        return node, None
    node.object(("type",), ("size", "params"))
    if node["type"].text(("size", "full")) == "full":
        return node.required("params").mapping(), None
    size = node.required("size")
    size.text(SIZES)
    return None, size


def _counts(state: Node, static: Node | None, named: Node | None) -> dict[str, int]:
    """Slots of each kind: of the lists, which must be as long as the file says."""
    counts = {kind: len(state[kind].elements(most=MAX_SLOTS)) for kind in SLOTS}
    for kind, field in SLOTS.items():
        told = int(getattr(SIZES[named.value], f"{kind}s")) if named else counts[kind]
        if static is not None and field in static.mapping():
            told = static[field].array(int)
        if told != counts[kind]:
            place, found = (named, repr(named.value)) if named else (static[field], told)
            raise place.error(f"{found}, but env_state.{kind} has {counts[kind]} elements", "make them equal")
    if counts["polygon"] < constants.STATIC_POLYGONS:
        raise state["polygon"].error(
            f"only {counts['polygon']} elements", "the first four are floor, walls and ceiling"
        )
    return counts


def _require(
    params: Node | None, physics: Mapping[str, Any], possible: Mapping[str, Any], ignored: Collection[str]
) -> None:
    """Refuses other numbers than the physics has; those of ``possible`` may be missing."""
    if params is None:
        return
    params.object(physics, (*possible, *ignored))
    for name, number in (*physics.items(), *((key, possible[key]) for key in possible if key in params)):
        kind = bool if isinstance(number, bool) else float
        found = params[name].array(kind)
        if np.float32(found) != np.float32(number):
            raise params[name].error(
                f"{found}, but the physics here has {number}", "set it to that; a level cannot change it"
            )


def _fill(arrays: dict[str, np.ndarray], slots: np.ndarray, elements: list[Node], table: Table, kind: str) -> None:
    """Reads the fields of each element into its slot of the arrays; what may be missing stays as it is there."""
    flags = [field for field in FLAGS if field in table]
    kept = {field: column for field, column in table.items() if column[0]}
    optional: dict[tuple[bool, ...], frozenset[str]] = {}
    places: dict[str, list[int]] = {name: [] for name, _, _ in kept.values()}
    values: dict[str, list] = {name: [] for name in places}
    for slot, element in zip(slots.tolist(), elements, strict=True):
        entry = element.mapping().value
        found = tuple(element[field].array(bool) if element.has(field) else False for field in flags)
        if found not in optional:
            optional[found] = unread(table, kind, dict(zip(flags, found)))
        spare = optional[found]
        if not entry.keys() >= table.keys() or len(entry) > len(table):
            element.object([field for field in table if field not in spare], spare)
        for field, (name, what, shape) in kept.items():
            if field not in spare or entry.get(field) is not None:
                places[name].append(slot)
                values[name].append(element[field].array(what, shape))
    for name, column in values.items():
        if column:
            arrays[name][places[name]] = column


def _write(arrays: Mapping[str, np.ndarray], slots: Any, table: Table, points: Any = None) -> list[dict[str, Any]]:
    """The fields of each slot; derived ones are zero, except the given ``global_position``."""

    def field_of(slot: int, field: str, name: str | None, shape: tuple[int, ...]) -> Any:
        if name:
            return _indexed(arrays[name][slot])
        return _indexed(points[slot] if field == "global_position" else np.zeros(shape))

    return [{field: field_of(slot, field, name, shape) for field, (name, _, shape) in table.items()} for slot in slots]


def _indexed(array: Any) -> Any:
    """An array as Kinetix writes it: objects with the keys "0", "1", ..."""
    array = np.asarray(array)
    return {str(i): _indexed(element) for i, element in enumerate(array)} if array.ndim else array.item()


def _manifold_slots(size: Size, polygons: int, circles: int) -> dict[str, np.ndarray]:
    """Contact slots in the order of the file, where a polygon pair's two points follow one another."""
    first, second, *others = contact_slots(size, polygons, circles)
    return dict(zip(MANIFOLDS, [np.stack([first, second], axis=1).ravel(), *others]))


def _move_indices(arrays: dict[str, np.ndarray], state: Node, counts: Mapping[str, int], size: Size) -> None:
    """Checks body indices against the file's own slots, then moves those of circles to where circles are now."""
    bodies, added = counts["polygon"] + counts["circle"], size.polygons - counts["polygon"]
    tables = {"joint": JOINT, "thruster": THRUSTER}
    for kind, table in tables.items():
        for field, (name, _, _) in table.items():
            if name not in INDICES:
                continue
            index = arrays[name][: counts[kind]]
            for wrong in np.flatnonzero((index < 0) | (index >= bodies)):
                place = f"{state.field}.{kind}[{wrong}].{field}"
                raise LevelError(state.file, place, f"there is no body {index[wrong]}", f"use 0 to {bodies - 1}")
            arrays[name][: counts[kind]] = np.where(index >= counts["polygon"], index + added, index)


def _world_points(arrays: Mapping[str, np.ndarray], body: str, local: str) -> np.ndarray:
    """Points given in the frames of bodies, in the world's."""
    rotation, (x, y) = arrays["rotation"][arrays[body]], arrays[local].T
    turned = np.stack(
        [np.cos(rotation) * x - np.sin(rotation) * y, np.sin(rotation) * x + np.cos(rotation) * y], axis=-1
    )
    return np.nan_to_num(arrays["position"][arrays[body]] + turned)


def _collision_matrix(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which bodies may collide: all but those joined to one another, directly or through others."""
    label = np.arange(len(arrays["active"]))
    for joint in np.flatnonzero(arrays["joint_active"]):
        a, b = label[arrays["joint_a"][joint]], label[arrays["joint_b"][joint]]
        label[label == b] = a
    return label[:, None] != label[None, :]
