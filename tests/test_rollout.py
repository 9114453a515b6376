"""Playing, on an environment so simple that every number of a rollout is known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from kinetix_ued.agents.distributions import MultiCategorical
from kinetix_ued.training.rollout import Players, restart, rollout, spoiled

B = 3


class Course(NamedTuple):
    """A level that ends after ``length`` steps; every step is worth ``worth``, and ``breaks`` ends it non-finite."""

    length: jax.Array
    worth: jax.Array
    breaks: jax.Array


class Where(NamedTuple):
    level: Course
    time: jax.Array


class CourseEnv:
    """Observes the worth of the level and the time in it; odd lengths end in the goal."""

    default_params = ()

    def reset_to_level(self, key, level, params):
        state = Where(level, jnp.int32(0))
        return self.observe(state), state

    def observe(self, state):
        return jnp.stack([state.level.worth, state.time.astype(jnp.float32)])

    def step(self, key, state, action, params):
        state = Where(state.level, state.time + 1)
        done = state.time >= state.level.length
        nonfinite = done & state.level.breaks
        info = {"goal": done & (state.level.length % 2 == 1), "nonfinite": nonfinite, "truncated": done & ~nonfinite}
        reward = jnp.where(nonfinite, jnp.nan, state.level.worth)
        return self.observe(state), state, reward, done, info


@struct.dataclass
class Sure:
    action: jax.Array

    def sample(self, key):
        return self.action

    def log_prob(self, action, parts=None):
        return jnp.where(action == self.action, 0.0, -1.0)


class Counting:
    """A policy that remembers how many steps of its episode it has seen; that is its action, its value the worth."""

    def initial_carry(self, batch):
        return jnp.zeros(batch)

    def apply(self, params, carry, observation, reset):
        carry = jnp.where(reset, 0.0, carry) + 1
        return carry, Sure(carry), observation[:, 0] * params


def courses(length, worth, breaks=False):
    return Course(jnp.array(length), jnp.array(worth, jnp.float32), jnp.broadcast_to(jnp.array(breaks), (B,)))


def fresh_states(levels):
    return jax.vmap(lambda level: CourseEnv().reset_to_level(None, level, ())[1])(levels)


def start_on(levels):
    zeros = jnp.zeros(B, jnp.int32)
    return Players(fresh_states(levels), jnp.ones(B, bool), Counting().initial_carry(B), jnp.zeros(B), zeros, zeros)


def play(players, levels, steps, repeat=True):
    key = jax.random.key(0)
    play = jax.jit(lambda p, f, r: rollout(CourseEnv(), (), Counting(), 2.0, key, p, f, r, steps))
    return play(players, fresh_states(levels), jnp.array(repeat))


OLD, NEW = courses([2, 3, 9], [1, 2, 3]), courses([2, 3, 4], [10, 20, 30])


def test_an_environment_finishes_its_episode_and_then_starts_its_new_level_again_and_again():
    players, trajectory, last_value, episodes = play(start_on(OLD), NEW, 7)
    worth = [[1, 1, 10, 10, 10, 10, 10], [2, 2, 2, 20, 20, 20, 20], [3, 3, 3, 3, 3, 3, 3]]
    time = [[0, 1, 0, 1, 0, 1, 0], [0, 1, 2, 0, 1, 2, 0], [0, 1, 2, 3, 4, 5, 6]]
    np.testing.assert_array_equal(trajectory.observation[..., 0].T, worth)
    np.testing.assert_array_equal(trajectory.observation[..., 1].T, time)
    np.testing.assert_array_equal(trajectory.reward.T, worth)
    np.testing.assert_array_equal(trajectory.value.T, 2 * np.array(worth))
    np.testing.assert_array_equal(trajectory.reset.T, np.array(time) == 0)
    np.testing.assert_array_equal(trajectory.done[:-1], trajectory.reset[1:])  # the done convention
    np.testing.assert_array_equal(trajectory.action, trajectory.observation[..., 1] + 1)  # memory ends with the episode
    np.testing.assert_array_equal(trajectory.log_prob, 0)
    np.testing.assert_array_equal(trajectory.goal.T, [[False] * 7, [False, False, True] * 2 + [False], [False] * 7])
    np.testing.assert_array_equal(last_value, [20, 40, 6])
    np.testing.assert_array_equal(players.state.time, [1, 1, 7])
    np.testing.assert_array_equal(players.episode_return, [10, 20, 21])
    np.testing.assert_array_equal(players.episode_length, [1, 1, 7])
    assert [int(x) for x in episodes[:3]] == [5, 2, 0]
    assert float(episodes.total_return) == 2 + 20 + 20 + 6 + 60
    assert int(episodes.total_length) == 2 + 2 + 2 + 3 + 3


def test_without_repetition_an_environment_moves_on_through_the_proposed_levels():
    players, trajectory, _, _ = play(start_on(OLD), NEW, 9, repeat=False)
    worth = [[1, 1, 10, 10, 20, 20, 20, 30, 30], [2, 2, 2, 20, 20, 20, 30, 30, 30], [3] * 9]
    np.testing.assert_array_equal(trajectory.observation[..., 0].T, worth)
    np.testing.assert_array_equal(players.begun, [3, 2, 1])
    np.testing.assert_array_equal(players.state.level.worth, [30, 30, 30])


@pytest.mark.parametrize("repeat", [True, False])
def test_two_short_rollouts_equal_a_long_one(repeat):
    whole, trajectory, last_value, episodes = play(start_on(OLD), NEW, 12, repeat)
    half, first, _, first_episodes = play(start_on(OLD), NEW, 5, repeat)
    rest, second, second_value, second_episodes = play(half, NEW, 7, repeat)
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
    jax.tree.map(np.testing.assert_array_equal, (joined, rest, second_value), (trajectory, whole, last_value))
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(jnp.add, first_episodes, second_episodes), episodes)


def test_restart_starts_the_chosen_environments_and_forgets_their_episodes():
    players, *_ = play(start_on(OLD), OLD, 1)
    fresh = fresh_states(NEW)
    some = restart(players, fresh, jnp.array([True, False, False]))
    np.testing.assert_array_equal(some.state.level.worth, [10, 2, 3])
    np.testing.assert_array_equal(some.state.time, [0, 1, 1])
    np.testing.assert_array_equal(some.reset, [True, False, False])
    np.testing.assert_array_equal(some.episode_return, [0, 2, 3])
    np.testing.assert_array_equal(some.episode_length, [0, 1, 1])
    everyone = restart(players, fresh, jnp.array(True))
    np.testing.assert_array_equal(everyone.state.level.worth, [10, 20, 30])
    _, trajectory, *_ = play(everyone, NEW, 2)
    np.testing.assert_array_equal(trajectory.action, [[1, 1, 1], [2, 2, 2]])  # the memory starts anew as well


def test_an_episode_that_goes_non_finite_is_counted_and_worth_nothing_at_its_end():
    levels = courses([3, 3, 9], [1, 1, 1], [True, False, False])
    _, trajectory, _, episodes = play(start_on(levels), levels, 7)
    assert bool(jnp.isfinite(trajectory.reward).all())
    np.testing.assert_array_equal(trajectory.reward[:, 0], [1, 1, 0, 1, 1, 0, 1])
    np.testing.assert_array_equal(trajectory.nonfinite[:, 0], [0, 0, 1, 0, 0, 1, 0])
    assert (int(episodes.nonfinite), int(episodes.finished), int(episodes.solved)) == (2, 4, 2)
    assert float(episodes.total_return) == 2 + 2 + 3 + 3


@pytest.mark.parametrize(
    "nonfinite, done, expected",
    [
        ("0000100", "0010100", "0001100"),  # only its own episode
        ("0000100", "0000100", "1111100"),  # from the first step of the rollout
        ("1000001", "1001001", "1000111"),  # twice; the episode between them is sound
        ("0000000", "0010010", "0000000"),
    ],
)
def test_spoiled_marks_the_whole_episode_and_nothing_else(nonfinite, done, expected):
    bits = lambda text: jnp.array([[c == "1"] for c in text])
    np.testing.assert_array_equal(spoiled(bits(nonfinite), bits(done)), bits(expected))


class Undecided(Counting):
    """A policy whose actions are noise alone."""

    def apply(self, params, carry, observation, reset):
        return carry, MultiCategorical(jnp.zeros((B, 8)), (8,)), observation[:, 0]


@pytest.mark.parametrize("noise_steps", [1, 3])
def test_the_noise_of_actions_lasts_as_long_as_asked(noise_steps):
    play = lambda key: rollout(
        CourseEnv(), (), Undecided(), 2.0, key, start_on(OLD), fresh_states(OLD), jnp.array(True), 7, None, noise_steps
    )[1].action[..., 0]
    actions = np.asarray(jax.jit(jax.vmap(play))(jax.random.split(jax.random.key(0), 400)))  # (400, 7, B)
    alike = (actions[:, 1:] == actions[:, :-1]).mean(axis=(0, 2))
    fresh = (np.arange(1, 7) % noise_steps) == 0
    np.testing.assert_array_equal(alike[~fresh], 1.0)
    np.testing.assert_allclose(alike[fresh], 1 / 8, atol=0.03)
    np.testing.assert_allclose(np.bincount(actions.ravel(), minlength=8) / actions.size, 1 / 8, atol=0.03)
