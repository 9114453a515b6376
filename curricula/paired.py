"""PAIRED's regret, of the student against an antagonist, over generated levels."""

from __future__ import annotations

from collections.abc import Callable

from .buffer import LevelBuffer
from .plr import plr
from .protocol import Curriculum
from .sampling import Sampler
from .scores import Score


def paired(
    sample: Sampler,
    batch: int,
    *,
    buffer: LevelBuffer = LevelBuffer(),
    regret: str | Score | Callable = "regret",
    robust: bool = False,
) -> Curriculum:
    """Replay the levels that a second student does better on (after Dennis et al., PAIRED, NeurIPS 2020).

    Two students of the same kind, but with parameters of their own, play and learn from every batch. A level's score
    is its regret: the antagonist's return less the student's mean return on it. Everything else is ``plr``: new levels
    are offered to the buffer by their regret, and replays draw those of high regret, so that the student meets levels
    that are proven possible, by the antagonist, and that it does not master.

    Departure from the paper, and it is the main one: there is no adversary that builds levels. PAIRED trains a third
    network to generate levels by reinforcement learning, with the regret for its reward; here levels come from
    ``sample``, and the adversary is the buffer's priorities (as in Jiang et al., NeurIPS 2021, who call REPAIRED the
    combination of both). The antagonist is not rewarded for the regret, only for its own return, as in the paper.

    State, metrics and further departures: those of ``plr``.

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
