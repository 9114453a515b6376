"""Aggregates and intervals: against numbers worked out by hand, scipy's definitions and rliable."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from rliable import metrics
from scipy import stats

from kinetix_ued.benchmarks.statistics import (
    Interval,
    bootstrap,
    conditional_value_at_risk,
    improvement,
    interquartile_mean,
    probability_of_improvement,
    wilson,
)


def test_interquartile_mean_is_the_mean_trimmed_by_a_quarter():
    random = np.random.default_rng(0)
    for shape in ((1, 1), (1, 3), (3, 7), (5, 64)):
        scores = random.uniform(size=shape)
        expected = stats.trim_mean(scores, proportiontocut=0.25, axis=None)
        assert interquartile_mean(scores) == pytest.approx(expected)


def test_wilson_intervals():
    # 5 of 10: z = 1.96, centre (0.5 + 0.192) / 1.384 = 0.5, half 1.96 / 1.384 sqrt(0.025 + 0.0096).
    low, high = wilson(5, 10)[1:]
    assert (low, high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
    for solved, attempts in ((0, 20), (20, 20), (3, 7)):
        expected = stats.binomtest(solved, attempts).proportion_ci(0.9, method="wilson")
        found = wilson(solved, attempts, 0.9)
        assert found == (solved / attempts, pytest.approx(expected.low), pytest.approx(expected.high))
    for wrong in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="is no solve rate"):
            wilson(*wrong)


def test_bootstrap_intervals_cover_as_often_as_they_say():
    random, hits = np.random.default_rng(1), 0
    mean = lambda scores: float(scores.mean())
    for seed in range(120):
        low, high = bootstrap(random.normal(size=(20, 5)), mean, seed=seed, resamples=300, confidence=0.9)[1:]
        hits += low <= 0 <= high
    assert 0.78 < hits / 120 < 0.97
    scores = random.normal(size=(4, 6))
    assert bootstrap(scores, seed=3) == bootstrap(scores, seed=3) != bootstrap(scores, seed=4)
    assert bootstrap(scores).estimate == interquartile_mean(scores)


def test_bootstrap_draws_runs_within_a_level_and_levels_only_when_told():
    """Runs that agree leave nothing uncertain about these levels, but about other levels of their kind a lot."""
    scores = np.tile(np.linspace(0, 1, 50), (3, 1))
    assert bootstrap(scores, resamples=50) == Interval(0.5, 0.5, 0.5)
    low, high = bootstrap(scores, levels=True, resamples=300)[1:]
    spread = 2 * 1.96 * math.sqrt(1 / 12 / 50)
    assert 0.5 * spread < high - low < 2.5 * spread


def test_probability_of_improvement_counts_pairs_of_runs():
    ours, theirs = np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 1.0]])
    assert probability_of_improvement(ours, theirs) == pytest.approx((0.5 + 1 + 0 + 0) / 4)
    assert probability_of_improvement(ours, ours) == 0.5
    with pytest.raises(ValueError, match="the same levels"):
        probability_of_improvement(ours, theirs[:, :1])
    for wrong in (np.zeros(3), np.zeros((0, 3)), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match="runs, levels|not finite"):
            bootstrap(wrong)


RLIABLE = json.loads((Path(__file__).parent / "data" / "rliable.json").read_text())
"""What rliable's functions returned for two arrays of scores, with its version; some levels tie exactly. Its intervals
are recorded because ``rliable.library`` does not import beside every version of what it stands on; its metrics do."""


def test_definitions_and_intervals_are_those_of_rliable():
    x, y = np.array(RLIABLE["x"]), np.array(RLIABLE["y"])
    assert [interquartile_mean(scores) for scores in (x, y)] == pytest.approx(RLIABLE["iqm"])
    assert probability_of_improvement(x, y) == pytest.approx(RLIABLE["improvement"])
    close = {"abs": 0.01}  # the ends of an interval are quantiles of random draws
    assert bootstrap(x, resamples=10_000)[1:] == pytest.approx(RLIABLE["iqm_over_runs"], **close)
    assert bootstrap(x, resamples=10_000, levels=True)[1:] == pytest.approx(RLIABLE["iqm_over_runs_and_tasks"], **close)
    assert improvement(x, y, resamples=10_000)[1:] == pytest.approx(RLIABLE["improvement_over_runs"], **close)


def test_definitions_are_those_of_rliable_itself():
    random = np.random.default_rng(3)
    for runs, others, levels in ((1, 1, 7), (3, 5, 85), (10, 2, 20)):
        x, y = random.integers(0, 21, (runs, levels)) / 20, random.integers(0, 21, (others, levels)) / 20
        assert interquartile_mean(x) == pytest.approx(metrics.aggregate_iqm(x))
        assert probability_of_improvement(x, y) == pytest.approx(metrics.probability_of_improvement(x, y))


def test_improvement_intervals_shrink_with_what_is_drawn_anew():
    random = np.random.default_rng(0)
    ours, theirs = random.uniform(size=(4, 30)), random.uniform(size=(3, 30))
    narrow, wide = improvement(ours, theirs), improvement(ours, theirs, levels=True)
    assert narrow.estimate == wide.estimate == probability_of_improvement(ours, theirs)
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    mirrored = improvement(theirs, ours)
    assert mirrored.estimate == pytest.approx(1 - narrow.estimate)
    same = np.tile(random.uniform(size=30), (3, 1))
    assert improvement(same, same) == (0.5, 0.5, 0.5)


def worst_mean(ranking, scores, share) -> float:
    """The mean score on the worst levels, by averaging over every order of levels that tie, drawn often."""
    random, needed = np.random.default_rng(0), share * len(scores)
    total = 0.0
    for _ in range(2000):
        order = np.lexsort((random.random(len(scores)), ranking))
        whole = int(needed)
        part = (needed - whole) * scores[order[whole]] if needed > whole else 0.0
        total += (scores[order[:whole]].sum() + part) / needed
    return total / 2000


def test_the_worst_levels_are_ranked_on_one_evaluation_and_scored_on_another():
    # Ranked 0, 0, 0.5, 1: the worst half scores (0.2 + 0.6) / 2; the worst quarter is either of the two, as likely.
    ranking, scores = np.array([[0.5, 0.0, 1.0, 0.0]]), np.array([[1.0, 0.2, 0.4, 0.6]])
    found = conditional_value_at_risk(ranking, scores, (0.25, 0.5, 0.75, 1.0))
    assert [interval.estimate for interval in found] == pytest.approx([0.4, 0.4, 1.8 / 3, 2.2 / 4])
    random = np.random.default_rng(5)
    ranking, scores = random.integers(0, 4, (3, 23)) / 3, random.integers(0, 11, (3, 23)) / 10
    shares = (0.01, 0.1, 0.37, 0.8, 1.0)
    found = conditional_value_at_risk(ranking, scores, shares)
    for share, interval in zip(shares, found):
        expected = np.mean([worst_mean(*run, share) for run in zip(ranking, scores)])
        assert interval.estimate == pytest.approx(expected, abs=0.01)
        assert interval.low <= interval.estimate <= interval.high
    assert found[-1].estimate == pytest.approx(scores.mean())


def test_ranking_and_scoring_on_one_evaluation_would_flatter_nobody():
    """Of levels that are all alike none is worse than another, and only the second evaluation says so."""
    random = np.random.default_rng(1)
    first, second = (random.binomial(10, 0.5, (1, 4000)) / 10 for _ in range(2))
    honest, biased = (conditional_value_at_risk(first, scores, (0.05,), resamples=200)[0] for scores in (second, first))
    assert honest.estimate == pytest.approx(0.5, abs=0.04) and honest.low < 0.5 < honest.high
    assert biased.estimate < 0.25


def test_intervals_on_the_worst_levels_are_those_of_drawing_levels_and_runs_one_by_one():
    random = np.random.default_rng(2)
    ranking, scores = random.integers(0, 6, (2, 40)) / 5, random.uniform(size=(2, 40))
    found = conditional_value_at_risk(ranking, scores, (0.2,), resamples=1000)[0]
    expected = []
    for _ in range(1000):
        levels, runs = random.integers(40, size=40), random.integers(2, size=2)
        estimates = [
            conditional_value_at_risk(ranking[[r]][:, levels], scores[[r]][:, levels], (0.2,), resamples=1)
            for r in runs
        ]
        expected.append(np.mean([interval[0].estimate for interval in estimates]))
    assert found[1:] == pytest.approx(np.quantile(expected, (0.025, 0.975)), abs=0.03)


def test_mistakes_about_the_worst_levels_are_named():
    scores = np.zeros((2, 3))
    with pytest.raises(ValueError, match="same runs and levels"):
        conditional_value_at_risk(scores, scores[:, :2], (0.5,))
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match="at most 1"):
            conditional_value_at_risk(scores, scores, (share,))
