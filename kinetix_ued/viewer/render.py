"""Pictures of scenes, as arrays: traceable, one scene at a time, made for batches.

A picture is a stack of layers, each a convex shape in one colour, painted over one another. Layers are first brought to
spans (see ``spans``); then one loop over the pixels goes through all of them. No array has both a layer and a pixel axis.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import Level, WorldState
from kinetix_ued.world.constants import ROOM_SIZE, STATIC_POLYGONS
from kinetix_ued.world.geometry import rotate, rotation_matrix

from . import palette
from .palette import INK, body_codes, pack
from .spans import Spans, columns, discs, polygons, rays, rows, squares

SCREEN = 500
"""Pixels of the reference's screen, in which the sizes below are given."""

OUTLINE, JOINT, THRUSTER = 2, 6, 16
"""Width of outlines, of joint and of thruster markers [pixel of the screen]."""

MAX_PIXELS = 4096
"""Samples across a picture at most."""

FLAME = ((-0.5, -0.1), (-0.5, 0.1), (0.06, 0.38), (0.06, -0.38))
"""Corners of a thruster's flame, in marker sizes; the force points along +x."""

NOZZLE = ((0.06, -0.5), (0.06, 0.5), (0.5, 0.31), (0.5, -0.31))
"""Corners of its nozzle."""


class Layers(NamedTuple):
    """Shapes in painting order.

    Attributes:
        first: first row in each column (M, X) uint32
        height: number of rows from there (M, X) uint32
        code: colour (M) uint32, see ``palette.pack``
    """

    first: jax.Array
    height: jax.Array
    code: jax.Array


Shape = tuple[Spans, jax.Array, jax.Array | np.ndarray]
"""One shape of each of N things: spans (N, X), whether they are active (N) bool, colour codes (N) or ()."""


def render(
    level: Level,
    world: WorldState | None = None,
    *,
    pixels: int = 125,
    supersample: int = 1,
    markers: float = 1.0,
) -> jax.Array:
    """The picture (pixels, pixels, 3) of one scene, RGB in [0, 1] float32; axes x to the right, y up. Traceable.

    It shows the 5 m x 5 m of the room: floor, polygons, circles, joints, thrusters in this order. Roles have the
    reference's colours, fixed bodies are darker; at 125 pixels it is the reference's observation, but for triangles and
    bodies wider than 2 m, which are whole here, and for the thrusters' markers, which are this package's own. Outlines
    and markers grow with ``pixels``.

    Args:
        level: one level; ``jax.vmap`` batches.
        world: where its bodies are; where the level has them, if none is given.
        pixels: width and height.
        supersample: a pixel is the mean of this many samples in each direction, those of the picture of
            ``pixels * supersample``. With 1, pixel (i, j) shows the point (i, j) * 5 m / pixels.
        markers: size of the markers of joints and thrusters, in the reference's.

    Raises:
        ValueError: for numbers that are too small or together too large, or a batch of levels.
    """
    check_resolution(pixels, supersample)
    if not 0 < markers <= SCREEN / THRUSTER:
        raise ValueError(f"markers must be more than 0 and at most {SCREEN / THRUSTER}; got {markers!r}")
    if level.gravity.ndim != 1:
        raise ValueError("render takes one level; batch it with jax.vmap(render)")
    return _render(level, world, pixels, supersample, markers)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _render(level: Level, world: WorldState | None, pixels: int, supersample: int, markers: float) -> jax.Array:
    samples = pixels * supersample
    picture = palette.unpack(paint(scene_layers(level, level if world is None else world, samples, markers)))
    if supersample > 1:
        picture = picture.reshape(pixels, supersample, pixels, supersample, 3).mean(axis=(1, 3))
    return picture


def check_resolution(pixels: int, supersample: int) -> None:
    """Raises ``ValueError`` for a picture that cannot be."""
    for name, number in (("pixels", pixels), ("supersample", supersample)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {number!r}")
    if pixels * supersample > MAX_PIXELS:
        raise ValueError(
            f"{pixels} pixels with supersample {supersample} need {pixels * supersample} samples across, more than "
            f"{MAX_PIXELS}: use fewer pixels or a smaller supersample"
        )


def paint(layers: Layers) -> jax.Array:
    """Colour codes (X, X) of the layers over the background."""
    layers = jax.lax.optimization_barrier(layers)  # otherwise each pixel computes its column's spans again
    row = jnp.arange(layers.first.shape[1], dtype=jnp.uint32)
    codes = jnp.full((len(row), len(row)), pack(palette.BACKGROUND))
    for first, height, code in zip(*layers):
        # Below the first row the difference wraps around to a huge number: one comparison tests both ends.
        codes = jnp.where(row - first[:, None] < height[:, None], code, codes)
    return jax.lax.optimization_barrier(codes)  # three channels would paint it three times


def scene_layers(level: Level, pose: Level | WorldState, samples: int, markers: float = 1.0) -> Layers:
    """The layers (M) of a scene at ``samples`` a side; ``pose`` has the bodies' positions and rotations."""
    x, scale = columns(samples), samples / ROOM_SIZE
    groups = (
        _polygon_layers(level, pose, x, scale),
        _circle_layers(level, pose, x, scale),
        _joint_layers(level, pose, x, scale, _marker_pixels(JOINT * markers, samples)),
        _thruster_layers(level, pose, x, scale, _marker_pixels(THRUSTER * markers, samples)),
    )
    return Layers(*(jnp.concatenate(parts) for parts in zip(*groups)))


def _interleaved(*shapes: Shape, samples: int) -> Layers:
    """The layers of several shapes of each of N things, painted thing by thing."""
    layers = []
    for spans, active, code in shapes:
        layers.append(
            Layers(*rows(spans, active, samples), jnp.broadcast_to(jnp.asarray(code, jnp.uint32), active.shape))
        )
    weave = lambda *parts: jnp.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])
    return Layers(*(weave(*parts) for parts in zip(*layers)))


