"""Scores: against trajectories worked out by hand, and JaxUED's own functions."""

import jax
import jax.numpy as jnp
import jaxued.utils
import numpy as np
import pytest

from kinetix_ued.curricula import (
    SCORES,
    Rollout,
    Score,
    episode_mean,
    highest_return,
    max_mc,
    positive_value_loss,
    score_of,
)


def rollout(done, reward=None, value=None, advantage=None):
    """A rollout of columns: one environment each."""
    done = jnp.asarray(done, bool).T
    column = lambda x: jnp.zeros(done.shape) if x is None else jnp.asarray(x, jnp.float32).T
    return Rollout(
        reward=column(reward),
        done=done,
        goal=jnp.zeros_like(done),
        value=column(value),
        last_value=jnp.zeros(done.shape[1]),
        advantage=column(advantage),
    )


DONE = [
    [0, 1, 0, 0, 1, 0],  # two episodes, of 2 and 3 steps, and the beginning of a third
    [0, 0, 0, 0, 0, 1],  # one episode
    [1, 1, 0, 0, 0, 0],  # two of one step, then one that does not end
    [0, 0, 0, 0, 0, 0],  # none that ends
]


def test_episode_mean_by_hand():
    values = [[1, 3, 2, 2, 5, 100], [6, 0, 0, 0, 0, 0], [4, 8, 9, 9, 9, 9], [1, 1, 1, 1, 1, 1]]
    x = rollout(DONE, value=values)
    assert episode_mean(x.done, x.value).tolist() == [(2 + 3) / 2, 1, 6, -jnp.inf]


def test_highest_return_by_hand():
    rewards = [[0.5, 0.5, 1, 0, 1, 9], [0, 0, 0, 0, 0, -1], [-1, 0.25, 9, 9, 9, 9], [1, 1, 1, 1, 1, 1]]
    assert highest_return(rollout(DONE, reward=rewards)).tolist() == [2, 0, 0.25, 0]


def test_max_mc_by_hand():
    values = [[0, 1, 1, 1, 1, 7], [0.5] * 6, [2, 4, 9, 9, 9, 9], [0] * 6]
    # first: ((2-0 + 2-1)/2 + (2-1)) / 2
    found = max_mc(rollout(DONE, value=values), jnp.array([2.0, 1.0, 3.0, 1.0]))
    assert found.tolist() == [1.25, 0.5, 0.0, -jnp.inf]


def test_positive_value_loss_by_hand():
    advantages = [[-1, 4, 3, -9, 0, 50], [-1, -2, -3, -4, -5, -6], [1, -1, 7, 7, 7, 7], [1] * 6]
    # first: (4/2 + 3/3) / 2
    found = positive_value_loss(rollout(DONE, advantage=advantages))
    assert found.tolist() == [1.5, 0.0, 0.5, -jnp.inf]


def test_scores_agree_with_jaxued(monkeypatch):
    monkeypatch.setattr(jax, "tree_map", jax.tree.map, raising=False)
    rng = np.random.default_rng(0)
    shape = (32, 40)
    x = rollout(rng.random(shape) < 0.03, *(rng.normal(size=shape) for _ in range(3)))
    returns = jaxued.utils.compute_max_returns(x.done, x.reward)
    np.testing.assert_allclose(highest_return(x), returns, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(max_mc(x, returns), jaxued.utils.max_mc(x.done, x.value, returns), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        positive_value_loss(x), jaxued.utils.positive_value_loss(x.done, x.advantage), rtol=1e-5, atol=1e-6
    )
    assert np.isneginf(max_mc(x, returns)).any() and np.isfinite(max_mc(x, returns)).any()


def test_max_mc_remembers_the_highest_return():
    evaluate = SCORES["max_mc"].evaluate
    x = rollout([[0, 1], [0, 1]], reward=[[0, 1], [0, 1]], value=[[0.5, 0.5], [0.5, 0.5]])
    scores, extras = evaluate(x, {"max_return": jnp.array([0.0, 3.0])})
    assert scores.tolist() == [0.5, 2.5] and extras["max_return"].tolist() == [1.0, 3.0]


def test_score_of_takes_names_scores_and_functions():
    function = lambda rollout, extras: (rollout.last_value, extras)
    assert score_of("max_mc") is SCORES["max_mc"]
    assert score_of(function) == Score(function, ())
    assert score_of(Score(function, 1.0)) == Score(function, 1.0)
    with pytest.raises(ValueError, match="unknown score 'regret': use one of max_mc, positive_value_loss"):
        score_of("regret")
