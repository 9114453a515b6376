"""Wheeled vehicles: a green chassis on motor wheels, terrain before it, a blue target at the far end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import require_slots
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, MOTOR_BINDINGS, ROOM_SIZE, STATIC_POLYGONS, THRUSTER_BINDINGS

from .checks import check_chances, check_ranges
from .draws import between, one_of, uniform
from .permute import permute_slots
from .roles import BLUE, GREEN, RED
from .scene import Scene, mirrored

MAX_PIECES = 5
"""Pieces of terrain at most."""

DRAWS = 40 + 3 * MAX_PIECES
"""Uniform numbers that a level uses at most."""

AXLE = 0.45
"""How far below the chassis' centre the axles are, in chassis heights."""

LOWEST = 0.05
"""Least height of a stretch of terrain above the floor [m]."""

CLEARANCE = 0.15
"""Room left between the vehicle and what lies before or behind it [m]."""


Draws = Iterator[jax.Array]
"""Uniform numbers () in [0, 1)."""


@dataclasses.dataclass(frozen=True)
class VehicleLevels:
    """Parameters of vehicle levels.

    Raises:
        ValueError: for a probability outside [0, 1], or a range with swapped ends or beyond what the room holds.
    """

    wheel_radius: tuple[float, float] = (0.14, 0.22)
    """Range of wheel radii [m]; wheels of one vehicle differ by up to a twentieth."""
    axle_distance: tuple[float, float] = (0.4, 0.75)
    """Range of the distance between first and last axle [m]."""
    chassis_height: tuple[float, float] = (0.14, 0.22)
    """Range of chassis heights [m]."""
    overhang: tuple[float, float] = (0.02, 0.1)
    """How far the chassis reaches beyond its wheels at either end [m]: what it hits, it hits first."""
    third_wheel_chance: float = 0.25
    """Probability of a wheel in the middle, where slots are left and nothing red is behind it."""
    cabin_chance: float = 0.4
    """Probability of a cabin on top of the chassis, likewise."""
    shared_binding_chance: float = 0.6
    """Probability that all wheels listen to one motor channel; otherwise each to one of its own."""
    motor_speed: tuple[float, float] = (0.8, 3.0)
    """Range of motor speeds [6 rad/s]."""
    motor_power: tuple[float, float] = (0.5, 1.0)
    """Range of motor powers; strong wheels make the physics unstable."""
    thruster_chance: float = 0.3
    """Probability of a thruster below the chassis, which lifts it."""
    thruster_power: tuple[float, float] = (0.8, 1.8)
    """Range of its power, per mass of the vehicle [10 N / kg]; from about 1 it lifts the vehicle off the ground."""

    slope: tuple[float, float] = (0.08, 0.35)
    """Range of slopes, up or down; wheels lose their hold beyond 0.55."""
    terrain_height: float = 0.8
    """Greatest height of the terrain above the floor [m]."""
    flat_chance: float = 0.1
    """Probability of no terrain at all."""
    gap_chance: float = 0.3
    """Probability of a gap in the terrain, where it has four pieces or more."""
    gap_width: tuple[float, float] = (0.1, 0.3)
    """Range of its width [m]."""
    target_radius: tuple[float, float] = (0.17, 0.3)
    """Range of radii of the target, a fixed ball on the ground [m]."""
    hazard_chance: float = 0.3
    """Probability of a red ball behind the vehicle, where a circle is left."""
    red_floor_chance: float = 0.15
    """Probability of a red floor: a vehicle that turns over has lost."""

    def __post_init__(self):
        chances = ("third_wheel_chance", "cabin_chance", "shared_binding_chance", "thruster_chance", "flat_chance")
        check_chances(self, *chances, "gap_chance", "hazard_chance", "red_floor_chance")
        check_ranges(self, "wheel_radius", "target_radius", low=0.05, high=0.4)
        check_ranges(self, "axle_distance", low=0.1, high=1.0)
        check_ranges(self, "chassis_height", low=0.05, high=0.5)
        check_ranges(self, "overhang", low=0.0, high=0.3)
        check_ranges(self, "motor_speed", "motor_power", "thruster_power", low=0.0)
        check_ranges(self, "slope", low=0.02, high=1.0)
        check_ranges(self, "gap_width", low=0.0, high=0.5)
        if not 0.1 <= self.terrain_height <= 2.0:
            raise ValueError(f"terrain_height must lie between 0.1 and 2 m; got {self.terrain_height}")


