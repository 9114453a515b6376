"""The kinds of levels in the genres of those that people build: flight, arms, balance, contraptions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.generators import GENERATORS, sample_levels
from kinetix_ued.generators.arms import ArmLevels
from kinetix_ued.generators.balance import BalanceLevels
from kinetix_ued.generators.contraptions import ContraptionLevels
from kinetix_ued.generators.draws import Draw
from kinetix_ued.generators.exclusion import hash_array, held_out
from kinetix_ued.generators.filters import lost_at_start, overlapping, solved_at_start, uncontrollable
from kinetix_ued.generators.flight import FlightLevels, aim
from kinetix_ued.generators.parts import CLEARANCE, PLACE_DRAWS, ROOM_BOX, Space
from kinetix_ued.generators.platforms import PlatformLevels
from kinetix_ued.generators.roles import BLUE, GREEN, RED
from kinetix_ued.generators.scene import CEILING, FLOOR, LEFT_WALL, RIGHT_WALL, Either, Scene, mirrored
from kinetix_ued.levels.validity import faults
from kinetix_ued.world import Level, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, ROOM_SIZE, STATIC_POLYGONS

KINDS = ("flight", "arms", "balance", "contraptions", "platforms")
N_LEVELS = 320
CASES = [(kind, size) for kind in KINDS for size in ("s", "m", "l") if (kind, size) != ("platforms", "s")]


@functools.cache
def levels_of(kind: str, size: str) -> Level:
    """A batch with default parameters that tests share."""
    return jax.tree.map(np.asarray, sample_levels(jax.random.key(21), N_LEVELS, size, generator=kind))


def shapes(levels: Level) -> np.ndarray:
    """Bodies (n, N) beside the room's."""
    return levels.active & (np.arange(levels.size.bodies) >= STATIC_POLYGONS)


def where_is(levels: Level, role: int) -> np.ndarray:
    """Position of the body of a role (n, 2); every level has one."""
    return levels.position[levels.active & (levels.role == role)]


@pytest.mark.parametrize(("kind", "size"), CASES)
def test_levels_are_valid_and_undecided_and_somebody_can_act(kind, size):
    levels = levels_of(kind, size)
    assert levels.size == size_of(size)
    assert not {name: int(wrong.sum()) for name, wrong in faults(levels).items() if wrong.any()}
    for mark in (overlapping, solved_at_start, lost_at_start, uncontrollable):
        assert not np.flatnonzero(np.asarray(mark(levels))).size, mark.__name__
    assert not np.asarray(held_out(levels, hash_array())).any()


