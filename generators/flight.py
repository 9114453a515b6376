"""Flight: a green craft with thrusters, walls with gaps and obstacles about it, a blue target anywhere."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.levels.builder import require_slots
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, ROOM_SIZE

from .checks import check_chances, check_ranges, check_shares
from .draws import Draw, between
from .parts import (
    PLACE_DRAWS,
    ROOM_BOX,
    Space,
    add,
    barrier,
    clutter,
    couple,
    exchange_roles,
    finish,
    motor,
    rotated,
    target,
    thruster_channels,
)
from .roles import GREEN, RED
from .scene import Body, Either, Point, Scene

DRAWS = 120 + 5 * (PLACE_DRAWS + 10)
"""Uniform numbers that a level uses at most."""

UP, RIGHT, LEFT = math.pi / 2, 0.0, math.pi

LAYOUTS = np.array(
    [
        [[-0.8, -1.0, UP], [0.8, -1.0, UP]],  # a pair that lifts and tilts
        [[0.0, -1.0, UP], [-1.0, 0.0, RIGHT]],  # lift and push
        [[0.0, -1.0, UP], [0.7, 0.9, LEFT]],  # lift and a turner on top
        [[-1.0, 0.0, RIGHT], [1.0, 0.0, LEFT]],  # one to either side
        [[-0.8, -0.8, 0.9], [0.8, -0.8, math.pi - 0.9]],  # a slanting pair
        [[-1.0, 0.7, RIGHT], [-1.0, -0.7, RIGHT]],  # a pair at the tail
        [[0.0, -1.0, UP], [0.0, 1.0, -UP]],  # up and down
    ],
    np.float32,
)
"""Ways to mount two thrusters: of each the point on the hull, in its half sides, and its force's direction [rad]."""


@dataclasses.dataclass(frozen=True)
class FlightLevels:
    """Parameters of flight levels.

    Raises:
        ValueError: for a probability outside [0, 1], shares that do not sum to 1, or a range with swapped ends or
            beyond what the room holds.
    """

    hull_size: tuple[float, float] = (0.09, 0.4)
    """Range of half the hull's length, with uniform logarithm [m]."""
    round_chance: float = 0.3
    """Probability of a ball as the hull."""
    mate_shares: tuple[float, float, float, float] = (0.4, 0.3, 0.15, 0.15)
    """Probabilities of what the second body of a craft is: none, an engine turned by a motor, a rigid part, a load
    that hangs on a joint without motor."""
    green_mate_chance: float = 0.35
    """Probability that a rigid part or load is the green body instead of the hull."""
    lift: tuple[float, float] = (1.1, 3.0)
    """Range of the thrusters' force in weights of the craft, all together, with uniform logarithm."""
    weak_chance: float = 0.12
    """Probability of thrusters that cannot lift the craft: a share of its weight between 0.4 and 1."""
    aimed_chance: float = 0.5
    """Probability that a single thruster is aimed so that it brings the craft to the target; half of it for the first
    of two."""
    mounted_at_random_chance: float = 0.2
    """Probability of thrusters anywhere on the hull, in any direction."""
    shared_binding_chance: float = 0.12
    """Probability that two thrusters listen to one channel."""
    grounded_chance: float = 0.35
    """Probability that the craft stands on the floor at the start; otherwise it begins in mid-air."""
    tilted_chance: float = 0.3
    """Probability that a craft in mid-air begins at any angle."""

    wall_shares: tuple[float, float, float] = (0.35, 0.4, 0.25)
    """Probabilities of no wall, one, and two across the room, where there are polygons for them."""
    upright_chance: float = 0.55
    """Probability that walls stand; otherwise they lie, like floors of a house."""
    gap_width: tuple[float, float] = (1.3, 5.0)
    """Range of the width of a wall's gap in lengths of the craft, with uniform logarithm."""
    thickness: tuple[float, float] = (0.06, 0.5)
    """Range of thicknesses of walls, with uniform logarithm [m]."""
    red_wall_chance: float = 0.3
    """Probability that a wall is red."""
    red_floor_chance: float = 0.3
    """Probability of a red floor below a craft that begins in mid-air."""
    clutter_chance: float = 0.55
    """Probability of a further shape in each slot that is left for it."""
    target_radius: tuple[float, float] = (0.08, 0.35)
    """Range of the target's radius, with uniform logarithm [m]."""

    def __post_init__(self):
        check_chances(self, *(field.name for field in dataclasses.fields(self) if field.name.endswith("_chance")))
        check_shares(self.mate_shares, "mate_shares", 4)
        check_shares(self.wall_shares, "wall_shares", 3)
        check_ranges(self, "hull_size", "target_radius", low=0.03, high=0.6)
        check_ranges(self, "thickness", low=0.03, high=0.8)
        check_ranges(self, "lift", low=0.1, high=20.0)
        check_ranges(self, "gap_width", low=1.05, high=20.0)


