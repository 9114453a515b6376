"""Balance: unicycles, carts with poles, and swinging poles, whose green part is to be kept up or swung up."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import require_slots
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, ROOM_SIZE

from .checks import check_chances, check_ranges, check_shares
from .draws import Draw
from .mixture import Mixture, mixture_of_forms
from .parts import PLACE_DRAWS, Space, add, clutter, finish, motor, rotated, target, thruster_channels
from .roles import BLUE, GREEN, RED
from .scene import Point, Scene

DRAWS = 110 + 5 * (PLACE_DRAWS + 10)
"""Uniform numbers that a level uses at most."""


@dataclasses.dataclass(frozen=True)
class BalanceLevels:
    """Parameters of balance levels.

    Raises:
        ValueError: for a probability outside [0, 1], shares that do not sum to 1, or a range with swapped ends or
            beyond what the room holds.
    """

    shares: tuple[float, float, float] = (0.45, 0.3, 0.25)
    """Probabilities of unicycles, carts with poles, and poles that swing, among those that the size has slots for."""
    wheel_radius: tuple[float, float] = (0.08, 0.35)
    """Range of wheel radii, with uniform logarithm [m]."""
    pole_length: tuple[float, float] = (0.35, 1.5)
    """Range of lengths of what is balanced, with uniform logarithm [m]."""
    pole_width: tuple[float, float] = (0.05, 0.22)
    """Range of its widths, with uniform logarithm [m]."""
    tilt: float = 0.15
    """Largest angle with the vertical at the start [rad]."""
    lying_chance: float = 0.15
    """Probability that a unicycle lies on the floor at the start and has to get up."""
    red_floor_chance: float = 0.45
    """Probability of a red floor below a green part that stands clear of it."""
    high_target_chance: float = 0.6
    """Probability of a target about as high as the top of what is balanced; otherwise it may be lower."""
    motor_speed: tuple[float, float] = (0.3, 3.0)
    """Range of motor speeds, with uniform logarithm [6 rad/s]."""
    motor_power: tuple[float, float] = (0.2, 3.0)
    """Range of powers of motors that drive, with uniform logarithm."""
    weak_power: tuple[float, float] = (0.02, 0.4)
    """Range of powers of motors that swing a pole, with uniform logarithm; below about 0.1 it has to gain momentum."""
    thruster_chance: float = 0.3
    """Probability of thrusters on a unicycle."""
    shared_binding_chance: float = 0.12
    """Probability that two thrusters listen to one channel."""
    clutter_chance: float = 0.4
    """Probability of a further shape in each slot that is left for it."""
    target_radius: tuple[float, float] = (0.08, 0.3)
    """Range of the target's radius, with uniform logarithm [m]."""

    def __post_init__(self):
        check_chances(self, *(field.name for field in dataclasses.fields(self) if field.name.endswith("_chance")))
        check_shares(self.shares, "shares", 3)
        check_ranges(self, "wheel_radius", "pole_width", "target_radius", low=0.03, high=0.5)
        check_ranges(self, "pole_length", low=0.2, high=1.8)
        check_ranges(self, "motor_speed", "motor_power", "weak_power", low=1e-3)
        if not 0.0 <= self.tilt <= 0.8:
            raise ValueError(f"tilt is an angle from 0 to 0.8 rad; got {self.tilt}")


DEFAULT = BalanceLevels()
"""What ``balance_level`` samples where nothing else is asked for."""


def balance_forms(size: Size, parameters: BalanceLevels = DEFAULT) -> Mixture:
    """Unicycles, carts with poles and swinging poles, as far as they have levels of ``size``, by their shares."""
    forms = dict(zip((_unicycle, _cart, _pole), parameters.shares, strict=True))
    return mixture_of_forms(forms, size, parameters, finish)


