"""Learned-student regret: prioritised level replay by how much better a second student does on a level."""

from __future__ import annotations

from collections.abc import Callable

from .buffer import LevelBuffer
from .plr import plr
from .protocol import Curriculum
from .sampling import Sampler
from .scores import Score


def student_regret(
    sample: Sampler,
    batch: int,
    *,
    buffer: LevelBuffer = LevelBuffer(),
    regret: str | Score | Callable = "regret",
    robust: bool = False,
) -> Curriculum:
    """Replay the levels that a second student does better on: ``plr`` by regret against an antagonist that learns too.

    Two students of the same kind, but with parameters of their own, play and learn from every batch. A level's score
    is its regret: the antagonist's return less the student's mean return on it. Everything else is ``plr``: new levels
    are offered to the buffer by their regret, and replays draw those of high regret, so that the student meets levels
    that are proven possible, by the antagonist, and that it does not master.

    The regret is that of PAIRED (Dennis et al., NeurIPS 2020); the curriculum is not. PAIRED, and REPAIRED (Jiang et
    al., NeurIPS 2021), train a third network, the adversary, to build levels by reinforcement learning with the regret
    for its reward. Here nothing builds levels: they come from ``sample``, and the buffer's priorities choose among
    them. The antagonist is rewarded for its own return alone, as in both papers. The name is after minimax (Jiang et
    al., 2023), where such scores are the regret between learned students.

    State, metrics and departures: those of ``plr``.

    Args:
        sample: ``sample(key, n)``: n new levels; not called for a replay
        batch: levels, and so environments, of an update
        buffer: its size and priorities
        regret: a name in ``SCORES``, a ``Score``, or a function ``(rollout, extras) -> (scores, extras)``; it finds the
            antagonist's rollout in ``rollout.antagonist``
        robust: learn from replayed levels only, both students

    Raises:
        ValueError: for a batch that does not fit the buffer, or an unknown score.
    """
    return plr(sample, batch, buffer=buffer, score=regret, robust=robust)._replace(students=2)
