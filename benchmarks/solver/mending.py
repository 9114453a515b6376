"""Make a solution robust by small edits: other choices for a moment, a step more or a step less.

The cross-entropy method changes whole segments. What an almost robust sequence needs is finer: an edit of one to a few
steps that takes it through the narrow place with more room to spare. Edits are judged from the same disturbed starts as
the sequence itself, which are drawn anew in every generation.
"""

from __future__ import annotations

import jax
import numpy as np

from kinetix_ued.environment import KinetixEnv
from kinetix_ued.environment.actions import MultiDiscrete
from kinetix_ued.world import Level

from .cross_entropy import replay_disturbed
from .rollout import Outcome

EDITED, DRAWS = 32, 16
"""Sequences in a generation, the unedited one first, and starts that each is judged from."""

EDITS, LENGTH = 3, 6
"""Edits in a sequence, and steps that a new choice lasts; at most."""

HASTE = 1 / 512
"""What a step costs, in solved starts: two sequences equally robust are told apart by their length."""

GAIN = 0.01
"""Better by so much is better; what is less may be the luck of the draws."""

TAIL = 6
"""Steps after the sequence's last one that edits may touch."""


def mend(
    env: KinetixEnv, key: jax.Array, level: Level, actions: np.ndarray, end: int, distance: float
) -> tuple[np.ndarray, bool]:
    """The best of some edits of a sequence, and whether that solved every start it was judged from.

    Args:
        env: with multi-discrete actions.
        key: of edits and starts.
        level: one level, whose arrays are NumPy's.
        actions: (T, 6) int8, T the length of an episode.
        end: steps of them that matter.
        distance: longest disturbance of a start [m].
    """
    key_edits, key_starts = jax.random.split(key)
    random = np.random.default_rng(np.asarray(jax.random.key_data(key_edits)))
    channels = np.flatnonzero((actions != 0).any(axis=0))
    candidates = np.stack([actions] + [_edited(random, actions, channels, end + TAIL) for _ in range(EDITED - 1)])
    outcome = _judged(env, [key_starts] * EDITED, level, candidates, distance)
    value = outcome.goal.mean(axis=1) - HASTE * outcome.steps.mean(axis=1) - ~outcome.goal[:, 0]
    best = int(np.argmax(value))
    best = best if value[best] > value[0] + GAIN else 0
    return candidates[best], bool(outcome.goal[best].all())


def trial(env: KinetixEnv, key: jax.Array, level: Level, actions: np.ndarray, distance: float) -> Outcome:
    """Outcomes (n) of a sequence from the undisturbed start and from many disturbed ones."""
    keys = list(jax.random.split(key, EDITED))
    outcome = _judged(env, keys, level, np.repeat(actions[None], EDITED, axis=0), distance)
    return jax.tree.map(lambda x: np.concatenate([x[0, :1], x[:, 1:].ravel()]), outcome)


def _edited(random: np.random.Generator, actions: np.ndarray, channels: np.ndarray, end: int) -> np.ndarray:
    """A copy with a few edits before step ``end``; channels that were never pressed stay so."""
    actions = actions.copy()
    for _ in range(random.integers(1, EDITS + 1)):
        at, kind = random.integers(min(end, len(actions))), random.integers(3)
        if kind == 0 and len(channels):
            channel = random.choice(channels)
            actions[at : at + random.integers(1, LENGTH + 1), channel] = random.integers(MultiDiscrete.heads[channel])
        elif kind == 1:
            actions[at + 1 :] = actions[at:-1].copy()
        else:
            actions[at:-1] = actions[at + 1 :].copy()
    return actions


def _judged(env: KinetixEnv, keys: list[jax.Array], level: Level, candidates: np.ndarray, distance: float) -> Outcome:
    """Outcomes (EDITED, DRAWS) of candidates (EDITED, T, 6) in one level."""
    levels = jax.tree.map(lambda x: np.broadcast_to(x, (EDITED, *np.shape(x))), level)
    ones = np.ones(EDITED, np.int32)
    limit, far = ones * np.int32(env.max_steps), np.float32(distance)
    keys = jax.numpy.stack(keys)
    return jax.device_get(replay_disturbed(env, keys, levels, candidates, ones, limit, far, draws=DRAWS))