def balance_level(key: jax.Array, size: str | Size = "l", parameters: BalanceLevels = DEFAULT) -> Level:
    """One balance level; traceable, with ``size`` and ``parameters`` static.

    Args:
        key: of the random numbers.
        size: with a polygon, two circles and a joint; ``s`` suffices.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size, or one too small.
    """
    size = size_of(size)
    return balance_forms(size, parameters)(key, size)


def _unicycle(key: jax.Array, size: Size, p: BalanceLevels) -> Level:
    """One level with a body on a single motor wheel."""
    require_slots(size, shapes=1, circles=2, joints=1, what="a unicycle")
    draw, scene, space = Draw(key, DRAWS), Scene(size), Space()
    radius, length, width = map(draw.log_between, (p.wheel_radius, p.pole_length, p.pole_width))
    lying = draw.chance(p.lying_chance) & (width / 2 < radius)
    tall, span = length, length + 2 * radius + 0.1
    hub = (
        jnp.clip(draw.between((0.2, 2.6)), jnp.where(lying, span, radius + 0.3 * length + 0.35), 3.6),
        FLOOR_HEIGHT + radius,
    )
    # A body that lies reaches down to the floor: r + length cos(tilt) = half its width.
    down = jnp.arccos(jnp.clip((width / 2 + 0.02 - radius) / tall, -0.8, 0.8)) * draw.sign()
    tilt = jnp.where(lying, down, _lean(draw, p))

    middle = add(hub, rotated((0.0, tall / 2), tilt))
    role = draw.by_weight((0.65, 0.2, 0.15))  # green is the body, the wheel, or a head where there can be one
    headed = size.circles > 2 and size.joints > 1
    with_head = jnp.where(role == 2, True, draw.chance(0.25)) if headed else jnp.array(False)
    role = jnp.where((role == 2) & ~with_head, 0, role)
    body = scene.rectangle(middle, width, tall, tilt, role=jnp.where(role == 0, GREEN, 0))
    wheel = scene.circle(hub, radius, role=jnp.where(role == 1, GREEN, 0))
    engine = motor(draw, p.motor_speed, p.motor_power)
    scene.joint(body, wheel, hub, **engine)
    top, mass = add(hub, rotated((0.0, tall), tilt)), width * tall
    space.take(hub, (radius, radius))
    space.take_line(hub, top, width)
    if headed:
        size_head = draw.log_between((0.06, 0.2))
        head = scene.circle(top, size_head, role=jnp.where(role == 2, GREEN, 0), when=with_head & ~lying)
        scene.bodies[body]["role"] = jnp.where((role == 2) & lying, GREEN, scene.bodies[body]["role"])
        scene.joint(body, head, top, fixed=True, when=with_head & ~lying)
        space.take(top, (size_head, size_head), with_head & ~lying)
        mass += with_head * math.pi * size_head**2
    if size.joints > 2 and scene.left("polygon") > 2:
        # A second pole on top, free or with a motor of its own.
        there, more = draw.chance(0.25) & ~with_head & ~lying, draw.log_between((0.2, 0.7))
        turn = tilt + draw.between((-0.3, 0.3))
        upper = scene.rectangle(add(top, rotated((0.0, more / 2), turn)), 0.7 * width, more, turn, when=there)
        scene.joint(body, upper, top, motor=draw.chance(0.7), when=there, **motor(draw, p.motor_speed, (0.05, 1.0)))
        space.take(top, (more + 0.05, more + 0.05), there)
        exchange = there & (role == 0) & draw.chance(0.5)
        scene.bodies[upper]["role"] = jnp.where(exchange, GREEN, 0)
        scene.bodies[body]["role"] = jnp.where(exchange, 0, scene.bodies[body]["role"])
    _sideways(scene, draw, body, middle, (width / 2, tall / 2), tilt, mass, draw.chance(p.thruster_chance), p)
    _surroundings(scene, space, draw, hub[0], hub[1] + tall, p)
    red_floor = draw.chance(p.red_floor_chance) & ~lying & (role != 1)
    return scene.level(jnp.where(red_floor, RED, 0))


