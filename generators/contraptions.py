"""Contraptions: machinery that brings a passive green body to the target, or that a driven one must get past."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from kinetix_ued.levels.builder import require_slots
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import FLOOR_HEIGHT, MOTOR_BINDINGS, ROOM_SIZE

from .checks import check_chances, check_ranges, check_shares
from .draws import Draw
from .mixture import Mixture, mixture_of_forms
from .parts import (
    PLACE_DRAWS,
    Space,
    add,
    bar,
    clutter,
    finish,
    motor,
    rotated,
    shape,
    target,
    thruster_channels,
)
from .roles import GREEN, RED
from .scene import CEILING, FLOOR, LEFT_WALL, RIGHT_WALL, Body, Either, Point, Scene

DRAWS = 110 + 7 * (PLACE_DRAWS + 10)
"""Uniform numbers that a level uses at most."""

GAP = 0.005
"""Between a thing and what it lies on at the start [m]."""


@dataclasses.dataclass(frozen=True)
class ContraptionLevels:
    """Parameters of levels with machinery.

    Raises:
        ValueError: for a probability outside [0, 1], shares that do not sum to 1, or a range with swapped ends or
            beyond what the room holds.
    """

    shares: tuple[float, float, float, float] = (0.35, 0.25, 0.15, 0.25)
    """Probabilities of beams on a pivot, flippers, rollers, and gates, among those that the size has slots for."""
    beam_length: tuple[float, float] = (0.6, 2.4)
    """Range of lengths of beams, with uniform logarithm [m]."""
    flipper_length: tuple[float, float] = (0.3, 1.1)
    """Range of lengths of flippers, with uniform logarithm [m]."""
    gate_length: tuple[float, float] = (0.5, 2.0)
    """Range of lengths of gates and rotating bars, with uniform logarithm [m]."""
    thickness: tuple[float, float] = (0.05, 0.16)
    """Range of their thicknesses, with uniform logarithm [m]."""
    ball_radius: tuple[float, float] = (0.07, 0.25)
    """Range of radii of the green ball, with uniform logarithm [m]."""
    motor_speed: tuple[float, float] = (0.15, 3.0)
    """Range of motor speeds, with uniform logarithm [6 rad/s]."""
    motor_power: tuple[float, float] = (0.2, 3.0)
    """Range of their powers, with uniform logarithm."""
    auto_chance: float = 0.1
    """Probability that a rotating bar or rollers turn by themselves."""
    thruster_chance: float = 0.3
    """Probability that thrusters at its ends move a beam instead of a motor."""
    away_chance: float = 0.9
    """Probability that a ball lies on the side of a beam that is away from the target, to which it does not roll."""
    wall_hinge_chance: float = 0.25
    """Probability that a beam hangs on the wall by its end, where there is a slot for a post; otherwise it does."""
    held_chance: float = 0.7
    """Probability that a beam on the wall cannot fall, but only rise."""
    red_floor_chance: float = 0.3
    """Probability of a red floor."""
    red_bar_chance: float = 0.25
    """Probability that a gate's bar is red."""
    shared_binding_chance: float = 0.4
    """Probability that several motors listen to one channel."""
    clutter_chance: float = 0.4
    """Probability of a further shape in each slot that is left for it."""
    target_radius: tuple[float, float] = (0.09, 0.35)
    """Range of the target's radius, with uniform logarithm [m]."""

    def __post_init__(self):
        check_chances(self, *(field.name for field in dataclasses.fields(self) if field.name.endswith("_chance")))
        check_shares(self.shares, "shares", 4)
        check_ranges(self, "beam_length", "flipper_length", "gate_length", low=0.2, high=3.0)
        check_ranges(self, "thickness", "ball_radius", "target_radius", low=0.03, high=0.5)
        check_ranges(self, "motor_speed", "motor_power", low=1e-3)


DEFAULT = ContraptionLevels()
"""What ``contraption_level`` samples where nothing else is asked for."""


