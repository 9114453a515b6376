"""Bad levels and bad files: each refused with its file, field and remedy, and nothing but LevelError ever comes out."""

import copy
import dataclasses
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from kinetix_ued.levels import LevelError, check_level, level_to_kinetix, level_to_native, load_level
from kinetix_ued.world import Size, empty_level

DATA = Path(__file__).parent / "data" / "random"
KINETIX = json.loads((DATA / "m" / "random_m_000.json").read_text())
NATIVE = {
    "format": "kinetix-ued level",
    "version": 1,
    "size": "m",
    "shapes": [
        {"kind": "rectangle", "width": 0.5, "height": 0.25, "position": [3, 2], "role": "green"},
        {"kind": "circle", "radius": 0.25, "position": [1, 2], "role": "blue"},
        {"kind": "polygon", "vertices": [[0, 0.2], [0.1, -0.1], [-0.1, -0.1]], "position": [4, 1]},
    ],
    "joints": [{"kind": "revolute", "a": 0, "b": 1, "motor": {}}],
    "thrusters": [{"body": 1, "power": 1}],
}
DELETE = object()


def changed(document: dict, *changes: tuple) -> dict:
    """A copy with changes (*path, value)."""
    document = copy.deepcopy(document)
    for *path, last, value in changes:
        place = document
        for key in path:
            place = place[key]
        if value is DELETE:
            del place[last]
        else:
            place[last] = value
    return document


def box(*corners):
    return [list(corner) for corner in corners]


