"""Level files: round trips, padding, and what lands where."""

import dataclasses
import json
import pickle
from pathlib import Path

import jax
import numpy as np
import pytest

from kinetix_ued.levels import (
    LevelError,
    check_level,
    level_from_kinetix,
    level_from_native,
    level_to_kinetix,
    level_to_native,
    load_level,
    load_levels,
    load_metadata,
    resize_level,
    save_level,
    stack_levels,
    trim_level,
)
from kinetix_ued.levels.mass import circle_inverses, polygon_inverses
from kinetix_ued.levels.native import native_text
from kinetix_ued.world import SIZES, Level, Size, empty_level
from kinetix_ued.world.mass import circle_inverse_mass_inertia, polygon_inverse_mass_inertia

DATA = Path(__file__).parent / "data" / "random"
FILES = sorted(DATA.glob("*/*.json"))
FIELDS = [field.name for field in dataclasses.fields(Level) if field.name != "size"]
by_name = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def assert_same_bits(a: Level, b: Level) -> None:
    assert a.size == b.size
    for name in FIELDS:
        x, y = np.asarray(getattr(a, name)), np.asarray(getattr(b, name))
        assert (x.dtype, x.shape) == (y.dtype, y.shape), name
        assert x.tobytes() == y.tobytes(), f"{name}: {x} is not {y}"


def through_json(document: dict) -> dict:
    return json.loads(json.dumps(document, allow_nan=False))


def scrambled(level: Level, seed: int) -> Level:
    """The level with other values everywhere that the rules leave free, unused slots and warm-start data included."""
    rng = np.random.default_rng(seed)
    a = {name: np.array(getattr(level, name)) for name in FIELDS}
    fixed_kind = ("inverse_mass", "inverse_inertia", "vertices", "radius", "density", "friction", "restitution")
    for name, values in a.items():
        if values.dtype == np.float32 and name not in fixed_kind:
            values[:] = rng.normal(size=values.shape) * 10.0 ** rng.integers(-6, 4, values.shape)
            values[rng.random(values.shape) < 0.2] = -0.0
        elif name in ("joint_limited", "motor_on", "motor_auto", "joint_fixed", "highlighted", "contact_active"):
            values[:] = rng.random(values.shape) < 0.5
    spare = ~a["active"]
    a["vertices"][spare] = rng.normal(size=a["vertices"][spare].shape)
    a["n_vertices"][spare], a["role"][spare] = 2, 3
    for name in ("density", "friction", "restitution", "inverse_mass", "inverse_inertia", "radius"):
        a[name][spare] = rng.random(spare.sum())
        a[name][4:] *= rng.choice([0.5, 1, 1.1], len(spare) - 4).astype(np.float32)
    a["vertices"][: level.size.polygons, 3] += np.float32(1e-3) * (a["n_vertices"][: level.size.polygons, None] == 3)
    a["collision_mode"][:] = rng.integers(0, 3, len(spare))
    a["role"][:] = rng.integers(0, 4, len(spare))
    a["motor_binding"][:] = rng.integers(0, 4, level.size.joints)
    return Level(size=level.size, **a)


def with_triangle(level: Level) -> Level:
    """The level with its polygon 4 cut to a triangle, the fourth corner left where it was."""
    n_vertices = np.array(level.n_vertices)
    n_vertices[4] = 3
    return dataclasses.replace(level, n_vertices=n_vertices)


@by_name
def test_kinetix_files_come_back_as_they_were(file):
    original = json.loads(file.read_text())
    written = through_json(level_to_kinetix(load_level(file)))
    for kind in ("joint", "thruster"):
        for before, after in zip(original["env_state"][kind], written["env_state"][kind], strict=True):
            old, new = before.pop("global_position"), after.pop("global_position")
            if before["active"]:  # Kinetix leaves anything in unused slots
                np.testing.assert_allclose([new["0"], new["1"]], [old["0"], old["1"]], atol=1e-6)
    assert written == original


@by_name
def test_kinetix_round_trip_is_exact(file):
    level = scrambled(load_level(file), seed=1)
    check_level(level)
    assert_same_bits(level, level_from_kinetix(through_json(level_to_kinetix(level))))


@by_name
def test_native_round_trip_is_exact(file):
    level = load_level(file)
    for variant in (level, scrambled(level, seed=2), with_triangle(scrambled(level, seed=3))):
        text = native_text(level_to_native(variant))
        assert_same_bits(variant, level_from_native(json.loads(text)))


