"""Honest numbers from few runs: aggregates and their uncertainty, on arrays of scores (runs R, levels L).

Definitions are those of rliable (Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
NeurIPS 2021); the worst levels are those of Rutherford et al. (No Regrets, NeurIPS 2024). Everything random comes from
a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
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
    found = [
        statistic(sample)
        for which_level, (which_run,) in _draws(scores.shape[1], (len(scores),), seed, resamples, levels)
        for sample in scores[which_run, which_level]
    ]
    return _percentiles(statistic(scores), found, confidence)


def wilson(solved: float, attempts: int, confidence: float = 0.95) -> Interval:
    """A solve rate with its Wilson score interval (Wilson 1927), which keeps inside 0 to 1 and works for 0 of n.

    Args:
        solved: of the attempts; no whole number where each stands for a level that is solved now and then.
        attempts: how many.
        confidence: of the interval.

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
    return float(_improvements(*_checked_pair(ours, theirs)))


def improvement(
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    levels: bool = False,
) -> Interval:
    """``probability_of_improvement`` with a percentile interval; for each level both sides' runs are drawn anew.

    Raises:
        ValueError: as ``probability_of_improvement``.
    """
    ours, theirs = _checked_pair(ours, theirs)
    found = [
        _improvements(ours[which_ours, which_level], theirs[which_theirs, which_level])
        for which_level, (which_ours, which_theirs) in _draws(
            ours.shape[1], (len(ours), len(theirs)), seed, resamples, levels
        )
    ]
    return _percentiles(float(_improvements(ours, theirs)), np.concatenate(found), confidence)


def conditional_value_at_risk(
    ranking: np.ndarray,
    scores: np.ndarray,
    shares: Sequence[float],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> list[Interval]:
    """The mean score on the worst share of the levels, for each of ``shares``, by the two-sample protocol.

    For each run the levels are ranked by ``ranking``, and the mean of the worst is taken from ``scores``, which come
    from another evaluation: the worst levels of one evaluation look worse in it than they are. Levels that tie where
    the share ends count in part, all alike. The result is the mean over the runs. Intervals come from drawing levels
    and whole runs anew.

    Source: Rutherford et al., No Regrets: Investigating and Improving Regret Approximations for Curriculum Discovery,
    NeurIPS 2024.

    Args:
        ranking: (R, L), of the first evaluation.
        scores: (R, L), of the second one.
        shares: of the levels, each above 0 and at most 1.

    Raises:
        ValueError: for other shapes, shapes that differ, or other shares.
    """
    ranking, scores = _checked(ranking), _checked(scores)
    if ranking.shape != scores.shape:
        shapes = f"{ranking.shape} and {scores.shape}"
        raise ValueError(f"both evaluations must be of the same runs and levels; got {shapes}")
    if wrong := [share for share in shares if not 0 < share <= 1]:
        raise ValueError(f"a share of the levels is above 0 and at most 1; got {wrong[0]}")
    runs, count = scores.shape
    tiers = [_tiers(*run) for run in zip(ranking, scores)]
    worst = lambda weights: np.stack([_worst(weights, *tier, shares) for tier in tiers])  # (R, B, shares)
    estimates = worst(np.ones((1, count)))[:, 0].mean(axis=0)
    found = []
    for which_level, (which_run,) in _draws(count, (runs,), seed, resamples, levels=True):
        drawn = which_level[:, 0]
        weights = np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(np.float64)
        chosen = np.take_along_axis(worst(weights), which_run[:, :, 0].T[..., None], axis=0)
        found.append(chosen.mean(axis=0))
    by_share = np.concatenate(found).T
    return [_percentiles(float(x), resampled, confidence) for x, resampled in zip(estimates, by_share)]


def _tiers(ranking: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levels that one run ranks alike, worst first: who belongs to each (L, G), and their scores there (L, G)."""
    values, tier = np.unique(ranking, return_inverse=True)
    members = (tier[:, None] == np.arange(len(values))).astype(np.float64)
    return members, members * scores[:, None]


def _worst(weights: np.ndarray, members: np.ndarray, scores: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Mean scores of the worst ``shares`` (B, shares) where levels count ``weights`` (B, L) times."""
    counts, totals = weights @ members, weights @ scores
    means = np.divide(totals, counts, out=np.zeros_like(totals), where=counts > 0)
    before = np.cumsum(counts, axis=1) - counts
    needed = np.array(shares)[:, None, None] * weights.sum(axis=1)[:, None]
    taken = np.clip(needed - before, 0, counts)
    return ((taken * means).sum(axis=-1) / needed[..., 0]).T


def _draws(
    count: int, runs: Sequence[int], seed: int, resamples: int, levels: bool
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Resamples, a few at a time: the level in each place (b, 1, L), and for each side the run there (b, R, L)."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, _AT_ONCE):
        now = min(_AT_ONCE, resamples - start)
        shape = (now, 1, count)
        which_level = random.integers(count, size=shape) if levels else np.broadcast_to(np.arange(count), shape)
        yield which_level, [random.integers(n, size=(now, n, count)) for n in runs]


def _percentiles(estimate: float, found: Sequence[float] | np.ndarray, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    return Interval(float(estimate), *(float(x) for x in np.quantile(found, (tail, 1 - tail))))


def _improvements(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Of scores (..., R, L) and (..., S, L): (...)."""
    apart = ours[..., :, None, :] - theirs[..., None, :, :]
    return ((apart > 0) + 0.5 * (apart == 0)).mean(axis=(-3, -2, -1))


def _checked_pair(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ours, theirs = _checked(ours), _checked(theirs)
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"both sides must have played the same levels; got {ours.shape[1]} and {theirs.shape[1]}")
    return ours, theirs


def _checked(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"scores have the shape (runs, levels), with one of each at least; got {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite: leave its run out and say so")
    return scores