DEFAULT = FlightLevels()
"""What ``flight_level`` samples where nothing else is asked for."""


def flight_level(key: jax.Array, size: str | Size = "l", parameters: FlightLevels = DEFAULT) -> Level:
    """One level with a craft that flies; traceable, with ``size`` and ``parameters`` static.

    The craft is a box or a ball, alone or with a second body. Sizes with seven polygons or more have walls across the
    room, behind which the target is; in smaller ones a bar stands or hangs in the way.

    Args:
        key: of the random numbers.
        size: with a polygon and two circles; ``s`` suffices.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size, or one too small.
    """
    size, p = size_of(size), parameters
    require_slots(size, shapes=1, circles=2, what="a craft")
    key, key_finish = jax.random.split(key)
    draw, scene, space = Draw(key, DRAWS), Scene(size), Space()

    round_hull, mate = draw.chance(p.round_chance), draw.by_weight(p.mate_shares)
    half, second = _proportions(draw, round_hull, mate, p)
    reach = jnp.hypot(*half)
    reach = jnp.where(mate > 0, jnp.maximum(reach, jnp.hypot(*second.offset) + jnp.hypot(*second.half)), reach)
    start, end = _walls(scene, space, draw, reach, p)
    grounded = draw.chance(p.grounded_chance)
    place = space.place(draw, (reach, reach), *start, grounded=grounded)
    shrunk = lambda point: (point[0] * place.scale, point[1] * place.scale)
    half, second, reach = shrunk(half), Second(*map(shrunk, second)), reach * place.scale
    bottom = jnp.where(mate > 0, jnp.maximum(half[1], second.half[1] - second.offset[1]), half[1])
    centre = place.centre[0], jnp.where(grounded, FLOOR_HEIGHT + bottom, place.centre[1])
    space.take(place.centre, (reach + 0.1, reach + 0.1))

    goal = target(scene, space, draw, *end, radius=p.target_radius, may_be_box=scene.left("polygon") > 2)
    tilted = draw.chance(p.tilted_chance) & ~grounded
    turn = jnp.where(tilted, draw.between((-math.pi, math.pi)), 0.0)
    craft = _craft(scene, space, draw, round_hull, mate, centre, half, second, turn, p)
    _thrusters(scene, draw, craft, goal.centre, p)

    while scene.left("circle"):
        clutter(scene, space, draw, "circle", chance=p.clutter_chance)
    if scene.left("polygon"):
        box, there = clutter(scene, space, draw, "polygon", chance=p.clutter_chance, size=(0.1, 0.8))
        if isinstance(goal.body, int):
            exchange_roles(scene, box, goal.body, there & draw.chance(0.4))
    if scene.left("polygon"):
        clutter(scene, space, draw, "polygon", chance=p.clutter_chance, size=(0.06, 0.3))
    clear = ~grounded & (place.centre[1] - reach > FLOOR_HEIGHT + 0.15)
    red_floor = draw.chance(p.red_floor_chance) & clear
    return finish(key_finish, scene.level(jnp.where(red_floor, RED, 0)), triangle_chance=0.2)


class Second(NamedTuple):
    """The second body of a craft, in the hull's frame.

    Attributes:
        half: half sides; both the radius of a ball [m]
        offset: its centre [m]
        joint: where it is joined [m]
    """

    half: Point
    offset: Point
    joint: Point


class Craft(NamedTuple):
    """A craft in the scene.

    Attributes:
        hull, second: bodies
        kind: of the second one: 0 for none, or an obstacle, 1 an engine, 2 a rigid part, 3 a load () int32
        centre: of the hull [m]
        half: half sides of the hull [m]
        engine: half sides of the second body [m]
        engine_at: its centre [m]
        round_hull: the hull is a ball () bool
        turn: rotation of the hull [rad]
        mass: of all of it [kg]
    """

    hull: Body
    second: Body
    kind: jax.Array
    centre: Point
    half: Point
    engine: Point
    engine_at: Point
    round_hull: jax.Array
    turn: jax.Array
    mass: jax.Array