DEFAULT = VehicleLevels()
"""What ``vehicle_level`` samples where nothing else is asked for."""


def vehicle_level(key: jax.Array, size: str | Size = "l", parameters: VehicleLevels = DEFAULT) -> Level:
    """One level with a vehicle; traceable, with ``size`` and ``parameters`` static.

    The vehicle starts on level ground at one side, its target stands at the other. Each polygon that is left, up to
    five, may become a piece of terrain between them: a ramp up, stretches of varying slope, a ramp down. A size with
    one circle beside the target has a cart with one wheel, whose tail drags on the floor.

    Args:
        key: of the random numbers.
        size: with a polygon, two circles and a joint; ``s`` suffices, ``m`` has one bump, ``l`` terrain.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size, or one too small.
    """
    size = size_of(size)
    require_slots(size, shapes=1, circles=2, joints=1, what="a vehicle")
    key, key_slots = jax.random.split(key)
    draw = iter(list(uniform(key, (DRAWS,))))
    scene = Scene(size)
    wheels = min(2, size.circles - 1, size.joints)
    front, pieces = _vehicle(scene, wheels, draw, parameters)
    radius = between(next(draw), *parameters.target_radius)
    x = ROOM_SIZE - CLEARANCE - radius - next(draw) * 0.3
    ground = _terrain(scene, pieces, front + CLEARANCE, x - radius - CLEARANCE, draw, parameters)
    scene.circle((x, ground + radius), radius, role=BLUE, fixed=True)
    # The tail of a cart drags on the floor, which then cannot be red.
    red_floor = (next(draw) < parameters.red_floor_chance) & (wheels > 1)
    level = mirrored(scene.level(jnp.where(red_floor, RED, 0)), next(draw) < 0.5)
    return permute_slots(key_slots, level)


def _vehicle(scene: Scene, wheels: int, draw: Draws, p: VehicleLevels) -> tuple[jax.Array, int]:
    """The vehicle, at the left, and perhaps a red ball behind it: where it ends [m], and how many polygons are left."""
    size = scene.size
    u = lambda bounds: between(next(draw), *bounds)
    fourth_circle = size.circles > wheels + 1  # the red ball or the third wheel
    hazard, behind = u(p.target_radius), (next(draw) < p.hazard_chance) & fourth_circle
    start = CLEARANCE + jnp.where(behind, 2 * hazard + 2 * CLEARANCE, 0.0)
    radius, axles, height = u(p.wheel_radius), u(p.axle_distance), u(p.chassis_height)
    length = axles + 2 * (1.05 * radius + u(p.overhang))
    x = start + length / 2 + next(draw) * 0.3

    # The chassis, level on its axles; on a single one, tilted until its tail touches the floor.
    axle_x, axle_y = axles / 2, -AXLE * height
    tail_x, tail_y = length / 2 + axle_x, (0.5 - AXLE) * height
    tilt = jnp.float32(0.0)
    if wheels == 1:
        tilt = jnp.arcsin(radius / jnp.hypot(tail_x, tail_y)) - jnp.arctan2(tail_y, tail_x)
    cos, sin = jnp.cos(tilt), jnp.sin(tilt)
    hub = x + cos * axle_x - sin * axle_y
    centre = hub - cos * axle_x + sin * axle_y, FLOOR_HEIGHT + radius - sin * axle_x - cos * axle_y
    point = lambda a, b: (centre[0] + cos * a - sin * b, centre[1] + sin * a + cos * b)
    chassis = scene.rectangle(centre, length, height, tilt, role=GREEN)
    mass = length * height

    shared, channel = next(draw) < p.shared_binding_chance, one_of(next(draw), MOTOR_BINDINGS)
    motor: dict[str, Any] = {"speed": u(p.motor_speed), "power": u(p.motor_power)}
    for k, place in enumerate((1.0, -1.0)[:wheels]):
        r = radius * (1.0 if wheels == 1 else u((0.95, 1.05)))
        at = (hub if wheels == 1 else x + place * axle_x, FLOOR_HEIGHT + r)
        wheel = scene.circle(at, r)
        binding = jnp.where(shared, channel, (channel + k) % MOTOR_BINDINGS)
        scene.joint(chassis, wheel, at, binding=binding, **motor)
        mass += math.pi * r * r
    if fourth_circle:
        third = (next(draw) < p.third_wheel_chance) & ~behind & (size.joints > wheels)
        r = jnp.where(behind, hazard, radius)
        at = jnp.where(behind, CLEARANCE + r, x), FLOOR_HEIGHT + r
        wheel = scene.circle(at, r, role=jnp.where(behind, RED, 0), fixed=behind, when=behind | third)
        if size.joints > wheels:
            scene.joint(chassis, wheel, at, binding=channel, when=third, **motor)
            mass += math.pi * r * r * third

    left = size.polygons - STATIC_POLYGONS - 1
    if left > 2 and size.joints > len(scene.joints):
        there = next(draw) < p.cabin_chance
        width, tall, along = length * u((0.25, 0.5)), u((0.1, 0.25)), u((-0.5, 0.5))
        along *= length - width
        cabin = scene.rectangle(point(along, (height + tall) / 2), width, tall, tilt, when=there)
        scene.joint(chassis, cabin, point(along, height / 2), fixed=True, when=there)
        mass += width * tall * there
        left -= 1

    scene.thruster(
        chassis,
        point(0.0, -height / 2),
        math.pi / 2 + tilt,
        mass * u(p.thruster_power),
        binding=one_of(next(draw), THRUSTER_BINDINGS),
        when=next(draw) < p.thruster_chance,
    )
    return x + length / 2, min(left, MAX_PIECES)


