"""Filters mark the levels of a batch that are not worth playing; ``filtered`` makes a sampler avoid them.

A filter is a function of a batch of n levels that returns n bools, true for a level to avoid.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from kinetix_ued.environment.actions import CONTROLS, actuate
from kinetix_ued.environment.rules import judge, nonfinite
from kinetix_ued.world import Engine, Level, get_engine, start

from .random import positive_count

Sampler = Callable[[jax.Array, int], Level]
"""``sample(key, n)``: n levels with a leading axis."""

Filter = Callable[[Level], jax.Array]
"""``marks(levels)``: which of n levels to avoid (n) bool."""

NOOP_STEPS = 64
"""Environment steps for which a level is left alone."""

NOOP_FRAME_SKIP = 2
"""Frames in each of them."""

DRAW_RATIO = 2
"""Levels drawn for each level wanted."""

MARKED_WEIGHT = 0.001
"""Weight of a marked level beside 1 for the others: taken where there are too few others, and hardly elsewhere."""


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
    if levels.gravity.ndim != 2:
        raise ValueError("noop_solves takes a batch of levels: jax.tree.map(lambda x: x[None], level) makes one of one")
    positive_count(steps, "steps", "environment steps to simulate")
    positive_count(frame_skip, "frame_skip", "frames in a step")
    engine = engine or get_engine("auto")

    def advance(carry, _):
        world, ended, solved = carry
        world, frames = jax.vmap(lambda *scene: engine.step(*scene, frames=frame_skip))(levels, world, motor, thruster)
        verdict, broken = jax.vmap(judge)(frames), jax.vmap(nonfinite)(world)
        solved |= verdict.goal & ~ended & ~broken
        return (world, ended | verdict.goal | verdict.failure | broken, solved), None

    motor, thruster = jax.vmap(actuate, (0, None))(levels, jnp.zeros(CONTROLS))
    never = jnp.zeros(levels.gravity.shape[0], bool)
    (_, _, solved), _ = jax.lax.scan(advance, (jax.vmap(start)(levels), never, never), length=steps)
    return solved


def filtered(
    sample: Sampler, marks: Filter = noop_solves, *, ratio: int = DRAW_RATIO, weight: float = MARKED_WEIGHT
) -> Sampler:
    """A sampler like ``sample`` that avoids the levels that ``marks`` marks, and still always returns n.

    It draws ``ratio`` times as many levels and keeps n of them, without replacement, with ``weight`` for the marked
    ones and 1 for the others.

    Args:
        sample: ``sample(key, n)``, for instance ``sample_levels``.
        marks: a filter.
        ratio: levels drawn for each level wanted.
        weight: of a marked level, above 0.

    Raises:
        ValueError: for a ratio below 1 or a weight that is not above 0 and at most 1; when called, for n < 1.

    Source: Matthews et al. 2025, Kinetix (arXiv:2410.23208), for ``noop_solves`` and the defaults.
    """
    positive_count(ratio, "ratio", "levels drawn for each level wanted")
    if not 0.0 < weight <= 1.0:
        raise ValueError(f"weight must be above 0 and at most 1, or there may be too few levels left; got {weight}")

    def sample_filtered(key: jax.Array, n: int) -> Level:
        positive_count(n, "n", "levels to sample")
        key_levels, key_choice = jax.random.split(key)
        levels = sample(key_levels, ratio * n)
        weights = jnp.where(marks(levels), weight, 1.0)
        kept = jax.random.choice(key_choice, ratio * n, (n,), replace=False, p=weights / weights.sum())
        return jax.tree.map(lambda x: x[kept], levels)

    return sample_filtered