def _proportions(draw: Draw, round_hull: jax.Array, mate: jax.Array, p: FlightLevels) -> tuple[Point, Second]:
    """Half sides of the hull, and the second body, which is a box beside a ball and a ball beside a box."""
    long, flat = draw.log_between(p.hull_size), draw.log_between((0.4, 2.0))
    half = jnp.where(round_hull, long, long * jnp.sqrt(flat)), jnp.where(round_hull, long, long / jnp.sqrt(flat))
    small, thin = long * draw.log_between((0.35, 1.0)), draw.log_between((0.2, 1.0))
    load, rigid = mate == 3, mate == 2
    # A box that hangs is a rod of any length.
    tall = jnp.where(load, draw.between((0.15, 0.5)), small)
    own = jnp.where(round_hull, jnp.maximum(small * thin, 0.03), small), jnp.where(round_hull, tall, small)
    inside, around, drop = draw.chance(0.4), draw.between((-math.pi, math.pi)), draw.between((0.0, 0.6))
    below = jnp.where(load, half[1] + own[1] * (1 + drop * ~round_hull), half[1] + own[1] * 0.8)
    below = jnp.where(inside & (mate == 1), 0.0, below)
    beside = jnp.cos(around) * (half[0] + 0.8 * own[0]), jnp.sin(around) * (half[1] + 0.8 * own[1])
    offset = jnp.where(rigid, beside[0], 0.0), jnp.where(rigid, beside[1], -below)
    part = jnp.where(mate == 1, jnp.where(inside, 0.0, -half[1]), -half[1])
    joint = jnp.where(rigid, 0.6 * offset[0], 0.0), jnp.where(rigid, 0.6 * offset[1], part)
    return half, Second(own, offset, joint)


def _walls(
    scene: Scene, space: Space, draw: Draw, reach: jax.Array, p: FlightLevels
) -> tuple[tuple[Point, Point], tuple[Point, Point]]:
    """Walls across the room: the corners of the region before them, and of that behind them [m]."""
    left = scene.left("polygon")
    most = 2 if left > 6 else 1 if left > 1 else 0
    count = jnp.minimum(draw.by_weight(p.wall_shares), most)
    upright, down, anywhere = draw.chance(p.upright_chance), draw.chance(0.5), draw.chance(0.15)
    first = jnp.where(upright, 0.0, FLOOR_HEIGHT)
    height = ROOM_SIZE - first
    near, far = first + 0.1, jnp.float32(ROOM_SIZE - 0.1)
    for k in range(most):
        there, thickness = count > k, draw.log_between(p.thickness)
        thickness = jnp.where(count > 1, jnp.minimum(thickness, 0.3), thickness)
        at = jnp.where(count > 1, between(draw(), 0.22, 0.38) + 0.4 * k, between(draw(), 0.3, 0.7)) * height + first
        width = jnp.minimum(2 * reach * draw.log_between(p.gap_width), 3.0)
        begin = jnp.where(upright, FLOOR_HEIGHT, 0.0)
        place = jnp.clip(draw() * 1.6 - 0.3, 0.0, 1.0)  # the gap is at either end more often
        gap = begin + width / 2 + place * (ROOM_SIZE - begin - width)
        barrier(
            scene,
            space,
            upright=upright,
            at=at,
            gap=gap,
            width=width,
            thickness=thickness,
            role=jnp.where(draw.chance(p.red_wall_chance), RED, 0),
            when=there,
            sides=2 if left > 3 else 1,
        )
        if k == 0:
            near = jnp.where(there, at - thickness / 2, near)
        far = jnp.where(there, at + thickness / 2, far)
    walled = count > 0
    low, high = jnp.where(walled, near, ROOM_SIZE), jnp.where(walled, far, first)

    def region(begin: jax.Array, end: jax.Array) -> tuple[Point, Point]:
        across = jnp.where(upright, FLOOR_HEIGHT, 0.0)
        corner = lambda along, other: (jnp.where(upright, along, other), jnp.where(upright, other, along))
        return corner(begin, across), corner(end, jnp.float32(ROOM_SIZE))

    down &= ~upright  # the mirror swaps left and right
    before, behind = region(first, low), region(high, jnp.float32(ROOM_SIZE))
    pick = lambda choice, a, b: jax.tree.map(lambda x, y: jnp.where(choice, x, y), a, b)
    start, end = pick(down, behind, before), pick(down, before, behind)
    return start, pick(anywhere, (tuple(map(jnp.float32, ROOM_BOX[0])), tuple(map(jnp.float32, ROOM_BOX[1]))), end)


