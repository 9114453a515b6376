"""Advantages by hand, PPO on environments whose values are known, and what minibatches and weights must not change."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from kinetix_ued.agents import (
    Batch,
    generalised_advantages,
    init_train_state,
    make_optimiser,
    make_policy,
    ppo_loss,
    ppo_update,
)

TWO = SimpleNamespace(name="discrete", heads=(2,))
GAMMA = 0.8


class Flat:
    """A distribution whose one action is certain."""

    def log_prob(self, action, parts=None):
        return jnp.zeros(action.shape)

    def entropy(self, parts=None):
        return jnp.zeros(1)


def small_policy(actions=TWO, **options):
    return make_policy("flat_mlp", "symbolic_flat", actions, head_width=16, head_depth=1, width=16, **options)


def test_advantages_by_hand():
    # Environment 0 goes on throughout; environment 1 ends at t = 1, where value 9 belongs to another episode.
    reward, value = jnp.array([[1.0, 1.0], [0.0, 2.0], [2.0, 0.0]]), jnp.array([[0.5, 0.5], [1.0, 1.0], [1.5, 9.0]])
    done = jnp.array([[False, False], [False, True], [False, False]])
    advantage = generalised_advantages(reward, done, value, jnp.array([2.0, 10.0]), 0.5, 0.5)
    # delta, environment 0: 1, -0.25, 1.5; environment 1: 1, 1, -4; each later delta counts a quarter.
    expected = [[1 + (-0.25 + 1.5 / 4) / 4, 1 + 1 / 4], [-0.25 + 1.5 / 4, 1], [1.5, -4]]
    np.testing.assert_allclose(advantage, expected, rtol=1e-6)


def test_advantages_against_a_loop():
    rng = np.random.default_rng(0)
    reward, value, done = rng.normal(size=(20, 5)), rng.normal(size=(20, 5)), rng.random((20, 5)) < 0.2
    last = rng.normal(size=5)
    expected, following, next_value = np.zeros((20, 5)), np.zeros(5), last
    for t in reversed(range(20)):
        delta = reward[t] + 0.9 * next_value * (1 - done[t]) - value[t]
        following = expected[t] = delta + 0.9 * 0.7 * (1 - done[t]) * following
        next_value = value[t]
    got = jax.jit(generalised_advantages)(reward, done, value, last, 0.9, 0.7)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_an_episode_cut_off_is_worth_its_last_value_where_that_is_asked():
    reward, value = jnp.array([[1.0, 1.0], [3.0, 3.0]]), jnp.array([[0.5, 0.5], [2.0, 2.0]])
    done, truncated = jnp.array([[False, False], [True, True]]), jnp.array([[False, False], [True, False]])
    advantage = functools.partial(generalised_advantages, reward, done, value, jnp.array([9.0, 9.0]), 0.5, 0.5)
    # The last delta is 3 - 2, with half the last value of 2 where the episode was cut off; a quarter of it counts before.
    np.testing.assert_allclose(advantage(truncated), [[1.5 + 2 / 4, 1.5 + 1 / 4], [2.0, 1.0]])
    np.testing.assert_array_equal(advantage(), advantage(jnp.zeros_like(done)))


def test_no_nan_crosses_an_episode_end():
    reward, value = jnp.array([[1.0], [1.0], [jnp.nan]]), jnp.array([[0.0], [0.0], [jnp.nan]])
    advantage = generalised_advantages(reward, jnp.array([[False], [True], [True]]), value, jnp.zeros(1), 0.5, 1.0)
    np.testing.assert_allclose(advantage[:2, 0], [1.5, 1.0])


def learn(policy, start, step, observe, *, updates, steps=8, environments=16, entropy=0.0):
    """PPO on a tiny environment: ``start(key) -> state``, ``step(state, action) -> reward, done, state``."""
    optimiser = make_optimiser(0.01)

    def play(carry, key, params):
        state, memory, reset = carry
        observation = jax.vmap(observe)(state)
        memory, distribution, value = policy.apply(params, memory, observation, reset)
        action_key, start_key = jax.random.split(key)
        action = distribution.sample(action_key)
        reward, done, state = jax.vmap(step)(state, action)
        fresh = jax.vmap(start)(jax.random.split(start_key, environments))
        state = jax.tree.map(lambda f, s: jnp.where(done, f, s), fresh, state)
        return (state, memory, done), (observation, action, distribution.log_prob(action), value, reward, done, reset)

    def update(carry, key):
        train_state, players = carry
        play_key, learn_key = jax.random.split(key)
        memory = players[1]
        roll = functools.partial(play, params=train_state.params)
        players, seen = jax.lax.scan(roll, players, jax.random.split(play_key, steps))
        observation, action, log_prob, value, reward, done, reset = seen
        _, _, last = policy.apply(train_state.params, players[1], jax.vmap(observe)(players[0]), players[2])
        advantage = generalised_advantages(reward, done, value, last, GAMMA, 0.95)
        batch = Batch(observation, action, log_prob, value, advantage, reset, 1.0, memory)
        train_state, metrics = ppo_update(
            learn_key, train_state, batch, policy, optimiser, epochs=4, minibatches=2, entropy_coefficient=entropy
        )
        return (train_state, players), metrics

    @jax.jit
    def train(key):
        init_key, start_key, key = jax.random.split(key, 3)
        state = jax.vmap(start)(jax.random.split(start_key, environments))
        players = (state, policy.initial_carry(environments), jnp.ones(environments, bool))
        train_state = init_train_state(policy.init(init_key, jax.vmap(observe)(state)[0]), optimiser)
        (train_state, _), metrics = jax.lax.scan(update, (train_state, players), jax.random.split(key, updates))
        return train_state, metrics

    return train(jax.random.key(0))


def test_a_bandit_is_solved_and_its_value_known():
    # One step, three arms: 0, 1 and 0.5.
    policy = small_policy(SimpleNamespace(name="discrete", heads=(3,)))
    step = lambda state, action: (jnp.array([0.0, 1.0, 0.5])[action], True, state)
    state, metrics = learn(policy, lambda key: jnp.zeros(()), step, lambda s: jnp.ones(1), updates=40)
    _, distribution, value = policy.apply(state.params, (), jnp.ones((1, 1)), jnp.zeros(1, bool))
    assert jax.nn.softmax(distribution.logits)[0, 1] > 0.95
    np.testing.assert_allclose(value, [1.0], atol=0.05)
    assert state.step == 40 * 4 * 2
    losses = {"total", "policy_loss", "value_loss", "entropy"}
    assert set(metrics) == losses | {"approx_kl", "clip_fraction", "grad_norm", "explained_variance"}
    assert all(np.isfinite(x).all() for x in metrics.values())
    assert metrics["entropy"][-1] < 0.5 < metrics["entropy"][0]


def test_the_first_of_two_steps_is_worth_gamma():
    policy = small_policy()
    step = lambda time, action: (jnp.float32(time), time == 1, time + 1)
    state, _ = learn(policy, lambda key: jnp.int32(0), step, lambda time: jax.nn.one_hot(time, 2), updates=60)
    value = policy.apply(state.params, (), jnp.eye(2), jnp.zeros(2, bool))[2]
    np.testing.assert_allclose(value, [GAMMA, 1.0], atol=0.03)


def test_memory_solves_what_only_memory_can():
    # The first observation is a cue; the reward of the second step is 1 if its action equals the cue, else -1.
    policy = small_policy(recurrent=True, recurrent_size=16)

    def step(state, action):
        time, cue = state
        return jnp.where(time == 1, 2.0 * (action == cue) - 1, 0.0), time == 1, (time + 1, cue)

    start = lambda key: (jnp.int32(0), jax.random.randint(key, (), 0, 2))
    observe = lambda state: jnp.where(state[0] == 0, jax.nn.one_hot(state[1], 2), 0.0)
    state, _ = learn(policy, start, step, observe, updates=80, entropy=0.03)
    cues = jnp.stack([jnp.eye(2), jnp.zeros((2, 2))])
    resets = jnp.array([[True, True], [False, False]])
    distribution, values = policy.unroll(state.params, policy.initial_carry(2), cues, resets)
    assert (jnp.diagonal(jax.nn.softmax(distribution.logits)[1]) > 0.9).all()
    np.testing.assert_allclose(values, [[GAMMA, GAMMA], [1.0, 1.0]], atol=0.1)


def random_batch(policy, steps=6, environments=8, seed=0):
    """Random transitions; every environment has the same advantages in another order."""
    rng = np.random.default_rng(seed)
    numbers = lambda *shape: rng.normal(size=shape).astype(np.float32)
    return Batch(
        observation=numbers(steps, environments, 3),
        action=rng.integers(0, 2, (steps, environments)),
        log_prob=np.log(rng.uniform(0.3, 0.7, (steps, environments))).astype(np.float32),
        value=numbers(steps, environments),
        advantage=rng.permuted(np.tile(numbers(steps)[:, None], environments), axis=0),
        reset=rng.random((steps, environments)) < 0.2,
        weight=np.ones((steps, environments), np.float32),
        carry=jax.tree.map(lambda x: numbers(*x.shape), policy.initial_carry(environments)),
    )


def random_params(policy, seed=0):
    shapes, rng = jax.eval_shape(policy.init, jax.random.key(0), jnp.zeros(3)), np.random.default_rng(seed)
    return jax.tree.map(lambda x: rng.normal(scale=0.3, size=x.shape).astype(np.float32), shapes)


def updated(policy, batch, optimiser, **options):
    """Parameters and metrics after one update."""
    state = init_train_state(random_params(policy), optimiser)
    update = jax.jit(lambda key, state, batch: ppo_update(key, state, batch, policy, optimiser, **options))
    state, metrics = update(jax.random.key(3), state, batch)
    return state.params, metrics


def test_minibatches_of_whole_environments_add_up_to_the_full_batch():
    policy = small_policy(recurrent=True, recurrent_size=8)
    batch = random_batch(policy)
    whole, _ = updated(policy, batch, optax.sgd(1.0), epochs=1, minibatches=1)
    # Steps once, with the mean gradient of four minibatches.
    patient = optax.MultiSteps(optax.sgd(1.0), every_k_schedule=4)
    parts, _ = updated(policy, batch, patient, epochs=1, minibatches=4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), parts, whole)
    start = random_params(policy)
    assert max(np.abs(a - b).max() for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(start), strict=True)) > 1e-2


def test_microbatches_add_up_to_their_minibatch():
    policy = small_policy()
    batch = random_batch(policy)._replace(weight=np.random.default_rng(1).random((6, 8)).astype(np.float32))
    whole, metrics = updated(policy, batch, optax.sgd(0.1), epochs=2, minibatches=2, microbatch=48)
    parts, other = updated(policy, batch, optax.sgd(0.1), epochs=2, minibatches=2, microbatch=7)  # 4 of 6 transitions
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), (parts, other), (whole, metrics))


@pytest.mark.parametrize("recurrent", [False, True])
def test_transitions_of_no_weight_never_reach_the_optimiser(recurrent):
    policy = small_policy(recurrent=recurrent)
    batch = random_batch(policy)
    spoiled = np.zeros((6, 8), bool)
    spoiled[:, 3] = spoiled[4:, 5] = True  # a whole environment, and the end of another
    filled = {}
    for junk in (np.nan, 1e6):
        fill = lambda x: np.where(spoiled.reshape(6, 8, *(1,) * (x.ndim - 2)), np.float32(junk), x)
        floats = {name: fill(getattr(batch, name)) for name in ("observation", "log_prob", "value", "advantage")}
        bad = batch._replace(weight=np.where(spoiled, 0.0, 1.0), **floats)
        filled[junk] = updated(policy, bad, make_optimiser(0.01), epochs=2, minibatches=2)
    (params, metrics), (other, other_metrics) = filled.values()
    jax.tree.map(np.testing.assert_array_equal, params, other)
    jax.tree.map(np.testing.assert_array_equal, metrics, other_metrics)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((params, metrics)))


def test_the_loss_of_weighted_transitions_is_the_loss_of_those_alone():
    policy = small_policy()
    params, batch = random_params(policy), random_batch(policy)
    kept = np.random.default_rng(1).random((6, 8)) < 0.5
    alone = jax.tree.map(lambda x: x[kept], batch)
    loss, metrics = ppo_loss(policy, params, batch._replace(weight=kept))
    expected, expected_metrics = ppo_loss(policy, params, alone)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), metrics, expected_metrics)


def test_the_loss_by_hand():
    # One transition has ratio 2 and is clipped, one has ratio 1/2 and is not: its advantage is negative.
    policy = SimpleNamespace(
        recurrent=False,
        unroll=lambda params, carry, observation, reset: (
            SimpleNamespace(
                log_prob=lambda action, parts: jnp.log(jnp.array([0.8, 0.2])),
                entropy=lambda parts: jnp.array([0.5, 0.7]),
            ),
            jnp.array([1.0, 3.0]),
        ),
    )
    batch = Batch((), jnp.zeros(2), jnp.log(jnp.array([0.4, 0.4])), jnp.array([1.1, 2.0]), jnp.array([2.0, -2.0]), None)
    loss, metrics = ppo_loss(policy, None, batch, clip=0.2, value_coefficient=0.5, entropy_coefficient=0.1)
    # Normalised advantages are 1 and -1: -(min(2, 1.2) + min(-0.5, -0.8)) / 2.
    np.testing.assert_allclose(metrics["policy_loss"], -0.2, rtol=1e-5)
    # Targets 3.1 and 0; values 1 and 3, near the old ones 1 and 2.2: the larger errors are 2.1 and 3.
    np.testing.assert_allclose(metrics["value_loss"], (2.1**2 + 3**2) / 4, rtol=1e-5)
    np.testing.assert_allclose(metrics["entropy"], 0.6, rtol=1e-6)
    np.testing.assert_allclose(metrics["clip_fraction"], 1.0)
    np.testing.assert_allclose(metrics["approx_kl"], (1 - np.log(2) - 0.5 + np.log(2)) / 2, rtol=1e-5)
    np.testing.assert_allclose(loss, -0.2 + 0.5 * (2.1**2 + 9) / 4 - 0.06, rtol=1e-5)


def test_a_value_far_from_its_old_estimate_learns_only_where_it_is_not_clipped():
    # The target is 1, the old value 0 and the new one 0.5, beyond the range of 0.2: the clipped error is the larger one.
    policy = SimpleNamespace(unroll=lambda params, *_: (Flat(), params * jnp.ones(1)))
    zeros = jnp.zeros(1)
    batch = Batch(zeros, zeros, zeros, zeros, jnp.ones(1), jnp.zeros(1, bool))
    loss = lambda value, clipping: ppo_loss(
        policy, value, batch, clip=0.2, value_clipping=clipping, value_coefficient=1.0, entropy_coefficient=0.0
    )[1]["value_loss"]
    for clipping, expected, slope in ((True, 0.5 * 0.8**2, 0.0), (False, 0.5 * 0.5**2, -0.5)):
        got, gradient = jax.value_and_grad(loss)(0.5, clipping)
        np.testing.assert_allclose((got, gradient), (expected, slope), atol=1e-6)


def test_minibatches_must_divide_the_batch():
    policy = small_policy(recurrent=True)
    with pytest.raises(ValueError, match="5 minibatches do not divide 8 environments"):
        updated(policy, random_batch(policy), optax.sgd(1.0), minibatches=5)
    policy = small_policy()
    with pytest.raises(ValueError, match="5 minibatches do not divide 48 transitions"):
        updated(policy, random_batch(policy), optax.sgd(1.0), minibatches=5)