COUNTER_CLOCKWISE = box((0.1, 0.1), (-0.1, 0.1), (-0.1, -0.1), (0.1, -0.1))
DENT = box((0.3, 0.3), (0, 0.1), (-0.3, 0.3), (0, -0.3))[::-1]
LINE = box((0, 0), (0.1, 0), (0.2, 0), (0.3, 0))
TWICE = box((0.1, 0.1), (0.1, 0.1), (0.1, -0.1), (-0.1, -0.1))
BODY, JOINT, THRUSTER = (("env_state", kind, slot) for kind, slot in (("polygon", 4), ("joint", 0), ("thruster", 0)))


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (("env_state", "gravity", DELETE), "env_state.gravity", "missing: add it"),
        (("env_state", DELETE), "None", "not a level of a known format"),
        (("env_params", DELETE), "env_params", "missing"),
        (("env_state", "circle", 0, "radius", DELETE), "env_state.circle[0].radius", "missing"),
        ((*BODY, "density", DELETE), "env_state.polygon[4].density", "missing"),
        ((*BODY, "active", DELETE), "env_state.polygon[4].active", "missing"),
        (("env_state", "circle", DELETE), "env_state.circle", "missing"),
        (("env_params", "dt", DELETE), "env_params.dt", "missing"),
        (("env_params", "num_shape_roles", 3), "env_params.num_shape_roles", "a level cannot change it"),
        (("env_params", {"type": "some"}), "env_params.type", "one of 'size', 'full' expected"),
        (("env_params", {"type": "full"}), "env_params.params", "missing"),
        (("static_env_params", {"type": "size", "size": "xl"}), "static_env_params.size", "one of 's', 'm', 'l'"),
        (("static_env_params", {"type": "size", "size": "s"}), "static_env_params.size", "polygon has 6 elements"),
        (("env_params", {"type": "full", "params": {}}), "env_params.params.dt", "missing"),
        ((*BODY, "radius", "x"), "env_state.polygon[4].radius", "a number expected, found 'x'"),
        ((*BODY, "radius", True), "env_state.polygon[4].radius", "a number expected"),
        ((*BODY, "rotation", float("nan")), "env_state.polygon[4].rotation", "NaN): write a finite number"),
        ((*BODY, "rotation", float("-inf")), "env_state.polygon[4].rotation", "infinite"),
        ((*BODY, "rotation", 1e39), "env_state.polygon[4].rotation", "too large for 32 bits"),
        ((*BODY, "rotation", 10**400), "env_state.polygon[4].rotation", "too large for 32 bits"),
        ((*BODY, "position", {"0": 1.0}), "env_state.polygon[4].position", "2 elements expected, found 1"),
        ((*BODY, "position", {"0": 1.0, "2": 1.0}), "env_state.polygon[4].position", "an array expected"),
        ((*BODY, "role", 4), "polygon[4].role", "4 does not exist: use 0 to 3"),
        ((*BODY, "role", 1.5), "env_state.polygon[4].role", "a whole number expected"),
        ((*BODY, "role", 10**12), "env_state.polygon[4].role", "a whole number expected"),
        ((*BODY, "collision_mode", -1), "polygon[4].collision_mode", "use 0 to 2"),
        ((*BODY, "active", 1), "env_state.polygon[4].active", "true or false expected"),
        ((*BODY, "n_vertices", 2), "polygon[4].n_vertices", "a polygon has 3 to 4"),
        ((*BODY, "n_vertices", 5), "polygon[4].n_vertices", "5 does not exist"),
        ((*BODY, "vertices", COUNTER_CLOCKWISE), "polygon[4].vertices", "counter-clockwise: list them clockwise"),
        ((*BODY, "vertices", DENT), "polygon[4].vertices", "not convex"),
        ((*BODY, "vertices", LINE), "polygon[4].vertices", "no area"),
        ((*BODY, "vertices", TWICE), "polygon[4].vertices", "corner 0 and the next are the same"),
        ((*BODY, "inverse_mass", -1.0), "polygon[4].inverse_mass", "negative"),
        ((*BODY, "colour", "red"), "env_state.polygon[4]", "unknown field 'colour': remove it"),
        (("env_state", "polygon", 2, "active", False), "polygon[2].active", "the room must be active"),
        (("env_state", "polygon", 0, "inverse_mass", 1.0), "polygon[0].inverse_mass", "the room does not move"),
        (("env_state", "circle", 0, "radius", 0.0), "circle[0].radius", "not positive"),
        ((*JOINT, "a_index", 9), "env_state.joint[0].a_index", "there is no body 9: use 0 to 8"),
        ((*JOINT, "a_index", -1), "env_state.joint[0].a_index", "there is no body -1"),
        ((*JOINT, "b_index", "same"), "joint[0].b_index", "joined to itself"),
        ((*JOINT, "motor_binding", 4), "joint[0].motor_binding", "use 0 to 3"),
        ((*THRUSTER, "object_index", 9), "env_state.thruster[0].object_index", "there is no body 9"),
        ((*THRUSTER, "thruster_binding", 2), "thruster[0].thruster_binding", "use 0 to 1"),
        (("env_state", "acc_rr_manifolds", 3, DELETE), "env_state.acc_rr_manifolds", "18 elements expected, found 17"),
        (("env_state", "polygon", 5, DELETE), "static_env_params.num_polygons", "env_state.polygon has 5 elements"),
        (("env_params", "dt", 1 / 30), "env_params.dt", "the physics here has 0.0166"),
        (("env_params", "base_friction", 1.0), "env_params.base_friction", "a level cannot change it"),
        (("static_env_params", "num_solver_iterations", 20), "static_env_params.num_solver_iterations", "has 10"),
        (("static_env_params", "do_warm_starting", False), "static_env_params.do_warm_starting", "has True"),
        (("version", "2.0.0"), "version", "unknown version"),
        (("surprise", 1), "None", "unknown field 'surprise'"),
    ],
)
def test_bad_kinetix_levels(tmp_path, change, field, problem):
    document = changed(KINETIX, (*JOINT, "active", True), (*JOINT, "b_index", 4), (*JOINT, "a_index", 0))
    document = changed(document, (*THRUSTER, "active", True), (*THRUSTER, "object_index", 4))
    for kind, slot in (("polygon", 4), ("circle", 0)):
        document["env_state"][kind][slot]["active"] = True
    change = (*change[:-1], 0) if change[-1] == "same" else change
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(changed(document, change)))
    with pytest.raises(LevelError) as caught:
        load_level(path)
    assert (str(caught.value.field), caught.value.file) == (field, str(path))
    assert problem in str(caught.value)
    assert caught.value.remedy


