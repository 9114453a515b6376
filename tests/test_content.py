"""Levels as data: the content hash, duplicates, and the summary of what levels hold."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from kinetix_ued.environment.actions import driven_channels
from kinetix_ued.generators import permute_slots
from kinetix_ued.levels import (
    SUMMARY,
    content_hash,
    duplicates,
    format_summary,
    hash_text,
    level_from_kinetix,
    level_from_native,
    level_to_kinetix,
    level_to_native,
    load_level,
    load_levels,
    resize_level,
    summary,
)
from kinetix_ued.levels.resize import BODY_FIELDS, CONTACT_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS
from kinetix_ued.world import Level, Size, empty_level

DATA = Path(__file__).parent / "data" / "random"
FIELDS = [name for name in Level.__dataclass_fields__ if name != "size"]
UNSEEN = ("highlighted", "joint_impulse", "joint_angular_impulse", *CONTACT_FIELDS)


def stacked(levels: list[Level]) -> Level:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *levels)


def changed(level: Level, name: str, place: tuple) -> Level:
    """The level with one number one step away: the next float, the next integer, the other truth."""
    values = np.array(getattr(level, name))
    old = values[place]
    new = np.nextafter(old, np.float32(np.inf)) if values.dtype == np.float32 else not old
    values[place] = (old + 1) % 3 if values.dtype == np.int32 else new
    assert values[place] != old
    return dataclasses.replace(level, **{name: values})


@pytest.fixture(scope="module")
def level() -> Level:
    """A level of size m with a polygon, a triangle, two circles, a motor with limits, a fixed joint and a thruster."""
    level = jax.device_get(load_level(DATA / "m" / "random_m_003.json"))
    arrays = {name: np.array(getattr(level, name)) for name in FIELDS}
    rng = np.random.default_rng(0)
    for name in ("position", "rotation", "velocity", "angular_velocity", "inverse_mass", "inverse_inertia", "friction"):
        arrays[name] = rng.uniform(0.1, 1, arrays[name].shape).astype(np.float32)
    arrays["active"][:] = np.arange(9) < 8
    arrays["vertices"][:] = rng.uniform(0.1, 1, (9, 4, 2))
    arrays["n_vertices"][:] = [4, 4, 4, 4, 4, 3, 0, 0, 0]
    arrays["radius"][:] = 0.3
    arrays["joint_active"][:] = True
    arrays["joint_a"][:], arrays["joint_b"][:] = [4, 5], [6, 4]
    arrays["joint_fixed"][:] = [False, True]
    arrays["joint_limited"][:], arrays["motor_on"][:] = True, True
    arrays["thruster_active"][:] = [True, False]
    arrays["thruster_body"][:] = 5
    return dataclasses.replace(level, **arrays)


@pytest.fixture(scope="module")
def recorded() -> Level:
    return jax.device_get(load_levels(DATA)[1])


def meaningless(name: str, place: tuple) -> bool:
    """Whether nobody can see that entry of the level above."""
    slot = place[0]
    motor = name in ("motor_on", "motor_speed", "motor_power", "motor_binding", "motor_auto")
    return (
        name in UNSEEN
        or (name in BODY_FIELDS and name != "active" and slot == 8)
        or (name in ("vertices", "n_vertices") and slot > 5)
        or (name == "vertices" and slot == 5 and place[1] == 3)
        or (name == "radius" and slot < 6)
        or ((motor or name in ("joint_limited", "joint_min", "joint_max")) and slot == 1)
        or (name in THRUSTER_FIELDS and name != "thruster_active" and slot == 1)
    )


def test_every_number_that_can_be_seen_counts(level):
    places = [(name, place) for name in FIELDS for place in np.ndindex(np.shape(getattr(level, name)))]
    assert set(FIELDS) == {*BODY_FIELDS, *JOINT_FIELDS, *THRUSTER_FIELDS, *CONTACT_FIELDS, "gravity"}
    levels = stacked([level, *(changed(level, name, place) for name, place in places)])
    hashes = [tuple(pair) for pair in np.asarray(jax.jit(content_hash)(levels)).tolist()]
    differs = {place: found != hashes[0] for place, found in zip(places, hashes[1:])}
    wrong = [place for place in places if differs[place] == meaningless(*place)]
    assert not wrong
    assert len(set(hashes)) == 1 + sum(differs.values())


def test_what_motors_and_limits_are_without():
    """Limits of a joint without them and an automatic motor that is off cannot be seen; the motor's other numbers can."""
    level = jax.device_get(load_level(DATA / "m" / "random_m_003.json"))
    joint = {"joint_active": True, "joint_b": 4, "joint_fixed": False, "joint_limited": False, "motor_on": False}
    level = dataclasses.replace(
        level, **{name: np.full_like(getattr(level, name), value) for name, value in joint.items()}
    )
    seen = {name: hash_text(changed(level, name, (0,))) != hash_text(level) for name in JOINT_FIELDS if name in (
        "joint_min", "joint_max", "motor_auto", "motor_speed", "motor_power", "motor_binding", "joint_rotation",
    )}  # fmt: skip
    assert [name for name, counts in seen.items() if not counts] == ["joint_min", "joint_max", "motor_auto"]


