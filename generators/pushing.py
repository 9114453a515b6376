"""Stacking and pushing: a green object to be brought to a blue goal, by a thruster-driven block or a jointed arm."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import require_slots
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, MOTOR_BINDINGS, ROOM_SIZE, STATIC_POLYGONS, THRUSTER_BINDINGS

from .checks import check_chances, check_ranges
from .draws import between, one_of, uniform
from .permute import permute_slots
from .roles import BLUE, GREEN, RED
from .scene import LEFT_WALL, Number, Scene, mirrored

DRAWS_PER_PART = 8
"""Uniform numbers that a box or a link uses at most."""

DRAWS = 40
"""Uniform numbers that all else uses at most."""

MAX_LINKS = 3
"""Links of an arm at most."""

CLEARANCE = 0.1
"""Least distance between things that do not rest on each other [m]."""

Draws = Iterator[jax.Array]
"""Uniform numbers () in [0, 1)."""


@dataclasses.dataclass(frozen=True)
class PushingLevels:
    """Parameters of pushing levels.

    Raises:
        ValueError: for a probability outside [0, 1], or a range with swapped ends or beyond what the room holds.
    """

    arm_chance: float = 0.5
    """Probability of an arm instead of a block with thrusters, in sizes with two joints and two polygons."""
    lift_chance: float = 0.5
    """Probability that a block has the object, a ball, on top, and lifts it to a goal above; otherwise it pushes."""
    max_stack: int = 4
    """Most boxes below the object, itself included if it is a box; as far as there are slots."""
    box_width: tuple[float, float] = (0.25, 0.45)
    """Range of widths of a stack's lowest box [m]; those above are up to a sixth narrower than the one below."""
    box_height: tuple[float, float] = (0.12, 0.3)
    """Range of heights of boxes [m]."""
    ball_radius: tuple[float, float] = (0.1, 0.22)
    """Range of radii of the object where it is a ball [m]."""
    box_chance: float = 0.5
    """Probability that the object is the uppermost box of its stack; otherwise it is a ball on top."""
    goal_radius: tuple[float, float] = (0.15, 0.3)
    """Range of radii of the goal, a fixed ball [m]."""
    goal_distance: tuple[float, float] = (0.3, 2.0)
    """Range of gaps between object and goal, as far as the room allows [m]; at most 0.8 beyond a table."""
    table_chance: float = 0.35
    """Probability that everything but the goal stands on a table that ends before the goal, where a polygon is left."""
    table_height: tuple[float, float] = (0.3, 0.9)
    """Range of its heights [m]."""
    red_floor_chance: float = 0.3
    """Probability of a red floor below a table: the object must not miss the goal."""

    block_size: tuple[float, float] = (0.2, 0.45)
    """Range of a block's width and height [m]."""
    push_power: tuple[float, float] = (0.65, 1.6)
    """Range of the power of its thruster towards the object, per mass of all that may be pushed [10 N / kg]; 0.57
    overcomes the friction of a block on the floor."""
    lift_power: tuple[float, float] = (1.05, 1.9)
    """Range of the power of its other thruster, up or back, per mass of the block [10 N / kg]; of a block that lifts,
    that of all its thrusters together, per mass of block and ball. From 1 on they lift it."""
    motor_speed: tuple[float, float] = (0.4, 1.5)
    """Range of speeds of an arm's motors [6 rad/s]."""
    motor_power: tuple[float, float] = (1.0, 3.0)
    """Range of their powers."""
    link_width: tuple[float, float] = (0.07, 0.12)
    """Range of widths of an arm's links [m]."""

    def __post_init__(self):
        check_chances(self, "arm_chance", "lift_chance", "box_chance", "table_chance", "red_floor_chance")
        check_ranges(self, "box_width", "box_height", "block_size", low=0.05, high=0.6)
        check_ranges(self, "ball_radius", "goal_radius", low=0.05, high=0.4)
        check_ranges(self, "goal_distance", "push_power", "lift_power", "motor_speed", "motor_power", low=0.0)
        check_ranges(self, "table_height", low=0.1, high=1.5)
        check_ranges(self, "link_width", low=0.02, high=0.2)
        if self.max_stack < 0:
            raise ValueError(f"max_stack must be 0 or more; got {self.max_stack}")


DEFAULT = PushingLevels()
"""What ``pushing_level`` samples where nothing else is asked for."""


class Box(NamedTuple):
    """A rectangle in the making.

    Attributes:
        x, y: its centre [m]
        width, height: [m]
        role: number in ROLES
        there: the level has it
    """

    x: Number
    y: Number
    width: Number
    height: Number
    role: int | jax.Array
    there: bool | jax.Array