def _marker_pixels(size: float, samples: int) -> int:
    return max(1, int(size * samples / SCREEN))


def _polygon_layers(level: Level, pose: Level | WorldState, x: jax.Array, scale: float) -> Layers:
    """The floor and the dynamic polygons; walls and ceiling are the picture's border."""
    take = lambda array: jnp.concatenate([array[:1], array[STATIC_POLYGONS : level.size.polygons]])
    rotation, count = take(pose.rotation), take(level.n_vertices)
    corners = take(pose.position)[:, None] + rotate(rotation_matrix(rotation)[:, None], take(level.vertices))
    active, samples = take(level.active), len(x)
    code = body_codes(take(level.role), take(level.inverse_mass) == 0)
    outline = OUTLINE * samples // SCREEN
    fill = (polygons(x, corners * scale, count, inset=float(outline)), active, code)
    if not outline:
        return _interleaved(fill, samples=samples)
    return _interleaved((polygons(x, corners * scale, count), active, pack(INK)), fill, samples=samples)


def _circle_layers(level: Level, pose: Level | WorldState, x: jax.Array, scale: float) -> Layers:
    circles, samples = slice(level.size.polygons, level.size.bodies), len(x)
    active, rotation = level.active[circles], pose.rotation[circles]
    centre, radius = pose.position[circles] * scale, level.radius[circles] * scale
    code = body_codes(level.role[circles], level.inverse_mass[circles] == 0)
    outline = OUTLINE * samples // SCREEN
    whole = discs(x, centre, radius)
    up = rotation_matrix(rotation)[..., 1]
    line = rays(x, centre, up, half_width=max(1.0, OUTLINE * samples / SCREEN / 2)) & whole
    inside = discs(x, centre, jnp.maximum(radius - outline, 0.0))
    shapes: list[Shape] = [(inside, active, code), (line, active, pack(INK))]
    if outline:
        shapes.insert(0, (whole, active, pack(INK)))
    return _interleaved(*shapes, samples=samples)


def _joint_layers(level: Level, pose: Level | WorldState, x: jax.Array, scale: float, pixels: int) -> Layers:
    """A disc for a revolute joint, a square for a fixed one, ``pixels`` wide."""
    samples = len(x)
    anchor = rotate(rotation_matrix(pose.rotation[level.joint_a]), level.joint_anchor_a)
    corner = jnp.round((pose.position[level.joint_a] + anchor) * scale - pixels // 2)
    centre = corner + (pixels - 1) / 2  # markers are whole pixels, so that they look alike everywhere

    def marker(size: float) -> Spans:
        square, disc = squares(x, centre, size / 2), discs(x, centre, jnp.full(len(centre), size / 2, jnp.float32))
        return Spans(*(jnp.where(level.joint_fixed[:, None], s, d) for s, d in zip(square, disc)))

    driven = level.motor_on & ~level.joint_fixed
    bound = jnp.asarray(pack(palette.BINDING_COLOURS))[level.motor_binding]
    code = jnp.where(driven, bound, pack(palette.PASSIVE_COLOUR))
    rim = max(1, round(pixels / 6)) if pixels >= 3 else 0
    fill = (marker(pixels - 2 * rim), level.joint_active, code)
    if not rim:
        return _interleaved(fill, samples=samples)
    return _interleaved((marker(pixels), level.joint_active, pack(INK)), fill, samples=samples)


def _thruster_layers(level: Level, pose: Level | WorldState, x: jax.Array, scale: float, pixels: int) -> Layers:
    """A flame in the colour of the binding behind a nozzle, ``pixels`` long; the force points from flame to nozzle."""
    samples, active = len(x), level.thruster_active
    held_by = pose.rotation[level.thruster_body]
    place = pose.position[level.thruster_body] + rotate(rotation_matrix(held_by), level.thruster_position)
    centre, turn = jnp.round(place * scale), rotation_matrix(held_by + level.thruster_rotation)

    def part(corners, inset: float = 0.0) -> Spans:
        corners = rotate(turn[:, None], jnp.asarray(corners, jnp.float32)) * pixels
        return polygons(x, centre[:, None] + corners, inset=inset)

    flame = jnp.asarray(pack(np.asarray(palette.BINDING_COLOURS) * palette.FLAME_SHADE))[level.thruster_binding]
    ink, rim = pack(INK), pixels / 16
    shapes: list[Shape] = [
        (part(FLAME), active, flame),
        (part(NOZZLE), active, ink),
        (part(NOZZLE, inset=rim), active, pack(palette.NOZZLE_COLOUR)),
    ]
    if rim >= 0.5:  # an outline for the flame too, as soon as it leaves something to see of it
        shapes[:1] = [(part(FLAME), active, ink), (part(FLAME, inset=rim), active, flame)]
    return _interleaved(*shapes, samples=samples)
