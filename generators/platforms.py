"""Platforms: a cart or a ball with thrusters that has to find its way past shelves, down to the floor or up from it."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import require_slots
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, MOTOR_BINDINGS, ROOM_SIZE, STATIC_POLYGONS

from .checks import check_chances, check_ranges
from .draws import Draw, between
from .parts import PLACE_DRAWS, Space, clutter, finish, motor, target, thruster_channels
from .roles import GREEN, RED
from .scene import Either, Scene

DRAWS = 90 + 4 * (PLACE_DRAWS + 10)
"""Uniform numbers that a level uses at most."""

MAX_SHELVES = 4
"""Shelves at most."""

GAP = 0.005
"""Between a thing and what it stands on at the start [m]."""


@dataclasses.dataclass(frozen=True)
class PlatformLevels:
    """Parameters of levels with platforms.

    Raises:
        ValueError: for a probability outside [0, 1], a range with swapped ends or beyond what the room holds, or a
            number of shelves that is no positive integer.
    """

    max_shelves: int = MAX_SHELVES
    """Most shelves, as far as there are polygons; there is one at least."""
    cart_chance: float = 0.55
    """Probability of a cart with two motor wheels; otherwise a ball with thrusters."""
    down_chance: float = 0.65
    """Probability that the way leads down from the uppermost shelf; otherwise up from the floor, for balls."""
    opening: tuple[float, float] = (1.5, 4.0)
    """Range of a shelf's distance to the wall in lengths of what moves, with uniform logarithm."""
    thickness: tuple[float, float] = (0.06, 0.3)
    """Range of thicknesses of shelves, with uniform logarithm [m]."""
    sloping_chance: float = 0.4
    """Probability that shelves below a ball slope."""
    slope: tuple[float, float] = (-0.12, 0.25)
    """Range of their slopes, down to the open end where positive."""
    same_side_chance: float = 0.25
    """Probability that all shelves are on one wall; otherwise they change sides."""
    loose_chance: float = 0.3
    """Probability that a shelf below the uppermost one is not at a wall."""
    size: tuple[float, float] = (0.08, 0.22)
    """Range of radii of balls and wheels, with uniform logarithm [m]."""
    motor_speed: tuple[float, float] = (0.3, 3.0)
    """Range of motor speeds, with uniform logarithm [6 rad/s]."""
    motor_power: tuple[float, float] = (0.2, 3.0)
    """Range of their powers, with uniform logarithm."""
    shared_binding_chance: float = 0.6
    """Probability that both wheels listen to one channel."""
    lift: tuple[float, float] = (0.6, 2.5)
    """Range of the force of each thruster in weights of what moves, with uniform logarithm; above 1 where the way leads
    up."""
    cart_thruster_chance: float = 0.3
    """Probability of thrusters on a cart."""
    red_floor_chance: float = 0.2
    """Probability of a red floor where the way leads down to a target above it."""
    clutter_chance: float = 0.4
    """Probability of a further shape in each slot that is left for it."""
    target_radius: tuple[float, float] = (0.08, 0.3)
    """Range of the target's radius, with uniform logarithm [m]."""

    def __post_init__(self):
        check_chances(self, *(field.name for field in dataclasses.fields(self) if field.name.endswith("_chance")))
        if not 1 <= self.max_shelves <= MAX_SHELVES:
            raise ValueError(f"max_shelves must lie between 1 and {MAX_SHELVES}; got {self.max_shelves}")
        check_ranges(self, "opening", low=1.2, high=20.0)
        check_ranges(self, "thickness", low=0.03, high=0.3)
        check_ranges(self, "slope", low=-0.15, high=0.3)
        check_ranges(self, "size", "target_radius", low=0.03, high=0.3)
        check_ranges(self, "motor_speed", "motor_power", "lift", low=1e-3)


DEFAULT = PlatformLevels()
"""What ``platform_level`` samples where nothing else is asked for."""


