"""Rules, episodes, wrappers, and what the environment refuses.

Where physics does not matter, bodies drift: that compiles in no time, and its outcome is known without a simulation.
"""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxued.wrappers import AutoReplayWrapper

from kinetix_ued.environment import AutoReplay, AutoReset, EnvParams, KinetixEnv, make
from kinetix_ued.environment.rules import dense_reward, judge, nonfinite
from kinetix_ued.levels import load_level
from kinetix_ued.world import SIZES, TOUCH_GOAL, Frames, Size, empty_level, start
from kinetix_ued.world.engine import Engine

DATA = Path(__file__).parent / "data" / "random" / "s"
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def env():
    return make("s", observation="symbolic_flat", engine="jax")


@pytest.fixture(scope="module")
def levels():
    """A batch of four S levels; the second is won after some steps, the last at once."""
    batch = [load_level(DATA / f"random_s_{number}.json") for number in ("000", "003", "007", "012")]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *batch)


def drift(level, state, motor, thruster, frames):
    """A frame moves all bodies right by 0.1 m, and by 0.1 m for each control; body 5 has its goal beyond x = 3 m."""
    position, touch, distance = state.position, [], []
    for _ in range(frames):
        position = position + 0.1 * jnp.array([1 + motor.sum() + thruster.sum(), 0])
        x = position[5, 0]
        touch.append(jnp.where(x > 3, TOUCH_GOAL, 0))
        distance.append(jnp.abs(5 - x))
    return state.replace(position=position), Frames(touch=jnp.stack(touch), distance=jnp.stack(distance))


@pytest.fixture(scope="module")
def drifting(env):
    """The environment with an engine called ``drift``."""
    simulate = Engine.step

    def step(self, level, state, motor, thruster, frames=1):
        engine = drift if self.name == "drift" else simulate.__get__(self)
        return engine(level, state, motor, thruster, frames)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "step", step)
        yield dataclasses.replace(env, engine="drift")


def reset(env, levels, params=None):
    keys = jax.random.split(KEY, len(levels))
    return jax.vmap(env.reset_to_level, (0, 0, None))(keys, levels, params or env.default_params)


@pytest.fixture(scope="module")
def step():
    """A compiled step of a batch; configurations that are equal share it."""

    def batched(env, states, actions, params):
        keys = jax.random.split(KEY, len(actions))
        return jax.vmap(env.step, (0, 0, 0, None))(keys, states, actions, params)

    return jax.jit(batched, static_argnums=0)


def noops(env, count=4):
    return jnp.stack([env.actions.noop()] * count)


# Rules


@pytest.mark.parametrize(
    "touch, distance, goal, failure, kept",
    [
        ([0], [3.0], False, False, 3.0),
        ([0, 0], [3.0, 2.0], False, False, 2.0),
        ([1, 0], [3.0, 2.0], True, False, 3.0),
        ([0, 1], [3.0, 2.0], True, False, 2.0),
        ([2, 1], [3.0, 2.0], False, True, 3.0),
        ([1, 2], [3.0, 2.0], True, False, 3.0),
        ([3, 0], [3.0, 2.0], False, True, 3.0),
        ([0, 2, 1], [3.0, 2.0, 1.0], False, True, 2.0),
        ([0, 1], [np.nan, 2.0], True, False, 2.0),
    ],
)
def test_the_first_frame_with_a_touch_decides(touch, distance, goal, failure, kept):
    verdict = judge(Frames(touch=jnp.array(touch, jnp.int32), distance=jnp.array(distance, jnp.float32)))
    assert (bool(verdict.goal), bool(verdict.failure), float(verdict.distance)) == (goal, failure, kept)


@pytest.mark.parametrize(
    "distance, last, scale, reward",
    [
        (2.0, 3.0, 0.5, 0.5),
        (3.0, 2.0, 0.5, -0.5),
        (2.0, -1.0, 0.5, 0.0),
        (2.0, 3.0, 0.0, 0.0),
        (np.nan, 3.0, 0.5, 0.0),
        (np.inf, 3.0, 0.5, 0.0),
        (2.0, np.nan, 0.5, 0.0),
        (0.0, 0.0, 0.5, 0.0),
    ],
)
def test_dense_reward(distance, last, scale, reward):
    assert float(dense_reward(jnp.float32(distance), jnp.float32(last), jnp.float32(scale))) == reward


def test_nonfinite_looks_at_every_float():
    world = start(empty_level("s"))
    assert not nonfinite(world)
    for name in ("position", "angular_velocity", "contact_tangent_impulse", "joint_impulse"):
        bad = getattr(world, name).at[0].set(jnp.inf)
        assert nonfinite(world.replace(**{name: bad})), name


# Episodes


def test_a_step_tells_how_it_ended(env, levels, step):
    params = EnvParams(max_steps=1, dense_reward_scale=0.0)
    _, states = reset(env, levels, params)
    _, states, reward, done, info = step(env, states, noops(env), params)
    assert done.tolist() == [True] * 4
    assert info["goal"].tolist() == info["terminated"].tolist() == [False, False, False, True]
    assert info["truncated"].tolist() == [True, True, True, False]
    assert not info["failure"].any() and not info["nonfinite"].any()
    assert reward.tolist() == [0, 0, 0, 1]
    assert states.time.tolist() == [1] * 4 and states.last_distance.tolist() == [-1] * 4
    assert (info["distance"] > 0).all()


