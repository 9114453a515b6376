"""Random levels that no training run has seen."""

from __future__ import annotations

import jax

from kinetix_ued.generators import filtered, sample_levels
from kinetix_ued.randomness import stream
from kinetix_ued.world import Level, Size

HELDOUT_SEED = 1_000_000_007
"""Seed of the held-out levels that reports score: of the suites ``random-SIZE`` and of a run's final evaluation."""

SELECTION_SEED = 1_000_000_009
"""Seed of the held-out levels that choose a run's best checkpoint.

What is chosen by a score looks better in it than it is, so these are other levels than those of any report.
"""

HELDOUT_STREAM = "HELD"
"""Their stream: a run whose seed is ``HELDOUT_SEED`` draws other levels too."""


def heldout_random(
    size: str | Size = "s", n: int = 256, *, seed: int = HELDOUT_SEED, filter_noop: bool = True
) -> Level:
    """The same n random levels for everyone.

    Levels that doing nothing solves within 64 steps are left out, as in the distribution that the reference trains on:
    they would count as solved for any policy. A level on the edge may fall to the other side where another engine or
    machine rounds differently; it is then replaced by another one, and the rest stay. Different n give different sets.

    Args:
        size: of the levels.
        n: how many.
        seed: another one gives another set.
        filter_noop: False takes them as they are drawn.

    Raises:
        ValueError: for n < 1 or an unknown size.
    """
    key = stream(seed, HELDOUT_STREAM)

    def sample(key: jax.Array, n: int) -> Level:
        return sample_levels(key, n, size)

    return (filtered(sample) if filter_noop else sample)(key, n)
