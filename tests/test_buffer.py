"""The level buffer: against hand-made cases, a plain loop, and JaxUED's LevelSampler."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxued.level_sampler import LevelSampler

from kinetix_ued.curricula import LevelBuffer, score_quantiles
from kinetix_ued.world import empty_level


@pytest.fixture
def old_jax(monkeypatch):
    """jaxued 0.0.1 uses jax.tree_map and an argument of softmax, which current JAX has removed."""
    softmax = jax.nn.softmax
    monkeypatch.setattr(jax, "tree_map", jax.tree.map, raising=False)
    monkeypatch.setattr(jax.nn, "softmax", lambda x, where, initial: softmax(x, where=where.astype(bool)))


# One compilation for each setting and shape; op by op these tests would take minutes.
insert = jax.jit(LevelBuffer.insert, static_argnums=0)
update = jax.jit(LevelBuffer.update, static_argnums=0)
touch = jax.jit(LevelBuffer.touch, static_argnums=0)
draw = jax.jit(LevelBuffer.sample, static_argnums=(0, 3))
weigh = jax.jit(LevelBuffer.weights, static_argnums=0)
quantiles = jax.jit(score_quantiles, static_argnums=1)


def fill(buffer, scores, first=0, state=None):
    """Offer levels first, first + 1, ... (as a pytree of two leaves) with these scores."""
    state = buffer.init(level(0), extra(0)) if state is None else state
    ids = np.arange(first, first + len(scores))
    return insert(buffer, state, level(ids), np.asarray(scores, np.float32), extra(ids))


def level(ids):
    """The level, or batch of levels, of that number."""
    ids = np.asarray(ids, np.int32)
    return {"id": ids, "shape": np.broadcast_to(ids[..., None, None], (*ids.shape, 2, 3)).astype(np.float32)}


def extra(ids):
    return {"parent": np.asarray(ids, np.int32) + 1000}


def contents(state):
    """What is in the buffer, wherever it lies: {level: (score, timestamp)}."""
    state = jax.tree.map(np.asarray, state)
    ids = state.levels["id"][: state.size]
    assert (state.levels["shape"][: state.size] == level(ids)["shape"]).all()  # the rows of all leaves belong together
    assert (state.extras["parent"][: state.size] == extra(ids)["parent"]).all()
    assert np.isneginf(state.score[state.size :]).all()
    return {int(i): (float(score), int(stamp)) for i, score, stamp in zip(ids, state.score, state.timestamp)}


def as_jaxued(state):
    return {
        "levels": state.levels,
        "scores": state.score,
        "timestamps": state.timestamp,
        "size": state.size,
        "episode_count": state.clock,
        "levels_extra": state.extras,
    }


def test_fills_from_the_best_and_keeps_the_highest_scores():
    buffer = LevelBuffer(4, staleness_coefficient=0.0)
    state, slots = fill(buffer, [1.0, 3.0, 2.0])
    assert slots.tolist() == [2, 0, 1]
    assert contents(state) == {0: (1.0, 1), 1: (3.0, 2), 2: (2.0, 3)}
    state, slots = fill(buffer, [0.5, 2.5, 0.9], first=10, state=state)  # only the best enters, by the free slot
    assert slots.tolist() == [-1, 3, -1]
    state, slots = fill(buffer, [1.5, 9.0], first=20, state=state)  # 9 takes the place of 1; 1.5 does not beat 2
    assert slots.tolist() == [-1, 2]
    assert contents(state) == {21: (9.0, 8), 1: (3.0, 2), 2: (2.0, 3), 11: (2.5, 5)}
    assert (int(state.size), int(state.clock), int(state.inserted)) == (4, 8, 5)


def test_lower_newcomers_leave_the_buffer_as_it_is():
    for settings in ({}, {"prioritisation": "topk", "topk": 2}, {"staleness_coefficient": 1.0}):
        buffer = LevelBuffer(4, **settings)
        full, _ = fill(buffer, [5.0, 6.0, 7.0, 8.0])
        after, slots = fill(buffer, [1.0, 2.0, 4.9], first=10, state=full)
        assert slots.tolist() == [-1, -1, -1]
        assert contents(after) == contents(full)


def test_capacity_one():
    buffer = LevelBuffer(1)
    state, slots = fill(buffer, [1.0, 4.0, 2.0])
    assert slots.tolist() == [-1, 0, -1] and contents(state) == {1: (4.0, 2)}
    state, _ = fill(buffer, [3.0, 5.0], first=10, state=state)
    assert contents(state) == {11: (5.0, 5)}
    assert weigh(buffer, state).tolist() == [1.0]
    state, slots, levels = draw(buffer, jax.random.key(0), state, 3)
    assert slots.tolist() == [0, 0, 0] and levels["id"].tolist() == [11, 11, 11]
    assert int(state.timestamp[0]) == int(state.clock) == 8


def test_rows_that_were_not_measured_or_not_offered_stay_out():
    buffer = LevelBuffer(8)
    state, slots = fill(buffer, [jnp.nan, 1.0, -jnp.inf, jnp.inf])
    assert slots.tolist() == [-1, 0, -1, -1] and contents(state) == {1: (1.0, 2)}
    ids = np.array([20, 21, 22])
    state, slots = insert(
        buffer, state, level(ids), jnp.array([3.0, 2.0, 1.5]), extra(ids), where=jnp.array([False, True, True])
    )
    assert slots.tolist() == [-1, 1, 2] and contents(state) == {1: (1.0, 2), 21: (2.0, 5), 22: (1.5, 6)}
    assert int(state.clock) == 6


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.5}, {"prioritisation": "topk", "topk": 24}])
def test_insertion_agrees_with_jaxued_where_order_cannot_matter(old_jax, settings):
    """No staleness, distinct scores; with top-k only where every slot is among the best, see LevelBuffer."""
    capacity, batch = 24, 16
    buffer = LevelBuffer(capacity, staleness_coefficient=0.0, **settings)
    parameters = {"temperature": buffer.temperature} if buffer.prioritisation == "rank" else {"k": buffer.topk}
    oracle = LevelSampler(
        capacity, staleness_coeff=0.0, prioritization=buffer.prioritisation, prioritization_params=parameters
    )
    their_insert, their_update = jax.jit(oracle.insert_batch), jax.jit(oracle.update_batch)
    state, theirs = buffer.init(level(0), extra(0)), oracle.initialize(level(0), extra(0))
    rng = np.random.default_rng(0)
    for i in range(6):
        ids = np.arange(batch) + 100 * i
        # Within +-2: a softmax over scores far apart rounds weights to zero, and then the order of slots decides.
        scores = jnp.asarray(rng.uniform(-2, 2, batch), jnp.float32)
        rows = level(ids), scores, extra(ids)
        state, _ = insert(buffer, state, *rows)
        theirs, _ = their_insert(theirs, *rows)
        ours, count = contents(state), int(theirs["size"])
        names = np.asarray(theirs["levels"]["id"])[:count]
        expected = zip(names, np.asarray(theirs["scores"]), np.asarray(theirs["timestamps"]))
        assert ours == {int(name): (float(score), int(stamp)) for name, score, stamp in expected}
        assert int(state.clock) == theirs["episode_count"]
        # The same levels, in their slots of either buffer, get new scores.
        chosen = rng.choice(names, 8, replace=False)  # JaxUED takes the last score of a level, we the mean
        slots = jnp.array([list(state.levels["id"]).index(c) for c in chosen], jnp.int32)
        their_slots = jnp.array([list(names).index(c) for c in chosen], jnp.int32)
        renewed = jnp.asarray(rng.uniform(-2, 2, 8), jnp.float32)
        rows = renewed, extra(chosen)
        state, theirs = update(buffer, state, slots, *rows), their_update(theirs, their_slots, *rows)


@pytest.mark.parametrize("settings", [{}, {"prioritisation": "topk", "topk": 3}, {"temperature": 0.3}])
@pytest.mark.parametrize("staleness", [0.0, 0.3, 1.0])
def test_weights_agree_with_jaxued(old_jax, settings, staleness):
    buffer = LevelBuffer(10, staleness_coefficient=staleness, **settings)
    parameters = {"temperature": buffer.temperature} if buffer.prioritisation == "rank" else {"k": buffer.topk}
    oracle = LevelSampler(
        10, staleness_coeff=staleness, prioritization=buffer.prioritisation, prioritization_params=parameters
    )
    state, _ = fill(buffer, [0.3, 0.9, 0.1, 0.1, 2.0, 1.1])
    for _ in range(2):
        weights = weigh(buffer, state)
        np.testing.assert_allclose(weights, oracle.level_weights(as_jaxued(state)), rtol=2e-6)
        assert abs(float(weights.sum()) - 1) < 1e-6 and not weights[state.size :].any()
        state = touch(buffer, fill(buffer, [0.7, 0.2], first=10, state=state)[0], jnp.array([1, 1, 4]))


def test_weights_by_hand():
    state, _ = fill(LevelBuffer(3), [2.0, 4.0])  # slot 0: score 4, staleness 0; slot 1: score 2, staleness 1
    weights = lambda **settings: weigh(LevelBuffer(3, **settings), state)
    np.testing.assert_allclose(weights(staleness_coefficient=0.0), [2 / 3, 1 / 3, 0], rtol=1e-6)
    np.testing.assert_allclose(weights(staleness_coefficient=0.0, temperature=0.5), [4 / 5, 1 / 5, 0], rtol=1e-6)
    np.testing.assert_allclose(weights(staleness_coefficient=0.5), [1 / 3, 1 / 6 + 1 / 2, 0], rtol=1e-6)
    topk = functools.partial(weights, prioritisation="topk", staleness_coefficient=0.0)
    np.testing.assert_allclose(topk(topk=1), [1, 0, 0])
    np.testing.assert_allclose(topk(topk=8, temperature=2.0), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], rtol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"prioritisation": "topk"}])
def test_an_empty_buffer_has_no_weights_and_is_never_ready(settings):
    buffer = LevelBuffer(5, minimum_fill=0.0, replay_probability=1.0, **settings)
    state = buffer.init(level(0), extra(0))
    assert weigh(buffer, state).tolist() == [0] * 5
    assert not buffer.ready(state) and not buffer.decide(jax.random.key(0), state)
    _, slots, levels = draw(buffer, jax.random.key(0), state, 4)
    assert slots.tolist() == [0] * 4 and np.isfinite(levels["shape"]).all()
    assert quantiles(state, (0.1, 0.5)).tolist() == [0, 0]


def test_ready_at_the_minimum_fill_and_replay_with_its_probability():
    buffer = LevelBuffer(10, minimum_fill=0.3, replay_probability=0.25)
    assert [bool(buffer.ready(fill(buffer, [1.0] * n)[0])) for n in (2, 3)] == [False, True]
    state, _ = fill(buffer, [1.0] * 3)
    decide = jax.jit(jax.vmap(buffer.decide, in_axes=(0, None)))
    decisions = decide(jax.random.split(jax.random.key(1), 4000), state)
    assert abs(float(decisions.mean()) - 0.25) < 0.03


def least_weighted_first(buffer, state, scores):
    """What ``insert`` says it does, one newcomer at a time: {row: slot}."""
    weights, score, size = np.asarray(weigh(buffer, state)), np.asarray(state.score), int(state.size)
    queue = list(range(size, buffer.capacity)) + sorted(range(size), key=lambda slot: weights[slot])
    placed = {}
    for row in sorted(range(len(scores)), key=lambda row: -scores[row]):
        if queue and scores[row] > score[queue[0]]:
            placed[row] = queue.pop(0)
    return placed


@pytest.mark.parametrize("staleness", [0.0, 0.4, 1.0])
def test_insertion_with_staleness_is_a_loop_from_the_best_newcomer_down(staleness):
    buffer = LevelBuffer(12, staleness_coefficient=staleness)
    rng = np.random.default_rng(2)
    state, entered, stayed_out = buffer.init(level(0), extra(0)), 0, 0
    for i in range(12):
        ids, scores = np.arange(5) + 10 * i, jnp.asarray(rng.normal(size=5), jnp.float32)
        expected = least_weighted_first(buffer, state, scores.tolist())
        state, slots = insert(buffer, state, level(ids), scores, extra(ids))
        assert {row: slot for row, slot in enumerate(slots.tolist()) if slot >= 0} == expected
        entered, stayed_out = entered + len(expected), stayed_out + 5 - len(expected)
        assert int(state.size) == min(12, entered) and len(contents(state)) == int(state.size)
        state = touch(buffer, state, jnp.asarray(rng.integers(0, int(state.size), 4), jnp.int32))
    assert int(state.inserted) == entered > 12 and stayed_out > 5


def test_several_updates_of_a_slot_are_one_with_their_mean():
    buffer = LevelBuffer(4)
    state, _ = fill(buffer, [3.0, 2.0, 1.0])
    slots = jnp.array([1, 0, 1, -1, 0, 2, 1])
    scores = jnp.array([5.0, 6.0, 7.0, 8.0, jnp.nan, -jnp.inf, 9.0])
    after = update(buffer, state, slots, scores, {"parent": jnp.arange(7)})
    assert after.score.tolist() == [6.0, 7.0, 1.0, -jnp.inf]
    assert after.extras["parent"].tolist() == [1, 6, 1002, 1000]  # of the last row that was measured
    assert after.timestamp.tolist() == state.timestamp.tolist() and int(after.clock) == int(state.clock)


def test_sampling_follows_the_weights_and_marks_what_it_drew():
    buffer = LevelBuffer(50)
    state, _ = fill(buffer, np.random.default_rng(3).normal(size=37))
    weights, n = np.asarray(weigh(buffer, state)), 40_000
    after, slots, levels = draw(buffer, jax.random.key(4), state, n)
    counts = np.bincount(slots, minlength=50)
    assert not counts[37:].any()
    assert (np.abs(counts - n * weights) < 5 * np.sqrt(n * weights) + 1e-9).all()
    assert levels["id"].tolist() == state.levels["id"][slots].tolist()
    last = {int(slot): 37 + row + 1 for row, slot in enumerate(np.asarray(slots))}
    assert {slot: int(after.timestamp[slot]) for slot in last} == last and int(after.clock) == 37 + n


def test_sampling_a_large_buffer_is_fair_to_its_last_slots():
    buffer = LevelBuffer(300_000, temperature=1e6, staleness_coefficient=0.0)  # all but equal weights
    state = buffer.init(jnp.zeros(()))
    state, _ = insert(buffer, state, jnp.arange(300_000.0), jnp.arange(300_000.0))
    _, slots, _ = draw(buffer, jax.random.key(5), state, 20_000)
    counts = np.histogram(slots, bins=10, range=(0, 300_000))[0]
    assert (np.abs(counts - 2000) < 5 * np.sqrt(2000)).all()
    assert len(set(slots.tolist())) > 18_000


def test_vmap_equals_a_loop():
    buffer = LevelBuffer(6)
    state, _ = fill(buffer, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    ids = np.array([[10, 11, 12], [20, 21, 22]])
    rows = level(ids), jnp.array([[7.0, 0.0, 2.5], [9.0, 8.0, 1.5]]), extra(ids)
    batched, slots = jax.jit(jax.vmap(buffer.insert, in_axes=(None, 0, 0, 0)))(state, *rows)
    for i in range(2):
        one, one_slots = insert(buffer, state, *jax.tree.map(lambda x: x[i], rows))
        jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda x: x[i], batched), one)
        assert slots[i].tolist() == one_slots.tolist()


def test_quantiles_are_those_of_the_filled_slots():
    scores = np.random.default_rng(6).normal(size=9)
    for capacity in (9, 20):
        state, _ = fill(LevelBuffer(capacity), scores)
        found = quantiles(state, (0.0, 0.1, 0.5, 0.9, 1.0))
        np.testing.assert_allclose(found, np.quantile(scores, (0.0, 0.1, 0.5, 0.9, 1.0)), rtol=1e-5)


def test_holds_levels_of_the_world():
    buffer, example = LevelBuffer(3), empty_level("s")
    levels = jax.tree.map(lambda x: np.stack([x, x]), example).replace(gravity=jnp.array([[0.0, -1.0], [0.0, -2.0]]))
    state, slots = insert(buffer, jax.jit(buffer.init)(example), levels, jnp.array([1.0, 2.0]))
    back = buffer.get(state.levels, slots)
    jax.tree.map(np.testing.assert_array_equal, back, levels)
    with pytest.raises(ValueError, match="structure"):
        buffer.insert(state, jax.eval_shape(lambda: empty_level("m")), jnp.array([1.0]))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"prioritisation": "best"}, "use one of rank, topk"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": float("nan")}, "temperature must be above 0"),
        ({"staleness_coefficient": 1.5}, "staleness_coefficient must lie between 0 and 1"),
        ({"minimum_fill": -0.1}, "minimum_fill must lie between 0 and 1"),
        ({"replay_probability": 50}, "replay_probability must lie between 0 and 1"),
        ({"capacity": 0}, "capacity counts levels"),
        ({"capacity": 4e3}, "capacity counts levels"),
        ({"topk": 0}, "topk counts levels"),
    ],
)
def test_refuses_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        LevelBuffer(**settings)


def test_refuses_rows_it_was_not_made_for():
    buffer = LevelBuffer(4)
    state, _ = fill(buffer, [1.0])
    with pytest.raises(ValueError, match="extras of structure"):
        buffer.update(state, jnp.array([0]), jnp.array([1.0]))
    with pytest.raises(ValueError, match=r"levels of 2 rows must have leaves of shape \(2,\)"):
        fill_ids = np.arange(3)
        buffer.insert(state, level(fill_ids), jnp.zeros(2), extra(fill_ids))