def _cart(key: jax.Array, size: Size, p: BalanceLevels) -> Level:
    """One level with a pole on a cart, which slides by thrusters or drives on two wheels."""
    require_slots(size, shapes=2, circles=2, joints=1, thrusters=2, what="a cart with a pole")
    draw, scene, space = Draw(key, DRAWS), Scene(size), Space()
    half = draw.log_between((0.12, 0.4)), draw.log_between((0.05, 0.16))
    length, width = draw.log_between(p.pole_length), jnp.minimum(draw.log_between(p.pole_width), half[0])
    tilt, wheeled = _lean(draw, p), jnp.array(False)
    radius = jnp.minimum(draw.log_between(p.wheel_radius), half[0])
    wheels = size.circles > 3 and size.joints > 2
    if wheels:
        wheeled = draw.chance(0.65)
    x = draw.between((jnp.maximum(half[0] + radius, p.tilt * length + 0.22) + 0.1, 2.4))
    y = FLOOR_HEIGHT + jnp.where(wheeled, radius + 0.5 * half[1], half[1])
    cart = scene.rectangle((x, y), 2 * half[0], 2 * half[1])
    mass = 4 * half[0] * half[1]
    space.take((x, y), (half[0] + 1.1 * radius, half[1] + 0.05))
    if wheels:
        engine, shared = motor(draw, p.motor_speed, p.motor_power), draw.chance(0.6)
        for side in (-1, 1):
            hub = x + side * 0.95 * half[0], FLOOR_HEIGHT + radius
            wheel = scene.circle(hub, radius, when=wheeled)
            driven = engine | {"binding": (engine["binding"] + jnp.where(shared, 0, side == 1)) % 4}
            scene.joint(cart, wheel, hub, when=wheeled, **driven)
            space.take(hub, (radius, radius), wheeled)

    foot = x + draw.between((-0.4, 0.4)) * half[0], y + 0.5 * half[1]
    pole = scene.rectangle(add(foot, rotated((0.0, length / 2), tilt)), width, length, tilt)
    top = add(foot, rotated((0.0, length), tilt))
    scene.joint(cart, pole, foot, motor=draw.chance(0.25), **motor(draw, p.motor_speed, p.weak_power))
    space.take_line(foot, top, width + 0.2 * length)
    tip_green = jnp.array(False)
    if scene.left("circle") > 1 and scene.left("joint"):
        ball, there = draw.log_between((0.07, 0.22)), draw.chance(0.5)
        tip_green = there & draw.chance(0.6)
        slot = scene.circle(top, ball, role=jnp.where(tip_green, GREEN, 0), when=there)
        scene.joint(pole, slot, top, fixed=True, when=there)
        space.take(top, (ball, ball), there)
        mass += there * math.pi * ball**2
    mass += length * width
    scene.bodies[pole]["role"] = jnp.where(tip_green, 0, GREEN)
    pushes = ~wheeled | draw.chance(0.2)
    channels, strong = thruster_channels(draw, p.shared_binding_chance), draw.log_between((0.7, 2.5))
    for k, side in enumerate((-1, 1)):
        at = x + side * half[0], y
        direction = math.pi * (side == 1)
        scene.thruster(cart, at, direction, mass * strong, binding=channels[k], when=pushes)
    _surroundings(scene, space, draw, x, foot[1] + length, p)
    red_floor = draw.chance(p.red_floor_chance)
    return scene.level(jnp.where(red_floor, RED, 0))


