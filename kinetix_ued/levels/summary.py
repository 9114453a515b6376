"""How complex levels are: counts of what they hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import ROLES, Level, components, driven_channels
from kinetix_ued.world.constants import STATIC_POLYGONS

from .content import duplicates, hash_text

SUMMARY = {
    "shapes": "shapes that are not the room's",
    "quads": "shapes of them with four corners",
    "triangles": "with three",
    "circles": "without any",
    "fixed_shapes": "shapes that never move",
    "red_shapes": "shapes that green must not touch",
    "coloured_floor": "1 where the floor is green, blue or red, else 0",
    "groups": "groups of shapes joined to one another, single shapes included; the room joins none",
    "joints": "joints",
    "fixed_joints": "joints that hold the angle too",
    "limited_joints": "revolute joints with limits",
    "motors": "revolute joints with a motor",
    "thrusters": "thrusters",
    "channels": "channels of the action that some motor or thruster listens to",
    "mass": "mass of all shapes that are not fixed [kg]",
}
"""What ``summary`` counts."""

FEW = 40
"""Up to so many levels have a line each in ``format_summary``."""


@jax.jit
def summary(levels: Level) -> dict[str, jax.Array]:
    """For each name in SUMMARY, its number for each of n levels (n), or for one level (). Traceable.

    Counts are int32, masses float32.
    """
    return (jax.vmap(_summary) if levels.gravity.ndim == 2 else _summary)(levels)


def _summary(level: Level) -> dict[str, jax.Array]:
    count = lambda mask: mask.sum(dtype=jnp.int32)
    slot = np.arange(level.size.bodies)
    shape, circle = level.active & (slot >= STATIC_POLYGONS), slot >= level.size.polygons
    polygon, free = shape & ~circle, shape & (level.inverse_mass > 0)
    revolute = level.joint_active & ~level.joint_fixed
    # A joint to the room is a nail, not a link to whatever else is nailed there.
    nailed = (level.joint_a < STATIC_POLYGONS) | (level.joint_b < STATIC_POLYGONS)
    group = components(dataclasses.replace(level, joint_active=level.joint_active & ~nailed))
    return {
        "shapes": count(shape),
        "quads": count(polygon & (level.n_vertices == 4)),
        "triangles": count(polygon & (level.n_vertices == 3)),
        "circles": count(shape & circle),
        "fixed_shapes": count(shape & (level.inverse_mass == 0)),
        "red_shapes": count(shape & (level.role == ROLES.index("red"))),
        "coloured_floor": count(level.role[:1] != 0),
        "groups": count(shape & (group == slot)),
        "joints": count(level.joint_active),
        "fixed_joints": count(level.joint_active & level.joint_fixed),
        "limited_joints": count(revolute & level.joint_limited),
        "motors": count(revolute & level.motor_on),
        "thrusters": count(level.thruster_active),
        "channels": count(driven_channels(level)),
        "mass": jnp.where(free, 1.0 / jnp.where(free, level.inverse_mass, 1.0), 0.0).sum(),
    }


def format_summary(names: Sequence[str], levels: Level) -> str:
    """The table for the terminal: means, least and most over n levels, and a line for each if they are few.

    Lines end with the level's hash; ``=`` after it marks a level equal to an earlier one.

    Args:
        names: of the levels (n).
        levels: with a leading axis n, at least 1.

    Raises:
        ValueError: for a single level, or another number of names.
    """
    if np.ndim(levels.gravity) != 2 or len(names) != len(levels) or not len(names):
        raise ValueError("format_summary takes a batch of at least one level, and a name for each")
    columns = summary(levels)
    found = {name: np.asarray(columns[name]) for name in SUMMARY}
    again = np.asarray(duplicates(levels))
    rows = [["", *(name.replace("_", " ") for name in SUMMARY), "hash"]]
    if len(names) <= FEW:
        on_host = jax.device_get(levels)
        for i, name in enumerate(names):
            numbers = [f"{column[i]:.3g}" if key == "mass" else str(column[i]) for key, column in found.items()]
            rows.append([name, *numbers, hash_text(on_host[i]) + ("=" if again[i] else " ")])
    for title, reduce in (("mean", np.mean), ("least", np.min), ("most", np.max)):
        rows.append([title, *(f"{float(reduce(found[key])):.3g}" for key in SUMMARY), ""])
    return "\n".join([*_aligned(rows), f"{len(names)} levels, {int(again.sum())} of them equal to an earlier one"])


def _aligned(rows: list[list[str]]) -> list[str]:
    """Columns as wide as their entries; headings of several words stand in as many lines."""
    headings = [heading.split() for heading in rows[0]]
    height = max(map(len, headings))
    padded = [[""] * (height - len(words)) + words for words in headings]
    rows = [[words[i] for words in padded] for i in range(height)] + rows[1:]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    first = [row[0].ljust(widths[0]) for row in rows]
    others = [" ".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])) for row in rows]
    return [f"{name} {numbers}".rstrip() for name, numbers in zip(first, others)]
