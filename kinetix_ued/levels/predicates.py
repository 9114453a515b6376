"""What the rules of validity ask of a level's arrays: the same for NumPy and JAX, for one level and for any batch.

Each is ``test(arrays, size, xp)``, with any leading axes (...). All are comparisons that are false of NaN, so that a
number that is none is one fault and not ten.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kinetix_ued.world import Size
from kinetix_ued.world.constants import MAX_VERTICES, ROOM_SIZE, STATIC_POLYGONS
from kinetix_ued.world.mass import circle_inverse_mass_inertia, polygon_inverse_mass_inertia

from .mass import circle_inverses, polygon_inverses
from .resize import default_arrays

SHORTEST_EDGE = 1e-5
"""Edges of a polygon are longer than this [m]; the direction of a shorter one is rounding noise."""

STRAIGHT = 1e-5
"""Sine of the angle by which a corner may turn the wrong way: rounded vertices of a straight line pass."""

OUTSIDE = 1e-4
"""By how much a shape's centre may lie outside the room [m]."""

OFF_CENTRE = 1e-4
"""How far a polygon's corners may have their mean from its centre of mass, along either axis [m]."""

MASS_ERROR = 1e-4
"""By which share an inverse mass or inertia may differ from that of shape and density."""

ANCHORS_APART = 1e-3
"""How far apart a joint's two points may be [m]: a larger gap closes with a jerk in the first frames."""

Arrays = Mapping[str, Any]
"""Fields of Level as arrays of NumPy or JAX, with any leading axes."""

Test = Callable[[Arrays, Size, Any], Any]
"""``test(arrays, size, xp)``, with ``xp`` NumPy or jax.numpy: an array (..., slots)."""


def room(size: Size) -> np.ndarray:
    """Slots of floor, walls and ceiling (N) bool."""
    return np.arange(size.bodies) < STATIC_POLYGONS


def circle(size: Size) -> np.ndarray:
    """Slots of circles (N) bool."""
    return np.arange(size.bodies) >= size.polygons


def infinite(field: str) -> Test:
    """Slots with a number that is infinite or not a number."""

    def test(a: Arrays, size: Size, xp: Any) -> Any:
        inner = default_arrays(size)[field].ndim - 1
        return (~xp.isfinite(a[field])).any(axis=tuple(range(-inner, 0)))

    return test


def _at(index: Any, size: Size) -> Any:
    """Indices of bodies (...) as one-hots (..., N): under vmap faster than a gather, and no index is out of bounds."""
    return index[..., None] == np.arange(size.bodies)


def on_body(index: str, active: bool) -> Test:
    """Joints or thrusters whose body is there and active, or there and not active."""
    return lambda a, size, xp: (_at(a[index], size) & (a["active"] == active)[..., None, :]).any(axis=-1)


@dataclasses.dataclass(frozen=True)
class Edges:
    """Edges of all polygons, from each corner to the next.

    Attributes:
        used: the polygon is there and has that edge (..., P, 4) bool
        length: [m] (..., P, 4)
        short: some edge of the polygon has no direction (..., P) bool
        turns: otherwise: the edge is one whose turn means something (..., P, 4) bool
        sine, cosine: of the turn after each edge, left positive (..., P, 4)
    """

    used: Any
    length: Any
    short: Any
    turns: Any
    sine: Any
    cosine: Any


def edges(a: Arrays, size: Size, xp: Any) -> Edges:
    """The edges of all polygons."""
    n_vertices = a["n_vertices"][..., : size.polygons, None]
    corner = np.arange(MAX_VERTICES)
    used = (corner < n_vertices) & (n_vertices >= 3) & a["active"][..., : size.polygons, None]
    following = lambda x: xp.where(corner == n_vertices - 1, x[..., :1], xp.roll(x, -1, axis=-1))
    x, y = (a["vertices"][..., : size.polygons, :, axis] for axis in (0, 1))
    x, y = following(x) - x, following(y) - y
    length = xp.hypot(x, y)
    short = (used & (length < SHORTEST_EDGE)).any(axis=-1)
    scale = xp.where(length > 0, length, 1)
    x, y = x / scale, y / scale
    sine, cosine = x * following(y) - y * following(x), x * following(x) + y * following(y)
    return Edges(used, length, short, used & ~short[..., None], sine, cosine)


def short(a: Arrays, size: Size, xp: Any) -> Any:
    """Polygons with a corner twice."""
    return edges(a, size, xp).short