def contraption_forms(size: Size, parameters: ContraptionLevels = DEFAULT) -> Mixture:
    """Beams, flippers, rollers and gates, as far as they have levels of ``size``, by their shares."""
    forms = dict(zip((_beam, _flipper, _roller, _gate), parameters.shares, strict=True))
    return mixture_of_forms(forms, size, parameters, finish)


def contraption_level(key: jax.Array, size: str | Size = "l", parameters: ContraptionLevels = DEFAULT) -> Level:
    """One level with machinery; traceable, with ``size`` and ``parameters`` static.

    Args:
        key: of the random numbers.
        size: with a polygon, two circles and a joint; ``s`` suffices.
        parameters: of the distribution.

    Raises:
        ValueError: for an unknown size, or one too small.
    """
    size = size_of(size)
    return contraption_forms(size, parameters)(key, size)


def _beam(key: jax.Array, size: Size, p: ContraptionLevels) -> Level:
    """One level with a ball on a beam that a motor or thrusters tilt: seesaw, tray or catapult."""
    require_slots(size, shapes=1, circles=2, joints=1, what="a beam")
    draw, scene, space = Draw(key, DRAWS), Scene(size), Space()
    length, thick, radius = map(draw.log_between, (p.beam_length, p.thickness, p.ball_radius))
    posted = ~draw.chance(p.wall_hinge_chance) if size.circles > 2 else jnp.array(False)
    # The pivot, and how far the beam reaches to the left of it; one on the wall reaches to the right only.
    back = length * jnp.where(posted, draw.between((0.15, 0.85)), 0.0)
    tilt = jnp.where(draw.chance(0.5), 0.0, draw.between((-0.2, 0.2)))
    x = jnp.where(posted, draw.between((0.0, 1.0)) * (ROOM_SIZE - 1.2 - length) + back + 0.1, 0.0)
    height = jnp.where(draw.chance(0.5), draw.between((0.25, 0.7)), draw.between((0.5, 3.2)))
    pivot: Point = x, FLOOR_HEIGHT + jnp.maximum(height, jnp.abs(jnp.sin(tilt)) * length + thick + 0.1)
    local = lambda along, up: add(pivot, rotated((along - back, up), tilt))
    front = length - back

    hinge: Body = LEFT_WALL
    if size.circles > 2:
        size_post = thick / 2  # what stands out above the beam would stop the ball
        if scene.left("polygon") > 5:  # a stand from the floor up
            half = draw.log_between((0.03, 0.15)), jnp.maximum((pivot[1] - FLOOR_HEIGHT) / 2, 0.05)
            standing = draw.chance(0.6)
            centre = pivot[0], jnp.where(standing, FLOOR_HEIGHT + half[1], pivot[1])
            half = jnp.where(standing, half[0], size_post), jnp.where(standing, half[1], size_post)
            post: Body = shape(scene, ~standing, centre, half, fixed=True, when=posted)
            space.take(centre, half, posted)
        else:
            post = scene.circle(pivot, size_post, fixed=True, when=posted)
            space.take(pivot, (size_post, size_post), posted)
        hinge = Either(posted, post, hinge)
    beam = scene.rectangle(local(length / 2, 0.0), length, thick, tilt)
    by_thruster, limit = draw.chance(p.thruster_chance), draw.between((0.25, 1.2))
    engine = motor(draw, p.motor_speed, p.motor_power)
    limited = draw.chance(0.75)
    # One at the wall falls, or rests on its limit until it is to throw.
    held = ~posted & draw.chance(p.held_chance)
    limits = jnp.where(held, -0.01, -limit), limit
    scene.joint(hinge, beam, pivot, motor=~by_thruster, limits=limits, limited=limited | held, **engine)
    for low, high in ((0.0, 0.33), (0.33, 0.67), (0.67, 1.0)):
        space.take_line(local(low * length, 0.0), local(high * length, 0.0), thick / 2 + 0.05)

    # The ball, or a box, on top of it.
    away, boxed = draw.chance(p.away_chance), jnp.array(False)
    share = jnp.where(away, draw.between((0.05, 0.9)), draw.between((1.1, 1.9)))
    along = jnp.where(
        posted, jnp.where(away, share * back, back + (share - 1.0) * front), draw.between((0.2, 0.9)) * length
    )
    along = jnp.clip(along, jnp.minimum(radius, 0.4 * length), length)
    ball = local(along, thick / 2 + radius + GAP)
    along += jnp.maximum(radius + 0.02 - ball[0], 0.0)  # clear of the wall
    ball = local(along, thick / 2 + radius + GAP)
    if scene.left("polygon") > 3:
        boxed = draw.chance(0.25)
        shape(scene, ~boxed, ball, (radius, radius), tilt, role=GREEN)
    else:
        scene.circle(ball, radius, role=GREEN)
    grow = 1.45 * radius + 0.05
    space.take(ball, (grow, grow))
    if scene.left("polygon") > 3 and size.joints > 2:
        # Edges that keep a ball on the beam.
        for end, inset in ((0.0, 1.0), (length, -1.0)):
            tall, there = draw.between((0.04, 0.2)), draw.chance(0.3) & (jnp.abs(along - end) > 1.5 * radius + 0.1)
            foot = end + inset * 0.03
            edge = scene.rectangle(local(foot, (thick + tall) / 2), 0.06, tall, tilt, when=there)
            scene.joint(beam, edge, local(foot, thick / 2), fixed=True, when=there)
            space.take(local(foot, tall / 2), (0.1, tall), there)
    mass = length * thick + math.pi * radius**2
    channels, strong = thruster_channels(draw, 0.05), draw.log_between((0.6, 3.0))
    for k in range(min(2, size.thrusters)):
        end = jnp.where((k == 0) == posted, 0.04 * length, 0.96 * length)
        up = draw.chance(0.6) | ~posted
        at, direction = local(end, jnp.where(up, -thick / 2, thick / 2)), tilt + jnp.where(up, 1.0, -1.0) * math.pi / 2
        there = by_thruster & ((k == 0) | (posted & draw.chance(0.8)))
        scene.thruster(beam, at, direction, mass * strong, binding=channels[k], when=there)

    beyond = jnp.where(draw.chance(0.75), jnp.minimum(pivot[0] + 0.6 * front, ROOM_SIZE - 0.9), 0.0)
    above = draw.chance(jnp.where(posted, 0.3, 0.7))  # what falls off a beam on the wall rolls along the floor
    low = beyond, jnp.where(above, jnp.minimum(pivot[1] + 0.3, 4.0), FLOOR_HEIGHT)
    high = jnp.float32(ROOM_SIZE), jnp.where(above, ROOM_SIZE, jnp.minimum(pivot[1] + 0.5, ROOM_SIZE))
    _rest(scene, space, draw, low, high, p, above)
    red_floor = draw.chance(p.red_floor_chance)
    return scene.level(jnp.where(red_floor, RED, 0))


