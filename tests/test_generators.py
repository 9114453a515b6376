"""Random levels: their distribution against the recorded one, and what every level must be."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.generators import RandomLevels, permute_slots, random_level, sample_levels
from kinetix_ued.generators.candidates import Shape, point_in_polygon
from kinetix_ued.generators.draws import permutation, weighted
from kinetix_ued.generators.roles import BLUE, GREEN, RED
from kinetix_ued.generators.shapes import count_contacts
from kinetix_ued.levels import check_level, load_level
from kinetix_ued.levels.resize import BODY_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS
from kinetix_ued.world import Level, Size, empty_level
from kinetix_ued.world.constants import FLOOR_HEIGHT, ROOM_SIZE, STATIC_POLYGONS
from kinetix_ued.world.contacts import detect
from kinetix_ued.world.mass import circle_inverse_mass_inertia, polygon_inverse_mass_inertia

DATA = Path(__file__).parent / "data"
N_LEVELS = 512


@functools.cache
def levels_of(size: str) -> Level:
    """A batch that tests share, as NumPy arrays."""
    return jax.tree.map(np.asarray, sample_levels(jax.random.key(7), N_LEVELS, size))


def turned(angle: np.ndarray, points: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle)[..., None], np.sin(angle)[..., None]
    x, y = points[..., :1], points[..., 1:]
    return np.concatenate([cos * x - sin * y, sin * x + cos * y], -1)


def at_bodies(field: np.ndarray, index: np.ndarray) -> np.ndarray:
    """``field`` (n, N, ...) at body ``index`` (n, K)."""
    return field[np.arange(len(field))[:, None], index]


# The distribution


def level_statistics(levels: Level) -> dict[str, np.ndarray]:
    """The statistics of data/level_quantiles.npz, one number a level; -1 where there is nothing to average."""
    slot = np.arange(levels.size.bodies)
    shape = levels.active & (slot >= STATIC_POLYGONS)
    polygon, circle = shape & (slot < levels.size.polygons), shape & (slot >= levels.size.polygons)
    revolute = levels.joint_active & ~levels.joint_fixed

    def mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        count = mask.sum(1)
        return np.where(count > 0, np.where(mask, values, 0.0).sum(1) / np.maximum(count, 1), -1.0)

    half = np.abs(levels.vertices).max(2)
    statistics = {
        "dynamic_polygons": polygon.sum(1),
        "circles": circle.sum(1),
        "fixated": (shape & (levels.inverse_mass == 0)).sum(1),
        "joints": levels.joint_active.sum(1),
        "fixed_joints": (levels.joint_active & levels.joint_fixed).sum(1),
        "motors_on": (revolute & levels.motor_on).sum(1),
        "limited": (revolute & levels.joint_limited).sum(1),
        "thrusters": levels.thruster_active.sum(1),
        "red": (shape & (levels.role == RED)).sum(1),
        "floor_role": levels.role[:, 0],
        "mean_half_extent": mean(half.mean(-1), polygon),
        "max_half_extent": np.where(polygon.any(1), np.where(polygon, half.max(-1), 0.0).max(1), -1.0),
        "mean_radius": mean(levels.radius, circle),
        "mean_motor_speed": mean(levels.motor_speed, revolute & levels.motor_on),
        "mean_motor_power": mean(levels.motor_power, revolute & levels.motor_on),
        "mean_thruster_power": mean(levels.thruster_power, levels.thruster_active),
        "mean_rotation": mean(levels.rotation % (2 * np.pi), shape),
        "mean_x": mean(levels.position[..., 0], shape),
        "mean_y": mean(levels.position[..., 1], shape),
    }
    for name, role in (("green", GREEN), ("blue", BLUE)):
        mask = shape & (levels.role == role)
        statistics[f"{name}_is_circle"] = mean(circle.astype(float), mask)
        statistics[f"{name}_x"] = mean(levels.position[..., 0], mask)
        statistics[f"{name}_y"] = mean(levels.position[..., 1], mask)
    return statistics


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    points = np.concatenate([a, b])
    share = lambda x: np.searchsorted(np.sort(x), points, side="right") / len(x)
    return float(np.abs(share(a) - share(b)).max())


@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_statistics_are_those_of_the_reference(size):
    """201 quantiles of 2048 recorded levels; two samples of the same distribution differ by up to about 0.08 here."""
    recorded = {
        name.split("/")[1]: values
        for name, values in np.load(DATA / "level_quantiles.npz").items()
        if name.startswith(f"{size}/")
    }
    ours = level_statistics(levels_of(size))
    assert ours.keys() == recorded.keys() and len(ours) == 25
    distances = {name: kolmogorov_smirnov(ours[name].astype(np.float32), recorded[name]) for name in recorded}
    assert max(distances.values()) < 0.09, sorted(distances.items(), key=lambda item: -item[1])[:3]


# Every level


@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_levels_pass_the_checker(size):
    levels = levels_of(size)
    for i in range(48):
        check_level(levels[i])


@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_roles(size):
    """One green and one blue, at most one red, the floor included; nothing is joined that ends the game at once."""
    levels = levels_of(size)
    role = np.where(levels.active, levels.role, 0)
    assert ((role == GREEN).sum(1) == 1).all() and ((role == BLUE).sum(1) == 1).all()
    assert ((role == RED).sum(1) <= 1).all()
    assert (role[:, 1:STATIC_POLYGONS] == 0).all()
    a, b = at_bodies(role, levels.joint_a), at_bodies(role, levels.joint_b)
    ends = np.sort(np.stack([a, b], -1)[levels.joint_active])
    assert ((ends[:, 0] == 0) | (ends[:, 0] == ends[:, 1])).all()


@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_bodies(size):
    levels, empty = levels_of(size), empty_level(size)
    dynamic = np.arange(levels.size.bodies) >= STATIC_POLYGONS
    circle = np.arange(levels.size.bodies) >= levels.size.polygons
    for name in BODY_FIELDS:
        room = getattr(levels, name)[:, :STATIC_POLYGONS]
        if name != "role":
            np.testing.assert_array_equal(room, np.broadcast_to(getattr(empty, name)[:STATIC_POLYGONS], room.shape))
        unused = getattr(levels, name)[~levels.active]
        expected = np.broadcast_to(getattr(empty, name), getattr(levels, name).shape)[~levels.active]
        np.testing.assert_array_equal(unused, expected)
    shape = levels.active & dynamic
    assert shape.sum(1).min() >= 2 and (levels.collision_mode[shape] == 1).all() and (levels.density == 1).all()
    assert (levels.velocity == 0).all() and (levels.angular_velocity == 0).all()

    free = shape & (levels.inverse_mass > 0)
    polygons = polygon_inverse_mass_inertia(levels.vertices, levels.n_vertices, levels.density)
    circles = circle_inverse_mass_inertia(levels.radius, levels.density)
    for field, of_polygon, of_circle in zip(
        (levels.inverse_mass, levels.inverse_inertia), polygons, circles, strict=True
    ):
        np.testing.assert_allclose(field[free], np.where(circle, of_circle, of_polygon)[free], rtol=1e-6)
    assert ((levels.inverse_mass == 0) == (levels.inverse_inertia == 0)).all()
    if size == "s":
        assert free[shape].all()

    joined = np.zeros_like(shape)
    for end in (levels.joint_a, levels.joint_b):
        np.logical_or.at(joined, (np.arange(N_LEVELS)[:, None], end), levels.joint_active)
    corners = levels.position[:, :, None] + turned(levels.rotation[:, :, None], levels.vertices)
    reach = levels.radius[:, :, None, None]
    low, high = (corners - reach).min(2), (corners + reach).max(2)
    alone = free & ~joined  # a fixed one may have been moved down, into the floor
    assert low[alone].min() >= -1e-5 and high[alone].max() <= ROOM_SIZE + 1e-5
    assert low[alone][:, 1].min() >= FLOOR_HEIGHT - 1e-5


@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_joints(size):
    levels, empty = levels_of(size), empty_level(size)
    on = levels.joint_active
    for name in JOINT_FIELDS:
        values = getattr(levels, name)
        default = np.broadcast_to(getattr(empty, name), values.shape)
        if name not in ("joint_a", "joint_b"):  # an unused slot's indices move with the bodies
            np.testing.assert_array_equal(values[~on], default[~on])
    assert (levels.joint_a != levels.joint_b)[on].all()
    world_points = []
    for index, anchor in ((levels.joint_a, levels.joint_anchor_a), (levels.joint_b, levels.joint_anchor_b)):
        assert at_bodies(levels.active, index)[on].all()
        points = at_bodies(levels.position, index) + turned(at_bodies(levels.rotation, index), anchor)
        world_points.append(points[on])
        on_circle = on & (index >= levels.size.polygons)
        assert (anchor[on_circle] == 0).all()
    np.testing.assert_allclose(*world_points, atol=1e-5)

    fixed, revolute = on & levels.joint_fixed, on & ~levels.joint_fixed
    rotation_a, rotation_b = (at_bodies(levels.rotation, index) for index in (levels.joint_a, levels.joint_b))
    np.testing.assert_allclose(levels.joint_rotation[fixed], (rotation_b - rotation_a)[fixed], atol=1e-6)
    assert (levels.joint_rotation[revolute] == 0).all()
    assert not (levels.motor_on | levels.joint_limited)[fixed].any()
    wheel = (levels.joint_a >= levels.size.polygons) | (levels.joint_b >= levels.size.polygons)
    assert not levels.joint_limited[on & wheel].any() and (levels.motor_power[revolute & wheel] == 1).all()
    limited = on & levels.joint_limited
    if size != "s":
        assert (levels.joint_min[limited] <= 0).all() and (levels.joint_max[limited] > 0).mean() > 0.95
    assert set(np.unique(levels.motor_binding[on])) == {0, 1, 2, 3}


@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_thrusters_push_free_bodies_from_inside(size):
    levels = levels_of(size)
    on = levels.thruster_active
    assert (at_bodies(levels.inverse_mass, levels.thruster_body)[on] > 0).all()
    assert at_bodies(levels.active, levels.thruster_body)[on].all()
    point = levels.thruster_position
    extent = at_bodies(np.abs(levels.vertices).max(2), levels.thruster_body)
    radius = at_bodies(levels.radius, levels.thruster_body)
    round_body = levels.thruster_body >= levels.size.polygons
    in_circle = np.linalg.norm(point, axis=-1) <= radius + 1e-6
    inside = np.where(round_body, in_circle, (np.abs(point) <= extent + 1e-6).all(-1))
    assert inside[on].all()
    power = levels.thruster_power * at_bodies(levels.inverse_mass, levels.thruster_body)
    assert power[on].min() >= 1 - 1e-5 and power[on].max() <= 4 + 1e-5
    direction = np.stack([np.cos(levels.thruster_rotation), np.sin(levels.thruster_rotation)], -1)
    arm = direction[..., 0] * point[..., 1] - direction[..., 1] * point[..., 0]
    assert 0.7 < (np.abs(arm[on]) < 1e-5).mean() < 0.9  # 0.8 of them are aligned with the centre of mass
    for name in THRUSTER_FIELDS:
        assert (getattr(levels, name)[~on] == 0).all() or name == "thruster_body"


def test_every_level_can_be_acted_on():
    for size in ("s", "m", "l"):
        levels = levels_of(size)
        assert (levels.joint_active.any(1) | levels.thruster_active.any(1)).all()


# Sampling


def test_same_key_same_levels_and_a_batch_is_a_loop():
    levels = levels_of("s")
    again = sample_levels(jax.random.key(7), N_LEVELS, "s")
    jax.tree.map(np.testing.assert_array_equal, levels, again)
    other = sample_levels(jax.random.key(8), N_LEVELS, "s")
    assert (other.position != levels.position).any()
    keys = jax.random.split(jax.random.key(7), N_LEVELS)
    one = jax.jit(functools.partial(random_level, size="s"))(keys[3])
    for name in (*BODY_FIELDS, *JOINT_FIELDS, *THRUSTER_FIELDS):
        np.testing.assert_allclose(getattr(levels, name)[3], getattr(one, name), rtol=1e-5, atol=1e-6, err_msg=name)


def test_custom_size_and_parameters():
    """Fewer candidates, no joints, a red floor always, and more room than for the named sizes' circles."""
    parameters = RandomLevels(
        candidates=2, connected_share=0.0, free_share=1.0, nothing_share=0.0, floor_shares=(0, 0, 0, 1)
    )
    size = Size(polygons=5, circles=4, joints=1, thrusters=1)
    levels = sample_levels(jax.random.key(0), 64, size, parameters)
    assert len(levels) == 64 and levels.size == size
    assert (np.asarray(levels.active).all(1)).all()  # every slot after the third gets a free shape
    assert (np.asarray(levels.role[:, 0]) == RED).all() and (np.asarray(levels.role[:, 1:]) != RED).all()


