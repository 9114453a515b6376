"""What a level must be for the physics and the rules to mean something."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from kinetix_ued.world import COLLISION_MODES, ROLES, Level
from kinetix_ued.world.constants import MAX_VERTICES, MOTOR_BINDINGS, STATIC_POLYGONS, THRUSTER_BINDINGS

from .errors import LevelError
from .resize import BODY_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS, default_arrays

SHORTEST_EDGE = 1e-5
"""Edges of a polygon are longer than this [m]; the direction of a shorter one is rounding noise."""

STRAIGHT = 1e-5
"""Sine of the angle by which a corner may turn the wrong way: rounded vertices of a straight line pass."""

FILE_NAMES = {
    "joint_active": "active", "joint_a": "a_index", "joint_b": "b_index", "joint_anchor_a": "a_relative_pos",
    "joint_anchor_b": "b_relative_pos", "joint_fixed": "is_fixed_joint", "joint_rotation": "rotation",
    "joint_limited": "motor_has_joint_limits", "joint_min": "min_rotation", "joint_max": "max_rotation",
    "joint_impulse": "acc_impulse", "joint_angular_impulse": "acc_r_impulse", "thruster_active": "active",
    "thruster_body": "object_index", "thruster_position": "relative_position", "thruster_rotation": "rotation",
    "thruster_power": "power",
}  # fmt: skip
"""Fields that Kinetix' files call by another name than Level."""


def check_level(level: Level, source: str = "level") -> None:
    """Passes a level that can be played, refuses any other. Takes one level, not a batch.

    Everything must be finite, unused slots included. Fields are named as in Kinetix' files: ``polygon[5].vertices``.

    Raises:
        LevelError: names ``source``, the field, what is wrong and what to do.
    """
    _Check(level, source).run()


class _Check:
    """The rules, over the NumPy arrays ``self.a`` of one level."""

    def __init__(self, level: Level, source: str):
        self.size, self.source = level.size, source
        self.a = {name: np.asarray(getattr(level, name)) for name in default_arrays(level.size)}

    def run(self) -> None:
        self.arrays()
        self.bodies()
        self.polygons()
        self.joints()
        self.thrusters()

    def fail(self, name: str, slot: int, problem: str, remedy: str) -> NoReturn:
        field = FILE_NAMES.get(name, name)
        if name in BODY_FIELDS:
            circle = slot >= self.size.polygons
            field = f"circle[{slot - self.size.polygons}].{field}" if circle else f"polygon[{slot}].{field}"
        elif name in JOINT_FIELDS:
            field = f"joint[{slot}].{field}"
        elif name in THRUSTER_FIELDS:
            field = f"thruster[{slot}].{field}"
        raise LevelError(self.source, field, problem, remedy)

    def require(self, good: np.ndarray, name: str, problem: str, remedy: str) -> None:
        """Every slot must be good; ``{}`` in ``problem`` stands for the value."""
        if not good.all():
            slot = int(np.argmin(good))
            self.fail(name, slot, problem.format(self.a[name][slot].tolist()), remedy)

    def within(self, name: str, count: int, first: int = 0) -> None:
        self.require(
            (self.a[name] >= first) & (self.a[name] < count), name, "{} does not exist", f"use {first} to {count - 1}"
        )

    def arrays(self) -> None:
        """Shapes and types as ``empty_level`` has them, and no NaN or infinity."""
        for name, default in default_arrays(self.size).items():
            found = self.a[name]
            if found.shape != default.shape or found.dtype != default.dtype:
                problem = f"{found.dtype}{list(found.shape)} found, {default.dtype}{list(default.shape)} expected"
                raise LevelError(self.source, name, problem, "check one level, built for its size")
            if found.dtype.kind == "f" and not np.isfinite(found).all():
                slot = int(np.argmin(np.isfinite(found.reshape(len(found), -1)).all(axis=1)))
                self.fail(name, slot, "not a finite number", "write a finite number")

    def bodies(self) -> None:
        a, active = self.a, self.a["active"]
        room = np.arange(self.size.bodies) < STATIC_POLYGONS
        self.require(
            active | ~room, "active", "the room must be active", "floor, walls and ceiling are polygons 0 to 3"
        )
        self.within("role", len(ROLES))
        self.within("collision_mode", len(COLLISION_MODES))
        self.within("n_vertices", MAX_VERTICES + 1)
        for name in ("inverse_mass", "inverse_inertia"):
            self.require(a[name] >= 0, name, "{} is negative", "use 0 for a fixed body, otherwise a positive number")
            self.require((a[name] == 0) | ~room, name, "{}, but the room does not move", "use 0")
        for name in ("density", "friction", "restitution"):
            self.require((a[name] >= 0) | ~active, name, "{} is negative", "use 0 or more")
        circle = np.arange(self.size.bodies) >= self.size.polygons
        self.require((a["radius"] > 0) | ~(circle & active), "radius", "{} is not positive", "give the circle a radius")

    def polygons(self) -> None:
        for slot in np.flatnonzero(self.a["active"][: self.size.polygons]).tolist():
            n = int(self.a["n_vertices"][slot])
            if n < 3:
                self.fail("n_vertices", slot, f"{n} corners", f"a polygon has 3 to {MAX_VERTICES}")
            corners = self.a["vertices"][slot, :n].astype(np.float64)
            edges = np.roll(corners, -1, axis=0) - corners
            following = np.roll(edges, -1, axis=0)
            lengths = np.linalg.norm(edges, axis=1)
            if lengths.min() < SHORTEST_EDGE:
                self.fail(
                    "vertices", slot, f"corner {int(lengths.argmin())} and the next are the same", "move or remove one"
                )
            scale = lengths * np.roll(lengths, -1)
            sine = (edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]) / scale  # of the turn, left positive
            back = (np.abs(sine) <= STRAIGHT) & ((edges * following).sum(axis=1) < 0)
            if (sine >= -STRAIGHT).all() and (sine > STRAIGHT).any():
                self.fail("vertices", slot, "the corners run counter-clockwise", "list them clockwise")
            if (sine > STRAIGHT).any():
                self.fail("vertices", slot, "the polygon is not convex", "split it into convex shapes")
            if back.any() or (np.abs(sine) <= STRAIGHT).all():
                self.fail("vertices", slot, "the polygon has no area", "move a corner off the line")

    def joints(self) -> None:
        a, active = self.a, self.a["joint_active"]
        for end in ("joint_a", "joint_b"):
            self.within(end, self.size.bodies)
            self.require(
                a["active"][a[end]] | ~active,
                end,
                "body {} is not active",
                "join active bodies or deactivate the joint",
            )
        self.require(
            (a["joint_a"] != a["joint_b"]) | ~active, "joint_b", "body {} is joined to itself", "join two bodies"
        )
        self.within("motor_binding", MOTOR_BINDINGS)

    def thrusters(self) -> None:
        a, active = self.a, self.a["thruster_active"]
        self.within("thruster_body", self.size.bodies)
        on = a["active"][a["thruster_body"]]
        self.require(
            on | ~active, "thruster_body", "body {} is not active", "use an active body or deactivate the thruster"
        )
        good = (a["thruster_binding"] >= 0) & ((a["thruster_binding"] < THRUSTER_BINDINGS) | ~active)
        # Published levels have unused thrusters with the bindings of motors.
        good &= a["thruster_binding"] < MOTOR_BINDINGS
        self.require(good, "thruster_binding", "{} does not exist", f"use 0 to {THRUSTER_BINDINGS - 1}")
