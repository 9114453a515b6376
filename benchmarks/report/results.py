"""What evaluations come to, as one document ready for JSON. docs/evaluation.md describes it field by field.

A policy is one run or several runs of one method; where there are several, everything is over all of them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kinetix_ued.environment import KinetixEnv

from ..evaluate import Evaluation
from ..statistics import (
    RESAMPLES,
    Interval,
    bootstrap,
    conditional_value_at_risk,
    improvement,
    interquartile_mean,
    wilson,
)
from ..suite import Suite
from .provenance import commit, machine, versions
from .schema import SCHEMA, SCHEMA_VERSION

CONFIDENCE = 0.95
"""Of all intervals."""

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of the levels, the worst ones, whose solve rate is reported on random levels."""

TOLD = ("title", "description", "difficulty", "solved_by")
"""What a report repeats of a level's file."""

Evaluations = Mapping[str, Evaluation | Sequence[Evaluation]]
"""By name of the policy: an evaluation, or one of each of a method's runs."""


@dataclasses.dataclass(frozen=True)
class Played:
    """One suite and how policies did on it.

    Attributes:
        suite: what was played
        evaluations: by name of the policy
        again: second evaluations with another key, for the worst levels; empty for none
        name: of the suite; where its levels are from, if empty
        sizes: names of the sizes in which its levels were played; that of the suite's batch, if empty
    """

    suite: Suite
    evaluations: Evaluations
    again: Evaluations = dataclasses.field(default_factory=dict)
    name: str = ""
    sizes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.name or self.suite.source


def as_json(
    suite: Suite,
    evaluations: Evaluations,
    *,
    env: KinetixEnv,
    seed: int,
    greedy: bool,
    sources: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, Any]:
    """``results`` of a single suite."""
    return results([Played(suite, evaluations)], env=env, seed=seed, greedy=greedy, sources=sources)


def results(
    played: Sequence[Played],
    *,
    env: KinetixEnv,
    seed: int,
    greedy: bool,
    sources: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, Any]:
    """The numbers and all that is needed to repeat them. The same evaluations give the same document.

    Args:
        played: suites with evaluations of the same policies.
        env: what it was played in, whatever the size.
        seed: of the evaluation's key; also of the bootstrap.
        greedy: whether policies were asked for their most likely action.
        sources: for each policy by name what it is, or each of its runs: path, seed, steps, configuration.

    Raises:
        ValueError: for evaluations that differ in attempts, or suites that differ in policies.
    """
    attempts = {e.attempts for part in played for of_policy in part.evaluations.values() for e in runs_of(of_policy)}
    if len(attempts) != 1:
        raise ValueError(f"evaluations in one report must share their number of attempts; got {sorted(attempts)}")
    names = {tuple(part.evaluations) for part in played}
    if len(names) != 1:
        raise ValueError(f"suites in one report must be played by the same policies; got {sorted(names)}")
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "commit": commit(),
        "machine": machine(),
        "seed": seed,
        "attempts": attempts.pop(),
        "greedy": greedy,
        "engine": env.engine,
        "physics": env.physics,
        "environment": {
            "frame_skip": env.frame_skip,
            "dense_reward_scale": env.dense_reward_scale,
            "max_steps": env.max_steps,
        },
        "statistics": {"confidence": CONFIDENCE, "resamples": RESAMPLES},
        "policies": [_about(name, (sources or {}).get(name, {})) for name in names.pop()],
        "suites": [_suite(part, seed) for part in played],
    }


def runs_of(evaluations: Evaluation | Sequence[Evaluation]) -> list[Evaluation]:
    """The evaluations of a policy's runs, one or several."""
    return [evaluations] if isinstance(evaluations, Evaluation) else list(evaluations)


def pooled(evaluations: Evaluation | Sequence[Evaluation]) -> Evaluation:
    """All attempts of a method's runs as those of one evaluation: every run counts alike."""
    runs = runs_of(evaluations)
    joined = lambda name: np.concatenate([getattr(e, name) for e in runs], axis=1)
    return dataclasses.replace(
        runs[0],
        solved=joined("solved"),
        returns=joined("returns"),
        lengths=joined("lengths"),
        nonfinite=joined("nonfinite"),
        environment_steps=sum(e.environment_steps for e in runs),
        idle_steps=sum(e.idle_steps for e in runs),
        seconds=sum(e.seconds for e in runs),
    )


