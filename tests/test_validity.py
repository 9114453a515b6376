"""The checker: every rule broken on purpose, alone, for one level and for a batch."""

import dataclasses
import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest

from kinetix_ued.benchmarks.validity import format_validity, measure_validity
from kinetix_ued.levels import (
    FAULTS,
    STRICT,
    LevelError,
    check_level,
    faults,
    faults_of,
    load_level,
    load_levels,
    valid,
)
from kinetix_ued.levels.predicates import implied
from kinetix_ued.levels.validity import RULES
from kinetix_ued.world import Level, empty_level

DATA = Path(__file__).parent / "data" / "random"
SQUARE = np.array([[0.1, 0.1], [0.1, -0.1], [-0.1, -0.1], [-0.1, 0.1]], np.float32)
POLYGON, CIRCLE, OTHER = 5, 7, 4


def with_slot(level: Level, **changes) -> Level:
    """The level with ``field=(slot, value)``; None as slot for the whole field."""
    arrays = {}
    for name, (slot, value) in changes.items():
        arrays[name] = np.array(getattr(level, name))
        arrays[name][... if slot is None else slot] = value
    return dataclasses.replace(level, **arrays)


@pytest.fixture(scope="module")
def good() -> Level:
    """A valid level of size m: polygons 4 and 5, circle 7; a joint between 4 and 7, a thruster on 5."""
    level = empty_level("m")
    for slot, role, position in ((OTHER, 1, (1, 1)), (POLYGON, 0, (2, 2))):
        level = with_slot(
            level,
            active=(slot, True),
            vertices=(slot, SQUARE),
            position=(slot, position),
            role=(slot, role),
            density=(slot, 2),
            inverse_mass=(slot, 1 / 0.08),
            inverse_inertia=(slot, 1 / (0.08 * 0.04 / 6)),
        )
    area = math.pi * 0.2**2
    level = with_slot(
        level,
        active=(CIRCLE, True),
        radius=(CIRCLE, 0.2),
        position=(CIRCLE, (1, 1.1)),
        role=(CIRCLE, 2),
        inverse_mass=(CIRCLE, 1 / area),
        inverse_inertia=(CIRCLE, 1 / (area * 0.2**2 / 4)),
    )
    joint = {"joint_active": (0, True), "joint_a": (0, OTHER), "joint_b": (0, CIRCLE), "joint_anchor_a": (0, (0, 0.1))}
    limits = {"joint_limited": (0, True), "joint_min": (0, -1), "joint_max": (0, 1)}
    return with_slot(level, **joint, **limits, thruster_active=(0, True), thruster_body=(0, POLYGON))