def test_native_round_trip_of_an_empty_level():
    for size in ("s", Size(polygons=7, circles=1, joints=9, thrusters=3)):
        level = empty_level(size)
        assert_same_bits(level, level_from_native(through_json(level_to_native(level))))


def test_an_s_level_takes_less_than_2_kb():
    sizes = {file: len(native_text(level_to_native(load_level(file))).encode()) for file in DATA.glob("s/*.json")}
    assert len(sizes) == 4
    assert max(sizes.values()) < 2000, sizes


def test_what_a_designer_writes():
    level = level_from_native(
        {
            "format": "kinetix-ued level",
            "version": 1,
            "title": "by hand",
            "room": {"floor": {"role": "red"}},
            "shapes": [
                {"kind": "circle", "radius": 0.25, "position": [1, 2], "role": "blue", "fixed": True},
                {"kind": "rectangle", "width": 0.5, "height": 0.25, "position": [3, 2], "role": "green", "density": 2},
                {"kind": "polygon", "vertices": [[0, 0.2], [0.1, -0.1], [-0.1, -0.1]], "position": [4, 1]},
            ],
            "joints": [
                {"kind": "revolute", "a": 1, "b": 2, "anchor_b": [0, 0.1], "motor": {"speed": 3, "auto": True}},
                {"kind": "fixed", "a": 0, "b": "left wall", "limits": {"min": -1, "max": 2}},
            ],
            "thrusters": [{"body": 1, "power": 0.5, "position": [-0.25, 0], "binding": 1}],
        }
    )
    a = {name: np.asarray(getattr(level, name)) for name in FIELDS}
    assert level.size == SIZES["m"]
    assert a["active"].tolist() == [True] * 6 + [True, False, False]
    assert a["role"][[0, 4, 5, 6]].tolist() == [3, 1, 0, 2]
    assert a["collision_mode"][:7].tolist() == [2] * 4 + [1] * 3
    assert a["vertices"][4].tolist() == [[0.25, 0.125], [0.25, -0.125], [-0.25, -0.125], [-0.25, 0.125]]
    np.testing.assert_allclose(a["inverse_mass"][[4, 5, 6]], [1 / (0.125 * 2), 1 / 0.03, 0], rtol=1e-6)
    inertia = 2 * 0.125 * (0.5**2 + 0.25**2) / 12
    np.testing.assert_allclose(a["inverse_inertia"][[4, 6]], [1 / inertia, 0], rtol=1e-6)
    assert (a["joint_a"].tolist(), a["joint_b"].tolist()) == ([4, 6], [5, 1])
    assert a["joint_fixed"].tolist() == [False, True] and a["joint_limited"].tolist() == [False, True]
    assert a["joint_min"].tolist() == [0, -1] and a["joint_max"].tolist() == [0, 2]
    assert a["motor_on"].tolist() == [True, False] and a["motor_auto"].tolist() == [True, False]
    assert a["motor_speed"].tolist() == [3, 0] and a["motor_power"].tolist() == [1, 0]
    assert a["thruster_body"].tolist() == [4, 0] and a["thruster_binding"].tolist() == [1, 0]


def test_masses_are_those_of_the_physics():
    rng = np.random.default_rng(0)
    angle = np.sort(rng.uniform(0, 2 * np.pi, (10, 4)), axis=1)[:, ::-1]
    vertices = (np.stack([np.cos(angle), np.sin(angle)], axis=-1) * rng.uniform(0.1, 1, (10, 1, 1))).astype(np.float32)
    n_vertices = np.repeat([3, 4], 5).astype(np.int32)
    ours = [polygon_inverses(v, n, 1.5) for v, n in zip(vertices, n_vertices, strict=True)]
    physics = np.stack(polygon_inverse_mass_inertia(vertices, n_vertices, np.float32(1.5)), axis=-1)
    np.testing.assert_allclose(ours, physics, rtol=1e-4)
    np.testing.assert_allclose(circle_inverses(0.3, 2.0), circle_inverse_mass_inertia(0.3, 2.0), rtol=1e-6)


def test_recorded_masses_need_not_be_written():
    """The formulas round as the reference does, so that most shapes of its levels go without explicit masses."""
    shapes = [shape for file in FILES for shape in level_to_native(load_level(file))["shapes"]]
    explicit = sum("inverse_mass" in shape for shape in shapes)
    assert explicit < 0.1 * len(shapes)


