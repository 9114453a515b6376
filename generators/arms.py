"""Arms: motor joints on walls, ceiling, floor or a post, whose hand reaches for the target or pushes a ball there."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import require_slots
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, MOTOR_BINDINGS, ROOM_SIZE, STATIC_POLYGONS

from .checks import check_chances, check_ranges, check_shares
from .draws import Draw, between, permutation
from .parts import PLACE_DRAWS, Space, clutter, finish, shape
from .roles import BLUE, GREEN, RED
from .scene import CEILING, FLOOR, LEFT_WALL, Body, Either, Scene

POSES = 16
"""Poses of an arm that are looked at, to begin with and for the target."""

FEW = 5
"""Poses of which an arm that hangs has the one with the lowest end."""

DRAWS_PER_LINK = 2 * POSES + 12
"""Uniform numbers that a link uses at most."""

DRAWS = 90 + 7 * (PLACE_DRAWS + 10)
"""Uniform numbers that all else uses at most."""

MAX_LINKS = 4
"""Links of an arm at most."""

MARGIN = 0.05
"""Least distance between the ends of links and the room's surfaces, beside half their widths [m]."""


@dataclasses.dataclass(frozen=True)
class ArmLevels:
    """Parameters of levels with an arm.

    Raises:
        ValueError: for a probability outside [0, 1], shares that do not sum to 1, or a range with swapped ends or
            beyond what the room holds.
    """

    base_shares: tuple[float, float, float, float] = (0.2, 0.25, 0.15, 0.4)
    """Probabilities of the wall, the ceiling, the floor and a post as what the arm is joined to. One that pushes never
    hangs from the ceiling, and is joined to the wall where there is no slot for a post."""
    reach: tuple[float, float] = (0.4, 2.2)
    """Range of lengths of whole arms [m]; those with few links are shorter."""
    link_width: tuple[float, float] = (0.05, 0.2)
    """Range of widths of links, with uniform logarithm [m]."""
    push_chance: float = 0.35
    """Probability that the green body is a ball that the arm must push; otherwise the arm's end is green."""
    hand_chance: float = 0.35
    """Probability of a ball at the arm's end, where there are slots for it."""
    table_chance: float = 0.4
    """Probability that the ball to be pushed lies on a table, where a polygon is left."""
    limited_chance: float = 0.5
    """Probability that a joint has limits."""
    limit: tuple[float, float] = (0.4, 2.6)
    """Range of them, to either side of how the arm stands at the start [rad]."""
    motor_speed: tuple[float, float] = (0.15, 2.0)
    """Range of motor speeds, with uniform logarithm [6 rad/s]."""
    motor_power: tuple[float, float] = (0.06, 3.0)
    """Range of their powers, with uniform logarithm; below about 0.2 a motor cannot hold up its arm."""
    passive_chance: float = 0.1
    """Probability that a joint after the first has no motor."""
    shared_binding_chance: float = 0.15
    """Probability that all motors listen to one channel; otherwise each to one of its own."""
    hanging_chance: float = 0.6
    """Probability that the arm hangs more or less at the start; otherwise it stands in any pose."""
    raised_chance: float = 0.9
    """Probability that the target is above the arm's end at the start, where a pose that reaches it is found."""
    thruster_chance: float = 0.12
    """Probability of a thruster on the last link."""
    red_floor_chance: float = 0.2
    """Probability of a red floor, where the arm's end is green."""
    clutter_chance: float = 0.5
    """Probability of a further shape in each slot that is left for it."""
    target_radius: tuple[float, float] = (0.08, 0.35)
    """Range of the target's radius, with uniform logarithm [m]."""

    def __post_init__(self):
        check_chances(self, *(field.name for field in dataclasses.fields(self) if field.name.endswith("_chance")))
        check_shares(self.base_shares, "base_shares", 4)
        check_ranges(self, "reach", low=0.3, high=2.2)
        check_ranges(self, "link_width", "target_radius", low=0.03, high=0.5)
        check_ranges(self, "limit", low=0.1, high=math.pi)
        check_ranges(self, "motor_speed", "motor_power", low=1e-3)


DEFAULT = ArmLevels()
"""What ``arm_level`` samples where nothing else is asked for."""


