"""Aggregates and intervals: against numbers worked out by hand and against scipy's definitions."""

import math

import numpy as np
import pytest
from scipy import stats

from kinetix_ued.benchmarks.statistics import (
    Interval,
    bootstrap,
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