def test_refusals_name_the_remedy():
    key = jax.random.key(0)
    for n in (0, -3, 2.0, True):
        with pytest.raises(ValueError, match="n must be a positive integer"):
            sample_levels(key, n)
    with pytest.raises(ValueError, match="use one of s, m, l"):
        sample_levels(key, 1, "xl")
    for wrong, message in (
        ({"thruster_chance": 1.5}, "thruster_chance is a probability"),
        ({"fixed_chance_max": -0.1}, "fixed_chance_max is a probability"),
        ({"free_share": 0.5}, "must sum to 1"),
        ({"floor_shares": (1.5, -0.5, 0.0, 0.0)}, "must not be negative"),
        ({"floor_shares": (0.5, 0.5)}, "four probabilities"),
        ({"motor_speed": (3.0, 1.0)}, "motor_speed is a range"),
        ({"candidates": 0}, "candidates must be at least 1"),
        ({"max_shape_size": 0.1}, "smaller than the smallest"),
        ({"max_shape_size": float("nan")}, "smaller than the smallest"),
        ({"goal_size_factor": 4.0}, "do not fit into the room"),
    ):
        with pytest.raises(ValueError, match=message):
            RandomLevels(**wrong)
    with pytest.raises(dataclasses.FrozenInstanceError):
        RandomLevels().candidates = 3


