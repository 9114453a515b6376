"""The rules of ``validity`` for one level, with precise messages. NumPy alone: loading compiles nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from kinetix_ued.world import Level

from .errors import LevelError
from .resize import BODY_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS, default_arrays
from .validity import RULES, misfit

FILE_NAMES = {
    "joint_active": "active", "joint_a": "a_index", "joint_b": "b_index", "joint_anchor_a": "a_relative_pos",
    "joint_anchor_b": "b_relative_pos", "joint_fixed": "is_fixed_joint", "joint_rotation": "rotation",
    "joint_limited": "motor_has_joint_limits", "joint_min": "min_rotation", "joint_max": "max_rotation",
    "joint_impulse": "acc_impulse", "joint_angular_impulse": "acc_r_impulse", "thruster_active": "active",
    "thruster_body": "object_index", "thruster_position": "relative_position", "thruster_rotation": "rotation",
    "thruster_power": "power",
}  # fmt: skip
"""Fields that Kinetix' files call by another name than Level."""


def check_level(level: Level, source: str = "level", strict: bool = False) -> None:
    """Passes a level that can be played, refuses any other. Takes one level, not a batch.

    Everything must be finite, unused slots included. Fields are named as in Kinetix' files: ``polygon[5].vertices``.

    Args:
        level: one level.
        source: what the error calls it.
        strict: refuse also what can be played but is not valid, as ``faults_of`` lists it.

    Raises:
        LevelError: names ``source``, the field, what is wrong and what to do.
    """
    for error in _errors(level, source, strict):
        raise error


def faults_of(level: Level) -> list[str]:
    """What keeps a level from being valid, a line for each slot and rule: field, problem, remedy; none if it is valid.

    >>> from kinetix_ued.levels import faults_of
    >>> from kinetix_ued.world import empty_level
    >>> faults_of(empty_level("s"))
    ['0 green bodies: make one green', '0 blue bodies: make one blue']
    """
    return [str(error) for error in _errors(level, "", strict=True)]


def _errors(level: Level, source: str, strict: bool) -> Iterator[LevelError]:
    """An error for every slot that breaks a rule, in the order of the rules."""
    size = level.size
    arrays: dict[str, Any] = {name: np.asarray(getattr(level, name)) for name in default_arrays(size)}
    wrong = misfit(dataclasses.replace(level, **arrays))
    if wrong:
        yield LevelError(source, *wrong, "check one level, built for its size")
        return
    # In 64 bits nothing overflows, however large a level's numbers are.
    wide = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in arrays.items()}
    for rule in RULES:
        if rule.strict and not strict:
            continue
        with np.errstate(all="ignore"):
            broken = rule.broken(wide, size, np)
            detail = None if rule.detail is None or not broken.any() else rule.detail(wide, size, np)
        for slot in np.flatnonzero(broken).tolist():
            found = None if rule.field is None else arrays[rule.field][slot].tolist()
            problem = rule.problem.format(found, None if detail is None else detail[slot].item())
            remedy = rule.remedy.format(size.bodies - 1)
            yield LevelError(source, rule.field and _place(rule.field, slot, level), problem, remedy)


def _place(name: str, slot: int, level: Level) -> str:
    """A field of a slot as Kinetix' files have it."""
    polygons, field = level.size.polygons, FILE_NAMES.get(name, name)
    if name in BODY_FIELDS:
        return f"circle[{slot - polygons}].{field}" if slot >= polygons else f"polygon[{slot}].{field}"
    if name in JOINT_FIELDS:
        return f"joint[{slot}].{field}"
    return f"thruster[{slot}].{field}" if name in THRUSTER_FIELDS else field
