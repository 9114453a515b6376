"""Orders, weights and draws of the level buffer, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.curricula import LevelBuffer
from kinetix_ued.curricula.priorities import descending, draw, rank_weights, sorted_scores, topk_weights

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, 1e-38, -1e-38, 3.4e38, -3.4e38, 0.25, 0.25, -0.25], np.float32)


@pytest.mark.parametrize("count", [1, 2, 3, 64, 65, 5000])
def test_order_is_that_of_a_stable_sort(count):
    rng = np.random.default_rng(count)
    scores = np.where(rng.random(count) < 0.5, rng.choice(SPECIAL, count), rng.normal(size=count)).astype(np.float32)
    order = np.asarray(jax.jit(descending)(scores))
    assert order.tolist() == np.argsort(-scores, kind="stable").tolist()
    assert np.asarray(jax.jit(sorted_scores)(scores)).tolist() == sorted(scores.tolist(), reverse=True)


def test_order_of_a_million():
    scores = np.random.default_rng(0).integers(0, 1000, 1_000_000).astype(np.float32)
    order = np.asarray(jax.jit(descending)(scores))
    assert (order == np.argsort(-scores, kind="stable")).all()


def test_equal_scores_rank_in_the_order_of_slots():
    scores = jnp.array([1.0, 3.0, 1.0, 3.0])
    np.testing.assert_allclose(rank_weights(scores, 1.0), [1 / 3, 1, 1 / 4, 1 / 2], rtol=1e-6)
    np.testing.assert_allclose(topk_weights(scores, 3, 2.0), [np.exp(-1), 1, 0, 1], rtol=1e-6)


def test_a_slot_without_weight_is_never_drawn():
    weights = jnp.zeros(1000).at[jnp.array([0, 31, 32, 999])].set(jnp.array([1.0, 2.0, 3.0, 4.0]))
    slots = np.asarray(jax.jit(draw, static_argnums=2)(jax.random.key(0), weights, 20_000))
    counts = np.bincount(slots, minlength=1000)
    assert set(slots) == {0, 31, 32, 999}
    expected = 2000 * np.array([1, 2, 3, 4])
    assert (np.abs(counts[[0, 31, 32, 999]] - expected) < 5 * np.sqrt(expected)).all()


def test_sampling_by_weights_of_the_callers_own():
    buffer = LevelBuffer(8)
    state, _ = jax.jit(buffer.insert)(buffer.init(jnp.zeros(())), jnp.arange(4.0), jnp.arange(4.0))
    sample = jax.jit(buffer.sample, static_argnums=2)
    state, slots, levels = sample(jax.random.key(0), state, 5, jnp.array([0, 0, 9.0, 0, 0, 0, 0, 0]))
    assert slots.tolist() == [2] * 5 and levels.tolist() == [1.0] * 5  # the highest score is in slot 0
    assert int(state.timestamp[2]) == int(state.clock) == 9


def test_a_million_levels():
    """Filled at once, then a batch that pushes out the lowest; drawn as the ranks' weights 1 / rank say."""
    buffer, count = LevelBuffer(1_000_000, staleness_coefficient=0.0), 1_000_000
    scores = jnp.asarray(np.random.default_rng(1).permutation(count), jnp.float32)
    insert = jax.jit(buffer.insert, donate_argnums=0)
    state, _ = insert(buffer.init(jnp.float32(0)), scores, scores)
    state, slots = insert(state, *[jnp.arange(1024.0) + count] * 2)
    assert int(state.size) == count and (np.asarray(slots) >= 0).all()
    assert np.asarray(state.score).min() == 1024 and (state.levels == state.score).all()
    _, _, levels = jax.jit(buffer.sample, static_argnums=2)(jax.random.key(0), state, 20_000)
    ranks = count + 1024 - np.asarray(levels)
    harmonic = lambda n: (1 / np.arange(1, n + 1)).sum()
    for n in (1, 10, 1000, 100_000):
        share = harmonic(n) / harmonic(count)
        assert abs((ranks <= n).mean() - share) < 5 * np.sqrt(share * (1 - share) / 20_000)
