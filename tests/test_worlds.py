"""Generators of further kinds of worlds: what their levels are, what their parameters do, what they refuse."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.generators import sample_levels
from kinetix_ued.generators.filters import lost_at_start, noop_solves, overlapping, solved_at_start
from kinetix_ued.generators.locomotion import LocomotionLevels, locomotion_level
from kinetix_ued.generators.mixture import mixed_sizes, mixture
from kinetix_ued.generators.physics import PhysicsRanges, randomise_physics
from kinetix_ued.generators.pushing import PushingLevels, pushing_level
from kinetix_ued.generators.registry import GenreLevels, mixture_of_genres
from kinetix_ued.generators.roles import BLUE, GREEN, RED
from kinetix_ued.generators.triangles import TriangleLevels, cut_corners, triangle_level
from kinetix_ued.generators.vehicles import VehicleLevels, vehicle_level
from kinetix_ued.levels.resize import BODY_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS, resize_level
from kinetix_ued.levels.validity import faults
from kinetix_ued.world import Level, empty_level, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, STATIC_POLYGONS

N_LEVELS = 256
KEYS = jax.random.split(jax.random.key(11), N_LEVELS)

WORLDS = [
    (locomotion_level, "l"),
    (locomotion_level, "m"),
    (vehicle_level, "l"),
    (vehicle_level, "s"),
    (pushing_level, "l"),
    (pushing_level, "m"),
    (pushing_level, "s"),
]


quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""Compiled in half the time: these programs run once."""

overlaps = quick(overlapping)


def batch(generator, size: str, *parameters) -> Level:
    return quick(jax.vmap(lambda key: generator(key, size_of(size), *parameters)))(KEYS)


@functools.cache
def levels_of(generator, size: str) -> Level:
    """A batch with default parameters that tests share."""
    return jax.tree.map(np.asarray, batch(generator, size))


def all_valid(levels: Level) -> None:
    assert not {name: int(wrong.sum()) for name, wrong in faults(levels).items() if wrong.any()}


def free(levels: Level) -> np.ndarray:
    """Bodies (n, N) that can move."""
    return np.asarray(levels.active & (levels.inverse_mass > 0))


def lowest(levels: Level) -> np.ndarray:
    """Height of each body's lowest point (n, N) [m]."""
    c, s = np.cos(levels.rotation)[..., None], np.sin(levels.rotation)[..., None]
    y = s * levels.vertices[..., 0] + c * levels.vertices[..., 1]
    y = np.where(np.arange(4) < levels.n_vertices[..., None], y, np.inf).min(-1)
    circle = np.arange(levels.size.bodies) >= levels.size.polygons
    return levels.position[..., 1] + np.where(circle, -levels.radius, y)


def where_is(levels: Level, role: int) -> np.ndarray:
    """Position of the body of a role (n, 2); every level has one."""
    mask = levels.active & (levels.role == role)
    assert (mask.sum(1) == 1).all()
    return levels.position[mask]


