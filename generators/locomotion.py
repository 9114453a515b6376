"""Articulated walkers of random morphology that must reach a target."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import require_slots
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, MOTOR_BINDINGS, ROOM_SIZE, STATIC_POLYGONS

from .checks import check_chances, check_ranges, check_shares
from .draws import between, one_of, permutation, uniform, weighted
from .permute import permute_slots
from .roles import BLUE, GREEN, RED
from .scene import Point, Scene, mirrored

DRAWS_PER_LIMB = 8
"""Uniform numbers that a limb uses at most."""

DRAWS = 40
"""Uniform numbers that all else uses at most."""

CLEARANCE = 0.1
"""Least distance between the walker and anything that it is not joined to, but for the floor [m]."""

LEAST_SHARE = 0.7
"""Least weight of a segment when a leg's height is divided among its segments; the greatest is 1.3."""

Draws = Iterator[jax.Array]
"""Uniform numbers () in [0, 1)."""


@dataclasses.dataclass(frozen=True)
class LocomotionLevels:
    """Parameters of locomotion levels.

    Raises:
        ValueError: for a probability outside [0, 1], shares that do not sum to 1, a range with swapped ends or beyond
            what the room holds, or legs too short for their thickness.
    """

    max_legs: int = 3
    """Most legs of a walker; one with a round body has two at least."""
    max_segments: int = 2
    """Most segments of a leg: two are thigh and shin. Sizes with few joints have fewer."""
    body_length: tuple[float, float] = (0.4, 0.9)
    """Range of lengths of the body [m]."""
    body_height: tuple[float, float] = (0.14, 0.28)
    """Range of its heights; a round body, in sizes with two polygons, has it as its radius [m]."""
    leg_height: tuple[float, float] = (0.4, 0.75)
    """Range of heights of the hips above the ground [m]; all legs of a walker reach the ground."""
    limb_width: tuple[float, float] = (0.07, 0.12)
    """Range of widths of limbs [m]."""
    bend: float = 0.35
    """Largest angle of a leg's segment with the vertical at the start [rad]."""
    extra_limb_chance: float = 0.5
    """Probability of a further limb, a tail, arm or neck, where slots are left."""
    extra_limb_length: tuple[float, float] = (0.2, 0.45)
    """Range of its lengths [m]."""
    limit: tuple[float, float] = (0.6, 1.4)
    """Range of a joint's limits, to either side of how it stands at the start [rad]."""
    motor_speed: tuple[float, float] = (0.6, 1.8)
    """Range of motor speeds [6 rad/s]."""
    motor_power: tuple[float, float] = (1.5, 3.0)
    """Range of motor powers."""
    green_foot_chance: float = 0.2
    """Probability that the lowest segment of the first leg is green instead of the body, where the floor is not red."""

    target_shares: tuple[float, float, float] = (0.6, 0.2, 0.2)
    """Probabilities of a fixed ball, a ball that rolls, and a post on the floor as the target; where no polygon is left
    for a post, a fixed ball takes its place."""
    target_distance: tuple[float, float] = (0.1, 2.3)
    """Range of horizontal distances from the walker's end to the target's centre [m], as far as the room allows."""
    target_radius: tuple[float, float] = (0.15, 0.35)
    """Range of radii of a ball [m]."""
    hurdle_chance: float = 0.4
    """Probability of a low fixed box between walker and target, where a polygon is left."""
    hurdle_height: tuple[float, float] = (0.04, 0.15)
    """Range of its heights [m]."""
    red_floor_chance: float = 0.2
    """Probability of a red floor, which the body must not touch."""

    def __post_init__(self):
        check_chances(self, "extra_limb_chance", "green_foot_chance", "hurdle_chance", "red_floor_chance")
        check_shares(self.target_shares, "target_shares", 3)
        check_ranges(self, "body_length", "body_height", "target_radius", low=0.05, high=1.2)
        check_ranges(self, "leg_height", low=0.1, high=2.0)
        check_ranges(self, "limb_width", "hurdle_height", low=0.02, high=0.3)
        check_ranges(self, "extra_limb_length", low=0.1, high=0.6)
        check_ranges(self, "limit", low=0.0, high=math.pi)
        check_ranges(self, "motor_speed", "motor_power", "target_distance", low=0.0)
        for name in ("max_legs", "max_segments"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not 0.0 <= self.bend <= 0.8:
            raise ValueError(f"bend is an angle from 0 to 0.8 rad; got {self.bend}")
        shortest = self.leg_height[0] * LEAST_SHARE / (LEAST_SHARE + 1.3 * (self.max_segments - 1))
        if shortest <= self.limb_width[1]:
            raise ValueError(
                f"the shortest segment, {shortest:.3g} m, is not longer than limb_width: raise leg_height, "
                f"or lower limb_width or max_segments; got limb_width={self.limb_width}"
            )


DEFAULT = LocomotionLevels()
"""What ``locomotion_level`` samples where nothing else is asked for."""


def locomotion_level(key: jax.Array, size: str | Size = "l", parameters: LocomotionLevels = DEFAULT) -> Level:
    """One level with a walker; traceable, with ``size`` and ``parameters`` static.

    The walker stands on the floor at one side with all its legs, its target is farther right or left. Sizes with less
    than three polygons have a round body with two legs that share its centre as their hip. Limits of joints are
    relative to how the walker stands, and each motor has a channel of its own as far as there are enough.

    Args:
        key: of the random numbers.
        size: with two polygons, two circles and two joints; ``m`` suffices, ``l`` has legs of two segments and more.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size, or one too small.

    Source: in the spirit of the locomotion levels of kinetix-env 3.0.2, with more variety.
    """
    size = size_of(size)
    require_slots(size, shapes=2, circles=2, joints=2, what="a walker")
    polygons = size.polygons - STATIC_POLYGONS
    limbs = min(size.joints, polygons - 1 if polygons > 2 else polygons)
    key, key_slots = jax.random.split(key)
    draw = iter(list(uniform(key, (DRAWS + DRAWS_PER_LIMB * limbs,))))
    scene = Scene(size)
    red_floor = next(draw) < parameters.red_floor_chance
    right, top = _walker(scene, limbs, red_floor, draw, parameters)
    _target(scene, polygons > max(2, 1 + limbs), right, top, draw, parameters)
    level = mirrored(scene.level(jnp.where(red_floor, RED, 0)), next(draw) < 0.5)
    return permute_slots(key_slots, level)


def _walker(
    scene: Scene, limbs: int, red_floor: jax.Array, draw: Draws, p: LocomotionLevels
) -> tuple[jax.Array, jax.Array]:
    """A walker of up to ``limbs`` limbs at the left: how far right it reaches, and how high its body [m]."""
    u = lambda bounds: between(next(draw), *bounds)
    round_body = scene.size.polygons - STATIC_POLYGONS < 3
    legs = min(p.max_legs, limbs)
    segments = min(p.max_segments, limbs // legs)
    least = 2 if round_body and legs > 1 else 1
    count = least + one_of(next(draw), legs - least + 1)
    hip, length, height = u(p.leg_height), u(p.body_length), u(p.body_height)
    green_foot = (next(draw) < p.green_foot_chance) & ~red_floor
    body_role = jnp.where(green_foot, 0, GREEN)
    reach = max(p.leg_height[1] * math.tan(p.bend), p.extra_limb_length[1])
    if round_body:
        centre = x, _ = CLEARANCE + height + reach + 0.5 * next(draw), FLOOR_HEIGHT + hip
        body = scene.circle(centre, height, role=body_role)
        length = jnp.float32(0.0)
    else:
        inset = 0.4 * height  # how deep in the body the hips are
        centre = x, _ = CLEARANCE + length / 2 + reach + 0.3 * next(draw), FLOOR_HEIGHT + hip + height / 2 - inset
        body = scene.rectangle(centre, length, height, role=body_role)

    channels = permutation(jnp.stack([next(draw) for _ in range(MOTOR_BINDINGS)]))
    joints = iter(range(limbs))

    def joint(a: int, b: int, point: Point, when: jax.Array) -> None:
        binding, limits = channels[next(joints) % MOTOR_BINDINGS], (-u(p.limit), u(p.limit))
        speed, power = u(p.motor_speed), u(p.motor_power)
        scene.joint(a, b, point, binding=binding, limits=limits, speed=speed, power=power, when=when)

    # Where a joint and a polygon are left, or legs are missing, there may be a limb at an end or on top of the body.
    width, spare = u(p.limb_width), limbs > legs * segments
    extra_there = next(draw) < p.extra_limb_chance
    extra = _extra_limb(centre, length, height, width, round_body, draw, p)

    for k in range(legs):
        there = jnp.asarray(count > k)
        in_leg = 1 + one_of(next(draw), segments)
        weights = [jnp.where(in_leg > j, u((LEAST_SHARE, 1.3)), 0.0) for j in range(segments)]
        along = (k + u((0.25, 0.75))) / count - 0.5
        point: Point = x + along * (length - 2 * width), FLOOR_HEIGHT + hip
        parent = body
        for j in range(segments):
            here = there & (in_leg > j)
            angle = u((-p.bend, p.bend))
            if round_body:  # legs that share a hip stand astride
                angle = jnp.abs(angle) * (1 - 2 * (k % 2)) + 0.1 * (1 - 2 * (k % 2))
            last = in_leg == j + 1
            # A segment reaches half its width beyond the joints at its ends; the last one stops at the ground.
            sole = jnp.where(last, width / 2 * (jnp.cos(angle) + jnp.abs(jnp.sin(angle))), 0.0)
            span = jnp.where(here, (hip * weights[j] / sum(weights) - sole) / jnp.cos(angle), 0.1)
            end: Point = point[0] + span * jnp.sin(angle), point[1] - span * jnp.cos(angle)
            role = jnp.where(green_foot & last, GREEN, 0) if k == 0 else 0
            middle, at, turn, tall = _middle(point, end), point, angle, span + width
            if k == legs - 1 and j == 0 and not spare and legs > least:
                choose = functools.partial(jnp.where, there)
                middle, at, turn, tall = jax.tree.map(choose, (middle, at, turn, tall), extra)
                here |= extra_there
            slot = scene.rectangle(middle, width, tall, turn, role=role, when=here)
            joint(parent, slot, at, here)
            parent, point = slot, end
    if spare:
        middle, at, turn, tall = extra
        slot = scene.rectangle(middle, width, tall, turn, when=extra_there)
        joint(body, slot, at, extra_there)
    half = jnp.maximum(length / 2, height if round_body else 0.0)
    return x + half + reach, centre[1] + (height if round_body else height / 2)


def _extra_limb(
    centre: Point,
    length: jax.Array,
    height: jax.Array,
    width: jax.Array,
    round_body: bool,
    draw: Draws,
    p: LocomotionLevels,
) -> tuple[Point, Point, jax.Array, jax.Array]:
    """A limb at the body's left or right end or on its top, pointing outwards: its middle, joint, angle and length."""
    place, lift = one_of(next(draw), 3), next(draw)
    span = between(next(draw), *p.extra_limb_length) - width
    sign = jnp.array([-1.0, 1.0, 0.0], jnp.float32)[place]
    outwards = jnp.where(sign == 0, (lift - 0.5) * 1.2, -sign * (math.pi / 2 - 0.8 * lift))
    inset = jnp.minimum(width / 2, height / 2)
    at = centre[0], centre[1]
    if not round_body:
        along = jnp.where(sign == 0, (next(draw) - 0.5) * 0.8 * length, sign * (length / 2 - inset))
        at = centre[0] + along, centre[1] + jnp.where(sign == 0, height / 2 - inset, 0.0)
    end = at[0] - span * jnp.sin(outwards), at[1] + span * jnp.cos(outwards)
    return _middle(at, end), at, outwards, span + width


def _middle(a: Point, b: Point) -> Point:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def _target(
    scene: Scene, polygon_left: bool, right: jax.Array, top: jax.Array, draw: Draws, p: LocomotionLevels
) -> None:
    """The target right of the walker, which ends at ``right`` and whose body's top is at ``top``; perhaps a hurdle."""
    u = lambda bounds: between(next(draw), *bounds)
    kind = weighted(next(draw), jnp.array(p.target_shares, jnp.float32))
    radius, distance, height = u(p.target_radius), u(p.target_distance), next(draw)
    post = (kind == 2) & polygon_left
    rolls = kind == 1
    half = jnp.where(post, radius / 2, radius)
    x = jnp.clip(right + distance, right + CLEARANCE + half, ROOM_SIZE - CLEARANCE - half)
    lowest = FLOOR_HEIGHT + radius
    y = jnp.where(rolls, lowest, between(height, lowest, jnp.maximum(top, lowest)))
    scene.circle((x, y), radius, role=BLUE, fixed=~rolls, when=~post)
    if not polygon_left:
        return
    # The last polygon is the post or the hurdle.
    tall = between(height, 0.7, 1.1) * (top - FLOOR_HEIGHT)
    low, width = u(p.hurdle_height), u((0.1, 0.35))
    free = x - half - CLEARANCE - (right + CLEARANCE)
    hurdle = (next(draw) < p.hurdle_chance) & (free > width)
    at = right + CLEARANCE + width / 2 + next(draw) * jnp.maximum(free - width, 0.0)
    size = jnp.where(post, 2 * half, width), jnp.where(post, tall, low)
    centre = jnp.where(post, x, at), FLOOR_HEIGHT + size[1] / 2
    scene.rectangle(centre, *size, role=jnp.where(post, BLUE, 0), fixed=True, when=post | hurdle)
