"""Where bodies stand: bringing the parts of an edited joint together again, and shapes back into the room.

The reference closes joints by a few frames of physics without gravity, which leaves gaps and turns bodies. Joined
bodies form a tree nearly always, and then there is an exact answer without a solver: whatever hangs on the edited body
by a joint follows that joint as one piece. Bodies with a loop of joints among them, or tied to the room twice, are
neither turned nor resized.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level, components
from kinetix_ued.world.constants import FLOOR_HEIGHT, MAX_VERTICES, ROOM_SIZE, STATIC_POLYGONS
from kinetix_ued.world.geometry import rotate, rotation_matrix

from .slots import chosen, ends, shapes, spread

ROUNDING = 1e-6
"""How far [m] rounding may put a centre outside the room."""


def movable(level: Level) -> jax.Array:
    """Shapes (N) that no joint ties to the room, directly or through others."""
    return shapes(level) & (components(level) >= STATIC_POLYGONS)


def in_tree(level: Level) -> jax.Array:
    """Shapes (N) that are in no group of joined bodies with a loop, the room counting as one body."""
    label, shape = components(level), shapes(level)
    end_a, _ = ends(level)
    together = label[:, None] == label
    bodies = jnp.sum(together & shape, axis=1)
    joints = jnp.sum(jnp.where(together, jnp.sum(end_a, axis=0), 0), axis=1)
    return shape & (joints == bodies - (label >= STATIC_POLYGONS))


def close_joints(level: Level, body: jax.Array) -> Level:
    """``level`` after an edit of ``body`` (N), a mask with one body in a tree: its joints' two points meet again.

    The body stays and what is joined to it follows, or where that is the room, the body and the rest of it follow.
    Nothing turns.
    """
    end_a, end_b = ends(level)
    on_a, on_b = jnp.any(end_a & body, axis=1), jnp.any(end_b & body, axis=1)
    turn = rotation_matrix(level.rotation)
    at = lambda end, values: jnp.sum(jnp.where(end[..., None], values, 0.0), axis=1)  # (J, 2)
    arm = lambda end, anchor: rotate(jnp.sum(jnp.where(end[..., None, None], turn, 0.0), axis=1), anchor)
    gap = at(end_a, level.position) + arm(end_a, level.joint_anchor_a)
    gap -= at(end_b, level.position) + arm(end_b, level.joint_anchor_b)
    step = jnp.where(on_a[:, None], gap, -gap)  # of the body at the joint's other end

    own = on_a | on_b
    piece = components(level.replace(joint_active=level.joint_active & ~own))
    other = jnp.sum(jnp.where(jnp.where(on_a[:, None], end_b, end_a), piece, 0), axis=1)
    tied = own & (other < STATIC_POLYGONS)
    back = jnp.sum(jnp.where(tied[:, None], step, 0.0), axis=0)
    follows = own[:, None] & (other[:, None] == piece)  # (J, N)
    move = jnp.sum(jnp.where(follows[..., None], step[:, None], 0.0), axis=0) - back
    moves = shapes(level) & (jnp.any(follows, axis=0) | body)
    return level.replace(position=level.position + jnp.where(moves[:, None], move, 0.0))


def pushed_inside(level: Level, body: jax.Array) -> Level:
    """``level`` with ``body`` (N), a mask with one body, and all that is joined to it moved back into the room as one.

    If they fit, nothing of them sticks out of the room or into the floor afterwards; else the centres are inside, if
    those fit. Bodies that are joined to the room stay where they are.
    """
    label = components(level)
    group = shapes(level) & (label == chosen(body, label))
    turn = rotation_matrix(level.rotation)[:, None]
    corner = jnp.arange(MAX_VERTICES)[:, None] < level.n_vertices[:, None, None]
    polygon = jnp.arange(level.size.bodies) < level.size.polygons
    reach = rotate(turn, jnp.where(corner & polygon[:, None, None], level.vertices, 0.0))
    radius = jnp.where(polygon, 0.0, level.radius)[:, None]
    lowest = lambda x: jnp.min(jnp.where(group[:, None], x, jnp.inf), axis=0)
    low = lowest(level.position + jnp.min(reach, axis=1) - radius)
    high = -lowest(-level.position - jnp.max(reach, axis=1) - radius)
    floor = jnp.array([0.0, FLOOR_HEIGHT], jnp.float32)
    up, down = floor - low, ROOM_SIZE - high  # least and greatest way that keeps all inside
    move = jnp.where(up <= down, jnp.clip(0.0, up, jnp.maximum(up, down)), (up + down) / 2)
    up, down = -lowest(level.position), ROOM_SIZE + lowest(-level.position)
    move = jnp.where(up <= down, jnp.clip(move, up, jnp.maximum(up, down)), move)
    free = chosen(body, label) >= STATIC_POLYGONS
    return level.replace(position=level.position + jnp.where(spread(group & free, level.position), move, 0.0))


def outside(level: Level) -> jax.Array:
    """Shapes (N) whose centre is outside the room."""
    centre = level.position
    return shapes(level) & ~jnp.all((centre >= -ROUNDING) & (centre <= ROOM_SIZE + ROUNDING), axis=1)