def test_what_is_not_the_levels_is_ignored():
    params = {"max_timesteps": 1, "pixels_per_unit": 3, "dense_reward_scale": 0.7}
    static = {"screen_dim": {"0": 1, "1": 1}, "downscale": 1, "frame_skip": 7, "max_shape_size": 9}
    document = changed(KINETIX, ("env_params", KINETIX["env_params"] | params), ("version", "1.0.0"))
    document["static_env_params"] = document["static_env_params"] | static
    np.testing.assert_array_equal(load_level(document).position, load_level(KINETIX).position)


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (("version", 2), "version", "version 2 is not known: use version 1, or a newer kinetix-ued"),
        (("format", "a level"), "format", "unknown format: write 'kinetix-ued level'"),
        (("shapes", DELETE), "shapes", "missing"),
        (("shapes", 3), "shapes", "an array expected"),
        (("shapes", 0, "kind", "blob"), "shapes[0].kind", "one of 'rectangle', 'polygon', 'circle' expected"),
        (("shapes", 0, "kind", DELETE), "shapes[0].kind", "missing"),
        (("shapes", 0, "width", DELETE), "shapes[0].width", "missing"),
        (("shapes", 0, "width", 0), "shapes[0].width", "not positive"),
        (("shapes", 0, "width", 1e30), "shapes[0]", "to have a mass"),
        (("shapes", 0, "radius", 1), "shapes[0]", "unknown field 'radius'"),
        (("shapes", 0, "role", "purple"), "shapes[0].role", "one of 'none', 'green', 'blue', 'red' expected"),
        (("shapes", 0, "position", [1, float("nan")]), "shapes[0].position[1]", "NaN"),
        (("shapes", 0, "slot", 3), "shapes[0]", "polygon slot 3 does not exist: use 4 to"),
        (("shapes", 2, "slot", 4), "shapes[2]", "polygon slot 4 is taken"),
        (("shapes", 2, "slot", 6), "size", "size 'm' holds 6 polygons, this level has 7: use 'l'"),
        (("shapes", 2, "vertices", [[0, 0], [1, 0]]), "shapes[2].vertices", "a polygon has 3 to 4"),
        (("shapes", 2, "vertices", COUNTER_CLOCKWISE), "shapes[2].vertices", "counter-clockwise"),
        (("shapes", 2, "friction", -1), "shapes[2].friction", "negative"),
        (("shapes", 1, "inverse_mass", -1), "shapes[1].inverse_mass", "negative"),
        (("shapes", 1, {"fixed": True, "inverse_mass": 1}), "shapes[1].inverse_mass", "but the shape is fixed"),
        (("size", "xs"), "size", "one of 's', 'm', 'l' expected"),
        (("size", {"polygons": 4, "circles": 1, "joints": 1, "thrusters": 1}), "size", "at least 5 polygons"),
        (("size", {"polygons": 10**6, "circles": 1, "joints": 1, "thrusters": 1}), "size.polygons", "more than"),
        (("joints", 0, "a", 3), "joints[0].a", "there is no body '3': use a place in shapes, 0 to 2, or one of floor,"),
        (("joints", 0, "b", 0), "joints[0].b", "joined to itself"),
        (("joints", 0, "motor", {"binding": 4}), "joints[0].motor.binding", "use 0 to 3"),
        (("joints", 0, "limits", {"min": 1}), "joints[0].limits.max", "missing"),
        (("thrusters", 0, "body", "roof"), "thrusters[0].body", "there is no body 'roof'"),
        (("thrusters", 0, "power", DELETE), "thrusters[0].power", "missing"),
        (("room", {"door": {}}), "room", "unknown field 'door'"),
        (("room", {"floor": {"inverse_mass": 1}}), "room.floor.inverse_mass", "the room does not move"),
        (("unused", {"polygon": {"x": {}}}), "unused.polygon.x", "not the number of a slot"),
        (("unused", {"polygon": {"4": {"position": [1, 1]}}}), "unused.polygon.4", "unknown field 'position'"),
        (("unused", {"circle": {"1": {"role": 7}}}), "unused.circle.1.role", "use 0 to 3"),
        (("contacts", [{"between": ["polygon 1", "polygon 0"]}]), "contacts[0]", "no such contact"),
        (("tags", "easy"), "tags", "an array expected"),
        (("gravity", [0]), "gravity", "2 elements expected, found 1"),
    ],
)
def test_bad_native_levels(change, field, problem):
    if isinstance(change[-1], dict) and change[:-1] == ("shapes", 1):
        document = changed(NATIVE, *(("shapes", 1, *item) for item in change[-1].items()))
    else:
        document = changed(NATIVE, change)
    with pytest.raises(LevelError) as caught:
        load_level(document)
    assert caught.value.field == field
    assert problem in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not UTF-8 text"),
        (b'{"format": "\xe4"}', "not UTF-8 text"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"[1, 2]", "an object expected"),
        (b"null", "an object expected"),
        (b"NaN", "an object expected"),
        (b'{"a": 1}', "not a level of a known format"),
        (b'{"format": "kinetix-ued level", "format": "b"}', "'format': the field is there twice"),
        (b'{"format": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"format": "kinetix-ued level", "version": 1, "shapes": [], "title": "\\ud800"}', "half a character"),
    ],
)
def test_bad_files(tmp_path, content, problem):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(LevelError) as caught:
        load_level(path)
    assert problem in str(caught.value)
    assert caught.value.file == str(path) and caught.value.remedy