# Parts


def test_contacts_of_a_shape_are_the_engines():
    """Each level's shape in the highest polygon slot and its first circle, counted alone and by contact detection."""
    levels = levels_of("l")
    size = levels.size
    pairs = size.contact_bodies

    def both_counts(level: Level, slot: jax.Array) -> tuple[jax.Array, jax.Array]:
        twist = jnp.zeros((size.bodies, 3))
        contacts = detect(level, level.position, level.rotation, twist).active
        expected = jnp.sum(contacts & ((pairs == slot).any(axis=1)))
        none = jnp.zeros(1)
        shape = Shape(
            circle=(slot >= size.polygons)[None],
            half=level.vertices[slot, :1],
            radius=level.radius[slot][None],
            position=level.position[slot][None],
            rotation=level.rotation[slot][None],
            fixed=none, role=none, target=none, anchor=none, target_anchor=none, hidden=none,
        )  # fmt: skip
        others = level.replace(active=level.active & (jnp.arange(size.bodies) != slot))
        return count_contacts(shape, others)[0], expected

    polygon = np.where(levels.active[:, : size.polygons], np.arange(size.polygons), 0).max(1)
    circle = size.polygons + levels.active[:, size.polygons :].argmax(1)
    for slots, present in ((polygon, polygon >= STATIC_POLYGONS), (circle, levels.active[:, size.polygons :].any(1))):
        ours, expected = jax.jit(jax.vmap(both_counts))(levels, slots)
        ours, expected = np.asarray(ours)[present], np.asarray(expected)[present]
        assert present.sum() > N_LEVELS / 2 and len(np.unique(expected)) >= 4
        assert (ours == expected).mean() > 0.995  # shapes that just touch may be rounded either way