def test_dense_reward_telescopes_over_an_episode(env, levels, step):
    params = EnvParams(max_steps=6, dense_reward_scale=0.2)
    _, states = reset(env, levels, params)
    rewards, distances = [], []
    for _ in range(4):
        _, states, reward, done, info = step(env, states, noops(env), params)
        rewards.append(np.asarray(reward))
        distances.append(np.asarray(info["distance"]))
    assert not np.asarray(done)[:3].any()
    assert (rewards[0][:3] == 0).all()
    np.testing.assert_allclose(sum(rewards)[:3], -0.2 * (distances[-1] - distances[0])[:3], atol=1e-5)
    np.testing.assert_allclose(states.last_distance[:3], distances[-1][:3])


def test_a_broken_state_ends_the_episode_and_is_worth_nothing(env, levels, step):
    observation, states = reset(env, levels)
    position = states.world.position.at[1, 5].set(jnp.nan)
    states = states.replace(world=states.world.replace(position=position), last_distance=jnp.ones(4))
    observation, states, reward, done, info = step(env, states, noops(env), env.default_params)
    assert info["nonfinite"].tolist() == [False, True, False, False]
    assert done[1] and info["terminated"][1] and not info["truncated"][1] and not info["goal"][1]
    assert reward[1] == 0 and states.last_distance[1] == -1
    assert np.isfinite(observation).all() and np.isfinite(info["distance"]).all()


def test_vmap_equals_a_loop(env, levels, step):
    params = env.default_params
    actions = jax.vmap(env.actions.sample)(jax.random.split(jax.random.key(1), 4))
    _, states = reset(env, levels)
    together = step(env, states, actions, params)
    for i in range(2):
        level = levels[i]
        observation, state = env.reset_to_level(KEY, level, params)
        alone = env.step(KEY, state, actions[i], params)
        picked = jax.tree.map(lambda x, i=i: x[i], together)
        for got, want in zip(jax.tree.leaves(picked), jax.tree.leaves(alone)):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_touching_the_goal_is_worth_one_and_coming_closer_some_more(drifting, levels, step):
    params = EnvParams(max_steps=9, dense_reward_scale=0.5)
    levels = levels.replace(position=levels.position.at[:, 5, 0].set(jnp.array([2.0, 2.65, 2.75, 2.85])))
    _, states = reset(drifting, levels, params)
    _, states, reward, done, info = step(drifting, states, noops(drifting), params)
    assert reward.tolist() == [0, 0, 0, 1] and done.tolist() == [False, False, False, True]
    np.testing.assert_allclose(info["distance"], [2.8, 2.15, 2.05, 1.95], rtol=1e-6)
    _, states, reward, done, info = step(drifting, states, noops(drifting), params)
    assert info["goal"].tolist() == done.tolist() == [False, True, True, True]
    # The second has its goal only in the second frame; the third in the first, which is the one that counts.
    np.testing.assert_allclose(reward, [0.1, 1.1, 1.05, 1.0], rtol=1e-5)
    np.testing.assert_allclose(states.last_distance, [2.6, -1, -1, -1], rtol=1e-6)


def test_parameters_may_differ_within_a_batch(drifting, levels):
    env = drifting
    levels = levels.replace(position=jnp.zeros_like(levels.position))
    params = EnvParams(max_steps=jnp.array([1, 2, 3, 9]), dense_reward_scale=jnp.zeros(4))
    keys = jax.random.split(KEY, 4)
    _, states = jax.vmap(env.reset_to_level)(keys, levels, params)
    *_, done, info = jax.jit(jax.vmap(env.step))(keys, states, noops(env), params)
    assert info["truncated"].tolist() == [True, False, False, False]


# Wrappers


def test_auto_replay_equals_jaxued(drifting, levels, step, monkeypatch):
    monkeypatch.setattr(jax, "tree_map", jax.tree.map, raising=False)  # jaxued 0.0.1 calls it; current JAX lacks it
    params = EnvParams(max_steps=5, dense_reward_scale=0.2)
    env = drifting
    ours, theirs = AutoReplay(env), AutoReplayWrapper(env)
    (seen, states), (expected, their_states) = reset(ours, levels, params), reset(theirs, levels, params)
    np.testing.assert_array_equal(seen, expected)
    ended = 0
    for t in range(12):
        actions = jax.vmap(env.actions.sample)(jax.random.split(jax.random.key(t), 4))
        seen, states, *rest = step(ours, states, actions, params)
        expected, their_states, *their_rest = step(theirs, their_states, actions, params)
        np.testing.assert_allclose(seen, expected, atol=1e-5)
        for got, want in zip(jax.tree.leaves(rest), jax.tree.leaves(their_rest)):
            np.testing.assert_allclose(got, want, atol=1e-5)
        for got, want in zip(jax.tree.leaves(states), jax.tree.leaves(their_states.env_state)):
            np.testing.assert_allclose(got, want, atol=1e-4)
        ended += np.asarray(rest[1])
    assert ended.min() >= 2 and len(set(ended.tolist())) > 1  # by the step limit alone, and sooner