def test_files_that_are_none(tmp_path):
    huge, pipe = tmp_path / "huge.json", tmp_path / "pipe"
    huge.touch()
    os.truncate(huge, 100_000_000)
    os.mkfifo(pipe)
    cases = {
        tmp_path / "missing.json": "no such file",
        tmp_path: "a folder, not a file",
        huge: "larger than 20 MB",
        pipe: "not a regular file",
        "a\0b": "not a path|cannot be read|no such file",
    }
    for path, problem in cases.items():
        with pytest.raises(LevelError, match=problem):
            load_level(path)
    with pytest.raises(TypeError, match="a path or a mapping expected, not int"):
        load_level(3)


def test_levels_with_wrong_arrays():
    level = empty_level("s")
    check_level(level)
    cases = {
        "rotation": (np.zeros(8, np.float32), r"rotation: float32\[8\] found, float32\[7\] expected"),
        "role": (np.zeros(7, np.float32), r"role: float32\[7\] found, int32\[7\] expected"),
        "gravity": (np.array([0, np.inf], np.float32), "gravity: not a finite number"),
        "joint_active": (np.array([True]), r"joint\[0\].b_index: body 0 is joined to itself"),
        "joint_a": (np.array([7], np.int32), r"joint\[0\].a_index: 7 does not exist: use 0 to 6"),
        "contact_normal_impulse": (np.full(level.size.contacts, np.nan, np.float32), "contact_normal_impulse: not a"),
    }
    for name, (value, problem) in cases.items():
        with pytest.raises(LevelError, match=f"^here: {problem}"):
            check_level(dataclasses.replace(level, **{name: value}), "here")


def test_joints_and_thrusters_need_active_bodies():
    level = dataclasses.replace(empty_level(Size(5, 1, 1, 1)), joint_b=np.array([4], np.int32))
    with pytest.raises(LevelError, match=r"joint\[0\].b_index: body 4 is not active"):
        check_level(dataclasses.replace(level, joint_active=np.array([True])))
    thruster = {"thruster_active": np.array([True]), "thruster_body": np.array([5], np.int32)}
    with pytest.raises(LevelError, match=r"thruster\[0\].object_index: body 5 is not active"):
        check_level(dataclasses.replace(level, **thruster))


JUNK = (None, True, -1, 0, 3, 7, 10**12, 10**400, 1.5, float("nan"), float("inf"), 1e300, "", "a", "circle", [], {})
JUNK += ([[]], {"0": 1}, [1, 2], {"a": 1}, {"0": 0.0, "1": 0.0}, "floor", "\ud800", COUNTER_CLOCKWISE)


def paths(value, prefix=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in items:
        yield (*prefix, key)
        yield from paths(element, (*prefix, key))


@pytest.mark.parametrize("seed", range(2))
def test_random_damage_gives_a_level_or_a_level_error(seed):
    rng = random.Random(seed)
    level = load_level(DATA / "s" / "random_s_003.json")
    level = dataclasses.replace(level, contact_active=~np.asarray(level.contact_active))
    good = [(d, list(paths(d))) for d in (NATIVE, level_to_native(level), level_to_kinetix(level), KINETIX)]
    outcomes = {"level": 0, "error": 0}
    for _ in range(300):
        document, places = rng.choice(good)
        change = (*rng.choice(places), rng.choice((*JUNK, DELETE)))
        try:
            check_level(load_level(changed(document, change)))
            outcomes["level"] += 1
        except LevelError as error:
            assert error.problem and error.remedy
            outcomes["error"] += 1
    assert outcomes["error"] > 100 and outcomes["level"] > 0