def pushing_level(key: jax.Array, size: str | Size = "l", parameters: PushingLevels = DEFAULT) -> Level:
    """One level of stacking and pushing; traceable, with ``size`` and ``parameters`` static.

    The object, a ball or a box, stands on the floor or on a stack of boxes, all of it perhaps on a table; the goal is a
    fixed ball beyond it, no higher than the object. The tool is a block with a thruster towards the object and perhaps
    another one up or back, a block below the object with thrusters that lift both to a goal above, or an arm of two or
    three motor joints that hangs at a wall.

    Args:
        key: of the random numbers.
        size: with a polygon and two circles; ``s`` has a block and a ball, ``m`` a box or an arm too, ``l`` stacks.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size, or one too small.
    """
    size, p = size_of(size), parameters
    require_slots(size, shapes=1, circles=2, thrusters=1, what="a pushing level")
    polygons = size.polygons - STATIC_POLYGONS
    links = min(MAX_LINKS, size.joints, polygons)
    links = links if links > 1 and p.arm_chance > 0 else 0
    left = polygons - max(links, 1)
    shared = left == 0 and links > 1  # the only box has the slot of the arm's second link
    boxes = min(p.max_stack, max(left - 1, 1)) if left or shared else 0

    key, key_slots = jax.random.split(key)
    draw = iter(list(uniform(key, (DRAWS + DRAWS_PER_PART * (boxes + 1 + MAX_LINKS),))))
    u = lambda bounds: between(next(draw), *bounds)
    arm = (next(draw) < p.arm_chance) & (links > 0)
    lift = ~arm & (next(draw) < p.lift_chance)
    table = (next(draw) < p.table_chance) & (left > 1) & ~lift
    table_height = u(p.table_height)
    base = FLOOR_HEIGHT + jnp.where(table, table_height, 0.0)

    count = one_of(next(draw), boxes + 1)
    count = jnp.where(lift | (arm & shared), 0, count)
    stack, top, radius, green_box = _stack(base, max(boxes, 1), count, draw, p)
    block = Box(0.0, 0.0, u(p.block_size), u(p.block_size), 0, ~arm)
    ball_y = top.y + top.height / 2 + radius + jnp.where(lift, block.height, 0.0)
    object_y = jnp.where(green_box, top.y, ball_y)
    half = jnp.maximum(jnp.where(count > 0, stack[0].width / 2, 0.0), jnp.where(green_box, 0.0, radius))

    # The tool at the left wall, the object within its reach; a block that lifts, below it.
    width = jnp.where(lift, jnp.maximum(1.5 * block.width, 2 * radius), block.width)
    block = block._replace(width=width, y=base + block.height / 2)
    block = block._replace(
        x=CLEARANCE + width / 2 + jnp.where(lift, ROOM_SIZE - 2 * CLEARANCE - width, 0.4) * next(draw)
    )
    shoulder = object_y + u((0.45, 1.0))
    reach = shoulder - base - u((0.04, 0.1))
    swing = jnp.sqrt(jnp.square(reach) - jnp.square(jnp.minimum(shoulder - object_y, 0.95 * reach)))
    near = 2 * CLEARANCE + jnp.maximum(p.link_width[1] + u((0.3, 0.9)) * (swing - 2 * CLEARANCE), 0.0)
    near = jnp.where(arm, near, block.x + width / 2 + u((0.05, 0.4)))
    x = jnp.where(lift, block.x, near + half)

    # The goal, beyond the table where there is one, or above.
    edge = jnp.where(table, x + half + u((0.05, 0.4)), x + half)
    goal, gap = u(p.goal_radius), u(p.goal_distance)
    gap = jnp.where(table, jnp.minimum(gap, 0.8), gap)
    aside = x + u((-0.3, 0.3))
    goal_x = jnp.where(lift, aside, edge + CLEARANCE + gap + goal)
    goal_x = jnp.clip(goal_x, CLEARANCE + goal, ROOM_SIZE - CLEARANCE - goal)
    lowest = jnp.where(lift, ball_y + radius + CLEARANCE, FLOOR_HEIGHT) + goal
    highest = jnp.where(lift, ROOM_SIZE - CLEARANCE - goal, jnp.maximum(lowest, object_y))
    goal_y = between(next(draw), lowest, highest)

    scene = Scene(size)
    load = sum(box.width * box.height * box.there for box in stack) + jnp.where(green_box, 0.0, math.pi * radius**2)
    stack = [box._replace(x=x + box.x) for box in stack]
    _tool(scene, links, block, stack[:1] if shared else [], (shoulder, reach), load, arm, lift, draw, p)
    for box in stack[:boxes] if left else []:
        scene.rectangle((box.x, box.y), box.width, box.height, role=box.role, when=box.there)
    if left > 1:
        middle = edge / 2, FLOOR_HEIGHT + table_height / 2
        scene.rectangle(middle, edge, table_height, fixed=True, when=table)
    scene.circle((jnp.where(count > 0, top.x, 0.0) + x, ball_y), radius, role=GREEN, when=~green_box)
    scene.circle((goal_x, goal_y), goal, role=BLUE, fixed=True)
    red_floor = table & (next(draw) < p.red_floor_chance)
    level = mirrored(scene.level(jnp.where(red_floor, RED, 0)), next(draw) < 0.5)
    return permute_slots(key_slots, level)