def test_auto_replay_returns_the_first_view_of_the_next_episode(drifting, levels, step):
    env = drifting
    params = EnvParams(max_steps=1, dense_reward_scale=0.0)
    ours = AutoReplay(env)
    first, states = reset(ours, levels, params)
    seen, again, _, done, _ = step(ours, states, noops(env), params)
    assert done.all()
    np.testing.assert_array_equal(seen, first)
    for got, want in zip(jax.tree.leaves(again), jax.tree.leaves(states)):
        np.testing.assert_array_equal(got, want)


def test_auto_reset_starts_a_sampled_level(drifting, levels, step):
    env = drifting
    def sample_level(key):
        return jax.tree.map(lambda x: x[jax.random.randint(key, (), 2, 4)], levels)

    ours = AutoReset(env, sample_level)
    params = EnvParams(max_steps=2, dense_reward_scale=0.0)
    _, states = reset(ours, levels[:2], params)
    states = states.replace(world=states.world.replace(position=states.world.position.at[:, 5, 0].set(0.0)))
    _, states, _, done, _ = step(ours, states, noops(env, 2), params)
    assert not done.any()
    np.testing.assert_array_equal(states.level.position, levels.position[:2])
    seen, states, _, done, _ = step(ours, states, noops(env, 2), params)
    assert done.all()
    assert states.time.tolist() == [0, 0] and states.last_distance.tolist() == [-1, -1]
    for i in range(2):
        assert any((states.level.position[i] == levels.position[j]).all() for j in (2, 3))
        expected, _ = env.reset_to_level(KEY, states.level[i], params)
        np.testing.assert_allclose(seen[i], expected, atol=1e-6)


# Configuration


def test_equal_configurations_are_one_static_argument():
    assert make("s", engine="jax") == make(SIZES["s"], engine="jax")
    assert hash(make("s", engine="jax")) == hash(make(SIZES["s"], engine="jax"))
    others = [
        make("m", engine="jax"),
        make("s", engine="jax", observation="symbolic_flat"),
        make("s", engine="jax", actions="discrete"),
        make("s", engine="jax", physics="fixed"),
        make("s", engine="jax", frame_skip=1),
        make("s", engine="jax", dense_reward_scale=0.1),
        make("s", engine="jax", max_steps=10),
        AutoReplay(make("s", engine="jax")),
    ]
    assert len({make("s", engine="jax"), *others}) == 1 + len(others)
    assert AutoReplay(make("s", engine="jax")) == AutoReplay(make("s", engine="jax"))


def test_defaults_and_spaces():
    env = make()
    assert isinstance(env, KinetixEnv) and env.engine in ("jax", "warp")
    assert env.default_params == EnvParams(max_steps=256, dense_reward_scale=0.2)
    assert make(engine="jax", max_steps=9, dense_reward_scale=0).default_params == EnvParams(9, 0.0)
    assert env.action_space(env.default_params).heads == (3, 3, 3, 3, 2, 2)
    observed, _ = jax.eval_shape(env.reset_to_level, KEY, empty_level("s"))
    assert observed == env.observation_space() == AutoReplay(env).observation_space()


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"size": "xl"}, "unknown size 'xl'.*s, m, l"),
        ({"observation": "pixel"}, "unknown observation 'pixel'.*entity"),
        ({"actions": "hybrid"}, "unknown actions 'hybrid'.*multi_discrete"),
        ({"engine": "brax"}, "unknown engine 'brax'.*jax"),
        ({"physics": "real"}, "unknown physics 'real'.*kinetix, fixed"),
        ({"frame_skip": 0}, "frame_skip.*at least 1.*0"),
        ({"frame_skip": 1.5}, "frame_skip.*whole"),
        ({"frame_skip": True}, "frame_skip.*whole"),
        ({"max_steps": -1}, "max_steps.*at least 1"),
        ({"dense_reward_scale": float("nan")}, "dense_reward_scale.*finite"),
        ({"dense_reward_scale": -0.1}, "dense_reward_scale.*at least 0"),
        ({"dense_reward_scale": "0.1"}, "dense_reward_scale.*finite"),
    ],
)
def test_bad_configurations_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(**{"engine": "jax", **options})


def test_levels_that_do_not_fit_are_refused(env):
    with pytest.raises(ValueError, match="size 'l'.*environment 's'.*size='l'"):
        env.reset_to_level(KEY, empty_level("l"))
    small = Size(polygons=5, circles=1, joints=1, thrusters=1)
    with pytest.raises(ValueError, match="load the level with size='s'"):
        env.reset_to_level(KEY, empty_level(small))
    batch = jax.tree.map(lambda x: x[None], empty_level("s"))
    with pytest.raises(ValueError, match="jax.vmap"):
        env.reset_to_level(KEY, batch)
