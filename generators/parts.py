"""What several kinds of levels are made of: where there is room, targets, obstacles, walls with gaps, physics."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import Level
from kinetix_ued.world.constants import FLOOR_HEIGHT, MOTOR_BINDINGS, ROOM_SIZE, THRUSTER_BINDINGS

from .draws import Draw
from .permute import permute_slots
from .physics import PhysicsRanges, vary_physics
from .roles import BLUE, RED
from .scene import Body, Either, Number, Point, Scene, mirrored
from .triangles import cut_corners

CLEARANCE = 0.06
"""Least distance between things that are placed by ``Space.place`` [m]."""

TRIES = 16
"""Places that ``Space.place`` looks at."""

ELSEWHERE = 4
"""How many of them are anywhere in the room, where it may be there."""

PLACE_DRAWS = 2 * TRIES
"""Uniform numbers that ``Space.place`` uses."""

NOWHERE = np.array([0.0, 0.0, -100.0, -100.0], np.float32)
"""Centre and half sides [m] of a box that is not there: no place is near it."""

ROOM_BOX = ((0.0, FLOOR_HEIGHT), (ROOM_SIZE, ROOM_SIZE))
"""Lower left and upper right corner of the room's inside [m]."""

MILD = PhysicsRanges(
    gravity=(-13.0, -5.0),
    normal_gravity_chance=0.85,
    zero_gravity_chance=0.03,
    friction=(0.4, 1.4),
    density=(0.5, 2.0),
    restitution=(0.0, 0.4),
)
"""Physics of the levels of these kinds that are not in usual physics."""


class Place(NamedTuple):
    """Where a thing goes, or went.

    Attributes:
        centre: [m]
        scale: at most 1, by which its size is multiplied to fit
        found: there was room for it () bool
        body: that is there, where one is
    """

    centre: Point
    scale: jax.Array
    found: jax.Array
    body: Body | None = None


