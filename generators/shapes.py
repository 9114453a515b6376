"""Adding one shape to a level: placed freely, or joined to a shape that is there.

Several candidates are drawn and the first with the fewest contacts stays. Only contacts with the new shape are counted:
those among the others are the same for every candidate.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level
from kinetix_ued.world.constants import MAX_VERTICES, MOTOR_BINDINGS
from kinetix_ued.world.mass import circle_inverse_mass_inertia, polygon_inverse_mass_inertia

from .candidates import Shape, body_kinds, choices, propose
from .draws import between, one_of
from .overlap import circle_circle, circle_polygon, outline, polygon_polygon
from .parameters import RandomLevels

JOINT_DRAWS = 8
"""Uniform numbers that an addition's joint uses, the same for all candidates: contacts do not depend on them."""

CORNERS = ((1, 1), (1, -1), (-1, -1), (-1, 1))
"""Signs of a rectangle's corners, clockwise."""


def rectangle(half: jax.Array) -> jax.Array:
    """Corners (..., 4, 2) of rectangles with half sides ``half`` (..., 2)."""
    return half[..., None, :] * jnp.array(CORNERS, jnp.float32)


def count_contacts(shapes: Shape, level: Level) -> jax.Array:
    """Contact points (n) that each of n ``shapes`` would have with the bodies of ``level``, joined ones included."""
    polygons, circles = slice(0, level.size.polygons), slice(level.size.polygons, level.size.bodies)
    met = level.active & (level.collision_mode != 0)
    old = outline(
        level.vertices[polygons], level.position[polygons], level.rotation[polygons], level.n_vertices[polygons]
    )
    n_vertices = jnp.full(shapes.circle.shape, MAX_VERTICES)
    new = outline(rectangle(shapes.half), shapes.position, shapes.rotation, n_vertices)
    new = jax.tree.map(lambda x: x[:, None], new)
    x, y, radius = shapes.position[:, :1], shapes.position[:, 1:], shapes.radius[:, None]
    old_x, old_y, old_radius = level.position[circles, 0], level.position[circles, 1], level.radius[circles]
    circle = shapes.circle[:, None]
    with_polygons = jnp.where(circle, circle_polygon(x, y, radius, old), polygon_polygon(old, new))
    with_circles = jnp.where(
        circle,
        circle_circle(x, y, radius, old_x, old_y, old_radius),
        circle_polygon(old_x, old_y, old_radius, new),
    )
    total = lambda contacts, met: jnp.sum(jnp.where(met, contacts, 0), axis=1)
    return total(with_polygons, met[polygons]) + total(with_circles, met[circles])


def add_shape(
    level: Level,
    u: jax.Array,
    u_joint: jax.Array,
    parameters: RandomLevels,
    *,
    joined: jax.Array | bool,
    revolute: jax.Array | bool = False,
    never_fixed: jax.Array | bool = False,
    enabled: jax.Array | bool = True,
) -> Level:
    """``level`` with one more shape; unchanged where there is no slot, or for a joined one nothing to join.

    Args:
        level: the level.
        u: uniform numbers of the candidates (candidates, CANDIDATE_DRAWS).
        u_joint: uniform numbers of the joint (JOINT_DRAWS).
        parameters: of the distribution.
        joined: join it to a shape of the level.
        revolute: with a revolute joint, whatever the coin says.
        never_fixed: a free shape is not fixed, however large.
        enabled: otherwise the level stays as it is.
    """
    options = choices(level, parameters)
    enabled &= jnp.any(options.room)
    enabled &= ~jnp.asarray(joined) | (jnp.any(options.kinds > 0) & jnp.any(~level.joint_active))
    shapes = jax.vmap(propose, in_axes=(0, None, None, None, None, None))(
        u, level, options, joined, never_fixed, parameters
    )
    best = 0
    if u.shape[0] > 1:
        penalty = jnp.where(shapes.hidden, jnp.float32(parameters.hidden_penalty), 0.0)
        best = jnp.argmin(count_contacts(shapes, level) + penalty)
    shape = jax.tree.map(lambda x: x[best], shapes)
    polygon_slots, circle_slots = body_kinds(level)
    vacant = ~level.active & jnp.where(shape.circle, circle_slots, polygon_slots)
    slot = jnp.argmax(vacant)
    joined_level = _add_joint(level, shape, slot, u_joint, parameters, revolute, enabled & joined)
    return _place(joined_level, shape, slot, enabled)