def test_permuted_slots_hold_the_same_level():
    level = levels_of("l")[0]
    moved = jax.tree.map(np.asarray, jax.jit(permute_slots)(jax.random.key(1), level))
    assert (moved.position != level.position).any()
    np.testing.assert_array_equal(moved.position[:STATIC_POLYGONS], level.position[:STATIC_POLYGONS])

    def rows(x: Level) -> list[np.ndarray]:
        """Bodies, joints (their bodies' masses instead of their slots) and thrusters, in an order without meaning."""
        body = np.concatenate([x.position, x.rotation[:, None], x.radius[:, None], x.role[:, None]], 1)
        ends = [x.inverse_mass[x.joint_a], x.inverse_mass[x.joint_b]]
        joint = np.stack([*ends, x.joint_anchor_a[:, 0], x.motor_speed], 1)
        thruster = np.stack([x.inverse_mass[x.thruster_body], x.thruster_power, x.thruster_rotation], 1)
        masked = (body[x.active], joint[x.joint_active], thruster[x.thruster_active])
        return [table[np.lexsort(table.T)] for table in masked]

    for a, b in zip(rows(level), rows(moved), strict=True):
        np.testing.assert_array_equal(a, b)


def test_slots_are_uniform():
    """Unused slots are as often first as last."""
    used = levels_of("l").active[:, STATIC_POLYGONS:12].mean(0)
    assert used.max() - used.min() < 0.12