def test_the_order_of_slots_does_not_count(recorded):
    keys = jax.random.split(jax.random.key(0), 12)
    permuted = jax.jit(jax.vmap(permute_slots))(keys, recorded)
    assert (np.asarray(permuted.joint_b) != recorded.joint_b).any(axis=1).sum() > 6
    hashes = np.asarray(content_hash(permuted))
    np.testing.assert_array_equal(hashes, content_hash(recorded))
    assert hashes.shape == (12, 2) and hashes.dtype == np.uint32


def test_padding_warm_start_and_signs_of_zero_do_not_count(level):
    assert hash_text(resize_level(level, "l")) == hash_text(level)
    assert hash_text(resize_level(level, Size(20, 3, 2, 5))) == hash_text(level)
    warm = {name: np.ones_like(getattr(level, name)) for name in UNSEEN}
    assert hash_text(dataclasses.replace(level, **warm)) == hash_text(level)
    zeros = [dataclasses.replace(level, velocity=np.full_like(level.velocity, zero)) for zero in (0.0, -0.0)]
    assert hash_text(zeros[0]) == hash_text(zeros[1]) != hash_text(level)


def test_files_keep_the_hash():
    for path in sorted(DATA.glob("*/*.json"))[::3]:
        level = load_level(path)
        for again in (level_from_native(level_to_native(level)), level_from_kinetix(level_to_kinetix(level))):
            assert hash_text(again) == hash_text(level)


def test_numpy_and_jax_and_every_machine_agree(recorded):
    """These digits are in reports and file names: they must never change."""
    assert hash_text(empty_level("s")) == "47da9812d60fe72d"
    assert hash_text(load_level(DATA / "l" / "random_l_000.json")) == "040ef4a3b9e7cc50"
    halves = np.asarray(content_hash(recorded)).tolist()
    assert [hash_text(recorded[i]) for i in range(12)] == [f"{high:08x}{low:08x}" for high, low in halves]


def test_equal_bodies_are_told_apart_by_what_is_attached():
    """Six equal bodies in one place: a chain, a star and a ring of joints are three levels, however their slots lie."""
    level = jax.device_get(empty_level("l"))
    bodies = np.arange(4, 10)
    arrays = {name: np.array(getattr(level, name)) for name in FIELDS}
    arrays["active"][bodies] = True
    arrays["vertices"][bodies] = np.float32([[0.1, 0.1], [0.1, -0.1], [-0.1, -0.1], [-0.1, 0.1]])

    def joined(pairs, order=range(6)):
        joints = {name: arrays[name].copy() for name in ("joint_active", "joint_a", "joint_b")}
        for slot, (a, b) in enumerate(pairs):
            joints["joint_active"][slot] = True
            joints["joint_a"][slot], joints["joint_b"][slot] = bodies[order[a]], bodies[order[b]]
        return hash_text(dataclasses.replace(level, **(arrays | joints)))

    chain, star = [(k, k + 1) for k in range(5)], [(0, k) for k in range(1, 6)]
    ring, back = [*chain, (5, 0)], [*chain[:4], (5, 4)]
    shapes = [joined(pairs) for pairs in (chain, star, ring, back)]
    assert len(set(shapes)) == 4
    order = [3, 5, 0, 1, 4, 2]
    assert [joined(pairs[::-1], order) for pairs in (chain, star, ring, back)] == shapes


