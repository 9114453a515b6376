"""Rows of a batch that belong together, such as environments that play the same level, and reductions over them.

Groups are numbers (B) int32 from 0 to B - 1, any of them, the same for rows that belong together. A reduction returns
its result in every row of the group. Sums are taken in a fixed order: a scatter would add in any order on a GPU, and a
resumed run must repeat an uninterrupted one bit for bit.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def group_slots(slots: jax.Array) -> jax.Array:
    """Groups of rows with the same slot (B) int32, each named for its first row; a row with slot -1 stands alone."""
    rows = jnp.arange(len(slots), dtype=jnp.int32)
    order = jnp.argsort(slots, stable=True)
    ordered = slots[order]
    begins = jnp.concatenate([jnp.ones(1, bool), ordered[1:] != ordered[:-1]]) | (ordered < 0)
    first = order[jax.lax.cummax(jnp.where(begins, rows, 0))]
    return jnp.zeros_like(rows).at[order].set(first.astype(jnp.int32))


def group_sum(values: jax.Array, group: jax.Array) -> jax.Array:
    """Sum of ``values`` (B) over each row's group (B)."""
    order = jnp.argsort(group, stable=True)
    ordered = group[order]
    begins = jnp.concatenate([jnp.ones(1, bool), ordered[1:] != ordered[:-1]])

    def add(left: tuple[jax.Array, jax.Array], right: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        (_, total), (begun, value) = left, right
        return left[0] | begun, jnp.where(begun, value, total + value)

    _, running = jax.lax.associative_scan(add, (begins, values[order]))
    # The last row of a group has seen all of it; only that one writes.
    ends = jnp.concatenate([begins[1:], jnp.ones(1, bool)])
    total = jnp.zeros_like(values).at[jnp.where(ends, ordered, len(group))].set(running, mode="drop")
    return total[group]


def group_max(values: jax.Array, group: jax.Array) -> jax.Array:
    """Maximum of ``values`` (B) over each row's group (B)."""
    return jax.ops.segment_max(values, group, num_segments=len(group))[group]


def group_mean(values: jax.Array, where: jax.Array, group: jax.Array) -> jax.Array:
    """Mean of ``values`` (B) over those rows of each row's group for which ``where`` (B) holds (B).

    Meaningless where a group has no such row. Equal values have exactly their mean.
    """
    rows = jnp.arange(len(group), dtype=jnp.int32)
    base = values[jnp.maximum(group_max(jnp.where(where, rows, -1), group), 0)]
    excess = group_sum(jnp.where(where, values - base, 0), group)
    return base + excess / jnp.maximum(group_sum(where.astype(jnp.int32), group), 1)