def arm_level(key: jax.Array, size: str | Size = "l", parameters: ArmLevels = DEFAULT) -> Level:
    """One level with an arm; traceable, with ``size`` and ``parameters`` static.

    The target is where the end of the arm comes in some pose within the limits of its joints, or just beyond it.

    Args:
        key: of the random numbers.
        size: with a polygon, two circles and a joint; ``s`` has one link, ``m`` two, ``l`` up to four.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size, or one too small.
    """
    size, p = size_of(size), parameters
    require_slots(size, shapes=1, circles=2, joints=1, what="an arm")
    key, key_finish = jax.random.split(key)
    most = min(MAX_LINKS, size.polygons - STATIC_POLYGONS, size.joints)
    draw, scene, space = Draw(key, DRAWS + DRAWS_PER_LINK * most), Scene(size), Space()
    arm = _pose(draw, most, draw.chance(p.push_chance), size.circles > 2, p)
    alone = (arm.base == 3) & (size.circles == 2)  # the post is in the slot of the ball
    slots, last = _links(scene, space, draw, arm, p)

    # A ball: at the arm's end, to be pushed, or in the way.
    pushes = arm.pushes
    handed = draw.chance(p.hand_chance) & ~pushes & (size.joints > most)
    radius, tip = draw.log_between((0.06, 0.22)), (arm.x[-1], arm.y[-1])
    across = jnp.maximum(arm.reach - 0.1, 0.2)
    table = draw.chance(p.table_chance) & pushes & (scene.left("polygon") > 1)
    top = draw.log_between((0.15, 0.6)), draw.between((0.1, 0.7))
    lying = jnp.where(table, jnp.maximum(top[0], radius), radius), jnp.where(table, top[1] + radius, radius)
    near = jnp.clip(arm.x[0] - across, 0.0, 3.5), jnp.float32(FLOOR_HEIGHT)
    place = space.place(
        draw, lying, near, (jnp.minimum(arm.x[0] + across, ROOM_SIZE), jnp.float32(ROOM_SIZE)), grounded=pushes
    )
    pushes, table = pushes & place.found, table & place.found
    edge = functools.reduce(jnp.minimum, (tip[0], ROOM_SIZE - tip[0], tip[1] - FLOOR_HEIGHT, ROOM_SIZE - tip[1]))
    radius = jnp.where(handed, jnp.minimum(radius, edge - 0.01), radius * place.scale)
    half = top[0] * place.scale, top[1] * place.scale
    if scene.left("polygon") > 1:
        middle = place.centre[0], FLOOR_HEIGHT + half[1]
        scene.rectangle(middle, 2 * half[0], 2 * half[1], fixed=True, when=table)
        space.take(middle, half, table)
    resting = place.centre[0], jnp.where(table, FLOOR_HEIGHT + 2 * half[1] + radius, place.centre[1])
    at = tuple(jnp.where(handed, a, b) for a, b in zip(tip, resting, strict=True))
    at = jnp.where(alone, arm.x[0], at[0]), jnp.where(alone, arm.y[0], at[1])
    spare = alone | (draw.chance(p.clutter_chance) & ~handed & ~pushes & place.found)
    red = draw.chance(0.5) & ~alone
    ball = scene.circle(
        at,
        radius,
        role=jnp.where(handed | pushes, GREEN, jnp.where(red, RED, 0)),
        fixed=spare,
        when=handed | pushes | spare,
    )
    space.take(at, (radius, radius), handed | pushes | spare)
    space.take(at, (radius + 0.2, radius + 0.1), pushes)
    if size.joints > most:
        scene.joint(last, ball, tip, fixed=True, when=handed)
    for k, slot in enumerate(slots):
        scene.bodies[slot]["role"] = jnp.where((arm.count == k + 1) & ~handed & ~pushes, GREEN, 0)

    _target(scene, space, draw, arm, pushes, p)
    while scene.left("circle"):
        clutter(scene, space, draw, "circle", chance=p.clutter_chance)
    if scene.left("polygon"):
        clutter(scene, space, draw, "polygon", chance=p.clutter_chance, size=(0.08, 0.7))
    # Green falls; on a red floor it should have time to be caught.
    red_floor = draw.chance(p.red_floor_chance) & ~pushes & (jnp.min(arm.y) > FLOOR_HEIGHT + 0.3)
    return finish(key_finish, scene.level(jnp.where(red_floor, RED, 0)), triangle_chance=0.1)


class Arm(NamedTuple):
    """An arm of n links as it is to stand at the start.

    Attributes:
        base: what it is joined to: 0 for the wall, 1 the ceiling, 2 the floor, 3 a post () int32
        x, y: of the base and the ends of links; a link that is not there ends where it begins [m] (n + 1)
        angle: direction of each link [rad] (n)
        length: of each, from joint to joint [m] (n)
        width: of all [m]
        count: links that are there () int32
        low, high: how far each joint turns to either side [rad] (n)
        limited: which joints have limits (n) bool
        pushes: its green body is a ball to be pushed () bool
        reach: length of all links together [m]
    """

    base: jax.Array
    x: jax.Array
    y: jax.Array
    angle: jax.Array
    length: jax.Array
    width: jax.Array
    count: jax.Array
    low: jax.Array
    high: jax.Array
    limited: jax.Array
    pushes: jax.Array
    reach: jax.Array