def _stack(
    base: jax.Array, boxes: int, count: jax.Array, draw: Draws, p: PushingLevels
) -> tuple[list[Box], Box, jax.Array, jax.Array]:
    """Up to ``boxes`` boxes, of which ``count`` are there, about x = 0 on a ground at ``base`` [m].

    Returns:
        The boxes, the uppermost one (of height 0 on the ground where there is none), the radius of the ball that stands
        on it, and whether it is the object itself.
    """
    u = lambda bounds: between(next(draw), *bounds)
    x, y, width = jnp.float32(0.0), base, u(p.box_width)
    green = (next(draw) < p.box_chance) & (count > 0)
    top = Box(x, y, width, jnp.float32(0.0), 0, False)
    stack = []
    for k in range(boxes):
        height, there = u(p.box_height), count > k
        role = jnp.where(green & (count == k + 1), GREEN, 0)
        box = Box(x, y + height / 2, width, height, role, there)
        stack.append(box)
        top = Box(*(jnp.where(there, new, old) for new, old in zip(box, top, strict=True)))
        y, width = y + height, width * u((5 / 6, 1.0))
        x += width * u((-0.1, 0.1))
    return stack, top, u(p.ball_radius), green


def _tool(
    scene: Scene,
    links: int,
    block: Box,
    shared: list[Box],
    hang: tuple[jax.Array, jax.Array],
    load: jax.Array,
    arm: jax.Array,
    lift: jax.Array,
    draw: Draws,
    p: PushingLevels,
) -> None:
    """The block with its thrusters or, in the same slots, an arm that hangs straight down at the left wall.

    Args:
        scene: takes them.
        links: of an arm at most; 0 where there can be none.
        block: the block.
        shared: boxes that have the slots of further links where there is no arm.
        hang: height of the shoulder, and length of the arm [m].
        load: mass of what a block has to push [kg].
        arm: an arm, otherwise a block.
        lift: the block lifts.
        draw: uniform numbers.
        p: parameters.
    """
    u = lambda bounds: between(next(draw), *bounds)
    shoulder, reach = hang
    width, channel = u(p.link_width), one_of(next(draw), MOTOR_BINDINGS)
    count = 2 + one_of(next(draw), max(links - 1, 1))
    weights = [jnp.where(count > k, u((0.7, 1.3)), 0.0) for k in range(links)]
    parent, y = LEFT_WALL, shoulder
    for k, (weight, box) in enumerate(zip(weights, [block, *shared, *[None] * links], strict=False)):
        span, there = reach * weight / sum(weights), arm & (count > k)
        bottom = y - span - jnp.where(count == k + 1, 0.0, width / 2)
        link = Box(CLEARANCE, (y + width / 2 + bottom) / 2, width, y + width / 2 - bottom, 0, there)
        if box is not None:
            link = Box(*(jnp.where(arm, *pair) for pair in zip(link, box, strict=True)))
        slot = scene.rectangle((link.x, link.y), link.width, link.height, role=link.role, when=link.there)
        limits = (0.0, u((1.5, 2.8))) if k == 0 else (-u((0.8, 2.5)), u((0.8, 2.5)))
        motor: dict[str, Any] = {
            "speed": u(p.motor_speed),
            "power": u(p.motor_power),
            "binding": (channel + k) % MOTOR_BINDINGS,
        }
        scene.joint(parent, slot, (CLEARANCE, y), limits=limits, when=there, **motor)
        parent, y = slot, y - span
    if not links:
        scene.rectangle((block.x, block.y), block.width, block.height)

    mass, back, binding = block.width * block.height, next(draw) < 0.5, one_of(next(draw), THRUSTER_BINDINGS)
    rear, front, below = block.x - block.width / 2, block.x + block.width / 2, block.y - block.height / 2
    push, lifting = (mass + load) * u(p.push_power), u(p.lift_power)
    several = scene.size.thrusters > 1
    aside = 0.35 * block.width * several  # two thrusters lift at either side of the centre
    at = jnp.where(lift, block.x - aside, rear), jnp.where(lift, below, block.y)
    power = jnp.where(lift, (mass + load) * lifting / (1 + several), push)
    direction = jnp.where(lift, jnp.float32(math.pi / 2), 0.0)
    scene.thruster(STATIC_POLYGONS, at, direction, power, binding=binding, when=~arm)
    if several:
        back &= ~lift
        at = jnp.where(back, front, block.x + jnp.where(lift, aside, 0.0)), jnp.where(back, block.y, below)
        power = jnp.where(lift, power, mass * lifting)
        direction = jnp.where(back, jnp.float32(math.pi), math.pi / 2)
        scene.thruster(STATIC_POLYGONS, at, direction, power, binding=1 - binding, when=~arm)
