"""Contact geometry for the warp engine: the formulas of contacts.py, for one pair, as Warp functions.

An outline is four corners (rows; a triangle's last is unused) with, of the edge that starts at each: ``normal``, pointing
out, ``length``, and ``reach``, how far the polygon extends along the normal. All are in the body's frame but ``world``.
"""

from __future__ import annotations

import warp as wp

from .constants import REFERENCE_FACE_BIAS

FACE_BIAS = wp.constant(REFERENCE_FACE_BIAS)
FAR = wp.constant(1.0e30)
Corners = wp.types.matrix(shape=(4, 2), dtype=float)


@wp.struct
class Touch:
    """What a pair of bodies shows: up to two points on one normal."""

    active: bool
    second: bool
    normal: wp.vec2
    point: wp.vec2
    second_point: wp.vec2
    penetration: float


@wp.struct
class Axis:
    """The edge along whose normal the other polygon overlaps least; ``low``, ``high``: that one's deepest corners."""

    separation: float
    edge: int
    low: int
    high: int


@wp.func
def cross(a: wp.vec2, b: wp.vec2) -> float:
    return a[0] * b[1] - a[1] * b[0]


@wp.func
def turn_left(v: wp.vec2) -> wp.vec2:
    return wp.vec2(-v[1], v[0])


@wp.func
def rotate(cs: wp.vec2, v: wp.vec2) -> wp.vec2:
    """``v`` turned by the angle whose cosine and sine are ``cs``."""
    return wp.vec2(cs[0] * v[0] - cs[1] * v[1], cs[1] * v[0] + cs[0] * v[1])


@wp.func
def rotate_back(cs: wp.vec2, v: wp.vec2) -> wp.vec2:
    return wp.vec2(cs[0] * v[0] + cs[1] * v[1], cs[0] * v[1] - cs[1] * v[0])


@wp.func
def nonzero(x: float) -> float:
    if x == 0.0:
        return 1.0
    return x


@wp.func
def clip(x: float, low: float, high: float) -> float:
    """Unlike ``wp.clamp``, NaN stays NaN: a scene that broke must be seen to be broken."""
    if x < low:
        return low
    if x > high:
        return high
    return x


@wp.func
def next_corner(i: int, n_vertices: int) -> int:
    """Where the edge that starts at a corner ends."""
    if i + 1 < n_vertices:
        return i + 1
    return 0


@wp.struct
class Edges:
    """Of the edge that starts at each corner: outward normal, length, and the polygon's reach along the normal."""

    normal: Corners
    length: wp.vec4
    reach: wp.vec4


@wp.func
def measure_edges(corner: Corners, n_vertices: int) -> Edges:
    edges = Edges()
    for i in range(4):
        if i < n_vertices:
            side = corner[next_corner(i, n_vertices)] - corner[i]
            edges.length[i] = wp.length(side)
            out = turn_left(side) / nonzero(edges.length[i])  # clockwise corners: left is out
            edges.normal[i] = out
            edges.reach[i] = wp.dot(out, corner[0])
            for j in range(1, 4):
                if j < n_vertices:
                    edges.reach[i] = wp.max(edges.reach[i], wp.dot(out, corner[j]))
    return edges


@wp.func
def circle_circle(position_a: wp.vec2, radius_a: float, position_b: wp.vec2, radius_b: float) -> Touch:
    touch = Touch()
    offset = position_b - position_a
    distance = wp.length(offset)
    touch.normal = offset / nonzero(distance)
    touch.active = distance < radius_a + radius_b
    touch.point = position_a + touch.normal * radius_a
    touch.penetration = radius_a + radius_b - distance
    return touch


