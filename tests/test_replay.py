"""Replays against recordings of the reference, and what a replay promises beyond them."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.environment import EntityObservation, make, replay
from kinetix_ued.environment.replay import _kind_of, _rollout
from kinetix_ued.levels import load_level
from kinetix_ued.world import empty_level

DATA = Path(__file__).parent / "data" / "random"
RECORDINGS = sorted(DATA.glob("*/*.npz"))
AS_RECORDED = dict(engine="jax", physics="kinetix", frame_skip=1, dense_reward_scale=0.1)


def first_end(reward):
    """Step and sign of the first +1 or -1."""
    ends = np.flatnonzero(np.abs(reward) > 0.5)
    return (int(ends[0]), float(np.sign(reward[ends[0]]))) if len(ends) else None


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_replays_follow_the_recordings(recording):
    gold = np.load(recording)
    level = load_level(recording.with_suffix(".json"))
    track = replay(level, gold["actions"], observation="entity", **AS_RECORDED)
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(track))
    assert first_end(track["reward"]) == first_end(gold["reward"])
    for name in ("reward", "distance", "position"):
        np.testing.assert_allclose(track[name][:32], gold[name][:32], atol=1e-3, err_msg=name)
    for name in ("done", "goal"):
        np.testing.assert_array_equal(track[name][:32], gold[name][:32], err_msg=name)
    for field in dataclasses.fields(EntityObservation):
        seen = track["observation"][field.name]
        for t in (0, 16):
            want = gold[f"entity_{t}_{field.name}"]
            assert seen.shape == (97, *want.shape)
            np.testing.assert_allclose(1.0 * seen[t], 1.0 * want, atol=2e-3, err_msg=f"{field.name}@{t}")


def test_flat_views_follow_the_recordings_after_one_compilation():
    before = _rollout._cache_size()
    for recording in (DATA / "s").glob("*.npz"):
        gold = np.load(recording)
        level = load_level(recording.with_suffix(".json"))
        track = replay(level, gold["actions"][:16], observation="symbolic_flat", **AS_RECORDED)
        assert track["observation"]["flat"].shape == (17, 140)
        np.testing.assert_allclose(track["observation"]["flat"][0], gold["flat_0"], atol=1e-6)
        np.testing.assert_allclose(track["observation"]["flat"][16], gold["flat_16"], atol=2e-3)
        again = replay(level, gold["actions"][:16], observation="symbolic_flat", **AS_RECORDED)
        jax.tree.map(np.testing.assert_array_equal, again, track)
    assert _rollout._cache_size() == before + 1


def test_a_replay_is_the_environments_steps():
    level = load_level(DATA / "s" / "random_s_003.json")
    env = make("s", engine="jax", actions="discrete", observation="symbolic_flat", max_steps=3)
    actions = np.array([3, 8, 9, 0])
    track = replay(level, actions, engine="jax", observation="symbolic_flat", max_steps=3)
    params, key = env.default_params, jax.random.key(0)
    _, state = env.reset_to_level(key, level, params)
    for t, action in enumerate(actions):
        seen, state, reward, done, info = env.step(key, state, jnp.int32(action), params)
        np.testing.assert_allclose(track["position"][t], state.world.position, atol=1e-5)
        np.testing.assert_allclose(track["reward"][t], reward, atol=1e-5)
        np.testing.assert_allclose(track["distance"][t], info["distance"], atol=1e-5)
        np.testing.assert_allclose(track["observation"]["flat"][t + 1], seen, atol=1e-4)
        assert track["done"][t] == done == (t >= 2)


def test_dtype_and_shape_tell_the_kind_of_action():
    assert _kind_of(np.zeros((3, 6), np.int64)) == "multi_discrete"
    assert _kind_of(np.zeros((3, 6))) == "continuous"
    assert _kind_of([8, 3]) == "discrete"
    with pytest.raises(ValueError, match="continuous actions.*step 0"):
        replay(empty_level("s"), np.full((3, 6), 2), action_type="continuous")


def test_bad_input_is_refused():
    level = empty_level("s")
    with pytest.raises(ValueError, match="multi_discrete actions.*shape"):
        replay(level, np.zeros((4, 5), int))
    with pytest.raises(ValueError, match="step 2"):
        replay(level, np.array([[0] * 6, [1] * 6, [3] * 6]))
    with pytest.raises(ValueError, match="unknown observation"):
        replay(level, np.zeros((4, 6), int), observation="pixel", engine="jax")
    with pytest.raises(ValueError, match="unknown actions"):
        replay(level, np.zeros((4, 6), int), action_type="hybrid")
    with pytest.raises(ValueError, match="one level"):
        replay(jax.tree.map(lambda x: x[None], level), np.zeros((4, 6), int))
