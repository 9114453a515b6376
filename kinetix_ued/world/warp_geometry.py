"""Contact geometry for the warp engine: the formulas of contacts.py, for one pair, as Warp functions."""

from __future__ import annotations

import warp as wp

from .constants import REFERENCE_FACE_BIAS

REFERENCE_FACE_BIAS_ = wp.constant(REFERENCE_FACE_BIAS)
FAR = wp.constant(1.0e30)


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
    """The edge along whose normal the other polygon overlaps least; ``low`` and ``high``: its two deepest vertices."""

    separation: float
    normal: wp.vec2
    start: wp.vec2
    end: wp.vec2
    low: wp.vec2
    high: wp.vec2


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
def can_touch(mode_a: int, mode_b: int) -> bool:
    return mode_a == 2 or mode_b == 2 or mode_a * mode_b > 0


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
    centre_world: wp.vec2,
    radius: float,
    position: wp.vec2,
    cs: wp.vec2,
    vertices: wp.array(dtype=wp.vec2),
    first: int,
    n_vertices: int,
) -> Touch:
    """``vertices[first:first + n_vertices]`` is the outline in the polygon's frame."""
    touch = Touch()
    centre = rotate_back(cs, centre_world - position)
    closest = vertices[first]
    best = float(FAR)
    inside = bool(True)
    for i in range(n_vertices):
        start = vertices[first + i]
        end = vertices[first]
        if i + 1 < n_vertices:
            end = vertices[first + i + 1]
        edge = end - start
        edge_length = wp.length(edge)
        direction = edge / nonzero(edge_length)
        along = clip(wp.dot(direction, centre - start), 0.0, edge_length)
        nearest = start + along * direction
        distance = wp.length(nearest - centre)
        if distance < best:
            best = distance
            closest = nearest
        inside = inside and cross(start - centre, end - centre) < 0.0
    outward = centre - closest
    distance = wp.length(outward)
    touch.active = distance <= radius or inside
    touch.point = rotate(cs, closest) + position
    touch.penetration = radius - distance
    normal = rotate(cs, -outward)
    if inside:
        touch.penetration = radius
        normal = rotate(cs, outward)
    touch.normal = normal / nonzero(wp.length(normal))
    return touch


@wp.func
def separating_axis(
    vertices: wp.array(dtype=wp.vec2),
    world: wp.array(dtype=wp.vec2),
    position: wp.vec2,
    cs: wp.vec2,
    a: int,
    n_a: int,
    b: int,
    n_b: int,
) -> Axis:
    """Best edge of polygon ``a`` against ``b``; slot i's vertices begin at 4 i. Ends early once an edge separates."""
    axis = Axis()
    axis.separation = -FAR
    best = int(0)
    local_x = wp.vec4()
    local_y = wp.vec4()
    for j in range(n_b):
        local = rotate_back(cs, world[4 * b + j] - position)
        local_x[j] = local[0]
        local_y[j] = local[1]
    for i in range(n_a):
        start = vertices[4 * a + i]
        end = vertices[4 * a]
        if i + 1 < n_a:
            end = vertices[4 * a + i + 1]
        edge = end - start
        normal = turn_left(edge) / nonzero(wp.length(edge))
        reach = float(-FAR)
        for j in range(n_a):
            reach = wp.max(reach, wp.dot(normal, vertices[4 * a + j]))
        low = float(FAR)
        high = float(FAR)
        low_at = int(0)
        high_at = int(0)
        for j in range(n_b):  # the two deepest vertices, earlier slots first on ties
            depth = normal[0] * local_x[j] + normal[1] * local_y[j]
            if depth < low:
                high = low
                high_at = low_at
                low = depth
                low_at = j
            elif depth < high:
                high = depth
                high_at = j
        separation = low - reach
        if separation > axis.separation:
            axis.separation = separation
            axis.normal = rotate(cs, normal)
            axis.low = world[4 * b + low_at]
            axis.high = world[4 * b + high_at]
            best = i
            if separation >= 0.0:
                return axis
    axis.start = world[4 * a + best]
    axis.end = world[4 * a]
    if best + 1 < n_a:
        axis.end = world[4 * a + best + 1]
    return axis


@wp.func
def polygon_polygon(
    vertices: wp.array(dtype=wp.vec2),
    world: wp.array(dtype=wp.vec2),
    position_a: wp.vec2,
    cs_a: wp.vec2,
    a: int,
    n_a: int,
    position_b: wp.vec2,
    cs_b: wp.vec2,
    b: int,
    n_b: int,
) -> Touch:
    touch = Touch()
    axis_a = separating_axis(vertices, world, position_a, cs_a, a, n_a, b, n_b)
    if axis_a.separation >= 0.0:
        return touch
    axis_b = separating_axis(vertices, world, position_b, cs_b, b, n_b, a, n_a)
    if axis_b.separation >= 0.0:
        return touch
    reference = axis_a
    touch.normal = axis_a.normal
    if axis_a.separation + REFERENCE_FACE_BIAS_ < axis_b.separation:
        reference = axis_b
        touch.normal = -axis_b.normal
    touch.active = True
    touch.penetration = -wp.max(axis_a.separation, axis_b.separation)

    edge = reference.end - reference.start
    edge_length = wp.length(edge)
    direction = edge / nonzero(edge_length)
    inward = -turn_left(direction)
    low = reference.low - reference.start
    high = reference.high - reference.start
    depth_low = wp.dot(low, inward)
    depth_high = wp.dot(high, inward)
    point_low = reference.start + clip(wp.dot(low, direction), 0.0, edge_length) * direction + depth_low * inward
    point_high = reference.start + clip(wp.dot(high, direction), 0.0, edge_length) * direction + depth_high * inward
    touch.second = depth_low > 0.0 and depth_high > 0.0
    if depth_low >= depth_high:
        touch.point = point_low
        touch.second_point = point_high
    else:
        touch.point = point_high
        touch.second_point = point_low
    return touch