LINE = [[-0.15, 0], [-0.05, 0], [0.05, 0], [0.15, 0]]
DENT = [[0.3, 0.3], [0, -0.1], [-0.3, 0.3], [0, -0.5]][::-1]
BROKEN = {  # of the good level: changes, the fault, the field in a message
    "nan": ({"position": (POLYGON, math.nan)}, "finite", "polygon[5].position"),
    "infinite, unused": ({"velocity": (8, math.inf)}, "finite", "circle[2].velocity"),
    "infinite gravity": ({"gravity": (0, -math.inf)}, "finite", "gravity"),
    "nan impulse": ({"contact_normal_impulse": (3, math.nan)}, "finite", "contact_normal_impulse"),
    "nan vertex": ({"vertices": (POLYGON, math.nan)}, "finite", "polygon[5].vertices"),
    "nan anchor": ({"joint_anchor_a": (0, math.nan)}, "finite", "joint[0].a_relative_pos"),
    "nan density": ({"density": (POLYGON, math.nan)}, "finite", "polygon[5].density"),
    "role": ({"role": (POLYGON, 4)}, "range", "polygon[5].role"),
    "role, unused": ({"role": (8, -1)}, "range", "circle[2].role"),
    "mode": ({"collision_mode": (CIRCLE, 3)}, "range", "circle[1].collision_mode"),
    "five corners": ({"n_vertices": (POLYGON, 5)}, "range", "polygon[5].n_vertices"),
    "body": ({"joint_a": (0, 9)}, "range", "joint[0].a_index"),
    "body, unused": ({"joint_b": (1, -1)}, "range", "joint[1].b_index"),
    "channel": ({"motor_binding": (0, 4)}, "range", "joint[0].motor_binding"),
    "thruster's body": ({"thruster_body": (0, 9)}, "range", "thruster[0].object_index"),
    "thruster's channel": ({"thruster_binding": (0, 2)}, "range", "thruster[0].thruster_binding"),
    "no ceiling": ({"active": (3, False)}, "room", "polygon[3].active"),
    "free wall": ({"inverse_mass": (1, 1)}, "room", "polygon[1].inverse_mass"),
    "turning floor": ({"inverse_inertia": (0, 1)}, "room", "polygon[0].inverse_inertia"),
    "negative friction": ({"friction": (CIRCLE, -0.1)}, "sign", "circle[1].friction"),
    "negative restitution": ({"restitution": (0, -1)}, "sign", "polygon[0].restitution"),
    "negative density": (
        {"density": (POLYGON, -1), "inverse_mass": (POLYGON, 0), "inverse_inertia": (POLYGON, 0)},
        "sign",
        "polygon[5].density",
    ),
    "two corners": ({"n_vertices": (2, 2)}, "corners", "polygon[2].n_vertices"),
    "corner twice": ({"vertices": (1, np.float32([[0, 5], [0, 5], [0, 0], [-5, 0]]))}, "corners", "polygon[1].vertices"),
    "line": ({"vertices": (1, np.float32(LINE))}, "corners", "polygon[1].vertices"),
    "mirrored": ({"vertices": (POLYGON, SQUARE[::-1])}, "clockwise", "polygon[5].vertices"),
    "dent": ({"vertices": (1, np.float32(DENT))}, "convex", "polygon[1].vertices"),
    "joint on nothing": ({"joint_b": (0, 8)}, "joint_bodies", "joint[0].b_index"),
    "thruster on nothing": ({"thruster_body": (0, 6)}, "thruster_body", "thruster[0].object_index"),
    "no green": ({"role": (OTHER, 0)}, "one_green", None),
    "green floor too": ({"role": (0, 1)}, "one_green", None),
    "two blue": ({"role": (POLYGON, 2)}, "one_blue", None),
    "outside": ({"position": (POLYGON, (5.01, 2))}, "inside", "polygon[5].position"),
    "below": ({"position": (POLYGON, (2, -0.001))}, "inside", "polygon[5].position"),
    "too heavy": ({"inverse_mass": (CIRCLE, 7.95)}, "mass", "circle[1].inverse_mass"),
    "half fixed": ({"inverse_mass": (POLYGON, 0)}, "mass", "polygon[5].inverse_mass"),
    "never turning": ({"inverse_inertia": (POLYGON, 0)}, "inertia", "polygon[5].inverse_inertia"),
    "off centre": ({"vertices": (POLYGON, SQUARE + np.float32(0.0002)), "inverse_inertia": (POLYGON, 1875 / 1.000012)}, "centred", "polygon[5].vertices"),
    "torn": ({"joint_anchor_b": (0, (0.002, 0))}, "anchors", "joint[0].b_relative_pos"),
    "limits": ({"joint_max": (0, -1.5)}, "limits", "joint[0].min_rotation"),
}  # fmt: skip


@pytest.fixture(scope="module")
def batch(good) -> Level:
    levels = [with_slot(good, **changes) for changes, _, _ in BROKEN.values()]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *levels)


def test_the_good_level_is_valid(good):
    assert faults_of(good) == []
    check_level(good, strict=True)
    assert valid(good).shape == () and bool(valid(good))


def test_each_fault_is_found_alone(batch):
    found = jax.device_get(faults(batch))
    assert list(found) == sorted(FAULTS) and all(mask.shape == (len(BROKEN),) for mask in found.values())
    named = [{name for name in FAULTS if found[name][i]} for i in range(len(BROKEN))]
    assert dict(zip(BROKEN, named)) == {case: {fault} for case, (_, fault, _) in BROKEN.items()}
    assert not np.asarray(valid(batch)).any()
    missing = set(FAULTS) - {fault for _, fault, _ in BROKEN.values()}
    assert not missing


@pytest.mark.parametrize("case", BROKEN)
def test_one_level_agrees_and_says_where(good, case):
    changes, fault, field = BROKEN[case]
    level = with_slot(good, **changes)
    lines = faults_of(level)
    assert lines and all(line.startswith(f"{field}: ") for line in lines if field), lines
    with pytest.raises(LevelError) as caught:
        check_level(level, "here", strict=True)
    assert (caught.value.file, caught.value.field) == ("here", field) and caught.value.remedy
    assert str(caught.value) == f"here: {lines[0]}"
    if fault in STRICT:
        check_level(level)
    else:
        with pytest.raises(LevelError):
            check_level(level)