def test_arrays_may_be_lists():
    def as_lists(value):
        if isinstance(value, dict):
            if value and all(key.isdigit() for key in value):
                return [as_lists(value[str(i)]) for i in range(len(value))]
            return {key: as_lists(element) for key, element in value.items()}
        return [as_lists(element) for element in value] if isinstance(value, list) else value

    document = json.loads(FILES[0].read_text())
    assert_same_bits(level_from_kinetix(document), level_from_kinetix(as_lists(document)))


def test_gravity_and_automatic_motors_are_kept():
    level = load_level(DATA / "m" / "random_m_000.json")
    level = dataclasses.replace(level, gravity=np.array([1.5, -2], np.float32), motor_auto=np.array([False, True]))
    document = through_json(level_to_kinetix(level))
    assert_same_bits(level, level_from_kinetix(document))
    auto = document["env_state"].pop("motor_auto")
    for joint, value in zip(document["env_state"]["joint"], auto.values(), strict=True):
        joint["motor_auto"] = value
    assert_same_bits(level, level_from_kinetix(document))


def test_kinds_without_slots_get_one():
    document = json.loads((DATA / "s" / "random_s_000.json").read_text())
    state, static = document["env_state"], document["static_env_params"]
    for kind in ("circle", "joint", "thruster"):
        state[kind], static[f"num_{kind}s"] = [], 0
    state["acc_cr_manifolds"] = state["acc_cc_manifolds"] = []
    level = level_from_kinetix(document)
    assert level.size == Size(polygons=5, circles=1, joints=1, thrusters=1)
    assert not np.asarray(level.active)[5:].any() and not np.asarray(level.joint_active).any()
    state["polygon"], static["num_polygons"], state["acc_rr_manifolds"] = state["polygon"][:4], 4, []
    state["joint"], static["num_joints"] = [json.loads(FILES[0].read_text())["env_state"]["joint"][0]], 1
    state["joint"][0] |= {"active": False, "a_index": 3, "b_index": 4}
    with pytest.raises(LevelError, match=r"env_state.joint\[0\].b_index: there is no body 4: use 0 to 3"):
        level_from_kinetix(document)


def test_resizing_moves_everything_to_its_place():
    small = scrambled(load_level(DATA / "m" / "random_m_000.json"), seed=5)
    large = resize_level(small, "l")
    check_level(large)
    assert large.size == SIZES["l"]
    bodies = [*range(6), 12, 13, 14]
    empty = empty_level("l")
    for name in ("position", "vertices", "role", "inverse_mass"):
        np.testing.assert_array_equal(np.asarray(getattr(large, name))[bodies], getattr(small, name))
        rest = np.setdiff1d(np.arange(16), bodies)
        np.testing.assert_array_equal(np.asarray(getattr(large, name))[rest], np.asarray(getattr(empty, name))[rest])
    moved = lambda index: [slot if slot < 6 else slot + 6 for slot in np.asarray(index).tolist()]
    assert np.asarray(large.joint_a)[:2].tolist() == moved(small.joint_a)
    assert np.asarray(large.thruster_body).tolist() == moved(small.thruster_body)

    def contacts(level, names):
        keys, points = level.size.contact_bodies.tolist(), np.repeat([0, 1, 0, 0], [len(p) for p in level.size.pairs])
        values = zip(*(np.asarray(getattr(level, f"contact_{n}")).tolist() for n in names), strict=True)
        return {(*key, int(point)): v for key, point, v in zip(keys, points, values, strict=True)}

    names = ("active", "normal_impulse", "tangent_impulse")
    before, after = contacts(small, names), contacts(large, names)
    expected = {(*moved([a, b]), point): value for (a, b, point), value in before.items()}
    assert len(expected) == small.size.contacts
    assert after == {key: expected.get(key, (False, 0.0, 0.0)) for key in after}


def test_resizing_a_batch_and_under_jit():
    levels = [load_level(file) for file in sorted(DATA.glob("s/*.json"))[:2]]
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *levels)
    for result in (resize_level(batch, "m"), jax.jit(lambda level: resize_level(level, "m"))(batch)):
        for i, level in enumerate(levels):
            assert_same_bits(resize_level(level, "m"), result[i])


