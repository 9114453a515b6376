"""Levels of known solve rate, through the training update itself: what counts as an attempt, and what is kept by it.

A level is won, if at all, after a few steps; otherwise its time runs out or, on every second level, red is touched soon
after. Half of the levels are always won or always lost, as with an agent on generated levels.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from kinetix_ued.curricula import (
    Curriculum,
    LevelBuffer,
    Plan,
    Rollout,
    accel,
    attempts,
    eligible,
    episode_returns,
    highest_return,
    learnability_score,
    level_mean,
    make_curriculum,
    mixture,
    robust_plr,
)
from kinetix_ued.training import Learner, preset, validate
from kinetix_ued.training.update import make_update
from kinetix_ued.world import empty_level

LIMIT, BATCH = 16, 256


def known_levels(key, n):
    """Levels whose gravity holds the chance of solving them, and when."""
    keys = jax.random.split(key, 3)
    kind, chance = jax.random.uniform(keys[0], (n,)), jax.random.uniform(keys[1], (n,))
    chance = jnp.where(kind < 0.33, 0.0, jnp.where(kind < 0.6, 1.0, chance))
    when = jax.random.randint(keys[2], (n,), 1, 8).astype(jnp.float32)
    empty = jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(x), (n, *jnp.shape(x))), empty_level("s"))
    return empty.replace(gravity=jnp.stack([chance, when], axis=1))


class At(NamedTuple):
    level: object
    time: jax.Array


class KnownEnv:
    default_params = ()

    def reset_to_level(self, key, level, params):
        state = At(level, jnp.int32(0))
        return self.observe(state), state

    def observe(self, state):
        return state.time.astype(jnp.float32)

    def step(self, key, state, action, params):
        state = state._replace(time=state.time + 1)
        chance, when = state.level.gravity
        goal = (state.time == when) & (jax.random.uniform(key) < chance)
        red = (state.time == when + 2) & (when % 2 == 0)
        done = goal | red | (state.time >= LIMIT)
        info = {"goal": goal, "truncated": done & ~goal, "nonfinite": jnp.array(False)}
        return self.observe(state), state, goal.astype(jnp.float32), done, info


@struct.dataclass
class Idle:
    action: jax.Array

    def sample(self, key):
        return self.action

    def log_prob(self, action, parts=None):
        return jnp.zeros_like(action)


class IdlePolicy:
    def initial_carry(self, batch):
        return ()

    def apply(self, params, carry, observation, reset):
        return carry, Idle(observation), jnp.zeros_like(observation)


class Agent(NamedTuple):
    params: jax.Array


IDLE = Learner(lambda key: Agent(jnp.zeros(())), lambda key, agent, *rest: (agent, {"total": jnp.zeros(())}))


def run(curriculum, updates, outer_steps=4, seed=0):
    """The curriculum's last state, and of every update levels' chances, slots and the curriculum's numbers."""

    def note(state, levels, rollout, plan):
        after, metrics = curriculum.update(state, levels, rollout, plan)
        ended, solved = attempts(rollout)
        seen = {"chance": levels.gravity[:, 0], "slots": plan.slots, "ended": ended, "solved": solved}
        return after, metrics | seen

    # Rollouts of whole episodes in several parts: LIMIT steps are four outer steps.
    config = preset(environments=BATCH, rollout_steps=LIMIT // 4, outer_steps=outer_steps, max_steps=LIMIT, decision_frames=0)
    config = preset(**config.to_dict() | {"allow_holdout": True, "skip_idle_channels": False})
    init, update = make_update(config, KnownEnv(), IdlePolicy(), IDLE, curriculum._replace(update=note))

    @jax.jit
    def whole(key):
        state, metrics = jax.lax.scan(lambda state, _: update(state), init(key), length=updates)
        return state.curriculum, metrics

    state, metrics = jax.tree.map(np.asarray, whole(jax.random.key(seed)))
    return state, {name.removeprefix("curriculum/"): values for name, values in metrics.items()}


def spread(chance):
    return (chance * (1 - chance)).mean()


def best(chance, n):
    """The mean variance of the n levels that an oracle would take."""
    return np.sort(chance * (1 - chance))[-n:].mean()


def test_quick_sfl_keeps_levels_close_to_the_best():
    options = preset("quick-sfl").curriculum_options
    assert options["scored_levels"] == 8 * options["kept_levels"] and options["scoring_rollouts"] >= 4
    updates = -(-options["scored_levels"] // BATCH) * options["scoring_rollouts"]
    state, metrics = run(make_curriculum("sfl", known_levels, BATCH, **options), updates)
    assert metrics["scoring"].all() and (metrics["ended"] == 1).all()
    scored = metrics["chance"][:: options["scoring_rollouts"]].reshape(-1)
    kept = state.kept.levels.gravity[:, 0]
    assert int(state.kept.size) == options["kept_levels"]
    assert spread(kept) > 0.8 * best(scored, len(kept)) and spread(kept) > 2.5 * spread(scored)
    # As many are found learnable as four attempts can show: 1 - p^4 - (1 - p)^4 of them.
    found = metrics["learnable"][options["scoring_rollouts"] - 1 :: options["scoring_rollouts"]].mean()
    assert abs(found - (1 - scored**4 - (1 - scored) ** 4).mean()) < 0.03
    assert abs(metrics["solved"].mean() - scored.mean()) < 0.02


@functools.cache
def by_learnability(name):
    """Runs in which every rollout holds one attempt."""
    buffer = LevelBuffer(2 * BATCH, minimum_fill=0.5)
    score = learnability_score(0.75)
    make = {
        "ncc": lambda: make_curriculum("ncc", known_levels, BATCH, buffer=buffer, score=score),
        "accel": lambda: accel(known_levels, BATCH, buffer=buffer, score=score, edit=lambda key, levels: levels),
        "mixture": lambda: mixture({"a": robust_plr(known_levels, BATCH, buffer=buffer, score=score)}),
    }
    return run(make[name](), 60)


@pytest.mark.parametrize("name", ["ncc", "accel", "mixture"])
def test_a_buffer_by_learnability_takes_in_the_learnable(name):
    state, metrics = by_learnability(name)
    state = state.states["a"] if name == "mixture" else state
    new = (metrics["slots"] < 0).all(axis=1)
    held, offered = state.buffer.levels.gravity[:, 0], metrics["chance"][new][1::2].reshape(-1)
    assert int(state.buffer.size) == 2 * BATCH and len(offered) > 2000
    drawn = offered if name != "accel" else metrics["chance"][:4].reshape(-1)  # children are like their parents
    assert spread(held) > 2.5 * spread(drawn) and spread(held) > 0.8 * best(drawn, len(held))
    if name != "accel":
        refused = (spread(offered) * len(offered) - spread(held) * len(held)) / (len(offered) - len(held))
        assert spread(held) > 3 * refused
    attempts_at = state.buffer.extras.score if name == "accel" else state.buffer.extras
    assert attempts_at["attempts"].min() >= 1.75  # the first of two attempts has faded to .75 at the second
    if name == "ncc":
        assert (state.distribution * held * (1 - held)).sum() > 2.5 * spread(drawn)


@pytest.mark.parametrize("name", ["ncc", "accel"])
def test_new_levels_stay_on_trial_until_they_had_two_attempts(name):
    _, metrics = by_learnability(name)
    new, chance = (metrics["slots"] < 0).all(axis=1), metrics["chance"]
    first = np.flatnonzero(new)[::2]  # every batch without slots is played twice in a row
    assert new[first].all() and new[first[first < 59] + 1].all()
    for update in first[first < 59]:
        np.testing.assert_array_equal(chance[update], chance[update + 1])
        assert metrics["inserted"][update] == 0
        assert metrics["scored"][update : update + 2].tolist() == [0, 1]
    assert metrics["inserted"][first[:2] + 1].tolist() == [BATCH, BATCH]
    if name == "accel":  # children too, and only then there is a replay again
        edited, replayed = metrics["edited"] > 0, metrics["replayed"] > 0
        after = np.flatnonzero(replayed[:-2])
        assert len(after) > 8 and edited[after + 1].all() and edited[after + 2].all()
        assert edited.sum() == 2 * replayed[:-2].sum() + replayed[-2]


def test_long_rollouts_need_no_trial():
    curriculum = robust_plr(known_levels, BATCH, buffer=LevelBuffer(2 * BATCH), score="learnability")
    _, metrics = run(curriculum, 3, outer_steps=8)
    assert (metrics["scored"] == 1).all() and (metrics["ended"][0] == 2).all()
    assert metrics["inserted"][0] == BATCH
    # The update tells the curriculum, and so one of the user's, which environments play one level.
    replayed = np.flatnonzero((metrics["slots"] >= 0).all(axis=1))
    assert len(replayed) > 0
    for update in replayed:
        slots = metrics["slots"][update]
        assert (metrics["ended"][update] == 2 * np.bincount(slots)[slots]).all()


def played(chance, when, red, steps, limit, rng, begun=None):
    """A rollout with ``own`` and ``max_steps``, played step by step; ``begun``: under way for so many steps already."""
    n = len(chance)
    done, goal = np.zeros((2, steps, n), bool)
    time, own = (np.zeros(n, int), np.ones(n, bool)) if begun is None else (begun.copy(), np.zeros(n, bool))
    owned, once = np.zeros((steps, n), bool), own.copy()
    for t in range(steps):
        owned[t] = own
        time = time + 1
        goal[t] = (time == when) & (rng.random(n) < chance)
        done[t] = goal[t] | (red & (time == when + 2)) | (time >= limit)
        time = np.where(done[t], 0, time)
        if begun is not None:  # without restarts the own level is played once, then others follow
            own, once = np.where(done[t], ~once, own), once | done[t]
    zeros = jnp.zeros((steps, n))
    return Rollout(
        reward=jnp.asarray(goal, jnp.float32), done=jnp.asarray(done), goal=jnp.asarray(goal), value=zeros,
        last_value=zeros[0], advantage=zeros, own=jnp.asarray(owned), max_steps=limit,
    )


@pytest.mark.parametrize("steps, sure", [(LIMIT - 1, 0), (LIMIT, 1), (2 * LIMIT + 5, 2), (4 * LIMIT, 4)])
def test_neither_counts_nor_means_are_biased_by_what_fits_into_a_rollout(steps, sure):
    """Quick wins, slow losses: all that ended would count too many wins, and all that could have ended too few."""
    rng = np.random.default_rng(0)
    n = 40_000
    chance, when, red = np.full(n, 0.5), rng.integers(1, 8, n), np.zeros(n, bool)
    rollout = played(chance, when, red, steps, LIMIT, rng)
    ended, solved = map(np.asarray, attempts(rollout))
    number = jax.lax.scan(lambda age, done: (jnp.where(done, 0, age + 1), age + 1), jnp.zeros(n), rollout.done)[1]
    assert (ended == sure).all()
    if not sure:
        assert np.isneginf(episode_returns(rollout)[0]).all() and np.isneginf(level_mean(rollout, number)).all()
        return
    assert abs(solved.sum() / ended.sum() - 0.5) < 5 * 0.5 / np.sqrt(n * sure)
    assert rollout.goal.sum() / rollout.done.sum() > 0.55
    # Means over one environment's episodes have no such bias, of returns as of the steps' numbers in their episode.
    assert abs(episode_returns(rollout)[0].mean() - 0.5) < 5 * 0.5 / np.sqrt(n)
    expected = 0.5 * (when + 1).mean() / 2 + 0.5 * (LIMIT + 1) / 2
    assert abs(level_mean(rollout, number).mean() - expected) < 5 * 4 / np.sqrt(n)


def test_an_episode_under_way_belongs_to_another_level():
    rng = np.random.default_rng(1)
    n, steps = 20_000, 3 * LIMIT
    chance, when, red = np.full(n, 0.3), rng.integers(1, 8, n), rng.random(n) < 0.5
    rollout = played(chance, when, red, steps, LIMIT, rng, begun=rng.integers(0, LIMIT, n))
    ended, solved = map(np.asarray, attempts(rollout))
    assert (ended == 1).all() and abs(solved.mean() - 0.3) < 5 * np.sqrt(0.21 / n)
    assert (np.asarray(highest_return(rollout)) == solved).all()  # of the own episode alone, too


def test_the_update_tells_own_episodes_from_others():
    """Without restarts, update by update: what is counted for a level was played on it."""
    fixed = known_levels(jax.random.key(3), BATCH)

    def propose(key, state):  # levels that are always won, then such as never are
        chance = jnp.broadcast_to((state % 2 == 0).astype(jnp.float32), BATCH)
        levels = fixed.replace(gravity=jnp.stack([chance, 1 + jnp.arange(BATCH) % 7], axis=1).astype(jnp.float32))
        return levels, Plan(jnp.array(True), jnp.array(False), jnp.full(BATCH, -1, jnp.int32))

    curriculum = Curriculum(lambda key: jnp.int32(0), propose, lambda state, *_: (state + 1, {}))
    _, metrics = run(curriculum, 4, outer_steps=8)
    assert metrics["ended"][0].min() == 2  # the first update starts every environment
    assert (metrics["ended"][1:] == 1).all()
    assert (metrics["solved"] == metrics["ended"] * metrics["chance"]).all()


def test_eligible_by_hand():
    done = jnp.array([[0, 1, 0, 1, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0, 0, 1, 0]], bool).T
    x = Rollout(*[done] * 3, *[jnp.zeros((9, 2))] * 3)._replace(max_steps=4)
    assert eligible(x).T.astype(int).tolist() == [[1, 1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1, 0]]
    assert [x.tolist() for x in attempts(x)] == [[2, 2], [2, 2]]
    assert eligible(x._replace(max_steps=None)).all() and attempts(x._replace(max_steps=None))[0].tolist() == [3, 2]


def test_sfl_with_a_single_attempt_is_refused():
    with pytest.raises(ValueError, match="scoring_rollouts=1 gives .* 1 attempt .*use options=scoring_rollouts=4"):
        validate(preset("quick-sfl", options="scoring_rollouts=1"))
    validate(preset("quick-sfl", options="scoring_rollouts=1", outer_steps=8))


@pytest.mark.parametrize("memory", [1.0, 0.75, 0.3])
@pytest.mark.parametrize("episodes", [1, 2])
def test_remembered_learnability_has_no_bias(memory, episodes):
    """Over many levels and visits it averages to p (1 - p); by the sum of weights it would be 14 % too high."""
    n, p = 200_000, 0.3
    score = learnability_score(memory)
    extras = jax.tree.map(lambda x: jnp.full(n, x), score.extras)
    evaluate = jax.jit(score.evaluate)
    for key in jax.random.split(jax.random.key(0), 12):
        goal = jax.random.uniform(key, (episodes, n)) < p
        zeros = jnp.zeros((episodes, n))
        scores, extras = evaluate(Rollout(zeros, jnp.ones_like(goal), goal, zeros, zeros[0], zeros), extras)
        if np.isfinite(scores).all():
            assert abs(float(scores.mean()) / (p * (1 - p)) - 1) < 0.01
    assert np.isfinite(scores).all()
