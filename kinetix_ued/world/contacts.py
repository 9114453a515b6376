"""Contact detection: which bodies overlap, where, along which normal.

One function a kind of pair; each looks at two bodies and returns a ``Contact`` whose normal points from the first body
to the second. A contact is active by overlap, activity and collision mode alone; whether it is resolved (bodies joined to
each other are not) is the solver's business, because touching counts for the rules even between joined bodies.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .constants import MAX_VERTICES, REFERENCE_FACE_BIAS
from .geometry import cross, dot, length, nonzero, rotate, rotate_back, rotation_matrix, turn_left
from .level import Level


class Body(NamedTuple):
    """One body as contact detection sees it: shape, pose, velocity."""

    active: jax.Array
    collision_mode: jax.Array
    vertices: jax.Array
    n_vertices: jax.Array
    radius: jax.Array
    restitution: jax.Array
    position: jax.Array
    matrix: jax.Array
    velocity: jax.Array
    angular_velocity: jax.Array


class Contact(NamedTuple):
    """One contact point; inactive ones are zero throughout.

    Attributes:
        active: the bodies overlap here () bool
        normal: unit vector from the first body to the second (2)
        point: where, in the world [m] (2)
        penetration: depth of the overlap [m] ()
        restitution_target: normal velocity that restitution asks for [m/s] ()
    """

    active: jax.Array
    normal: jax.Array
    point: jax.Array
    penetration: jax.Array
    restitution_target: jax.Array


def bodies(level: Level, position: jax.Array, rotation: jax.Array, twist: jax.Array) -> Body:
    """All bodies of a scene (N leading); ``twist`` (N, 3) is velocity and angular velocity."""
    return Body(
        level.active, level.collision_mode, level.vertices, level.n_vertices, level.radius, level.restitution,
        position, rotation_matrix(rotation), twist[:, :2], twist[:, 2],
    )  # fmt: skip


def can_touch(a: Body, b: Body) -> jax.Array:
    """Both slots are in use and the collision modes admit each other."""
    modes = (a.collision_mode == 2) | (b.collision_mode == 2) | (a.collision_mode * b.collision_mode > 0)
    return a.active & b.active & modes


def contact(a: Body, b: Body, active, normal, point, penetration) -> Contact:
    """Assemble a contact: restitution from the velocities at detection, zero where inactive."""
    v_a = a.velocity + a.angular_velocity * turn_left(point - a.position)
    v_b = b.velocity + b.angular_velocity * turn_left(point - b.position)
    target = dot(v_b - v_a, normal) * jnp.minimum(a.restitution, b.restitution)
    return Contact(
        active,
        jnp.where(active, normal, 0.0),
        jnp.where(active, point, 0.0),
        jnp.where(active, penetration, 0.0),
        jnp.where(active, target, 0.0),
    )


def circle_circle(a: Body, b: Body) -> Contact:
    offset = b.position - a.position
    distance = length(offset)
    normal = offset / nonzero(distance)  # concentric circles have no normal; zero leaves them alone
    active = (distance < a.radius + b.radius) & can_touch(a, b)
    return contact(a, b, active, normal, a.position + normal * a.radius, a.radius + b.radius - distance)


def next_vertex(vertices: jax.Array, n_vertices: jax.Array) -> jax.Array:
    """The other end of the edge that starts at each vertex (4, 2)."""
    last = jnp.arange(MAX_VERTICES) == n_vertices - 1
    return jnp.where(last[:, None], vertices[0], jnp.roll(vertices, -1, axis=0))


def circle_polygon(circle: Body, polygon: Body) -> Contact:
    """The nearest point of the outline to the centre decides; a centre inside is pushed out through that point."""
    centre = rotate_back(polygon.matrix, circle.position - polygon.position)
    start = polygon.vertices
    end = next_vertex(start, polygon.n_vertices)
    edge = end - start
    edge_length = length(edge)
    direction = edge / nonzero(edge_length)[:, None]
    along = jnp.clip(dot(direction, centre - start), 0.0, edge_length)
    nearest = start + along[:, None] * direction
    used = jnp.arange(MAX_VERTICES) < jnp.maximum(polygon.n_vertices, 3)
    closest = nearest[jnp.argmin(jnp.where(used, length(nearest - centre), jnp.inf))]
    inside = jnp.all((cross(start - centre, end - centre) < 0) | ~used)  # clockwise: the inside is on the right

    outward = centre - closest
    distance = length(outward)
    active = ((distance <= circle.radius) | inside) & can_touch(circle, polygon)
    normal = rotate(polygon.matrix, jnp.where(inside, outward, -outward))
    point = rotate(polygon.matrix, closest) + polygon.position
    penetration = jnp.where(inside, circle.radius, circle.radius - distance)
    return contact(circle, polygon, active, normal / nonzero(length(normal)), point, penetration)


class Axis(NamedTuple):
    """The edge of one polygon along whose normal another one is farthest away (overlaps least)."""

    separation: jax.Array
    normal: jax.Array
    start: jax.Array
    end: jax.Array
    incident: jax.Array


def separating_axis(a: Body, b: Body) -> Axis:
    """Best edge of ``a`` against ``b``, in world coordinates; ``incident`` (2, 2) are b's two deepest vertices."""
    slots = jnp.arange(MAX_VERTICES)
    used_a, used_b = slots < a.n_vertices, slots < b.n_vertices
    edge = next_vertex(a.vertices, a.n_vertices) - a.vertices
    normals = turn_left(edge) / nonzero(length(edge))[:, None]  # clockwise vertices: left is out
    world_a = rotate(a.matrix, a.vertices) + a.position
    world_b = rotate(b.matrix, b.vertices) + b.position
    local_b = rotate_back(a.matrix, world_b - a.position)

    reach_a = jnp.where(used_a, dot(normals[:, None], a.vertices[None]), -jnp.inf).max(axis=1)
    depth_b = jnp.where(used_b, dot(normals[:, None], local_b[None]), jnp.inf)  # (edge, vertex)
    separation = jnp.where(used_a, depth_b.min(axis=1) - reach_a, -jnp.inf)
    best = jnp.argmax(separation)

    depth = depth_b[best]
    deepest = jnp.argmin(depth)
    second = jnp.argmin(jnp.where(slots == deepest, jnp.inf, depth))
    after = jnp.where(best + 1 >= a.n_vertices, 0, best + 1)
    return Axis(
        separation[best],
        rotate(a.matrix, normals[best]),
        world_a[best],
        world_a[after],
        world_b[jnp.stack([deepest, second])],
    )


