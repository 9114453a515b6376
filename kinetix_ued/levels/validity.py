"""What a level must be: every rule once, for one level in NumPy and for thousands in JAX.

Some rules decide whether a level can be played at all: without them neither physics nor the rules of the game mean
anything, and loading refuses the level. The others, marked ``strict``, a designer may break on purpose, with two green
shapes or a mass of his own; what generators and edits make keeps them too, and is then called valid.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from kinetix_ued.world import COLLISION_MODES, ROLES, Level
from kinetix_ued.world.constants import MAX_VERTICES, MOTOR_BINDINGS, ROOM_SIZE, THRUSTER_BINDINGS

from . import predicates as are
from .predicates import Test
from .resize import default_arrays

FAULTS = {
    "finite": "a number is infinite or not a number",
    "range": "an index, or the number of a role, collision mode or channel, does not exist",
    "room": "floor, a wall or the ceiling is inactive or can move",
    "sign": "a mass, density, friction or restitution is negative, or a radius not positive",
    "corners": "a polygon has fewer than three corners, a corner twice, or no area",
    "clockwise": "a polygon's corners run counter-clockwise",
    "convex": "a polygon is not convex",
    "joint_bodies": "a joint is on an inactive body, or twice on the same",
    "thruster_body": "a thruster is on an inactive body",
    "one_green": "there is not exactly one green body",
    "one_blue": "there is not exactly one blue body",
    "inside": "a shape's centre is outside the room",
    "centred": "a polygon's centre of mass is not the mean of its corners",
    "mass": "a mass is not that of shape and density",
    "inertia": "an inertia is not that of shape and density",
    "anchors": "the two points that a joint holds together are apart",
    "limits": "a joint's lower limit is above its upper limit",
}
"""Everything that may be wrong with a level."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """Something that must not be."""

    fault: str
    """What is wrong where it is broken, a name in FAULTS."""
    field: str | None
    """The field of Level that is wrong; None for the level as a whole."""
    broken: Test
    """Which slots break it (..., slots) bool; one slot for the level as a whole."""
    problem: str
    """What to say, with {0} for the field's value and {1} for that of ``detail``."""
    remedy: str
    """What to change, with {0} for the last body's index."""
    detail: Test | None = None
    """A number to name in ``problem`` (..., slots)."""
    strict: bool = False
    """A level that breaks it can be played."""


def _index(field: str, count: int | None = None) -> Rule:
    """Numbers of bodies, or of ``count`` other things. In unused slots too: they are looked up all the same."""

    def broken(a, size, xp):
        return (a[field] < 0) | (a[field] >= (size.bodies if count is None else count))

    last = "{0}" if count is None else str(count - 1)
    return Rule("range", field, broken, "{0} does not exist", f"use 0 to {last}")


def _room_moves(field: str) -> Rule:
    broken: Test = lambda a, size, xp: (a[field] > 0) & are.room(size)
    return Rule("room", field, broken, "{0}, but the room does not move", "use 0")


def _inverse(field: str) -> Rule:
    remedy = "use 0 for a fixed body, otherwise a positive number"
    return Rule("sign", field, lambda a, size, xp: a[field] < 0, "{0} is negative", remedy)


def _material(field: str) -> Rule:
    return Rule("sign", field, lambda a, size, xp: a["active"] & (a[field] < 0), "{0} is negative", "use 0 or more")


def _on_inactive(kind: str, field: str, remedy: str) -> Rule:
    nowhere = are.on_body(field, active=False)
    broken: Test = lambda a, size, xp: a[f"{kind}_active"] & nowhere(a, size, xp)
    return Rule("joint_bodies" if kind == "joint" else field, field, broken, "body {0} is not active", remedy)


def _one(role: str) -> Rule:
    """A green floor is the green body."""
    count: Test = lambda a, size, xp: (a["active"] & (a["role"] == ROLES.index(role))).sum(axis=-1, keepdims=True)
    broken: Test = lambda a, size, xp: count(a, size, xp) != 1
    return Rule(f"one_{role}", None, broken, f"{{1}} {role} bodies", f"make one {role}", count, strict=True)


def _implied(fault: str, which: int) -> Rule:
    field, problem = f"inverse_{fault}", "{0:.6g}, but shape and density give {1:.6g}"
    remedy = "use that, or 0 for both mass and inertia of a fixed body"
    return Rule(fault, field, are.not_implied(field, which), problem, remedy, are.implied(which), strict=True)


def _too_few_corners(a, size, xp):
    return a["active"] & ~are.circle(size) & (a["n_vertices"] >= 0) & (a["n_vertices"] < 3)


def _no_such_channel(a, size, xp):
    """Published levels have unused thrusters with the channels of motors."""
    count = xp.where(a["thruster_active"], THRUSTER_BINDINGS, MOTOR_BINDINGS)
    return (a["thruster_binding"] < 0) | (a["thruster_binding"] >= count)


def _limits_crossed(a, size, xp):
    return a["joint_active"] & a["joint_limited"] & ~a["joint_fixed"] & (a["joint_min"] > a["joint_max"])