def _craft(
    scene: Scene,
    space: Space,
    draw: Draw,
    round_hull: jax.Array,
    mate: jax.Array,
    centre: Point,
    half: Point,
    second: Second,
    turn: jax.Array,
    p: FlightLevels,
) -> Craft:
    """The craft, in a polygon's slot and a circle's. Without a second body there may be an obstacle instead."""
    attached = mate > 0
    moved = lambda point: add(centre, rotated(point, turn))
    size, red = draw.log_between((0.06, 0.4)), draw.chance(0.5)
    aside = space.place(draw, (size, size))
    size *= aside.scale
    there = attached | (aside.found & draw.chance(p.clutter_chance))
    space.take(aside.centre, (size, size), there & ~attached)
    own = tuple(jnp.where(attached, a, size) for a in second.half)
    at = tuple(jnp.where(attached, a, b) for a, b in zip(moved(second.offset), aside.centre, strict=True))
    green_mate = (mate > 1) & draw.chance(p.green_mate_chance)
    hull, other = couple(
        scene,
        round_hull,
        {"centre": centre, "half": half, "rotation": turn, "role": jnp.where(green_mate, 0, GREEN)},
        {
            "centre": at,
            "half": own,
            "rotation": turn * attached,
            "role": jnp.where(attached, jnp.where(green_mate, GREEN, 0), jnp.where(red, RED, 0)),
            "fixed": ~attached,
            "when": there,
        },
    )
    limit = draw.between((0.4, 2.5))
    scene.joint(
        hull,
        other,
        moved(second.joint),
        fixed=mate == 2,
        motor=mate == 1,
        limits=(-limit, limit),
        limited=draw.chance(0.5) & (mate == 1),
        when=attached,
        **motor(draw),
    )
    area = lambda half, is_round: jnp.where(is_round, math.pi * half[0] ** 2, 4 * half[0] * half[1])
    mass = area(half, round_hull) + attached * area(own, ~round_hull)
    return Craft(hull, other, mate, centre, half, own, at, round_hull, turn, mass)


def _thrusters(scene: Scene, draw: Draw, craft: Craft, goal: Point, p: FlightLevels) -> None:
    """One or two thrusters on the craft."""
    several = scene.size.thrusters > 1
    lift = jnp.where(draw.chance(p.weak_chance), draw.between((0.4, 1.0)), draw.log_between(p.lift))
    layout, anywhere = draw.one_of(len(LAYOUTS)), draw.chance(p.mounted_at_random_chance)
    channels = thruster_channels(draw, p.shared_binding_chance)
    engine, wanted = craft.kind == 1, draw.chance(p.aimed_chance / (2 if several else 1))
    aimed, noise, spare = wanted & ~engine & ~anywhere, draw.between((-0.12, 0.12)), draw.between((1.0, 1.5))
    heading = aim(craft.centre, goal, lift) + noise
    share = jnp.array([0.5, 1.0, 1.0, 1.0, 0.6, 0.5, 1.0], jnp.float32)[layout]
    share = jnp.where(aimed | engine | (not several), 1.0, share)
    for k in range(min(2, scene.size.thrusters)):
        row = jnp.asarray(LAYOUTS)[layout, k]
        point = (
            jnp.where(anywhere, draw.between((-1.0, 1.0)), row[0]),
            jnp.where(anywhere, draw.between((-1.0, 1.0)), row[1]),
        )
        direction = jnp.where(anywhere, draw.between((-math.pi, math.pi)), row[2])
        length = jnp.where(craft.round_hull, jnp.maximum(jnp.hypot(*point), 1.0), 1.0)
        local = point[0] / length * craft.half[0], point[1] / length * craft.half[1]
        at, heading_k = add(craft.centre, rotated(local, craft.turn)), direction + craft.turn
        power = lift * share * craft.mass * 0.981
        if k == 0:
            short = jnp.minimum(*craft.half)
            behind = craft.centre[0] - short * jnp.cos(heading), craft.centre[1] - short * jnp.sin(heading)
            at = tuple(jnp.where(aimed, a, b) for a, b in zip(behind, at, strict=True))
            heading_k = jnp.where(aimed, heading, heading_k)
            power = jnp.where(aimed, power * spare, power)
        else:
            power *= draw.log_between((0.3, 1.0)) * jnp.where(layout == 2, 0.3, 1.0)
        on_engine = engine & ((k == 0) | draw.chance(0.3))
        below = add(craft.engine_at, rotated((0.0, -craft.engine[1]), craft.turn))
        at = tuple(jnp.where(on_engine, a, b) for a, b in zip(below, at, strict=True))
        heading_k = jnp.where(on_engine, UP + craft.turn, heading_k)
        # Hull and second body share a slot of each kind, so a choice of the hull's shape is one of the body.
        body = Either(craft.round_hull ^ on_engine, craft.hull.yes, craft.hull.no)
        scene.thruster(body, at, heading_k, power, binding=channels[k], when=True)


def aim(start: Point, goal: Point, lift: jax.Array) -> jax.Array:
    """Direction [rad] of a force of ``lift`` weights that takes a body at rest straight to ``goal``, against gravity.

    lift * d = s * t + up, with t the direction to the goal and d that of the force, both of length 1, gives
    s = -t_y + sqrt(t_y^2 + lift^2 - 1).
    """
    x, y = goal[0] - start[0], goal[1] - start[1]
    far = jnp.maximum(jnp.hypot(x, y), 1e-3)
    x, y = x / far, y / far
    s = jnp.maximum(-y + jnp.sqrt(jnp.maximum(y * y + lift * lift - 1.0, 0.0)), 0.0)
    return jnp.arctan2(s * y + 1.0, s * x)
