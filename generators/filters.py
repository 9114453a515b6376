"""Filters mark the levels of a batch that are not worth playing.

A filter is a pure function of a batch of n levels that returns n bools, true for a level to avoid. ``FILTERS`` names
those that are here; ``filtered`` (oversampling.py) makes a sampler avoid what any of several filters marks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from kinetix_ued.environment.rules import judge, nonfinite
from kinetix_ued.world import CONTROLS, Engine, Level, actuate, components, driven_motors, get_engine, start, varying_like
from kinetix_ued.world.constants import PENETRATION_SLOP
from kinetix_ued.world.contacts import detect

from .checks import positive_count

Filter = Callable[[Level], jax.Array]
"""``marks(levels)``: which of n levels to avoid (n) bool."""

NOOP_STEPS = 64
"""Environment steps for which a level is left alone."""

NOOP_FRAME_SKIP = 2
"""Frames in each of them."""

START_FRAMES = 4
"""Frames that make a level's start: too few for any action to matter."""


def noop_solves(
    levels: Level, *, engine: Engine | None = None, steps: int = NOOP_STEPS, frame_skip: int = NOOP_FRAME_SKIP
) -> jax.Array:
    """Which of n levels reach their goal within ``steps`` steps (n) bool although nobody acts. Traceable.

    A level's first end counts: red touched before blue, or a state that is not finite, is no solution. Automatic
    motors run.

    Args:
        levels: with a leading axis n.
        engine: that computes the frames; ``get_engine("auto")`` where None.
        steps: environment steps.
        frame_skip: frames of 1/60 s in each.

    Raises:
        ValueError: for a single level, or steps or frames below 1.
    """
    return _played(levels, engine, steps, frame_skip)[0]


def solved_at_start(levels: Level, *, engine: Engine | None = None, frames: int = START_FRAMES) -> jax.Array:
    """Which of n levels reach their goal within the first frames (n) bool, before anybody could act. Traceable.

    Raises:
        ValueError: for a single level, or frames below 1.
    """
    return _played(levels, engine, frames, 1)[0]


def lost_at_start(levels: Level, *, engine: Engine | None = None, frames: int = START_FRAMES) -> jax.Array:
    """Which of n levels touch red within the first frames (n) bool, before anybody could act. Traceable.

    Raises:
        ValueError: for a single level, or frames below 1.
    """
    return _played(levels, engine, frames, 1)[1]


def uncontrollable(levels: Level) -> jax.Array:
    """Which of n levels no action can change (n) bool: no motor and no thruster at a body that moves. Traceable.

    A motor that runs by itself, and one between two fixed bodies, count for nothing.

    Raises:
        ValueError: for a single level.
    """
    _batch(levels)
    return _uncontrollable(levels)


@jax.jit
@jax.vmap
def _uncontrollable(level: Level) -> jax.Array:
    moves = level.inverse_mass != 0
    motors = driven_motors(level) & (moves[level.joint_a] | moves[level.joint_b])
    return ~jnp.any(motors) & ~jnp.any(level.thruster_active & moves[level.thruster_body])


def overlapping(levels: Level, *, depth: float = PENETRATION_SLOP) -> jax.Array:
    """Which of n levels start with bodies in one another (n) bool, so that the physics pushes them apart. Traceable.

    Pairs that cannot collide do not count (joined ones, directly or not), nor do pairs of fixed bodies.

    Args:
        levels: with a leading axis n.
        depth: overlap that is allowed [m]; the solver leaves as much alone.

    Raises:
        ValueError: for a single level, or a negative depth.
    """
    _batch(levels)
    if not depth >= 0:
        raise ValueError(f"depth must be 0 or more, in metres; got {depth}")

    return _overlapping(levels, depth)


@functools.partial(jax.jit, static_argnames="depth")
def _overlapping(levels: Level, depth: float) -> jax.Array:
    def mark(level: Level) -> jax.Array:
        contacts = detect(level, level.position, level.rotation, jnp.zeros((level.size.bodies, 3), jnp.float32))
        a, b = level.size.contact_bodies.T
        component, moves = components(level), level.inverse_mass != 0
        collides = (component[a] != component[b]) & (moves[a] | moves[b])
        return jnp.any(contacts.active & collides & (contacts.penetration > depth))

    return jax.vmap(mark)(levels)


FILTERS: dict[str, Filter] = {
    "noop_solves": noop_solves,
    "solved_at_start": solved_at_start,
    "lost_at_start": lost_at_start,
    "uncontrollable": uncontrollable,
    "overlapping": overlapping,
}
"""Filters by name, with their defaults."""

def make_filter(name: str, engine: Engine | None = None, frame_skip: int = NOOP_FRAME_SKIP) -> tuple[Filter, int]:
    """The filter called ``name``, and how many environment steps it simulates of each level.

    Args:
        name: in ``FILTERS``.
        engine: that computes its frames, if any; ``get_engine("auto")`` where None.
        frame_skip: frames in an environment step.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    if name not in FILTERS:
        raise ValueError(f"unknown filter {name!r}: use one of {', '.join(FILTERS)}")
    if name == "noop_solves":
        return functools.partial(noop_solves, engine=engine, frame_skip=frame_skip), NOOP_STEPS
    if name in ("solved_at_start", "lost_at_start"):
        return functools.partial(FILTERS[name], engine=engine), -(-START_FRAMES // frame_skip)
    return FILTERS[name], 0


def _played(levels: Level, engine: Engine | None, steps: int, frame_skip: int) -> tuple[jax.Array, jax.Array]:
    """How the first end of each level comes about if nobody acts: goal (n), failure (n)."""
    _batch(levels)
    positive_count(steps, "steps", "steps to simulate")
    positive_count(frame_skip, "frame_skip", "frames in a step")
    return _left_alone(levels, engine or get_engine("auto"), steps, frame_skip)


@functools.partial(jax.jit, static_argnames=("engine", "steps", "frame_skip"))
def _left_alone(levels: Level, engine: Engine, steps: int, frame_skip: int) -> tuple[jax.Array, jax.Array]:
    def advance(carry, _):
        world, ended, solved, lost = carry
        world, frames = jax.vmap(lambda *scene: engine.step(*scene, frames=frame_skip))(levels, world, motor, thruster)
        verdict, broken = jax.vmap(judge)(frames), jax.vmap(nonfinite)(world)
        solved |= verdict.goal & ~ended & ~broken
        lost |= verdict.failure & ~ended & ~broken
        return (world, ended | verdict.goal | verdict.failure | broken, solved, lost), None

    motor, thruster = jax.vmap(actuate, (0, None))(levels, jnp.zeros(CONTROLS, jnp.float32))
    never = jnp.zeros(levels.gravity.shape[0], bool)
    first = varying_like((jax.vmap(start)(levels), never, never, never), levels)
    (_, _, solved, lost), _ = jax.lax.scan(advance, first, length=steps)
    return solved, lost


def _batch(levels: Level) -> None:
    if levels.gravity.ndim != 2:
        raise ValueError("a filter takes a batch of levels: jax.tree.map(lambda x: x[None], level) makes one of one")