def groups(labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Indices of the levels with each label, labels in the order in which they first appear."""
    array = np.array(labels)
    return {label: np.flatnonzero(array == label) for label in dict.fromkeys(labels)}


def kinds(suite: Suite) -> tuple[str, ...]:
    """What levels are averaged in: their family, or where a file names none, its folder."""
    return tuple(family or folder for family, folder in zip(suite.families, suite.folders))


def _about(name: str, source: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    runs = [dict(run) for run in ([source] if isinstance(source, Mapping) else source)]
    allowed = [bool(run.get("config", {}).get("allow_holdout", False)) for run in runs]
    return {"name": name, "runs": runs, "allow_holdout": any(allowed)}


def _suite(part: Played, seed: int) -> dict[str, Any]:
    suite = part.suite
    rates = {name: solve_rates(e) for name, e in part.evaluations.items()}
    better = functools.partial(improvement, seed=seed, confidence=CONFIDENCE, levels=True)
    return {
        "suite": part.title,
        "source": suite.source,
        "hash": suite_hash(suite),
        "size": ", ".join(part.sizes) or suite.levels.size.name,
        "levels": [_level(suite, i) for i in range(len(suite.names))],
        "skipped": [{"file": error.file, "problem": str(error)} for error in suite.skipped],
        "policies": [_policy(part, name, seed) for name in part.evaluations],
        "improvement": [
            {"policy": ours, "over": theirs, **better(rates[ours], rates[theirs])._asdict()}
            for ours in rates
            for theirs in rates
            if ours != theirs
        ],
    }


def suite_hash(suite: Suite) -> str:
    """What the levels of a suite are, whatever their order: 12 hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(suite.hashes)).encode()).hexdigest()[:12]


def solve_rates(evaluations: Evaluation | Sequence[Evaluation]) -> np.ndarray:
    """Of a policy's runs (R, L)."""
    return np.stack([e.solve_rate for e in runs_of(evaluations)])


def _level(suite: Suite, i: int) -> dict[str, Any]:
    told = {key: suite.metadata[i][key] for key in TOLD if key in suite.metadata[i]}
    return {
        "level": suite.names[i],
        "folder": suite.folders[i],
        "family": kinds(suite)[i],
        "size": suite.sizes[i],
        "hash": suite.hashes[i],
        **told,
    }


def _policy(part: Played, name: str, seed: int) -> dict[str, Any]:
    suite, runs = part.suite, runs_of(part.evaluations[name])
    rates, whole = solve_rates(runs), pooled(runs)
    resample = functools.partial(bootstrap, seed=seed, confidence=CONFIDENCE)

    def interval(members: np.ndarray, statistic: Callable[[np.ndarray], float] = _mean) -> Interval:
        """Over seeds and levels. Resampling would be sure of a mean of scores that are all alike: Wilson's is not.

        Each level counts once there, however often it was played, because levels are what is drawn.
        """
        scores = rates[:, members]
        if scores.min() == scores.max() and (statistic is _mean or scores.size == 1):
            return wilson(float(scores.mean()) * len(members), len(members), CONFIDENCE)
        return resample(scores, statistic, levels=True)

    def mean_of(label: str, labels: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {
                label: value,
                "levels": len(members),
                **_means(whole, members),
                "interval": _ends(interval(members)),
            }
            for value, members in groups(labels).items()
        ]

    everything = np.arange(len(suite.names))
    found = {
        "name": name,
        "runs": [{"solve_rate": float(rate.mean()), "interquartile_mean": interquartile_mean(rate)} for rate in rates],
        "environment_steps": whole.environment_steps,
        "idle_steps": whole.idle_steps,
        "seconds": round(whole.seconds, 3),
        "interquartile_mean": interval(everything, interquartile_mean)._asdict(),
        "mean": {**_means(whole, everything), "interval": _ends(interval(everything))},
        "families": mean_of("family", kinds(suite)),
        "sizes": mean_of("size", suite.sizes),
        "levels": [_level_scores(suite, whole, rates, i) for i in range(len(suite.names))],
    }
    if len(runs) > 1:  # what is uncertain about these very levels
        found["interquartile_mean_over_seeds"] = resample(rates)._asdict()
    if part.again:
        found["worst"] = _worst(rates, solve_rates(part.again[name]), seed)
    return found


def _worst(first: np.ndarray, second: np.ndarray, seed: int) -> dict[str, Any]:
    intervals = conditional_value_at_risk(first, second, SHARES, seed=seed, confidence=CONFIDENCE)
    return {
        "second_solve_rate": float(second.mean()),
        "shares": [{"share": share, **interval._asdict()} for share, interval in zip(SHARES, intervals)],
    }


def _level_scores(suite: Suite, whole: Evaluation, rates: np.ndarray, i: int) -> dict[str, Any]:
    solved = int(whole.solved[i].sum())
    return {
        "level": suite.names[i],
        "folder": suite.folders[i],
        "solved_attempts": solved,
        "attempts": whole.attempts,
        **_means(whole, np.array([i])),
        "interval": _ends(wilson(solved, whole.attempts, CONFIDENCE)),
        "solve_rates": rates[:, i].tolist(),
    }


def _means(evaluation: Evaluation, members: np.ndarray) -> dict[str, Any]:
    """Means over some levels. A return that is not finite can only come from a fault, and stays visible as None."""
    number = lambda x: float(x) if np.isfinite(x) else None
    return {
        "solve_rate": float(evaluation.solve_rate[members].mean()),
        "mean_return": number(evaluation.mean_return[members].mean()),
        "mean_length": float(evaluation.mean_length[members].mean()),
        "nonfinite_episodes": int(evaluation.nonfinite_episodes[members].sum()),
    }


def _ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


_mean: Callable[[np.ndarray], float] = lambda scores: float(scores.mean())
