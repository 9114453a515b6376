"""Equal levels, found by keys of 64 bits: two columns of 32, as ``kinetix_ued.levels.content_hash`` makes them."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def find_keys(keys: jax.Array, wanted: jax.Array, valid: jax.Array) -> jax.Array:
    """Where each of n wanted keys is among C keys: the last such index (n) int32, -1 for none.

    The wanted keys are sorted and every key looks itself up among them: C log n steps, and no sort of C.

    Args:
        keys: (C, 2) uint32
        wanted: (n, 2) uint32
        valid: which of the keys count (C) bool
    """
    n = len(wanted)
    order, group = _grouped(wanted)
    high, low = wanted[order].T
    place = jnp.zeros(len(keys), jnp.int32)  # wanted keys that are less than this one, found bit by bit
    for bit in reversed(range(n.bit_length())):
        other = jnp.minimum(place + ((1 << bit) - 1), n - 1)
        less = (high[other] < keys[:, 0]) | ((high[other] == keys[:, 0]) & (low[other] < keys[:, 1]))
        place = jnp.where(less & (place + ((1 << bit) - 1) < n), place + (1 << bit), place)
    at = jnp.minimum(place, n - 1)
    hit = valid & (high[at] == keys[:, 0]) & (low[at] == keys[:, 1])
    # The look-up ends at the first of equal wanted keys, whose place is its group's.
    index = jnp.arange(len(keys), dtype=jnp.int32)
    found = jnp.full(n, -1, jnp.int32).at[jnp.where(hit, at, n)].max(index, mode="drop")
    return jnp.zeros(n, jnp.int32).at[order].set(found[group])


def last_of_equals(keys: jax.Array, preferred: jax.Array) -> jax.Array:
    """The row that stands for each row (n) int32: of those with its key (n, 2) the last preferred, else the last."""
    n = len(keys)
    order, group = _grouped(keys)
    row = order + jnp.where(preferred[order], n, 0)
    last = jnp.zeros(n, jnp.int32).at[group].max(row) % n
    return jnp.zeros(n, jnp.int32).at[order].set(last[group])


def _grouped(keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows in the order of their keys (n) int32, and where in that order the equal ones begin (n) int32."""
    high, low = keys.T
    order = jnp.lexsort((low, high)).astype(jnp.int32)
    high, low = high[order], low[order]
    new = jnp.concatenate([jnp.ones(1, bool), (high[1:] != high[:-1]) | (low[1:] != low[:-1])])
    return order, jax.lax.cummax(jnp.where(new, jnp.arange(len(keys), dtype=jnp.int32), 0))