def _pose(draw: Draw, most: int, pushes: jax.Array, post: bool, p: ArmLevels) -> Arm:
    """The base, links and joints of an arm with up to ``most`` links, and a pose within the room."""
    count = 1 + draw.one_of(most)
    width, share = draw.log_between(p.link_width), draw.between((0.0, 1.0))
    longest = jnp.minimum(p.reach[1], 0.5 + 0.8 * count.astype(jnp.float32))
    reach = between(share, p.reach[0], jnp.maximum(longest, p.reach[0]))
    there = jnp.arange(most) < count
    weight = jnp.where(there, between(draw.several(most), 0.6, 1.4), 0.0)
    length = reach * weight / jnp.sum(weight)

    base = draw.by_weight(p.base_shares)
    base = jnp.where(pushes & (base == 1), 3, base)
    base = jnp.where(pushes & (base == 3) & (not post), 0, base)
    x, y = draw.between((0.6, ROOM_SIZE - 0.6)), draw.between((FLOOR_HEIGHT + 0.5, ROOM_SIZE - 0.5))
    y = jnp.where(pushes, jnp.minimum(y, FLOOR_HEIGHT + jnp.maximum(0.85 * reach, 0.3)), y)
    x = jnp.where(base == 0, 0.0, x)
    y = jnp.where(base == 1, ROOM_SIZE, jnp.where(base == 2, FLOOR_HEIGHT, y))

    # Poses at random, and one that is straight and fits for certain.
    turns = draw.several(POSES * most).reshape(POSES, most) - 0.5
    turns *= jnp.where(jnp.arange(most) == 0, 2 * math.pi, 3.6)
    sure = jnp.where(base == 1, -math.pi / 2, jnp.where(base == 2, math.pi / 2, math.pi * (x > ROOM_SIZE / 2)))
    turns = turns.at[-1].set(jnp.where(jnp.arange(most) == 0, sure, 0.0))
    angles = turns @ jnp.triu(jnp.ones((most, most), jnp.float32))
    ends = _ends(x, y, angles, length)
    edge = MARGIN + width / 2
    inside = lambda v, low: jnp.all((v >= low + edge) & (v <= ROOM_SIZE - edge), axis=1)
    fits = inside(ends[0][:, 1:], 0.0) & inside(ends[1][:, 1:], FLOOR_HEIGHT)
    # One that hangs is the lowest of the first few.
    low_end = (ROOM_SIZE - ends[1][:, -1]) / ROOM_SIZE * (jnp.arange(POSES) < FEW) * draw.chance(p.hanging_chance)
    best = jnp.argmax(fits.at[-1].set(True) * (1.0 + low_end))

    limited = draw.several(most) < p.limited_chance
    low, high = (jnp.where(limited, between(draw.several(most), *p.limit), math.pi) for _ in range(2))
    return Arm(
        base, ends[0][best], ends[1][best], angles[best], length, width, count, low, high, limited, pushes, reach
    )