class Space:
    """Which parts of the room are taken, as boxes along its axes."""

    def __init__(self) -> None:
        self._boxes: list[jax.Array] = []  # of each the centre and half sides (4)

    def take(self, centre: Point, half: Point, when: bool | jax.Array = True) -> None:
        """Keep everything placed later out of a box with half sides ``half`` [m], where ``when`` holds."""
        box = jnp.stack([jnp.float32(v) for v in (*centre, *half)])
        self._boxes.append(box if when is True else jnp.where(when, box, NOWHERE))

    def take_line(self, a: Point, b: Point, margin: Number, when: bool | jax.Array = True) -> None:
        """Keep everything placed later out of the box about a line, widened by ``margin`` [m], where ``when`` holds."""
        half = jnp.abs(a[0] - b[0]) / 2 + margin, jnp.abs(a[1] - b[1]) / 2 + margin
        self.take(((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), half, when)

    def fitting(self, x: jax.Array, y: jax.Array, half: Point, grounded: bool | jax.Array = False) -> jax.Array:
        """Greatest scales (n), above 1 too, at which boxes with half sides ``half`` at ``x``, ``y`` (n) meet nothing.

        Two boxes are apart where they are apart along one axis, so the greater of two scales is allowed. Boxes shrink
        about their centres, or towards the floor where ``grounded``.
        """
        if not self._boxes:
            return jnp.full_like(x, np.inf)
        taken = jnp.stack(self._boxes)
        along = lambda at, axis: (jnp.abs(at[:, None] - taken[:, axis]) - taken[:, 2 + axis] - CLEARANCE) / half[axis]
        below = (taken[:, 1] - taken[:, 3] - CLEARANCE - FLOOR_HEIGHT) / (2 * half[1])
        return jnp.min(jnp.maximum(along(x, 0), jnp.where(grounded, below, along(y, 1))), axis=1)

    def place(
        self,
        draw: Draw,
        half: Point,
        low: Point = ROOM_BOX[0],
        high: Point = ROOM_BOX[1],
        *,
        grounded: bool | jax.Array = False,
        least: float = 0.4,
        elsewhere: bool = False,
    ) -> Place:
        """A place for a box, drawn within a region; the first of several that is free, or where most of it fits.

        Args:
            draw: PLACE_DRAWS uniform numbers.
            half: half sides of the box [m].
            low, high: corners of the region [m].
            grounded: it stands on the floor.
            least: smallest scale at which it is worth placing.
            elsewhere: where the region is full it may be anywhere in the room.
        """
        u = draw.several(PLACE_DRAWS).reshape(2, TRIES)
        if elsewhere:
            last = np.arange(TRIES) >= TRIES - ELSEWHERE
            low, high = (
                tuple(jnp.where(last, room, own) for room, own in zip(*corners, strict=True))
                for corners in ((ROOM_BOX[0], low), (ROOM_BOX[1], high))
            )

        def within(u: jax.Array, axis: int) -> jax.Array:
            middle, free = (low[axis] + high[axis]) / 2, jnp.maximum(high[axis] - low[axis] - 2 * half[axis], 0.0)
            return middle + (u - 0.5) * free

        x, y = within(u[0], 0), jnp.where(grounded, FLOOR_HEIGHT + half[1], within(u[1], 1))
        edge = lambda at, axis: jnp.minimum(at - low[axis], high[axis] - at) / half[axis]
        scale = jnp.minimum(self.fitting(x, y, half, grounded), jnp.where(grounded, 1.0, edge(y, 1)))
        scale = jnp.minimum(jnp.minimum(scale, edge(x, 0)), 1.0)
        best = jnp.argmax(jnp.where(scale >= 0.999, 1.0, scale))
        x, y, scale = jnp.stack([x, y, scale])[:, best]
        found, scale = scale >= least, jnp.maximum(scale, least)
        return Place((x, jnp.where(grounded, FLOOR_HEIGHT + half[1] * scale, y)), scale, found)


def shape(
    scene: Scene, round_one: bool | jax.Array, centre: Point, half: Point, rotation: Number = 0.0, **options: Any
) -> Body:
    """A rectangle, or a circle with its smaller half side as the radius; a slot of either kind, as far as there are.

    Args:
        scene: takes it.
        round_one: a circle. Where the scene has no slot of one kind, it is of the other.
        centre: of the shape [m].
        half: half sides [m].
        rotation: of a rectangle [rad].
        options: those of ``Scene._add``.
    """
    when = options.pop("when", True)
    if isinstance(round_one, bool):
        round_one = jnp.array(round_one)
    if not scene.left("circle"):
        return scene.rectangle(centre, 2 * half[0], 2 * half[1], rotation, when=when, **options)
    radius = jnp.minimum(half[0], half[1])
    if not scene.left("polygon"):
        return scene.circle(centre, radius, when=when, **options)
    circle = scene.circle(centre, radius, when=when & round_one, **options)
    box = scene.rectangle(centre, 2 * half[0], 2 * half[1], rotation, when=when & ~round_one, **options)
    return Either(round_one, circle, box)


def target(
    scene: Scene,
    space: Space,
    draw: Draw,
    low: Point = ROOM_BOX[0],
    high: Point = ROOM_BOX[1],
    *,
    radius: tuple[float, float] = (0.08, 0.35),
    box_chance: float = 0.35,
    grounded_chance: float = 0.25,
    may_be_box: bool = True,
) -> Place:
    """The blue target, fixed, somewhere in a region: a ball, a bar, a pad or a post. Needs a circle.

    Args:
        scene, space: take it.
        draw: uniform numbers, 4 beside PLACE_DRAWS.
        low, high: corners of the region [m].
        radius: range of radii, with uniform logarithm [m].
        box_chance: probability of a rectangle, where a polygon is left.
        grounded_chance: probability that it stands on the floor.
        may_be_box: there is a polygon to spare.
    """
    size, flat = draw.log_between(radius), draw.log_between((0.25, 4.0))
    round_one, grounded = ~draw.chance(box_chance), draw.chance(grounded_chance)
    may_be_box = may_be_box and scene.left("polygon") > 0
    stretch = jnp.sqrt(jnp.where(round_one | (not may_be_box), 1.0, flat))
    half = size * stretch, size / stretch
    place = space.place(draw, half, low, high, grounded=grounded, least=0.3, elsewhere=True)
    half = half[0] * place.scale, half[1] * place.scale
    if may_be_box:
        body = shape(scene, round_one, place.centre, half, role=BLUE, fixed=True)
    else:
        body = scene.circle(place.centre, half[0], role=BLUE, fixed=True)
    space.take(place.centre, half)
    return place._replace(body=body)


def clutter(
    scene: Scene,
    space: Space,
    draw: Draw,
    kind: str,
    low: Point = ROOM_BOX[0],
    high: Point = ROOM_BOX[1],
    *,
    chance: float = 0.5,
    red_chance: float = 0.4,
    free_chance: float = 0.3,
    size: tuple[float, float] = (0.06, 0.4),
    when: bool | jax.Array = True,
) -> tuple[int, jax.Array]:
    """One more shape somewhere, of no use: a fixed or loose one, perhaps red; there is none where there is no room.

    Args:
        scene, space: take it.
        draw: uniform numbers, 8 beside PLACE_DRAWS.
        kind: ``polygon`` or ``circle``; needs a slot of that kind.
        low, high: corners of the region [m].
        chance: probability of it.
        red_chance: probability that it is red.
        free_chance: probability that it can move; then it stands on the floor.
        size: range of half its length, with uniform logarithm [m].
        when: otherwise there is none.

    Returns:
        Its slot, and whether it is there and fixed () bool.
    """
    there, red, free = draw.chance(chance) & when, draw.chance(red_chance), draw.chance(free_chance)
    long, flat, turn = draw.log_between(size), draw.log_between((0.15, 1.0)), draw.between((-1.57, 1.57))
    turn = jnp.where(draw.chance(0.5), 0.0, turn)
    upright = draw.chance(0.5)
    turn = jnp.where(free, 0.0, turn)
    role = jnp.where(red, RED, 0)
    if kind == "circle":
        place = space.place(draw, (long, long), low, high, grounded=free)
        half = long * place.scale, long * place.scale
        slot = scene.circle(place.centre, half[0], role=role, fixed=~free, when=there & place.found)
    else:
        half = jnp.where(upright, long * flat, long), jnp.where(upright, long, long * flat)
        box = bound(half, turn)
        place = space.place(draw, box, low, high, grounded=free)
        half = half[0] * place.scale, half[1] * place.scale
        slot = scene.rectangle(
            place.centre, 2 * half[0], 2 * half[1], turn, role=role, fixed=~free, when=there & place.found
        )
        half = box[0] * place.scale, box[1] * place.scale
    there &= place.found
    space.take(place.centre, half, there)
    return slot, there & ~free


def exchange_roles(scene: Scene, a: int, b: int, when: jax.Array) -> None:
    """Exchange the roles of two bodies of a scene."""
    old = scene.bodies[a]["role"], scene.bodies[b]["role"]
    scene.bodies[a]["role"], scene.bodies[b]["role"] = jnp.where(when, old[1], old[0]), jnp.where(when, old[0], old[1])


def couple(scene: Scene, first_round: jax.Array, first: dict, second: dict) -> tuple[Either, Either]:
    """Two bodies, one of them a ball and one a rectangle, in one slot of each kind.

    Args:
        scene: takes them.
        first_round: the first is the ball () bool.
        first, second: ``centre``, ``half``, and what ``shape`` takes besides; a ball's radius is the smaller half side.
    """
    usual = {"rotation": 0.0, "role": 0, "fixed": False, "when": True}
    pick = lambda choice: jax.tree.map(lambda a, b: jnp.where(choice, a, b), usual | first, usual | second)
    ball, box = pick(first_round), pick(~first_round)
    ball.pop("rotation")
    circle = scene.circle(ball.pop("centre"), jnp.minimum(*ball.pop("half")), **ball)
    half = box.pop("half")
    rectangle = scene.rectangle(box.pop("centre"), 2 * half[0], 2 * half[1], box.pop("rotation"), **box)
    return Either(first_round, circle, rectangle), Either(first_round, rectangle, circle)


def add(a: Point, b: Point) -> Point:
    """The sum of two points."""
    return a[0] + b[0], a[1] + b[1]


def rotated(point: Point, angle: Number) -> Point:
    """A point turned about the origin, counter-clockwise."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return cos * point[0] - sin * point[1], sin * point[0] + cos * point[1]


def bound(half: Point, rotation: Number) -> Point:
    """Half sides of the box along the room's axes about a rectangle that is turned."""
    cos, sin = jnp.abs(jnp.cos(rotation)), jnp.abs(jnp.sin(rotation))
    return half[0] * cos + half[1] * sin, half[0] * sin + half[1] * cos


def bar(
    scene: Scene,
    space: Space,
    start: Point,
    end: Point,
    *,
    role: int | jax.Array = 0,
    when: bool | jax.Array = True,
) -> None:
    """A fixed rectangle between two opposite corners, there where it is longer than 2 cm in both directions."""
    centre = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    half = jnp.abs(end[0] - start[0]) / 2, jnp.abs(end[1] - start[1]) / 2
    there = jnp.minimum(*half) > 0.01
    there &= when
    scene.rectangle(centre, *(2 * jnp.maximum(h, 0.005) for h in half), role=role, fixed=True, when=there)
    space.take(centre, half, there)


def barrier(
    scene: Scene,
    space: Space,
    *,
    upright: jax.Array,
    at: jax.Array,
    gap: jax.Array,
    width: jax.Array,
    thickness: jax.Array,
    role: int | jax.Array = 0,
    when: bool | jax.Array = True,
    sides: int = 2,
) -> None:
    """A wall across the room with a gap: two fixed rectangles, one where the gap is at an end.

    Args:
        scene, space: take them.
        upright: the wall stands; otherwise it lies.
        at: its middle, along the axis that it crosses [m].
        gap: the gap's middle, along the other axis [m].
        width: of the gap [m].
        thickness: of the wall [m].
        role: of both rectangles.
        when: otherwise there is none.
        sides: polygons to use: 2, or 1 for the longer side alone.
    """
    first = jnp.where(upright, FLOOR_HEIGHT, 0.0)
    parts = [(first, gap - width / 2), (gap + width / 2, jnp.float32(ROOM_SIZE))]
    if sides == 1:
        longer = parts[0][1] - parts[0][0] > parts[1][1] - parts[1][0]
        parts = [tuple(jnp.where(longer, a, b) for a, b in zip(*parts, strict=True))]
    for near, far in parts:
        far = jnp.maximum(far, near)
        swap = lambda along, across: (jnp.where(upright, across, along), jnp.where(upright, along, across))
        bar(scene, space, swap(near, at - thickness / 2), swap(far, at + thickness / 2), role=role, when=when)


def motor(
    draw: Draw,
    speed: tuple[float, float] = (0.2, 3.0),
    power: tuple[float, float] = (0.3, 3.0),
) -> dict[str, jax.Array]:
    """A motor of any speed and power within ranges, with uniform logarithm, on any channel; 3 uniform numbers."""
    return {"speed": draw.log_between(speed), "power": draw.log_between(power), "binding": draw.one_of(MOTOR_BINDINGS)}


def thruster_channels(draw: Draw, shared_chance: float = 0.12) -> tuple[jax.Array, jax.Array]:
    """Channels of two thrusters, mostly different ones; 2 uniform numbers."""
    first = draw.one_of(THRUSTER_BINDINGS)
    return first, jnp.where(draw.chance(shared_chance), first, (first + 1) % THRUSTER_BINDINGS)


def finish(key: jax.Array, level: Level, *, triangle_chance: float = 0.0, physics_chance: float = 0.4) -> Level:
    """``level`` mirrored half the time, in random slots, in other physics sometimes, some of its shapes triangles.

    Args:
        key: of the random numbers.
        level: at rest.
        triangle_chance: probability that corners of rectangles are cut off, each with probability a half.
        physics_chance: probability of gravity, friction, density and restitution drawn from MILD.
    """
    key_slots, key_physics, key_draw = jax.random.split(key, 3)
    polygons = level.size.polygons
    draw = Draw(key_draw, 3 + 2 * polygons)
    level = mirrored(level, draw.chance(0.5))
    if triangle_chance:
        cut = draw.chance(triangle_chance) & (draw.several(polygons) < 0.5) & (level.role[:polygons] != BLUE)
        level = cut_corners(level, cut, draw.several(polygons))
    changed, other = draw.chance(physics_chance), vary_physics(key_physics, level, MILD)
    level = jax.tree.map(lambda new, old: jnp.where(changed, new, old), other, level)
    return permute_slots(key_slots, level)