def test_trimming_undoes_resizing_and_loses_nothing():
    levels = stack_levels([scrambled(load_level(file), seed=i) for i, file in enumerate(sorted(DATA.glob("m/*.json"))[:3])])
    assert_same_bits(trim_level(resize_level(levels, "l"), "m"), levels)
    assert_same_bits(trim_level(resize_level(levels[0], "l"), "m"), levels[0])
    assert trim_level(levels, "m") is levels
    with pytest.raises(LevelError, match="active: size 's' has no place for what is in the last slots: leave it in size 'm'"):
        trim_level(levels, "s")
    with pytest.raises(LevelError, match="size 'm' holds 6 polygons, this level has 12"):
        trim_level(levels, "l")


def test_load_level_pads_and_refuses_to_shrink():
    file = DATA / "m" / "random_m_003.json"
    assert_same_bits(load_level(file, size="l"), resize_level(load_level(file), "l"))
    with pytest.raises(LevelError, match="size 's' holds 5 polygons, this level has 6: use size='m'"):
        load_level(file, size="s")
    with pytest.raises(LevelError, match=r"holds 4 circles, this level has 9: use size=kinetix_ued.Size\(polygons=5, "):
        resize_level(empty_level(Size(5, 9, 1, 1)), "l")
    with pytest.raises(ValueError, match="unknown size 'xl': use one of s, m, l"):
        load_level(file, size="xl")


def test_load_levels_reads_folders():
    names, levels = load_levels([DATA / "s", DATA / "m" / "random_m_007.json"])
    assert names == [*(f"s/random_s_{i}" for i in ("000", "003", "007", "012")), "m/random_m_007"]
    assert levels.size == SIZES["m"] and len(levels) == 5
    for name, level in zip(names, (levels[i] for i in range(5)), strict=True):
        assert_same_bits(level, load_level(DATA / f"{name}.json", size="m"))
    assert load_levels(DATA / "s")[0] == names[:4]
    assert load_levels(DATA)[1].size == SIZES["l"]
    assert load_levels(str(DATA / "s" / "random_s_000.json"), size="l")[1].size == SIZES["l"]


def test_load_levels_needs_files(tmp_path):
    with pytest.raises(LevelError, match=r"no \*.json file in this folder"):
        load_levels(tmp_path)
    with pytest.raises(LevelError, match="no level file"):
        load_levels([])


@pytest.mark.parametrize("format", ["native", "kinetix"])
def test_saving(tmp_path, format):
    level, path = load_level(FILES[0]), tmp_path / "new" / "level.json"
    save_level(level, path, format=format)
    assert_same_bits(load_level(path), level)
    other = load_level(FILES[1])
    with pytest.raises(FileExistsError, match="pass --overwrite .overwrite=True."):
        save_level(other, path, format=format)
    assert_same_bits(load_level(path), level)
    save_level(other, path, format=format, overwrite=True)
    assert_same_bits(load_level(path), other)
    assert [file.name for file in path.parent.iterdir()] == ["level.json"]


def test_a_bad_level_is_not_saved(tmp_path):
    level = load_level(FILES[0])
    broken = dataclasses.replace(level, position=np.full_like(level.position, np.nan))
    for format in ("native", "kinetix"):
        with pytest.raises(LevelError, match=r"polygon\[0\].position: not a finite number"):
            save_level(broken, tmp_path / "level.json", format=format)
    with pytest.raises(ValueError, match="unknown format 'yaml': use one of native, kinetix"):
        save_level(level, tmp_path / "level.json", format="yaml")
    with pytest.raises(ValueError, match="one level"):
        save_level(load_levels(DATA / "s")[1], tmp_path / "level.json")
    assert not list(tmp_path.iterdir())


def test_metadata_travels_with_the_native_format(tmp_path):
    metadata = {"title": "Überschlag", "description": "flip it", "tags": ["car", "easy"]}
    save_level(load_level(FILES[0]), tmp_path / "a.json", metadata=metadata)
    assert load_metadata(tmp_path / "a.json") == metadata
    assert load_metadata(FILES[0]) == {}
    with pytest.raises(LevelError, match="unknown field 'author'"):
        save_level(load_level(FILES[0]), tmp_path / "b.json", metadata={"author": "me"})
    with pytest.raises(ValueError, match="no place for metadata"):
        save_level(load_level(FILES[0]), tmp_path / "b.json", format="kinetix", metadata=metadata)


def test_level_errors_can_be_pickled():
    error = LevelError("a.json", "env_state.gravity", "the field is missing", "add it")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == "a.json: env_state.gravity: the field is missing: add it"
    assert (copy.file, copy.field, copy.remedy) == ("a.json", "env_state.gravity", "add it")
