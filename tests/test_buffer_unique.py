"""The level buffer's duplicate check, eviction and extras: against plain loops and JaxUED's LevelSampler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxued.level_sampler import LevelSampler

from kinetix_ued.curricula import LevelBuffer
from kinetix_ued.curricula.matching import find_keys, last_of_equals
from kinetix_ued.world import empty_level


def key_of(levels):
    """Keys of toy levels; many share their first half."""
    ids = jnp.asarray(levels["id"], jnp.uint32)
    return jnp.stack([ids % 3, ids], axis=-1)


def unique(capacity, **settings):
    return LevelBuffer(capacity, unique=True, key_of=key_of, **{"staleness_coefficient": 0.0} | settings)


def level(ids):
    return {"id": np.asarray(ids, np.int32)}


insert = jax.jit(LevelBuffer.insert, static_argnums=0)
find = jax.jit(LevelBuffer.find, static_argnums=0)
evict = jax.jit(LevelBuffer.evict, static_argnums=0)


def offer(buffer, state, ids, scores, where=None):
    """Levels of these numbers, with the row as the extras."""
    rows = {"row": jnp.arange(len(ids), dtype=jnp.int32)}
    where = None if where is None else jnp.asarray(where)
    return insert(buffer, state, level(ids), jnp.asarray(scores, jnp.float32), rows, where)


def made(buffer):
    return buffer.init(level(0), {"row": jnp.int32(-1)})


def contents(state):
    """{level: (score, timestamp, row)}; no level is there twice, and keys belong to levels."""
    state = jax.tree.map(np.asarray, state)
    filled = slice(int(state.size))
    ids = state.levels["id"][filled].tolist()
    assert len(set(ids)) == len(ids) and np.isneginf(state.score[int(state.size) :]).all()
    assert (state.content[filled] == np.asarray(key_of({"id": state.levels["id"][filled]}))).all()
    rows = zip(state.score[filled].tolist(), state.timestamp[filled].tolist(), state.extras["row"][filled].tolist())
    return dict(zip(ids, rows))


@pytest.fixture
def old_jax(monkeypatch):
    """jaxued 0.0.1 uses jax.tree_map, which current JAX has removed."""
    monkeypatch.setattr(jax, "tree_map", jax.tree.map, raising=False)


def test_a_known_level_is_renewed_and_does_not_enter_again():
    buffer = unique(6)
    state, slots = offer(buffer, made(buffer), [1, 2, 3], [3.0, 2.0, 1.0])
    assert slots.tolist() == [0, 1, 2]
    state, slots = offer(buffer, state, [2, 9], [0.5, 7.0])
    assert slots.tolist() == [1, 3]
    assert contents(state) == {1: (3, 1, 0), 2: (0.5, 4, 0), 3: (1, 3, 2), 9: (7, 5, 1)}
    assert (int(state.inserted), int(state.clock), int(state.size)) == (4, 5, 4)


def test_equal_levels_of_a_batch_enter_once_with_their_mean():
    buffer = unique(6)
    state, slots = offer(buffer, made(buffer), [5, 8, 5, 8, 5, 4], [1.0, 2.0, 3.0, 4.0, jnp.nan, jnp.nan])
    assert slots.tolist() == [1, 0, 1, 0, 1, -1]
    assert contents(state) == {5: (2, 3, 2), 8: (3, 4, 3)}
    # The same of a known level; and a measure that failed leaves the score, but the level was played.
    state, slots = offer(buffer, state, [8, 8, 5], [6.0, 5.0, -jnp.inf])
    assert slots.tolist() == [0, 0, 1] and contents(state) == {5: (2, 9, 2), 8: (5.5, 8, 1)}


def test_rows_that_are_not_offered_know_nothing():
    buffer = unique(4)
    state, _ = offer(buffer, made(buffer), [1, 2], [1.0, 2.0])
    after, slots = offer(buffer, state, [1, 3, 3], [9.0, 4.0, 5.0], where=[False, True, False])
    assert slots.tolist() == [-1, 2, -1]
    assert contents(after) == contents(state) | {3: (4, 3, 1)} and int(after.clock) == 3


def test_a_renewed_level_may_have_to_leave_at_once():
    buffer = unique(2)
    state, _ = offer(buffer, made(buffer), [1, 2], [5.0, 6.0])
    state, slots = offer(buffer, state, [1, 3], [0.0, 4.0])
    assert slots.tolist() == [-1, 1] and contents(state) == {3: (4, 4, 1), 2: (6, 2, 1)}


def twins(capacity):
    oracle = LevelSampler(capacity, staleness_coeff=0.0, duplicate_check=True)
    return unique(capacity), oracle, jax.jit(oracle.insert_batch), oracle.initialize(level(0), {"row": jnp.int32(-1)})


@pytest.mark.parametrize("rising", [False, True])
def test_duplicate_check_agrees_with_jaxued_where_order_cannot_matter(old_jax, rising):
    """Known levels first, or scores that never fall: then it is all the same whether rows count one by one."""
    buffer, oracle, their_insert, theirs = twins(16)
    state, rng, best = made(buffer), np.random.default_rng(0), {}
    for step in range(8):
        names = rng.integers(0, 40, 12)
        scores = rng.uniform(-2, 2, 12).astype(np.float32)
        if rising:
            scores = np.sort(scores) + np.float32(step / 8)
            scores = best_so_far(best, names, scores)
        else:
            names = np.unique(names)[:10]
            known = np.isin(names, np.asarray(state.levels["id"])[: int(state.size)])
            names = np.resize(np.concatenate([names[known], names[~known]]), 10)
            scores = scores[:10] if len(np.unique(names)) == 10 else np.resize(scores[: len(np.unique(names))], 10)
        state, _ = offer(buffer, state, names, scores)
        theirs, _ = their_insert(theirs, level(names), jnp.asarray(scores), {"row": jnp.arange(len(names))})
        count = int(theirs["size"])
        columns = (theirs["levels"]["id"], theirs["scores"], theirs["timestamps"], theirs["levels_extra"]["row"])
        expected = {i: rest for i, *rest in zip(*(np.asarray(x)[:count].tolist() for x in columns))}
        assert {i: list(rest) for i, rest in contents(state).items()} == expected
        assert int(state.clock) == theirs["episode_count"]
    assert int(state.size) == 16 and int(state.inserted) > 16


def best_so_far(best, names, scores):
    """Scores made to rise over all visits of a level, never to tie, and the same for a batch's equal levels."""
    own = {}
    for i, name in enumerate(names.tolist()):
        if name not in own:
            own[name] = max(scores[i], best.get(name, scores[i]) + np.float32(1e-3 * (i + 1)))
        scores[i] = best[name] = own[name]
    return scores