def _place(level: Level, shape: Shape, slot: jax.Array, enabled: jax.Array) -> Level:
    """``shape`` in body slot ``slot``."""
    here = (jnp.arange(level.size.bodies) == slot) & enabled
    vertices = jnp.where(shape.circle, 0.0, rectangle(shape.half))
    polygon = polygon_inverse_mass_inertia(rectangle(shape.half), MAX_VERTICES, 1.0)
    circle = circle_inverse_mass_inertia(shape.radius, 1.0)
    inverse_mass, inverse_inertia = (
        jnp.where(shape.fixed, 0.0, jnp.where(shape.circle, c, p)) for c, p in zip(circle, polygon, strict=True)
    )
    return level.replace(
        active=level.active | here,
        position=jnp.where(here[:, None], shape.position, level.position),
        rotation=jnp.where(here, shape.rotation, level.rotation),
        vertices=jnp.where(here[:, None, None], vertices, level.vertices),
        radius=jnp.where(here, jnp.where(shape.circle, shape.radius, 0.0), level.radius),
        inverse_mass=jnp.where(here, inverse_mass, level.inverse_mass),
        inverse_inertia=jnp.where(here, inverse_inertia, level.inverse_inertia),
        role=jnp.where(here, shape.role, level.role),
    )


def _add_joint(
    level: Level,
    shape: Shape,
    slot: jax.Array,
    u: jax.Array,
    parameters: RandomLevels,
    forced: jax.Array | bool,
    enabled: jax.Array,
) -> Level:
    """The joint between ``shape``, about to be placed in ``slot``, and its target."""
    here = (jnp.arange(level.size.joints) == jnp.argmin(level.joint_active)) & enabled
    few = jnp.sum(level.joint_active & ~level.joint_fixed) < parameters.min_revolute
    revolute = (u[0] < parameters.revolute_chance) | forced | few
    wheel = shape.circle | (shape.target >= level.size.polygons)
    new_first = slot < shape.target  # the body in the lower slot is a joint's first
    order = lambda new, old: (jnp.where(new_first, new, old), jnp.where(new_first, old, new))
    joint_a, joint_b = order(slot.astype(jnp.int32), shape.target)
    anchor_a, anchor_b = order(shape.anchor, shape.target_anchor)
    rotation_a, rotation_b = order(shape.rotation, level.rotation[shape.target])
    limited = revolute & ~wheel & (u[5] < parameters.limit_chance)
    power = jnp.where(wheel, between(u[4], *parameters.wheel_power), between(u[4], *parameters.motor_power))
    put = lambda new, old: jnp.where(here if old.ndim == 1 else here[:, None], new, old)
    return level.replace(
        joint_active=level.joint_active | here,
        joint_a=put(joint_a, level.joint_a),
        joint_b=put(joint_b, level.joint_b),
        joint_anchor_a=put(anchor_a, level.joint_anchor_a),
        joint_anchor_b=put(anchor_b, level.joint_anchor_b),
        joint_fixed=put(~revolute, level.joint_fixed),
        joint_rotation=put(jnp.where(revolute, 0.0, rotation_b - rotation_a), level.joint_rotation),
        joint_limited=put(limited, level.joint_limited),
        joint_min=put(jnp.where(limited, -parameters.limit_max * u[6], 0.0), level.joint_min),
        joint_max=put(jnp.where(limited, parameters.limit_max * u[7], 0.0), level.joint_max),
        motor_on=put(revolute & (u[1] < parameters.motor_chance), level.motor_on),
        motor_speed=put(jnp.where(revolute, between(u[3], *parameters.motor_speed), 0.0), level.motor_speed),
        motor_power=put(jnp.where(revolute, power, 0.0), level.motor_power),
        motor_binding=put(one_of(u[2], MOTOR_BINDINGS), level.motor_binding),
    )