RULES: tuple[Rule, ...] = (
    *(
        Rule("finite", name, are.infinite(name), "not a finite number", "write a finite number")
        for name in Level.__dataclass_fields__
        if name != "size"
    ),
    Rule(
        "room",
        "active",
        lambda a, size, xp: ~a["active"] & are.room(size),
        "the room must be active",
        "floor, walls and ceiling are polygons 0 to 3",
    ),
    _index("role", len(ROLES)),
    _index("collision_mode", len(COLLISION_MODES)),
    _index("n_vertices", MAX_VERTICES + 1),
    _inverse("inverse_mass"),
    _inverse("inverse_inertia"),
    _room_moves("inverse_mass"),
    _room_moves("inverse_inertia"),
    _material("density"),
    _material("friction"),
    _material("restitution"),
    Rule(
        "sign",
        "radius",
        lambda a, size, xp: a["active"] & are.circle(size) & (a["radius"] <= 0),
        "{0} is not positive",
        "give the circle a radius",
    ),
    Rule("corners", "n_vertices", _too_few_corners, "{0} corners", f"a polygon has 3 to {MAX_VERTICES}"),
    Rule("corners", "vertices", are.short, "corner {1} and the next are the same", "move or remove one", are.shortest),
    Rule("clockwise", "vertices", are.turning_left(True), "the corners run counter-clockwise", "list them clockwise"),
    Rule("convex", "vertices", are.turning_left(False), "the polygon is not convex", "split it into convex shapes"),
    Rule("corners", "vertices", are.flat, "the polygon has no area", "move a corner off the line"),
    _index("joint_a"),
    _on_inactive("joint", "joint_a", "join active bodies or deactivate the joint"),
    _index("joint_b"),
    _on_inactive("joint", "joint_b", "join active bodies or deactivate the joint"),
    Rule(
        "joint_bodies",
        "joint_b",
        lambda a, size, xp: a["joint_active"] & (a["joint_a"] == a["joint_b"]),
        "body {0} is joined to itself",
        "join two bodies",
    ),
    _index("motor_binding", MOTOR_BINDINGS),
    _index("thruster_body"),
    _on_inactive("thruster", "thruster_body", "use an active body or deactivate the thruster"),
    Rule("range", "thruster_binding", _no_such_channel, "{0} does not exist", f"use 0 to {THRUSTER_BINDINGS - 1}"),
    _one("green"),
    _one("blue"),
    Rule(
        "inside",
        "position",
        are.outside,
        "the shape's centre is outside the room",
        f"use coordinates from 0 to {ROOM_SIZE:g}",
        strict=True,
    ),
    Rule(
        "centred",
        "vertices",
        are.off_centre,
        "the position is not the mean of the corners",
        "subtract their mean from the corners and add it, turned, to the position",
        strict=True,
    ),
    _implied("mass", 0),
    _implied("inertia", 1),
    Rule(
        "anchors",
        "joint_anchor_b",
        are.apart,
        "the joint's two points are {1:.3g} m apart",
        "move a body or an anchor",
        are.gap,
        strict=True,
    ),
    Rule("limits", "joint_min", _limits_crossed, "{0} is above the upper limit", "exchange the limits", strict=True),
)
"""All rules, in the order in which a level is told what is wrong with it."""

STRICT = frozenset(rule.fault for rule in RULES if rule.strict)
"""Faults of levels that can be played nevertheless."""


def misfit(level: Level, leading: int = 0) -> tuple[str, str] | None:
    """The first field whose shape behind ``leading`` axes, or type, is not that of its size, and what is wrong."""
    for name, default in default_arrays(level.size).items():
        found = getattr(level, name)
        if found.shape[leading:] != default.shape or found.dtype != default.dtype:
            wanted = f"{default.dtype}{list(default.shape)}"
            return name, f"{found.dtype}{list(found.shape[leading:])} found, {wanted} expected"
    return None


@jax.jit
def faults(levels: Level) -> dict[str, jax.Array]:
    """What is wrong with levels: for each name in FAULTS, whether something of that kind is (...) bool. Traceable.

    Args:
        levels: with any leading axes (...), or none.

    Raises:
        ValueError: arrays that do not fit the levels' size.
    """
    wrong = misfit(levels, levels.gravity.ndim - 1)
    if wrong:
        raise ValueError(f"{wrong[0]}: {wrong[1]}: build the levels for their size {levels.size.name!r}")
    arrays = {name: getattr(levels, name) for name in default_arrays(levels.size)}
    found: dict[str, jax.Array] = {fault: jnp.zeros(levels.gravity.shape[:-1], bool) for fault in FAULTS}
    for rule in RULES:
        found[rule.fault] |= rule.broken(arrays, levels.size, jnp).any(axis=-1)
    return found


@jax.jit
def valid(levels: Level) -> jax.Array:
    """Which levels have none of the FAULTS (...) bool. Traceable; ``levels`` as for ``faults``."""
    return ~jnp.stack(list(faults(levels).values())).any(axis=0)