def one_by_one(before, capacity, ids, scores):
    """What ``insert`` says of unique levels, with plain dictionaries: {level: score}, without staleness."""
    held = dict(before)
    measured = [(i, s) for i, s in zip(ids, scores) if np.isfinite(s)]
    mean = {i: np.mean([s for other, s in measured if other == i]) for i, _ in measured}
    held |= {i: s for i, s in mean.items() if i in before}
    pool = sorted(held.items(), key=lambda pair: pair[1])  # only those from before can be pushed out
    for i, s in sorted(mean.items(), key=lambda pair: -pair[1]):
        if i in before:
            continue
        if len(held) < capacity:
            held[i] = s
        elif pool and pool[0][1] < s:
            del held[pool.pop(0)[0]]
            held[i] = s
        else:
            break
    return held


def test_random_batches_are_what_the_loop_says():
    buffer, rng = unique(20), np.random.default_rng(1)
    state, expected = made(buffer), {}
    for _ in range(30):
        ids, scores = rng.integers(0, 60, 16), rng.normal(size=16).astype(np.float32)
        scores[rng.random(16) < 0.1] = np.nan
        state, slots = offer(buffer, state, ids, scores)
        expected = one_by_one(expected, 20, ids.tolist(), scores.tolist())
        assert {i: x[0] for i, x in contents(state).items()} == pytest.approx(expected)
        there = np.asarray(slots) >= 0
        assert (np.asarray(state.levels["id"])[np.asarray(slots)[there]] == ids[there]).all()
        assert set(ids[~there]).isdisjoint(contents(state))
        assert find(buffer, state, level(ids)).tolist() == slots.tolist()


def test_unique_buffers_vmap_and_can_be_donated():
    buffer = unique(5)
    states = jax.vmap(lambda _: made(buffer))(jnp.arange(2))
    ids, scores = np.array([[1, 1, 2], [3, 4, 4]]), jnp.array([[1.0, 2.0, 3.0], [1.0, 2.0, 0.5]])
    rows = {"row": jnp.zeros((2, 3), jnp.int32)}
    donated = jax.jit(jax.vmap(buffer.insert), donate_argnums=0)
    states, slots = donated(states, level(ids), scores, rows)
    for i in range(2):
        alone, alone_slots = insert(buffer, made(buffer), level(ids[i]), scores[i], {"row": rows["row"][i]})
        jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda x: x[i], states), alone)
        assert slots[i].tolist() == alone_slots.tolist()
    # A fresh state too: no two of its arrays may share memory.
    alone = jax.jit(buffer.insert, donate_argnums=0)
    single, _ = alone(made(buffer), level([1]), jnp.ones(1), {"row": jnp.zeros(1, jnp.int32)})
    assert int(single.size) == 1


