"""Level files of others: fields that nothing reads may be missing; both forms that Kinetix.js writes load."""

import copy
import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from kinetix_ued.levels import LevelError, hash_text, level_to_kinetix, level_to_native, load_level, save_level
from kinetix_ued.levels.kinetix_fields import MANIFOLDS, PHYSICS, STATIC_PHYSICS
from kinetix_ued.world import Level

DATA = Path(__file__).parent / "data"
JS = DATA / "kinetix_js"
RANDOM = DATA / "random"
REQUIRED_THOUGH_UNSEEN = {"active"}
"""Fields that say whether the others count."""


def with_everything() -> Level:
    """A level with used and unused slots of every kind, a fixed, a limited and a free joint, and saved impulses."""
    level = jax.tree.map(np.array, load_level(RANDOM / "l" / "random_l_003.json"))
    assert level.joint_active.sum() >= 3 and not level.joint_active.all() and not level.active.all()
    level.thruster_active[1] = False
    used = np.flatnonzero(level.joint_active)
    level.joint_fixed[used[0]], level.joint_fixed[used[1:]] = True, False
    level.joint_limited[used[1]], level.joint_limited[used[2]] = True, False
    level.joint_min[used], level.joint_max[used] = -1.0, 1.0
    return level


def matters(document: dict, place: tuple) -> bool:
    """Whether another value of the field makes another level to physics, rules or an agent, by its content hash."""
    *path, field = place
    other = copy.deepcopy(document)
    entry = at(other, path)
    value = entry[field]
    if isinstance(value, bool):
        tried = [not value]
    elif isinstance(value, int):
        tried = [(value + 1) % 2, abs(value - 1)]  # in range, which is checked everywhere
    else:
        tried = [scaled(value, 1.0 + 2**-10), scaled(value, 1.0, 2**-10)]
    for new in tried:
        entry[field] = new
        try:
            if hash_text(load_level(other)) != hash_text(load_level(document)):
                return True
        except LevelError:
            return True
    return False


def scaled(value, factor: float, shift: float = 0.0):
    if isinstance(value, dict):
        return {key: scaled(element, factor, shift) for key, element in value.items()}
    if isinstance(value, list):
        return [scaled(element, factor, shift) for element in value]
    return value * factor + shift


def at(document, path):
    for key in path:
        document = document[key]
    return document


@pytest.mark.parametrize("kind", ["polygon", "circle", "joint", "thruster"])
def test_a_field_may_be_missing_or_null_exactly_where_nothing_reads_it(kind):
    """The oracle is the content hash, which leaves out what nobody can see."""
    document = level_to_kinetix(with_everything())
    expected = hash_text(load_level(document))
    optional, required = set(), set()
    for slot, entry in enumerate(document["env_state"][kind]):
        for field in entry:
            place = ("env_state", kind, slot, field)
            read = field in REQUIRED_THOUGH_UNSEEN or (entry["active"] and matters(document, place))
            for damage in ("missing", "null"):
                changed = copy.deepcopy(document)
                if damage == "null":
                    changed["env_state"][kind][slot][field] = None
                else:
                    del changed["env_state"][kind][slot][field]
                if read:
                    with pytest.raises(LevelError, match=rf"{kind}\[{slot}\].{field}: "):
                        load_level(changed)
                else:
                    assert hash_text(load_level(changed)) == expected, place
            (required if read else optional).add(field)
    assert {"active"} <= required and optional - {"active"}
    assert {"polygon": {"highlighted", "radius"}, "circle": {"highlighted", "n_vertices", "vertices"},
            "joint": {"global_position", "acc_impulse", "acc_r_impulse", "min_rotation", "motor_speed"},
            "thruster": {"global_position"}}[kind] <= optional  # fmt: skip
    assert {"polygon": {"role", "density", "vertices"}, "circle": {"radius", "role"}, "joint": {"a_index"},
            "thruster": {"power", "object_index"}}[kind] <= required  # fmt: skip


