"""Attempts to be filmed: those that an evaluation plays, with where the bodies were from step to step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from kinetix_ued.environment import KinetixEnv
from kinetix_ued.randomness import stream
from kinetix_ued.viewer import Episode
from kinetix_ued.viewer.film import FAILURE, GOAL, NOT_FINITE, TIME_OUT

from .evaluate import Evaluation
from .methods import Method, Part, Play, parts_of, play_methods, play_silently
from .suite import Suite


@dataclasses.dataclass(frozen=True)
class Shot:
    """An attempt at a level, to be shown.

    Attributes:
        folder, level: names of the level in its suite
        attempt: its number among those at this level, the first one being 1
        episode: what happened
    """

    folder: str
    level: str
    attempt: int
    episode: Episode


def film_parts(method: Method, suite: Suite, base: KinetixEnv) -> list[Part]:
    """The levels of a suite by who plays them in which size, see ``parts_of``; to be called before anything is played.

    Raises:
        ValueError: for a run that does not fit, or several runs that would play the same level.
    """
    parts = parts_of(suite, [method], base)
    runs = max(len(part.entrants[method.name]) for part in parts)
    if runs > 1:
        raise ValueError(f"{method.name} stands for {runs} runs, and a film shows one: name the folder of one of them")
    return parts


def shots(
    method: Method,
    suite: Suite,
    parts: Sequence[Part],
    *,
    seed: int = 0,
    attempts: int = 1,
    tries: int | None = None,
    failures: bool = False,
    greedy: bool = False,
    play: Play = play_silently,
) -> list[Shot]:
    """The first attempts at each level of a suite, or the first that do not reach the goal.

    They are attempts of the evaluation that plays each level ``tries`` times with this seed: the first of them is the
    first of ``kinetix-ued eval --attempts TRIES --seed SEED``, and so on.

    Args:
        method: who plays.
        suite: what is played.
        parts: of it, see ``film_parts``.
        seed: of the evaluation.
        attempts: at each level, at most, that are returned.
        tries: attempts at each level that are played; as many as ``attempts``, if not given.
        failures: leave out those that reach the goal. A level can be missing then.
        greedy: take the most likely actions.
        play: in place of ``evaluate``.

    Raises:
        ValueError: for fewer tries than attempts.
    """
    tries = attempts if tries is None else tries
    if not 1 <= attempts <= tries:
        raise ValueError(f"attempts must be from 1 to the {tries} that are played; got {attempts}")
    found: list[Evaluation] = []

    def recorded(*who: Any, **options: Any) -> Evaluation:
        found.append(play(*who, record=tries if failures else attempts, **options))
        return found[-1]

    play_methods(suite, parts, key=stream(seed, "EVAL"), attempts=tries, greedy=greedy, play=recorded)
    chosen: dict[int, list[Shot]] = {}
    for part, evaluation in zip(parts, found):
        levels = jax.device_get(part.suite.levels)
        env = part.entrants[method.name][0][1]
        for i, place in enumerate(part.members):
            wanted = np.flatnonzero(~evaluation.solved[i]) if failures else range(attempts)
            folder, name = suite.folders[place], suite.names[place]
            chosen[place] = [
                Shot(folder, name, int(a) + 1, _episode(levels[i], name, env, evaluation, i, a, tries > 1))
                for a in wanted[:attempts]
            ]
    return [shot for place in sorted(chosen) for shot in chosen[place]]


def _episode(
    level: Any, name: str, env: KinetixEnv, evaluation: Evaluation, i: int, attempt: int, numbered: bool
) -> Episode:
    recording, steps = evaluation.recording, evaluation.lengths[i, attempt]
    assert recording is not None
    outcomes = {
        GOAL: evaluation.solved[i, attempt],
        FAILURE: recording.failed[i, attempt],
        NOT_FINITE: evaluation.nonfinite[i, attempt],
    }
    return Episode(
        level,
        recording.position[i, attempt, :steps],
        recording.rotation[i, attempt, :steps],
        outcome=next((outcome for outcome, so in outcomes.items() if so), TIME_OUT),
        name=f"{name}, attempt {attempt + 1}" if numbered else name,
        frame_skip=env.frame_skip,
    )