def platform_level(key: jax.Array, size: str | Size = "l", parameters: PlatformLevels = DEFAULT) -> Level:
    """One level with shelves; traceable, with ``size`` and ``parameters`` static.

    Args:
        key: of the random numbers.
        size: with two polygons, three circles, two joints and two thrusters; ``m`` has one shelf, ``l`` up to four.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size, or one too small.
    """
    size, p = size_of(size), parameters
    require_slots(size, shapes=2, circles=3, joints=2, thrusters=2, what="a level with platforms")
    key, key_finish = jax.random.split(key)
    draw, scene, space = Draw(key, DRAWS), Scene(size), Space()
    cart, radius = draw.chance(p.cart_chance), draw.log_between(p.size)
    axles, deck = radius * draw.between((2.2, 4.0)), draw.between((0.08, 0.2))
    length = jnp.where(cart, axles + 2 * radius, 2 * radius)
    tall = jnp.where(cart, radius + 1.5 * deck, 2 * radius)
    down = cart | draw.chance(p.down_chance)
    top, start, open_x, slope = _shelves(scene, space, draw, cart, length, tall, p)

    # On the uppermost shelf at its wall, or on the floor; not quite at rest on a slope.
    x = length / 2 + 0.1 + draw() * jnp.where(down, 0.3, 2.0)
    slope = jnp.where(down, slope, 0.0)
    y = jnp.where(down, start, FLOOR_HEIGHT) + slope * x + radius * jnp.sqrt(1.0 + slope * slope) + GAP
    motion = motor(draw, p.motor_speed, p.motor_power)
    shared = draw.chance(p.shared_binding_chance)
    chassis = scene.rectangle((x, y + 0.4 * deck), axles + 1.2 * radius, deck, role=GREEN, when=cart)
    first = scene.circle((x - jnp.where(cart, axles / 2, 0.0), y), radius, role=jnp.where(cart, 0, GREEN))
    second = scene.circle((x + axles / 2, y), radius, when=cart)
    for k, (wheel, side) in enumerate(((first, -1), (second, 1))):
        binding = (motion["binding"] + jnp.where(shared, 0, k)) % MOTOR_BINDINGS
        scene.joint(chassis, wheel, (x + side * axles / 2, y), when=cart, **(motion | {"binding": binding}))
    space.take((x, y - radius + tall / 2), (length / 2 + 0.05, tall / 2 + 0.05))

    mass = jnp.where(cart, 2 * math.pi * radius**2 + (axles + 1.2 * radius) * deck, math.pi * radius**2)
    lift, channels = draw.log_between(p.lift), thruster_channels(draw)
    lift = jnp.where(down, lift, jnp.maximum(lift, 1.2))
    thrust, body = ~cart | draw.chance(p.cart_thruster_chance), Either(cart, chassis, first)
    for k in range(2):
        aside = draw.between((-0.2, 0.7)) if k == 0 else draw.between((1.2, 3.3))
        aside = jnp.where(cart, math.pi / 2 if k == 0 else 0.0, aside)
        at = x - 0.5 * radius * jnp.cos(aside), y + 0.4 * deck * cart - 0.5 * radius * jnp.sin(aside)
        scene.thruster(body, at, aside, 0.981 * mass * lift, binding=channels[k], when=thrust)

    # The target is at the other end of the way.
    low = jnp.where(down, 0.0, 0.1), jnp.where(down, FLOOR_HEIGHT, top + 0.05)
    below = jnp.minimum(start - 0.4, FLOOR_HEIGHT + 1.2)
    high = jnp.where(down, ROOM_SIZE, open_x), jnp.where(down, below, ROOM_SIZE)
    boxes = scene.left("polygon") > 1
    goal = target(scene, space, draw, low, high, radius=p.target_radius, grounded_chance=0.5 * down, may_be_box=boxes)
    while scene.left("circle"):
        clutter(scene, space, draw, "circle", chance=p.clutter_chance, size=(0.06, 0.2))
    if scene.left("polygon"):
        clutter(scene, space, draw, "polygon", chance=p.clutter_chance, size=(0.06, 0.3))
    red_floor = draw.chance(p.red_floor_chance) & down & (goal.centre[1] > FLOOR_HEIGHT + 0.35)
    return finish(key_finish, scene.level(jnp.where(red_floor, RED, 0)))


def _shelves(
    scene: Scene, space: Space, draw: Draw, cart: jax.Array, length: jax.Array, tall: jax.Array, p: PlatformLevels
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Shelves one above the other, the uppermost one at the left wall.

    Returns:
        The greatest height of the uppermost one, its height at the wall, where it ends [m], and its slope.
    """
    most = min(p.max_shelves, max(scene.size.polygons - STATIC_POLYGONS - 3, 1))
    count = (1 + draw.one_of(most)).astype(jnp.float32)
    sloping, same = draw.chance(p.sloping_chance) & ~cart, draw.chance(p.same_side_chance)
    highest = jnp.minimum(ROOM_SIZE - tall - 0.5, FLOOR_HEIGHT + count * draw.between((0.9, 1.6)))
    step = (highest - FLOOR_HEIGHT) / count
    thickness = jnp.minimum(draw.log_between(p.thickness), 0.3 * step)
    uppermost: tuple[jax.Array, ...] = ()
    for k in range(most):
        there = count > k
        height = highest - k * step
        opening = jnp.clip(length * draw.log_between(p.opening), 0.35, 2.5)
        fall = jnp.where(sloping, between(draw(), *p.slope), 0.0)
        # Slopes leave room for what moves between two shelves.
        span = ROOM_SIZE - opening
        fall = jnp.clip(fall, -0.3 * step / span, 0.3 * step / span)
        left = same | (k % 2 == 0)
        near, far = jnp.where(left, 0.0, ROOM_SIZE), jnp.where(left, span, ROOM_SIZE - span)
        at_near, at_far = height + jnp.maximum(fall, 0.0) * span, height + jnp.maximum(-fall, 0.0) * span
        a, b = jnp.where(left, at_near, at_far), jnp.where(left, at_far, at_near)
        if k > 0:  # it may hang in the air, open at both ends
            loose = draw.chance(p.loose_chance) * draw() * 0.8 * opening
            near, far = near + jnp.where(left, loose, -loose), far + jnp.where(left, loose, -loose)
        begin, end = jnp.minimum(near, far), jnp.maximum(near, far)
        corners = [(begin, a), (end, b), (end, b - thickness), (begin, a - thickness)]
        scene.polygon(corners, fixed=True, when=there)
        upper = jnp.maximum(at_near, at_far)
        space.take(
            ((begin + end) / 2, (upper + height - thickness) / 2), (span / 2, (upper - height + thickness) / 2), there
        )
        if k == 0:
            uppermost = upper, at_near, far, (at_far - at_near) / span
    return uppermost