def _pole(key: jax.Array, size: Size, p: BalanceLevels) -> Level:
    """One level with a pole that hangs on a fixed point and must be swung up to the target.

    A weak motor or thrusters swing it; there may be a second pole at its end, with a joint that is free or has a motor.
    """
    require_slots(size, shapes=1, circles=2, joints=1, what="a swinging pole")
    draw, scene, space = Draw(key, DRAWS), Scene(size), Space()
    length, width = draw.log_between(p.pole_length), draw.log_between(p.pole_width)
    double = jnp.array(False)
    if scene.left("polygon") > 1 and size.joints > 1:
        double = draw.chance(0.5)
    other = jnp.where(double, draw.log_between((0.3, 1.0)), 0.0)
    other = jnp.minimum(other, 2.1 - length)
    reach = length + other
    pivot = draw.between((0.8, ROOM_SIZE - 0.8)), draw.between((FLOOR_HEIGHT + 0.5, ROOM_SIZE - 0.5))
    low = reach + 0.3
    pivot = jnp.clip(pivot[0], low, ROOM_SIZE - low), jnp.clip(pivot[1], FLOOR_HEIGHT + low, ROOM_SIZE - 0.3)
    # It hangs, more or less; angles are counted from straight down.
    angle = draw.between((-0.5, 0.5)) + jnp.where(draw.chance(0.25), math.pi, 0.0) * (
        pivot[1] + reach < ROOM_SIZE - 0.1
    )
    end = add(pivot, rotated((0.0, -length), angle))
    radius = draw.log_between((0.06, 0.2))
    post = scene.circle(pivot, radius, fixed=True)
    space.take(pivot, (radius, radius))
    pole = scene.rectangle(add(pivot, rotated((0.0, -length / 2), angle)), width, length, angle)
    by_thruster = draw.chance(0.4)
    speed = motor(draw, p.motor_speed, p.weak_power)
    acted = draw.one_of(3)  # the first joint, the second, or both have a motor
    scene.joint(post, pole, pivot, motor=~(by_thruster | (double & (acted == 1))), **speed)
    middle, half, body, mass = (
        add(pivot, rotated((0.0, -0.5 * length), angle)),
        (width / 2, length / 2),
        pole,
        width * length,
    )
    tip = end
    if scene.left("polygon") > 0 and size.joints > 1:
        bend = angle + draw.between((-0.6, 0.6))
        lower = scene.rectangle(
            add(end, rotated((0.0, -other / 2), bend)), 0.8 * width, jnp.maximum(other, 0.1), bend, when=double
        )
        scene.joint(pole, lower, end, motor=acted > 0, when=double, **motor(draw, p.motor_speed, (0.05, 1.0)))
        tip = tuple(jnp.where(double, a, b) for a, b in zip(add(end, rotated((0.0, -other), bend)), end, strict=True))
        scene.bodies[lower]["role"] = jnp.where(double, GREEN, 0)
        mass += double * 0.8 * width * other
    scene.bodies[pole]["role"] = jnp.where(double, 0, GREEN)
    if scene.left("circle") > 1 and scene.left("joint"):
        ball, there = draw.log_between((0.07, 0.2)), draw.chance(0.4) & ~double
        slot = scene.circle(tip, ball, role=jnp.where(there, GREEN, 0), when=there)
        scene.joint(pole, slot, tip, fixed=True, when=there)
        scene.bodies[pole]["role"] = jnp.where(there, 0, scene.bodies[pole]["role"])
        mass += there * math.pi * ball**2
        space.take(tip, (ball, ball), there)
    across = draw.sign()
    channels, strong = thruster_channels(draw, p.shared_binding_chance), draw.log_between((0.25, 1.5))
    for k in range(min(2, size.thrusters)):
        side = across * (1 - 2 * k)
        at = add(middle, rotated((-side * half[0], -0.8 * half[1]), angle))
        direction = angle + jnp.where(side > 0, 0.0, math.pi)
        scene.thruster(
            body, at, direction, mass * strong, binding=channels[k], when=by_thruster & ((k == 0) | draw.chance(0.6))
        )

    # The target is where the end can reach, away from where it is, so on the upper side mostly.
    size_target = draw.log_between(p.target_radius)
    turn = angle + draw.sign() * draw.between((0.9, math.pi))
    far = jnp.maximum(reach + draw.between((-0.25, 0.6)) * size_target, radius + size_target + 0.1)
    at = add(pivot, rotated((0.0, -far), turn))
    inside = lambda v, low: jnp.clip(v, low + size_target, ROOM_SIZE - size_target)
    scene.circle((inside(at[0], 0.0), inside(at[1], FLOOR_HEIGHT)), size_target, role=BLUE, fixed=True)
    space.take(at, (size_target, size_target))
    space.take(pivot, (reach, reach), draw.chance(0.7))
    space.take_line(pivot, end, 0.25)
    space.take_line(end, tip, 0.25)
    while scene.left("circle"):
        clutter(scene, space, draw, "circle", chance=p.clutter_chance)
    if scene.left("polygon"):
        clutter(scene, space, draw, "polygon", chance=p.clutter_chance)
    red_floor = draw.chance(0.3)
    return scene.level(jnp.where(red_floor, RED, 0))


