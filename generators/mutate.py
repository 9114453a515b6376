"""Editing levels: a few random edits, as curricula do to levels that are worth learning from."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from kinetix_ued.levels.resize import CONTACT_FIELDS
from kinetix_ued.world import Level, typed_level, varying_like

from .checks import positive_count
from .draws import choose_branch, uniform, weighted
from .edits import EDIT_DRAWS, EDITS
from .edits.pose import outside
from .parameters import DEFAULT, RandomLevels

Weights = tuple[tuple[str, float], ...]
"""Names of edits with their weights, none of them 0."""


def mutate_level(
    key: jax.Array,
    level: Level,
    n_edits: int,
    weights: Mapping[str, float] | None = None,
    parameters: RandomLevels = DEFAULT,
) -> Level:
    """``level`` after ``n_edits`` random edits; compiled, and the compile time does not grow with their number.

    Every edit is drawn by weight among those that are possible at that point; where none is, nothing happens. A valid
    level stays valid (kinetix_ued.levels.validity). An edit that would put a centre outside the room is given up: of
    random levels one rotation in several thousand, and nothing else. Accumulated impulses of a level saved in
    mid-episode are cleared.

    Args:
        key: of the random numbers.
        level: one level; ``mutate_levels`` takes a batch.
        n_edits: edits.
        weights: relative weights of edits by their names in ``EDITS``; an edit that is not named is not made. The
            reference's where None.
        parameters: of the distribution that new shapes, sizes and thrusters come from.

    Raises:
        ValueError: for n_edits < 1, an unknown edit, weights that are negative, not finite or all 0, or a batch.

    Source: Matthews et al. 2025, Kinetix (arXiv:2410.23208), as in kinetix-env 3.0.2; departures are told edit by edit.
    """
    positive_count(n_edits, "n_edits", "edits of a level")
    chosen = _check_weights(weights)
    if level.gravity.ndim != 1:
        raise ValueError("mutate_level takes one level: use mutate_levels for a batch")
    return _mutate(key, level, n_edits, chosen, parameters)


def mutate_levels(
    key: jax.Array,
    levels: Level,
    n_edits: int,
    weights: Mapping[str, float] | None = None,
    parameters: RandomLevels = DEFAULT,
) -> Level:
    """``levels``, with a leading axis, each after ``n_edits`` random edits of its own. See ``mutate_level``.

    Raises:
        ValueError: as ``mutate_level``, or for a single level.
    """
    positive_count(n_edits, "n_edits", "edits of each level")
    chosen = _check_weights(weights)
    if levels.gravity.ndim != 2:
        raise ValueError("mutate_levels takes levels with one leading axis: use mutate_level for a single one")
    return _mutate_batch(key, levels, n_edits, chosen, parameters)


def _check_weights(weights: Mapping[str, float] | None) -> Weights:
    if weights is None:
        weights = {name: edit.weight for name, edit in EDITS.items()}
    for name, weight in weights.items():
        if name not in EDITS:
            raise ValueError(f"unknown edit {name!r}: use one of {', '.join(EDITS)}")
        if not (0.0 <= weight and math.isfinite(weight)):
            raise ValueError(f"the weight of edit {name!r} must be 0 or a positive number; got {weight}")
    chosen = tuple((name, float(weights[name])) for name in EDITS if weights.get(name, 0.0) > 0)
    if not chosen:
        raise ValueError(f"no edit has a weight above 0: give one to {', '.join(EDITS)}")
    return chosen


@functools.partial(jax.jit, static_argnames=("n_edits", "weights", "parameters"))
def _mutate(key: jax.Array, level: Level, n_edits: int, weights: Weights, parameters: RandomLevels) -> Level:
    edits = [EDITS[name] for name, _ in weights]
    branches = [functools.partial(edit.apply, parameters=parameters) for edit in edits]
    weight = jnp.array([weight for _, weight in weights], jnp.float32)

    def edit_once(level: Level, u: jax.Array) -> tuple[Level, None]:
        available = weight * jnp.stack([edit.possible(level) for edit in edits])
        edited = choose_branch(weighted(u[0], available), branches, u[1:], level)
        kept = jnp.any(available > 0) & ~jnp.any(outside(edited) & ~outside(level))
        return jax.tree.map(lambda new, old: jnp.where(kept, new, old), edited, level), None

    impulses = ("joint_impulse", "joint_angular_impulse", *CONTACT_FIELDS)
    level = typed_level(level)
    level = level.replace(**{name: jnp.zeros_like(getattr(level, name)) for name in impulses})
    u = uniform(key, (n_edits, 1 + EDIT_DRAWS))
    return jax.lax.scan(edit_once, varying_like(level, level, u), u)[0]


@functools.partial(jax.jit, static_argnames=("n_edits", "weights", "parameters"))
def _mutate_batch(key: jax.Array, levels: Level, n_edits: int, weights: Weights, parameters: RandomLevels) -> Level:
    mutate = functools.partial(_mutate, n_edits=n_edits, weights=weights, parameters=parameters)
    return jax.vmap(mutate)(jax.random.split(key, levels.gravity.shape[0]), levels)
