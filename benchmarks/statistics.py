"""Honest numbers from few runs: aggregates and their uncertainty, on arrays of scores (runs R, levels L).

Definitions are those of rliable (Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
NeurIPS 2021). Everything random comes from a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
"""Bootstrap resamples: the ends of a 95 % interval are then good to a few hundredths of its width."""

_AT_ONCE = 100  # resamples in memory together


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    estimate: float
    low: float
    high: float


def interquartile_mean(scores: np.ndarray) -> float:
    """Mean of the middle half of all scores: a quarter, rounded down, is left out at either end.

    >>> interquartile_mean(np.array([0.0, 1.0, 3.0, 100.0]))
    2.0
    """
    ordered = np.sort(np.asarray(scores, np.float64), axis=None)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def bootstrap(
    scores: np.ndarray,
    statistic: Callable[[np.ndarray], float] = interquartile_mean,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    levels: bool = False,
) -> Interval:
    """A percentile interval of ``statistic`` by the stratified bootstrap: for each level, runs are drawn anew.

    Args:
        scores: (R, L).
        statistic: of an array like ``scores``.
        seed: of the resamples.
        resamples: how many.
        confidence: of the interval.
        levels: draw the levels anew too, for levels that are themselves a sample, such as random ones.

    Raises:
        ValueError: for scores of another shape, none at all, or one that is not finite.
    """
    scores = _checked(scores)
    runs, count = scores.shape
    random = np.random.default_rng(seed)
    found = []
    for start in range(0, resamples, _AT_ONCE):
        now = min(_AT_ONCE, resamples - start)
        which_level = random.integers(count, size=(now, 1, count)) if levels else np.arange(count)
        which_run = random.integers(runs, size=(now, runs, count))
        found += [statistic(sample) for sample in scores[which_run, which_level]]
    tail = (1 - confidence) / 2
    return Interval(statistic(scores), *(float(x) for x in np.quantile(found, (tail, 1 - tail))))


def wilson(solved: int, attempts: int, confidence: float = 0.95) -> Interval:
    """A solve rate with its Wilson score interval (Wilson 1927), which keeps inside 0 to 1 and works for 0 of n.

    Raises:
        ValueError: for fewer than one attempt, or more solved than attempted.
    """
    if not 0 <= solved <= attempts or attempts < 1:
        raise ValueError(f"{solved} of {attempts} is no solve rate")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, square = solved / attempts, z * z / attempts
    centre = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(rate * (1 - rate) / attempts + square / (4 * attempts))
    return Interval(rate, max(centre - half, 0.0), min(centre + half, 1.0))


def probability_of_improvement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """How likely a run of ours scores higher than one of theirs on a level drawn at random; ties count half.

    Args:
        ours: (R, L).
        theirs: (S, L), the same levels.

    Raises:
        ValueError: for other shapes, or another number of levels.
    """
    ours, theirs = _checked(ours), _checked(theirs)
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"both sides must have played the same levels; got {ours.shape[1]} and {theirs.shape[1]}")
    apart = ours[:, None] - theirs[None]
    return float(((apart > 0) + 0.5 * (apart == 0)).mean())


def _checked(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"scores have the shape (runs, levels), with one of each at least; got {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite: leave its run out and say so")
    return scores
