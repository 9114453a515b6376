"""What a level is, whatever the slots: a hash of its content, and duplicates in a batch.

Integer arithmetic on the bits of the numbers, so that every machine gives the same hash. A slot is hashed by its
fields, a set of slots by the sum of their hashes, which knows no order. Joints and thrusters refer to bodies by their
hashes, and each round hands to bodies what is attached to them.

Two levels hash alike where they differ only in the order of slots, in padding, in what was saved for warm starting, in
``highlighted`` and in what nobody can see: unused slots, what circles and polygons do not have of one another, a
triangle's fourth corner, the motor and limits of a fixed joint, the limits of an unlimited one. Everything else counts,
to the last bit: also which corner of a polygon comes first and which of two bodies is a joint's first, since contacts
and motors follow them. The one thing equal hashes may hide is attachments among exactly equal bodies farther than
ROUNDS joints apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.world import Level, Size
from kinetix_ued.world.constants import MAX_VERTICES, STATIC_POLYGONS

from .resize import default_arrays

ROUNDS = 3
"""How many joints away a body's attachments still tell it from an equal one."""

GOLDEN = 0x9E3779B9
"""Odd constant whose multiples, modulo 2^32, lie far apart."""

FACTORS = (
    np.array([0x85EBCA6B, 0x7FEB352D], np.uint32),
    np.array([0xC2B2AE35, 0x846CA68B], np.uint32),
)
"""Multipliers of ``_mix`` for the two halves of a hash: those of MurmurHash3's finaliser, and of Wellons' lowbias32."""

BODY, JOINT, THRUSTER, SCENE, FIRST, SECOND, PUSHED, WHOLE = range(1, 9)
"""Domains of hashing: the same numbers mean another thing in each."""


@jax.jit
def content_hash(level: Level) -> jax.Array:
    """The hash of a level's content, or of each of a batch (..., 2) uint32. Traceable."""
    return _hash(level, jnp)


def hash_text(level: Level) -> str:
    """The hash of one level as 16 hexadecimal digits. Compiles nothing.

    >>> from kinetix_ued.levels import hash_text
    >>> from kinetix_ued.world import empty_level
    >>> hash_text(empty_level("s")) == hash_text(empty_level("l"))
    True

    Raises:
        ValueError: a batch of levels.
    """
    if np.ndim(level.gravity) != 1:
        raise ValueError("hash_text takes one level: index the batch, or use content_hash")
    return _text(_hash(level, np).tolist())


def hash_texts(levels: Level) -> tuple[str, ...]:
    """``hash_text`` of each of n levels (n).

    Raises:
        ValueError: a single level.
    """
    if np.ndim(levels.gravity) != 2:
        raise ValueError("hash_texts takes a batch of levels: use hash_text for a single one")
    return tuple(map(_text, _hash(levels, np).tolist()))


@jax.jit
def duplicates(levels: Level) -> jax.Array:
    """Which of n levels equal, by their hash, one earlier in the batch (n) bool. Traceable.

    Raises:
        ValueError: a single level.
    """
    if levels.gravity.ndim != 2:
        raise ValueError("duplicates takes a batch of levels: jax.tree.map(lambda x: x[None], level) makes one of one")
    low, high = content_hash(levels).T
    order = jnp.lexsort((high, low))  # stable: of equal ones the earliest comes first
    low, high = low[order], high[order]
    again = jnp.concatenate([jnp.zeros(1, bool), (low[1:] == low[:-1]) & (high[1:] == high[:-1])])
    return jnp.zeros_like(again).at[order].set(again)


def _text(halves: list[int]) -> str:
    return "".join(f"{half:08x}" for half in halves)


def _mix(x: Any) -> Any:
    """A bijection of 32-bit numbers in which every bit depends on every other; another one for each half (..., 2)."""
    for factor, shift in zip(FACTORS, (16, 13), strict=True):
        x = (x ^ (x >> np.uint32(shift))) * factor
    return x ^ (x >> np.uint32(16))


def _keys(domain: int, count: int) -> np.ndarray:
    """Numbers (count, 2) that tell ``count`` places of a domain apart."""
    place = np.arange(count, dtype=np.uint32) + np.uint32(domain << 16)
    return _mix((place * np.uint32(GOLDEN))[:, None] + np.arange(2, dtype=np.uint32))


def _salted(x: Any, domain: int) -> Any:
    """Hashes (..., 2) made hashes of another domain."""
    return _mix(x + _keys(domain, 1)[0])


def _total(x: Any, axis: int, xp: Any) -> Any:
    return x.sum(axis=axis, dtype=xp.uint32)