def test_levels_of_the_world_are_told_apart_by_their_content():
    buffer, example = LevelBuffer(8, unique=True), empty_level("s")
    levels = jax.tree.map(lambda x: np.stack([x] * 5), example)
    levels = levels.replace(gravity=np.array([0, 1, 1, 2, 0], np.float32)[:, None] * np.ones(2, np.float32))
    state, slots = insert(buffer, buffer.init(example), levels, jnp.arange(1.0, 6.0))
    assert int(state.size) == 3 and slots.tolist() == [1, 2, 2, 0, 1]  # scores 3, 2.5 and 4


def test_keys_are_found_wherever_they_are():
    rng = np.random.default_rng(2)
    for count, n in ((1, 1), (7, 3), (100, 64), (50, 65)):
        keys = rng.integers(0, 6, (count, 2)).astype(np.uint32) * np.uint32(0x33333333)
        keys = np.unique(keys, axis=0)
        rng.shuffle(keys)
        wanted = rng.integers(0, 6, (n, 2)).astype(np.uint32) * np.uint32(0x33333333)
        valid = rng.random(len(keys)) < 0.8
        place = {tuple(key): i for i, key in enumerate(keys.tolist()) if valid[i]}
        expected = [place.get(tuple(key), -1) for key in wanted.tolist()]
        assert jax.jit(find_keys)(keys, wanted, valid).tolist() == expected


def test_the_row_that_stands_for_equal_ones():
    keys = jnp.array([[1, 1], [2, 1], [1, 1], [1, 2], [1, 1], [2, 1]], jnp.uint32)
    preferred = jnp.array([True, False, True, False, False, False])
    assert last_of_equals(keys, preferred).tolist() == [2, 5, 2, 3, 2, 5]


def test_eviction_closes_the_gaps():
    buffer = unique(8)
    state, _ = offer(buffer, made(buffer), range(6), [6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    before = contents(state)
    for gone in ([], [5], [0], [1, 4], [0, 1, 2, 3, 4, 5], [3, 3, -1, 7], [5, 0, 4]):
        slots = jnp.asarray((gone + [-1] * 6)[:6], jnp.int32)
        after = evict(buffer, state, slots)
        assert contents(after) == {i: x for i, x in before.items() if i not in gone}
        assert int(after.size) == 6 - len(set(gone) & set(range(6)))
        again, slots = offer(buffer, after, [0, 77], [0.25, 9.0])
        assert {0, 77} <= set(contents(again)) and int(again.size) == int(after.size) + 1 + (0 in gone)


def test_extras_of_any_kind_go_with_their_level():
    """Highest return, success counts, parent and age, as a curriculum would keep them."""
    buffer = LevelBuffer(4, staleness_coefficient=0.0)
    first = {"max_return": 0.0, "counts": {"solved": 0, "ended": 0}, "parent": -1, "age": (0, np.zeros(2, np.float32))}
    state = buffer.init(level(0), jax.tree.map(lambda x: np.asarray(x, np.float32), first))

    def extras(ids):
        ids = np.asarray(ids, np.float32)
        counts = {"solved": ids + 1, "ended": ids + 2}
        return {"max_return": ids / 2, "counts": counts, "parent": -ids, "age": (ids * 3, np.stack([ids, ids], -1))}

    for ids in ([0, 1, 2], [3, 4, 5]):
        state, _ = insert(buffer, state, level(ids), jnp.asarray(ids, jnp.float32), extras(ids))
    ids = np.asarray(state.levels["id"])
    assert sorted(ids) == [2, 3, 4, 5]
    jax.tree.map(np.testing.assert_array_equal, state.extras, extras(ids))
    # A visit: one more attempt each of the levels in two slots, one of them twice: the mean score, the last row's extras.
    slots = jnp.array([1, 3, 1])
    visited = buffer.get(state.extras, slots) | {"parent": jnp.array([7.0, 8.0, 9.0])}
    after = buffer.update(state, slots, jnp.array([10.0, 11.0, 12.0]), visited)
    assert after.score[slots].tolist() == [11, 11, 11] and after.extras["parent"][slots].tolist() == [9, 8, 9]
    assert after.extras["counts"]["solved"].tolist() == state.extras["counts"]["solved"].tolist()


def test_refuses_keys_that_do_not_fit():
    buffer = LevelBuffer(4, unique=True, key_of=lambda levels: jnp.asarray(levels["id"]))
    with pytest.raises(ValueError, match="key_of must return two uint32 for each level"):
        buffer.init(level(0))
    with pytest.raises(ValueError, match="key_of must be a function"):
        LevelBuffer(4, unique=True, key_of="content_hash")
    with pytest.raises(ValueError, match="unique is either True or False"):
        LevelBuffer(4, unique="yes")
    with pytest.raises(ValueError, match="unique=True"):
        LevelBuffer(4).find(LevelBuffer(4).init(level(0)), level([1]))