@wp.func
def circle_polygon(
    position_a: wp.vec2,
    radius: float,
    position: wp.vec2,
    cs: wp.vec2,
    corner: Corners,
    normal: Corners,
    length: wp.vec4,
    n_vertices: int,
) -> Touch:
    touch = Touch()
    centre = rotate_back(cs, position_a - position)
    closest = corner[0]
    best = float(FAR)
    inside = bool(True)
    for i in range(4):
        if i < n_vertices:
            start = corner[i]
            direction = -turn_left(normal[i])
            along = clip(wp.dot(direction, centre - start), 0.0, length[i])
            nearest = start + along * direction
            gap = wp.length(nearest - centre)
            if gap < best:
                best = gap
                closest = nearest
            inside = inside and cross(start - centre, corner[next_corner(i, n_vertices)] - centre) < 0.0
    outward = centre - closest
    distance = wp.length(outward)
    touch.active = distance <= radius or inside
    touch.point = rotate(cs, closest) + position
    touch.penetration = radius - distance
    away = rotate(cs, -outward)
    if inside:
        touch.penetration = radius
        away = rotate(cs, outward)
    touch.normal = away / nonzero(wp.length(away))
    return touch


@wp.func
def separating_axis(
    normal: Corners, reach: wp.vec4, n_a: int, position: wp.vec2, cs: wp.vec2, world_b: Corners, n_b: int
) -> Axis:
    """Best edge of polygon a, which stands at ``position`` and ``cs``, against b. Ends once an edge separates them."""
    axis = Axis()
    axis.separation = -FAR
    local_b = Corners()
    for j in range(4):
        local_b[j] = rotate_back(cs, world_b[j] - position)
    for i in range(4):
        if i < n_a:
            low = float(FAR)
            high = float(FAR)
            low_at = int(0)
            high_at = int(0)
            for j in range(4):  # the two deepest corners, earlier ones first on ties
                if j < n_b:
                    depth = wp.dot(normal[i], local_b[j])
                    if depth < low:
                        high = low
                        high_at = low_at
                        low = depth
                        low_at = j
                    elif depth < high:
                        high = depth
                        high_at = j
            separation = low - reach[i]
            if separation > axis.separation:
                axis.separation = separation
                axis.edge = i
                axis.low = low_at
                axis.high = high_at
            if separation >= 0.0:
                return axis
    return axis


@wp.func
def clip_to_face(axis: Axis, normal: wp.vec2, face: Corners, n_vertices: int, incident: Corners) -> Touch:
    """The incident edge's ends, clipped to the reference face's extent; the deeper one first."""
    touch = Touch()
    touch.active = True
    touch.normal = normal
    start = face[axis.edge]
    side = face[next_corner(axis.edge, n_vertices)] - start
    side_length = wp.length(side)
    direction = side / nonzero(side_length)
    inward = -turn_left(direction)
    low = incident[axis.low] - start
    high = incident[axis.high] - start
    depth_low = wp.dot(low, inward)
    depth_high = wp.dot(high, inward)
    point_low = start + clip(wp.dot(low, direction), 0.0, side_length) * direction + depth_low * inward
    point_high = start + clip(wp.dot(high, direction), 0.0, side_length) * direction + depth_high * inward
    touch.second = depth_low > 0.0 and depth_high > 0.0
    touch.point = point_low
    touch.second_point = point_high
    if depth_high > depth_low:
        touch.point = point_high
        touch.second_point = point_low
    return touch


@wp.func
def choose_face(
    axis_a: Axis,
    normal_a: wp.vec2,
    world_a: Corners,
    n_a: int,
    axis_b: Axis,
    normal_b: wp.vec2,
    world_b: Corners,
    n_b: int,
) -> Touch:
    """The contact of two polygons that overlap along both best axes; normals are in the world."""
    touch = Touch()
    if axis_a.separation + FACE_BIAS < axis_b.separation:
        touch = clip_to_face(axis_b, -normal_b, world_b, n_b, world_a)
    else:
        touch = clip_to_face(axis_a, normal_a, world_a, n_a, world_b)
    touch.penetration = -wp.max(axis_a.separation, axis_b.separation)
    return touch
