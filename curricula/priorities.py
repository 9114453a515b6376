"""How scores become replay weights, and how slots are drawn by their weights. Arrays over C slots, nothing else."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

PRIORITISATIONS = ("rank", "topk")
"""How scores become weights: by rank, or by a softmax over the best few."""


def rank_weights(score: jax.Array, temperature: float) -> jax.Array:
    """rank ** (-1 / temperature), the highest score's rank being 1 (C); of equal scores the first ranks higher."""
    c = len(score)
    ranks = jnp.zeros(c, jnp.float32).at[descending(score)].set(jnp.arange(1, c + 1, dtype=jnp.float32))
    return ranks ** (-1 / temperature)


def topk_weights(score: jax.Array, k: int, temperature: float) -> jax.Array:
    """exp(score / temperature) of the k highest scores, scaled so that the highest has 1; 0 for the others (C)."""
    best, slots = jax.lax.top_k(score, min(k, len(score)))
    highest = jnp.where(jnp.isfinite(best[0]), best[0], 0)  # -inf where every slot is empty
    return jnp.zeros(len(score), jnp.float32).at[slots].set(jnp.exp((best - highest) / temperature))


def normalise(weights: jax.Array) -> jax.Array:
    """Scaled to sum to 1; all zeros stay zeros."""
    total = weights.sum()
    return weights / jnp.where(total > 0, total, 1)


def descending(score: jax.Array) -> jax.Array:
    """Slots from the highest score to the lowest, equal ones in the order of slots (C) int32; no score may be NaN.

    A stable argsort, as a radix sort by as many of the scores' bits at a time as leave room for a slot's number in a
    word of 32: on a CPU, XLA sorts plain integers several times faster than pairs of a float and an index.
    """
    c = len(score)
    index_bits = max(c - 1, 1).bit_length()
    width = 32 - index_bits
    bits = _descending_bits(score)
    place, low = jnp.arange(c, dtype=jnp.uint32), jnp.uint32((1 << index_bits) - 1)
    order = place
    for shift in range(0, 32, width):
        digit = (bits[order] >> shift) & jnp.uint32((1 << min(width, 32 - shift)) - 1)
        order = order[jnp.sort((digit << index_bits) | place) & low]
    return order.astype(jnp.int32)


def sorted_scores(score: jax.Array) -> jax.Array:
    """Scores from the highest to the lowest (C); none may be NaN."""
    bits = jnp.sort(_descending_bits(score))
    sign = jnp.uint32(1 << 31)
    return jax.lax.bitcast_convert_type(jnp.where(bits > sign, bits, ~(bits | sign)), jnp.float32)


def _descending_bits(score: jax.Array) -> jax.Array:
    """Integers that are in the opposite order of these floats, both zeros being equal (C) uint32."""
    bits = jax.lax.bitcast_convert_type(jnp.asarray(score, jnp.float32), jnp.uint32)
    sign = jnp.uint32(1 << 31)  # the other bits are in the order of magnitudes
    negative = bits > sign
    return jnp.where(negative, bits, ~(bits | sign))


def draw(key: jax.Array, weights: jax.Array, n: int) -> jax.Array:
    """n independent slots (n) int32, each with a probability proportional to its weight (C).

    Drawn in two stages, a block and then a slot in it: a single running sum over a million weights would, in single
    precision, be as coarse as the weights themselves.
    """
    width = math.isqrt(len(weights) - 1) + 1
    blocks = jnp.pad(weights, (0, -len(weights) % width)).reshape(-1, width)
    within = jnp.cumsum(blocks, axis=1)
    block_share, slot_share = jax.random.uniform(key, (2, n), jnp.float32)
    block = _pick(block_share, jnp.cumsum(blocks.sum(axis=1)))
    return (block * width + _pick(slot_share, within[block])).astype(jnp.int32)


def _pick(share: jax.Array, running: jax.Array) -> jax.Array:
    """The first index at which running sums, (m) or (n, m), exceed ``share`` (n) of the whole (n)."""
    below = running <= share[:, None] * running[..., -1:]
    return jnp.minimum(below.sum(axis=-1), running.shape[-1] - 1)