def _words(domain: int, numbers: list[Any], xp: Any) -> Any:
    """Hashes (..., 2) of slots with these numbers (...) each."""
    words = xp.stack(numbers, axis=-1)[..., None]
    return _salted(_total(_mix(words ^ _keys(domain, len(numbers))), -2, xp), domain)


def _bits(x: Any, xp: Any) -> Any:
    """Numbers as 32 bits. Both zeros are one, and so is whatever is not a number.

    All on integers: processors differ in what they take the smallest floats for.
    """
    if x.dtype != np.float32:
        return x.astype(xp.uint32)
    bits = x.view(np.uint32) if xp is np else jax.lax.bitcast_convert_type(x, jnp.uint32)
    size = bits & np.uint32(0x7FFFFFFF)
    return xp.where(size == 0, size, xp.where(size > np.uint32(0x7F800000), np.uint32(0x7FC00000), bits))


def _seen(values: Mapping[str, Any], size: Size, xp: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Numbers of each body, joint and thruster that physics, rules or an agent can see; 0 for the others."""
    word = {name: _bits(value, xp) for name, value in values.items()}
    only = lambda mask, x: xp.where(mask, x, np.uint32(0))
    each = lambda name: [word[name][..., axis] for axis in range(2)]

    slot = np.arange(size.bodies)
    circle = slot >= size.polygons
    kind = np.where(circle, STATIC_POLYGONS + 1, np.minimum(slot, STATIC_POLYGONS))  # the room's slots have a meaning
    bodies = [*each("position"), word["rotation"], *each("velocity"), word["angular_velocity"]]
    for corner in range(MAX_VERTICES):
        there = ~circle & (corner < values["n_vertices"])
        bodies += [only(there, word["vertices"][..., corner, axis]) for axis in range(2)]
    bodies += [only(~circle, word["n_vertices"]), only(circle, word["radius"])]
    bodies += [word[name] for name in ("inverse_mass", "inverse_inertia", "density", "friction", "restitution")]
    bodies += [word["collision_mode"], word["role"]]
    bodies += [xp.broadcast_to(xp.asarray(kind, xp.uint32), word["role"].shape)]

    revolute = ~values["joint_fixed"]
    limited = revolute & values["joint_limited"]
    joints = [*each("joint_anchor_a"), *each("joint_anchor_b"), word["joint_fixed"], word["joint_rotation"]]
    joints += [only(revolute, word[f"motor_{name}"]) for name in ("on", "speed", "power", "binding")]
    joints += [only(limited, word[name]) for name in ("joint_limited", "joint_min", "joint_max")]
    joints += [only(revolute & values["motor_on"], word["motor_auto"])]
    thrusters = [*each("thruster_position")]
    thrusters += [word[f"thruster_{name}"] for name in ("rotation", "power", "binding")]
    return bodies, joints, thrusters


def _hash(level: Level, xp: Any) -> Any:
    values = {name: xp.asarray(getattr(level, name)) for name in default_arrays(level.size)}
    at = lambda index: (values[index][..., None] == np.arange(level.size.bodies))[..., None]  # (..., J, N, 1), one-hot
    ends = ((at("joint_a"), FIRST), (at("joint_b"), SECOND))
    pushed = at("thruster_body")
    there, joined, driven = (values[name][..., None] for name in ("active", "joint_active", "thruster_active"))
    only = lambda mask, x: xp.where(mask, x, np.uint32(0))
    look = lambda onehot, body: _total(only(onehot, body[..., None, :, :]), -2, xp)
    hand = lambda onehot, used, x: _total(only(onehot & used[..., None], x[..., None, :]), -3, xp)

    def attach(hashes: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        """Joints and thrusters learn what they are on, then bodies what is on them."""
        body, joint, thruster = hashes
        joint = _mix(joint + sum(_salted(look(onehot, body), end) for onehot, end in ends))
        thruster = _salted(thruster + _salted(look(pushed, body), PUSHED), THRUSTER)
        held = sum(hand(onehot, joined, _salted(joint, end)) for onehot, end in ends)
        return _salted(body + held + hand(pushed, driven, thruster), BODY), joint, thruster

    contents = zip((BODY, JOINT, THRUSTER), _seen(values, level.size, xp), strict=True)
    body, joint, thruster = (_words(domain, numbers, xp) for domain, numbers in contents)
    hashes = body, joint, thruster
    if xp is np:
        for _ in range(ROUNDS):
            hashes = attach(hashes)
    else:
        hashes = jax.lax.fori_loop(0, ROUNDS, lambda _, x: attach(x), hashes)
    parts = zip(hashes, (there, joined, driven), strict=True)
    whole = sum(_total(only(used, part), -2, xp) for part, used in parts)
    gravity = _bits(values["gravity"], xp)
    return _salted(whole + _words(SCENE, [gravity[..., axis] for axis in range(2)], xp), WHOLE)