def test_duplicates_are_equal_to_an_earlier_level(recorded):
    picks = np.random.default_rng(0).integers(0, 12, 40)
    repeated = jax.tree.map(lambda x: x[picks], recorded)
    expected = [pick in picks[:i] for i, pick in enumerate(picks)]
    assert np.asarray(duplicates(repeated)).tolist() == expected and 20 < sum(expected) < 40
    with pytest.raises(ValueError, match="a batch of levels"):
        duplicates(recorded[0])
    with pytest.raises(ValueError, match="one level"):
        hash_text(recorded)


def test_levels_that_hardly_differ_have_hashes_that_do(level):
    count = 4096
    many = jax.tree.map(lambda x: np.repeat(np.asarray(x)[None], count, axis=0), level)
    steps = np.arange(count, dtype=np.uint32)
    many.position.view(np.uint32)[:, 4, 0] += steps % 64  # by so many of the smallest steps that floats can make
    many.thruster_power.view(np.uint32)[:, 0] += steps // 64
    hashes = np.asarray(content_hash(many))
    assert len(np.unique(hashes, axis=0)) == count
    for half in range(2):  # 0.002 collisions expected in 4096 numbers of 32 bits
        assert len(np.unique(hashes[:, half])) >= count - 1
    assert abs(np.unpackbits(hashes.view(np.uint8)).mean() - 0.5) < 0.005


def test_summary_counts_what_a_level_holds(level):
    found = {name: np.asarray(x).item() for name, x in summary(level).items()}
    assert set(found) == set(SUMMARY)
    free = 1 / level.inverse_mass[4:8].astype(np.float64)
    assert found.pop("mass") == pytest.approx(free.sum(), rel=1e-5)
    assert found == {
        "shapes": 4,
        "quads": 1,
        "triangles": 1,
        "circles": 2,
        "fixed_shapes": 0,
        "red_shapes": int((level.role[4:8] == 3).sum()),
        "coloured_floor": int(level.role[0] != 0),
        "groups": 2,
        "joints": 2,
        "fixed_joints": 1,
        "limited_joints": 1,
        "motors": 1,
        "thrusters": 1,
        "channels": 2,
    }


def test_summary_of_a_batch(recorded):
    found = {name: np.asarray(x) for name, x in summary(recorded).items()}
    assert all(column.shape == (12,) for column in found.values())
    kinds = found["quads"] + found["triangles"] + found["circles"]
    np.testing.assert_array_equal(kinds, found["shapes"])
    channels = jax.jit(jax.vmap(driven_channels))(recorded).sum(axis=1)
    np.testing.assert_array_equal(found["channels"], channels)
    for i in range(12):
        group = {body: {body} for body in np.flatnonzero(recorded.active[i]).tolist() if body > 3}
        for joint in np.flatnonzero(recorded.joint_active[i]):
            a, b = int(recorded.joint_a[i, joint]), int(recorded.joint_b[i, joint])
            if min(a, b) > 3:
                union = group[a] | group[b]
                group |= dict.fromkeys(union, union)
        assert found["groups"][i] == len({frozenset(members) for members in group.values()})


def test_summary_in_words():
    names, levels = load_levels(DATA / "s")
    twice = jax.tree.map(lambda x: np.concatenate([x, x[:1]]), jax.device_get(levels))
    lines = format_summary([*names, "again"], twice).splitlines()
    assert lines[-1] == "5 levels, 1 of them equal to an earlier one"
    (row,) = [line for line in lines if line.startswith("again")]
    assert row.endswith(hash_text(twice[0]) + "=")
    assert [line.split()[0] for line in lines[-4:-1]] == ["mean", "least", "most"]
    many = jax.tree.map(lambda x: np.resize(x, (50, *x.shape[1:])), twice)
    assert len(format_summary(["x"] * 50, many).splitlines()) < 8
    with pytest.raises(ValueError, match="a name for each"):
        format_summary(names, twice)