def _flipper(key: jax.Array, size: Size, p: ContraptionLevels) -> Level:
    """One level with one or two flippers at the ends of ramps, which throw a falling ball to the target."""
    require_slots(size, shapes=1, circles=2, joints=1, what="a flipper")
    draw, scene, space = Draw(key, DRAWS), Scene(size), Space()
    length, thick, radius = map(draw.log_between, (p.flipper_length, p.thickness, p.ball_radius))
    ramps = scene.left("polygon") > 1
    both = draw.chance(0.6) if scene.left("polygon") > 3 and size.joints > 1 else jnp.array(False)
    height, sink = draw.between((0.5, 1.8)), draw.between((0.0, 0.6))
    width = jnp.where(draw.chance(0.85), draw.between((0.3, 1.3)), 0.0) if ramps else jnp.float32(0.0)
    slope, drain = draw.between((0.1, 0.5)), draw.between((0.4, 1.6)) * radius + thick * jnp.sin(sink) + 0.02
    width = jnp.where(both, (ROOM_SIZE - drain) / 2 - length * jnp.cos(sink), width)
    width = jnp.where(width < 0.2, 0.0, jnp.minimum(width, 2.0))  # too short a ramp is none
    hinge_y = FLOOR_HEIGHT + jnp.maximum(height, length * jnp.sin(sink) + 0.15)
    engine, shared = motor(draw, p.motor_speed, p.motor_power), draw.chance(p.shared_binding_chance)
    rise, fall = draw.between((0.4, 1.3)), draw.between((0.0, 0.3))
    for k in range(2 if scene.left("polygon") > 3 and size.joints > 1 else 1):
        sign, there = (1.0, True) if k == 0 else (-1.0, both)
        wall = 0.0 if k == 0 else ROOM_SIZE
        x = wall + sign * width
        hold: Body = LEFT_WALL if k == 0 else RIGHT_WALL
        if ramps:
            over = hinge_y + thick / 2, hinge_y + thick / 2 + slope * width
            under = hinge_y - thick / 2, hinge_y - thick / 2 + slope * width
            corners = [(wall, over[1]), (x, over[0]), (x, under[0]), (wall, under[1])]
            corners, sloping = corners if k == 0 else [corners[n] for n in (1, 0, 3, 2)], there & (width > 0)
            ramp = scene.polygon(corners, fixed=True, when=sloping)
            space.take_line((wall, under[0]), (x, over[1]), 0.02, sloping)
            hold = Either(sloping, ramp, hold)
        angle = -sign * sink
        tip = x + sign * length * jnp.cos(sink), hinge_y - length * jnp.sin(sink)
        centre = (x + tip[0]) / 2, (hinge_y + tip[1]) / 2
        flipper = scene.rectangle(centre, length, thick, angle, when=there)
        limits = (-fall, rise + sink) if k == 0 else (-rise - sink, fall)
        own = engine | {"binding": (engine["binding"] + jnp.where(shared, 0, k)) % MOTOR_BINDINGS}
        scene.joint(hold, flipper, (x, hinge_y), limits=limits, when=there, **own)
        space.take_line((x, hinge_y), tip, thick, there)

    # The ball falls on a ramp or a flipper.
    span = width + 0.9 * length
    at = radius + 0.05 + draw() * jnp.maximum(span - radius - 0.05, 0.0)
    lowest = hinge_y + slope * width + radius + thick + 0.05
    ball = at, jnp.minimum(lowest + draw.between((0.0, 1.0)), ROOM_SIZE - radius - 0.05)
    scene.circle(ball, radius, role=GREEN)
    space.take(ball, (radius + 0.05, radius + 0.05))
    space.take_line(ball, (ball[0], hinge_y), 0.7 * radius)
    above = draw.chance(0.85)
    low = jnp.where(above, 0.0, jnp.minimum(width + length, 3.8)), jnp.where(above, hinge_y + 0.5, FLOOR_HEIGHT)
    _rest(scene, space, draw, low, (jnp.float32(ROOM_SIZE), jnp.float32(ROOM_SIZE)), p, above)
    red_floor = draw.chance(p.red_floor_chance)
    return scene.level(jnp.where(red_floor, RED, 0))