def polygon_polygon(a: Body, b: Body) -> tuple[Contact, Contact]:
    """Separating axes, then the incident edge clipped to the reference edge: the deeper end is the first contact."""
    axis_a, axis_b = separating_axis(a, b), separating_axis(b, a)
    b_is_reference = axis_a.separation + REFERENCE_FACE_BIAS < axis_b.separation
    reference = jax.tree.map(lambda x, y: jnp.where(b_is_reference, x, y), axis_b, axis_a)
    separation = jnp.maximum(axis_a.separation, axis_b.separation)
    active = (separation < 0) & can_touch(a, b)

    edge = reference.end - reference.start
    edge_length = length(edge)
    direction = edge / nonzero(edge_length)
    inward = -turn_left(direction)
    offset = reference.incident - reference.start
    along = jnp.clip(dot(offset, direction), 0.0, edge_length)
    depth = dot(offset, inward)
    points = reference.start + along[:, None] * direction + depth[:, None] * inward
    first = jnp.argmax(depth)

    normal = jnp.where(b_is_reference, -reference.normal, reference.normal)
    both = active & (depth.min() > 0)
    return (
        contact(a, b, active, normal, points[first], -separation),
        contact(a, b, both, normal, points[1 - first], -separation),
    )


def detect(level: Level, position: jax.Array, rotation: jax.Array, twist: jax.Array) -> Contact:
    """All contact points of a scene (K leading), in the order of ``Size.pairs``."""
    scene = bodies(level, position, rotation, twist)
    pick = lambda index: jax.tree.map(lambda x: x[index], scene)
    polygons, _, circle_polygons, circles = level.size.pairs
    first, second = jax.vmap(polygon_polygon)(pick(polygons[:, 0]), pick(polygons[:, 1]))
    kinds = [first, second, jax.vmap(circle_polygon)(pick(circle_polygons[:, 0]), pick(circle_polygons[:, 1]))]
    if len(circles):
        kinds.append(jax.vmap(circle_circle)(pick(circles[:, 0]), pick(circles[:, 1])))
    return jax.tree.map(lambda *x: jnp.concatenate(x), *kinds)