@pytest.mark.parametrize(("kind", "size"), CASES)
def test_levels_differ_in_every_respect(kind, size):
    levels = levels_of(kind, size)
    assert len(np.unique(levels.position.reshape(N_LEVELS, -1), axis=0)) == N_LEVELS
    blue_is_right = where_is(levels, BLUE)[:, 0] > where_is(levels, GREEN)[:, 0]
    assert 0.4 < blue_is_right.mean() < 0.6
    green, blue = (np.argmax(levels.active & (levels.role == role), axis=1) for role in (GREEN, BLUE))
    assert len(np.unique(blue)) > 1 and len(np.unique(green)) > 1  # slots carry no meaning
    assert len(np.unique(shapes(levels).sum(1))) > 1 or size == "s"
    bindings = levels.motor_binding[levels.joint_active & levels.motor_on]
    assert set(bindings) == {0, 1, 2, 3}
    power = levels.motor_power[levels.joint_active & levels.motor_on]
    assert np.quantile(power, 0.95) > 4 * np.quantile(power, 0.05)
    span = where_is(levels, BLUE)
    assert (np.ptp(span, axis=0) > 3.0).all()
    usual = (levels.density == 1).all(1) & (levels.gravity[:, 1] == np.float32(-9.81))
    assert 0.45 < usual.mean() < 0.75  # other physics otherwise
    assert 0.02 < (levels.role[:, 0] == RED).mean() < 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_too_small_are_refused_with_the_remedy(kind):
    with pytest.raises(ValueError, match=r"needs [23] circles"):
        GENERATORS[kind].level(jax.random.key(0), "8p1c4j2t")


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (FlightLevels, {"weak_chance": 1.5}, "weak_chance is a probability"),
        (FlightLevels, {"wall_shares": (0.5, 0.5, 0.5)}, "must sum to 1"),
        (FlightLevels, {"gap_width": (0.5, 2.0)}, "gap_width must lie between 1.05"),
        (ArmLevels, {"reach": (1.0, 4.0)}, "reach must lie between 0.3 and 2.2"),
        (ArmLevels, {"base_shares": (0.5, 0.5)}, "base_shares needs 4 entries"),
        (BalanceLevels, {"tilt": 2.0}, "tilt is an angle"),
        (BalanceLevels, {"weak_power": (0.0, 1.0)}, "weak_power must lie"),
        (ContraptionLevels, {"shares": (0.5, 0.5, 0.5, 0.5)}, "must sum to 1"),
        (PlatformLevels, {"max_shelves": 5}, "max_shelves must lie between 1 and 4"),
        (PlatformLevels, {"slope": (0.0, 1.0)}, "slope must lie"),
        (ContraptionLevels, {"beam_length": (2.0, 1.0)}, "beam_length is a range"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(kind, wrong, message):
    with pytest.raises(ValueError, match=message):
        kind(**wrong)


# Flight


def test_craft_have_thrusters_and_walls_leave_gaps():
    levels = levels_of("flight", "l")
    assert levels.thruster_active.all()
    long = np.abs(levels.vertices).max((2, 3)) > 0.6
    walls = (shapes(levels) & (levels.inverse_mass == 0) & long)[:, : levels.size.polygons].sum(1)
    assert set(walls) >= {0, 1, 2, 3, 4}
    joined = levels.joint_active.any(1)
    assert 0.45 < joined.mean() < 0.75  # a second body: engine, part or load
    kinds = levels.joint_fixed[joined].any(1), (levels.motor_on & levels.joint_active)[joined].any(1)
    assert kinds[0].any() and kinds[1].any() and (~kinds[0] & ~kinds[1]).any()


def test_an_aimed_force_and_gravity_together_point_at_the_goal():
    start, goal, lift = (1.0, 1.0), (3.0, 2.0), 1.7
    angle = aim(start, goal, jnp.float32(lift))
    total = lift * np.array([np.cos(angle), np.sin(angle)]) - [0.0, 1.0]
    np.testing.assert_allclose(total[1] / total[0], 0.5, rtol=1e-5)
    assert total[0] > 0


# Arms


def test_arms_hang_together_and_their_targets_are_in_reach():
    levels, p = levels_of("arms", "l"), ArmLevels()
    links = levels.joint_active.sum(1)
    assert set(links) >= {1, 2, 3, 4}
    room = np.where(levels.joint_active, np.minimum(levels.joint_a, levels.joint_b), 99).min(1)
    assert set(room) >= {FLOOR, LEFT_WALL, RIGHT_WALL, CEILING}
    green, blue = where_is(levels, GREEN), where_is(levels, BLUE)
    pushed = ~(
        (levels.joint_a[:, :, None] == np.argmax(levels.active & (levels.role == GREEN), 1)[:, None, None])
        | (levels.joint_b[:, :, None] == np.argmax(levels.active & (levels.role == GREEN), 1)[:, None, None])
    )
    pushed = (pushed[..., 0] | ~levels.joint_active).all(1)
    assert 0.15 < pushed.mean() < 0.45
    # The end of an arm is nowhere farther from the target than twice the reach, and some slack for sizes.
    apart = np.hypot(*(green - blue).T)[~pushed]
    assert (apart < 2 * p.reach[1] + 1.0).all() and np.median(apart) < p.reach[1]


# Balance


def test_what_is_balanced_stands_on_wheels_hangs_or_slides():
    levels = levels_of("balance", "l")
    free = shapes(levels) & (levels.inverse_mass > 0)
    circle = np.arange(levels.size.bodies) >= levels.size.polygons
    wheels = np.zeros_like(free)
    for end in ("joint_a", "joint_b"):
        body = getattr(levels, end)
        driven = levels.joint_active & levels.motor_on
        np.put_along_axis(wheels, np.where(driven, body, 0), True, axis=1)
    wheels &= free & circle
    assert set(wheels.sum(1)) >= {0, 1, 2}
    on_floor = np.abs(levels.position[..., 1] - levels.radius - FLOOR_HEIGHT) < 1e-4
    assert on_floor[wheels].all()
    # Green touches a red floor at the start nowhere (see above), and stands above it often.
    assert 0.15 < (levels.role[:, 0] == RED).mean() < 0.6


# Contraptions


def test_machinery_moves_by_motors_or_thrusters_and_green_is_mostly_passive():
    levels = levels_of("contraptions", "l")
    green = np.argmax(levels.active & (levels.role == GREEN), axis=1)
    jointed = ((levels.joint_a == green[:, None]) | (levels.joint_b == green[:, None])) & levels.joint_active
    assert not jointed.any()
    thrust = (levels.thruster_body == green[:, None]) & levels.thruster_active
    assert 0.05 < thrust.any(1).mean() < 0.35
    motors = (levels.joint_active & levels.motor_on).sum(1)
    assert set(motors) >= {0, 1, 2, 3} and (levels.motor_auto & levels.joint_active).any()


# Platforms


def test_carts_and_balls_are_on_the_uppermost_shelf_or_the_floor():
    levels = levels_of("platforms", "l")
    cart = levels.joint_active.any(1)
    assert 0.45 < cart.mean() < 0.65 and (levels.joint_active.sum(1) == 2 * cart).all()
    long = np.ptp(levels.vertices[..., 0], axis=-1) > 1.5
    shelf = (shapes(levels) & long)[:, : levels.size.polygons]
    assert set(shelf.sum(1)) == {1, 2, 3, 4}
    above = np.where(shelf, levels.position[:, : levels.size.polygons, 1], 0.0).max(1)
    green, blue = where_is(levels, GREEN)[:, 1], where_is(levels, BLUE)[:, 1]
    down = green > above
    assert (cart <= down).all() and 0.7 < down.mean() < 0.95
    assert (blue[down] < above[down]).all() and (blue[~down] > above[~down]).mean() > 0.9


# Parts


@pytest.mark.parametrize("grounded", [False, True])
def test_a_place_is_free_and_in_its_region_or_reported_as_not_found(grounded):
    def placed(key: jax.Array) -> tuple:
        draw, space = Draw(key, 8 + PLACE_DRAWS), Space()
        taken = []
        for _ in range(2):
            box = (draw.between((0.5, 4.5)), draw.between((0.5, 4.5))), (draw.between((0.2, 1.5)), jnp.float32(0.7))
            space.take(*box)
            taken.append(box)
        half = jnp.float32(0.4), jnp.float32(0.2)
        place = space.place(draw, half, (2.0, 1.0), (5.0, 4.0), grounded=grounded)
        return place, taken

    place, taken = jax.jit(jax.vmap(placed))(jax.random.split(jax.random.key(3), 512))
    found, scale = np.asarray(place.found), np.asarray(place.scale)
    assert found.mean() > 0.7 and (scale == 1).mean() > 0.5 and (scale[found] < 1).any()
    x, y = (np.asarray(v) for v in place.centre)
    assert (x - 0.4 * scale > 1.999)[found].all() and (x + 0.4 * scale < 5.001)[found].all()
    if grounded:
        np.testing.assert_allclose(y - 0.2 * scale, FLOOR_HEIGHT, atol=1e-5)
    else:
        assert (y - 0.2 * scale > 0.999)[found].all() and (y + 0.2 * scale < 4.001)[found].all()
    for (a, b), (w, h) in taken:
        apart = np.maximum(np.abs(x - a) - w - 0.4 * scale, np.abs(y - b) - h - 0.2 * scale)
        assert (apart[found] > CLEARANCE * 0.99).all()
    assert ROOM_BOX == ((0.0, FLOOR_HEIGHT), (ROOM_SIZE, ROOM_SIZE))


def test_a_draw_never_hands_out_a_number_twice():
    draw = Draw(jax.random.key(0), 5)
    numbers = [float(draw()), *np.asarray(draw.several(4)).tolist()]
    assert len(set(numbers)) == 5
    with pytest.raises(RuntimeError, match="raise count to 6"):
        draw()


@pytest.mark.parametrize("choice", [True, False])
def test_a_choice_of_bodies_is_the_body_chosen(choice):
    def level(body, scene) -> Level:
        scene.joint(body, CEILING, (2.0, 5.0), speed=2.0, auto=True)
        scene.thruster(body, (2.1, 3.0), 0.5, 1.0)
        return scene.level()

    def scene() -> tuple[Scene, int, int]:
        made = Scene(size_of("m"))
        return made, made.circle((2.0, 3.0), 0.3), made.rectangle((2.2, 3.1), 0.5, 0.2, 0.4)

    made, ball, box = scene()
    either = level(Either(jnp.array(choice), ball, box), made)
    made, ball, box = scene()
    plain = level(ball if choice else box, made)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), either, plain)
    # In the mirror a motor that runs by itself turns the other way, and the joint stays on the ceiling.
    other = mirrored(plain, jnp.array(True))
    assert other.motor_speed[0] == -2.0 and other.joint_b[0] == CEILING
    np.testing.assert_allclose(other.position[CEILING, 0] + other.joint_anchor_b[0, 0], ROOM_SIZE - 2.0, atol=1e-5)