def test_draws():
    weights = jnp.array([0.0, 1.0, 0.0, 3.0, 0.0])
    u = jnp.linspace(0.0, 1.0, 4000, endpoint=False)
    picked = np.asarray(jax.vmap(weighted, (0, None))(u, weights))
    np.testing.assert_array_equal(np.bincount(picked, minlength=5), [0, 1000, 0, 3000, 0])
    assert weighted(jnp.float32(0.3), jnp.zeros(4)) == 0
    orders = jax.vmap(permutation)(jax.random.uniform(jax.random.key(0), (6000, 3)))
    _, counts = np.unique(np.asarray(orders), axis=0, return_counts=True)
    assert len(counts) == 6 and counts.min() > 850
    triangle = jnp.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [9.0, 9.0]])
    points = jax.vmap(point_in_polygon, (0, None, None))(jax.random.uniform(jax.random.key(1), (2000, 2)), triangle, 3)
    assert (points >= -1e-6).all() and (points.sum(1) <= 1 + 1e-6).all()
    np.testing.assert_allclose(points.mean(0), [1 / 3, 1 / 3], atol=0.02)


def test_masses_of_recorded_levels():
    """The formulas give the recorded inverse masses, to rounding."""
    for path in sorted((DATA / "random").rglob("*.json")):
        level = jax.tree.map(np.asarray, load_level(path))
        free = level.active & (level.inverse_mass != 0)
        circle = np.arange(level.size.bodies) >= level.size.polygons
        polygons = polygon_inverse_mass_inertia(level.vertices, level.n_vertices, level.density)
        circles = circle_inverse_mass_inertia(level.radius, level.density)
        for field, a, b in zip((level.inverse_mass, level.inverse_inertia), polygons, circles, strict=True):
            np.testing.assert_allclose(np.where(circle, b, a)[free], field[free], rtol=1e-6, err_msg=path.name)