def test_messages_name_the_numbers(good):
    def line(**changes):
        return faults_of(with_slot(good, **changes))[0]

    assert line(role=(POLYGON, 1)) == "2 green bodies: make one green"
    assert "0 to 8" in line(joint_a=(0, 9)) and "0 to 3" in line(motor_binding=(0, 4))
    assert "are 0.5 m apart" in line(joint_anchor_b=(0, (0.5, 0)))
    assert "6, but shape and density give 12.5: use that, or 0" in line(inverse_mass=(POLYGON, 6))
    assert "but shape and density give inf" in line(density=(POLYGON, 0))
    assert len(faults_of(with_slot(good, role=(None, 1), position=(POLYGON, 9)))) == 3


@pytest.fixture(scope="module")
def recorded() -> Level:
    return jax.device_get(load_levels(DATA)[1])


@pytest.mark.parametrize("seed", range(8))
def test_numpy_and_jax_break_alike(recorded, seed):
    """Damage at random: each rule says the same of levels in NumPy as in JAX, and of the faults' names."""
    rng = np.random.default_rng(seed)
    damaged = {}
    for name in Level.__dataclass_fields__:
        if name == "size":
            continue
        values = np.array(getattr(recorded, name))
        hit = rng.random(values.shape) < 0.02
        if values.dtype == bool:
            values ^= hit
        elif values.dtype == np.int32:
            values = np.where(hit, rng.integers(-1, 17, values.shape), values).astype(np.int32)
        else:
            values = np.where(hit, rng.normal(size=values.shape), values).astype(np.float32)
        damaged[name] = values
    levels = dataclasses.replace(recorded, **damaged)
    found = jax.device_get(faults(levels))
    assert sum(mask.any() for mask in found.values()) > 6
    wide = {name: x.astype(np.float64) if x.dtype == np.float32 else x for name, x in damaged.items()}
    for name in FAULTS:
        rules = [rule for rule in RULES if rule.fault == name]
        with np.errstate(all="ignore"):
            expected = np.any([rule.broken(wide, levels.size, np).any(axis=-1) for rule in rules], axis=0)
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_masses_are_the_same_in_both(recorded):
    arrays = {name: getattr(recorded, name) for name in ("n_vertices", "vertices", "density", "radius")}
    for which in range(2):
        in_jax = jax.jit(lambda arrays, which=which: implied(which)(arrays, recorded.size, jax.numpy))(arrays)
        np.testing.assert_allclose(implied(which)(arrays, recorded.size, np), in_jax, rtol=1e-5)


def test_recorded_levels_are_valid(recorded):
    found = jax.device_get(faults(recorded))
    assert {name: int(mask.sum()) for name, mask in found.items() if mask.any()} == {}
    for path in sorted(DATA.glob("*/*.json")):
        assert faults_of(load_level(path)) == [], path


def test_arrays_of_another_size_are_refused(good):
    with pytest.raises(ValueError, match=r"role: int32\[8\] found, int32\[9\] expected"):
        faults(dataclasses.replace(good, role=np.zeros(8, np.int32)))


def test_any_leading_axes_and_tracing(good):
    grid = jax.tree.map(lambda x: np.broadcast_to(x, (2, 3, *x.shape)), good)
    assert np.asarray(jax.jit(valid)(grid)).tolist() == [[True] * 3] * 2


def test_benchmark_counts_levels_faults_and_duplicates(batch, good):
    cases = len(BROKEN)

    def sample(key, n, size):
        return jax.tree.map(lambda x: np.resize(x, (n, *x.shape[1:])), batch)

    def repair(key, levels, n_edits):
        return jax.tree.map(lambda x: np.broadcast_to(x, (cases, *np.shape(x))), good)

    measured = measure_validity(cases + 5, ["m"], n_edits=1, batch=cases, sample=sample, edit=repair)
    generated, edited = json.loads(json.dumps(measured))["results"]
    assert [generated[key] for key in ("size", "what", "levels", "valid")] == ["m", "generated", cases + 5, 0]
    first = [fault for _, fault, _ in BROKEN.values()]
    assert generated["faults"] == {name: (first + first[:5]).count(name) for name in FAULTS}
    assert generated["duplicates"] >= 5
    assert [edited[key] for key in ("what", "valid", "duplicates")] == ["edited", cases + 5, cases + 4]
    assert not any(edited["faults"].values())
    lines = format_validity(measured).splitlines()
    assert [line.split("|")[2:4] for line in lines if "m generated" in line] == [[" m generated ", " m edited "]]
    (row,) = [line for line in lines if FAULTS["inside"] in line]
    assert [cell.strip() for cell in row.split("|")[2:4]] == ["2", "0"]


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n_edits": -1}, {"batch": 0}, {"sizes": []}, {"sizes": ["xl"]}])
def test_benchmark_refuses(wrong):
    with pytest.raises(ValueError, match="at least|no size|unknown size"):
        measure_validity(**{"n": 4, **wrong})
