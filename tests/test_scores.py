"""Scores: against trajectories worked out by hand, and JaxUED's own functions."""

import math

import jax
import jax.numpy as jnp
import jaxued.utils
import numpy as np
import pytest

from kinetix_ued.curricula import (
    SCORES,
    Rollout,
    Score,
    attempts,
    episode_mean,
    episode_returns,
    highest_return,
    l1_value_loss,
    learnability,
    learnability_score,
    max_mc,
    mean_advantage,
    negative_advantage,
    positive_value_loss,
    regret,
    score_of,
)


def rollout(done, reward=None, value=None, advantage=None, goal=None, antagonist=None):
    """A rollout of columns: one environment each."""
    done = jnp.asarray(done, bool).T
    column = lambda x: jnp.zeros(done.shape) if x is None else jnp.asarray(x, jnp.float32).T
    return Rollout(
        reward=column(reward),
        done=done,
        goal=column(goal).astype(bool),
        value=column(value),
        last_value=jnp.zeros(done.shape[1]),
        advantage=column(advantage),
        antagonist=antagonist,
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


def test_episode_returns_by_hand():
    rewards = [[0.5, 0.5, 1, 0, 1, 9], [0, 0, 0, 0, 0, -1], [-1, 0.25, 9, 9, 9, 9], [1, 1, 1, 1, 1, 1]]
    mean, highest = episode_returns(rollout(DONE, reward=rewards))
    assert mean.tolist() == [1.5, -1, -0.375, -jnp.inf] and highest.tolist() == [2, -1, 0.25, -jnp.inf]


def test_max_mc_by_hand():
    values = [[0, 1, 1, 1, 1, 7], [0.5] * 6, [2, 4, 9, 9, 9, 9], [0] * 6]
    # first: ((2-0 + 2-1)/2 + (2-1)) / 2
    found = max_mc(rollout(DONE, value=values), jnp.array([2.0, 1.0, 3.0, 1.0]))
    assert found.tolist() == [1.25, 0.5, 0.0, -jnp.inf]


ADVANTAGES = [[-1, 4, 3, -9, 0, 50], [-1, -2, -3, -4, -5, -6], [1, -1, 7, 7, 7, 7], [1] * 6]


@pytest.mark.parametrize(
    "score, expected",
    [
        (positive_value_loss, [(4 / 2 + 3 / 3) / 2, 0, 0.5, -jnp.inf]),
        (negative_advantage, [(1 / 2 + 9 / 3) / 2, 21 / 6, 0.5, -jnp.inf]),
        (l1_value_loss, [(5 / 2 + 12 / 3) / 2, 21 / 6, 1, -jnp.inf]),
        (mean_advantage, [(3 / 2 - 6 / 3) / 2, -21 / 6, 0, -jnp.inf]),
    ],
)
def test_scores_of_the_advantage_by_hand(score, expected):
    assert score(rollout(DONE, advantage=ADVANTAGES)).tolist() == expected


def test_the_paper_has_two_names_for_one_score():
    x = rollout(DONE, advantage=ADVANTAGES)
    values = {name: SCORES[name].evaluate(x, ())[0].tolist() for name in ("l1_value_loss", "gae_magnitude")}
    assert values["l1_value_loss"] == values["gae_magnitude"] == l1_value_loss(x).tolist()


# Where each step reached the goal; the third environment's time ran out once, the last never ended.
GOAL = [[0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]


def test_attempts_by_hand():
    ended, solved = attempts(rollout(DONE, goal=GOAL))
    assert ended.tolist() == [2, 1, 2, 0] and solved.tolist() == [2, 0, 1, 0]
    assert ended.dtype == solved.dtype == jnp.int32


def test_learnability_by_hand():
    found = learnability(jnp.array([0, 1, 1, 2, 3, 4, 1, 0]), jnp.array([4, 4, 2, 4, 4, 4, 1, 0]))
    quarter = 1 / 4 * 3 / 4 * 4 / 3
    expected = [0, quarter, 1 / 4 * 2, 1 / 4 * 4 / 3, quarter, 0, -np.inf, -np.inf]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_learnability_is_an_unbiased_variance():
    """Over all outcomes of n attempts, weighted by their probability, it averages to p (1 - p) for every n."""
    p = 0.3
    for n in (2, 3, 7):
        solved = np.arange(n + 1)
        ways = np.array([math.comb(n, k) for k in solved]) * p**solved * (1 - p) ** (n - solved)
        found = np.asarray(learnability(jnp.asarray(solved), jnp.full(n + 1, n)))
        np.testing.assert_allclose((ways * found).sum(), p * (1 - p), rtol=1e-5)


def test_learnability_adds_up_visits():
    score = learnability_score()
    extras = jax.tree.map(lambda x: jnp.full(4, x), score.extras)
    first, extras = score.evaluate(rollout(DONE, goal=GOAL), extras)
    assert first.tolist() == [0, -jnp.inf, 0.5, -jnp.inf]
    second, extras = score.evaluate(rollout(DONE), extras)  # solved nowhere
    assert extras["solved"].tolist() == [2, 0, 1, 0] and extras["attempts"].tolist() == [4, 2, 4, 0]
    np.testing.assert_allclose(second, [1 / 4 * 4 / 3, 0, 3 / 16 * 4 / 3, -np.inf], rtol=1e-6)


def test_learnability_may_forget_older_visits():
    counted = jnp.array([2.0, 1.0, 2.0, 0.0])
    remembered = {"solved": jnp.array([2.0, 0.0, 1.0, 0.0]), "attempts": counted, "squares": counted}
    for memory, attempts_then in ((0.0, [2, 1, 2, 0]), (0.5, [3, 1.5, 3, 0])):
        scores, extras = learnability_score(memory).evaluate(rollout(DONE), remembered)
        assert extras["attempts"].tolist() == attempts_then
        assert extras["solved"].tolist() == [2 * memory, 0, memory, 0]
        assert extras["squares"].tolist() == [2 * memory**2 + 2, memory**2 + 1, 2 * memory**2 + 2, 0]
        np.testing.assert_allclose(scores, learnability(extras["solved"], extras["attempts"], extras["squares"]))
    own = SCORES["learnability"]
    _, extras = own.evaluate(rollout(DONE), remembered)
    assert extras["attempts"].tolist() == [3.5, 1.75, 3.5, 0]
    with pytest.raises(ValueError, match="memory is a share"):
        learnability_score(1.5)


def test_regret_by_hand():
    rewards = [[0, 1, 0, 0, -1, 9], [0, 0, 0, 0, 0, -1], [1, 0.5, 9, 9, 9, 9], [1] * 6]
    other_rewards = [[1, 0, 0, 1, 0, 5], [0, 0, 0, 1, 0, 1], [0, 0, 0, 0, 0, 3], [0, 0, 0, 0, 0, 1]]
    other_done = [[1, 1, 0, 1, 0, 0], [0, 0, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]
    x = rollout(DONE, reward=rewards, antagonist=rollout(other_done, reward=other_rewards))
    # student's means: 0, -1, 0.75, none; antagonist's returns: 1, 0, 1 and 1, 1; the last two lack one side
    assert regret(x).tolist() == [1, 2, -jnp.inf, -jnp.inf]
    np.testing.assert_allclose(regret(x, best=False), [2 / 3, 2, -np.inf, -np.inf], rtol=1e-6)
    # Neither is clipped: a student that is ahead has a negative regret.
    swapped = x.antagonist._replace(antagonist=x._replace(antagonist=None))
    np.testing.assert_allclose(regret(swapped), [1 - 2 / 3, -2, -np.inf, -np.inf], rtol=1e-6)
    assert SCORES["regret"].evaluate(x, ())[0].tolist() == regret(x).tolist()
    assert SCORES["mean_regret"].evaluate(x, ())[0].tolist() == regret(x, best=False).tolist()


@pytest.mark.parametrize("name", ["regret", "mean_regret"])
def test_regret_needs_an_antagonist(name):
    with pytest.raises(ValueError, match="students=2"):
        SCORES[name].evaluate(rollout(DONE), ())


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
    # It has no function for these, but what they average with.
    average = lambda values, over_time: jaxued.utils.accumulate_rollout_stats(x.done, values, time_average=over_time)
    measured = x.done.any(axis=0)
    for ours, values in (
        (l1_value_loss(x), jnp.abs(x.advantage)),
        (negative_advantage(x), jnp.maximum(-x.advantage, 0)),
        (mean_advantage(x), x.advantage),
    ):
        theirs = jnp.where(measured, average(values, True)[0], -jnp.inf)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    mean, _, ended = average(x.reward, False)
    np.testing.assert_allclose(episode_returns(x)[0], jnp.where(measured, mean, -jnp.inf), rtol=1e-5, atol=1e-6)
    assert attempts(x)[0].tolist() == ended.tolist()
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
    with pytest.raises(ValueError, match="unknown score 'entropy': use one of max_mc, positive_value_loss"):
        score_of("entropy")