def _terrain(scene: Scene, pieces: int, start: jax.Array, end: jax.Array, draw: Draws, p: VehicleLevels) -> jax.Array:
    """Up to ``pieces`` of terrain between ``start`` and ``end``: the height of the ground beyond ``end`` [m]."""
    if pieces == 0:
        return jnp.float32(FLOOR_HEIGHT)
    flat, plateau = next(draw) < p.flat_chance, next(draw) < 0.5
    count = jnp.where(flat, 0, 1 + one_of(next(draw), pieces))
    plateau &= count > 1
    with_gap = (next(draw) < p.gap_chance) & (count >= 4)
    gap = jnp.where(with_gap, between(next(draw), *p.gap_width), 0.0)

    # A ramp up, stretches, and either a ramp down or a plateau to the wall. A single piece is a bump: up and down.
    present = [count > 0, *(count - 2 > k for k in range(pieces - 2)), (count > 1) & ~plateau]
    weights = [jnp.where(here, between(next(draw), 0.6, 1.4), 0.0) for here in present]
    share = (end - start - gap) / jnp.maximum(sum(weights), 1.0)
    widths = [share * weight for weight in weights]

    floor, x = jnp.float32(FLOOR_HEIGHT), start + widths[0]
    top = jnp.where(count == 1, start + widths[0] / 2, x)
    height = jnp.minimum((top - start) * between(next(draw), *p.slope), p.terrain_height)
    scene.polygon([(start, floor), (top, floor + height), (x, floor)], when=present[0], fixed=True)
    for k, (here, width) in enumerate(zip(present[1:-1], widths[1:-1], strict=True)):
        x += gap if k == 1 else 0.0
        slope = jnp.where(next(draw) < 0.6, 1.0, -1.0) * between(next(draw), *p.slope)
        after = jnp.where(here, jnp.clip(height + width * slope, LOWEST, p.terrain_height), height)
        corners = [(x, floor), (x, floor + height), (x + width, floor + after), (x + width, floor)]
        scene.polygon(corners, when=here, fixed=True)
        x, height = x + width, after
    if pieces > 1:
        left, right = jnp.where(plateau, end, end - widths[-1]), jnp.where(plateau, ROOM_SIZE, end)
        corners = [(left, floor), (left, floor + height), (right, floor + height * plateau), (right, floor)]
        scene.polygon(corners, jnp.where(plateau, 4, 3), when=count > 1, fixed=True)
    return floor + jnp.where(plateau, height, 0.0)