def _roller(key: jax.Array, size: Size, p: ContraptionLevels) -> Level:
    """One level with a box on motor wheels that stay in place, and a target where they roll it."""
    require_slots(size, shapes=2, circles=3, joints=2, what="rollers")
    draw, scene, space = Draw(key, DRAWS), Scene(size), Space()
    count, radius, apart = min(3, size.circles - 1, size.joints), draw.between((0.12, 0.3)), draw.between((1.05, 1.7))
    pitch = 2 * radius * apart
    height = draw.between((0.05, 1.5)) + radius
    x, y = draw.between((0.3, 1.0)) + radius, FLOOR_HEIGHT + height
    rail = scene.rectangle(
        (x + (count - 1) * pitch / 2, y - 0.3 * radius), (count - 1) * pitch, 0.4 * radius, fixed=True
    )
    engine, shared = motor(draw, p.motor_speed, p.motor_power), draw.chance(0.6)
    auto = draw.chance(p.auto_chance)
    for k in range(count):
        hub = x + k * pitch, y
        wheel = scene.circle(hub, radius)
        own = engine | {"binding": (engine["binding"] + jnp.where(shared, 0, k)) % MOTOR_BINDINGS}
        scene.joint(rail, wheel, hub, auto=auto & (k > 0), **own)
    end = x + (count - 1) * pitch
    space.take(((x + end) / 2, y), ((end - x) / 2 + radius, radius))

    # It lies on two wheels at least.
    half = pitch * draw.between((0.55, 0.8)), draw.log_between((0.05, 0.3))
    start = draw.between((x + 0.4 * pitch, x + 0.6 * pitch))
    top = y + radius + half[1] + GAP
    scene.rectangle((start, top), 2 * half[0], 2 * half[1], role=GREEN)
    space.take((start, top), (half[0] + 0.05, half[1] + 0.05))
    beside = draw.chance(0.4)
    low = jnp.minimum(end + 0.3, ROOM_SIZE - 0.9), jnp.where(beside, y + radius, FLOOR_HEIGHT)
    high = jnp.minimum(end + 1.6, ROOM_SIZE), jnp.where(beside, top + half[1] + 0.3, y + radius)
    _rest(scene, space, draw, low, (high[0], jnp.maximum(high[1], low[1] + 0.3)), p)
    red_floor = draw.chance(p.red_floor_chance)
    return scene.level(jnp.where(red_floor, RED, 0))