def test_what_follows_from_the_rest_may_be_missing():
    level = load_level(RANDOM / "m" / "random_m_000.json")
    document = level_to_kinetix(level)
    for key in ("collision_matrix", *MANIFOLDS):
        del document["env_state"][key]
    for key in ("num_polygons", "num_circles", "num_joints", "num_thrusters", "max_polygon_vertices"):
        del document["static_env_params"][key]
    del document["env_params"]["num_shape_roles"]
    again = load_level(document)
    assert hash_text(again) == hash_text(level) and not np.asarray(again.contact_active).any()
    document = level_to_kinetix(level)
    document["env_state"]["acc_rr_manifolds"][3] = {"active": True}
    assert np.asarray(load_level(document).contact_active).sum() == np.asarray(level.contact_active).sum() + 1


@pytest.mark.parametrize("key", [*PHYSICS, *STATIC_PHYSICS])
def test_a_number_of_the_physics_is_never_missing_or_other(key):
    section = "env_params" if key in PHYSICS else "static_env_params"
    document = level_to_kinetix(load_level(RANDOM / "s" / "random_s_003.json"))
    document[section][key] = 12345
    with pytest.raises(LevelError, match=key):
        load_level(document)
    del document[section][key]
    with pytest.raises(LevelError, match=f"{section}.{key}: the field is missing"):
        load_level(document)


def test_both_forms_of_kinetix_js_are_the_same_level():
    for size in "sm":
        download, gallery = (load_level(JS / f"kjs_empty_{size}{form}.json") for form in ("", "_cloud"))
        assert download.size.name == gallery.size.name == size
        for field in dataclasses.fields(Level):
            np.testing.assert_array_equal(getattr(download, field.name), getattr(gallery, field.name))
        assert np.asarray(download.active).sum() == 4
    assert load_level(JS / "kjs_empty_l_cloud.json").size.name == "l"


def test_levels_of_any_size_load_in_the_gallerys_form():
    """It names size s for ``env_params`` whatever the level, and spells out what is no standard size."""
    for size in "sml":
        level = load_level(sorted((RANDOM / size).glob("*.json"))[0])
        document = level_to_kinetix(level)
        full = copy.deepcopy(document)
        document["env_params"] = {"type": "size", "size": "s", "params": None}
        document["static_env_params"] = {"type": "size", "size": size, "params": None}
        for section in ("env_params", "static_env_params"):
            full[section] = {"type": "full", "size": None, "params": full[section]}
        for form in (document, full, document | {"static_env_params": full["static_env_params"]}):
            assert hash_text(load_level(json.loads(json.dumps(form)))) == hash_text(level)
    full["env_params"]["params"]["dt"] = 0.5
    with pytest.raises(LevelError, match="env_params.params.dt: 0.5, but the physics here has"):
        load_level(full)


def test_bodies_without_highlighted_load_in_both_directions(tmp_path):
    level = load_level(JS / "no_highlighted.json")
    assert not np.asarray(level.highlighted).any() and np.asarray(level.active).sum() > 4
    for form in ("native", "kinetix"):
        save_level(level, tmp_path / f"{form}.json", format=form)
        assert hash_text(load_level(tmp_path / f"{form}.json")) == hash_text(level)


def test_limits_that_are_off_need_no_angles_in_the_native_format():
    document = level_to_native(with_everything())
    joints = document["joints"]
    expected = hash_text(load_level(document))
    fixed = next(joint for joint in joints if joint["kind"] == "fixed")
    limited = next(joint for joint in joints if joint["kind"] == "revolute" and joint["limits"].get("on", True))
    free = next(joint for joint in joints if joint["kind"] == "revolute" and not joint["limits"].get("on", True))
    for joint in (fixed, free):
        kept = joint["limits"]
        joint["limits"] = {key: value for key, value in kept.items() if key == "on"}
        assert hash_text(load_level(document)) == expected
        joint["limits"] = kept
    del limited["limits"]["min"]
    with pytest.raises(LevelError, match="limits.min: the field is missing"):
        load_level(document)