def body_values(field: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(np.asarray(field), np.asarray(index), axis=1)


# What all of them are


@pytest.mark.parametrize(("generator", "size"), WORLDS, ids=lambda value: getattr(value, "__name__", value))
def test_every_level_is_valid_and_nothing_overlaps(generator, size):
    levels = levels_of(generator, size)
    assert levels.size == size_of(size)
    all_valid(levels)
    assert not np.asarray(overlaps(levels)).any()


@pytest.mark.parametrize("generator", [locomotion_level, vehicle_level, pushing_level])
def test_nothing_is_decided_at_the_start_and_waiting_solves_hardly_anything(generator):
    levels = levels_of(generator, "l")
    assert not np.asarray(solved_at_start(levels)).any()
    assert not np.asarray(lost_at_start(levels)).any()
    assert np.asarray(noop_solves(levels)).mean() < 0.04


@pytest.mark.parametrize(("generator", "size"), [WORLDS[1], WORLDS[6]])
def test_one_level_alone_is_that_of_the_batch(generator, size):
    levels = levels_of(generator, size)
    again = quick(lambda key: generator(key, size))(KEYS[5])
    for name in Level.__dataclass_fields__:
        if name != "size":
            np.testing.assert_allclose(getattr(again, name), getattr(levels, name)[5], atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("generator", "size"), [WORLDS[0], WORLDS[2], WORLDS[4]])
def test_empty_slots_are_those_of_an_empty_level(generator, size):
    levels, empty = levels_of(generator, size), empty_level(size)
    for names, active in (
        (BODY_FIELDS, "active"),
        (JOINT_FIELDS, "joint_active"),
        (THRUSTER_FIELDS, "thruster_active"),
    ):
        unused = ~getattr(levels, active)
        assert unused.any()
        for name in names:
            expected = np.broadcast_to(getattr(empty, name)[-1], getattr(levels, name)[unused].shape)
            if name != "n_vertices":
                np.testing.assert_array_equal(getattr(levels, name)[unused], expected, err_msg=name)


@pytest.mark.parametrize(("generator", "size"), WORLDS, ids=lambda value: getattr(value, "__name__", value))
def test_levels_differ_and_half_of_them_are_mirrored(generator, size):
    levels = levels_of(generator, size)
    assert len(np.unique(levels.position.reshape(N_LEVELS, -1), axis=0)) == N_LEVELS
    blue_is_right = where_is(levels, BLUE)[:, 0] > where_is(levels, GREEN)[:, 0]
    assert 0.4 < blue_is_right.mean() < 0.6
    # Slots carry no meaning: with permuted slots, the green body is not always the first.
    assert size == "s" or len(np.unique(np.argmax(levels.active & (levels.role == GREEN), axis=1))) > 1


def test_sizes_too_small_are_refused_with_the_remedy():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="a walker needs 6 polygons, 2 joints.*'m'"):
        locomotion_level(key, "s")
    with pytest.raises(ValueError, match="a vehicle needs 2 circles.*'s' or 'm' or 'l'"):
        vehicle_level(key, "8p1c4j2t")
    with pytest.raises(ValueError, match="a pushing level needs 2 circles"):
        pushing_level(key, "8p1c4j2t")
    with pytest.raises(ValueError, match="unknown size"):
        triangle_level(key, "xxl")


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (LocomotionLevels, {"bend": 2.0}, "bend is an angle"),
        (LocomotionLevels, {"target_shares": (0.5, 0.5, 0.5)}, r"sum to 1.*write \(0.333333"),
        (LocomotionLevels, {"max_legs": 0}, "max_legs must be at least 1"),
        (LocomotionLevels, {"leg_height": (0.12, 0.2)}, "raise leg_height"),
        (VehicleLevels, {"slope": (0.4, 0.1)}, "slope is a range"),
        (VehicleLevels, {"gap_chance": 1.5}, "gap_chance is a probability"),
        (VehicleLevels, {"terrain_height": 9.0}, "terrain_height must lie between"),
        (PushingLevels, {"arm_chance": -0.1}, "arm_chance is a probability"),
        (PushingLevels, {"max_stack": -1}, "max_stack must be 0 or more"),
        (TriangleLevels, {"share": 2.0}, "share is a probability"),
        (PhysicsRanges, {"density": (0.0, 1.0)}, "density must lie between"),
        (PhysicsRanges, {"normal_gravity_chance": 0.7, "zero_gravity_chance": 0.7}, "lower them"),
        (PhysicsRanges, {"friction": (1.0, float("nan"))}, "friction is a range"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(kind, wrong, message):
    with pytest.raises(ValueError, match=message):
        kind(**wrong)


# Locomotion


@pytest.mark.parametrize("size", ["l", "m"])
def test_walkers_stand_on_the_floor_with_all_parts_joined(size):
    levels, p = levels_of(locomotion_level, size), LocomotionLevels()
    walker = free(levels) & ~((levels.role == BLUE) & (np.arange(levels.size.bodies) >= levels.size.polygons))
    joints = levels.joint_active.sum(1)
    np.testing.assert_array_equal(walker.sum(1), joints + 1)  # a tree that spans all of it
    ground = np.where(walker, lowest(levels), np.inf)
    np.testing.assert_allclose(ground.min(1), FLOOR_HEIGHT, atol=1e-4)
    low = np.where(levels.joint_active, levels.joint_min, -p.limit[0])
    assert (-p.limit[1] <= low).all() and (low <= -p.limit[0]).all()
    assert (levels.motor_on == levels.joint_active).all() and not levels.joint_fixed[levels.joint_active].any()
    power = levels.motor_power[levels.joint_active]
    assert p.motor_power[0] <= power.min() and power.max() <= p.motor_power[1]
    assert len(np.unique(joints)) == (1 if size == "m" else 6)
    floor = levels.role[:, 0] == RED
    assert 0.1 < floor.mean() < 0.3


# Vehicles


def test_vehicles_stand_on_wheels_with_the_terrain_below_their_target():
    levels, p = levels_of(vehicle_level, "l"), VehicleLevels()
    circle = np.arange(levels.size.bodies) >= levels.size.polygons
    wheel = free(levels) & circle
    assert set(wheel.sum(1)) == {2, 3}
    np.testing.assert_allclose(lowest(levels)[wheel], FLOOR_HEIGHT, atol=1e-4)
    assert (
        p.wheel_radius[0] * 0.95 <= levels.radius[wheel].min()
        and levels.radius[wheel].max() <= p.wheel_radius[1] * 1.05
    )
    terrain = levels.active & ~free(levels) & ~circle & (np.arange(levels.size.bodies) >= STATIC_POLYGONS)
    assert set(terrain.sum(1)) == set(range(6))
    np.testing.assert_allclose(lowest(levels)[terrain], FLOOR_HEIGHT, atol=1e-4)
    assert (levels.n_vertices[terrain] == 3).any() and (levels.n_vertices[terrain] == 4).any()
    red = levels.active & (levels.role == RED)
    assert 0.2 < red[:, levels.size.polygons :].any(1).mean() < 0.4
    assert 0.1 < red[:, 0].mean() < 0.22
    assert (np.abs(where_is(levels, BLUE)[:, 0] - where_is(levels, GREEN)[:, 0]) > 1.5).all()


def test_a_cart_rests_on_its_wheel_and_tail_and_never_on_a_red_floor():
    levels = levels_of(vehicle_level, "s")
    assert (levels.role[:, 0] == 0).all() and levels.thruster_active.any() and not levels.thruster_active.all()
    bottom = np.where(free(levels), lowest(levels), FLOOR_HEIGHT)
    np.testing.assert_allclose(bottom, FLOOR_HEIGHT, atol=1e-4)


# Pushing


def test_objects_rest_on_something_and_tools_are_arms_or_blocks():
    levels = levels_of(pushing_level, "l")
    arm = levels.joint_active.any(1)
    assert 0.4 < arm.mean() < 0.6
    assert (levels.thruster_active.any(1) == ~arm).all()
    assert set(levels.joint_active.sum(1)) == {0, 2, 3}
    walls = np.where(levels.joint_active, np.minimum(levels.joint_a, levels.joint_b), 9).min(1)
    assert set(walls[arm]) == {1, 2}  # arms hang on either wall
    green = levels.active & (levels.role == GREEN)
    ball = green[:, levels.size.polygons :].any(1)
    assert 0.5 < ball.mean() < 0.9
    assert set(free(levels)[:, STATIC_POLYGONS : levels.size.polygons].sum(1)) >= {1, 2, 3, 4, 5, 6}
    radius = levels.radius[levels.active & (levels.role == BLUE)]
    assert PushingLevels().goal_radius[0] <= radius.min() and radius.max() <= PushingLevels().goal_radius[1]


def test_chances_of_nought_and_one_are_kept_to():
    blocks = jax.tree.map(np.asarray, batch(pushing_level, "m", PushingLevels(arm_chance=0.0, lift_chance=1.0)))
    all_valid(blocks)
    assert not blocks.joint_active.any() and blocks.thruster_active.all()
    np.testing.assert_allclose(blocks.thruster_rotation, np.pi / 2, atol=1e-5)
    above = where_is(blocks, BLUE) - where_is(blocks, GREEN)
    assert (above[:, 1] > 0.2).all() and (np.abs(above[:, 0]) < 0.31).all()


# Triangles


def test_cutting_corners_moves_nothing_else():
    levels = jax.tree.map(jnp.asarray, levels_of(pushing_level, "l"))
    u = jax.random.uniform(jax.random.key(2), (2, N_LEVELS, levels.size.polygons))
    cut = quick(jax.vmap(cut_corners))(levels, u[0] < 0.7, u[1])
    all_valid(cut)  # convex, clockwise, centred, masses right, anchors together
    before, after = (jax.tree.map(np.asarray, x) for x in (levels, cut))
    triangle = after.active & (after.n_vertices == 3)
    rectangle = before.active & (np.arange(before.size.bodies) < before.size.polygons)
    rectangle[:, :STATIC_POLYGONS] = False
    slot, bare = np.arange(before.size.bodies), rectangle.copy()
    for body, used in (("joint_a", "joint_active"), ("joint_b", "joint_active"), ("thruster_body", "thruster_active")):
        there = getattr(before, used)[..., None]
        bare &= ~(there & (getattr(before, body)[..., None] == slot)).any(1)
    assert 0.65 < triangle[bare].mean() < 0.75  # nothing keeps these
    assert triangle[rectangle & ~bare].any()
    moving = triangle & (before.inverse_mass > 0)
    np.testing.assert_allclose(after.inverse_mass[moving], 2 * before.inverse_mass[moving], rtol=1e-4)
    untouched = ~triangle
    for name in ("position", "vertices", "inverse_mass", "inverse_inertia"):
        np.testing.assert_array_equal(getattr(after, name)[untouched], getattr(before, name)[untouched])

    def world(level, body, point):
        angle, at = body_values(level.rotation, body), level.position[np.arange(N_LEVELS)[:, None], body]
        c, s = np.cos(angle), np.sin(angle)
        return at + np.stack([c * point[..., 0] - s * point[..., 1], s * point[..., 0] + c * point[..., 1]], -1)

    for body, point, used in (
        ("joint_a", "joint_anchor_a", "joint_active"),
        ("joint_b", "joint_anchor_b", "joint_active"),
        ("thruster_body", "thruster_position", "thruster_active"),
    ):
        there = getattr(before, used)
        moved = world(after, getattr(after, body), getattr(after, point))
        stayed = world(before, getattr(before, body), getattr(before, point))
        np.testing.assert_allclose(moved[there], stayed[there], atol=1e-5)

    # Thrusters pushed through the centre of mass, or off it where they lift at one side of a block.
    def arm(level):
        (x, y), angle = np.moveaxis(level.thruster_position, -1, 0), level.thruster_rotation
        return np.abs(x * np.sin(angle) - y * np.cos(angle))

    aimed = before.thruster_active & (arm(before) < 1e-5)
    assert aimed.any() and arm(after)[aimed].max() < 1e-5
    acceleration = lambda level: level.thruster_power * body_values(level.inverse_mass, level.thruster_body)
    np.testing.assert_allclose(
        acceleration(after)[after.thruster_active], acceleration(before)[before.thruster_active], rtol=1e-4
    )


def test_random_levels_have_their_share_of_triangles():
    levels = batch(triangle_level, "s", TriangleLevels(share=0.5))
    all_valid(levels)
    polygon = np.asarray(levels.active)[:, STATIC_POLYGONS]
    triangle = polygon & (np.asarray(levels.n_vertices)[:, STATIC_POLYGONS] == 3)
    assert 0.4 < triangle.sum() / polygon.sum() < 0.6


# Physics


def test_physics_is_drawn_from_its_ranges_and_masses_follow():
    ranges = PhysicsRanges(
        gravity=(-12.0, -6.0), normal_gravity_chance=0.3, zero_gravity_chance=0.2, friction=(0.2, 0.4)
    )
    drawn = jax.tree.map(np.asarray, batch(randomise_physics(pushing_level, ranges), "s"))
    all_valid(drawn)
    y = np.asarray(drawn.gravity)[:, 1]
    normal, zero = y == np.float32(-9.81), y == 0
    assert 0.2 < normal.mean() < 0.4 and 0.12 < zero.mean() < 0.28
    other = y[~normal & ~zero]
    assert -12.0 <= other.min() and other.max() <= -6.0
    bodies = np.asarray(drawn.active)
    friction, density = np.asarray(drawn.friction)[bodies], np.asarray(drawn.density)
    assert 0.2 <= friction.min() and friction.max() <= 0.4
    moving = free(drawn)
    assert 0.4 <= density[moving].min() and density[moving].max() <= 2.5 and np.median(density[moving]) < 1.3
    assert (density[:, :STATIC_POLYGONS] == 1).all()


def test_physics_can_be_shared_by_all_shapes_and_leave_things_alone():
    key = jax.random.key(4)
    level = lambda key, size: levels_of(vehicle_level, "s")[3]
    ranges = PhysicsRanges(
        per_shape=False, room=False, friction=None, normal_gravity_chance=1.0, zero_gravity_chance=0.0
    )
    old, new = level(key, "s"), randomise_physics(level, ranges)(key, "s")
    shapes = np.arange(old.size.bodies) >= STATIC_POLYGONS
    assert (
        len(np.unique(np.asarray(new.restitution)[shapes])) == 1 and (np.asarray(new.restitution)[~shapes] == 0).all()
    )
    np.testing.assert_array_equal(new.friction, old.friction)
    np.testing.assert_array_equal(new.gravity, old.gravity)
    factor = np.asarray(new.density)[STATIC_POLYGONS]
    mass = free(old) & shapes
    np.testing.assert_allclose(np.asarray(new.inverse_mass)[mass] * factor, old.inverse_mass[mass], rtol=1e-5)
    np.testing.assert_allclose(new.thruster_power, old.thruster_power * factor, rtol=1e-5)
    heavier = randomise_physics(level, dataclasses.replace(ranges, scale_thrusters=False))(key, "s")
    np.testing.assert_array_equal(heavier.thruster_power, old.thruster_power)
    assert randomise_physics(level, ranges) == randomise_physics(level, ranges)
    with pytest.raises(ValueError, match="must be a function"):
        randomise_physics("random", ranges)


# Mixtures


def marked(number: float):
    """A generator of empty levels that can be told apart."""

    def generate(key, size):
        return empty_level(size).replace(gravity=jnp.array([number, 0.0]))

    return generate


def test_a_mixture_draws_by_weight_and_pads():
    first, second, never = marked(1.0), marked(2.0), marked(3.0)
    mixed = mixture([(first, 0.25, "s"), (second, 0.75, "m"), (never, 0.0)])
    levels = batch(mixed, "l")
    number = np.asarray(levels.gravity)[:, 0]
    assert levels.size == size_of("l") and 0.15 < (number == 1).mean() < 0.35 and not (number == 3).any()
    assert mixture({first: 0.5, second: 0.5}) == mixture([(first, 0.5), (second, 0.5, None)])

    parts = [(lambda key, size: jax.tree.map(lambda x: jnp.asarray(x[7]), levels_of(vehicle_level, "s")), 1.0, "s")]
    padded = mixture(parts)(jax.random.key(0), "m")
    jax.tree.map(np.testing.assert_array_equal, padded, resize_level(levels_of(vehicle_level, "s")[7], "m"))
    all_valid(jax.tree.map(lambda x: x[None], padded))
    assert [part.size.name for part in mixed_sizes().parts] == ["s", "m", "l"]


class Counting:
    """A generator of distinct levels that notes how many are asked of it at a time."""

    def __init__(self, number: float):
        self.number, self.asked = number, []

    def __call__(self, key, size):
        return empty_level(size).replace(gravity=jnp.array([self.number, 0.0]).at[1].set(jax.random.uniform(key)))

    def batch(self, key, n, size):
        self.asked.append(n)
        return jax.vmap(lambda key: self(key, size))(jax.random.split(key, n))


def test_a_batch_of_a_mixture_costs_what_its_parts_cost_and_is_dealt_by_weight():
    first, second, third, never = parts = [Counting(float(n)) for n in (1, 2, 3, 4)]
    mixed = mixture([(first, 0.1, "s"), (second, 0.65, "m"), (third, 0.25), (never, 0.0)])
    keys = jax.random.split(jax.random.key(0), 200)
    batches = jax.jit(jax.vmap(lambda key: mixed.batch(key, 37, size_of("l"))))(keys)
    assert batches.size == size_of("l")
    assert [part.asked for part in parts] == [[5], [26], [11], []]
    number, own = np.moveaxis(np.asarray(batches.gravity), -1, 0)
    for value, weight in ((1, 0.1), (2, 0.65), (3, 0.25)):
        count = (number == value).sum(axis=1)
        assert set(count) <= {int(np.floor(37 * weight)), int(np.ceil(37 * weight))}
        np.testing.assert_allclose(count.mean(), 37 * weight, atol=0.15)
        np.testing.assert_allclose((number == value).mean(axis=0), weight, atol=0.17)  # at every place of the batch
    assert all(len(np.unique(row)) == 37 for row in own)


def test_a_named_mixture_makes_batches_of_its_parts():
    levels = sample_levels(jax.random.key(0), 64, size="m", generator="mixed_sizes")
    bodies = np.asarray(levels.active.sum(axis=1))
    assert levels.size == size_of("m") and (bodies <= 7).any() and (bodies > 7).any()


@pytest.mark.parametrize("weights", [(0.5, 0.6), (-0.5, 1.5), (0.0, 0.0), (float("nan"), 1.0), (float("inf"), 0.0)])
def test_weights_that_are_no_probabilities_are_refused(weights):
    with pytest.raises(ValueError, match="weights of a mixture"):
        mixture([(marked(1.0), weights[0]), (marked(2.0), weights[1])])


def test_mixtures_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match=r"write \(0.25, 0.75\)"):
        mixture({marked(1.0): 1, marked(2.0): 3})
    with pytest.raises(ValueError, match="at least one part"):
        mixture([])
    with pytest.raises(ValueError, match="with a function first"):
        mixture([("random", 1.0)])
    with pytest.raises(ValueError, match="unknown size"):
        mixture([(marked(1.0), 1.0, "xl")])
    with pytest.raises(ValueError, match="size 'l', which size 's' does not hold.*size 'l'"):
        mixture([(marked(1.0), 1.0, "l")])(jax.random.key(0), "s")


def test_genres_are_mixed_by_their_weights_as_far_as_a_size_has_them():
    parts = {
        size: {str(part.generator): part.weight for part in mixture_of_genres(size_of(size)).parts} for size in "sl"
    }
    given = dict(GenreLevels().weights)
    assert parts["l"] == pytest.approx(given) and sum(given.values()) == pytest.approx(1)
    larger = ("locomotion", "platforms")  # they need more joints and circles than S has
    rest = {name: weight for name, weight in given.items() if name not in larger}
    assert parts["s"] == pytest.approx({name: weight / sum(rest.values()) for name, weight in rest.items()})
    for wrong in ((), (("random", 0.5), ("random", 0.5)), (("random", -1.0),)):
        with pytest.raises(ValueError, match="mixture of genres|must be positive"):
            GenreLevels(wrong)