def shortest(a: Arrays, size: Size, xp: Any) -> Any:
    """The shortest edge of each polygon."""
    found = edges(a, size, xp)
    return xp.where(found.used, found.length, xp.inf).argmin(axis=-1)


def turning_left(throughout: bool) -> Test:
    """Polygons that turn left somewhere: and nowhere right, or elsewhere right."""

    def test(a: Arrays, size: Size, xp: Any) -> Any:
        found = edges(a, size, xp)
        left = (found.turns & (found.sine > STRAIGHT)).any(axis=-1)
        right = (found.turns & (found.sine < -STRAIGHT)).any(axis=-1)
        return left & (right != throughout)

    return test


def flat(a: Arrays, size: Size, xp: Any) -> Any:
    """Polygons that turn back on themselves, or nowhere."""
    found = edges(a, size, xp)
    straight = found.turns & (xp.abs(found.sine) <= STRAIGHT)
    back = (straight & (found.cosine < 0)).any(axis=-1)
    return back | (found.turns.any(axis=-1) & (straight == found.turns).all(axis=-1))


def off_centre(a: Arrays, size: Size, xp: Any) -> Any:
    """Polygons whose corners are not about their mean."""
    n_vertices = a["n_vertices"][..., : size.polygons]
    used = (np.arange(MAX_VERTICES) < n_vertices[..., None])[..., None]
    total = xp.where(used, a["vertices"][..., : size.polygons, :, :], 0).sum(axis=-2)
    mean = total / xp.maximum(n_vertices, 1)[..., None]
    there = a["active"][..., : size.polygons] & ~room(size)[: size.polygons]
    return there & (xp.abs(mean) > OFF_CENTRE).any(axis=-1)


def outside(a: Arrays, size: Size, xp: Any) -> Any:
    """Shapes with their centre outside the room."""
    beyond = (a["position"] < -OUTSIDE) | (a["position"] > ROOM_SIZE + OUTSIDE)
    return a["active"] & ~room(size) & beyond.any(axis=-1)


def implied(which: int) -> Test:
    """The inverse mass (0) or inertia (1) that shape and density give a free body; infinite without a density."""

    def test(a: Arrays, size: Size, xp: Any) -> Any:
        n_vertices = xp.clip(a["n_vertices"], 3, MAX_VERTICES)
        polygons, circles = polygon_inverse_mass_inertia, circle_inverse_mass_inertia
        if xp is np:  # compiles nothing
            polygons = np.vectorize(polygon_inverses, signature="(v,c),(),()->(),()")
            circles = np.vectorize(circle_inverses, signature="(),()->(),()")
        polygon = polygons(a["vertices"], n_vertices, a["density"])[which]
        inverse = xp.where(circle(size), circles(a["radius"], a["density"])[which], polygon)
        return xp.where(a["density"] <= 0, xp.inf, inverse)

    return test


def not_implied(field: str, which: int) -> Test:
    """Free bodies of another inverse mass or inertia than that."""

    def test(a: Arrays, size: Size, xp: Any) -> Any:
        free = a["active"] & ~room(size) & ((a["inverse_mass"] != 0) | (a["inverse_inertia"] != 0))
        return free & (xp.abs(a[field] / implied(which)(a, size, xp) - 1) > MASS_ERROR)

    return test


def gap(a: Arrays, size: Size, xp: Any) -> Any:
    """Distance between the two points of each joint [m]."""
    ends = []
    for index, anchor in (("joint_a", "joint_anchor_a"), ("joint_b", "joint_anchor_b")):
        here = _at(a[index], size)
        look = lambda values, here=here: xp.where(here, values[..., None, :], 0).sum(axis=-1)
        rotation, x, y = look(a["rotation"]), a[anchor][..., 0], a[anchor][..., 1]
        cos, sin = xp.cos(rotation), xp.sin(rotation)
        ends.append((look(a["position"][..., 0]) + cos * x - sin * y, look(a["position"][..., 1]) + sin * x + cos * y))
    return xp.hypot(ends[0][0] - ends[1][0], ends[0][1] - ends[1][1])


def apart(a: Arrays, size: Size, xp: Any) -> Any:
    """Joints whose two points are not one."""
    on = [on_body(end, active=True)(a, size, xp) for end in ("joint_a", "joint_b")]
    return a["joint_active"] & on[0] & on[1] & (gap(a, size, xp) > ANCHORS_APART)
