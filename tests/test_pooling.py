"""Several environments on one level: every one of them leaves its trace, as a plain loop over rows would have it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.curricula import (
    SCORES,
    LevelBuffer,
    Rollout,
    Score,
    accel,
    attempts,
    group_max,
    group_mean,
    group_slots,
    group_sum,
    make_curriculum,
    mixture,
    student_regret,
)

BATCH, STEPS, CAPACITY = 24, 6, 32


def sample(key, n):
    return jax.random.uniform(key, (n,))


def noise(key, groups=1):
    """A rollout of random numbers, in which no episode is longer than three steps; 2 for an antagonist besides."""
    keys = jax.random.split(key, 5)
    done = (jax.random.uniform(keys[0], (STEPS, BATCH)) < 0.3).at[2::3].set(True)
    normal = lambda key: jax.random.normal(key, (STEPS, BATCH))
    goal = done & (jax.random.uniform(keys[1], done.shape) < 0.5)
    own = Rollout(normal(keys[2]), done, goal, normal(keys[3]), jnp.zeros(BATCH), normal(keys[4]), max_steps=3)
    return own if groups == 1 else own._replace(antagonist=noise(jax.random.fold_in(key, 1)))


def episodes(rollout, row):
    """(steps' rewards, values, advantages, won) of each episode that ended in a row; how many count as attempts."""
    found, begin = [], 0
    for t in range(STEPS):
        if rollout.done[t, row]:
            part = slice(begin, t + 1)
            columns = (rollout.reward, rollout.value, rollout.advantage)
            found.append((*(np.asarray(x)[part, row] for x in columns), bool(rollout.goal[t, row])))
            begin = t + 1
    return found


def by_hand(name, rollout, rows, extras):
    """Score and extras of the level that environments ``rows`` played, with loops."""
    played = [episodes(rollout, row) for row in rows]
    mean = lambda of: np.mean([np.mean([of(e) for e in row]) for row in played])
    if name == "max_mc":
        best = max(extras["max_return"], *(e[0].sum() for row in played for e in row), 0)
        return mean(lambda e: (best - e[1]).mean()), {"max_return": best}
    if name == "learnability":
        counted = [e[3] for row in played for e in row[: STEPS // 3]]
        solved, n = 0.75 * extras["solved"] + sum(counted), 0.75 * extras["attempts"] + len(counted)
        squares = 0.75**2 * extras["squares"] + len(counted)
        size = n**2 / squares
        score = solved / n * (1 - solved / n) * size / (size - 1) if size > 1.001 else -np.inf
        return score, {"solved": solved, "attempts": n, "squares": squares}
    if name in ("regret", "mean_regret"):
        others = [[e[0].sum() for e in episodes(rollout.antagonist, row)] for row in rows]
        theirs = max(max(row) for row in others) if name == "regret" else np.mean([np.mean(row) for row in others])
        return theirs - mean(lambda e: e[0].sum()), ()
    of = {
        "positive_value_loss": lambda a: np.maximum(a, 0),
        "negative_advantage": lambda a: np.maximum(-a, 0),
        "l1_value_loss": np.abs,
        "gae_magnitude": np.abs,
        "mean_advantage": lambda a: a,
    }[name]
    return mean(lambda e: of(e[2]).mean()), ()


def replayed(make, name, slots):
    """Buffers of a curriculum before and after a replay of these slots, and the rollout."""
    buffer = LevelBuffer(CAPACITY, minimum_fill=0.0)
    rollout = noise(jax.random.key(7), 2)
    curriculum = make(SCORES[name], buffer)
    held = lambda state: state.buffer if hasattr(state, "buffer") else state.states["own"].buffer
    state = curriculum.init(jax.random.key(0))
    update = jax.jit(curriculum.update)
    new = jnp.full(BATCH, -1, jnp.int32)
    for key in jax.random.split(jax.random.key(1), 2):  # twice, where a score wants two rollouts
        levels, plan = curriculum.propose(key, state)
        state, _ = update(state, levels, noise(key, 2), plan._replace(slots=new))
    before = held(state)
    plan = plan._replace(slots=slots, learn=jnp.array(True))
    after, _ = update(state, buffer.get(before.levels, slots), rollout, plan)
    return jax.tree.map(np.asarray, (before, held(after), rollout))


MAKERS = {
    "plr": lambda score, buffer: make_curriculum("plr", sample, BATCH, buffer=buffer, score=score),
    "ncc": lambda score, buffer: make_curriculum("ncc", sample, BATCH, buffer=buffer, score=score),
    "student-regret": lambda score, buffer: student_regret(sample, BATCH, buffer=buffer, regret=score),
    "accel": lambda score, buffer: accel(sample, BATCH, buffer=buffer, score=score, edit=lambda key, x: x),
    "mixture": lambda score, buffer: mixture({"own": MAKERS["plr"](score, buffer)}),
}
CASES = [("plr", name) for name in SCORES if "regret" not in name] + [
    *(("student-regret", name) for name in ("regret", "mean_regret")),
    *((curriculum, name) for curriculum in ("ncc", "accel", "mixture") for name in ("max_mc", "learnability")),
]


@pytest.mark.parametrize("curriculum, name", CASES)
def test_every_environment_of_a_level_leaves_its_trace(curriculum, name):
    slots = jnp.asarray(np.random.default_rng(0).integers(0, 9, BATCH), jnp.int32)
    before, after, rollout = replayed(MAKERS[curriculum], name, slots)
    of_score = (lambda extras: extras.score) if curriculum == "accel" else lambda extras: extras
    count = np.bincount(slots, minlength=CAPACITY)
    assert count.max() > 3 and (count == 0).any()
    for slot in range(int(before.size)):
        known = jax.tree.map(lambda x: x[slot], of_score(before.extras))
        found = jax.tree.map(lambda x: x[slot], of_score(after.extras))
        if not count[slot]:
            assert found == known and after.score[slot] == before.score[slot]
            continue
        score, extras = by_hand(name, rollout, np.flatnonzero(slots == slot), known)
        np.testing.assert_allclose(after.score[slot], score, rtol=2e-5, atol=1e-6)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), found, extras)


def test_a_score_of_the_user_that_knows_nothing_of_this_gets_the_mean():
    score = Score(lambda rollout, extras: (rollout.value[0], extras))
    buffer = LevelBuffer(4)
    curriculum = make_curriculum("plr", sample, 4, buffer=buffer, score=score)
    state = curriculum.init(jax.random.key(0))
    levels, plan = curriculum.propose(jax.random.key(1), state)
    value = lambda *x: Rollout(*[jnp.ones((1, 4), bool)] * 3, jnp.array([x]), jnp.zeros(4), jnp.zeros((1, 4)))
    state, _ = curriculum.update(state, levels, value(4.0, 3.0, 2.0, 1.0), plan)
    state, _ = curriculum.update(state, levels, value(5.0, 7.0, 0.5, 9.0), plan._replace(slots=jnp.array([1, 1, 2, 1])))
    assert state.buffer.score.tolist() == [4, 7, 0.5, 1]


def test_equal_levels_of_a_unique_buffer_are_one_before_they_enter():
    few = lambda key, n: (jnp.arange(n) % 3).astype(jnp.float32)
    key_of = lambda levels: jnp.stack([levels.astype(jnp.uint32)] * 2, axis=1)
    buffer = LevelBuffer(CAPACITY, unique=True, key_of=key_of)
    curriculum = make_curriculum("plr", few, BATCH, buffer=buffer, score="learnability")
    state, rollout = curriculum.init(jax.random.key(0)), noise(jax.random.key(3))
    levels, plan = curriculum.propose(jax.random.key(1), state)
    state, _ = jax.jit(curriculum.update)(state, levels, rollout, plan)
    assert int(state.buffer.size) == 3 and state.buffer.extras["attempts"][:3].tolist() == [16, 16, 16]
    for slot in range(3):
        rows = np.flatnonzero(np.asarray(levels) == state.buffer.levels[slot])
        nothing = {"solved": 0, "attempts": 0, "squares": 0}
        score, extras = by_hand("learnability", jax.tree.map(np.asarray, rollout), rows, nothing)
        np.testing.assert_allclose(state.buffer.score[slot], score, rtol=1e-5)
        assert float(state.buffer.extras["solved"][slot]) == extras["solved"]


def test_groups_are_what_a_loop_says():
    rng = np.random.default_rng(4)
    reductions = jax.jit(jax.vmap(lambda slots, x, where: (
        group_slots(slots),
        *(reduce(x, group_slots(slots)) for reduce in (group_sum, group_max)),
        group_mean(x, where, group_slots(slots)),
    )))
    slots = np.concatenate([rng.integers(-1, 6, (20, 17)), np.full((1, 17), 3), np.full((1, 17), -1)]).astype(np.int32)
    x, where = rng.normal(size=slots.shape).astype(np.float32), rng.random(slots.shape) < 0.7
    group, total, highest, mean = map(np.asarray, reductions(slots, x, where))
    for i, row in np.ndindex(slots.shape):
        same = slots[i] == slots[i, row] if slots[i, row] >= 0 else np.arange(17) == row
        assert group[i, row] == np.flatnonzero(same)[0]
        np.testing.assert_allclose(total[i, row], x[i][same].sum(), rtol=1e-5, atol=1e-6)
        assert highest[i, row] == x[i][same].max()
        if (same & where[i]).any():
            np.testing.assert_allclose(mean[i, row], x[i][same & where[i]].mean(), rtol=1e-5, atol=1e-6)
    # Equal values have exactly their mean: an update with rows that agree does not depend on how many there are.
    assert (group_mean(jnp.full(7, 0.1), jnp.ones(7, bool), jnp.zeros(7, jnp.int32)) == jnp.float32(0.1)).all()


def test_attempts_are_those_of_all_environments_of_a_level():
    rollout = noise(jax.random.key(5))._replace(group=group_slots(jnp.arange(BATCH) % 5))
    ended, solved = attempts(rollout)
    alone_ended, alone_solved = attempts(rollout._replace(group=None))
    for slot in range(5):
        rows = np.arange(BATCH) % 5 == slot
        assert (ended[rows] == alone_ended[rows].sum()).all() and (solved[rows] == alone_solved[rows].sum()).all()