def _ends(x: jax.Array, y: jax.Array, angles: jax.Array, length: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Coordinates of base and ends of links (poses, n + 1) for directions ``angles`` (poses, n) [m]."""
    total = jnp.triu(jnp.ones((length.shape[0],) * 2, jnp.float32))
    begin = jnp.zeros((angles.shape[0], 1), jnp.float32)
    along = lambda start, step: start + jnp.concatenate([begin, (step * length) @ total], axis=1)
    return along(x, jnp.cos(angles)), along(y, jnp.sin(angles))


def _links(scene: Scene, space: Space, draw: Draw, arm: Arm, p: ArmLevels) -> tuple[list[int], Body]:
    """Base and links of the arm: the links' slots, and the last link that is there."""
    parent: Body = Either(arm.base == 0, LEFT_WALL, Either(arm.base == 1, CEILING, FLOOR))
    most, point = arm.angle.shape[0], (arm.x[0], arm.y[0])
    if scene.left("circle") > 2:
        half = draw.log_between((0.05, 0.22)), draw.log_between((0.05, 0.4))
        round_one, there = draw.chance(0.6), arm.base == 3
        if scene.left("polygon") > most + 3:
            post = shape(scene, round_one, point, half, fixed=True, when=there)
        else:
            post = scene.circle(point, jnp.minimum(*half), fixed=True, when=there)
        space.take(point, half, there)
        parent = Either(there, post, parent)
    else:
        parent = Either(arm.base == 3, scene.size.polygons, parent)
    speed, power = draw.log_between(p.motor_speed), draw.log_between(p.motor_power)
    shared, channels = draw.chance(p.shared_binding_chance), permutation(draw.several(MOTOR_BINDINGS))
    slots: list[int] = []
    for k in range(most):
        there, begin, end = arm.count > k, (arm.x[k], arm.y[k]), (arm.x[k + 1], arm.y[k + 1])
        middle = (begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2
        slot = scene.rectangle(
            middle, jnp.maximum(arm.length[k], 0.05) + arm.width, arm.width, arm.angle[k], when=there
        )
        own = {"speed": speed * draw.between((0.7, 1.4)), "power": power * draw.between((0.7, 1.4))}
        own["binding"] = jnp.where(shared, channels[0], channels[k % MOTOR_BINDINGS])
        scene.joint(
            parent,
            slot,
            begin,
            motor=(k == 0) | ~draw.chance(p.passive_chance),
            limits=(-arm.low[k], arm.high[k]),
            limited=arm.limited[k],
            when=there,
            **own,
        )
        half = (begin[0] + middle[0]) / 2, (begin[1] + middle[1]) / 2
        for a, b in ((begin, half), (half, middle), (middle, end)):
            space.take_line(a, b, 0.72 * arm.width + 0.02, there)
        slots.append(slot)
        parent = slot
    last: Body = slots[0]
    for k in range(1, most):
        last = Either(arm.count > k, slots[k], last)
    mass, turn = arm.reach * arm.width, arm.angle[-1] + draw.sign() * math.pi / 2
    turn = jnp.where(draw.chance(0.3), arm.angle[-1], turn)
    # Inactive links have the direction that they would have, so the last one's is looked up.
    turn += jnp.sum(jnp.where(jnp.arange(most) == arm.count - 1, arm.angle, 0.0)) - arm.angle[-1]
    at = (arm.x[-1], arm.y[-1])
    scene.thruster(
        last,
        at,
        turn,
        mass * draw.log_between((0.5, 3.0)),
        binding=draw.one_of(2),
        when=draw.chance(p.thruster_chance),
    )
    return slots, last


def _target(scene: Scene, space: Space, draw: Draw, arm: Arm, pushes: jax.Array, p: ArmLevels) -> None:
    """The target: where the arm's end comes in another pose, or anywhere low for a ball that is pushed."""
    most = arm.angle.shape[0]
    size, flat, round_one = draw.log_between(p.target_radius), draw.log_between((0.25, 4.0)), draw.chance(0.65)
    boxes = scene.left("polygon") > 1
    stretch = jnp.where(round_one | (not boxes), 1.0, jnp.sqrt(flat))
    half = size * stretch, size / stretch
    low = (0.0, FLOOR_HEIGHT)
    top = jnp.where(draw.chance(0.7), FLOOR_HEIGHT + 1.0, ROOM_SIZE)
    thrown = space.place(
        draw, half, low, (jnp.float32(ROOM_SIZE), top), grounded=draw.chance(0.6), least=0.3, elsewhere=True
    )

    u = draw.several(POSES * most).reshape(POSES, most)
    turned = (between(u, -arm.low, arm.high)) @ jnp.triu(jnp.ones((most, most), jnp.float32))
    x, y = (ends[:, -1] for ends in _ends(arm.x[0], arm.y[0], arm.angle + turned, arm.length))
    # The end comes to the target's middle or just touches it.
    beyond = draw.between((0.0, 1.1)) * jnp.minimum(*half)
    far = jnp.maximum(jnp.hypot(x - arm.x[0], y - arm.y[0]), 0.1)
    x, y = x + beyond * (x - arm.x[0]) / far, y + beyond * (y - arm.y[0]) / far
    scale = jnp.minimum(space.fitting(x, y, half), 1.0)
    for at, lowest, axis in ((x, 0.0, 0), (y, FLOOR_HEIGHT, 1)):
        scale = jnp.minimum(scale, jnp.minimum(at - lowest, ROOM_SIZE - at) / half[axis])
    # An arm that falls comes to what is below it, so the target is mostly higher up.
    raised = (y > arm.y[-1] + half[1] + 0.05) & draw.chance(p.raised_chance)
    best = jnp.argmax(jnp.where(scale >= 0.999, 1.0, scale) + (raised & (scale >= 0.3)))
    pushes |= scale[best] < 0.3  # no pose is free: the target is somewhere
    scale = jnp.where(pushes, thrown.scale, jnp.clip(scale[best], 0.3, 1.0))
    centre = jnp.where(pushes, thrown.centre[0], x[best]), jnp.where(pushes, thrown.centre[1], y[best])
    half = half[0] * scale, half[1] * scale
    if boxes:
        shape(scene, round_one, centre, half, role=BLUE, fixed=True)
    else:
        scene.circle(centre, half[0], role=BLUE, fixed=True)
    space.take(centre, half)