def _gate(key: jax.Array, size: Size, p: ContraptionLevels) -> Level:
    """One level with a door or a rotating bar that a motor turns, between the green body and the target.

    The body has thrusters, or rolls down a ramp. Doors hang on a wall from the ceiling, or stand on the floor.
    """
    require_slots(size, shapes=1, circles=2, joints=1, what="a gate")
    draw, scene, space = Draw(key, DRAWS), Scene(size), Space()
    length, thick, radius = map(draw.log_between, (p.gate_length, p.thickness, p.ball_radius))
    x = draw.between((2.0, 3.2))
    mill = draw.chance(0.5) if size.circles > 2 else jnp.array(False)
    walled = size.polygons - 4 > 1
    hanging = jnp.array(True) if walled else draw.chance(0.4)

    # A rotating bar turns about its middle in the air; a door about its end.
    sill = jnp.where(draw.chance(0.5), 0.0, draw.between((0.0, 0.8))) if size.polygons - 4 > 4 else jnp.float32(0.0)
    ledge = FLOOR_HEIGHT + sill
    length = jnp.where(mill, length, jnp.minimum(length, 2.0))
    mill_y = jnp.clip(ledge + length / 2 + draw.between((0.0, 0.6)) + 0.05, ledge + 0.3, ROOM_SIZE - length / 2 - 0.05)
    door_y = ledge + length + 0.06 if walled else jnp.where(hanging, ROOM_SIZE, FLOOR_HEIGHT)
    hinge = x, jnp.where(mill, mill_y, door_y)
    down = jnp.where(hanging, -1.0, 1.0)
    middle = x, jnp.where(mill, mill_y, door_y + down * length / 2)
    angle = jnp.where(mill, draw.between((-1.57, 1.57)), 0.0)
    red = draw.chance(p.red_bar_chance)
    slot = scene.rectangle(middle, thick, length, angle, role=jnp.where(red, RED, 0))
    hold: Body = Either(hanging, CEILING, FLOOR)
    wide = jnp.maximum(thick, draw.log_between((0.08, 0.3)))
    if walled:
        tall = ROOM_SIZE - hinge[1] + 0.02
        wall = scene.rectangle((x, ROOM_SIZE - tall / 2), wide, tall, fixed=True, when=~mill)
        space.take((x, ROOM_SIZE - tall / 2), (wide / 2, tall / 2), ~mill)
        hold = wall
    if size.circles > 2:
        post = scene.circle(hinge, draw.log_between((0.05, 0.15)), fixed=True, when=mill)
        hold = Either(mill, post, hold)
    if size.polygons - 4 > 4:
        bar(scene, space, (x - wide / 2, jnp.float32(FLOOR_HEIGHT)), (x + wide / 2, ledge - 0.02), when=~mill)
    reach = jnp.where(mill, length / 2, jnp.maximum(thick, 0.1))
    space.take(middle, (reach + 0.05, length / 2 + 0.02))

    # The green body, on the floor or on a ramp at the left.
    ramped, start = jnp.array(False), jnp.float32(0.0)
    edge = x - jnp.where(mill, length / 2, wide / 2) - 0.1
    if size.polygons - 4 > 4:
        ramped, start = draw.chance(0.5), ledge + draw.between((0.3, 1.2))
        ramped &= edge > 1.0
        corners = [
            (0.0, FLOOR_HEIGHT),
            (0.0, start),
            (edge, jnp.maximum(ledge, FLOOR_HEIGHT + 0.05)),
            (edge, jnp.float32(FLOOR_HEIGHT)),
        ]
        scene.polygon(corners, fixed=True, when=ramped)
        space.take((edge / 2, (start + FLOOR_HEIGHT) / 2), (edge / 2, (start - FLOOR_HEIGHT) / 2), ramped)
    limit = draw.between((0.3, 2.0)), draw.between((0.3, 2.0))
    engine, auto = motor(draw, p.motor_speed, p.motor_power), mill & draw.chance(p.auto_chance)
    one_way = draw.chance(0.4)
    limits = -limit[0], jnp.where(one_way, 0.02, limit[1])
    scene.joint(hold, slot, hinge, auto=auto & ~ramped, limits=limits, limited=~mill & draw.chance(0.7), **engine)
    low, high = (0.0, FLOOR_HEIGHT), (jnp.maximum(edge, 0.6), jnp.minimum(hinge[1] + 0.5, ROOM_SIZE))
    grounded = draw.chance(0.7)
    place = space.place(draw, (radius, radius), low, high, grounded=grounded & ~ramped, least=0.3, elsewhere=True)
    radius = jnp.where(ramped, radius, radius * place.scale)
    ball = jnp.where(ramped, radius + 0.05, place.centre[0]), jnp.where(ramped, start + radius, place.centre[1])
    if scene.left("polygon") > 2:
        round_one = draw.chance(0.6) | ramped
        body: Body = shape(scene, round_one, ball, (radius, radius), role=GREEN)
    else:
        body = scene.circle(ball, radius, role=GREEN)
    space.take(ball, (radius + 0.05, radius + 0.05))
    several, mass = size.thrusters > 1, math.pi * radius**2
    channels, strong = thruster_channels(draw, 0.08), draw.log_between((0.7, 2.5))
    for k in range(min(2, size.thrusters)):
        heading = draw.between((0.0, 0.9)) if k == 0 else jnp.where(draw.chance(0.6), math.pi / 2, math.pi)
        at = ball[0] - 0.9 * radius * jnp.cos(heading), ball[1] - 0.9 * radius * jnp.sin(heading)
        there = ~ramped & ((k == 0) | draw.chance(0.8))
        scene.thruster(body, at, heading, mass * strong * (1.0 if several else 1.3), binding=channels[k], when=there)
    begin = jnp.minimum(x + jnp.where(mill, 0.5 * length, 0.3), ROOM_SIZE - 0.9)
    _rest(
        scene, space, draw, (begin, FLOOR_HEIGHT), (jnp.float32(ROOM_SIZE), jnp.minimum(hinge[1] + 1.0, ROOM_SIZE)), p
    )
    clear = ~ramped & (ball[1] - radius > FLOOR_HEIGHT + 0.2)
    red_floor = draw.chance(p.red_floor_chance) & clear
    return scene.level(jnp.where(red_floor, RED, 0))


def _rest(
    scene: Scene,
    space: Space,
    draw: Draw,
    low: Point,
    high: Point,
    p: ContraptionLevels,
    above: bool | jax.Array = False,
) -> None:
    """The target within a region, never on the floor where it is to be ``above``, and further shapes anywhere."""
    boxes = scene.left("polygon") > 1
    target(
        scene,
        space,
        draw,
        low,
        high,
        radius=p.target_radius,
        grounded_chance=0.3 * jnp.logical_not(above),
        may_be_box=boxes,
    )
    while scene.left("circle"):
        clutter(scene, space, draw, "circle", chance=p.clutter_chance)
    if scene.left("polygon"):
        clutter(scene, space, draw, "polygon", chance=p.clutter_chance, size=(0.06, 0.5))