def _lean(draw: Draw, p: BalanceLevels) -> jax.Array:
    """Tilt of what stands upright, mostly away from the target, which it would reach by falling [rad]."""
    return draw.between((-0.25 * p.tilt, p.tilt))


def _sideways(
    scene: Scene,
    draw: Draw,
    body: int,
    centre: Point,
    half: Point,
    angle: jax.Array,
    mass: jax.Array,
    when: jax.Array,
    p: BalanceLevels,
) -> None:
    """Thrusters on an upright body: the first pushes it aside, near its top or bottom, the second back or up."""
    channels, strong = thruster_channels(draw, p.shared_binding_chance), draw.log_between((0.2, 1.5))
    height, side = draw.between((-0.9, 0.9)) * half[1], draw.sign()
    for k in range(min(2, scene.size.thrusters)):
        side = side if k == 0 else -side
        up = draw.chance(0.4) if k else draw.chance(0.2)
        local = jnp.where(up, 0.0, -side * half[0]), jnp.where(up, -half[1], height)
        direction = angle + jnp.where(up, math.pi / 2, jnp.where(side > 0, 0.0, math.pi))
        at = add(centre, rotated(local, angle))
        there = when if k == 0 else when & draw.chance(0.6)
        scene.thruster(body, at, direction, mass * strong, binding=channels[k], when=there)


def _surroundings(scene: Scene, space: Space, draw: Draw, x: jax.Array, top: jax.Array, p: BalanceLevels) -> None:
    """The target, right of what is balanced, which stands at ``x`` and reaches up to ``top`` [m], and obstacles."""
    high, gap = draw.chance(p.high_target_chance), draw.log_between((0.3, 2.5))
    begin = jnp.minimum(x + 0.5 * gap, ROOM_SIZE - 0.8)
    low = begin, jnp.where(high, jnp.minimum(top - 0.25, ROOM_SIZE - 0.8), FLOOR_HEIGHT)
    corner = jnp.minimum(begin + gap, ROOM_SIZE), jnp.minimum(jnp.maximum(top + 0.25, low[1] + 0.7), ROOM_SIZE)
    target(
        scene,
        space,
        draw,
        low,
        corner,
        radius=p.target_radius,
        grounded_chance=jnp.where(high, 0.1, 0.4),
        may_be_box=scene.left("polygon") > 1,
    )
    while scene.left("circle"):
        clutter(scene, space, draw, "circle", chance=p.clutter_chance)
    if scene.left("polygon"):  # something to drive over, or in the way
        clutter(scene, space, draw, "polygon", chance=p.clutter_chance, size=(0.05, 0.5))
    if scene.left("polygon"):
        high = ROOM_SIZE, jnp.float32(FLOOR_HEIGHT + 0.25)
        clutter(scene, space, draw, "polygon", (0.0, FLOOR_HEIGHT), high, chance=p.clutter_chance, free_chance=0.1)
